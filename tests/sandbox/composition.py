"""The Compose file as Compose reads it, and what is wrong with it: by its specification, and by what we promise."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import yaml
from tests.house.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]

FILE = ROOT / "docker-compose.yml"
# Of the Compose specification (schema/compose-spec.json), what this file uses.
TOP = {"name", "services", "networks", "volumes", "secrets"}
KEYS = {
    *("image", "build", "command", "entrypoint", "user", "init", "restart", "read_only", "cap_drop", "security_opt"),
    *("tmpfs", "networks", "mem_limit", "pids_limit", "stop_grace_period", "healthcheck", "depends_on", "volumes"),
    *("secrets", "environment", "ports", "profiles"),
}
HEALTH = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")
SIZE = re.compile(r"\d+[bkmg]")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|DSN|DATABASE_URL")


@dataclass(frozen=True)
class Service:
    """A service with its merged keys."""

    name: str
    keys: Json

    @property
    def words(self) -> list[str]:
        """Its command, split as Compose splits it."""
        return shlex.split(self.keys.get("command", ""))

    @property
    def ends(self) -> bool:
        """Whether it has a task and is done then."""
        return self.keys.get("restart") == "no"

    @property
    def needs(self) -> dict[str, str]:
        """What it waits for, and until when."""
        return {name: each["condition"] for name, each in self.keys.get("depends_on", {}).items()}

    @property
    def server(self) -> str | None:
        """Which of our servers it runs."""
        return None if "entrypoint" in self.keys else self.keys.get("build", {}).get("args", {}).get("SERVER")

    @property
    def mounts(self) -> list[tuple[str, str, bool]]:
        """What of the machine or which volume is where, and whether it may be written."""
        parts = [each.split(":") for each in self.keys.get("volumes", [])]
        return [(part[0], part[1], part[2:] != ["ro"]) for part in parts]


def read(path: Path = FILE) -> Json:
    """The file, with its anchors and merges resolved."""
    return cast("Json", yaml.safe_load(path.read_text("utf-8")))


def services_of(composition: Json) -> list[Service]:
    return [Service(name, keys) for name, keys in composition["services"].items()]


def find_faults(composition: Json) -> list[str]:
    """Everything that is wrong; empty for a good file."""
    found = [f"{key} means nothing" for key in composition if key not in TOP and not key.startswith("x-")]
    services = services_of(composition)
    for service in services:
        for look in (_look_at_keys, _look_at_cage, _look_at_networks, _look_at_storage, _look_at_order):
            found += [f"{service.name}: {fault}" for fault in look(service, composition)]
    return [*found, *_find_circles(services)]


def _look_at_keys(service: Service, composition: Json) -> Iterator[str]:
    keys = service.keys
    yield from (f"{key} is not known" for key in keys if key not in KEYS)
    if "build" not in keys and not re.fullmatch(r"[\w./-]+:[\w.-]+", keys.get("image", "")):
        yield "its image has no version"
    if keys.get("image", "").endswith(":latest"):
        yield "its image changes under its name"
    health = keys.get("healthcheck", {})
    if not health and not service.ends:
        yield "nothing tells whether it is well"
    yield from (f"healthcheck.{key} is not known" for key in health if key not in HEALTH)
    if health and health["test"][0] != "CMD":
        yield "its health is asked through a shell"
    times = [health.get(key, "0s") for key in ("interval", "timeout", "start_period")]
    yield from (
        f"{each} is no duration" for each in (*times, keys["stop_grace_period"]) if not DURATION.fullmatch(each)
    )


def _look_at_cage(service: Service, composition: Json) -> Iterator[str]:
    """What a container must not be able to do."""
    keys = service.keys
    if keys.get("read_only") is not True:
        yield "it can write to its own files"
    if keys.get("cap_drop") != ["ALL"]:
        yield "it keeps capabilities"
    if "no-new-privileges:true" not in keys.get("security_opt", []):
        yield "it can gain privileges"
    if not SIZE.fullmatch(str(keys.get("mem_limit"))):
        yield "its memory has no limit"
    if not isinstance(keys.get("pids_limit"), int) or not 0 < keys["pids_limit"] <= 1000:
        yield "its processes have no limit"
    if "build" not in keys and not re.fullmatch(r"[1-9]\d*:[1-9]\d*", keys.get("user", "")):
        yield "it may run as root"
    if "user" in keys and keys["user"].startswith(("0", "root")):
        yield "it runs as root"
    if any("size=" not in each and "/run/" not in each for each in keys.get("tmpfs", [])):
        yield "its temporary files have no limit"


def _look_at_networks(service: Service, composition: Json) -> Iterator[str]:
    networks = composition["networks"]
    for name in service.keys.get("networks", ["default"]):
        if name not in networks:
            yield f"the network {name} is not there"
        elif not networks[name].get("internal") and "ports" not in service.keys:
            yield f"the network {name} leads outside"
        elif not networks[name].get("internal") and not _is_without_way_back(networks[name]):
            yield f"the network {name} brings answers from outside"
    for port in service.keys.get("ports", []):
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port)):
            yield f"the port {port} is open to others"


def _is_without_way_back(network: Json) -> bool:
    return network.get("driver_opts", {}).get("com.docker.network.bridge.enable_ip_masquerade") == "false"


def _look_at_storage(service: Service, composition: Json) -> Iterator[str]:
    for source, target, writable in service.mounts:
        if source.startswith((".", "/", "~")):
            if writable or not (ROOT / source).exists():
                yield f"{source} can be written, or is not there"
        elif source not in composition["volumes"]:
            yield f"the volume {source} is not there"
        if "docker.sock" in source or not target.startswith("/"):
            yield f"{source} must not be mounted at {target}"
    for name in service.keys.get("secrets", []):
        if set(composition["secrets"].get(name, {})) != {"file"}:
            yield f"the secret {name} is in no file"
    for name in service.keys.get("environment", {}):
        if SECRET.search(name) and not name.endswith("_FILE"):
            yield f"the environment tells {name}"
    if re.search(r"://[^/\s]*:[^/\s]*@", str(service.keys.get("command"))):
        yield "the command tells a password"


def _look_at_order(service: Service, composition: Json) -> Iterator[str]:
    for name, condition in service.needs.items():
        if name not in composition["services"]:
            yield f"it waits for {name}, which is not there"
            continue
        other = Service(name, composition["services"][name])
        if condition not in CONDITIONS or (condition == "service_completed_successfully") != other.ends:
            yield f"it waits in vain for {name}"
        if other.keys.get("profiles") and not service.keys.get("profiles"):
            yield f"it waits for {name}, which is not started with it"


def _find_circles(services: list[Service]) -> list[str]:
    done: set[str] = set()
    left = {service.name: set(service.needs) for service in services}
    while ready := {name for name, needs in left.items() if needs <= done}:
        done |= ready
        left = {name: needs for name, needs in left.items() if name not in ready}
    return [f"{name} waits for itself" for name in left]
