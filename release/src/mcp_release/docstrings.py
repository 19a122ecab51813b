"""Docstrings as Markdown: paragraphs, code, and the sections that say one thing of each name."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Final

_SECTION: Final = re.compile(r"^(Args|Attributes):$")
_ITEM: Final = re.compile(r"^(\w+): (.*)$", re.DOTALL)
_END: Final = re.compile(r"(?<=[.:?!])\s")


def first_sentence(text: str) -> str:
    """The sentence that says what a thing is; a colon that leads to more ends as a full stop."""
    sentence = " ".join(_END.split(text.partition("\n\n")[0], maxsplit=1)[0].split())
    whole = " ".join(text.partition("\n\n")[0].split())
    return whole if sentence.endswith(":") else sentence


def to_markdown(text: str) -> str:
    """The docstring with a list for each section and a fence around code; ends with a line feed, or is empty."""
    blocks: list[tuple[bool, str]] = []
    for block in re.split(r"\n\s*\n", text) if text else []:
        is_code, shown = _read(block)
        if is_code and blocks and blocks[-1][0]:
            blocks[-1] = (True, f"{blocks[-1][1]}\n\n{shown}")
        else:
            blocks.append((is_code, shown))
    return "\n".join(f"```python\n{shown}\n```\n" if is_code else f"{shown}\n" for is_code, shown in blocks)


def _read(block: str) -> tuple[bool, str]:
    head, _, rest = block.partition("\n")
    if _SECTION.match(head):
        return False, _list(textwrap.dedent(rest))
    plain = textwrap.dedent(block)
    if _is_code(plain):
        return True, plain
    return False, textwrap.indent(plain, "    ") if block.startswith("    ") else plain


def _list(text: str) -> str:
    """Items, each with its further lines indented, as `- name: text`."""
    items = re.split(r"\n(?=\S)", text)
    shown: list[str] = []
    for item in items:
        found = _ITEM.match(item)
        shown.append(f"- `{found[1]}`: {' '.join(found[2].split())}" if found else f"- {' '.join(item.split())}")
    return "\n".join(shown)


def _is_code(text: str) -> bool:
    """Whether a paragraph is Python: a statement, and not a word or two that happen to be an expression."""
    body = textwrap.indent(text, "    ")
    try:
        tree = ast.parse(f"async def f():\n{body}\n")
    except SyntaxError:
        return False
    (function,) = tree.body
    statements = function.body if isinstance(function, ast.AsyncFunctionDef) else []
    return any(not isinstance(each, ast.Expr) or isinstance(each.value, ast.Await) for each in statements)
