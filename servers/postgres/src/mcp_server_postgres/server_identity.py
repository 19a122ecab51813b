"""Whose rights a call has: what the token of whoever makes it says, as the operator wants it understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcp_kernel import Context

from .identity import Identity
from .refusals import Refusal

LONGEST_CLAIM = 1000


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claim of a token is the role (`--set-role-from`), and which are settings (`--set-local NAME=CLAIM`)."""

    role: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def are_needed(self) -> bool:
        """Whether a call has an identity at all."""
        return self.role is not None or bool(self.settings)

    def read(self, context: Context) -> Identity:
        """The identity of whoever asks; refuses a token without one of the claims, and a call without a token."""
        if context.principal is None:
            raise Refusal("This server acts for whoever a token names, and the request has none.")
        claims = context.principal.claims
        role = None if self.role is None else _text(claims, self.role)
        identity = Identity(role, tuple((name, _text(claims, claim)) for name, claim in self.settings))
        identity.check()
        return identity


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refusal(f"The token has no claim {name} that is a text or an integer, and this server needs one.")
    text = str(value)
    if len(text) > LONGEST_CLAIM:
        raise Refusal(f"The claim {name} of the token is longer than {LONGEST_CLAIM} characters.")
    return text
