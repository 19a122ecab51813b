"""Certificates of clients at our own server: of the connection, of a trusted proxy, of a token that is bound to one."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from tests.auth.bound import FILE, Binder, Prover, encode
from tests.auth.entrance import EVERYONE, META, MIRRORED, Entrance, request
from tests.auth.pki import World, lines, make_pair, run, serve
from tests.stage import in_both_eras, scene

from mcp_kernel import Client
from mcp_kernel.auth.resource.document import Mistaken
from mcp_kernel.auth.resource.place import read_place
from mcp_kernel.client import ClientError, Reach
from mcp_kernel.server.principal import Knock, Principal, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

PROXY = "10.0.0.1"
VIEW = {**MIRRORED, "mcp-name": "test_client_view", "accept": "application/json, text/event-stream"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def come(certificate: bytes | None = None, client: str = "10.9.9.9", **headers: str) -> Knock:
    """A request as the gate sees it."""
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Knock("POST", "/mcp", b"", pairs, "https", client, certificate)


def passed(certificate: bytes) -> str:
    """A certificate as a proxy passes it on."""
    return f":{base64.b64encode(certificate).decode()}:"


def thumbprint(certificate: bytes) -> str:
    return encode(hashlib.sha256(certificate).digest())


@scene
async def test_a_certificate_is_whom_the_file_says(tmp_path: Path, world: World) -> None:
    ann, bob, server = (world.clients[name] for name in ("ann", "bob", "of a server"))
    text = lines(
        [("first", f'fingerprint = "{ann.fingerprint}"\nroles = ["reader"]'), ("second", 'subject = "CN=bob"')]
    )
    gate = Entrance(tmp_path, text + "[roles.reader]\ntools = []\n").gate
    admitted = await gate.admit(come(ann.der))
    assert isinstance(admitted, Principal)
    assert (admitted.name, admitted.roles) == ("certificate first", ("reader",))
    assert str(await gate.admit(come(bob.der))) == "certificate second"
    for stranger in (server.der, None, b"", b"no certificate", ann.der + b"\0", ann.der[:-1]):
        refused = await gate.admit(come(stranger))
        assert isinstance(refused, Refusal), stranger
        assert refused.status == 401


@scene
async def test_a_certificate_is_passed_on_by_a_trusted_proxy_alone(tmp_path: Path, world: World) -> None:
    ann, bob = world.clients["ann"], world.clients["bob"]
    place = read_place("/mcp", None, [f"{PROXY}/32"], ["club.example"])
    text = lines([("ann", f'fingerprint = "{ann.fingerprint}"'), ("bob", 'subject = "CN=bob"')])
    gate = Entrance(tmp_path, text, place).gate
    assert str(await gate.admit(come(None, PROXY, client_cert=passed(ann.der)))) == "certificate ann"
    attacks = [
        come(None, client_cert=passed(ann.der)),  # by nobody whom we trust
        come(None, "10.0.0.2", client_cert=passed(ann.der)),
        come(ann.der, PROXY),  # the proxy's own certificate is not the client's
        come(None, PROXY, x_client_cert=passed(ann.der)),
        come(None, PROXY, client_cert_chain=passed(ann.der)),
    ]
    for attack in attacks:
        refused = await gate.admit(attack)
        assert isinstance(refused, Refusal), attack
        assert refused.status == 401
    assert str(await gate.admit(come(bob.der, client_cert=passed(ann.der)))) == "certificate bob"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        ":",
        "::",
        ":x:",
        ":A:",
        passed(b"a") + passed(b"b"),
        ":AAAA:;q=1",
        f":{'A' * 20_000}:",
        "-----BEGIN CERTIFICATE-----",
        "?1",
    ],
)
@scene
async def test_what_is_no_certificate_of_a_proxy_is_refused(tmp_path: Path, world: World, value: str) -> None:
    place = read_place("/mcp", None, [f"{PROXY}/32"], ["club.example"])
    gate = Entrance(tmp_path, lines([("ann", 'subject = "CN=ann"')]), place).gate
    for headers in ({"client_cert": value}, {"client_cert": value * 9000}):
        refused = await gate.admit(come(None, PROXY, **headers))
        assert isinstance(refused, Refusal)
        assert refused.status == 400
    twice = Knock("POST", "/mcp", b"", ((b"client-cert", passed(world.clients["ann"].der).encode()),) * 2, client=PROXY)
    refused = await gate.admit(twice)
    assert isinstance(refused, Refusal)
    assert refused.status == 400


@scene
async def test_a_token_is_held_to_the_certificate_that_it_is_bound_to(tmp_path: Path, world: World) -> None:
    ann, bob = world.clients["ann"].der, world.clients["bob"].der
    place = read_place("/mcp", None, [f"{PROXY}/32"], ["club.example"])
    binder = Binder(tmp_path, place, FILE + lines([("bob", 'subject = "CN=bob"')]))
    bearer = f"Bearer {binder.token(cnf={'x5t#S256': thumbprint(ann)})}"
    gate = binder.entrance.gate
    for good in (come(ann, authorization=bearer), come(None, PROXY, authorization=bearer, client_cert=passed(ann))):
        assert isinstance(await gate.admit(good), Principal)
    proof = Prover().prove(bearer[7:], binder.now())
    attacks = [
        come(None, authorization=bearer),
        come(bob, authorization=bearer),  # a certificate that would be let in by itself
        come(ann[:-1], authorization=bearer),
        come(None, authorization=bearer, client_cert=passed(ann)),
        come(bob, authorization=bearer, client_cert=passed(ann)),
        come(ann, PROXY, authorization=bearer),
        come(None, PROXY, authorization=bearer, client_cert=passed(bob)),
        come(ann, authorization=f"DPoP {bearer[7:]}"),
        come(ann, authorization=bearer, dpop=proof),
    ]
    for attack in attacks:
        refused = await gate.admit(attack)
        assert isinstance(refused, Refusal), attack
        assert refused.status == 401


@pytest.mark.parametrize("value", [7, None, "", "x", [], "AAAA"])
@scene
async def test_a_thumbprint_that_is_none_fits_no_certificate(tmp_path: Path, world: World, value: object) -> None:
    binder = Binder(tmp_path)
    bearer = f"Bearer {binder.token(cnf={'x5t#S256': value})}"
    assert isinstance(await binder.entrance.gate.admit(come(world.clients["ann"].der, authorization=bearer)), Refusal)


@scene
async def test_a_token_may_be_bound_to_both(tmp_path: Path, world: World) -> None:
    binder, prover, ann = Binder(tmp_path), Prover(), world.clients["ann"].der
    token = binder.token(cnf={"jkt": prover.thumbprint, "x5t#S256": thumbprint(ann)})

    def knock(certificate: bytes | None, jti: str) -> Knock:
        proof = prover.prove(token, binder.now(), jti=jti)
        return come(certificate, authorization=f"DPoP {token}", dpop=proof)

    gate = binder.entrance.gate
    assert isinstance(await gate.admit(knock(ann, "1")), Principal)
    assert isinstance(await gate.admit(knock(None, "2")), Refusal)
    assert isinstance(await gate.admit(come(ann, authorization=f"Bearer {token}")), Refusal)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[certificates]]\nname = "a"\n', "say which certificate"),
        ('[[certificates]]\nname = "a"\nfingerprint = "sha1:ab"\n', "64 hexadecimal digits"),
        ('[[certificates]]\nsubject = "CN=a"\n', "name is missing"),
        ('[[certificates]]\nname = "a"\nsubject = "CN=a"\nroles = ["x"]\n', "role x is unknown"),
        ('[[certificates]]\nname = "a"\nsubject = "CN=a"\nkey = "x"\n', "key is unknown"),
        (lines([("a", 'subject = "CN=a"'), ("a", 'subject = "CN=b"')]), "named a already"),
        ("certificates = 1\n", "array of tables"),
    ],
)
def test_a_mistake_about_a_certificate_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Mistaken, match=complaint):
        Entrance(tmp_path, text)


# --- over real connections ---


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A server that knows ann by her certificate, and bob not."""
    world = World(tmp_path_factory.mktemp("pki"))
    file = world.folder / "auth.toml"
    file.write_text(lines([("ann", f'fingerprint = "{world.clients["ann"].fingerprint}"')]) + EVERYONE)
    options = [*world.options, "--tls-client-ca", str(world.authority_file), "--auth", str(file)]
    with serve(*options) as url:
        yield world, url


