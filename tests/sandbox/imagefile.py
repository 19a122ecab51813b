"""The Dockerfile as Docker reads it, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.house.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Stage:
    """A stage: the image that it begins with, its name, and its instructions with what they say."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def said(self, instruction: str) -> list[str]:
        return [text for word, text in self.steps if word == instruction]


def read(text: str) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, and the stages."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for word, rest in _instructions(text):
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(image, name))
        elif not stages:
            assert word == "ARG", word
            key, _, value = rest.partition("=")
            arguments[key] = value
        else:
            stages[-1].steps.append((word, rest))
    return arguments, stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, rest.strip()


def declared(stage: Stage) -> dict[str, str]:
    """The arguments of a stage with their defaults."""
    return {key: value for key, _, value in (text.partition("=") for text in stage.said("ARG"))}


def expand(text: str, values: dict[str, str]) -> str:
    """Replace `${NAME}`, as Docker does; an unknown name is an error."""
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)


def find_faults(text: str) -> list[str]:
    """Everything that is wrong; empty for a good file."""
    arguments, stages = read(text)
    found = [fault for stage in stages for fault in _look_at(stage, arguments)]
    if len(stages) < 2:
        return [*found, "what builds is in the image"]
    last = stages[-1]
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", "".join(last.said("USER")[-1:])):
        found.append("it runs as root")
    if not last.said("ENTRYPOINT") or not last.said("ENTRYPOINT")[-1].startswith("["):
        found.append("a shell stands between it and the signals")
    if "pip " in str(last.steps) or "uv " in str(last.steps):
        found.append("what installs is in the image")
    build = " ".join(text for stage in stages[:-1] for _, text in stage.steps)
    parts = ("UV_COMPILE_BYTECODE=1", "uv sync --locked --no-dev --no-editable", "UV_PROJECT_ENVIRONMENT=/app")
    found += [f"it is built without {part}" for part in parts if part not in build]
    copies = [name for text in last.said("COPY") for name in re.findall(r"--from=(\S+)", text)]
    return [*found, *(f"there is no stage {name}" for name in copies if name not in [each.name for each in stages])]


def _look_at(stage: Stage, arguments: dict[str, str]) -> Iterator[str]:
    image = expand(stage.image, arguments)
    if not re.fullmatch(r"[\w./-]+:[\w.-]+", image) or image.endswith(":latest"):
        yield f"{image} has no version"
    if stage.said("ADD"):
        yield "ADD may fetch from a network"
    known = set(declared(stage))
    for word, text in stage.steps:
        yield from (f"{name} is not declared" for name in re.findall(r"\$\{(\w+)\}", text) if name not in known)
        if "apt-get install" in text and ("--no-install-recommends" not in text or "rm -rf /var/lib/apt" not in text):
            yield "apt leaves its lists"
        if word in ("ENV", "ARG") and re.search(r"PASSWORD|SECRET|TOKEN", text):
            yield "the image tells a secret"
