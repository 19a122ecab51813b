"""Starts the server of a bundle with what its user has configured, as the host has put it into the arguments.

This file is copied into the bundle as `server/main.py`. A host leaves a setting that nobody made empty, or leaves its
placeholder standing: such words are dropped, and with them an option that is left without a value. Behind `--split`
stand texts that hold several values, as a shell reads them.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib import import_module
from pathlib import Path

_UNSET = "${user_config."


def main() -> None:
    """Read the arguments, and run the server's own command."""
    program, *words = sys.argv[1:]
    for name, value in list(os.environ.items()):
        if value.startswith(_UNSET):
            del os.environ[name]
    sys.argv = [program, *read(words)]
    os.chdir(Path.home())  # not into the host's folder of the bundle, which goes with the next version
    import_module(f"{program.replace('-', '_')}.cli").main()


def read(words: list[str]) -> list[str]:
    """The server's arguments, of those that the host has filled in."""
    end = words.index("--split") if "--split" in words else len(words)
    read: list[str] = []
    for word in words[:end]:
        if word.startswith("--"):
            _drop_empty(read)
        _, equals, value = word.partition("=") if word.startswith("--") else ("", "=", word)
        if not equals or (value and _UNSET not in value):
            read.append(word)
    _drop_empty(read)
    for word in words[end + 1 :]:
        option, _, value = word.partition("=")
        try:
            values = [] if _UNSET in value else shlex.split(value)
        except ValueError as error:  # to guess what is meant might leave a table without its lock
            sys.exit(f"the setting {option} cannot be read, {value!r}: {error}")
        read += [f"{option}={each}" for each in values]
    return read


def _drop_empty(words: list[str]) -> None:
    """Take away an option that no value followed."""
    if words and words[-1].startswith("--") and "=" not in words[-1]:
        words.pop()


if __name__ == "__main__":
    main()
