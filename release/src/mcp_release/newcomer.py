"""`newcomer`: follow README.md and docs/tutorial.md to the letter, where nothing is but Python, git and a shell.

A home, a package cache and an environment of Python that are new, a copy of the checkout, and of the programs of this
machine only those that every system has. uv is installed as the README says. What the text does not tell is how the
network is reached (proxies, certificates, indexes). The first command that does not do what the text says ends it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_release.pages import NotSo, Shell, follow_page
from mcp_release.workspace import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES: Final = ("README.md", "docs/tutorial.md")
_TOOLS: Final = ("bash", "sh", "git", "curl", "cat", "cp", "cut", "env", "grep", "head", "ls", "mkdir", "mv", "rm")
_MORE_TOOLS: Final = ("dirname", "readlink", "realpath", "sed", "sleep", "tail", "tr", "uname", "wc")
_KEPT: Final = re.compile(
    r"PIP_.*|UV_(DEFAULT_)?INDEX.*|SSL_CERT_.*|(HTTPS?|ALL|NO)_PROXY|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE"
    r"|LANG|LC_ALL|TMPDIR|CHECK_RUN",
    re.IGNORECASE,
)
_PATIENCE: Final = 240.0  # seconds for one block: the first ones download all that the servers depend on
_LEFT_OUT: Final = shutil.ignore_patterns(".git", ".venv", "dist", "node_modules", "__pycache__", ".*_cache", "secrets")


def make_place(home: Path, root: Path = ROOT) -> dict[str, str]:
    """Make the newcomer's home, with the checkout in `mcp-servers`; returns the environment of its shell."""
    tools, python = home / ".tools", home / ".python"
    tools.mkdir()
    for name in (*_TOOLS, *_MORE_TOOLS):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    (tools / "python3").symlink_to(_base_python())  # uvx makes its environments of it, and of no other environment
    subprocess.run([_base_python(), "-m", "venv", str(python)], check=True)  # noqa: S603  # this very Python
    shutil.copytree(root, home / "mcp-servers", ignore=_LEFT_OUT, symlinks=True)
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    path = f"{python / 'bin'}{os.pathsep}{tools}"
    environment = {**kept, "HOME": str(home), "PATH": path, "UV_NO_PROGRESS": "1", "COLUMNS": "100"}
    _make_repository(home / "mcp-servers", environment)
    return environment


def _base_python() -> str:
    """The Python that this environment was made of: one that has `venv` and `pip`."""
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


def _make_repository(folder: Path, environment: Mapping[str, str]) -> None:
    """Make what was copied a repository, with one commit."""
    author = ("-c", "user.name=Newcomer", "-c", "user.email=newcomer@example.com")
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "The checkout"]):
        subprocess.run(["git", *words], cwd=folder, env=dict(environment), check=True)  # noqa: S603, S607  # git, fixed words


def main() -> None:
    """Follow the pages; the exit code is 1 where one says what is not so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, by what it starts too
    with tempfile.TemporaryDirectory(prefix="newcomer-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve()
        environment = make_place(home)
        passed: list[str] = []
        try:
            for page in PAGES:
                with Shell(home / "mcp-servers", environment, _PATIENCE) as shell:
                    passed += follow_page(home / "mcp-servers" / page, shell, _tell)
        except NotSo as error:
            sys.exit(f"newcomer: {error}")
    _tell("".join(f"{line}\n" for line in passed) + f"{', '.join(PAGES)}: everything else is as the text says")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
