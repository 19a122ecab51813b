"""A siege: a database with something to hide and traps in it, servers before it, and what is true of it afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.cluster import Cluster, run_cluster
from tests.servers.postgres.conftest import PASSWORD, SECRET, Shop, command, open_shop
from tests.servers.postgres.traps import write_traps
from tests.servers.sqlite.desk import Desk as Wire
from tests.transports.host import Host, until

from mcp_server_postgres.driver import connect

if TYPE_CHECKING:
    from mcp_server_postgres.driver import Connection

CANARY = "canary-9353-of-the-disk"
FIT, BOSS = "fit", "boss"
FREE: tuple[str, ...] = ()
STRICT = ("--deny-table", "credentials", "--mask-column", "customers.ssn", "traps.fat.secret")

in_turn = pytest.mark.parametrize(("role", "era"), [(FIT, "legacy"), (BOSS, "modern")])
"""The fit role and the superuser, each in one era; for what is decided below the protocol."""
on_every_front = pytest.mark.parametrize(
    ("role", "era"), [(FIT, "legacy"), (FIT, "modern"), (BOSS, "legacy"), (BOSS, "modern")]
)

_SCHEMA = """
SELECT md5(concat(
  (SELECT string_agg(c::text, ',' ORDER BY c.oid) FROM (SELECT oid, relname, relacl, relowner, relkind, relfilenode
    FROM pg_class WHERE relpersistence <> 't') c),
  (SELECT string_agg(p::text, ',' ORDER BY p.oid) FROM (SELECT oid, proname, prosrc, proacl FROM pg_proc) p),
  (SELECT string_agg(n::text, ',' ORDER BY n.oid) FROM (SELECT oid, nspname, nspacl FROM pg_namespace
    WHERE nspname !~ '^pg_') n),
  (SELECT string_agg(r::text, ',' ORDER BY r.oid) FROM pg_authid r),
  (SELECT string_agg(m::text, ',' ORDER BY m.roleid, m.member) FROM pg_auth_members m),
  (SELECT string_agg(s::text, ',') FROM pg_db_role_setting s),
  (SELECT string_agg(d::text, ',' ORDER BY d.oid) FROM (SELECT oid, datname, datacl FROM pg_database) d),
  (SELECT string_agg(s::text, ',' ORDER BY s.schemaname, s.sequencename) FROM pg_sequences s),
  (SELECT string_agg(setting, ',' ORDER BY name) FROM pg_settings WHERE source IN ('configuration file', 'default')),
  (SELECT count(*) FROM pg_file_settings), (SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_trigger)))
"""
_TRACES = """
SELECT json_build_object(
  'advisory locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
  'prepared transactions', (SELECT count(*) FROM pg_prepared_xacts),
  'large objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'replication slots', (SELECT count(*) FROM pg_replication_slots),
  'foreign servers', (SELECT count(*) FROM pg_foreign_server),
  'open transactions', (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mcp-server-postgres'
    AND xact_start IS NOT NULL)) :: text
"""
_TABLES = """
SELECT format('SELECT %L AS name, count(*) AS number, md5(string_agg(t::text, %L ORDER BY t::text)) AS rows FROM %s t',
  oid::regclass, ',', oid::regclass)
