"""An issuer of access tokens: its keys, the addresses where it publishes them, and tokens of every kind."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.auth.entrance import Entrance
from tests.auth.realm import Answer, Ask, Json, Realm

from mcp_kernel.auth.resource.introspection import IntrospectionVerifier
from mcp_kernel.auth.resource.jwt import JwtVerifier
from mcp_kernel.auth.resource.keyset import KeySet
from mcp_kernel.auth.resource.settings import Jwt
from mcp_kernel.auth.web import Web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcp_kernel.auth.resource.place import Place
    from mcp_kernel.auth.resource.settings import Introspection
    from mcp_kernel.auth.resource.tokens import Verifier

ISSUER = "https://issuer.example"
RESOURCE = "https://club.example/mcp"
JWKS = f"GET {ISSUER}/jwks.json"
FILE = f'''resource = "{RESOURCE}"
[jwt]
issuer = "{ISSUER}"
role_claim = "role"
required_scopes = ["mcp"]
[roles.analyst]
tools = ["*"]
'''

ALGORITHMS = {"ec": "ES256", "rsa": "RS256", "ed": "EdDSA", "other": "ES256", "p384": "ES384", "short": "RS256"}


@cache
def private_key(name: str) -> Any:
    """A key pair; `other` is nobody's."""
    match name:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "short":
            return rsa.generate_private_key(65537, 1024)
        case "ed":
            return ed25519.Ed25519PrivateKey.generate()
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def public_jwk(name: str, **more: object) -> Json:
    """A key as an issuer publishes it."""
    algorithm = jwt.get_algorithm_by_name(ALGORITHMS[name])
    return {**json.loads(algorithm.to_jwk(private_key(name).public_key())), "kid": name, "use": "sig", **more}


def encode(data: object) -> str:
    """A part of a token: JSON, or bytes as they are."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


class Authority:
    """The host of the issuer. `seconds` is its time; its attributes are what a test turns."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0
        self.published: list[object] = [public_jwk(name) for name in ("ec", "rsa", "ed")]
        self.metadata: Json = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks.json"}
        self.metadata_path = "/.well-known/oauth-authorization-server"
        self.trouble: Answer | None = None
        self.active: dict[str, Json] = {}  # tokens, for introspection
        self.realm = Realm()
        self.realm.hosts = {ISSUER: self}

    def __call__(self, ask: Ask) -> Answer:
        if self.trouble is not None:
            return self.trouble
        if ask.url.path == self.metadata_path:
            return Answer(document=self.metadata)
        if ask.url.path == "/jwks.json":
            return Answer(document={"keys": self.published})
        if ask.url.path == "/introspect":
            assert ask.headers["authorization"] == "Basic " + base64.b64encode(b"club:s%26cret").decode()
            return Answer(document=self.active.get(ask.form["token"], {"active": False}))
        return Answer(404)

    def claims(self, **more: object) -> Json:
        """What a good token says; what is None is left out."""
        said: Json = {
            "iss": ISSUER,
            "aud": RESOURCE,
            "sub": "ann",
            "client_id": "app",
            "scope": "mcp more",
            "role": "analyst",
            "iat": self.seconds,
            "exp": self.seconds + 300,
            **more,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, key: str = "ec", headers: Mapping[str, object] | None = None, /, **claims: object) -> str:
        """A token that is signed; headers that are None are left out."""
        said = {"alg": ALGORITHMS[key], "typ": "at+jwt", "kid": key, **(headers or {})}
        header = {name: value for name, value in said.items() if value is not None}
        return self.sign(header, json.dumps(self.claims(**claims)).encode(), key)

    def sign(self, header: object, payload: bytes, key: str = "ec") -> str:
        """Sign anything at all."""
        signed = f"{encode(header)}.{encode(payload)}"
        algorithm = jwt.get_algorithm_by_name(ALGORITHMS[key])
        return f"{signed}.{encode(algorithm.sign(signed.encode(), private_key(key)))}"

    def verifier(self, settings: Jwt | Introspection) -> Verifier:
        """What a gate checks tokens with, by this time and over the realm."""

        def open_web(url: str) -> Web:
            return Web(url, self.realm)

        if isinstance(settings, Jwt):
            keys = KeySet(settings, open_web, clock=lambda: self.seconds)
            return JwtVerifier(settings, keys, now=lambda: self.seconds)
        return IntrospectionVerifier(settings, open_web, now=lambda: self.seconds)

    def entrance(self, path: Path, text: str = FILE, place: Place | None = None) -> Entrance:
        """A server that takes this issuer's tokens."""
        return Entrance(path, text, place, make_verifier=self.verifier)


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"authorization": f"Bearer {token}"}
