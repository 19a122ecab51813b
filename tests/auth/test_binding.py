"""Tokens that are bound to a key, at our own server (RFC 9449): what is let in, and every way in that is closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.auth.bound import ISSUER, RESOURCE, Binder, Prover, encode, our_proof
from tests.auth.entrance import key_lines, knock, name_at
from tests.stage import scene

from mcp_kernel.auth.dpop import ProofKey
from mcp_kernel.auth.resource import binding
from mcp_kernel.auth.resource.binding import Bindings, Presented
from mcp_kernel.auth.resource.tokens import Rejected, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_kernel.testing.asgi import Site

Headers = dict[str, "str | list[str] | None"]
NAME = f"jwt {ISSUER} ann [] []"


def send(token: str, *proofs: str, scheme: str = "DPoP") -> Headers:
    return {"authorization": f"{scheme} {token}", "dpop": list(proofs)}


async def refused(site: Site, headers: Headers, error: str, status: int = 401) -> str:
    visit = knock(site, headers)
    assert await visit.started() == status, await visit.whole()
    challenge = visit.headers["www-authenticate"]
    assert f'error="{error}"' in challenge, challenge
    return challenge


@pytest.mark.parametrize("kind", ["ES256", "ES384", "EdDSA", "RS256"])
@scene
async def test_whoever_proves_the_key_is_let_in_once_with_each_proof(tmp_path: Path, kind: str) -> None:
    binder, prover = Binder(tmp_path), Prover(kind)
    token = binder.token(cnf={"jkt": prover.thumbprint})
    async with binder.entrance.visit(hosts=["club.example"]) as site:
        proof = prover.prove(token, binder.now())
        assert await name_at(site, send(token, proof)) == NAME
        assert "used before" in await refused(site, send(token, proof), "invalid_dpop_proof")
        assert await name_at(site, send(token, prover.prove(token, binder.now(), jti="another"))) == NAME


@scene
async def test_our_own_clients_proof_is_taken(tmp_path: Path) -> None:
    binder, key = Binder(tmp_path), ProofKey.generate()
    binder.entrance.seconds = time.time()
    token = binder.token(cnf={"jkt": key.thumbprint})
    async with binder.entrance.visit() as site:
        for _ in range(3):
            assert await name_at(site, send(token, our_proof(key, token))) == NAME


PARTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"typ": "JWT"}, {}),
    ({"typ": None}, {}),
    ({"alg": "none"}, {}),
    ({"alg": "HS256"}, {}),
    ({"alg": ["ES256"]}, {}),
    ({"alg": "ES384"}, {}),
    ({"alg": "RS256"}, {}),
    ({"jwk": None}, {}),
    ({"jwk": {}}, {}),
    ({"jwk": "x"}, {}),
    ({"jwk": {"kty": "oct", "k": "AAAA"}}, {}),
    ({"crit": ["exp"]}, {}),
    ({"b64": False}, {}),
    ({}, {"htm": "GET"}),
    ({}, {"htm": "post"}),
    ({}, {"htm": None}),
    ({}, {"htu": "https://evil.example/mcp"}),
    ({}, {"htu": "http://club.example/mcp"}),
    ({}, {"htu": "https://club.example/other"}),
    ({}, {"htu": "https://club.example:8443/mcp"}),
    ({}, {"htu": "https://club.example@evil.example/mcp"}),
    ({}, {"htu": "https://club.example:x/mcp"}),
    ({}, {"htu": "https://ann@club.example/mcp"}),
    ({}, {"htu": None}),
    ({}, {"htu": 7}),
    ({}, {"iat": None}),
    ({}, {"iat": True}),
    ({}, {"iat": "1000000"}),
    ({}, {"iat": 1_000_000 - 61}),
    ({}, {"iat": 1_000_000 + 11}),
    ({}, {"iat": 1e308}),
    ({}, {"jti": None}),
    ({}, {"jti": ""}),
    ({}, {"jti": 5}),
    ({}, {"jti": "x" * 300}),
    ({}, {"ath": None}),
    ({}, {"ath": encode(b"x" * 32)}),
    ({}, {"ath": ["x"]}),
]


@pytest.mark.parametrize(("header", "claims"), PARTS, ids=[str(part)[:60] for part in PARTS])
@scene
async def test_a_proof_that_is_not_good_is_refused(
    tmp_path: Path, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    binder, prover = Binder(tmp_path), Prover()
    token = binder.token(cnf={"jkt": prover.thumbprint})
    async with binder.entrance.visit() as site:
        bad = prover.prove(token, binder.now(), header, **claims)
        challenge = await refused(site, send(token, bad), "invalid_dpop_proof")
        assert challenge.startswith('DPoP algs="ES256 ')
        assert await name_at(site, send(token, prover.prove(token, binder.now()))) == NAME


def stolen(token: str, good: str, prover: Prover, now: float) -> dict[str, Headers]:
    """What somebody sends who has the token, and whatever he could listen to."""
    thief, head, body, signature = Prover(), *good.split(".")
    return {
        "as Bearer": send(token, scheme="Bearer"),
        "as Bearer with a good proof": send(token, good, scheme="Bearer"),
        "as a key": {"x-api-key": token},
        "without a proof": send(token),
        "with two proofs": send(token, good, prover.prove(token, now, jti="2")),
        "with two proofs in one header": send(token, f"{good}, {good}"),
        "with a proof of his own key": send(token, thief.prove(token, now)),
        "with his key under our name": send(token, thief.prove(token, now, {"jwk": prover.jwk})),
        "with the signature cut": send(token, f"{head}.{body}."),
        "with another signature": send(token, f"{head}.{body}.{signature[::-1]}"),
        "with no token for a proof": send(token, "x"),
        "with an empty proof": send(token, ""),
        "with a proof that is large": send(token, prover.prove(token, now, jti="3", more="x" * 9000)),
        "with the private key": send(token, prover.prove(token, now, {"jwk": prover.private}, jti="4")),
        "with JSON that is deep": send(token, f"{encode(b'[' * 4000)}.{body}.{signature}"),
    }


@pytest.mark.parametrize("way", list(stolen("", "a.b.c", Prover(), 0.0)))
@scene
async def test_a_stolen_token_opens_nothing(tmp_path: Path, way: str) -> None:
    binder, prover = Binder(tmp_path), Prover()
    token = binder.token(cnf={"jkt": prover.thumbprint})
    async with binder.entrance.visit() as site:
        visit = knock(site, stolen(token, prover.prove(token, binder.now(), jti="1"), prover, binder.now())[way])
        assert await visit.started() == 401, way
        assert await name_at(site, send(token, prover.prove(token, binder.now(), jti="5"))) == NAME


@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        [],
        "x",
        {"jkt": 7},
        {"jkt": None},
        {"kid": "1"},
        {"jwk": {}},
        {"jkt": "x", "kid": "1"},
        {"x5t#S256": 1},
    ],
)
@scene
async def test_a_binding_that_is_not_understood_lets_nobody_in(tmp_path: Path, cnf: object) -> None:
    binder, prover = Binder(tmp_path), Prover()
    token = binder.token(cnf=cnf)
    async with binder.entrance.visit() as site:
        for headers in (send(token, scheme="Bearer"), send(token, prover.prove(token, binder.now()))):
            visit = knock(site, headers)
            assert await visit.started() == 401


@scene
async def test_a_token_that_is_not_bound_is_sent_plainly(tmp_path: Path) -> None:
    binder, prover = Binder(tmp_path), Prover()
    token = binder.token()
    async with binder.entrance.visit() as site:
        assert await name_at(site, send(token, scheme="Bearer")) == NAME
        await refused(site, send(token, prover.prove(token, binder.now())), "invalid_token")


@scene
async def test_a_short_rsa_key_proves_nothing(tmp_path: Path) -> None:
    binder, prover = Binder(tmp_path), Prover("short")
    token = binder.token(cnf={"jkt": prover.thumbprint})
    async with binder.entrance.visit() as site:
        await refused(site, send(token, prover.prove(token, binder.now())), "invalid_dpop_proof")


@scene
async def test_the_address_is_compared_as_an_address(tmp_path: Path) -> None:
    binder, prover = Binder(tmp_path), Prover()
    token = binder.token(cnf={"jkt": prover.thumbprint})
    async with binder.entrance.visit() as site:
        for number, htu in enumerate((f"{RESOURCE}?x=1#y", "HTTPS://CLUB.example:443/mcp")):
            proof = prover.prove(token, binder.now(), htu=htu, jti=str(number))
            assert await name_at(site, send(token, proof)) == NAME


@scene
async def test_keys_of_the_file_need_no_proof(tmp_path: Path) -> None:
    binder = Binder(tmp_path)
    binder.entrance.write(binder.entrance.path.read_text() + key_lines("bob", "mcp_secret"))
    binder.entrance.seconds += 100
    async with binder.entrance.visit() as site:
        assert (await name_at(site, send("mcp_secret", scheme="Bearer"))).startswith("key bob")
        assert await knock(site, send("mcp_secret", "x")).started() == 401


def check(bindings: Bindings, prover: Prover, now: float, jti: str) -> None:
    """One request with a proof."""
    proof = prover.prove("t", now, jti=jti).encode()
    presented = Presented(scheme="dpop", token=b"t", proofs=[proof], method="POST", url=RESOURCE)
    bindings.check({"cnf": {"jkt": prover.thumbprint}}, presented)


def test_a_proof_is_remembered_until_it_is_too_old_to_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [1000.0]
    bindings, prover = Bindings(lambda: seconds[0]), Prover()
    check(bindings, prover, 1009.0, "a")  # by a clock that is fast
    for now in (1000.0, 1030.0, 1068.9):
        seconds[0] = now
        with pytest.raises(Rejected, match="used before"):
            check(bindings, prover, 1009.0, "a")
    seconds[0] = 1069.0
    with pytest.raises(Rejected, match="just now"):
        check(bindings, prover, 1009.0, "a")


def test_who_sends_many_proofs_fills_his_own_room_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "MOST_PROOFS", 3)
    monkeypatch.setattr(binding, "MOST_KEYS", 2)
    seconds = [1000.0]
    bindings, greedy, modest, third = Bindings(lambda: seconds[0]), Prover(), Prover(), Prover()
    for jti in "abc":
        check(bindings, greedy, 1000.0, jti)
    with pytest.raises(Unavailable):
        check(bindings, greedy, 1000.0, "d")
    check(bindings, modest, 1000.0, "a")
    with pytest.raises(Unavailable):
        check(bindings, third, 1000.0, "a")
    with pytest.raises((Rejected, Unavailable)):
        check(bindings, greedy, 1000.0, "a")  # nothing was forgotten to make room
    seconds[0] = 1061.0
    check(bindings, third, 1061.0, "a")
    check(bindings, greedy, 1061.0, "d")


CHANGES: list[Callable[[str], str]] = [
    str.upper,
    lambda text: text + "=",
    lambda text: f" {text}",
    lambda text: text[1:],
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_thumbprint_is_compared_letter_by_letter(change: Callable[[str], str]) -> None:
    bindings, prover = Bindings(lambda: 1000.0), Prover()
    proof = prover.prove("t", 1000.0).encode()
    presented = Presented(scheme="dpop", token=b"t", proofs=[proof], method="POST", url=RESOURCE)
    with pytest.raises(Rejected, match="another key"):
        bindings.check({"cnf": {"jkt": change(prover.thumbprint)}}, presented)
    bindings.check({"cnf": {"jkt": prover.thumbprint}}, presented)
