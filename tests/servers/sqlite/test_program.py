"""The check of a compiled program, instruction by instruction; what it does not know it refuses."""

from collections.abc import Callable

import pytest

from mcp_server_sqlite.policy import Policy
from mcp_server_sqlite.program import Breach, Instruction, check
from mcp_server_sqlite.scope import Root, Scope

DENIED, MASKED, SERVED = 5, 6, 7
TABLE = ("OpenRead", 0, MASKED, 0, "3", 0)


def judge(*instructions: tuple[object, ...], virtual: Callable[[], frozenset[str]] = frozenset) -> str:
    """Give the kind of breach, or 'fine'. Instructions are (opcode, p1, p2, p3, p4, p5)."""
    scope = Scope(Policy(), 1, [], set())
    scope.roots = {DENIED: Root(denied=True), MASKED: Root(fields=frozenset({1, -1})), SERVED: Root()}
    program: list[Instruction] = [(place, *each, None) for place, each in enumerate(instructions)]
    try:
        check(program, scope, virtual)
    except Breach as breach:
        return breach.kind
    return "fine"


@pytest.mark.parametrize(
    ("instruction", "verdict"),
    [
        (("OpenRead", 0, SERVED, 0, "3", 0), "fine"),
        (("OpenRead", 0, DENIED, 0, "3", 0), "table"),
        (("ReopenIdx", 0, DENIED, 0, "k(2,,)", 2), "table"),
        (("OpenRead", 0, DENIED, 1, "3", 0), "fine"),  # of the temporary schema, where nothing is
        (("OpenRead", 0, SERVED, 2, "3", 0), "unknown"),  # of an attached file
        (("OpenRead", 0, 99, 0, "3", 0), "unknown"),
        (("OpenRead", 0, SERVED, 0, "3", 0x10), "unknown"),  # the page is in a register
        (("OpenWrite", 0, SERVED, 0, "3", 0), "unknown"),
        (("Transaction", 0, 0, 1, "0", 1), "fine"),
        (("Transaction", 0, 1, 1, "0", 1), "unknown"),
        (("JournalMode", 0, 1, -1, None, 0), "fine"),
        (("JournalMode", 0, 1, 5, None, 0), "unknown"),
        (("VOpen", 0, 0, 0, "vtab:1", 0), "table"),
        (("Clear", SERVED, 0, 0, None, 0), "unknown"),
        (("IntegrityCk", 1, 1, 1, None, 0), "unknown"),
        (("SomethingNew", 0, 0, 0, None, 0), "unknown"),
    ],
)
def test_what_opens_a_table_is_judged_by_its_root(instruction: tuple[object, ...], verdict: str) -> None:
    assert judge(instruction) == verdict


@pytest.mark.parametrize(
    ("instruction", "verdict"),
    [
        (("Column", 0, 0, 1, None, 0), "fine"),
        (("Column", 0, 1, 1, None, 0), "column"),
        (("Column", 1, 1, 1, None, 0), "fine"),  # another cursor
        (("IsType", 0, 9, 1, None, 0), "column"),
        (("RowData", 0, 1, 0, None, 0), "column"),
        (("Rowid", 0, 1, 0, None, 0), "column"),
        (("NotExists", 0, 9, 1, None, 0), "column"),
        (("SeekGE", 0, 9, 1, "1", 0), "fine"),
        (("SeekGE", 0, 9, 1, "2", 0), "column"),
        (("SeekGT", 0, 9, 1, None, 0), "column"),  # by rowid
        (("IdxGT", 0, 9, 1, "3", 0), "column"),
        (("NotFound", 0, 9, 1, "1", 0), "fine"),
        (("Found", 0, 9, 1, "0", 0), "column"),  # by a record ready made
        (("Count", 0, 1, 0, None, 0), "fine"),
        (("Rewind", 0, 9, 0, None, 0), "fine"),
        (("DeferredSeek", 1, 0, 0, None, 0), "fine"),
    ],
)
def test_what_reads_a_table_is_judged_by_its_fields(instruction: tuple[object, ...], verdict: str) -> None:
    assert judge(TABLE, instruction) == verdict


def test_a_cursor_that_is_opened_twice_has_the_masks_of_both() -> None:
    assert judge(TABLE, ("OpenRead", 0, SERVED, 0, "3", 0), ("Column", 0, 1, 1, None, 0)) == "column"


def test_a_virtual_table_is_known_by_its_address() -> None:
    assert judge(("VOpen", 0, 0, 0, "vtab:1", 0), virtual=lambda: frozenset({"vtab:1"})) == "fine"
