"""Opening a database: tables brought to this program's version, and a new one filled."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from .refusals import Refusal
from .seeding import Seed, plant
from .storage import Schema, Work

Clock: TypeAlias = Callable[[], datetime]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


async def prepare(work: Work, schema: Schema, seed: Seed, origin: str) -> None:
    """Apply the migrations that are missing, in this transaction, and fill a database that had none.

    Raises:
        Refusal: The database was made by a later version of this program.
    """
    version = await _version(work, schema)
    newest = len(schema.migrations)
    if version > newest:
        raise Refusal(
            f"The database has version {version} of the tables, made by a later mcp-server-ticketing; this one knows "
            f"{newest}. Upgrade the server."
        )
    for number in range(version + 1, newest + 1):
        for statement in schema.migrations[number - 1]:
            await work.run(statement)
        await work.run("INSERT INTO schema_versions (version, applied_at) VALUES (?, ?)", number, now())
    if version == 0:
        await plant(work, seed, now(), origin)
        if schema.renumber:
            await work.fetch(schema.renumber)


async def _version(work: Work, schema: Schema) -> int:
    ((exists,),) = await work.fetch(schema.exists)
    if not exists:
        return 0
    ((version,),) = await work.fetch("SELECT coalesce(max(version), 0) FROM schema_versions")
    return int(str(version))
