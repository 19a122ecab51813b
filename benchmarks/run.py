"""All measurements of the protocol, beside the peers and a floor, interleaved in one run.

    uv run benchmarks/run.py [--quick] [--rounds N] [--only WORD…] [--output DIR]

Every contender serves the same three tools (`benchmarks/contenders/`): our kernel, PyPI's `mcp` 2.3 and `fastmcp` 4.1,
npm's `@modelcontextprotocol/server` 2.4, and a floor that only decodes and writes prepared answers. They take turns,
round by round, so that whatever else the machine does falls on all; figures are medians, with half the range of the
middle half of the rounds. CPU seconds are the server's own, by the operating system's accounting, and the steadiest
figures. The table goes to the terminal and to DIR/speed.md, the rounds to DIR/speed.json. The peers are installed at
the first run, which needs PyPI, Node and the npm registry. `--quick` takes under a minute after that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from speed import http_measures, stdio_measures
from speed.contenders import HERE, gather
from speed.rows import Row, to_markdown


def main() -> None:
    """Measure, and write down."""
    arguments = _read_arguments()
    contenders = gather()
    rounds, calls = (1, 1000) if arguments.quick else (arguments.rounds, 10_000)
    parts: dict[str, Callable[[], list[Row]]] = {
        "start": lambda: stdio_measures.measure_starts(contenders, rounds if arguments.quick else rounds * 2 + 1),
        "stdio": lambda: stdio_measures.measure_calls(contenders, rounds, calls),
        "large": lambda: stdio_measures.measure_large(contenders, rounds, max(calls // 100, 10)),
        "lists": lambda: stdio_measures.measure_lists(contenders, rounds, max(calls // 20, 50)),
        "http": lambda: http_measures.measure_http(contenders, rounds, calls // 2),
        "sessions": lambda: http_measures.measure_sessions(contenders, max(calls // 10, 500)),
        "flat": lambda: [
            *stdio_measures.measure_flatness(contenders, rounds * 2 + 1, calls),
            *http_measures.measure_flatness(contenders, rounds * 2 + 1, calls // 4),
        ],
    }
    rows: list[Row] = []
    for name, part in parts.items():
        if arguments.only and name not in arguments.only:
            continue
        began = time.perf_counter()
        rows += part()
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    _write(rows, arguments.output)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the protocol beside the peers and a floor.")
    parser.add_argument("--quick", action="store_true", help="one round with fewer calls, in under a minute")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="start, stdio, large, lists, http, sessions, flat")
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="DIR", help="where the files go")
    return parser.parse_args()


def _write(rows: list[Row], folder: Path) -> None:
    table = to_markdown(rows)
    print(table)
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(table + "\n")
    document = {"machine": machine, "rows": [row.to_json() for row in rows]}
    (folder / "speed.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
