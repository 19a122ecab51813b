"""Programs with a client in them, whose every message is written to the file that the variable WATCHED names.

As a program it is the command `mcp-kernel`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_kernel.client.conversation import Conversation
from mcp_kernel.console.program import main

if TYPE_CHECKING:
    from typing import Literal

    from mcp_kernel.client.conversation import Profile
    from mcp_kernel.client.link import Link


def watch() -> None:
    """Write a line for each message: which connection it is of, who sends it, and what."""
    if "WATCHED" not in os.environ:  # a command without a client, as a server is
        return
    begin = Conversation.__init__
    written = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    links: list[Link] = []

    def begin_watched(self: Conversation, link: Link, profile: Profile, *more: Any) -> None:
        if link not in links:
            links.append(link)
        connection = f"{os.getpid()}-{links.index(link)}"

        def note(sender: Literal["client", "server"], data: bytes) -> None:
            text = data.decode("utf-8", "surrogateescape")
            os.write(written, json.dumps([connection, sender, text]).encode() + b"\n")
            if profile.on_message is not None:
                profile.on_message(sender, data)

        begin(self, link, replace(profile, on_message=note), *more)

    setattr(Conversation, "__init__", begin_watched)  # noqa: B010  # an assignment would have to repeat the signature


if __name__ == "__main__":
    watch()
    sys.exit(main())
