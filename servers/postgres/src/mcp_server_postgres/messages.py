"""Messages to the database that are sent ahead of the driver's next one, without waiting for what they are answered.

They go by the extended protocol, and no Sync stands between them and the driver's: an error in one of them makes the
database skip all that follows (manual, section 55.2.3), so nothing runs in a transaction that was not begun, and the
driver takes the error for that of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """Messages, and how many of the database's answer them when nothing is wrong; rows are not counted."""

    data: bytes
    answers: int


def run(sql: str, values: Sequence[str | None] = ()) -> Step:
    """Run one statement, whose rows are of no interest; values are texts."""
    return Step(_parse(sql) + _bind(values) + write(b"E", bytes(5)), 3)


def parse(sql: str) -> Step:
    """Have one statement parsed, which the driver then binds."""
    return Step(_parse(sql), 1)


def resolve(sql: str) -> Step:
    """Have one statement parsed and resolved, for the types of its parameters."""
    return Step(_parse(sql) + write(b"D", b"S\0"), 3)


def declare(sql: str, values: Sequence[str | None], cursor: str) -> Step:
    """Run one DECLARE, and have the rows of its cursor described."""
    step = run(sql, values)
    return Step(step.data + write(b"D", b"P" + cursor.encode() + b"\0"), step.answers + 1)


def write(kind: bytes, body: bytes) -> bytes:
    """One message: a letter, the length of what follows with itself, what follows."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def read_types(answer: bytes) -> list[int]:
    """The types in a description of parameters, by OID."""
    return [int.from_bytes(answer[place : place + 4], "big") for place in range(7, len(answer), 4)]


def _parse(sql: str) -> bytes:
    return write(b"P", b"\0" + sql.encode() + bytes(3))


def _bind(values: Sequence[str | None]) -> bytes:
    given = [None if value is None else value.encode() for value in values]
    written = [b"\xff" * 4 if each is None else len(each).to_bytes(4, "big") + each for each in given]
    return write(b"B", bytes(4) + len(given).to_bytes(2, "big") + b"".join(written) + bytes(2))
