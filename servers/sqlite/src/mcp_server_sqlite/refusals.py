"""Refusal: the one way in which the domain says no, and the engine's errors put into its words."""

import sqlite3

SQLITE_BUSY = 5
SQLITE_LOCKED = 6
SQLITE_READONLY = 8
SQLITE_INTERRUPT = 9
SQLITE_IOERR = 10
SQLITE_CORRUPT = 11
SQLITE_FULL = 13
SQLITE_CANTOPEN = 14
SQLITE_TOOBIG = 18
SQLITE_NOTADB = 26
READONLY_ROLLBACK = SQLITE_READONLY | 3 << 8

NOT_SERVED = (
    "Refused: the statement reads a table that is not served here, directly or through a view, a join or an "
    "index. list_tables shows what can be read."
)


class Refusal(Exception):
    """An answer that says no: what is wrong and what to do next, written for a language model to read.

    Its text never holds a file's content, nor the name of a table that is denied.
    """


class UnknownTable(Refusal):
    """There is no table of that name, or none that is served."""


def primary_code(error: sqlite3.Error) -> int:
    """Give SQLite's primary result code of an error; 0 where the module itself raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    return primary_code(error) in (SQLITE_BUSY, SQLITE_LOCKED)


def locked_text(path: object, seconds: float) -> str:
    return (
        f"The database {path} is locked by another program that is writing, and stayed locked for "
        f"{seconds:g} s. Try again in a moment; if it stays locked, that program holds a transaction open."
    )


def describe_file_error(error: sqlite3.Error, path: object) -> str | None:
    """Put an error that lies in the file, not in the statement, into words; None for all others."""
    match primary_code(error):
        case 26:
            return (
                f"{path} is not an SQLite database (or it is encrypted). "
                "Check --db-path: it must name an SQLite 3 database file."
            )
        case 11:
            return (
                f"The database {path} is damaged: SQLite cannot read a part of it. Other tables may still be "
                "readable. Restore a backup, or recover with: sqlite3 FILE .recover"
            )
        case 14:
            return _describe_wal(path)
        case 8 if getattr(error, "sqlite_errorcode", 0) != READONLY_ROLLBACK:
            return _describe_wal(path)
        case 8:
            return (
                f"{path} was left by a writer that crashed and needs recovery, which a reader may not do. "
                "Open it once with a program that may write, then try again."
            )
        case 10 | 13:
            return (
                f"The system reported an input/output error on {path}, or the disk for temporary files is full. "
                "Check the disk, or ask for less at once (fewer rows sorted or grouped)."
            )
        case _:
            return None


def _describe_wal(path: object) -> str:
    return (
        f"SQLite cannot open {path} for reading. If it is in WAL mode, its folder must be writable or its -wal and "
        "-shm files present; when nothing writes to it, start the server with --immutable."
    )


def describe_statement_error(error: BaseException) -> str:
    """Put an error that lies in the statement into words, with what to do about it."""
    text = str(error)
    if isinstance(error, sqlite3.Error) and primary_code(error) == SQLITE_TOOBIG:
        return (
            "A value, or the statement itself, is larger than this server allows (10 MB a value, 100 kB of SQL). "
            "Read a part of it with substr(column, 1, 1000), or its length with length(column)."
        )
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.Warning):
        return _describe_usage(text)
    if isinstance(error, OverflowError):
        return "A parameter is an integer beyond 64 bits, which SQLite cannot hold. Pass it as text."
    if isinstance(error, UnicodeError):
        return "The SQL or a parameter holds a lone surrogate, which is no valid text. Send well-formed Unicode."
    if "no such table" in text:
        return f"SQLite: {text}. list_tables shows the tables there are."
    if "no such column" in text:
        return f"SQLite: {text}. describe_table shows the columns of a table."
    return f"SQLite: {text}."


def _describe_usage(text: str) -> str:
    if "one statement" in text:
        return "One statement per call: send the first alone, then the next in a call of its own."
    if "Incorrect number of bindings" in text:
        return f"{text.rstrip('.')}. Pass exactly one value in params for each ? in the SQL, in order."
    if "did not supply a value" in text or "has no name" in text:
        return f"{text.rstrip('.')}. Pass a list for ? placeholders, an object with every name for :name ones."
    if "null character" in text:
        return "The SQL holds a NUL character. Send it without; as a value, pass it in params."
    return f"{text.rstrip('.')}."
