"""From the caller's SQL to a statement that may run: accepted, typed, taken apart and judged by the engine's word."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from .analysis import Touched, define, has_changed, read_definition
from .answers import Column
from .driver import CURSOR, OWN_PATH, ROLES_PATH, Attribute, Connection, is_known, state_of, text_of
from .effects import Function
from .guard import check_functions, check_names, check_programs, check_relations
from .identity import Identity, assume
from .kinds import Known, all_known, load_kinds
from .lexing import read_tokens, strip_end, write_parameters
from .messages import Step, run
from .policy import Policy
from .reader import Statement
from .refusals import Refusal, describe_error
from .standing import Standing
from .values import encode

KEPT = 256
KEPT_SECONDS = 10.0  # for what no mark tells: a new table under a name that was another's
LONGEST_SQL = 100_000  # its tree is a hundred times longer, and is read between two turns of the loop
DECLARE = f"DECLARE {CURSOR} NO SCROLL CURSOR FOR "

_SETTINGS = {
    "standard_conforming_strings": "on",
    "row_security": "on",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
}
_ROLLBACK = run("ROLLBACK")
_OWN, _ROLES = run(OWN_PATH), run(ROLES_PATH)


def begin(policy: Policy, read_only: bool = True, own: bool = False) -> list[Step]:
    """Begin a transaction with the fences of a call; the one that can write is for definitions that are rolled back.

    With `own` it is for our queries alone, otherwise a caller's names are looked for in the role's search path.
    """
    milliseconds = max(1, int(policy.query_timeout * 1000))
    settings = _SETTINGS | {
        "lock_timeout": str(milliseconds),
        "statement_timeout": str(milliseconds),
        "idle_in_transaction_session_timeout": str(milliseconds + 5000),
    }
    if own:
        settings["search_path"] = "pg_catalog"
    set_all = ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items())
    return [run(f"BEGIN TRANSACTION READ {'ONLY' if read_only else 'WRITE'}"), run(f"SELECT {set_all}")]  # ours


class Examiner:
    """Examines statements, and keeps what it found by their text."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._kept: OrderedDict[str, tuple[float, Statement]] = OrderedDict()
        self._known: dict[int, Function] = {}  # PostgreSQL's own do not change while it runs

    async def examine(self, connection: Connection, standing: Standing, sql: str, identity: Identity) -> Statement:
        """Give the statement, or refuse it.

        The connection is in a READ ONLY transaction with this identity, and is so afterwards.
        """
        statement = await self._recall(connection, sql)
        if statement is None:
            statement = await self._take_apart(connection, standing, sql, identity)
            connection.ahead(_ROLLBACK, *begin(self._policy))
            await assume(connection, identity)
            self._keep(sql, statement)
        if self._policy.restricts and statement.touched is None:
            raise Refusal(standing.why_not_probe())
        return statement

    async def _recall(self, connection: Connection, sql: str) -> Statement | None:
        """A statement that was examined a moment ago; what it touches is held against the policy again."""
        until, statement = self._kept.get(sql, (0.0, None))
        if statement is None or time.monotonic() > until:
            return None
        if statement.touched is not None and (statement.touched.through or self._policy.restricts):
            connection.ahead(_OWN)
            if await has_changed(connection, statement.touched):
                connection.ahead(_ROLES)
                return None
            if self._policy.restricts:
                await check_relations(connection, statement.touched, self._policy)
            connection.ahead(_ROLES)
        self._kept.move_to_end(sql)
        return statement

    def _keep(self, sql: str, statement: Statement) -> None:
        self._kept[sql] = (time.monotonic() + KEPT_SECONDS, statement)
        self._kept.move_to_end(sql)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _take_apart(self, connection: Connection, standing: Standing, sql: str, identity: Identity) -> Statement:
        """Have it parsed READ ONLY first: to parse a literal of a composite type can run a check of a domain in it."""
        bare = check_text(sql)
        types, attributes = await _accept(connection, bare, self._policy)
        oids = [*(each.type.oid for each in attributes), *types]
        connection.ahead(_ROLLBACK, *begin(self._policy, read_only=not standing.can_probe))
        await assume(connection, identity)  # names mean to it what they will mean when the statement runs
        known = await _load_kinds(connection, oids, standing)
        kinds = tuple(known[each.type.oid] for each in attributes)
        names = [known[oid].cast for oid in types]
        rewritten = write_parameters(bare, names)
        touched: Touched | None = None
        if standing.can_probe:
            touched = await self._probe(connection, rewritten, len(types))
        else:
            check_names(bare, self._policy)
        return Statement(
            original=bare,
            sql=rewritten,
            parameters=tuple(known[oid] for oid in types),
            parameter_types=tuple(names),
            columns=tuple(Column(each.name, kind.name) for each, kind in zip(attributes, kinds, strict=True)),
            kinds=kinds,
            touched=touched,
        )

    async def _probe(self, connection: Connection, sql: str, parameters: int) -> Touched:
        connection.ahead(define(sql, parameters), _OWN)
        touched = await read_definition(connection, self._known, sources=self._policy.restricts)
        check_functions(touched, self._policy)
        check_programs(touched, self._policy)
        if self._policy.restricts:
            await check_relations(connection, touched, self._policy)
        return touched


