"""A module as the checks see it: its name, its text, and what it imports."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """`names` are the modules it could mean: `from a import b` names a module b of a, or a name in a."""

    module: str
    name: str
    line: int
    in_function: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """`name` is dotted; a package's `__init__` goes by the package's name."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self, self.tree, in_function=False))

    @cached_property
    def functions(self) -> tuple[tuple[str, Function], ...]:
        """Every function with its qualified name."""
        return tuple(_functions(self.tree, self.name))

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]

    def at(self, line: int) -> str:
        return f"{self.name}:{line}"


def read(*folders: str) -> list[Module]:
    """Every module below these folders, named from there on (globs are meant from the root)."""
    found: list[Module] = []
    for folder in (path for pattern in folders for path in sorted(ROOT.glob(pattern))):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            found.append(Module(name or folder.name, path.read_text("utf-8"), is_package))
    return found


def _imports(module: Module, tree: ast.AST, *, in_function: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names, lineno=line):
                yield from (Import(alias.name, "", line, in_function) for alias in names)
            case ast.ImportFrom(module=target, names=names, level=level, lineno=line):
                origin = _resolve(module, target or "", level)
                yield from (Import(origin, alias.name, line, in_function) for alias in names)
            case ast.Call(args=[ast.Constant(value=str(target)), *_], lineno=line) if _is_import(node.func):
                yield Import(target, "", line, in_function)
            case _:
                pass
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(module, node, in_function=inside)


def _resolve(module: Module, target: str, level: int) -> str:
    if not level:
        return target
    package = module.package.split(".")
    return ".".join([*package[: len(package) - level + 1], *filter(None, [target])])


def _is_import(called: ast.expr) -> bool:
    return ast.unparse(called) in {"__import__", "import_module", "importlib.import_module"}


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}.{node.name}", node
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _functions(node, f"{prefix}.{node.name}" if named else prefix)
