"""The options of a client, as the openers of these tests take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from mcp_kernel.client.answers import Elicit, OpenPage, Roots, Sample
from mcp_kernel.client.notices import ListChangedCallback, LogCallback, UpdatedCallback
from mcp_kernel.client.resilience import Resilience


class Options(TypedDict, total=False):
    elicit: Elicit
    open_page: OpenPage
    sample: Sample
    roots: Roots
    on_log: LogCallback
    log_level: str
    on_list_changed: ListChangedCallback
    on_updated: UpdatedCallback
    capabilities: Mapping[str, object]
    timeout: float
    resilience: Resilience
    validate: bool


class FreeOptions(Options, total=False):
    """Those of a client whose server a test plays: its revision may be pinned, and what the server declares chosen."""

    revision: str
    declared: dict[str, object]
