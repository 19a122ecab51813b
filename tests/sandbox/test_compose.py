"""The files for containers: held to the specification's rules, and to what they promise. No engine is needed."""

from __future__ import annotations

import copy
import stat
from typing import TYPE_CHECKING, Any

import pytest
from tests.house.source import ROOT
from tests.sandbox import composition, imagefile
from tests.sandbox.playground import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

GOOD = composition.read()
IMAGE = imagefile.FILE.read_text("utf-8")


def test_the_compose_file_has_no_fault() -> None:
    assert composition.find_faults(GOOD) == []


def test_every_server_is_a_service_behind_the_front() -> None:
    found = [service for service in composition.services_of(GOOD) if service.server]
    services = {service.server: service for service in found[::-1]}
    assert [service.name for service in found if service.name != service.server] == ["everything-2"]
    assert set(services) == set(NAMES) == {path.parent.name for path in (ROOT / "servers").glob("*/pyproject.toml")}
    (front,) = (service for service in composition.services_of(GOOD) if service.name == "front")
    ways = [f"{service.server}=http://{service.name}:8000" for service in found]
    assert sorted(word for word in front.words if "=" in word) == sorted(ways)
    assert set(front.needs) == {service.name for service in found}
    assert {name: service.name for name, service in services.items()} == {name: name for name in NAMES}
    for name, service in ((str(service.server), service) for service in found):
        assert service.words[-9:] == [
            *("http", "--host", "0.0.0.0", "--port", "8000", "--path", f"/{name}/mcp"),
            *("--allowed-host", "front"),
        ]


def test_what_replicas_share_can_be_reached_by_them_alone() -> None:
    reached = {service.name: service.keys["networks"] for service in composition.services_of(GOOD)}
    assert reached["store"] == ["shared"]
    assert [name for name, networks in reached.items() if "shared" in networks] == [
        "everything",
        "everything-2",
        "store",
    ]


def test_health_is_whether_requests_can_be_served() -> None:
    for service in composition.services_of(GOOD):
        if service.server or service.name == "front":
            assert 'urlopen("http://127.0.0.1:8000/readyz"' in service.keys["healthcheck"]["test"][-1], service.name


def test_only_the_front_has_a_port_and_only_of_the_loopback() -> None:
    assert {name: keys["ports"] for name, keys in GOOD["services"].items() if "ports" in keys} == {
        "front": ["127.0.0.1:8000:8000"]
    }


def test_what_is_asked_of_the_dockerfile_it_knows() -> None:
    known = {name for stage in imagefile.read(IMAGE)[1] for name in imagefile.declared(stage)}
    builds = [service.keys.get("build", {}) for service in composition.services_of(GOOD)]
    asked = {name for build in builds for name in build.get("args", {})}
    assert asked <= known


def put(*path: str, to: object) -> Callable[[Json], None]:
    """What sets one place of the file, or with None takes it away."""

    def change(found: Json) -> None:
        place: Any = found
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


