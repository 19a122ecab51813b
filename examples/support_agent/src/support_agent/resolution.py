"""What a resolution must look like. A model's answer is untrusted: a customer's text may have had a hand in it."""

from __future__ import annotations

from typing import Final

from mcp_kernel import Untrusted
from support_agent.model import ModelFailed

BEGINNING: Final = "Hi,"
END: Final = "— Support Team"
LONGEST: Final = 1000  # characters


def check_resolution(text: str, author: str) -> str:
    """The resolution in a model's answer; raises `ModelFailed` where there is none."""
    resolution = str(Untrusted(text.strip(), author))  # with characters that nobody would see spelled out
    if not (resolution.startswith(BEGINNING) and resolution.endswith(END)):
        wrong = f"does not go from “{BEGINNING}” to “{END}”"
    elif len(resolution) > LONGEST:
        wrong = f"has {len(resolution)} characters, and {LONGEST} are the most"
    else:
        return resolution
    raise ModelFailed(
        f"What {author} wrote {wrong}, so nothing was closed: “{resolution[:200]}”. "
        "Run it again, name another model with --model, or use --api template."
    )
