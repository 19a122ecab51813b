"""URLs that may be asked, and compared: https, or http on this machine.

Metadata comes from a server that may be malicious, and its URLs make the client ask whatever they name. So a server
elsewhere cannot send the client to this machine, nor to the addresses of private networks.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from mcp_kernel.errors import AuthorizationError


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and address.is_loopback


def require_safe(url: str, what: str, server_url: str) -> str:
    """The URL itself, where the client may ask it on behalf of a server; raises `AuthorizationError`."""
    parts = split_url(url)
    if parts is None or parts.scheme not in ("https", "http") or parts.username is not None or parts.fragment:
        raise AuthorizationError(f"{what} is no plain http or https URL ({show(url)}). Its operator has to correct it.")
    host, home = parts.hostname or "", (split_url(server_url) or parts).hostname or ""
    if _is_internal(host) and not _is_internal(home):
        raise AuthorizationError(
            f"{what} is {show(url)}, an internal address, which a server elsewhere may not send clients to. "
            "If this is right, reach the server by an internal address as well."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise AuthorizationError(
            f"{what} is {show(url)}, which is not encrypted. Its operator has to serve it on https."
        )
    return url


def canonical(url: str) -> str:
    """A server's URL as a resource identifier: scheme and host in lower case, no query, no fragment, no bare slash."""
    parts = split_url(url)
    if parts is None:
        raise AuthorizationError(f"{show(url)} is no URL of a server.")
    return urlunsplit((*origin(url), "" if parts.path == "/" else parts.path, "", ""))


def origin(url: str) -> tuple[str, str]:
    """Scheme and authority, comparable: in lower case, without the scheme's own port."""
    parts = split_url(url)
    if parts is None:
        return ("", "")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, f"{host}:{parts.port}" if parts.port and parts.port != usual else host


def covers(resource: str, server_url: str) -> bool:
    """Whether a resource identifier is the server's URL, or a path above it."""
    parts, target = split_url(resource), split_url(server_url)
    if parts is None or target is None or parts.fragment or parts.query or origin(resource) != origin(server_url):
        return False
    return f"{target.path.rstrip('/')}/".startswith(f"{parts.path.rstrip('/')}/")


def show(url: str) -> str:
    """A URL for people, without what may be secret in it."""
    parts = split_url(url)
    text = f"{parts.scheme}://{origin(url)[1]}{parts.path}" if parts else url
    return re.sub(r"[^\x21-\x7e]", "?", text[:200])


def split_url(url: str) -> SplitResult | None:
    """The parts of an absolute URL; None where it is none."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.scheme and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _is_internal(host: str) -> bool:
    address = _literal(host)
    return is_loopback(host) or (address is not None and not address.is_global)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
