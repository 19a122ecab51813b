"""What the file of `--auth` says about who is let in."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcp_kernel.auth.address import is_loopback, split_url
from mcp_kernel.auth.resource.certificates import Certificate
from mcp_kernel.auth.resource.document import Document
from mcp_kernel.auth.resource.section import Section, suggest

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key that only the issuer has; with a shared secret (HS256) everybody who checks can sign."""

_USUAL: Final = ("RS256", "ES256", "EdDSA")
_HASH: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3
_ADDRESS: Final = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x7e]+")  # it is put between quotes
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_ELSEWHERE: Final = ("roles", "limits", "audit")  # sections that others read


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: whose it is, the SHA-256 of its text, when it ends (seconds since 1970)."""

    name: str
    digest: bytes = field(repr=False)
    roles: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token lets its bearer do: the role it names, or the default, if it has the scopes that are required."""

    role_claim: str = ""
    default_role: str = ""
    required_scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Jwt:
    """Tokens that are checked here, with the keys of their issuer; `jwks_url` is empty where discovery finds it."""

    issuer: str
    jwks_url: str = ""
    algorithms: tuple[str, ...] = _USUAL
    leeway: int = 30  # seconds
    grants: Grants = Grants()


@dataclass(frozen=True, slots=True)
class Introspection:
    """Tokens that their issuer is asked about (RFC 7662)."""

    url: str
    client_id: str
    secret: str = field(repr=False)
    issuer: str = ""
    cache_seconds: int = 30
    grants: Grants = Grants()


@dataclass(frozen=True, slots=True)
class Settings:
    """Who is let in. `resource` is the server's own URL; empty where it is not said."""

    resource: str = ""
    keys: tuple[Key, ...] = ()
    tokens: Jwt | Introspection | None = None
    certificates: tuple[Certificate, ...] = ()


def read_settings(document: Document, public_url: str = "") -> Settings:
    """Read them; what is wrong is noted in the document. `public_url` stands in place of `resource`."""
    top = Section(document)
    resource = public_url or _read_url(top, "resource")
    top.value("resource")
    tokens = _read_tokens(document, top)
    settings = Settings(resource, _read_keys(document, top), tokens, _read_certificates(document, top))
    if not any(name in top for name in ("keys", "jwt", "introspection", "certificates")):
        top.complain("nobody is let in: add [[keys]] (mcp-kernel keys new), [jwt] or [introspection]")
    top.finish(*_ELSEWHERE)
    return settings


def _read_tokens(document: Document, top: Section) -> Jwt | Introspection | None:
    both = top.value("jwt") is not None, top.value("introspection") is not None
    if all(both):
        top.complain("introspection stands beside jwt: leave out one of the two ways", "introspection")
    if both[0]:
        return _read_jwt(document)
    return _read_introspection(document) if both[1] else None


def _read_keys(document: Document, top: Section) -> tuple[Key, ...]:
    listed = top.value("keys")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        top.complain("keys is an array of tables: begin each with [[keys]]", "keys")
        return ()
    keys: list[Key] = []
    for index in range(len(listed)):  # pyright: ignore[reportUnknownArgumentType]  # of whatever
        section = Section(document, "keys", index)
        key = _read_key(document, section)
        for other in keys:
            if key.name and key.name == other.name:
                section.complain(f"a key is named {key.name} already; names tell keys apart in the audit log", "name")
            if key.digest and key.digest == other.digest:
                section.complain(f"this hash is that of {other.name}'s key, too; each has a key of its own", "hash")
        keys.append(key)
    return tuple(keys)


def _read_key(document: Document, section: Section) -> Key:
    name = section.text("name", required=True)
    if name and not _NAME.fullmatch(name):
        section.complain("a key's name has no control characters, and 200 characters at most", "name")
    said = section.text("hash", required=True)
    found = _HASH.fullmatch(said)
    if said and not found:
        section.complain("a hash is sha256: and 64 hexadecimal digits, as mcp-kernel keys new prints it", "hash")
    key = Key(
        name=name,
        digest=bytes.fromhex(found[1]) if found else b"",
        roles=section.texts("roles") or (),
        scopes=frozenset(_read_scopes(section, "scopes")),
        expires=_read_expiry(section),
    )
    for index, role in enumerate(key.roles):
        _require_role(document, section, role, "roles", index)
    section.finish()
    return key


def _read_certificates(document: Document, top: Section) -> tuple[Certificate, ...]:
    listed = top.value("certificates")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        top.complain("certificates is an array of tables: begin each with [[certificates]]", "certificates")
        return ()
    found: list[Certificate] = []
    for index in range(len(listed)):  # pyright: ignore[reportUnknownArgumentType]  # of whatever
        section = Section(document, "certificates", index)
        each = _read_certificate(document, section)
        if any(each.name == other.name for other in found):
            section.complain(f"a certificate is named {each.name} already; names tell them apart", "name")
        found.append(each)
    return tuple(found)


