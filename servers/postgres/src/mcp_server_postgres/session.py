"""The driver's connection, with what is ours around it; imported with asyncpg, by the first call that connects."""

import asyncio
import select
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none

from .driver import CURSOR, OWN_PATH, Attribute, Prepared, Row, state_of
from .messages import Step, declare, parse, read_types, resolve, run
from .wire import CHANGED, Sieve

MOST_CURSORS = 64  # whose rows are known before they come


class Session(asyncpg.Connection):
    """A connection whose messages are sifted, and whose driver looks for its own names in its own schema.

    A call of the driver takes two trips for each statement, one to have it described and one to run it, and none that
    need not be waited for. What is sent `ahead` costs no trip of its own.
    """

    def __init__(self, protocol: Any, transport: Any, *rest: object) -> None:
        super().__init__(protocol, transport, *rest)  # pyright: ignore[reportUnknownMemberType, reportArgumentType]  # as they were given
        self._driver = protocol
        self._pipe = cast("asyncio.Transport", transport)
        self._sieve = Sieve(cast("asyncio.Protocol", protocol))
        self._pipe.set_protocol(self._sieve)
        self._steps: list[Step] = []
        self._known: dict[str, object] = {}  # our own statements, as the driver describes them
        self._cursors: OrderedDict[tuple[str, str], tuple[bytes, object]] = OrderedDict()

    # --- what is sent ahead ---

    def ahead(self, *steps: Step) -> None:
        """Send these before whatever is asked next, whose error theirs will be."""
        self._steps += steps

    def forget_ahead(self) -> None:
        """Send nothing of what nobody asked after."""
        self._steps.clear()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: no word that the connection ends, nor its end."""
        if self.is_closed():
            return False
        poll = select.poll()
        poll.register(self._pipe.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def _send(self, described_as: bytes | None = None) -> None:
        steps, self._steps = self._steps, []
        if steps:
            self._sieve.expect(sum(step.answers for step in steps), described_as)
            self._pipe.write(b"".join(step.data for step in steps))

    # --- what is asked ---

    async def ask(self, query: str, *args: object) -> Sequence[Row]:
        """Run one of our own statements, which is described once and then run in one trip."""
        self._check_open()
        if query not in self._known:
            self._known[query] = await self._get_statement(query, None)
        return await self._bind(self._known[query], args)

    async def resolve(self, cursor_sql: str, sql: str) -> tuple[list[int], Sequence[Attribute]]:
        """Have a cursor and its query resolved, in one trip: the types of the parameters, and the columns."""
        self.ahead(resolve(cursor_sql))
        prepared = cast("Prepared", await self.prepare(sql))  # pyright: ignore[reportUnknownMemberType]  # as above
        return read_types(self._sieve.descriptions[0]), prepared.get_attributes()

    async def open(self, sql: str, values: Sequence[str | None], fetch: str) -> Sequence[Row]:
        """Declare a cursor and fetch from it; of one that was declared before, in one trip."""
        self._check_open()
        key = (sql, fetch)
        step = declare(f"DECLARE {CURSOR} NO SCROLL CURSOR FOR {sql}", values, CURSOR.strip('"'))
        self.ahead(step)
        if key in self._cursors:
            try:
                self._cursors.move_to_end(key)
                self.ahead(parse(fetch))
                return await self._bind(self._cursors[key][1], (), self._cursors[key][0])
            except Exception as error:
                del self._cursors[key]
                if state_of(error) != CHANGED:
                    raise
            self.ahead(run(f"CLOSE {CURSOR}"), step)
        statement = await self._prepare_fetch(fetch)
        self._cursors[key] = (self._sieve.descriptions[-1], statement)
        while len(self._cursors) > MOST_CURSORS:
            self._cursors.popitem(last=False)
        return await self._bind(statement, ())

    async def _prepare_fetch(self, fetch: str) -> object:
        """Prepare what `write` of reader.py gives columns that the driver knows; it stays prepared, unlike others."""
        self._send()
        statement = await self._driver.prepare("", fetch, None, record_class=self._driver.get_record_class())
        if statement._init_types():
            raise RuntimeError("a column has a type that the driver does not know")
        statement._init_codecs()
        return statement

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run SQL of our own, which takes no parameters; a simple query would be lost behind an error sent ahead."""
        if self._steps:
            await self.ask("SELECT 1")
        return await super().execute(query, *args, timeout=timeout)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above

    async def _bind(
        self, statement: object, args: Sequence[object], described_as: bytes | None = None
    ) -> Sequence[Row]:
        """Parse, bind and execute a statement that was described before, in one trip."""
        self._send(described_as)
        return await self._driver.bind_execute(statement, args, "", 0, False, None)

    async def _get_statement(self, *args: Any, **options: Any) -> Any:
        """Prepare, behind what is sent ahead."""
        self._send()
        return await super()._get_statement(*args, **options)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above

    async def _introspect_types(self, typeoids: object, timeout: object) -> "tuple[Any, Any]":
        """The driver asks for types that it does not know in SQL that any schema of the path could give a meaning."""
        await self.execute(f"SAVEPOINT asking; {OWN_PATH}")
        try:
            return await super()._introspect_types(typeoids, timeout)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
        finally:
            await self.execute("ROLLBACK TO SAVEPOINT asking; RELEASE SAVEPOINT asking")
