"""What a refusal asks for: the `WWW-Authenticate` header (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A parameter comes before a scheme, so that `scope="a"` is not taken for a scheme `scope`; after the scheme may stand
# a token68, which no scheme used here has, and which is skipped.
_PART: Final = re.compile(
    rf'[\s,]*(?:(?P<name>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_WORD}))(?=\s*(?:,|$))'
    rf"|(?P<scheme>{_WORD})(?:\s+[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$)))?(?=[\s,]|$))",
    re.DOTALL,
)
_LIMIT: Final = 16 * 1024  # characters; real challenges have a few hundred


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, its parameters by their names in lower case."""

    scheme: str = "bearer"
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def error(self) -> str:
        """OAuth's error code, or nothing."""
        return self.parameters.get("error", "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the request takes."""
        return tuple(self.parameters.get("scope", "").split())

    @property
    def resource_metadata(self) -> str:
        """Where the resource describes itself (RFC 9728, section 5.1), or nothing."""
        return self.parameters.get("resource_metadata", "")


def read_challenges(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of all `WWW-Authenticate` headers; what follows something unreadable is left out."""
    challenges: list[Challenge] = []
    for header in headers:
        parameters: dict[str, str] | None = None
        position = 0
        text = header[:_LIMIT].rstrip(", \t")
        while position < len(text) and (part := _PART.match(text, position)):
            position = part.end()
            if part["scheme"]:
                parameters = {}
                challenges.append(Challenge(part["scheme"].lower(), parameters))
            elif parameters is not None:
                quoted = part["quoted"]
                value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
                parameters.setdefault(part["name"].lower(), value)
    return challenges


def choose_challenge(challenges: list[Challenge], *, proofs: bool) -> Challenge | None:
    """The challenge to answer, DPoP first where proofs are possible; an empty one where there is none at all.

    None where there are only challenges of other schemes, which no token answers.
    """
    if not challenges:
        return Challenge()
    for scheme in ("dpop", "bearer") if proofs else ("bearer", "dpop"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None
