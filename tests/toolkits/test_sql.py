"""The surface that SQL servers share: the same conversations over SQLite and PostgreSQL, and the shapes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.servers.postgres.conftest import Shop, command, make_shop
from tests.stage import Dial, scene

import mcp_server_postgres.server
import mcp_server_sqlite.server
from mcp_kernel import Server
from mcp_kernel.protocol.jsonrpc import to_bytes
from mcp_kernel.testing.dialogue import parse, replay
from mcp_kernel.toolkits import sql
from mcp_kernel.toolkits.dsn import Dsn
from mcp_kernel.toolkits.sql.shapes import Mould
from mcp_server_postgres.database import Database as PostgresDatabase
from mcp_server_postgres.target import Target
from mcp_server_sqlite.database import Database as SQLiteDatabase
from mcp_server_sqlite.policy import Policy as SQLitePolicy

FOLDER = Path(__file__).parent / "dialogues"
ITEMS = [
    "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kin INTEGER REFERENCES items (id))",
    "INSERT INTO items VALUES (1, 'tea', NULL), (2, 'cup', 1), (3, 'pot', 1)",
]
Make = Callable[[], Server]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with make_shop() as shop:
        command(shop.superuser, *ITEMS, "GRANT SELECT ON items TO PUBLIC")
        yield shop


@pytest.fixture
def make_sqlite(tmp_path: Path) -> Make:
    path = tmp_path / "items.db"
    with closing(sqlite3.connect(path)) as raw:
        for statement in ITEMS:
            raw.execute(statement)
        raw.commit()
    policy = SQLitePolicy()
    return lambda: mcp_server_sqlite.server.build([SQLiteDatabase.open(path, policy)], policy)


@pytest.fixture
def make_postgres(shop: Shop) -> Make:
    return lambda: mcp_server_postgres.server.build(PostgresDatabase(Target(Dsn(shop.url()))))


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest) -> Make:
    """Make the server of either engine, inside the event loop that it is to live in."""
    chosen: Make = request.getfixturevalue(f"make_{request.param}")
    return chosen


@pytest.mark.parametrize("name", ["session", "stateless"])
@scene
async def test_a_dialogue_goes_the_same_whatever_the_engine(dial: Dial, make: Make, name: str) -> None:
    server = make()
    try:
        async with dial(server) as wire:
            await replay(parse((FOLDER / f"{name}.txt").read_text("utf-8")), wire)
            assert await wire.quiet() == []
    finally:
        await server.close()


def test_tools_have_the_same_names_and_arguments(make_sqlite: Make, make_postgres: Make) -> None:
    def seen(server: Server) -> list[object]:
        return [(tool.declaration.name, tool.declaration.hints) for tool in server.tools]

    assert seen(make_sqlite()) == seen(make_postgres())


@dataclass
class Step:
    detail: str
    children: list[Step] = field(default_factory=list["Step"])
    secret: str = "not of the shape"


@dataclass
class Steps:
    nodes: list[Step]
    warnings: list[str]


def test_a_mould_takes_the_fields_of_its_shape_and_no_others() -> None:
    plan = Mould(sql.Plan).fill(Steps([Step("a", [Step("b", [Step("c")])])], ["slow"]))
    assert plan == sql.Plan(
        nodes=[sql.PlanNode("a", [sql.PlanNode("b", [sql.PlanNode("c")])])], warnings=["slow"], row_count=None
    )
    assert str(plan) == "- a\n  - b\n    - c\nWarning: slow"


def test_a_mould_misses_what_its_shape_needs() -> None:
    with pytest.raises(TypeError, match="nodes"):
        Mould(sql.Plan).fill(object())


def test_lists_read_well() -> None:
    summary = sql.TableSummary(
        name="t", schema="main", kind="table", column_count=2, row_count=5, row_count_exact=True, comment="things"
    )
    assert str(sql.Tables([summary])) == "t (table, 2 columns, 5 rows): things"
    assert str(sql.Tables([])) == "No tables match."


def summarize(name: str) -> sql.TableSummary:
    return sql.TableSummary(
        name=name, schema="main", kind="table", column_count=2, row_count=5, row_count_exact=True, comment="ü" * 20
    )


@pytest.mark.parametrize("budget", [0, 1500, 5000, 20_000])
def test_a_list_that_is_too_long_is_cut_and_says_how_to_go_on(budget: int) -> None:
    tables = sql.Tables([summarize(f"t{number}") for number in range(1000)])
    cut = tables.fit(budget)
    kept = len(cut.tables)
    assert cut.tables == tables.tables[:kept]
    assert len(to_bytes(cut)) <= max(budget, 1000)
    assert kept == 0 or len(to_bytes(cut)) > budget - 1300, "there was room for more"
    assert str(cut).endswith(f"Cut to {kept} of 1000 tables: narrow the list with schema or pattern.")


def describe(columns: int) -> sql.TableDescription:
    listed = [
        sql.ColumnDescription(
            name=f"c{number}", type="INT", nullable=True, default=None, primary_key_position=None, generated=None,
            masked=False,
        )
        for number in range(columns)
    ]  # fmt: skip
    key = sql.ForeignKey("t", ["c0"], "u", ["id"], "NO ACTION", "CASCADE")
    index = sql.Index("i", ["c1", None], unique=False, partial=False, origin="index", ddl="CREATE INDEX …")
    return sql.TableDescription(
        name="t", schema="main", kind="table", columns=listed, primary_key=["c0"], unique_keys=[], indexes=[index],
        foreign_keys=[key], referenced_by=[], triggers=[], ddl="CREATE TABLE …" + "x" * 5000, row_count=1, note="Old.",
    )  # fmt: skip


def test_a_table_too_wide_to_describe_is_cut_and_keeps_its_keys_and_indexes() -> None:
    wide = describe(2000)
    cut = wide.fit(20_000)
    kept = len(cut.columns)
    assert 0 < kept < 2000
    assert 18_000 < len(to_bytes(cut)) <= 20_000
    assert (cut.indexes, cut.foreign_keys, cut.primary_key) == (wide.indexes, wide.foreign_keys, ["c0"])
    assert cut.note is not None
    assert cut.note.startswith(f"Old. Cut to {kept} of 2000 columns, and no DDL, to stay under 20000 bytes.")
    assert "LIMIT 0" in str(cut)


def test_a_table_whose_ddl_alone_is_too_long_loses_nothing_else() -> None:
    cut = describe(3).fit(4000)
    assert (len(cut.columns), cut.ddl) == (3, None)
    assert "Its DDL is left out" in str(cut)
