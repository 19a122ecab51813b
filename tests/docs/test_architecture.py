"""The pictures of the architecture are true: layers, arrows and files are those of the code."""

from __future__ import annotations

import re

import pytest
from tests.house import layers
from tests.house.source import ROOT, read

PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
KERNEL = read("shared/src")
FACE = "mcp_kernel"  # how the picture calls the package itself

Arrows = set[tuple[str, str]]


def picture(page: str = PAGE) -> str:
    found = re.search(r"^```mermaid\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def drawn_layers(text: str) -> dict[str, int]:
    """The parts, each with the number of the box in which it stands."""
    boxes = re.findall(r'subgraph L\d\["layer (\d)"\]\n(.*?)\n    end', text, re.DOTALL)
    return {part: int(number) for number, inside in boxes for part in inside.split()}


def drawn_arrows(text: str) -> Arrows:
    return set(re.findall(r"^    (\w+) --> (\w+)$", text, re.MULTILINE))


def drawn_doors(text: str) -> Arrows:
    return set(re.findall(r'^    (\w+) -\. ".+" \.-> (\w+)$', text, re.MULTILINE))


def part(module: str) -> str:
    return [*module.split("."), ""][1] or FACE


def imports() -> tuple[Arrows, Arrows]:
    """Who imports whom among the parts of the kernel: downwards, and by the doors."""
    down, doors = Arrows(), Arrows()
    for module in KERNEL:
        for imported in (each for each in module.imports if each.top == FACE):
            named = imported.name if imported.module == FACE and imported.name in layers.LAYERS else ""
            arrow = part(module.name), named or part(imported.module)
            if arrow[0] != arrow[1]:
                is_door = (module.name.removeprefix(f"{FACE}."), imported.module) in layers.UPWARD_DOORS
                (doors if is_door else down).add(arrow)
    return down, doors


def reached(arrows: Arrows) -> Arrows:
    """Every pair that a way along the arrows joins."""
    closed = set(arrows)
    while more := {(a, d) for a, b in closed for c, d in closed if b == c} - closed:
        closed |= more
    return closed


def untrue(text: str) -> list[str]:
    """What a picture says that is not so, and what it leaves out."""
    down, doors = imports()
    arrows = drawn_arrows(text)
    boxes = {part: number for part, number in drawn_layers(text).items() if part != FACE}
    wrong = [] if boxes == {name: number for name, number in layers.LAYERS.items() if name} else ["layers"]
    wrong += [f"{a} does not import {b}" for a, b in sorted(arrows - down)]
    wrong += [f"{a} imports {b}" for a, b in sorted(down - reached(arrows))]
    return wrong + [f"another door than {each}" for each in sorted(drawn_doors(text) ^ doors)]


def test_the_picture_of_the_layers_is_true() -> None:
    assert untrue(picture()) == []
    assert drawn_layers(picture())[FACE] == layers.LAYERS[""]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        workers\n", "", "layers"),
        ("    cli --> hosts\n", "    cli --> client\n", "cli does not import client"),
        ("    toolkits --> server\n", "", "toolkits imports server"),
        ('    server -. "asgi()" .-> transports\n', "", "another door than ('server', 'transports')"),
    ],
)
def test_a_picture_that_is_not_true_is_seen(old: str, new: str, said: str) -> None:
    assert old in picture()
    assert said in untrue(picture().replace(old, new))


def named_files(text: str) -> set[str]:
    """Files with a folder that the page names; a star stands for any."""
    return set(re.findall(r"(?<![\w/.])((?:\w+/)+[\w*]+\.(?:py|js))", text))


def missing(names: set[str]) -> list[str]:
    kernel = ROOT / "shared/src/mcp_kernel"
    return [name for name in sorted(names) if not [*kernel.glob(name), *ROOT.glob(name)]]


def test_the_files_of_the_page_are_there() -> None:
    names = named_files(PAGE)
    assert {"server/dispatch.py", "server/exchange*.py", "client/opening.py"} <= names
    assert missing(names) == []
    assert missing({"server/dispatcher.py"}) == ["server/dispatcher.py"]


def test_the_path_of_a_request_names_what_admits_it() -> None:
    path = re.search(r"## The path of a request over stdio\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert path
    words = set(re.findall(r"\b(?:[a-z]+\.)?[A-Z]?\w+\.\w+\b|\b[A-Z][a-z]+[A-Za-z]+\b", path[1]))
    defined = {name.rpartition(".")[2] for module in KERNEL for name, _ in module.functions}
    classes = {match for module in KERNEL for match in re.findall(r"^class (\w+)", module.source, re.MULTILINE)}
    last = {word.rpartition(".")[2] for word in words} - {"py"}
    assert {"LegacyExchange", "ModernExchange", "admit"} <= last
    assert [word for word in sorted(last) if word not in defined | classes] == []
