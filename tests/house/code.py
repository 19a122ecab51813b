"""How a module is written: sizes, names, state, and excuses."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tests.house.source import Function, Module

LONGEST_FILE: Final = 400
LONGEST_FUNCTION: Final = 40
MOST_PARAMETERS: Final = 6
EMPTY_NAMES: Final = frozenset(
    ("base", "bases", "common", "helper", "helpers", "impl", "manager", "managers", "misc", "util", "utils")
)
CONTAINERS: Final = frozenset(("dict", "list", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict"))
MUTATORS: Final = frozenset(
    ("add", "append", "appendleft", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update")
)
DIRECTIVE: Final = re.compile(r"#\s*(type:\s*ignore|noqa|pyright:\s*ignore)(\[[^\]]*\]|:\s*[A-Z0-9, ]*[A-Z0-9])?(.*)")


def long_files(modules: Iterable[Module]) -> list[str]:
    counted = [(module.name, len(module.source.splitlines())) for module in modules]
    return [f"{name} has {lines} lines" for name, lines in counted if lines > LONGEST_FILE]


def long_functions(modules: Iterable[Module]) -> list[str]:
    """From `def` to the last line, without docstrings."""
    return [
        f"{name} has {lines} lines"
        for module in modules
        for name, function in module.functions
        if (lines := _length(function)) > LONGEST_FUNCTION
    ]


def many_parameters(modules: Iterable[Module], exempt: Collection[str]) -> list[str]:
    """Of what is exempt, only options that are given by name are not counted."""
    found: list[str] = []
    for module in modules:
        for name, function in module.functions:
            arguments = function.args
            given = [*arguments.posonlyargs, *arguments.args]
            given = given[1:] if given and given[0].arg in {"self", "cls"} else given
            options = [] if name in exempt else arguments.kwonlyargs
            if len(given) + len(options) > MOST_PARAMETERS:
                found.append(f"{name} has {len(given) + len(options)} parameters")
    return found


def empty_names(modules: Iterable[Module]) -> list[str]:
    """Modules named for being of use, and not for what they are."""
    return [module.name for module in modules if EMPTY_NAMES.intersection(module.name.split("."))]


def shared_state(modules: Iterable[Module]) -> list[str]:
    """Module-level containers that change. A table is spelled in capitals, and nothing writes to it."""
    found: list[str] = []
    for module in modules:
        containers = dict(_containers(module.tree))
        found += [
            f"{module.at(line)} {name}" for name, line in containers.items() if name not in (name.upper(), "__all__")
        ]
        found += [f"{module.at(line)} changes {name}" for name, line in _changes(module.tree) if name in containers]
        found += [
            f"{module.at(node.lineno)} global {', '.join(node.names)}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Global)
        ]
    return found


def bare_excuses(modules: Iterable[Module]) -> list[str]:
    """Checks that are silenced without naming the rule and, on the same line, the reason."""
    return [
        f"{module.at(line)} {comment}"
        for module in modules
        for line, comment in _comments(module.source)
        for directive in DIRECTIVE.finditer(comment)
        if not directive[2] or not re.search(r"\w", directive[3])
    ]


def loose_signatures(modules: Iterable[Module]) -> list[str]:
    """`Any` in what a public function takes or gives."""
    return [
        f"{name} says Any"
        for module in modules
        for name, function in module.functions
        if not any(part.startswith("_") for part in name.removeprefix(module.name).split("."))
        for annotation in _annotations(function)
        if any(getattr(node, "id", getattr(node, "attr", "")) == "Any" for node in ast.walk(annotation))
    ]


def short_test_names(modules: Iterable[Module]) -> list[str]:
    """Tests whose name is no sentence."""
    tests = [(name, name.rpartition(".")[2]) for module in modules for name, _ in module.functions]
    return [name for name, test in tests if test.startswith("test_") and test.count("_") < 3]


def sleeps(modules: Iterable[Module]) -> list[str]:
    """Waits for a guessed time. `sleep(0)` only lets others run."""
    return [
        f"{module.at(node.lineno)} {ast.unparse(node)}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "sleep"
        and ast.unparse(node).rpartition("(")[2] != "0)"
    ]


def _length(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    for inner in ast.walk(function):  # what is registered by a decorator has its docstring inside another function
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            lines -= (inner.body[0].end_lineno or 0) - inner.body[0].lineno + 1
    return lines


def _annotations(function: Function) -> Iterator[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (argument.annotation for argument in every if argument and argument.annotation)
    if function.returns:
        yield function.returns


def _containers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_container(value):
                yield name, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_container(value):
                yield name, node.lineno
            case _:
                pass


def _is_container(value: ast.expr) -> bool:
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in CONTAINERS
    return isinstance(value, displays)


def _changes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Writes to an element of a name, and calls of its methods that write."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                yield name, node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in MUTATORS:
                yield name, node.lineno
            case ast.AugAssign(target=ast.Name(id=name)):
                yield name, node.lineno
            case _:
                pass


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