async def view(url: str, context: ssl.SSLContext, **headers: str) -> httpx.Response:
    """Ask the server who it thinks that asks."""
    message = request("tools/call", {"name": "test_client_view", "arguments": {}, "_meta": META})
    async with httpx.AsyncClient(verify=context) as client:
        return await client.post(url, json=message, headers={**VIEW, **headers})


@scene
async def test_a_connections_certificate_says_who_asks(served: tuple[World, str]) -> None:
    world, url = served
    assert url.startswith("https://127.0.0.1:")
    answer: Any = (await view(url, world.context("ann"))).json()
    assert answer["result"]["structuredContent"]["principal"] == "certificate ann"
    assert (await view(url, world.context("bob"))).status_code == 401
    header = {"client-cert": passed(world.clients["ann"].der)}
    assert (await view(url, world.context("bob"), **header)).status_code == 401


@in_both_eras
@scene
async def test_our_client_shows_its_certificate_to_our_server(served: tuple[World, str], revision: str) -> None:
    world, url = served
    async with Client(url, revision=revision, reach=Reach(tls=world.context("ann"))) as client:
        said = (await client.call_tool("test_client_view")).structured
        assert cast("dict[str, Any]", said)["principal"] == "certificate ann"
    for who in ("bob", None, "of another authority"):
        with pytest.raises(ClientError):
            async with Client(url, revision=revision, reach=Reach(tls=world.context(who))) as client:
                await client.call_tool("test_client_view")
    with pytest.raises(ClientError):  # an authority that nobody told the client of
        async with Client(url, revision=revision) as client:
            await client.list_tools()


