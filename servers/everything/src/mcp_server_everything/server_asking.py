"""Tools that ask: the user, the host's model, the client for its roots."""

from __future__ import annotations

import asyncio
from typing import Final

from mcp_kernel import Context, Declined, Sampling

from . import forms

_LOOK_UP: Final[dict[str, object]] = {
    "name": "look_up",
    "description": "Look a word up.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the host's model.

    Args:
        prompt: What to ask it.
    """
    answer = await ctx.sample("prompt", prompt, Sampling(max_tokens=100))
    return f"LLM response: {answer.text}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the user for a name and an address; a refusal is an answer too.

    Args:
        message: What to show the user.
    """
    return f"User response: {await _fill_in(ctx, message, forms.IDENTITY)}"


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask the user with a form that has a default for each kind of field."""
    return f"Elicitation completed: {await _fill_in(ctx, 'Check these values', forms.DEFAULTS)}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask the user with a form that offers choices in each way there is."""
    return f"Elicitation completed: {await _fill_in(ctx, 'Choose', forms.CHOICES)}"


async def _fill_in(ctx: Context, message: str, form: forms.Form) -> str:
    try:
        content = await ctx.elicit("form", message, form)
    except Declined as declined:
        return f"action={declined.action}"
    return f"action=accept, content={content}"


async def test_missing_capability(ctx: Context) -> str:
    """Need the host's model, and say so to a client that has none to offer."""
    return (await ctx.sample("any", "Say anything.", Sampling(max_tokens=10))).text


async def test_streaming_elicitation(ctx: Context) -> str:
    """Report progress, then ask the user: whatever is streamed before, the question is part of the answer."""
    await ctx.progress(1, 2, "About to ask")
    filled_in = await ctx.elicit("color", "Which color?", forms.text("color"))
    await ctx.progress(2, 2, "Answered")
    return f"The color is {filled_in['color']}."


async def test_input_required_result_elicitation(ctx: Context) -> str:
    """Ask the user one thing."""
    filled_in = await ctx.elicit("user_name", "What is your name?", forms.text("name"))
    return f"Hello, {filled_in['name']}!"


async def test_input_required_result_sampling(ctx: Context) -> str:
    """Ask the host's model one thing."""
    return (await ctx.sample("capital_question", "What is the capital of France?", Sampling(max_tokens=100))).text


async def test_input_required_result_list_roots(ctx: Context) -> str:
    """Ask for the client's roots."""
    return f"Roots: {', '.join(root.uri for root in await ctx.roots()) or 'none'}"


async def test_input_required_result_request_state(ctx: Context) -> str:
    """Ask, and check the state that comes back with the answer."""
    filled_in = await ctx.elicit("confirm", "Please confirm", forms.tick("ok"))
    return f"state-ok, ok={filled_in['ok']}"


async def test_input_required_result_multiple_inputs(ctx: Context) -> str:
    """Ask the user, the model and the client in one round."""
    filled_in, greeting, roots = await asyncio.gather(
        ctx.elicit("user_name", "What is your name?", forms.text("name")),
        ctx.sample("greeting", "Generate a greeting", Sampling(max_tokens=50)),
        ctx.roots(),
    )
    return f"{filled_in['name']}: {greeting.text} ({len(roots)} roots)"


async def test_input_required_result_multi_round(ctx: Context) -> str:
    """Ask twice, the second time when the first answer is there."""
    first = await ctx.elicit("step1", "Step 1: What is your name?", forms.text("name"))
    second = await ctx.elicit("step2", "Step 2: What is your favorite color?", forms.text("color"))
    return f"{first['name']} likes {second['color']}."


async def test_input_required_result_tampered_state(ctx: Context) -> str:
    """Ask, and refuse a state that somebody changed on its way."""
    filled_in = await ctx.elicit("confirm", "Please confirm", forms.tick("ok"))
    return f"ok={filled_in['ok']}"


async def test_input_required_result_capabilities(ctx: Context) -> str:
    """Ask only what the client can answer, of the user, the model and the roots."""
    asked: list[str] = []
    async with asyncio.TaskGroup() as group:
        if ctx.supports(elicitation={}):
            group.create_task(ctx.elicit("user_name", "What is your name?", forms.text("name")))
            asked.append("elicitation")
        if ctx.supports(sampling={}):
            group.create_task(ctx.sample("greeting", "Generate a greeting", Sampling(max_tokens=50)))
            asked.append("sampling")
        if ctx.supports(roots={}):
            group.create_task(ctx.roots())
            asked.append("roots")
    return f"Asked: {', '.join(asked) or 'nothing'}"


async def test_url_elicitation(ctx: Context) -> str:
    """Ask the user to open a page, for what must not pass through the client."""
    try:
        await ctx.elicit_url("page", "Open this page to go on.", "https://example.com/authorize?state=test")
    except Declined as declined:
        return f"action={declined.action}"
    return "action=accept"


async def test_sampling_with_tools(question: str, ctx: Context) -> str:
    """Ask the host's model and offer it a tool.

    Args:
        question: What to ask it.
    """
    sampling = Sampling(max_tokens=200, tools=[_LOOK_UP], tool_choice={"mode": "auto"})
    answer = await ctx.sample("question", question, sampling)
    calls = ", ".join(str(call.get("name")) for call in answer.tool_uses)
    return f"{answer.model} said {answer.text!r} and called {calls or 'nothing'}."