def _read_certificate(document: Document, section: Section) -> Certificate:
    name, said, subject = section.text("name", required=True), section.text("fingerprint"), section.text("subject")
    if name and not _NAME.fullmatch(name):
        section.complain("a name has no control characters, and 200 characters at most", "name")
    found = _HASH.fullmatch(said.replace(":", "").replace("sha256", "sha256:", 1)) if said else None
    if bool(said) == bool(subject):
        section.complain("say which certificate: fingerprint (sha256:…) or subject (CN=…), one of the two")
    elif said and not found:
        section.complain("a fingerprint is sha256: and 64 hexadecimal digits, of the certificate in DER", "fingerprint")
    certificate = Certificate(
        name=name,
        digest=bytes.fromhex(found[1]) if found else b"",
        subject=subject,
        roles=section.texts("roles") or (),
        scopes=frozenset(_read_scopes(section, "scopes")),
    )
    for index, role in enumerate(certificate.roles):
        _require_role(document, section, role, "roles", index)
    section.finish()
    return certificate


def _read_expiry(section: Section) -> float | None:
    """A date is its first moment in UTC."""
    value = section.value("expires")
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.timestamp()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    if value is not None:
        section.complain("expires is a date without quotes, as 2027-01-01 or 2027-01-01T12:00:00Z", "expires")
    return None


def _read_jwt(document: Document) -> Jwt:
    section = Section(document, "jwt")
    algorithms = section.texts("algorithms")
    for index, algorithm in enumerate(algorithms or ()):
        if algorithm not in ALGORITHMS:
            section.complain(
                f"{algorithm} is not safe here; these are: {', '.join(ALGORITHMS)}",
                "algorithms",
                index,
            )
    if algorithms == ():
        section.complain("no token would do: leave algorithms out for the usual ones", "algorithms")
    jwt = Jwt(
        issuer=_read_url(section, "issuer", required=True),
        jwks_url=_read_url(section, "jwks_url"),
        algorithms=algorithms or _USUAL,
        leeway=section.number("leeway", 0, 60, 30),
        grants=_read_grants(document, section),
    )
    section.finish()
    return jwt


def _read_introspection(document: Document) -> Introspection:
    section = Section(document, "introspection")
    introspection = Introspection(
        url=_read_url(section, "url", required=True),
        client_id=section.text("client_id", required=True),
        secret=_read_secret(document, section),
        issuer=_read_url(section, "issuer", required=True),
        cache_seconds=section.number("cache_seconds", 0, 300, 30),
        grants=_read_grants(document, section),
    )
    section.finish("client_secret_env", "client_secret_file")
    return introspection


def _read_secret(document: Document, section: Section) -> str:
    """The secret stands in the environment, or in a file beside this one: this one is for everybody's eyes."""
    variable, file = section.text("client_secret_env"), section.text("client_secret_file")
    if "client_secret" in section:
        section.complain("no secret stands in this file: say client_secret_env or client_secret_file", "client_secret")
        section.value("client_secret")
    elif bool(variable) == bool(file):
        section.complain("say where the secret is: client_secret_env (a variable's name) or client_secret_file")
    secret = os.environ.get(variable, "") if variable else ""
    if variable and not secret:
        section.complain(f"the variable {variable} is not set", "client_secret_env")
    if file:
        try:
            secret = (document.path.parent / Path(file)).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            section.complain(f"the secret's file cannot be read ({type(error).__name__})", "client_secret_file")
        else:
            if not secret:
                section.complain("the secret's file is empty", "client_secret_file")
    return secret


def _read_grants(document: Document, section: Section) -> Grants:
    grants = Grants(
        role_claim=section.text("role_claim"),
        default_role=section.text("default_role"),
        required_scopes=_read_scopes(section, "required_scopes"),
    )
    if grants.default_role:
        _require_role(document, section, grants.default_role, "default_role")
    return grants


def _read_scopes(section: Section, name: str) -> tuple[str, ...]:
    scopes = section.texts(name) or ()
    for index, scope in enumerate(scopes):
        if not _SCOPE.fullmatch(scope):
            section.complain("a scope has no spaces, quotes and backslashes", name, index)
    return scopes


def _require_role(document: Document, section: Section, role: str, *keys: str | int) -> None:
    roles = document.value("roles")
    known: list[str] = list(roles) if isinstance(roles, dict) else []  # pyright: ignore[reportUnknownArgumentType]  # keys are text
    if role not in known:
        section.complain(f"the role {role} is unknown{suggest(role, known) or f'; add [roles.{role}]'}", *keys)


def _read_url(section: Section, name: str, *, required: bool = False) -> str:
    url = section.text(name, required=required)
    if url and (problem := find_problem(url)):
        section.complain(f"{name} {problem}", name)
    return url


def find_problem(url: str) -> str:
    """What keeps a URL from being used by who sends or trusts tokens; empty where nothing does."""
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not _ADDRESS.fullmatch(url):
        return "is a whole URL, as https://host.example/path"
    if parts.username is not None or parts.fragment or parts.query:
        return "has no user, query or fragment"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "is not encrypted: it is https, or http on this machine"
    return ""
