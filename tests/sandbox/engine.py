"""What an engine does with the Compose file, with processes for containers: the same commands, ports and health checks.

Each service has an address of the loopback for its own, under which its ports are its own too; where a command names
another service, a path or a secret, it gets what stands for it here. What only a kernel's containers can do (the
read-only files, the capabilities, the limits, the networks) is not imitated: `composition.py` reads it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, Self

from tests.cluster import find_wheel
from tests.house.source import ROOT
from tests.sandbox import composition, imagefile
from tests.transports.host import until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.sandbox.composition import Service

PATIENCE = 90.0
SCRIPTS = Path(sys.executable).parent
ACCOUNT = 65534 if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root."""


class Engine:
    """The services of the Compose file, started one after the other; at the end they are told to end, and must."""

    def __init__(self) -> None:
        self.services = {each.name: each for each in composition.services_of(composition.read())}
        self.folder = Path(tempfile.mkdtemp(prefix="t-"))
        self.folder.chmod(0o711)
        net = f"127.{randrange(1, 255)}.{randrange(256)}"
        self.addresses = {name: f"{net}.{number}" for number, name in enumerate(self.services, 1)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {"PATH": f"{SCRIPTS}:{find_wheel()}:/usr/bin:/bin", "HOME": str(self.folder)}

    # --- what stands for what ---

    def place(self, name: str) -> Path:
        """The folder of a service: its working directory, and its /tmp."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
        return folder

    def translate(self, service: Service, text: str) -> str:
        """A word of a service as it is here."""
        for source, target, _ in service.mounts:
            here = ROOT / source if source.startswith(".") else self.folder / "volumes" / source
            text = re.sub(rf"(?<![\w/.-]){target}(?=/|:|$|\s)", str(here), text)
        text = re.sub(r"(?<![\w/.-])/run/secrets(?=/)", str(self.folder / "secrets"), text)
        text = re.sub(r"\b(0\.0\.0\.0|127\.0\.0\.1)\b", self.addresses[service.name], text)
        for name, address in self.addresses.items():
            text = re.sub(rf"(?<=//|.@){name}(?=:)", address, text) if name in text else text
        return text

    def command(self, service: Service) -> list[str]:
        """What runs: the entry point of the image, and the command."""
        build = service.keys.get("build")
        words = [self.translate(service, word) for word in service.words]
        hosts = [at + 1 for at, word in enumerate(words) if word == "--allowed-host"]
        words = [self.addresses[word] if at in hosts else word for at, word in enumerate(words)]
        if build is None:
            return words
        arguments, stages = imagefile.read(imagefile.FILE.read_text("utf-8"))
        given: dict[str, str] = {**arguments, **imagefile.declared(stages[0]), **build["args"]}
        given = {name: imagefile.expand(text, given) for name, text in given.items()}
        own = imagefile.expand(given["COMMAND"], given)  # which is what `serve` leads to
        return [*service.keys.get("entrypoint", [own]), *words]

    # --- what an engine does ---

    def make_secrets(self) -> None:
        """Follow the file's first command."""
        folder = self.folder / "secrets"
        subprocess.run([SCRIPTS / "sandbox", "secrets", folder], check=True)
        assert {each.name for each in folder.iterdir()} == set(composition.read()["secrets"])
        folder.chmod(0o755)
        dsn = folder / "reader_dsn"
        text = dsn.read_text().replace("@database:", f"@{self.addresses['database']}:")
        dsn.chmod(0o644)
        dsn.write_text(text)

    def start(self, name: str) -> None:
        """Start a service when what it waits for is there, and wait until it is well, or done."""
        service = self.services[name]
        for needed in service.needs:
            if needed not in self.processes:
                self.start(needed)
        command = self.command(service)
        for source, _, writable in service.mounts:
            if not source.startswith("."):
                volume = self.folder / "volumes" / source
                volume.mkdir(parents=True, exist_ok=True)
                if writable and name == "database" and ACCOUNT is not None:
                    os.chown(volume, ACCOUNT, ACCOUNT)
        if name == "database":
            command = self._make_cluster(service, command)
        self.processes[name] = self._run(service, command)
        if service.ends:
            assert self.processes[name].wait(PATIENCE) == 0, self.log(name)
        else:
            until(lambda: self.is_well(name) or self.processes[name].poll() is not None, PATIENCE)
            assert self.processes[name].poll() is None, self.log(name)

    def is_well(self, name: str) -> bool:
        """Ask a service as its health check does."""
        service = self.services[name]
        words = [self.translate(service, word) for word in service.keys["healthcheck"]["test"][1:]]
        done = subprocess.run(words, env=self.environment, capture_output=True, timeout=PATIENCE, check=False)
        return done.returncode == 0

    def log(self, name: str) -> str:
        """What a service said so far."""
        file = self.place(name) / "log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def _run(self, service: Service, command: list[str]) -> subprocess.Popen[bytes]:
        keys, place = service.keys, self.place(service.name)
        given = {name: self.translate(service, str(text)) for name, text in keys.get("environment", {}).items()}
        account = ACCOUNT if service.name == "database" else None
        with (place / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=place,
                env={**self.environment, **given, "TMPDIR": str(place)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=account,
                group=account,
            )

    def _make_cluster(self, service: Service, command: list[str]) -> list[str]:
        """What the entry point of PostgreSQL's image does with a new volume; returns what runs then."""
        data = self.folder / "volumes" / "database" / "data"
        given = {name: self.translate(service, text) for name, text in service.keys["environment"].items()}
        owner, sockets = given["POSTGRES_USER"], self.folder / "volumes" / "database"
        environment = {**self.environment, **given, "PGHOST": str(sockets)}

        def run(*words: str | Path) -> None:
            done = subprocess.run(words, cwd=sockets, env=environment, capture_output=True, user=ACCOUNT, check=False)
            assert done.returncode == 0, done.stderr.decode()

        passwords, arguments = given["POSTGRES_PASSWORD_FILE"], shlex.split(given["POSTGRES_INITDB_ARGS"])
        run("initdb", "-D", data, f"--username={owner}", f"--pwfile={passwords}", "-N", *arguments)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        # Its log in a file: pg_ctl's child would hold our pipe open.
        options = f"-c listen_addresses='' -c unix_socket_directories={sockets}"
        run("pg_ctl", "-D", data, "-o", options, "-l", sockets / "log", "-w", "start")
        run("createdb", "--username", owner, given["POSTGRES_DB"])
        script = sockets / "10-shop.sh"
        script.write_text(self.translate(service, (ROOT / "sandbox/postgres/10-shop.sh").read_text("utf-8")), "utf-8")
        script.chmod(0o755)
        run(script)
        run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
        place = ["-c", f"listen_addresses={self.addresses['database']}", "-c", f"unix_socket_directories={sockets}"]
        return [*command, "-D", str(data), *place]

    def stop(self, name: str) -> int:
        """Tell a service to end, as an engine does, and return the exit code; within its time it must have."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGINT if name == "database" else signal.SIGTERM)
        seconds = float(self.services[name].keys["stop_grace_period"].removesuffix("s"))
        return process.wait(seconds)

    def __enter__(self) -> Self:
        self.make_secrets()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            codes = {name: self.stop(name) for name in list(self.processes)[::-1]}
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait()
            logs = "\n".join(self.log(name) for name in self.services)
            shutil.rmtree(self.folder)
        if kind is None:
            assert set(codes.values()) == {0}, (codes, logs)
            assert "Traceback" not in logs, logs
