"""The server: every feature of the protocol under the names that the official conformance suite calls them by.

The handlers stand in the modules `server_*`, by what they exercise; here is the order in which clients see them.
"""

from __future__ import annotations

from mcp_kernel import Server

from . import __version__, contact, server_asking, server_changes, server_content, server_reading, server_tasks

_INSTRUCTIONS = (
    "A server to test clients against. Each tool, resource and prompt exercises one feature of the protocol and says "
    "in its description which; nothing here has an effect outside this process."
)
_PAGE = 40  # items: the tools of the conformance suite stand on the first page, ours behind


def build() -> Server:
    """Make the server; each has a state of its own."""
    server = Server(
        "mcp-server-everything", __version__, title="Everything", instructions=_INSTRUCTIONS, page_size=_PAGE
    )
    _add_content(server)
    _add_questions(server)
    server.tool(read_only=True, open_world=False)(server_content.greet)
    server_tasks.add_tasks(server)
    server_reading.add_reading(server)
    server_changes.add_watched(server)
    _add_more(server)
    return server


def _add_content(server: Server) -> None:
    """What a server answers, and what it says on the way; the suite calls the first tool without arguments."""
    declare = server.tool(read_only=True, open_world=False)
    declare(server_content.test_simple_text)
    declare(server_content.test_image_content)
    declare(server_content.test_audio_content)
    declare(server_content.test_embedded_resource)
    declare(server_content.test_multiple_content_types)
    declare(server_changes.test_tool_with_logging)
    declare(server_changes.test_tool_with_progress)
    declare(server_content.test_error_handling)
    declare(server_asking.test_sampling)
    declare(server_asking.test_elicitation)
    declare(server_asking.test_elicitation_sep1034_defaults)
    declare(server_asking.test_elicitation_sep1330_enums)
    declare(server_changes.test_reconnection)
    by_schema = server.tool(read_only=True, open_world=False, input_schema=contact.SCHEMA)
    by_schema(server_content.json_schema_2020_12_tool)
    declare(server_asking.test_missing_capability)
    declare(server_asking.test_streaming_elicitation)
    declare(server_changes.test_logging_tool)
    server_changes.add_triggers(server)


def _add_questions(server: Server) -> None:
    """What a stateless request asks, in rounds."""
    declare = server.tool(read_only=True, open_world=False)
    declare(server_asking.test_input_required_result_elicitation)
    declare(server_asking.test_input_required_result_sampling)
    declare(server_asking.test_input_required_result_list_roots)
    declare(server_asking.test_input_required_result_request_state)
    declare(server_asking.test_input_required_result_multiple_inputs)
    declare(server_asking.test_input_required_result_multi_round)
    declare(server_asking.test_input_required_result_tampered_state)
    declare(server_asking.test_input_required_result_capabilities)
    mirroring = server.tool(read_only=True, open_world=False, input_schema=server_content.MIRRORED)
    mirroring(server_content.test_header_mirroring)


def _add_more(server: Server) -> None:
    """What the suite does not look at."""
    declare = server.tool(read_only=True, open_world=False)
    declare(server_content.test_structured_content)
    declare(server_content.test_structured_list)
    declare(server_content.test_resource_link)
    declare(server_changes.test_cancellation)
    declare(server_changes.test_client_view)
    declare(server_asking.test_url_elicitation)
    declare(server_asking.test_sampling_with_tools)
