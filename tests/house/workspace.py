"""The workspace: packages, their dependencies and their skeleton, and the documented names."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Project = dict[str, Any]

SKELETON: Final = ("pyproject.toml", "README.md", "server.json")
PACKAGE_SKELETON: Final = ("__init__.py", "__main__.py", "py.typed", "cli.py", "server.py")


def projects(root: Path) -> dict[str, Project]:
    """The `[project]` tables of the workspace and their dependency groups, by folder."""
    found: dict[str, Project] = {}
    for path in (root, root / "shared", *sorted(root.glob("servers/*")), *sorted(root.glob("examples/*"))):
        if (file := path / "pyproject.toml").is_file():
            table = tomllib.loads(file.read_text("utf-8"))
            found[path.name] = table["project"] | {"groups": table.get("dependency-groups", {})}
    return found


def disagreements(found: Mapping[str, Project]) -> list[str]:
    """One dependency asked for in two ways, or a package of ours in a version that is not the one here."""
    ours = {project["name"]: project["version"] for project in found.values()}
    wanted: dict[str, dict[str, str]] = {}
    for folder, project in found.items():
        for requirement in _requirements(project):
            name, versions = _split(requirement)
            if versions:
                wanted.setdefault(name, {})[folder] = versions
    clashes = [f"{name}: {by}" for name, by in wanted.items() if len(set(by.values())) > 1]
    stale = [
        f"{folder} asks for {name}{versions}, which is {ours[name]} here"
        for name, by in wanted.items()
        if name in ours
        for folder, versions in by.items()
        if versions != f"=={ours[name]}"
    ]
    return clashes + stale


def missing_parts(server: Path) -> list[str]:
    """What a server lacks of the skeleton that all share."""
    package = f"mcp_server_{server.name.replace('-', '_')}"
    parts = [*SKELETON, *(f"src/{package}/{name}" for name in PACKAGE_SKELETON)]
    found = [f"{server.name} has no {part}" for part in parts if not (server / part).is_file()]
    known = {f"src/{package}/{name}" for name in PACKAGE_SKELETON}
    if not [path for path in server.glob(f"src/{package}/*.py") if str(path.relative_to(server)) not in known]:
        found.append(f"{server.name} has no module for its domain")
    return found


def misnamed(server: str, project: Project) -> list[str]:
    """A server whose distribution or command is not called after its folder."""
    name, module = f"mcp-server-{server}", f"mcp_server_{server.replace('-', '_')}"
    found = [] if project["name"] == name else [f"servers/{server} is called {project['name']}"]
    if project.get("scripts") != {name: f"{module}.cli:main"}:
        found.append(f"servers/{server} has the commands {project.get('scripts')}")
    return found


def documented_names(text: str) -> set[str]:
    """The headings `### `Name`` of a reference page; what follows the name (arguments, say) is ignored."""
    return set(re.findall(r"^###\s+`@?([A-Za-z_]\w*)", text, flags=re.MULTILINE))


def _requirements(project: Project) -> Iterable[str]:
    yield from project.get("dependencies", [])
    for extra in (*project.get("optional-dependencies", {}).values(), *project["groups"].values()):
        yield from (requirement for requirement in extra if isinstance(requirement, str))


def _split(requirement: str) -> tuple[str, str]:
    """`uvicorn[standard]>=1 ; marker` is uvicorn and `>=1`."""
    parsed = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([^;\s]*)", requirement)
    assert parsed is not None, requirement
    return re.sub(r"[-_.]+", "-", parsed[1]).lower(), parsed[2]