async def _load_kinds(connection: Connection, oids: list[int], standing: Standing) -> Known:
    if all_known(oids):
        return await load_kinds(connection, oids, standing.path)
    connection.ahead(_OWN)
    known = await load_kinds(connection, oids, standing.path)
    connection.ahead(_ROLES)
    return known


def check_text(sql: str) -> str:
    """Give the SQL without what stands behind it; refuse what no engine need see."""
    if len(sql) > LONGEST_SQL:
        raise Refusal(f"The SQL is longer than {LONGEST_SQL} characters. Pass long values in params.")
    if "\0" in sql:
        raise Refusal("The SQL holds a NUL character. Send it without; as a value, pass it as bytea in params.")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise Refusal("The SQL holds a lone surrogate, which is no valid text. Send well-formed Unicode.") from None
    bare = strip_end(sql)
    if not bare:
        raise Refusal("The SQL holds no statement. Send one SELECT, WITH, VALUES, TABLE or EXPLAIN.")
    return bare


async def _accept(connection: Connection, sql: str, policy: Policy) -> tuple[list[int], Sequence[Attribute]]:
    """Ask the engine whether this is a cursor's query; gives the types of its parameters, and its columns.

    Preparing parses and resolves; nothing is planned or run.
    """
    try:
        return await connection.resolve(DECLARE + sql, sql)
    except Exception as error:
        state = state_of(error)
        if not state and is_known(error):
            # The driver finds no type behind anyarray, which only a few system views have.
            raise Refusal("A column has a type that has no values of its own. Cast it: column::text.") from None
        if state == "0A000":  # a feature that is not supported here: INTO, data-modifying WITH
            raise Refusal(f"{describe_error(error)} Only a statement that reads can be run here.") from None
        if state == "42601" and "multiple commands" in text_of(error):
            raise Refusal("One statement per call: send the first alone, then the next in a call of its own.") from None
        if state == "42601" and _position(error) == len(DECLARE) + 1 + _start(sql):
            raise Refusal(
                f"{describe_error(error, policy.restricts)} Only one statement that reads can be run here: SELECT, "
                "WITH ... SELECT, VALUES, TABLE, or EXPLAIN of one. Nothing can be changed."
            ) from None
        raise


def _position(error: Exception) -> int:
    return int(getattr(error, "position", None) or 0)


def _start(sql: str) -> int:
    """Where the first word stands."""
    return next((token.start for token in read_tokens(sql) if token.kind not in ("space", "comment")), 0)


def bind(statement: Statement, params: object) -> list[str | None]:
    """Turn the caller's parameters into texts, one for each `$n`."""
    if params is None:
        params = []
    if not isinstance(params, list | tuple):
        raise Refusal("params must be a list: its first value is $1 in the SQL, its second $2, and so on.")
    given = cast("Sequence[object]", params)
    wanted = len(statement.parameters)
    if len(given) != wanted:
        raise Refusal(
            f"The SQL has {wanted} parameters ($1 to ${wanted}), and params has {len(given)} values."
            if wanted
            else f"The SQL has no $1, and params has {len(given)} values. Write $1 in the SQL, or leave params out."
        )
    return [
        encode(value, kind, f"params[{place}]")
        for place, (value, kind) in enumerate(zip(given, statement.parameters, strict=True))
    ]
