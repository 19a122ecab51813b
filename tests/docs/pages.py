"""Pages whose blocks are run: `sh` blocks in one shell, one after the other, `python FILE` blocks written to files.

```python server.py          a file
```python server.py 3        put into that file, three lines before its end
```text                      lines that must stand in what the block before it printed, in this order
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_BLOCK = re.compile(r"^```(sh|python|text)(?: +(\S+))?(?: +(\d+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "--- block {} ended with "


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page; `place` is how many lines from the end of its file it goes."""

    kind: Literal["sh", "python", "text"]
    file: str | None
    place: int | None
    text: str


def read_blocks(page: Path) -> list[Block]:
    """The blocks that are run or compared."""
    found = _BLOCK.findall(page.read_text("utf-8"))
    blocks = [Block(kind, file or None, int(place) if place else None, text) for kind, file, place, text in found]
    return [block for block in blocks if block.kind != "python" or block.file]


def run_page(page: Path, home: Path, patience: float) -> None:
    """Follow a page to the letter in a home where nothing else is; raises AssertionError where it is not so."""
    blocks = read_blocks(page)
    script = ["set -e", f"cd '{home}'"]
    for number, block in enumerate(blocks):
        if block.kind == "sh":
            script += [block.text.rstrip("\n"), f"echo '{_MARK.format(number)}'$?"]
        elif block.kind == "python":
            script.append(_write(block))
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "UV_CACHE_DIR", "SSL_CERT_FILE") if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        env={**kept, "HOME": str(home), "UV_NO_PROGRESS": "1", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
    )
    assert done.returncode == 0, f"a block failed:\n{done.stdout[-3000:]}"
    said = ""
    for number, block in enumerate(blocks):
        if block.kind == "sh":
            said = _said_by(number, done.stdout)
        elif block.kind == "text":
            _compare(block.text, said)


def _write(block: Block) -> str:
    """Shell that writes or extends a file."""
    text = block.text.rstrip("\n") + "\n"
    if block.place is None:
        return f"cat > {block.file} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK"
    head = f"head -n -{block.place} {block.file} > .head; tail -n {block.place} {block.file} > .tail"
    return f"{head}\ncat .head - .tail > {block.file} <<'END_OF_BLOCK'\n\n\n{text}\nEND_OF_BLOCK\nrm .head .tail"


def _said_by(number: int, output: str) -> str:
    before, found, _ = output.partition(_MARK.format(number) + "0\n")
    assert found, f"block {number} did not end:\n{output[-3000:]}"
    return before.rpartition("--- block ")[2] if "--- block " in before else before


def _compare(expected: str, said: str) -> None:
    rest = said
    for line in expected.splitlines():
        _, found, rest = rest.partition(line.strip())
        assert found, f"{line!r} is not in what was printed:\n{said}"
