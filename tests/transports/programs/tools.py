"""A server whose tools do what the tests of the transport need done, well-behaved or not."""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import gc
import logging
import os
import subprocess
import sys
import threading

from mcp_kernel import Context, Server, run

server = Server("tools", "1.0.0")
freed: dict[str, asyncio.Event] = {}


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def length(text: str) -> int:
    """Count the characters."""
    return len(text)


@server.tool(read_only=True)
async def tasks() -> list[str]:
    """Name the work of every task."""
    return [repr(task.get_coro()) for task in asyncio.all_tasks()]


@server.tool(read_only=True)
async def frozen() -> int:
    """Count the objects that the collector does not look through."""
    return gc.get_freeze_count()


@server.tool(read_only=True)
async def large(size: int) -> str:
    """Give much."""
    return "x" * size


def gate(name: str) -> asyncio.Event:
    return freed.setdefault(name, asyncio.Event())


@server.tool()
async def hold(name: str) -> str:
    """Wait until `free` is called with the same name."""
    sys.stderr.write(f"holding {name}\n")
    try:
        await gate(name).wait()
    except asyncio.CancelledError:
        sys.stderr.write(f"cancelled {name}\n")
        raise
    return name


@server.tool()
async def free(name: str) -> str:
    """Let `hold` go on."""
    gate(name).set()
    return f"freed {name}"


@server.tool()
async def last(seconds: float) -> str:
    """Take so long."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
    return f"took {seconds}"


@server.tool()
async def cling() -> str:
    """Go on whatever happens."""
    sys.stderr.write("clinging\n")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            sys.stderr.write("clung\n")


@server.tool()
def block() -> str:
    """Block a thread for good."""
    sys.stderr.write("blocking\n")
    threading.Event().wait()
    return "never"


@server.tool()
def spin() -> str:
    """Keep a thread busy for good."""
    sys.stderr.write("spinning\n")
    while True:
        pass


@server.tool()
async def freeze() -> str:
    """Block the event loop for good, as no handler may."""
    sys.stderr.write("freezing\n")
    threading.Event().wait()
    return "never"


@server.tool()
async def fall(kind: str) -> str:
    """Raise an exception of a kind."""
    raise getattr(builtins, kind)("secret words")


@server.tool()
def fall_in_a_thread(kind: str) -> str:
    """Raise an exception of a kind, outside the loop."""
    raise getattr(builtins, kind)("secret words")


@server.tool()
async def say(how: str, text: str, times: int = 1) -> str:
    """Write to what a program takes for its stdout."""
    return write(how, text * times)


def write(how: str, text: str) -> str:
    data = text.encode()
    if how == "print":
        print(text)  # noqa: T201  # that is what is tested
    elif how == "sys.__stdout__":
        print(text, file=sys.__stdout__)  # as above
    elif how == "os.write":
        os.write(1, data)
    elif how == "C":
        library = ctypes.CDLL(None)
        library.puts(data)
        library.fflush(None)
    elif how == "C write":
        ctypes.CDLL(None).write(1, data, len(data))
    elif how == "child":
        subprocess.run(["sh", "-c", 'echo "$1"', "sh", text], check=True)
    elif how == "/dev/stdout":
        subprocess.run(["sh", "-c", 'echo "$1" >>/proc/self/fd/1', "sh", text], check=True)
    elif how == "logging":
        logging.getLogger("library").warning("%s", text)
    return how


@server.tool()
def say_in_a_thread(how: str, text: str, times: int = 1) -> str:
    """Write it outside the loop."""
    return write(how, text * times)


@server.tool()
def read_stdin() -> str:
    """Read what a program takes for its stdin, here and in a child."""
    child = subprocess.run(["cat"], check=True, capture_output=True)
    return f"{os.read(0, 100)!r} {child.stdout!r}"


@server.tool()
async def report(ctx: Context, count: int = 0) -> str:
    """Report progress so often, or for ever."""
    done = 0
    while not count or done < count:
        done += 1
        await ctx.progress(done, message="y" * 200)
    return f"{done} reports"


@server.tool()
async def touch(ctx: Context, count: int, wait: float = 0.0) -> str:
    """Say so often, after a while, that a resource changed."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=wait)
    for _ in range(count):
        ctx.changed("note://one")
    sys.stderr.write("touched\n")
    return f"touched {count} times"


@server.tool()
async def start_child(how: str) -> str:
    """Start a child process and wait for it; its id is on stderr."""
    command = ["sh", "-c", "echo child $$ >&2; tail -f /dev/null & echo child $! >&2; wait"]
    if how == "asyncio":
        await (await asyncio.create_subprocess_exec(*command)).wait()
    else:
        await asyncio.to_thread(subprocess.run, command, check=False)
    return "ended"


@server.resource("note://{name}")
async def note(name: str) -> str:
    """A note."""
    return f"the note {name}"


@server.prompt()
def ask(topic: str) -> str:
    """Ask."""
    return f"What is {topic}?"


if __name__ == "__main__":
    if "LINE_LIMIT" in os.environ:
        from mcp_kernel.transports import stdio

        stdio.run(server, line_limit=int(os.environ["LINE_LIMIT"]))
    run(server)
