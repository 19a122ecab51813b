"""Resources, prompts, and what completes their arguments."""

from __future__ import annotations

from mcp_kernel import Context, EmbeddedResource, Image, Message, Server

from . import forms, media, words

_TEMPLATE = "test://template/{id}/data"


async def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


async def static_binary() -> bytes:
    """A picture: a red square."""
    return media.picture()


async def template_data(id: str) -> dict[str, object]:
    """Data for any id."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


async def test_simple_prompt() -> str:
    """A message of one text."""
    return "This is a simple prompt for testing."


async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A message with two arguments, which completion knows some values for.

    Args:
        arg1: A country, say; anything will do.
        arg2: A city, say, of that country.
    """
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803  # the name on the wire
    """A message with the content of a resource, and one about it.

    Args:
        resourceUri: The URI to show for the resource.
    """
    resource = EmbeddedResource(resourceUri, "Embedded resource content for testing.", "text/plain")
    return [Message(resource), Message("Please process the embedded resource above.")]


async def test_prompt_with_image() -> list[Message]:
    """A message with a picture, and one about it."""
    return [Message(Image(media.picture())), Message("Please analyze the image above.")]


async def test_input_required_result_prompt(ctx: Context) -> str:
    """A message for which the user is asked first."""
    filled_in = await ctx.elicit("user_context", "What context should the prompt use?", forms.text("context"))
    return f"Use this context: {filled_in['context']}"


def add_reading(server: Server) -> None:
    """Add them all."""
    server.resource("test://static-text", name="static-text", mime_type="text/plain")(static_text)
    server.resource("test://static-binary", name="static-binary", mime_type="image/png")(static_binary)
    server.resource(_TEMPLATE, name="template-data", mime_type="application/json")(template_data)
    declare = server.prompt()
    for function in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
        test_input_required_result_prompt,
    ):
        declare(function)
    _add_completions(server)


def _add_completions(server: Server) -> None:
    @server.complete("test_prompt_with_arguments", "arg1")
    async def complete_country(typed: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return words.countries(typed)

    @server.complete("test_prompt_with_arguments", "arg2")
    async def complete_city(typed: str, arg1: str = "") -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return words.cities(typed, arg1)

    @server.complete(_TEMPLATE, "id")
    async def complete_id(typed: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [number for number in ("1", "2", "3", "10", "123") if number.startswith(typed)]
