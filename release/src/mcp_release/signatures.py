"""Signatures of what the reference describes, as the source spells them."""

from __future__ import annotations

from typing import Final

import griffe

_LINE: Final = 100  # characters that stand on one line
_STARS: Final = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}


def show_signature(item: griffe.Object | griffe.Alias) -> str:
    """How a name is called, or what it stands for; empty for a module."""
    if isinstance(item, griffe.Class):
        return _show_class(item)
    if isinstance(item, griffe.Function):
        start = "async " if "async" in item.labels else ""
        shown = [_wrap(f"{start}{each.name}", each.parameters, each.returns) for each in item.overloads or [item]]
        return "\n".join(shown)
    return f"{item.name} = {item.value}" if isinstance(item, griffe.Attribute) else ""


def _show_class(item: griffe.Class) -> str:
    bases = ", ".join(str(base) for base in item.bases if not str(base).startswith("_"))
    head = f"class {item.name}({bases})" if bases else f"class {item.name}"
    if "TypedDict" in bases:  # the names and types of its members are all there is to it
        members = [each for each in item.members.values() if isinstance(each, griffe.Attribute)]
        return "\n".join([head, *(f"    {each.name}: {each.annotation}" for each in members)])
    call = _wrap(item.name, item.parameters, None)
    return head if call.endswith("()") else f"{head}\n{call}"


def _wrap(name: str, parameters: griffe.Parameters, returns: str | griffe.Expr | None) -> str:
    parts = _show_parameters(parameters)
    end = "" if returns is None else f" -> {returns}"
    line = f"{name}({', '.join(parts)}){end}"
    return line if len(line) <= _LINE else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){end}"


def _show_parameters(parameters: griffe.Parameters) -> list[str]:
    """What stands between the brackets, without `self`."""
    found: list[str] = []
    starred = False
    for each in parameters:
        if each.name in ("self", "cls"):
            continue
        if each.kind is griffe.ParameterKind.keyword_only and not starred:
            found.append("*")
            starred = True
        starred = starred or each.kind is griffe.ParameterKind.var_positional
        found.append(_show_parameter(each))
    return found


def _show_parameter(each: griffe.Parameter) -> str:
    stars = _STARS.get(each.kind) if each.kind is not None else None
    text = f"{stars or ''}{each.name}"
    if each.annotation is not None:
        text += f": {each.annotation}"
    if each.default is None or stars:
        return text
    return f"{text} = {each.default}" if each.annotation is not None else f"{text}={each.default}"
