"""Refusal: the one way in which the domain says no, and the engine's errors put into its words."""

import re

from .driver import state_of, text_of

NOT_SERVED = (
    "Refused: the statement reads a table that is not served here, directly or through a view, a function, a "
    "partition or inheritance. list_tables shows what can be read."
)
DATA_ERRORS = ("22", "23", "P0", "42P17", "54", "XX")
"""Classes of errors whose text can hold values of rows."""


class Refusal(Exception):
    """An answer that says no: what is wrong and what to do next, written for a language model to read.

    Its text never holds the password, nor the name of a table that is denied.
    """


class UnknownTable(Refusal):
    """There is no table of that name, or none that is served."""


class Unavailable(Refusal):
    """The database cannot be reached, or was lost."""


def describe_error(error: BaseException, withheld: bool = False) -> str:
    """Put the engine's error into words; with `withheld`, one that could carry data keeps only its name."""
    state = state_of(error)
    if withheld and state.startswith(DATA_ERRORS):
        name = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__.removesuffix("Error")).lower()
        return (
            f"PostgreSQL stopped with SQLSTATE {state} ({name}). Its message is withheld, as some tables or columns "
            f"are: it could hold their values. Check casts, divisions and functions in the SQL. {_advise(state)}"
        ).rstrip()
    text = text_of(error)
    hint = "" if withheld else str(getattr(error, "hint", None) or "").strip()
    return f"PostgreSQL: {text}. {hint} {_advise(state)}".replace("  ", " ").strip()


def _advise(state: str) -> str:
    match state:
        case "42P01":
            return "list_tables shows the tables there are."
        case "42703":
            return "describe_table shows the columns of a table."
        case "42501":
            return "The role of this server may not read that; the operator can GRANT it."
        case "25006":
            return "Nothing can be changed here: send a statement that reads."
        case "55P03":
            return "Another transaction holds a lock on that table. Try again in a moment."
        case "22021":
            return (
                "A text here is not UTF-8. Leave its column out, or read its bytes: convert_to(column, 'SQL_ASCII'); "
                "if they are Latin-1, convert_from(convert(convert_to(column, 'SQL_ASCII'), 'LATIN1', 'UTF8'), 'UTF8')."
            )
        case "22P05":
            return "The database's encoding has no such character: no text in it can hold one."
        case "53100" | "53200" | "54000" | "53400":
            return (
                "The statement takes more than the server has. Ask for less at once: fewer rows, a part of long values."
            )
        case _:
            return ""
