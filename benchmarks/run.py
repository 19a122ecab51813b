"""All measurements beside the peers and a floor, interleaved in one run: the protocol, and each server.

    uv run benchmarks/run.py [--quick] [--rounds N] [--only SECTION…] [--alone] [--output DIR]
                             [--more ROWS] [--documents N]

The protocol: every contender serves the same three tools (`benchmarks/contenders/`): our kernel, PyPI's `mcp` 2.3 and
`fastmcp` 4.1, npm's `@modelcontextprotocol/server` 2.4, and a floor that only decodes and writes prepared answers. CPU
seconds are the server's own, by the operating system's accounting, and the steadiest figures.

The servers: each beside those that it takes the place of, with the same calls, and a floor that is the same work in
this process without a server. They take turns, call by call, so that whatever else the machine does falls on all.

Figures are medians, with half the range of the middle half of the rounds. The tables go to the terminal and to
DIR/speed.md, as they stand in docs/performance.md, and the rounds to DIR/speed.json. The peers are installed at the
first run, which needs PyPI, Node and the npm registry; of one that cannot be had here its cell says why. `--quick`
takes under a minute after that: some of the measures, on less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from speed import files, protocol, queries, repositories, tables, vectors
from speed.contenders import HERE
from speed.rows import Part, to_markdown
from speed.trials import Contest, Effort, compete, timed


class Prepare(Protocol):
    """Makes what a server is measured on, in a folder that is there for it; less of it when `quick`."""

    def __call__(self, work: Path, *, quick: bool) -> AbstractContextManager[Contest]: ...


SERVERS: Final[dict[str, Prepare]] = {
    "filesystem": files.prepare,
    "git": repositories.prepare,
    "sqlite": tables.prepare,
    "postgres": queries.prepare,
    "vector": vectors.prepare,
}
SECTIONS: Final = (*protocol.SECTIONS, *SERVERS)
QUICK: Final = (*protocol.QUICK, "filesystem", "git", "sqlite", "postgres")  # Chroma alone starts for seconds


def main() -> None:
    """Measure, and write down."""
    # Bytecode is kept, as where people install this: without it a Python server compiles everything at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    arguments = _read_arguments()
    effort = Effort(1 if arguments.quick else arguments.rounds, arguments.quick, arguments.alone)
    chosen = arguments.only or (QUICK if arguments.quick else SECTIONS)
    spoken = [name for name in protocol.SECTIONS if name in chosen]
    parts = [protocol.measure(spoken, effort)] if spoken else []
    servers = {**SERVERS, "vector": partial(vectors.prepare, documents=arguments.documents)}
    for name, prepare in servers.items():
        if name in chosen:
            with timed(name):
                parts.append(_measure(prepare, effort, arguments.more if name == "postgres" else 0))
    _write(parts, effort, arguments.output)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the protocol and the servers beside the peers and a floor.")
    parser.add_argument("--quick", action="store_true", help="one round of some of it, on less, in under a minute")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured (default: 5)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument(
        "--more", type=int, default=0, metavar="ROWS", help="also ask each PostgreSQL server for so many rows"
    )
    parser.add_argument(
        "--documents", type=int, default=vectors.DOCUMENTS, metavar="N", help="for the vector servers (default: 2000)"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="DIR", help="where the files go")
    return parser.parse_args()


def _measure(prepare: Prepare, effort: Effort, more: int) -> Part:
    with tempfile.TemporaryDirectory() as work, prepare(Path(work), quick=effort.quick) as contest:
        part = compete(contest, effort)
        if more:
            part.rows += queries.ask_for_more(contest, more, effort)
        return part


def _write(parts: list[Part], effort: Effort, folder: Path) -> None:
    system = f"{platform.system()} {platform.machine()}"
    machine = {"python": platform.python_version(), "system": system, "cores": os.cpu_count()}
    rounds = "one round" if effort.rounds == 1 else f"{effort.rounds} rounds"
    text = (
        f"Python {platform.python_version()}, {system}, {os.cpu_count()} cores; {rounds}. Medians; ± is half the range "
        f"of the middle half.\n\n{to_markdown(parts)}"
    )
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(text + "\n")
    document = {"machine": machine, "rounds": effort.rounds, "parts": [part.to_json() for part in parts]}
    (folder / "speed.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