S = "services"
BROKEN = [
    (put("servicess", to={}), "servicess means nothing"),
    (put(S, "git", "memlimit", to="1g"), "git: memlimit is not known"),
    (put(S, "git", "read_only", to=None), "git: it can write to its own files"),
    (put(S, "git", "cap_drop", to=["NET_RAW"]), "git: it keeps capabilities"),
    (put(S, "git", "security_opt", to=[]), "git: it can gain privileges"),
    (put(S, "git", "mem_limit", to="much"), "git: its memory has no limit"),
    (put(S, "git", "pids_limit", to=-1), "git: its processes have no limit"),
    (put(S, "git", "user", to="0:0"), "git: it runs as root"),
    (put(S, "database", "user", to=None), "database: it may run as root"),
    (put(S, "database", "image", to="postgres"), "database: its image has no version"),
    (put(S, "database", "image", to="postgres:latest"), "database: its image changes"),
    (put(S, "git", "tmpfs", to=["/tmp"]), "git: its temporary files have no limit"),
    (put(S, "git", "networks", to=["edge"]), "git: the network edge leads outside"),
    (put(S, "git", "networks", to=None), "git: the network default is not there"),
    (put("networks", "inside", "internal", to=False), "git: the network inside leads outside"),
    (put("networks", "edge", "driver_opts", to=None), "front: the network edge brings answers"),
    (put(S, "front", "ports", to=["8000:8000"]), "front: the port 8000:8000 is open"),
    (put(S, "front", "ports", to=["0.0.0.0:80:80"]), "front: the port 0.0.0.0:80:80 is open"),
    (put(S, "git", "volumes", to=["/:/host:ro", "x:/x"]), "git: the volume x is not there"),
    (put(S, "git", "volumes", to=["./sandbox:/x"]), "git: ./sandbox can be written"),
    (put(S, "git", "volumes", to=["/var/run/docker.sock:/s:ro"]), "docker.sock must not be mounted"),
    (put("secrets", "reader_dsn", to={"environment": "DSN"}), "postgres: the secret reader_dsn is in no file"),
    (put(S, "postgres", "environment", to={"DATABASE_URL": "x"}), "postgres: the environment tells DATABASE_URL"),
    (put(S, "postgres", "command", to="postgresql://a:b@database/shop"), "postgres: the command tells a password"),
    (put(S, "git", "healthcheck", to=None), "git: nothing tells whether it is well"),
    (put(S, "git", "healthcheck", to={"test": ["CMD-SHELL", "true"]}), "git: its health is asked through a shell"),
    (put(S, "git", "stop_grace_period", to="soon"), "git: soon is no duration"),
    (put(S, "git", "depends_on", to={"demo": {"condition": "service_healthy"}}), "git: it waits in vain for demo"),
    (put(S, "git", "depends_on", to={"x": {"condition": "service_healthy"}}), "git: it waits for x, which is not"),
    (put(S, "git", "depends_on", to={"front": {"condition": "service_healthy"}}), "git waits for itself"),
]


@pytest.mark.parametrize(("breaking", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_broken_compose_file_is_complained_of(breaking: Callable[[Json], None], complaint: str) -> None:
    broken = copy.deepcopy(GOOD)
    breaking(broken)
    assert any(complaint in fault for fault in composition.find_faults(broken)), composition.find_faults(broken)


def test_the_dockerfile_has_no_fault() -> None:
    assert imagefile.find_faults(IMAGE) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("PYTHON=3.13-slim-trixie", "PYTHON=latest", "python:latest has no version"),
        ("USER 10001:10001", "USER root", "it runs as root"),
        ("USER 10001:10001\n", "", "it runs as root"),
        ('ENTRYPOINT ["serve"]', "ENTRYPOINT serve", "a shell stands between"),
        ("--from=build", "--from=built", "there is no stage built"),
        ("COPY . .", "ADD https://example.com/x .", "ADD may fetch"),
        ("UV_COMPILE_BYTECODE=1", "UV_OTHER=1", "without UV_COMPILE_BYTECODE=1"),
        ("uv sync --locked", "uv sync", "without uv sync --locked"),
        (" && rm -rf /var/lib/apt/lists/*", "", "apt leaves its lists"),
        ("ARG COMMAND=${PACKAGE}\n", "", "COMMAND is not declared"),
        ("ARG SYSTEM=\n", "ARG API_TOKEN=x\n", "the image tells a secret"),
        ("FROM python:${PYTHON}\nARG", "ARG", "what builds is in the image"),
        ('ENTRYPOINT ["serve"]', 'RUN pip install x\nENTRYPOINT ["serve"]', "what installs is in the image"),
    ],
)
def test_a_broken_dockerfile_is_complained_of(old: str, new: str, complaint: str) -> None:
    assert old in IMAGE
    assert any(complaint in fault for fault in imagefile.find_faults(IMAGE.replace(old, new)))


def test_no_secret_gets_into_an_image_or_into_git() -> None:
    for name in (".dockerignore", ".gitignore"):
        lines = [line.rstrip("/") for line in (ROOT / name).read_text("utf-8").splitlines()]
        assert "secrets" in lines, name
    assert not {".git", ".venv"} - set((ROOT / ".dockerignore").read_text("utf-8").splitlines())


def test_the_script_for_the_database_can_be_run() -> None:
    """Executable, it runs in a shell of its own; otherwise the image would read it into its own."""
    assert (ROOT / "sandbox/postgres/10-shop.sh").stat().st_mode & stat.S_IXOTH
