"""Tools by what they answer: text, pictures, sound, resources, data, failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Ge, Le

from mcp_kernel import Audio, EmbeddedResource, Image, ResourceLink, ToolError

from . import contact, media


async def test_simple_text() -> str:
    """Answer with a text."""
    return "This is a simple text response for testing."


async def test_image_content() -> Image:
    """Answer with a picture: a red square."""
    return Image(media.picture())


async def test_audio_content() -> Audio:
    """Answer with a sound: a tenth of a second of 440 hertz."""
    return Audio(media.tone())


async def test_embedded_resource() -> EmbeddedResource:
    """Answer with the content of a resource."""
    return EmbeddedResource("test://embedded-resource", "This is an embedded resource content.", "text/plain")


async def test_multiple_content_types() -> list[str | Image | EmbeddedResource]:
    """Answer with a text, a picture and the content of a resource."""
    data = EmbeddedResource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return ["Multiple content types test:", Image(media.picture()), data]


async def test_error_handling() -> str:
    """Fail, as a tool does that tells the model why."""
    raise ToolError("This tool intentionally returns an error for testing")


async def json_schema_2020_12_tool(**arguments: object) -> str:
    """Take a contact, described with the whole vocabulary of JSON Schema 2020-12, and hold it to its schema."""
    misfit = contact.explain_misfit(arguments)
    if misfit:
        raise ToolError(f"This contact does not fit its schema: {misfit}.")
    return f"A contact with {', '.join(arguments)}."


async def greet(name: str) -> str:
    """Greet somebody, at once and never as a task.

    Args:
        name: Whom to greet.
    """
    return f"Hello, {name}!"


MIRRORED: Final = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "description": "Travels as Mcp-Param-Region too", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "description": "Travels as Mcp-Param-Priority too", "x-mcp-header": "Priority"},
    },
    "required": ["region"],
    "additionalProperties": False,
}


async def test_header_mirroring(region: str, priority: int = 0) -> str:
    """Take arguments that a client repeats in headers of its HTTP request, where the server compares them."""
    return f"region={region}, priority={priority}"


@dataclass(frozen=True, slots=True)
class Weather:
    """What `test_structured_content` answers."""

    city: str
    temperature: float
    conditions: str


async def test_structured_content(city: str) -> Weather:
    """Answer with an object, by an output schema, and with the same as a text.

    Args:
        city: Where; the weather is the same everywhere.
    """
    return Weather(city, 21.5, "clear")


async def test_structured_list(length: Annotated[int, Ge(0), Le(1000)] = 3) -> list[int]:
    """Answer with a list: structured content that is no object, where the revision has that.

    Args:
        length: How many numbers.
    """
    return list(range(length))


async def test_resource_link() -> list[str | ResourceLink]:
    """Answer with a link to a resource that can be read here, with annotations."""
    link = ResourceLink(
        "test://static-text",
        "static-text",
        "A resource with a text",
        "text/plain",
        annotations={"audience": ["user"], "priority": 0.5},
    )
    return ["The text stands in a resource:", link]
