"""An authorisation server that checks what it is told, and signs what it gives."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from tests.auth.proofs import encode, verify_proof
from tests.auth.realm import Answer, Ask, Json

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Refused(Exception):
    """An error of OAuth, with its status."""

    def __init__(self, error: str, status: int = 400, description: str = "") -> None:
        super().__init__(error)
        self.document = {"error": error, "error_description": description or f"Refused: {error}."}
        self.status = status


class Issuer:
    """The host of an issuer. Its attributes are what a test turns."""

    def __init__(self, issuer: str = "https://auth.example", **metadata: Any) -> None:
        self.issuer = issuer
        self.origin = "/".join(issuer.split("/")[:3])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.metadata: Json = {
            "issuer": issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "jwks_uri": f"{self.origin}/jwks.json",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
            **metadata,
        }
        self.metadata_path = "/.well-known/oauth-authorization-server"
        self.clients: dict[str, Json] = {}
        self.codes: dict[str, Json] = {}
        self.refreshes: dict[str, Json] = {}
        self.answers: Json = {}  # what its redirect has beside or in place of code, state and iss
        self.lifetime: object = 3600
        self.nonce = ""  # wanted in proofs
        self.trusted: ec.EllipticCurvePublicKey | None = None  # signs assertions
        self.trouble: Refused | None = None  # at the token endpoint
        self.withheld: set[str] = set()  # scopes that nobody is granted
        self.binds = True  # tokens to keys
        self.claims: Json = {}  # that its tokens have besides
        self.jtis: set[str] = set()

    def __call__(self, ask: Ask) -> Answer:
        if ask.url.path == self.metadata_path:
            return Answer(document={name: value for name, value in self.metadata.items() if value is not None})
        if ask.url.path == "/jwks.json":
            algorithm = jwt.get_algorithm_by_name("ES256")
            return Answer(document={"keys": [json.loads(algorithm.to_jwk(self.key.public_key()))]})
        try:
            match ask.url.path:
                case "/register":
                    return self._register(json.loads(ask.body))
                case "/authorize":
                    return self._authorize(ask.query)
                case "/token":
                    return self._give(ask)
                case _:
                    return Answer(404)
        except Refused as refused:
            return Answer(refused.status, refused.document)

    def _register(self, client: Json) -> Answer:
        client_id = f"client-{len(self.clients) + 1}"
        if client["token_endpoint_auth_method"] != "none":
            client["client_secret"] = secrets.token_urlsafe()
        self.clients[client_id] = client
        return Answer(201, {**client, "client_id": client_id})

    def _authorize(self, query: Json) -> Answer:
        client = self.clients[query["client_id"]]
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["redirect_uri"] in client["redirect_uris"]
        code = secrets.token_urlsafe()
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer, **self.answers}
        pairs = {name: value for name, value in answer.items() if value is not None}
        return Answer(302, headers={"location": f"{query['redirect_uri']}?{urlencode(pairs)}"})

    def _give(self, ask: Ask) -> Answer:
        form, bound = ask.form, ""
        if self.trouble:
            raise self.trouble
        client_id = self._authenticate(ask)
        if "dpop" in ask.headers:
            bound, nonce = verify_proof(ask, self.jtis)
            if nonce != self.nonce:
                return Answer(400, {"error": "use_dpop_nonce"}, {"dpop-nonce": self.nonce})
        match form["grant_type"]:
            case "authorization_code":
                given = self._redeem(form, client_id, bound)
            case "refresh_token":
                given = self.refreshes.pop(form["refresh_token"], None)
                if given is None or given["client_id"] != client_id or given["bound"] != bound:
                    raise Refused("invalid_grant", description=f"unknown: {form['refresh_token']}")
            case "client_credentials":
                given = {"client_id": client_id, "scope": form.get("scope", ""), "resource": form["resource"]}
            case grant_type if grant_type == JWT_BEARER and self.trusted:
                given = self._believe(form, client_id)
            case _:
                raise Refused("unsupported_grant_type")
        given = {**given, "bound": bound if self.binds else ""}
        assert form["resource"] == given["resource"]
        return Answer(document=self.token(given))

    def token(self, given: Json) -> Json:
        """A token for what was given, and one to refresh it with."""
        scope = " ".join(one for one in given.get("scope", "").split() if one not in self.withheld)
        claims = {"iss": self.issuer, "aud": given["resource"], "scope": scope, "jti": secrets.token_hex(8)}
        claims = {**claims, "sub": "ann", "client_id": given["client_id"], **self.claims}
        if given["bound"]:
            claims = {**claims, "cnf": {"jkt": given["bound"]}}
        refresh = secrets.token_urlsafe()
        self.refreshes[refresh] = given
        return {
            "access_token": jwt.encode({**claims, "exp": int(time.time()) + 3600}, self.key, "ES256"),
            "token_type": "DPoP" if given["bound"] else "Bearer",
            "expires_in": self.lifetime,
            "refresh_token": refresh,
            "scope": scope,
        }

    def _authenticate(self, ask: Ask) -> str:
        form, header = ask.form, ask.headers.get("authorization", "")
        if header.startswith("Basic "):
            words = base64.b64decode(header[6:]).decode().split(":")
            client_id, secret, method = unquote_plus(words[0]), unquote_plus(words[1]), "client_secret_basic"
        elif "client_assertion" in form:
            client_id, secret, method = form["client_id"], "", "private_key_jwt"
            key = self.clients[client_id]["key"]
            claims = jwt.decode(form["client_assertion"], key, ["ES256"], audience=self.issuer)
            assert claims["iss"] == claims["sub"] == client_id
            assert claims["jti"] not in self.jtis
            self.jtis.add(claims["jti"])
        else:
            client_id, secret = form["client_id"], form.get("client_secret", "")
            method = "client_secret_post" if secret else "none"
        client = self.clients.get(client_id)
        if client is None or client.get("client_secret", "") != secret:
            raise Refused("invalid_client", 401, f"not {secret} {header}")
        assert method == client["token_endpoint_auth_method"]
        return client_id

    def _redeem(self, form: Json, client_id: str, bound: str) -> Json:
        given = self.codes.pop(form["code"], None)
        challenge = encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if given is None or given["code_challenge"] != challenge or given["redirect_uri"] != form["redirect_uri"]:
            raise Refused("invalid_grant")
        assert given["client_id"] == client_id
        assert given.get("dpop_jkt", "") == bound
        return given

    def _believe(self, form: Json, client_id: str) -> Json:
        assert self.trusted is not None
        try:
            jwt.decode(form["assertion"], self.trusted, ["ES256"], audience=self.issuer)
        except jwt.PyJWTError as error:
            raise Refused("invalid_grant", description=f"{error} {form['assertion']}") from None
        return {"client_id": client_id, "scope": form.get("scope", ""), "resource": form["resource"]}
