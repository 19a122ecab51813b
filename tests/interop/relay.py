"""Stands between a client and a server on stdio, and writes down every line that passes.

    python relay.py TRANSCRIPT COMMAND...

A line is written down before it goes on, so that no answer stands above its request.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


def carry(sender: str, source: IO[bytes], sink: IO[bytes], transcript: IO[str]) -> None:
    for line in source:
        transcript.write(json.dumps([sender, line.decode("utf-8", "backslashreplace")]) + "\n")
        transcript.flush()
        sink.write(line)
        sink.flush()
    sink.close()


def main() -> int:
    with (
        Path(sys.argv[1]).open("a", encoding="utf-8") as transcript,
        subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        asking = threading.Thread(
            target=carry, args=("client", sys.stdin.buffer, server.stdin, transcript), daemon=True
        )
        asking.start()
        carry("server", server.stdout, sys.stdout.buffer, transcript)
        return server.wait(10)


if __name__ == "__main__":
    sys.exit(main())
