"""The options of a client, for whoever makes clients of many servers; and how an entry of a host's file becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from mcp_kernel.client.failures import CannotStart
from mcp_kernel.client.target import Reach

if TYPE_CHECKING:
    from mcp_kernel.client.answers import Elicit, OpenPage, Roots, Sample
    from mcp_kernel.client.cache import ResponseCache
    from mcp_kernel.client.configuration import ServerEntry
    from mcp_kernel.client.conversation import MessageCallback
    from mcp_kernel.client.notices import ListChangedCallback, LogCallback, UpdatedCallback
    from mcp_kernel.client.resilience import Resilience


class Options(TypedDict, total=False):
    """The options of `Client`, as its documentation has them."""

    elicit: Elicit | None
    open_page: OpenPage | None
    sample: Sample | None
    roots: Roots | None
    on_log: LogCallback | None
    log_level: str
    on_message: MessageCallback | None
    on_list_changed: ListChangedCallback | None
    on_updated: UpdatedCallback | None
    revision: str | None
    capabilities: Mapping[str, object] | None
    timeout: float | None
    resilience: Resilience | None
    info: Mapping[str, object] | None
    validate: bool
    cache: ResponseCache | None
    principal: str
    reach: Reach | None


def point_at(entry: ServerEntry, options: Options) -> tuple[str | list[str], Options]:
    """The target and the options of a client for an entry; what the options' own `reach` says goes first."""
    given = options.get("reach") or Reach()
    reach = replace(
        given,
        env={**entry.env, **given.env},
        cwd=given.cwd if given.cwd is not None else entry.cwd,
        headers={**entry.headers, **given.headers},
    )
    target = entry.url if entry.url is not None else [entry.command or "", *entry.args]
    if isinstance(target, str) and not target.startswith(("http://", "https://")):
        raise CannotStart(f"The url of the server {entry.name!r} is no http or https URL.")
    return target, {**options, "reach": reach}
