"""The fences of one connection: how it is opened, its limits, and the authorizer that allows reading and no more.

Each of them alone would stop a write; they stand together because each has had a hole once (docs/decisions).
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote as quote_url

from .policy import quote
from .values import read_text

_READ_PRAGMAS = """analysis_limit application_id auto_vacuum automatic_index busy_timeout cache_size cell_size_check
    collation_list compile_options data_version database_list defer_foreign_keys encoding foreign_keys
    freelist_count function_list hard_heap_limit journal_mode journal_size_limit legacy_alter_table locking_mode
    max_page_count mmap_size module_list page_count page_size pragma_list query_only read_uncommitted
    recursive_triggers reverse_unordered_selects schema_version secure_delete soft_heap_limit synchronous temp_store
    threads trusted_schema user_version wal_autocheckpoint writable_schema"""
READ_PRAGMAS = frozenset(_READ_PRAGMAS.split())
SCHEMA_PRAGMAS = frozenset(
    ["table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"]
)
CHECK_PRAGMAS = frozenset(["integrity_check", "quick_check", "foreign_key_check"])
SEARCH_FUNCTIONS = frozenset(
    ["bm25", "highlight", "snippet", "match", "matchinfo", "offsets", "fts5_get_locale", "rtreenode", "rtreedepth"]
)
PLAIN_MODULES = ("json_each", "json_tree")
RAW_MODULES = ("dbstat", "sqlite_stmt", "sqlite_dbpage", "bytecode", "tables_used")

DIRECT_ONLY, INNOCUOUS = 0x80000, 0x200000  # flags of a function in PRAGMA function_list
HEAP_LIMIT = 256 * 1024 * 1024
OLDEST = (3, 37, 0)  # PRAGMA table_list came with it
FIXED = (3, 50, 2)  # CVE-2025-6965

LIMITS = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (sqlite3.SQLITE_LIMIT_VDBE_OP, 100_000),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
    (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000),
    # LIMIT_COLUMN stays: below a table's width every statement on the file fails.
)


class Leash:
    """How long one call may run: a deadline counted from the call's arrival, and a way to stop it before."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.monotonic()
        self.stopped = False

    def left(self) -> float:
        return self.began + self.seconds - time.monotonic()

    def pulls(self) -> bool:
        """Whether the call has to end now; this is what the progress handler asks."""
        return self.stopped or self.left() <= 0


class Gate(Protocol):
    """What the guard asks about the schema; a scope that withholds nothing has no gate at all."""

    def admit(self, table: str, column: str) -> str:
        """Say 'served', 'masked', 'schema' (the copy must answer) or 'denied'."""
        ...

    def hides(self, view: str) -> bool:
        """Whether what a view reads is to be refused."""
        ...


class Guard:
    """The authorizer: allows reading, and remembers what it refused, for a refusal that can say so.

    `trusted` is set around our own statements (BEGIN, the schema). They read no user's table, so a virtual table's
    cached inner statement is never compiled while it is set.
    """

    def __init__(self, functions: frozenset[str]) -> None:
        self.functions = functions
        self.gate: Gate | None = None
        self.trusted = False
        self.refused: list[str] = []
        self.masked: set[tuple[str, str]] = set()

    def forget(self) -> None:
        self.refused.clear()
        self.masked.clear()

    def __call__(self, action: int, one: str | None, two: str | None, schema: str | None, source: str | None) -> int:
        if self.trusted:
            return sqlite3.SQLITE_OK
        if source is not None and self.gate is not None and self.gate.hides(source):
            return self._refuse("table")
        if action == sqlite3.SQLITE_READ:
            return self._read(one or "", two or "")
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            name = (two or "").lower()
            return sqlite3.SQLITE_OK if name in self.functions else self._refuse(f"function {name}()")
        if action == sqlite3.SQLITE_PRAGMA:
            return self._pragma((one or "").lower(), two)
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return self._refuse("attach")
        if action in (sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT):
            return self._refuse("transaction")
        return self._refuse("write")

    def _read(self, table: str, column: str) -> int:
        if self.gate is None:
            return sqlite3.SQLITE_OK
        verdict = self.gate.admit(table, column)
        if verdict == "served":
            return sqlite3.SQLITE_OK
        if verdict == "masked":
            self.masked.add((table, column))
            return sqlite3.SQLITE_IGNORE
        return self._refuse("schema" if verdict == "schema" else "table")

    def _pragma(self, name: str, argument: str | None) -> int:
        if name in READ_PRAGMAS and argument is None:
            return sqlite3.SQLITE_OK
        if name in SCHEMA_PRAGMAS:
            verdict = "served" if self.gate is None else self.gate.admit(f"pragma_{name}", "")
            return sqlite3.SQLITE_OK if verdict == "served" else self._refuse("schema")
        if name in CHECK_PRAGMAS and self.gate is None:
            return sqlite3.SQLITE_OK
        return self._refuse(f"PRAGMA {name}" + ("" if argument is None else " with a value"))

    def _refuse(self, reason: str) -> int:
        self.refused.append(reason)
        return sqlite3.SQLITE_DENY


