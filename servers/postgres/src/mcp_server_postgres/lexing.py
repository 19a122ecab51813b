"""PostgreSQL's tokens: where strings, names and comments begin and end (manual, section 4.1).

Nothing is admitted or refused by what is found here. It serves to write casts around `$1`, to take a closing semicolon
or a leading EXPLAIN off, and the engine then judges the text that results.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .refusals import Refusal

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
  | (?P<name>(?:[uU]&)?"(?:[^"]|"")*")
  | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?)\$)
  | (?P<parameter>\$[0-9]+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
  | (?P<number>[0-9][0-9A-Za-z_.]*)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `kind` is space, comment, string, name, parameter, word, number or sign."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def read_tokens(sql: str) -> Iterator[Token]:
    """Give every token of a text, comments and white space too; together they are the text."""
    place = 0
    while place < len(sql):
        match = _TOKEN.match(sql, place)
        if match is None:
            raise RuntimeError("the last alternative takes any character")
        kind, end = str(match.lastgroup), match.end()
        if match["comment"]:
            end = _end_of_comment(sql, match.end())
        elif match["dollar"]:
            kind, end = "string", _end_of_dollars(sql, match["dollar"], match.end())
        elif match["escaped"]:
            kind = "string"
        yield Token(kind, sql[place:end], place)
        place = end


def _end_of_comment(sql: str, place: int) -> int:
    """Comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, place):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _end_of_dollars(sql: str, quote: str, place: int) -> int:
    found = sql.find(quote, place)
    return len(sql) if found < 0 else found + len(quote)


def strip_end(sql: str) -> str:
    """Take off semicolons and what says nothing at the end, so that the statement can stand in parentheses."""
    said = [token for token in read_tokens(sql) if token.kind not in ("space", "comment")]
    while said and said[-1].text == ";":
        said.pop()
    return sql[: said[-1].end] if said else ""


def write_parameters(sql: str, types: list[str]) -> str:
    """Write each `$n` so that it is given as text and read as the type that the engine wants there."""
    if not types:
        return sql
    return "".join(_cast(token, types) if token.kind == "parameter" else token.text for token in read_tokens(sql))


def _cast(token: Token, types: list[str]) -> str:
    number = int(token.text[1:])
    if not 1 <= number <= len(types):
        return token.text
    return f" (({token.text}::pg_catalog.text)::{types[number - 1]}) "


def blank_parameters(sql: str, types: list[str]) -> str:
    """Write each `$n` as a value of its type that the planner cannot know, for a plan that fits any value."""
    return "".join(
        f" (SELECT NULL::{types[int(token.text[1:]) - 1]} OFFSET 0) " if token.kind == "parameter" else token.text
        for token in read_tokens(sql)
    )


def words(sql: str) -> set[str]:
    """Every name that stands in a text, folded as the engine folds it, quoted ones as they are."""
    found: set[str] = set()
    for token in read_tokens(sql):
        if token.kind == "word":
            found.add(token.text.lower())
        elif token.kind == "name":
            found.add(token.text.partition('"')[2][:-1].replace('""', '"'))
    return found


_OPTIONS = {"verbose", "costs", "settings", "generic_plan", "summary", "memory", "format"}
_VALUES = {"", "on", "off", "true", "false", "1", "0", "text", "json", "xml", "yaml"}


def take_explain(sql: str) -> tuple[str, str] | None:
    """Take a leading EXPLAIN off: its options and the statement behind it; None where there is none.

    ANALYZE is refused: it would run the statement under a word that says it does not.
    """
    said = (token for token in read_tokens(sql) if token.kind not in ("space", "comment"))
    first = next(said, None)
    if first is None or first.text.lower() != "explain":
        return None
    rest = list(said)
    if rest and rest[0].text == "(" and (len(rest) < 2 or rest[1].text.lower() not in _STATEMENTS):
        options, behind = _read_options(rest)
        return options, sql[behind:]
    options = "FORMAT TEXT"
    while rest and rest[0].text.lower() in ("analyze", "analyse", "verbose"):
        if rest[0].text.lower() != "verbose":
            _refuse_analyze()
        options, rest = "VERBOSE", rest[1:]
    return options, sql[rest[0].start :] if rest else ""


_STATEMENTS = {"select", "with", "values", "table", "("}


def _read_options(tokens: list[Token]) -> tuple[str, int]:
    close = next((place for place, token in enumerate(tokens) if token.text == ")"), None)
    if close is None:
        raise Refusal("The options of EXPLAIN have no closing parenthesis.")
    written: list[str] = []
    option: list[str] = []
    for token in (*tokens[1:close], Token("sign", ",", 0)):
        if token.text != ",":
            option.append(token.text.lower().strip("'"))
            continue
        name, value = (*option, "", "")[:2]
        if name in ("analyze", "analyse") and value not in ("off", "false", "0"):
            _refuse_analyze()
        if name in _OPTIONS and value in _VALUES and len(option) <= 2:
            written.append(f"{name} {value}".strip())
        elif name not in ("analyze", "analyse"):
            raise Refusal(f"EXPLAIN takes these options here: {', '.join(sorted(_OPTIONS))}.")
        option = []
    return ", ".join(written) or "FORMAT TEXT", tokens[close].end


def _refuse_analyze() -> None:
    raise Refusal("EXPLAIN ANALYZE runs the statement: call explain_query with analyze=true, which fences it.")
