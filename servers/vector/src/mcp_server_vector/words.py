"""How texts and queries become words for SQLite's full-text index."""

from __future__ import annotations

import re
from typing import Final

# Scripts written without spaces: each character is a word of its own, and a run of them a phrase.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
_UNSPACED_CHARACTER: Final = re.compile(f"([{_UNSPACED}])")
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MOST: Final = 64


def spell(text: str) -> str:
    """Bring a text into the form that is indexed: unspaced scripts spaced, `camelCase` also in its parts."""
    spaced = _UNSPACED_CHARACTER.sub(r" \1 ", text)
    humps = {word for word in re.findall(r"\w+", spaced) if _HUMP.search(word)}
    return spaced if not humps else f"{spaced}\n{' '.join(_HUMP.sub(' ', word) for word in sorted(humps))}"


def terms(query: str) -> list[str]:
    """The terms of a query as FTS5 takes them, each quoted, so that none of it is syntax."""
    found: dict[str, None] = {}
    for word in _WORD.findall(query):
        parts = [word] if not _HUMP.search(word) else [word, *_HUMP.sub(" ", word).split()]
        for part in parts:
            spaced = _UNSPACED_CHARACTER.sub(r" \1 ", part.lower()).strip()
            found[f'"{spaced}"'] = None
    return list(found)[:_MOST]
