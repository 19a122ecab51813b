"""Who may import whom (the layers and the nevers of the architecture)."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.house.source import Import, Module

KERNEL: Final = "mcp_kernel"

LAYERS: Final = {
    "errors": 0,
    "hosts": 0,  # how a host configures a server: text, and nothing of the protocol
    "protocol": 1,
    "server": 2,
    "transports": 3,
    "client": 3,
    "auth": 3,
    "operations": 3,
    "toolkits": 4,
    "testing": 4,
    "connections": 3,
    "direct": 4,  # connections that answer from within the read
    "deployment": 4,  # who is let in, and what stands around every request
    "page": 4,  # the page for a browser: files, and who serves them
    "workers": 4,  # processes, and nothing of what they serve
    "tls": 4,  # the files that encryption takes
    "serving": 5,
    "cli": 6,
    "console": 7,  # the command `mcp-kernel`
    "": 7,  # the public face, `mcp_kernel/__init__.py`
    "__main__": 8,
}

IMPURE: Final = frozenset(
    ("asyncio", "logging", "os", "random", "secrets", "selectors", "socket", "subprocess", "threading", "time")
)

HOMES: Final = {
    "pydantic": {"server.schema"},
    "httpx": {"client.http", "auth.oauth", "auth.web", "auth.jwt"},
    "uvicorn": {"serving", "connections", "direct"},
    "opentelemetry": {"operations.tracing", "operations.tracing_messages", "client.tracing"},
    "redis": {"operations.redis_link", "operations.redis_sessions"},
}
"""The only modules of the kernel that name these."""

LATE: Final = {"uvicorn", "chromadb", "git"}
"""What takes so long to import that only the function that needs it may."""

LATE_HOMES: Final = {f"{KERNEL}.connections", f"{KERNEL}.direct"}
"""Modules that import such a package as they are imported, and are therefore imported late themselves."""

FACES: Final = {f"{KERNEL}.toolkits", f"{KERNEL}.testing", f"{KERNEL}.cli"}
"""What a server may name beside the names in `mcp_kernel.__all__`."""

CLIENT_FACES: Final = {f"{KERNEL}.client", f"{KERNEL}.errors"}
"""Modules from which a host may name what they hold, beside `CONSOLE`, where commands are at home."""

CONSOLE: Final = f"{KERNEL}.console"

PORCH: Final = {"", "__init__", "__main__", "cli", "server"}
"""The modules of a server that know MCP, with the parts of a `server` that is divided (`server_…`).

