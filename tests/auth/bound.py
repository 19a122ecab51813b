"""A server that takes tokens of an issuer which binds them, and whoever holds the keys, or not."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm
from tests.auth.entrance import Entrance
from tests.auth.realm import Answer, Ask, Json, Realm

from mcp_kernel.auth.dpop import ProofKey
from mcp_kernel.auth.resource.jwt import JwtVerifier
from mcp_kernel.auth.resource.keyset import KeySet
from mcp_kernel.auth.web import Web

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_kernel.auth.resource.place import Place
    from mcp_kernel.auth.resource.settings import Introspection, Jwt
    from mcp_kernel.auth.resource.tokens import Verifier

ISSUER, RESOURCE = "https://binder.example", "https://club.example/mcp"
FILE = f'resource = "{RESOURCE}"\n[jwt]\nissuer = "{ISSUER}"\njwks_url = "{ISSUER}/jwks.json"\n'


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Binder:
    """The issuer, and the entrance of a server that trusts it, by one clock."""

    def __init__(self, path: Path, place: Place | None = None, text: str = FILE, **options: Any) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.realm = Realm()
        self.realm.hosts = {ISSUER: self._publish}
        self.entrance = Entrance(path, text, place, make_verifier=self.verifier, **options)

    def _publish(self, ask: Ask) -> Answer:
        public: Json = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return Answer(document={"keys": [{**public, "kid": "1"}]})

    def verifier(self, settings: Jwt | Introspection) -> Verifier:
        from mcp_kernel.auth.resource.settings import Jwt

        assert isinstance(settings, Jwt)
        now = self.now
        return JwtVerifier(settings, KeySet(settings, lambda url: Web(url, self.realm), clock=now), now=now)

    def now(self) -> float:
        return self.entrance.seconds if hasattr(self, "entrance") else 1_000_000.0

    def token(self, **claims: object) -> str:
        """A good token, with more claims."""
        now = self.now()
        said = {"iss": ISSUER, "aud": RESOURCE, "sub": "ann", "iat": now, "exp": now + 3000, **claims}
        return jwt.encode(said, self._key, "ES256", {"kid": "1", "typ": "at+jwt"})


class Prover:
    """A key, and proofs by it of every kind."""

    def __init__(self, kind: str = "ES256") -> None:
        self.kind = kind
        made: dict[str, Any] = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "short": lambda: rsa.generate_private_key(65537, 1024),
        }
        self.key = made[kind]()
        self.algorithm = "RS256" if kind == "short" else kind
        self._jwt = jwt.get_algorithm_by_name(self.algorithm)
        self.jwk: Json = self._jwt.to_jwk(self.key.public_key(), as_dict=True)
        self.private: Json = self._jwt.to_jwk(self.key, as_dict=True)

    @property
    def thumbprint(self) -> str:
        names = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}[self.jwk["kty"]]
        text = json.dumps({name: self.jwk[name] for name in names}, separators=(",", ":"))
        return encode(hashlib.sha256(text.encode()).digest())

    def prove(self, token: str, now: float, header: Json | None = None, /, **claims: object) -> str:
        """A good proof, with some parts replaced; those that are None are left out."""
        said: Json = {
            "jti": encode(hashlib.sha256(str((now, claims, id(claims))).encode()).digest()),
            "htm": "POST",
            "htu": RESOURCE,
            "iat": now,
            "ath": encode(hashlib.sha256(token.encode()).digest()),
            **claims,
        }
        head: Json = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **(header or {})}
        parts = [{name: value for name, value in part.items() if value is not None} for part in (head, said)]
        signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{encode(self._jwt.sign(signed.encode(), self.key))}"


def our_proof(key: ProofKey, token: str) -> str:
    """What our own client sends."""
    return key.prove("POST", RESOURCE, access_token=token)
