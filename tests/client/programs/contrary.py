"""A server on stdio that does wrong, once: in the first call of a tool, or from its start.

    python contrary.py DEED [MARK]

MARK is a file that says that the deed is done: whoever starts the server again finds a good one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

REVISION = "2026-07-28"
META = {"io.modelcontextprotocol/serverInfo": {"name": "contrary", "version": "1"}}
NOTHING = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
TOOL = {"name": "deed", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def say(identifier: object, result: object) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": identifier, "result": result}).encode() + b"\n")


def tell(identifier: object, text: str) -> None:
    say(identifier, {"resultType": "complete", "content": [{"type": "text", "text": text}]})


def complain(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def die(identifier: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(identifier: int) -> None:
    complain("these were the last words")
    os._exit(7)


def babble(identifier: int) -> None:
    write(b"\xff\x00 this is no message\n\n[]\n{}\n" + b"[" * 100_000 + b"\nNaN\n")
    tell(identifier, "after garbage")


def flood(identifier: int) -> None:
    for _ in range(5_000):
        sys.stderr.write("x" * 1023 + "\n")
    complain("the last line")
    tell(identifier, "after the flood")


def break_off(identifier: int) -> None:
    write(b'{"jsonrpc":"2.0","id":%d,"result":{"conte' % identifier)
    os._exit(0)


def fall_silent(identifier: int) -> None:
    os.close(1)


def overdo(identifier: int) -> None:
    write(b'{"jsonrpc":"2.0","id":%d,"result":{"x":"' % identifier)
    for _ in range(100):
        write(b"x" * 1024 * 1024)
    write(b'"}}\n')


def repeat(identifier: int) -> None:
    tell(identifier, "the first")
    tell(identifier, "the second")


def mistake(identifier: int) -> None:
    tell(identifier + 4711, "for nobody")
    tell(str(identifier), "for another")
    tell(identifier, "for you")


def misshape(identifier: int) -> None:
    say(identifier, ["no", "object"])


def undress(identifier: int) -> None:
    tell(identifier, json.dumps(dict(os.environ)))


def breed(identifier: int) -> None:
    child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
    tell(identifier, str(child.pid))


def cast_off(identifier: int) -> None:
    """Start a child in a session of its own, which keeps our stdout, and leave."""
    child = subprocess.Popen(["sleep", "20"], stdin=subprocess.DEVNULL, start_new_session=True)
    complain(f"child {child.pid}")
    os._exit(0)


def hang(identifier: int) -> None:
    """Answer never."""


DEEDS = {
    deed.__name__: deed
    for deed in (
        *(die, leave, babble, flood, break_off, fall_silent, overdo, repeat, mistake, misshape, undress, breed),
        *(cast_off, hang),
    )
}


def answer(request: dict[str, Any], deed: str, mark: Path | None) -> None:
    identifier, method = request.get("id"), request["method"]
    if method == "server/discover":
        capabilities: dict[str, object] = {"tools": {}}
        say(identifier, {**NOTHING, "supportedVersions": [REVISION], "capabilities": capabilities, "_meta": META})
    elif method == "tools/list":
        say(identifier, {**NOTHING, "tools": [TOOL]})
    elif method == "tools/call" and isinstance(identifier, int):
        if mark is not None and mark.exists():
            tell(identifier, "good again")
            return
        if mark is not None:
            mark.touch()
        DEEDS[deed](identifier)


def main() -> None:
    deed = sys.argv[1]
    mark = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if deed == "stillborn":
        complain("\n".join(f"line {number}" for number in range(40)))
        sys.exit(3)
    if deed in ("deaf", "stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN if deed == "deaf" else signal.SIG_DFL)
    for line in sys.stdin:
        answer(json.loads(line), "hang" if deed in ("deaf", "stubborn") else deed, mark)
    complain("its input has ended")
    while deed in ("deaf", "stubborn"):
        signal.pause()


if __name__ == "__main__":
    main()