FROM pg_class WHERE relkind IN ('r', 'm') AND oid >= 16384 AND relpersistence <> 't' AND relname <> 'big' ORDER BY oid
"""
SOUND = (
    "SELECT (SELECT count(*) FROM public.customers), current_setting('transaction_read_only'), "
    "current_setting('statement_timeout'), current_setting('search_path'), current_user = session_user, "
    "(SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql AND name <> ''), "
    "(SELECT count(*) FROM pg_prepared_statements WHERE from_sql)"
)


@dataclass
class Fortress:
    """The database, who listens outside, and the servers that were started before it."""

    cluster: Cluster
    shop: Shop
    canary: str
    runner: asyncio.Runner
    outsider: Connection
    stack: ExitStack
    before: dict[str, Any] = field(default_factory=dict[str, Any])
    hosts: dict[tuple[str, Sequence[str]], Host] = field(default_factory=dict[tuple[str, Sequence[str]], Host])
    told: list[str] = field(default_factory=list[str])

    def attacker(self, role: str, era: str, options: Sequence[str] = FREE) -> Attacker:
        """A client of the server that was started so."""
        key = (role, tuple(options))
        if key not in self.hosts:
            self.hosts[key] = self.stack.enter_context(self.start(role, options))
        return Attacker(self, self.hosts[key], era)

    @contextmanager
    def start(self, role: str, options: Sequence[str] = FREE) -> Generator[Host]:
        """A server of the role, which ends with the context."""
        dsn = self.shop.url() if role == FIT else self.shop.superuser
        rights = [] if role == FIT else ["--allow-superuser"]
        words = [sys.executable, "-m", "mcp_server_postgres", dsn, "--query-timeout", "5", *rights, *options]
        with Host(words) as host:
            yield host.open()

    def ask_outside(self, sql: str) -> list[tuple[Any, ...]]:
        """What a superuser outside reads."""
        return [tuple(row) for row in self.runner.run(self.outsider.fetch(sql))]

    def look(self) -> dict[str, Any]:
        """Everything that an attack could have changed: rows, schema, roles, settings, locks, files, notifications."""
        return self.runner.run(asyncio.wait_for(self._look(), 30))

    def settle(self) -> None:
        """All is as before, at once or when the database has ended what it was told to end."""
        with suppress(AssertionError):
            until(lambda: self.look() == self.before)
        assert self.look() == self.before

    async def _look(self) -> dict[str, Any]:
        fetch = self.outsider.fetch
        queries = [row[0] for row in await fetch(_TABLES)]
        rows = [tuple(row) for row in await fetch(" UNION ALL ".join(queries))]
        ((schema,),), ((traces,),) = await fetch(_SCHEMA), await fetch(_TRACES)
        files = sorted(str(path) for path in self.cluster.folder.rglob("*pwned*"))
        return {"rows": sorted(rows), "schema": schema, **json.loads(traces), "files": files, "told": list(self.told)}


@dataclass
class Attacker:
    """Asks one server, and checks after each question that nothing was changed and nothing given away."""

    fortress: Fortress
    host: Host
    era: str

    def __post_init__(self) -> None:
        self.wire = Wire(self.host, self.era)
        self._seen = len(self.host.witness.seen)

    def ask(self, sql: str, *params: object) -> tuple[bool, str]:
        """Whether a query was answered, and the text of the answer."""
        return self.call("query", sql=sql, **({"params": list(params)} if params else {}))

    def call(self, tool: str, **arguments: object) -> tuple[bool, str]:
        """Whether a call was answered, and the text of the answer."""
        result = self.wire.call(tool, **arguments)
        return not result.get("isError"), cast("str", result["content"][0]["text"])

    def refused(self, sql: str, *params: object) -> str:
        """Why a query is refused; an answer is a defect."""
        answered, text = self.ask(sql, *params)
        assert not answered, text
        return text

    def said(self) -> str:
        """Everything that the server sent since this attacker came, and all that it ever wrote on stderr."""
        seen = self.host.witness.seen[self._seen :]
        return json.dumps([each.message for each in seen if each.sender == "server"]) + self.host.log()

    def leave(self, *secrets: str) -> None:
        """Nothing was given away, nothing is left behind, and the server answers as ever."""
        said = self.said()
        assert not [secret for secret in (CANARY, PASSWORD, *secrets) if secret in said], said[-2000:]
        answered, text = self.ask(SOUND)
        assert answered, text
        assert '3 | on | 5s | "$user", public | true | 0 | 0' in text, text
        self.fortress.settle()


@contextmanager
def besiege() -> Generator[Fortress]:
    """A cluster of its own, since there must be a disk to look at, and superusers to be."""
    with ExitStack() as stack:
        cluster = stack.enter_context(run_cluster())
        shop = stack.enter_context(open_shop(cluster.url()))
        canary = cluster.folder / "canary"
        canary.write_text(CANARY)
        canary.chmod(0o644)
        command(shop.superuser, write_traps(str(canary), SECRET))
        runner = stack.enter_context(asyncio.Runner())
        outsider = runner.run(connect(shop.superuser, 20))
        stack.callback(lambda: runner.run(outsider.close()))
        fortress = Fortress(cluster, shop, str(canary), runner, outsider, stack.enter_context(ExitStack()))
        runner.run(_listen(fortress))
        fortress.before = fortress.look()
        yield fortress


async def _listen(fortress: Fortress) -> None:
    """Hear every notification that anybody sends on the channels that attacks use."""
    listener = cast("Any", fortress.outsider)  # what the domain does not use of the driver

    def hear(*heard: object) -> None:
        fortress.told.append(str(heard[2:]))

    await listener.add_listener("pwned", hear)
