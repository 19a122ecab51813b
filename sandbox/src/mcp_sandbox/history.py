"""A small git repository: the roastery's price list, a program that checks it, and how both came about."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PATIENCE: Final = 30.0  # seconds for one command of git
_FIRST: Final = 1_704_096_000  # 2024-01-01 08:00 UTC
_WEEK: Final = 7 * 24 * 3600
_AUTHORS: Final = ("Ines Almeida <ines@example.com>", "Jun Park <jun@example.com>", "Femi Okafor <femi@example.com>")

_README: Final = """\
# Price list

The prices of the roastery, one line a product, and `check.py`, which finds what is wrong with them.

    python check.py prices.csv
"""
_CHECK: Final = """\
\"\"\"Find what is wrong with the price list.\"\"\"

import csv
import sys


def problems(rows):
%s

if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        found = list(problems(csv.DictReader(file)))
    print("\\n".join(found) or "nothing is wrong")
    sys.exit(bool(found))
"""
_GIVEN_AWAY: Final = """\
    for number, row in enumerate(rows, 2):
        if float(row["price"]) <= 0:
            yield f"line {number}: {row['product']} is given away"
"""
_TWICE: Final = """\
    seen = set()
    for number, row in enumerate(rows, 2):
        if float(row["price"]) <= 0:
            yield f"line {number}: {row['product']} is given away"
        if row["product"] in seen:
            yield f"line {number}: {row['product']} is there twice"
        seen.add(row["product"])
"""


class Failed(Exception):
    """A command of git ended with an error; the text is the first line that it said."""


@dataclass(frozen=True, slots=True)
class Change:
    """A commit: its branch, its message, and the files that it writes. `merges` is a branch that it joins."""

    message: str
    files: dict[str, str]
    branch: str = "main"
    merges: str | None = None


def _prices(**changed: float) -> str:
    prices = {"House Blend": 7.5, "Espresso Nero": 24.0, "Ethiopia Guji": 10.8, "Earl Grey": 6.4, "Hand Grinder": 75.0}
    prices.update({name.replace("_", " "): price for name, price in changed.items()})
    return "product,price\n" + "".join(f"{name},{price:.2f}\n" for name, price in prices.items())


CHANGES: Final = (
    Change("Begin the price list", {"README.md": _README.partition(", and")[0] + ".\n", "prices.csv": _prices()}),
    Change("Raise the House Blend: green coffee is dearer", {"prices.csv": _prices(House_Blend=7.9)}),
    Change("Check that nothing is given away", {"check.py": _CHECK % _GIVEN_AWAY, "README.md": _README}),
    Change("Sell a decaf", {"prices.csv": _prices(House_Blend=7.9, Decaf=9.8)}),
    Change("Find a product that is there twice", {"check.py": _CHECK % _TWICE}, branch="twice"),
    Change(
        "Raise the Espresso Nero, and the grinder with it",
        {"prices.csv": _prices(House_Blend=7.9, Decaf=9.8, Espresso_Nero=26.0, Hand_Grinder=79.0)},
    ),
    Change("Merge branch 'twice'", {"check.py": _CHECK % _TWICE}, merges="twice"),
    Change("Licence", {"LICENSE": "Prices are facts. Do with them what you like.\n"}),
    Change(
        "Try summer prices",
        {"prices.csv": _prices(House_Blend=6.9, Decaf=8.8, Espresso_Nero=24.0, Hand_Grinder=69.0)},
        branch="summer",
    ),
    Change(
        "The Guji of the new harvest",
        {"prices.csv": _prices(House_Blend=7.9, Decaf=9.8, Espresso_Nero=26.0, Hand_Grinder=79.0, Ethiopia_Guji=11.2)},
    ),
)
"""The history, oldest first, a week apart. A branch begins at what `main` was then; the third commit is tagged v1."""


def make(git: str, folder: Path) -> None:
    """Make the repository with one fast import, the same hashes every time; raises `Failed`."""
    _run(git, ["init", "--quiet", "--initial-branch=main", str(folder)], folder.parent)
    _run(git, ["fast-import", "--quiet"], folder, "".join(_stream()).encode())
    _run(git, ["reset", "--quiet", "--hard"], folder)
    (folder / "prices.csv").write_text(_prices(House_Blend=8.2, Decaf=9.8, Espresso_Nero=26.0), "utf-8")


def _stream() -> Iterator[str]:
    """The history as git's fast-import reads it."""
    tips: dict[str, int] = {}
    for number, change in enumerate(CHANGES, 1):
        who = f"{_AUTHORS[number % len(_AUTHORS)]} {_FIRST + number * _WEEK} +0000"
        yield f"commit refs/heads/{change.branch}\nmark :{number}\nauthor {who}\ncommitter {who}\n"
        yield _data(change.message)
        if tips:
            yield f"from :{tips.get(change.branch, tips['main'])}\n"
        if change.merges:
            yield f"merge :{tips[change.merges]}\n"
        tips[change.branch] = number
        for name, text in change.files.items():
            yield f"M 100644 inline {name}\n{_data(text)}"
        yield "\n"
    yield "reset refs/tags/v1\nfrom :3\n\n"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _run(git: str, words: Sequence[str], folder: Path, given: bytes = b"") -> None:
    """Run git without anything that the user or the machine has configured."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TEMPLATE_DIR": ""}
    try:
        done = subprocess.run(  # noqa: S603  git, with words of ours
            [git, *words], cwd=folder, input=given, env=environment, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise Failed(said.partition("\n")[0] or f"git {words[0]} ended with {done.returncode}")
