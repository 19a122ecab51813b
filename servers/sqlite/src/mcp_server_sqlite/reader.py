"""Reader: one connection on its own thread, and the path that every statement of a caller takes through it."""

import re
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .fences import Leash, connect, touch_modules
from .mirror import MIXED, Mirror
from .policy import Policy, quote
from .program import Breach, Instruction, check
from .refusals import (
    NOT_SERVED,
    SQLITE_INTERRUPT,
    Refusal,
    describe_file_error,
    describe_statement_error,
    is_busy,
    locked_text,
    primary_code,
)
from .scope import Scope, survey
from .values import Bound, Names, Params, bind

COLUMN_REFUSED = (
    "Refused: the statement would compare, sort or compute with a masked column inside a join (USING, NATURAL), a "
    "generated column or an index. Name the columns to join on with ON, leaving the masked one out."
)
UNKNOWN_REFUSED = (
    "Refused: SQLite compiles this statement to instructions that this server cannot judge while tables or columns "
    "are withheld. Write it in a simpler form."
)
_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*(?:\*/|$))"
_EXPLAIN = re.compile(rf"{_SPACE}*EXPLAIN\b({_SPACE}*QUERY{_SPACE}+PLAN\b)?", re.IGNORECASE)


class Reader:
    """One connection behind all fences. Every method runs on the thread that made it."""

    def __init__(self, path: Path, policy: Policy) -> None:
        self.path = path
        self.policy = policy
        self.leash: Leash | None = None
        self.raw, self.guard = connect(path, policy.immutable, lambda: self.leash)
        self.scope: Scope | None = None
        self.version: int | None = None
        self._mirror: Mirror | None = None

    @property
    def began(self) -> float:
        """When the call that runs now arrived, by time.monotonic."""
        return time.monotonic() if self.leash is None else self.leash.began

    def close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
        self.raw.close()

    @contextmanager
    def transaction(self, leash: Leash) -> Generator[None]:
        """Hold one snapshot for a whole call, so that the program that was checked is the one that runs.

        Whatever fails inside leaves as a Refusal, and the connection is as before.
        """
        self.leash = leash
        self.guard.forget()
        try:
            self._begin(leash)
            yield
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, ValueError, MemoryError) as error:
            raise self.explain(error) from None
        finally:
            self.leash = None
            with suppress(sqlite3.Error), self._trusted():
                if self.raw.in_transaction:
                    self.raw.execute("ROLLBACK")

    def _begin(self, leash: Leash) -> None:
        """Take the read lock, waiting for a writer as long as the leash allows."""
        with self._trusted():
            while True:
                try:
                    self.raw.execute("BEGIN")
                    (version,) = self.raw.execute("PRAGMA schema_version").fetchone()
                    self.raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()
                    break
                except sqlite3.OperationalError as error:
                    if self.raw.in_transaction:
                        self.raw.execute("ROLLBACK")
                    if not is_busy(error) or leash.pulls():
                        raise
        if version != self.version:
            self._meet_schema(int(version))

    def _meet_schema(self, version: int) -> None:
        self.raw.set_authorizer(None)  # virtual tables connect; setting it again expires what was compiled meanwhile
        try:
            touch_modules(self.raw)
            if self._mirror is not None:
                self._mirror.close()
                self._mirror = None
            if self.policy.restricts:
                self.scope = self.guard.gate = survey(self.raw, self.policy, version)
            self.version = version
        finally:
            self.raw.set_authorizer(self.guard)

    @contextmanager
    def _trusted(self) -> Generator[None]:
        self.guard.trusted = True
        try:
            yield
        finally:
            self.guard.trusted = False

    def ask_schema(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Run a statement of our own over sqlite_schema and the schema PRAGMAs, where nothing denied stands."""
        source = self.raw if self.scope is None or not self.policy.deny_tables else self.mirror().raw
        with self._trusted():
            return source.execute(sql, values).fetchall()

    def mirror(self) -> Mirror:
        """Give the mirror of this version of the schema; made when first asked for."""
        if self._mirror is None:
            scope = self._restricted()
            self._hide_views(scope)
            with self._trusted():
                self._mirror = Mirror(self.raw, scope, self.guard.functions, self._pull)
        return self._mirror

    def _pull(self) -> int:
        return int(self.leash is not None and self.leash.pulls())

    def _hide_views(self, scope: Scope) -> None:
        """Deny the views that read what is denied, in the engine's own word: they do not compile."""
        for entry in [entry for entry in scope.entries if entry.kind == "view"]:
            self.guard.forget()
            try:
                self._check(f"SELECT * FROM {quote(entry.name)}", [])  # noqa: S608  quoted
            except Breach as breach:
                hidden = breach.kind != "column"
            except (sqlite3.Error, ValueError):
                hidden = "table" in self.guard.refused or "schema" in self.guard.refused
            else:
                hidden = False
            if hidden:
                scope.denied.add(entry.name.encode().lower().decode())
        self.guard.forget()

    def execute(self, sql: str, params: Params | None) -> sqlite3.Cursor:
        """Run a caller's statement as far as its first row; inside `transaction`."""
        return self.run(sql, bind(params))

    def run(self, sql: str, values: Bound) -> sqlite3.Cursor:
        """Do the same with values that are bound already."""
        if self.scope is None:
            return self._step(self.raw, sql, values)
        try:
            return self._step(self.raw, self._admit(sql, values), values)
        except Breach as breach:
            texts = {"table": NOT_SERVED, "column": COLUMN_REFUSED}
            raise Refusal(texts.get(breach.kind, UNKNOWN_REFUSED)) from None
        except sqlite3.DatabaseError:
            if "schema" not in self.guard.refused or "table" in self.guard.refused:
                raise
        try:
            return self._step(self.mirror().raw, sql, values)
        except sqlite3.DatabaseError as error:
            if "prohibited" in str(error) or "not authorized" in str(error):
                raise Refusal(MIXED) from None
            raise

    def _step(self, raw: sqlite3.Connection, sql: str, values: Bound) -> sqlite3.Cursor:
        if isinstance(values, Names):
            values.asked.clear()
        cursor = raw.execute(sql, values)
        if isinstance(values, Names):
            values.check_surplus()
        return cursor

    def _admit(self, sql: str, values: Bound) -> str:
        """Check the program and give back the text to run.

        That text is the checked one, or EXPLAIN in front of it. The pattern only chooses the route: a text that it
        fails to recognise does not compile behind EXPLAIN, and is refused.
        """
        prefix = ""
        if found := _EXPLAIN.match(sql):
            prefix = "EXPLAIN QUERY PLAN " if found[1] else "EXPLAIN "
            sql = sql[found.end() :]
        self._check(sql, values)
        return prefix + sql

    def _check(self, sql: str, values: Bound) -> None:
        check(self.explain_program(sql, values), self._restricted(), self._locate_virtual)

    def _restricted(self) -> Scope:
        if self.scope is None:
            raise RuntimeError("nothing is withheld, so there is no scope to hold a program against")
        return self.scope

    def explain_program(self, sql: str, values: Bound) -> list[Instruction]:
        """Compile a statement and give its instructions; with the values, since they can change the plan."""
        return self.raw.execute("EXPLAIN " + sql, values).fetchall()

    def _locate_virtual(self) -> frozenset[str]:
        """Give the addresses under which served virtual tables stand in a program.

        Asked anew each time: an address can be used again for another table once the schema was read again.
        """
        scope = self._restricted()
        names = [name for name in scope.virtual if name in scope.served] + list(scope.plain_functions())
        found: set[str] = set()
        with self._trusted():
            for name in names:
                with suppress(sqlite3.Error):
                    program = self.raw.execute(f"EXPLAIN SELECT 1 FROM {quote(name)}")  # noqa: S608  quoted
                    found |= {str(row[5]) for row in program if row[1] == "VOpen"}
        return frozenset(found)

    def explain(self, error: BaseException) -> Refusal:
        """Put whatever SQLite or its module raised into a refusal."""
        leash = self.leash
        if isinstance(error, sqlite3.Error):
            if primary_code(error) == SQLITE_INTERRUPT:
                return Refusal(_interrupted(leash))
            if is_busy(error):
                return Refusal(locked_text(self.path, leash.seconds if leash else 0))
            if text := describe_file_error(error, self.path):
                return Refusal(text)
        if self.guard.refused:
            return Refusal(_denied(self.guard.refused, self.policy))
        if isinstance(error, MemoryError):
            return Refusal(
                "The statement needs more memory than this server allows (256 MB for all statements at once). "
                "Aggregate less at once, or select fewer and shorter columns."
            )
        text = describe_statement_error(error)
        if self.scope is not None and self.scope.mentions(text):
            return Refusal(NOT_SERVED)
        return Refusal(text)


def _interrupted(leash: Leash | None) -> str:
    if leash is not None and not leash.stopped:
        return (
            f"The statement was stopped after {leash.seconds:g} s, the time a query may take here. Narrow it: add a "
            "WHERE on an indexed column, end a recursive WITH by a LIMIT, aggregate less; explain_query shows the plan."
        )
    return "The statement was cancelled."


def _denied(refused: list[str], policy: Policy) -> str:
    reason = refused[0]
    if "table" in refused or reason == "schema":
        return NOT_SERVED
    if reason == "write":
        hint = " insert_record adds a row." if policy.allow_write else ""
        return f"Refused: only reading is possible here, and this statement writes. Rewrite it as a SELECT.{hint}"
    if reason == "attach":
        return "Refused: no ATTACH or DETACH here; this server serves the databases it was started with."
    if reason == "transaction":
        return "Refused: no transactions here; each statement sees one consistent snapshot. Send the SELECT alone."
    return f"Refused: {reason} is not allowed here; functions and PRAGMAs that only read are."