Every other one is its domain.
"""

UPWARD_DOORS: Final = {("server.server", "mcp_kernel.transports.http")}
"""The one import upwards: `Server.asgi()`, inside its function, so that a server is one object to its user."""

ERA: Final = re.compile(r"(^|_)(era|legacy|modern)($|_)", re.IGNORECASE)

ERA_KEEPERS: Final = {
    "protocol.legacy",
    "protocol.modern",
    "protocol.shapes",
    "protocol.revisions",
    "server.exchange",
    "server.exchange_legacy",
    "server.exchange_modern",
    "transports.http_legacy",
    "transports.http_modern",
    "client.negotiation",
}
"""Where code may branch on the era; elsewhere what differs is behind `Exchange`, or data."""

ERA_DOORS: Final = frozenset(
    {
        "mcp_kernel.server.dispatch._open",
        "mcp_kernel.transports.http.HttpApp._route",
        "mcp_kernel.transports.http.HttpApp._serve_endpoint",
    }
)
"""The functions elsewhere that tell which era a message or an HTTP request is of, and hand it on."""


def upward_imports(modules: Iterable[Module]) -> list[str]:
    """Imports that do not point down to a lower layer, or stay in their own package."""
    found: list[str] = []
    for module in modules:
        part = _part(module.name)
        if part not in LAYERS:
            found.append(f"{module.name} is of no layer")
            continue
        for imported in module.imports:
            target = _target(imported)
            if target is None or target == part or (_inner(module.name), imported.module) in UPWARD_DOORS:
                continue
            if LAYERS.get(target, 9) >= LAYERS[part] or {part, target} == {"client", "server"}:
                found.append(f"{module.at(imported.line)} imports {imported.module}.{imported.name}")
    return found


def impurities(modules: Iterable[Module]) -> list[str]:
    """Clocks, chance, waiting, I/O in the protocol, and third parties there but for the JSON codec."""
    ours = {KERNEL, "pydantic_core", *sys.stdlib_module_names} - IMPURE
    return [
        f"{module.at(imported.line)} imports {imported.module}"
        for module in modules
        if _part(module.name) == "protocol"
        for imported in module.imports
        if imported.top not in ours
    ]


def strangers(modules: Iterable[Module]) -> list[str]:
    """Third parties named outside their one home in the kernel."""
    return [
        f"{module.at(imported.line)} imports {imported.module}, which is for {', '.join(sorted(homes))}"
        for module in modules
        for imported in module.imports
        if (homes := HOMES.get(imported.top)) and _inner(module.name) not in homes
    ]


def early_imports(modules: Iterable[Module]) -> list[str]:
    """Heavy packages imported when a module is, and not inside the function that needs them."""
    return [
        f"{module.at(imported.line)} imports {imported.module} outside a function"
        for module in modules
        for imported in module.imports
        if not imported.in_function
        and (imported.module in LATE_HOMES or imported.top in LATE)
        and module.name not in LATE_HOMES
    ]


def era_branches(modules: Iterable[Module]) -> list[str]:
    """Conditions on the era outside the few modules that may know one."""
    found: list[str] = []
    for module in modules:
        if _inner(module.name) in ERA_KEEPERS or _part(module.name) == "testing":
            continue
        doors = [function for name, function in module.functions if name in ERA_DOORS]
        allowed = {id(node) for door in doors for node in ast.walk(door)}
        found += [
            f"{module.at(condition.lineno)} decides on {word}"
            for node in ast.walk(module.tree)
            if id(node) not in allowed
            for condition in _conditions(node)
            for part in ast.walk(condition)
            if ERA.search(word := getattr(part, "attr", None) or getattr(part, "id", None) or "")
        ]
    return found


def private_doors(modules: Iterable[Module], public: Collection[str]) -> list[str]:
    """Imports of a server that reach into the kernel or into another server."""
    return _private_doors(modules, public, FACES, frozenset())


def back_doors(modules: Iterable[Module], public: Collection[str]) -> list[str]:
    """Imports of a host that reach into a server, or into the kernel beyond what its clients are given."""
    return _private_doors(modules, public, {*FACES, CONSOLE}, CLIENT_FACES)


def _private_doors(
    modules: Iterable[Module], public: Collection[str], faces: Collection[str], leaves: Collection[str]
) -> list[str]:
    """Of a face everything below may be named, of a leaf only what stands in it."""
    found: list[str] = []
    for module in modules:
        for imported in module.imports:
            full = f"{imported.module}.{imported.name}"
            if imported.top == KERNEL:
                named = imported.module == KERNEL and (imported.name in public or not imported.name)
                named = named or imported.module in leaves
                if named or any(f"{full}.".startswith(f"{face}.") for face in faces):
                    continue
            elif not imported.top.startswith("mcp_server_") or imported.top == module.name.partition(".")[0]:
                continue
            found.append(f"{module.at(imported.line)} imports {full.removesuffix('.')}")
    return found


def knowing_domains(modules: Iterable[Module]) -> list[str]:
    """Domain modules of a server that know the kernel."""
    return [
        f"{module.at(imported.line)} imports {imported.module}"
        for module in modules
        if _part(module.name) not in PORCH and not _part(module.name).startswith("server_")
        for imported in module.imports
        if imported.top == KERNEL
    ]


def _part(name: str) -> str:
    """`mcp_kernel.protocol.jsonrpc` is a part of `protocol`."""
    return [*name.split("."), ""][1]


def _inner(name: str) -> str:
    return name.partition(".")[2]


def _target(imported: Import) -> str | None:
    """The part of the kernel that is imported, `""` for its face; None for all else."""
    if imported.top != KERNEL:
        return None
    part = _part(imported.module)
    # `from mcp_kernel import protocol` names a part, any other name the face.
    return imported.name if not part and imported.name in LAYERS else part


def _conditions(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            return [test]
        case ast.Match(subject=subject):
            return [subject]
        case ast.comprehension(ifs=ifs):
            return ifs
        case _:
            return []