def connect(path: Path, immutable: bool, leash: Callable[[], Leash | None]) -> tuple[sqlite3.Connection, Guard]:
    """Open a file for reading behind every fence but the gate, which needs the schema first.

    Args:
        path: The file; its name may hold anything, also what means something in a URI.
        immutable: The operator's word that nothing writes to the file. Never our own idea: on a live file the
            engine would serve torn pages.
        leash: Gives the leash of the call that runs now; asked by the progress handler.
    """
    mode = "immutable=1" if immutable else "mode=ro"
    uri = f"file:{quote_url(os.fsencode(path))}?{mode}"
    raw = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=0, timeout=0.05)
    try:
        raw.text_factory = read_text
        fence(raw, leash)
        raw.execute("PRAGMA query_only=1")
        functions = allow_functions(raw)
    except BaseException:
        raw.close()
        raise
    guard = Guard(functions)
    raw.set_authorizer(guard)
    return raw, guard


def fence(raw: sqlite3.Connection, leash: Callable[[], Leash | None]) -> None:
    """Set the limits that hold for reading and for writing connections alike."""
    if hasattr(raw, "enable_load_extension"):  # a Python built without it cannot load any
        raw.enable_load_extension(False)
    for limit, value in LIMITS:
        raw.setlimit(limit, value)
    raw.execute("PRAGMA cell_size_check=1")
    raw.execute("PRAGMA mmap_size=0")
    raw.execute("PRAGMA temp_store=1")  # in memory one ORDER BY of a recursive query took 1.8 GiB in ten seconds
    raw.execute(f"PRAGMA hard_heap_limit={HEAP_LIMIT}")  # of the whole process: SQLite has no other

    def pull() -> int:
        held = leash()
        return int(held is not None and held.pulls())

    raw.set_progress_handler(pull, 1000)


def allow_functions(raw: sqlite3.Connection) -> frozenset[str]:
    """Choose the functions a statement may call, by the engine's own flags, and set trusted_schema accordingly.

    Allowed is what the engine calls innocuous or built-in, but nothing it marks as unfit for a schema
    (load_extension, fts3_tokenizer), and nothing that an extension brought without a flag (readfile, eval). A list
    of bad names was refused: it never knows the next extension.

    Up to 3.40 the JSON functions lack the flag, and trusted_schema=0 breaks every view that uses one. There it is
    set only where an extension brought functions; without any, what a schema can call is allowed anyhow.
    """
    allowed: set[str] = set(SEARCH_FUNCTIONS)
    foreign = json_flagged = False
    for name, builtin, _kind, _encoding, _count, flags in raw.execute("PRAGMA function_list"):
        if flags & DIRECT_ONLY:
            continue
        if builtin or flags & INNOCUOUS:
            allowed.add(name.lower())
            json_flagged = json_flagged or (name == "json" and bool(flags & INNOCUOUS))
        elif name not in SEARCH_FUNCTIONS and not name.startswith(("fts5", "optimize", "rtree")):
            foreign = True
    raw.execute(f"PRAGMA trusted_schema={int(not json_flagged and not foreign)}")
    return frozenset(allowed)


def touch_modules(raw: sqlite3.Connection) -> None:
    """Connect every virtual table once, before the authorizer stands.

    SQLite 3.40 asks its authorizer for an UPDATE of sqlite_master when a virtual table first connects. Allowing
    that would be a hole; a table that is connected already asks for nothing.
    """
    pragmas = tuple(f"pragma_{name}" for name in sorted(READ_PRAGMAS | SCHEMA_PRAGMAS | CHECK_PRAGMAS))
    own = tuple(name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type='table' AND rootpage=0"))
    for name in (*PLAIN_MODULES, *RAW_MODULES, *pragmas, *own):
        try:
            raw.execute(f"EXPLAIN SELECT 1 FROM {quote(str(name))}").close()  # noqa: S608  quoted
        except sqlite3.Error:
            continue  # a module that this build does not have


def engine_warning() -> str | None:
    """Say why this SQLite should be replaced, or None. The operator hears it at start, loudly."""
    if sqlite3.sqlite_version_info >= FIXED:
        return None
    return (
        f"SQLite {sqlite3.sqlite_version} is older than 3.50.2 and has known memory-safety flaws that SQL can reach "
        "(CVE-2025-6965). Use a Python with a current SQLite, for example: uv python install 3.13"
    )
