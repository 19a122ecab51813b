"""The table of revisions: a revision is a row, what it can carry are its flags.

Everything that a legacy revision lacks is written here once; `exchange` and `legacy` read the flags and know no dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Era: TypeAlias = Literal["legacy", "modern"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One dated version of the specification, and what may be sent to a client that speaks it."""

    name: str
    era: Era = "legacy"
    batching: bool = False  # JSON-RPC batches: 2025-03-26 alone
    audio: bool = True  # audio content: from 2025-03-26
    annotations: bool = True  # the hints of a tool, the completions capability: from 2025-03-26
    structured_output: bool = True  # structuredContent, outputSchema, resource links, titles: from 2025-06-18
    elicitation: bool = True  # forms: from 2025-06-18
    icons: bool = True  # icons, sampling with tools, URL elicitation, choices of several: from 2025-11-25
    polling: bool = False  # priming events, retry, streams that end early: 2025-11-25 alone
    any_structure: bool = False  # structuredContent that is no object: from 2026-07-28


LEGACY: Final[dict[str, Revision]] = {
    row.name: row
    for row in (
        Revision(
            name="2024-11-05",
            audio=False,
            annotations=False,
            structured_output=False,
            elicitation=False,
            icons=False,
        ),
        Revision(name="2025-03-26", batching=True, structured_output=False, elicitation=False, icons=False),
        Revision(name="2025-06-18", icons=False),
        Revision(name="2025-11-25", polling=True),
    )
}
MODERN: Final[dict[str, Revision]] = {
    row.name: row for row in (Revision(name="2026-07-28", era="modern", any_structure=True),)
}
KNOWN: Final = LEGACY | MODERN

LATEST_LEGACY: Final = LEGACY["2025-11-25"]
LATEST: Final = MODERN["2026-07-28"]


def negotiate(requested: object) -> Revision:
    """Return the revision that answers a handshake asking for `requested`.

    An unknown revision, and a modern one, which has no handshake, are answered with the latest legacy revision.
    """
    return LEGACY.get(requested, LATEST_LEGACY) if isinstance(requested, str) else LATEST_LEGACY
