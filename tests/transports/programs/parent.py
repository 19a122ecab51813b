"""A host that starts a server, has it call a tool, and then does nothing until it is killed."""

import json
import subprocess
import sys
import threading
from pathlib import Path

META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
arguments: dict[str, object] = {"name": "a"} if sys.argv[1] == "hold" else {}
call: dict[str, object] = {"name": sys.argv[1], "arguments": arguments, "_meta": META}

server = subprocess.Popen(
    [sys.executable, str(Path(__file__).with_name("tools.py"))], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
)
sys.stderr.write(f"server {server.pid}\n")
assert server.stdin is not None
server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode() + b"\n")
server.stdin.flush()
threading.Event().wait()