@pytest.mark.parametrize("client", [None, "expired", "of another authority", "of its own", "of a server"])
@scene
async def test_a_certificate_that_is_not_good_opens_no_connection(
    served: tuple[World, str], client: str | None
) -> None:
    world, url = served
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await view(url.replace("/mcp", "/healthz"), world.context(client))
    assert (await view(url, world.context("ann"))).status_code == 200


def test_what_speaks_no_tls_is_hung_up_on(served: tuple[World, str]) -> None:
    world, url = served
    parts = httpx.URL(url)
    for words in (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100):
        with socket.create_connection(("127.0.0.1", parts.port or 0), 10) as plain:
            plain.sendall(words)
            assert b"HTTP" not in plain.recv(4096)
    with socket.create_connection(("127.0.0.1", parts.port or 0), 10) as plain:
        old = world.context("ann")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        with old.wrap_socket(plain, server_hostname="localhost") as secured:
            assert secured.version() == "TLSv1.2"


def test_our_own_client_is_let_in_without_a_certificate_where_none_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(world.authority_file))  # as a machine trusts an authority of its own
    with serve(*world.options) as url:
        check_open(world, url)


@scene
async def check_open(world: World, url: str) -> None:
    answer: Any = (await view(url, world.context())).json()
    assert answer["result"]["structuredContent"]["principal"] is None
    with pytest.raises(httpx.TransportError):
        await view(url, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with Client(url) as client:
        assert (await client.list_tools())[0].name == "test_simple_text"


def test_files_that_will_not_do_are_said_before_anybody_is_served(world: World) -> None:
    certificate, key = map(str, world.server_files)
    other = str(make_pair("other").write(world.folder, "other")[1])
    (world.folder / "text").write_text("no certificate")
    text, locked = str(world.folder / "text"), str(world.folder / "locked")
    form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    Path(locked).write_bytes(world.server.key.private_bytes(serialization.Encoding.PEM, *form))
    for options, complaint in (
        (["--tls-key", key], "go with --tls-cert"),
        (["--tls-client-ca", certificate], "go with --tls-cert"),
        (["--tls-cert", certificate], "goes with --tls-key"),
        (["--tls-cert", certificate, "--tls-key", other], "cannot be used"),
        (["--tls-cert", text, "--tls-key", key], "cannot be used"),
        (["--tls-cert", certificate, "--tls-key", "nowhere"], "cannot be read"),
        (["--tls-cert", certificate, "--tls-key", locked], "is encrypted"),
        (["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", text], "cannot be used"),
    ):
        done = run(*options)
        assert (done.returncode, done.stdout) == (2, ""), options
        assert complaint in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = run("--tls-cert", certificate, "--tls-key", key, "--transport", "stdio")
    assert done.returncode == 2
    assert "are for HTTP: add --transport http" in done.stderr
