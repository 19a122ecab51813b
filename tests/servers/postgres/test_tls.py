"""TLS to a PostgreSQL that has it: what is verified, with whose certificate, and what is said when it fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.auth.pki import World, make_pair
from tests.cluster import Cluster, run_cluster
from tests.servers.postgres.bridge import Bridge, build_bridge
from tests.servers.postgres.conftest import Desk, Shop, command

from mcp_kernel.toolkits.dsn import Dsn
from mcp_server_postgres.database import Database
from mcp_server_postgres.policy import Policy
from mcp_server_postgres.refusals import Unavailable
from mcp_server_postgres.target import Target

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
RULES = """local all all trust
hostssl all ann 127.0.0.1/32 cert
hostssl all locked 127.0.0.1/32 scram-sha-256
hostnossl all locked 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
"""


@dataclass(frozen=True)
class Site:
    """A PostgreSQL with TLS, and the certificates around it."""

    cluster: Cluster
    world: World
    stranger: Path
    runner: asyncio.Runner  # one for all: what TLS says when a connection ends comes after the call that failed

    def ask(self, host: str = "127.0.0.1", user: str = "guest", sql: str = ENCRYPTED, **options: object) -> object:
        """The only value that a statement gives over a connection of its own."""
        dsn = f"postgresql://{user}@{host}:{self.cluster.port}/postgres?{urlencode(options)}"
        return self.ask_target(Target(Dsn(dsn)), sql)

    def ask_target(self, target: Target, sql: str = ENCRYPTED) -> object:
        desk = Desk(Database(target, Policy(query_timeout=8)), self.runner)
        try:
            return desk.one(sql)
        finally:
            self.runner.run(desk.database.close())

    def refusal(self, **options: object) -> str:
        """Why the database cannot be used so."""
        with pytest.raises(Unavailable) as caught:
            self.ask(**options)  # pyright: ignore[reportArgumentType]  # strings, as they are given
        return str(caught.value)

    @property
    def authority(self) -> str:
        return str(self.world.authority_file)

    def certificate_of(self, client: str) -> dict[str, str]:
        """The options that show a client's certificate."""
        certificate, key = self.world.clients[client].write(self.world.folder, client.replace(" ", "-"))
        key.chmod(0o600)
        return {"sslcert": str(certificate), "sslkey": str(key)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with a certificate; the role `ann` shows one of her own, everybody else need not."""
    world = World(tmp_path_factory.mktemp("certificates"))
    stranger = make_pair("stranger", authority=True).write(world.folder, "stranger")[0]

    def equip(cluster: Cluster) -> None:
        for source, name in zip((*world.server_files, world.authority_file), ("s.pem", "s.key", "a.pem"), strict=True):
            kept = cluster.folder / "data" / name
            shutil.copy(source, kept)
            kept.chmod(0o600)
            if cluster.account is not None:
                os.chown(kept, cluster.account.pw_uid, cluster.account.pw_gid)
        (cluster.folder / "data" / "pg_hba.conf").write_text(RULES)

    started = run_cluster(equip=equip, ssl="on", ssl_cert_file="s.pem", ssl_key_file="s.key", ssl_ca_file="a.pem")
    with ExitStack() as stack, asyncio.Runner() as runner:
        try:
            cluster = stack.enter_context(started)
        except AssertionError as refused:
            if "SSL is not supported by this build" in str(refused):
                pytest.skip("this PostgreSQL was built without TLS: Debian's has it")
            raise
        command(
            cluster.url(), "CREATE ROLE guest LOGIN; CREATE ROLE ann LOGIN", "CREATE ROLE locked LOGIN PASSWORD 'right'"
        )
        site = Site(cluster, world, stranger, runner)
        yield site
        site.ask(sslmode="disable")


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate of whoever runs the tests is found."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("mode", ["require", "prefer", "allow", "disable"])
def test_a_connection_is_encrypted_where_that_is_asked_or_preferred(site: Site, mode: str) -> None:
    assert site.ask(sslmode=mode) is (mode in ("require", "prefer"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_certificate_of_the_authority_that_is_given_is_accepted(site: Site, mode: str) -> None:
    assert site.ask(sslmode=mode, sslrootcert=site.authority) is True
    assert site.ask(host="localhost", sslmode=mode, sslrootcert=site.authority) is True


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_one_of_another_authority_is_not_where_an_authority_is_given(site: Site, mode: str) -> None:
    said = site.refusal(sslmode=mode, sslrootcert=str(site.stranger))
    assert "TLS failed" in said
    assert "signed by no authority in sslrootcert" in said


def test_the_host_s_name_counts_with_verify_full_alone(site: Site) -> None:
    assert site.ask(host="127.1", sslmode="verify-ca", sslrootcert=site.authority) is True
    said = site.refusal(host="127.1", sslmode="verify-full", sslrootcert=site.authority)
    assert "TLS failed" in said
    assert "is for another host than the one in the DSN" in said


def test_without_an_authority_nothing_can_be_verified_and_it_says_what_to_give(site: Site) -> None:
    for mode in ("verify-ca", "verify-full"):
        assert "sslrootcert" in site.refusal(sslmode=mode)
    assert "no such socket or file" in site.refusal(sslmode="verify-full", sslrootcert="/nowhere/a.pem")
    bad = site.world.folder / "bad.pem"
    bad.write_text("no certificate")
    assert "TLS failed" in site.refusal(sslmode="verify-full", sslrootcert=str(bad))


def test_a_client_s_certificate_is_shown_and_its_name_counts(site: Site) -> None:
    verified = {"sslmode": "verify-full", "sslrootcert": site.authority}
    name = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert site.ask(user="ann", sql=name, **verified, **site.certificate_of("ann")) == "/CN=ann"
    for client in ("bob", None):
        shown = {} if client is None else site.certificate_of(client)
        said = site.refusal(user="ann", **verified, **shown)
        assert "Check sslcert and sslkey" in said


@pytest.mark.parametrize("client", ["expired", "of another authority"])
def test_a_client_s_certificate_that_is_no_good_is_refused_with_advice(site: Site, client: str) -> None:
    said = site.refusal(user="ann", sslmode="require", **site.certificate_of(client))
    assert "TLS failed" in said
    assert "sslcert" in said


def test_files_that_do_not_belong_together_are_told(site: Site) -> None:
    ann, bob = site.certificate_of("ann"), site.certificate_of("bob")
    said = site.refusal(user="ann", sslmode="require", sslcert=ann["sslcert"], sslkey=bob["sslkey"])
    assert "TLS failed" in said
    assert "sslcert and sslkey do not belong together" in said


def test_the_variables_of_libpq_say_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = site.certificate_of("ann")
    given = {"PGHOST": "127.0.0.1", "PGPORT": str(site.cluster.port), "PGUSER": "ann", "PGDATABASE": "postgres"}
    for name, value in {
        **given,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": site.authority,
        "PGSSLCERT": ann["sslcert"],
        "PGSSLKEY": ann["sslkey"],
    }.items():
        monkeypatch.setenv(name, value)
    assert site.ask_target(Target(Dsn(None))) is True
    monkeypatch.setenv("PGSSLROOTCERT", str(site.stranger))
    with pytest.raises(Unavailable, match="TLS failed"):
        site.ask_target(Target(Dsn(None)))


def test_a_wrong_password_over_tls_is_a_wrong_password(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-one")
    said = site.refusal(user="locked", sslmode="verify-full", sslrootcert=site.authority)
    assert "Check the user and the password" in said
    assert "wrong-one" not in said
    monkeypatch.setenv("PGPASSWORD", "right")
    assert site.ask(user="locked", sslmode="verify-full", sslrootcert=site.authority) is True
    assert "Write sslmode=require" in site.refusal(user="locked", sslmode="disable")


def test_a_server_without_tls_is_refused_where_tls_is_asked(site: Site, shop: Shop) -> None:
    ((has_tls,),) = command(shop.superuser, "SELECT setting = 'on' FROM pg_settings WHERE name = 'ssl'")
    if has_tls:
        pytest.skip("the PostgreSQL of DATABASE_URL has TLS")
    with pytest.raises(Unavailable) as caught:
        site.ask_target(Target(Dsn(f"{shop.url()}?sslmode=require")))
    assert "has no TLS" in str(caught.value)


def test_an_old_version_of_tls_is_not_spoken(site: Site) -> None:
    assert ssl.HAS_TLSv1_3
    version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert site.ask(sslmode="require", sql=version) in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("most", [0, 1, 2, 700])
def test_a_server_that_is_lost_in_the_handshake_is_told(site: Site, most: int) -> None:
    async def play() -> str:
        async with build_bridge(Bridge("127.0.0.1", site.cluster.port, most=most)) as bridge:
            database = Database(Target(Dsn(f"postgresql://guest@127.0.0.1:{bridge.here}/postgres?sslmode=require")))
            with pytest.raises(Unavailable) as caught:
                await database.query("SELECT 1")
            await database.close()
            return str(caught.value)

    said = site.runner.run(asyncio.wait_for(play(), 20))
    assert "cannot be used: " in said
    assert site.ask(sslmode="require") is True
