"""The server's domain, and its README, which says what is there."""

from __future__ import annotations

import io
import re
import struct
import wave
import zlib
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_server_everything import contact, media, words
from mcp_server_everything.server import build

README = (Path(__file__).parents[3] / "servers" / "everything" / "README.md").read_text("utf-8")
TEXTS = st.sampled_from(["phone", "email", "post", ""])
VALUES = st.one_of(TEXTS, st.none(), st.integers(), st.dictionaries(st.sampled_from(["street", "city"]), TEXTS))


@given(st.dictionaries(st.sampled_from(["name", "address", "contactMethod", "phone", "email", "fax"]), VALUES))
def test_a_contact_is_judged_as_its_schema_has_it(given_contact: dict[str, Any]) -> None:
    validator = cast("Any", Draft202012Validator(contact.SCHEMA))
    assert (contact.explain_misfit(given_contact) is None) == validator.is_valid(given_contact)


@pytest.mark.parametrize(
    ("given_contact", "misfit"),
    [
        ({"email": "a@b.example", "fax": "1"}, "fax is no member of a contact"),
        ({"email": 1}, "email must be a string"),
        ({"phone": "1", "contactMethod": "phone"}, None),
        ({"phone": "1"}, "email is missing"),
        ({"email": "x", "address": {"city": 1}}, "address must be an object of strings"),
    ],
)
def test_a_misfit_is_explained(given_contact: dict[str, object], misfit: str | None) -> None:
    assert contact.explain_misfit(given_contact) == misfit


def test_the_picture_is_a_whole_png() -> None:
    data = media.picture()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    rest, chunks = data[8:], dict[bytes, bytes]()
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, body = rest[4:8], rest[8 : 8 + length]
        assert rest[8 + length : 12 + length] == struct.pack(">I", zlib.crc32(kind + body))
        chunks[kind], rest = body, rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)


def test_the_sound_is_a_whole_wav() -> None:
    with wave.open(io.BytesIO(media.tone())) as sound:
        assert sound.getnframes() / sound.getframerate() == 0.1
        assert len(set(sound.readframes(-1))) > 10


def test_completion_knows_the_cities_of_a_country() -> None:
    assert words.countries("") == list(words.CITIES)
    assert words.cities("", "Italy") == ["Rome", "Milan", "Naples"]
    assert words.cities("", "Nowhere") == []


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of the README, without its head."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_readme_lists_the_tools_and_their_arguments() -> None:
    documented = [(*names(tool), names(arguments)) for tool, arguments, _ in rows("Tools")]
    schemas = ((tool.name, cast("dict[str, object]", tool.input_schema["properties"])) for tool in build().tools)
    assert documented == [(name, list(properties)) for name, properties in schemas]


def test_the_readme_lists_the_resources() -> None:
    resources = build().resources
    served = [*(each.uri for each in resources.fixed), *(each.template.template for each in resources.templates)]
    assert [name for cell, _ in rows("Resources") for name in names(cell)] == served


def test_the_readme_lists_the_prompts_and_their_arguments() -> None:
    documented = [(*names(prompt), names(arguments)) for prompt, arguments, _ in rows("Prompts")]
    assert documented == [(prompt.name, list(prompt.arguments)) for prompt in build().prompts]
