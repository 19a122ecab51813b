"""`mcp-kernel audit verify`: is an audit log what was written?"""

from __future__ import annotations

import argparse
import re
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Final

from mcp_kernel.console.terminal import Misuse, show, tell
from mcp_kernel.operations.audit_chain import Broken, Examiner, Link, read_head
from mcp_kernel.operations.audit_file import is_written, rotated

Work = Coroutine[object, object, int]

_LONGEST: Final = 4 * 1024 * 1024  # bytes of a line; ours are much shorter
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN: Final = 20  # complaints, of which one change makes two at the most


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `audit verify`."""
    text = "tell whether an audit log is what was written"
    parser = commands.add_parser("audit", help=text, description=text, allow_abbrev=False)
    inner = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    text = "find every line that was edited, cut out, moved or put in"
    parser = inner.add_parser("verify", help=text, description=text, allow_abbrev=False)
    add = parser.add_argument
    add(
        "file",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="the log; the files that it filled are found beside it",
    )
    add(
        "--anchor",
        action="append",
        default=[],
        type=_read_hash,
        metavar="HASH",
        help="a hash that was noted elsewhere, and must occur",
    )
    add(
        "--after", type=_read_hash, metavar="HASH", help="the hash that the first line follows, of files kept elsewhere"
    )
    parser.set_defaults(run=verify)


def _read_hash(text: str) -> str:
    if _HASH.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a hash: 64 hexadecimal digits")
    return text


async def verify(arguments: argparse.Namespace) -> int:
    """Go along the chain and say what is wrong; 0 where nothing is."""
    files = _gather(arguments.file)
    wrong: list[str] = []
    growing = is_written(files[-1])
    head = _find_head(files[-1], wrong)  # before the lines, which a server adds to meanwhile
    examiner = Examiner(arguments.after, frozenset(arguments.anchor), head, growing=growing)
    for path in files:
        wrong += _examine(path, examiner)
    wrong += [f"{files[-1]}: {text}" for text in examiner.end()]
    for text in wrong[:_SHOWN]:
        tell(text)
    if len(wrong) > _SHOWN:
        tell(f"and {len(wrong) - _SHOWN} more")
    if not wrong:
        number, name = examiner.last
        show(f"{examiner.lines} lines in {len(files)} files, as they were written; the last is {number} {name}")
    return 1 if wrong else 0


def _gather(named: Sequence[Path]) -> list[Path]:
    """The files in their order: those that a log has filled stand before it."""
    files: dict[Path, Path] = {}
    for path in named:
        if not path.is_file():
            raise Misuse(f"There is no file {path}")
        files.update({each.resolve(): each for each in [*rotated(path), path]})
    return sorted(files.values(), key=lambda path: (_first_number(path), str(path)))


def _first_number(path: Path) -> int:
    """The number of a file's first line; what has none comes last, where it is complained of."""
    with path.open("rb") as file:
        found = re.match(rb'\{"seq":([0-9]{1,19}),', file.read(64))
    return int(found[1]) if found else 10**19


def _examine(path: Path, examiner: Examiner) -> list[str]:
    wrong: list[str] = []
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if not line.endswith(b"\n"):
                wrong.append(f"{path}:{number}: the line is torn; a kill leaves it so, until the server starts again")
                break
            wrong += [f"{path}:{number}: {text}" for text in examiner.take(line[:-1])]
    return wrong


def _find_head(last: Path, wrong: list[str]) -> Link | None:
    """What the head says; a log without one has lost it, but for a file that was filled and moved away."""
    path = last.with_name(f"{last.name}.head")
    if not path.is_file():
        if re.search(r"\.[0-9]{6}$", last.name) is None:
            wrong.append(f"{path}: the head is missing, so that nobody can tell whether the end was cut off")
        return None
    try:
        return read_head(path.read_bytes())
    except Broken as error:
        wrong.append(f"{path}: {error}")
        return None
