"""The URL by which clients know this server: said by the operator, or by a proxy that the operator trusts."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from mcp_kernel.auth.metadata import resource_metadata_urls
from mcp_kernel.auth.resource.binding import ALGORITHMS
from mcp_kernel.auth.resource.settings import find_problem
from mcp_kernel.server.principal import Knock

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class Place:
    """Where the server is.

    Args:
        path: The endpoint's path.
        url: Its URL, where the operator says it on the command line.
        proxies: Networks whose `X-Forwarded-Proto` and `X-Forwarded-Host` are believed; nobody else's are.
        hosts: Names that a proxy may forward (`--allowed-host`): what it passes on unseen may be the client's.
    """

    def __init__(self, path: str, url: str = "", proxies: Sequence[Network] = (), hosts: Iterable[str] = ()) -> None:
        self.url = url
        self._path = "/" + path.strip("/")
        self._proxies = tuple(proxies)
        self._hosts = frozenset(host.lower() for host in hosts)

    @property
    def follows_proxies(self) -> bool:
        """Whether a proxy may say the URL."""
        return bool(self._proxies)

    def trusts(self, knock: Knock) -> bool:
        """Whether a request comes from a trusted proxy."""
        if not self._proxies:
            return False
        try:
            address = ipaddress.ip_address(knock.client or "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._proxies)

    def locate(self, knock: Knock) -> str:
        """The URL of the endpoint as a trusted proxy says it; empty where none does."""
        hosts, schemes = knock.values(b"x-forwarded-host"), knock.values(b"x-forwarded-proto")
        if not self.trusts(knock) or len(hosts) != 1 or len(schemes) != 1:
            return ""
        host, scheme = hosts[0].decode("latin-1").lower(), schemes[0].decode("latin-1").lower()
        url = f"{scheme}://{host}{self._path}"
        if find_problem(url):
            return ""
        parts = urlsplit(url)
        named = parts.netloc == host and (host in self._hosts or parts.hostname in self._hosts)
        return url if named else ""

    def spell(self, knock: Knock, resource: str) -> str:
        """The URL that a client has asked for, as it knows this server: that of the resource, or beside it."""
        path = knock.path.rstrip("/") or "/"
        if path == self._path:
            return resource + knock.path[len(path) :]
        parts = urlsplit(resource)
        return f"{parts.scheme}://{parts.netloc}{knock.path}"

    def describes(self, path: str, resource: str) -> bool:
        """Whether the metadata of a resource is at a path: for its own path, for the endpoint's, and for its origin."""
        ends = ("", urlsplit(resource).path.rstrip("/"), self._path)
        return path in {f"{_WELL_KNOWN}{end}" for end in ends}


def read_place(path: str, url: str | None, proxies: Iterable[str], hosts: Iterable[str]) -> Place:
    """Read the options; raises `ValueError`, whose text says which is wrong."""
    if url and (problem := find_problem(url)):
        raise ValueError(f"--public-url {problem}")
    networks: list[Network] = []
    for proxy in proxies:
        try:
            networks.append(ipaddress.ip_network(proxy))
        except ValueError as error:
            raise ValueError(f"--trusted-proxy is a network, as 10.0.0.0/8 or 192.0.2.7/32: {error}") from None
    return Place(path, url or "", networks, hosts)


def metadata_url(resource: str) -> str:
    """Where a resource's metadata is; empty where the resource is."""
    return resource_metadata_urls(resource)[0] if resource else ""


def describe(resource: str, issuer: str, scopes: Sequence[str]) -> bytes:
    """The metadata of a protected resource (RFC 9728, section 2)."""
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
    }
    if scopes:
        document["scopes_supported"] = list(scopes)
    return json.dumps(document).encode()
