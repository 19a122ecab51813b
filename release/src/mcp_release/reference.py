"""`build-reference`: write `docs/reference/`, the public names with their docstrings; `--check` only compares.

Nothing is imported: the sources are read, so that what stands in a page does not depend on the Python that made it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import griffe

from mcp_release.docstrings import first_sentence, to_markdown
from mcp_release.signatures import show_signature
from mcp_release.workspace import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    Documented = griffe.Object | griffe.Alias

PACKAGES: Final = {
    "mcp_kernel": "what a server is written with",
    "mcp_kernel.client": "the other side of the wire: what a host deals in",
    "mcp_kernel.auth": "how a client comes by a token; takes the extra `mcp-kernel[auth]`",
    "mcp_kernel.testing": "what servers and transports are tested with, in the process of the test",
    "mcp_kernel.toolkits": "what servers of one kind share",
}
"""The packages whose names are public, with what each is for."""

_FOLDER: Final = Path("docs/reference")
_NOTE: Final = "<!-- Made by `uv run build-reference` from the docstrings: change those. -->\n\n"
_INDEX: Final = """\
# The public names

These are public and stay; everything else may change. Made from the docstrings by `uv run build-reference`; a test
compares.
"""


def build_pages(root: Path = ROOT) -> dict[Path, str]:
    """The pages of the reference with what must stand in them."""
    kernel = _load(root)
    listed = {package: dict(_public_names(_find(kernel, package))) for package in PACKAGES}
    homes = {names[name].canonical_path: package for package, names in listed.items() for name in names}
    pages = {root / _FOLDER / "README.md": _NOTE + _INDEX + "".join(_index(kernel, *each) for each in listed.items())}
    for package, names in listed.items():
        parts = [_NOTE, f"# `{package}`\n\n", to_markdown(_docstring(_find(kernel, package)))]
        for name, item in names.items():
            home = homes[item.canonical_path]
            parts.append(_describe(name, item) if home == package else _refer(name, item, home))
        pages[root / _FOLDER / _page(package)] = "".join(parts).rstrip("\n") + "\n"
    return pages


def find_drift(pages: dict[Path, str]) -> list[str]:
    """The pages that are not there, not as they must be, or there without need."""
    wrong = [path for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]
    wrong += [path for folder in {path.parent for path in pages} for path in folder.glob("*.md") if path not in pages]
    return [f"{path.name} is not what `uv run build-reference` makes" for path in wrong]


def main() -> None:
    """Follow the command line; the exit code is 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="build-reference", description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    arguments = parser.parse_args()
    pages = build_pages()
    if not arguments.check:
        (ROOT / _FOLDER).mkdir(exist_ok=True)
        for path, text in pages.items():
            path.write_text(text, "utf-8")
    problems = find_drift(pages)
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or f"{len(pages)} pages, as they must be\n")
    sys.exit(1 if problems else 0)


def _load(root: Path) -> griffe.Module:
    loader = griffe.GriffeLoader(search_paths=[root / "shared" / "src"], allow_inspection=False)
    kernel = loader.load("mcp_kernel")
    loader.resolve_aliases()
    assert isinstance(kernel, griffe.Module)  # noqa: S101  # a package is a module
    return kernel


def _find(kernel: griffe.Module, package: str) -> Documented:
    return kernel if package == kernel.name else kernel[package.removeprefix(f"{kernel.name}.")]


def _page(package: str) -> str:
    return f"{package.rpartition('.')[2]}.md"


def _public_names(module: Documented, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """What `__all__` lists; of a package without one, what its modules define, called by module and name."""
    if module.exports:
        yield from ((f"{prefix}{name}", _target(module.members[name])) for name in sorted(map(str, module.exports)))
        return
    for name, member in sorted(module.members.items()):
        if name.startswith("_") or member.is_alias:
            continue
        if member.is_module:
            yield f"{prefix}{name}", member
            yield from _public_names(member, f"{prefix}{name}.")
        elif member.is_class or member.is_function or _docstring(member):
            yield f"{prefix}{name}", member


def _target(item: Documented) -> griffe.Object:
    return item.final_target if isinstance(item, griffe.Alias) else item


def _index(kernel: griffe.Module, package: str, names: dict[str, Documented]) -> str:
    lines = [f"\n## [`{package}`]({_page(package)}): {PACKAGES[package]}\n", "| name | what it is |", "|---|---|"]
    for name, item in names.items():
        told = first_sentence(_docstring(item)).replace("|", "\\|")
        lines.append(f"| [`{name}`]({_page(package)}#{_anchor(name)}) | {told} |")
    return "\n".join(lines) + "\n"


def _anchor(name: str) -> str:
    return name.replace(".", "").lower()


def _refer(name: str, item: Documented, home: str) -> str:
    own = item.canonical_path.rpartition(".")[2]
    return f"\n### `{name}`\n\n{first_sentence(_docstring(item))} See [{home}]({_page(home)}#{_anchor(own)}).\n"


def _describe(name: str, item: Documented, level: int = 3) -> str:
    """A heading, a signature, the docstring; below a class its attributes and methods."""
    parts = [f"\n{'#' * level} `{name}`\n\n", _fence(show_signature(item)), to_markdown(_docstring(item))]
    if item.is_class:
        members = [each for each in item.members.values() if _is_told(each)]
        attributes = [each for each in members if isinstance(each, griffe.Attribute)]
        if attributes:
            parts.append("\n" + "".join(_describe_attribute(each) for each in attributes))
        short = name.rpartition(".")[2]
        parts += [_describe(f"{short}.{each.name}", each, level + 1) for each in members if each.is_function]
    return "".join(parts)


def _is_told(member: Documented) -> bool:
    return not member.name.startswith("_") and not member.is_alias and bool(_docstring(member))


def _describe_attribute(item: griffe.Attribute) -> str:
    hint = f": {item.annotation}" if item.annotation is not None else ""
    return f"- `{item.name}{hint}`: {' '.join(_docstring(item).split())}\n"


def _fence(signature: str) -> str:
    return f"```python\n{signature}\n```\n\n" if signature else ""


def _docstring(item: Documented) -> str:
    return item.docstring.value.strip() if item.docstring else ""
