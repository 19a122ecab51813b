"""The table of revisions, and what a client may be asked in each."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_kernel.protocol.capabilities import FORM, ROOTS, SAMPLING, SAMPLING_WITH_TOOLS, URL, Caller
from mcp_kernel.protocol.revisions import LATEST, LATEST_LEGACY, LEGACY, MODERN, negotiate

ALL = {**LEGACY, **MODERN}


def caller(revision: str, **capabilities: object) -> Caller:
    return Caller(ALL[revision], capabilities)


def test_there_are_five_revisions() -> None:
    assert list(LEGACY) == ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
    assert list(MODERN) == ["2026-07-28"]
    assert LATEST_LEGACY.name == "2025-11-25"
    assert LATEST.name == "2026-07-28"


@pytest.mark.parametrize("name", LEGACY)
def test_a_revision_that_is_known_is_agreed_to(name: str) -> None:
    assert negotiate(name).name == name


@pytest.mark.parametrize("name", ["2026-07-28", "2099-01-01", "1.0", "", "2025-11-25 ", None, 1, ["2025-11-25"]])
def test_what_no_handshake_leads_to_is_answered_with_the_latest_one_that_it_does(name: object) -> None:
    assert negotiate(name).name == "2025-11-25"


def test_batches_are_of_one_revision() -> None:
    assert [name for name, row in ALL.items() if row.batching] == ["2025-03-26"]


# Which revisions can ask what, once the client declares it (client/elicitation, client/sampling of each).
ASKABLE: list[tuple[Any, dict[str, Any], list[str]]] = [
    (FORM, {"elicitation": {}}, ["2025-06-18", "2025-11-25", "2026-07-28"]),
    (URL, {"elicitation": {"url": {}}}, ["2025-11-25", "2026-07-28"]),
    (SAMPLING, {"sampling": {}}, list(ALL)),
    (SAMPLING_WITH_TOOLS, {"sampling": {"tools": {}}}, ["2025-11-25", "2026-07-28"]),
    (ROOTS, {"roots": {}}, list(ALL)),
]


@pytest.mark.parametrize(("required", "declared", "revisions"), ASKABLE)
def test_a_capability_counts_where_the_revision_has_it(required: Any, declared: Any, revisions: list[str]) -> None:
    assert [name for name in ALL if caller(name, **declared).supports(required)] == revisions
    assert not any(caller(name).supports(required) for name in ALL)


def test_an_empty_declaration_of_elicitation_means_forms_alone() -> None:
    assert caller("2025-11-25", elicitation={}).supports(FORM)
    assert not caller("2025-11-25", elicitation={}).supports(URL)


def test_a_declaration_that_names_modes_means_these() -> None:
    assert not caller("2026-07-28", elicitation={"url": {}}).supports(FORM)
    assert caller("2026-07-28", elicitation={"url": {}}).supports(URL)
    assert caller("2026-07-28", elicitation={"form": {}, "url": {}}).supports(FORM)
    assert not caller("2026-07-28", elicitation={"form": {}}).supports(URL)


@pytest.mark.parametrize("declared", [None, True, [], "yes", 1])
def test_a_declaration_that_is_no_object_declares_nothing(declared: object) -> None:
    assert not caller("2026-07-28", elicitation=declared).supports(FORM)
    assert not caller("2026-07-28", elicitation={"url": declared}).supports(URL)
    assert not caller("2026-07-28", sampling=declared).supports(SAMPLING)
    assert not caller("2026-07-28", roots=declared).supports(ROOTS)


def test_sampling_alone_does_not_include_tools() -> None:
    assert not caller("2025-11-25", sampling={}).supports(SAMPLING_WITH_TOOLS)
    assert caller("2025-11-25", sampling={"tools": {}}).supports(SAMPLING)
