"""The checkup of one server of a host's file: it is launched, asked what it offers, and left."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcp_kernel.console.leaks import Leak, find_leaks, is_secret_name
from mcp_kernel.protocol.revisions import LEGACY, MODERN

if TYPE_CHECKING:
    from mcp_kernel.client.client import Client
    from mcp_kernel.client.configuration import ServerEntry

_REMOVED: Final = "***"
_SHORTEST: Final = 4  # characters of a secret that is taken out of texts: shorter ones are parts of common words


@dataclass(slots=True)
class Checkup:
    """What was found out about one server: `failure` says why it does not work, None where it does."""

    server: str
    failure: str | None = None
    seconds: float | None = None
    revision: str | None = None
    era: str | None = None
    noise: list[str] = field(default_factory=list[str])
    leaks: list[str] = field(default_factory=list[str])
    tools: list[str] = field(default_factory=list[str])
    unhinted: list[str] = field(default_factory=list[str])
    clashes: list[str] = field(default_factory=list[str])
    tokens: int = 0

    @property
    def problems(self) -> list[str]:
        """What should be mended, in sentences."""
        found = [f"does not work: {self.failure}"] if self.failure is not None else []
        found += [
            f"has a secret in its command line or URL: {leak}. Other programs can read it there; move it to env, or "
            "to a header"
            for leak in self.leaks
        ]
        if self.noise:
            found.append(f"says on stdout what is no message of the protocol; that belongs on stderr: {self.noise[0]}")
        return found + [f"has a tool of the same name as another server: {clash}" for clash in self.clashes]

    @property
    def remarks(self) -> list[str]:
        """What is worth knowing, and is no fault of the configuration."""
        if not self.unhinted:
            return []
        names = ", ".join(self.unhinted)
        return [f"does not say whether these tools change anything, so that hosts must assume it: {names}"]


async def check_server(entry: ServerEntry, limit: float) -> Checkup:
    """Examine one server within `limit` seconds; whatever is wrong with it is in what comes back."""
    from mcp_kernel.client.client import Client
    from mcp_kernel.client.failures import ClientError
    from mcp_kernel.client.options import point_at
    from mcp_kernel.client.resilience import Resilience

    found = Checkup(entry.name)
    leaks = find_leaks(entry.args, entry.url)
    found.leaks = [leak.where for leak in leaks]
    try:
        target, options = point_at(entry, {"timeout": None, "resilience": Resilience(attempts=1)})
        client = Client(target, **options)
        try:
            async with asyncio.timeout(limit):
                await _examine(client, found)
        finally:
            await client.close()
    except ClientError as error:
        found.failure = str(error)
    except TimeoutError:
        found.failure = f"{'it stopped answering' if found.seconds else 'no answer came'} within {limit:g} s"
    _take_out_secrets(found, entry, leaks)
    return found


async def _examine(client: Client, found: Checkup) -> None:
    from mcp_kernel.client.formats import estimate_tokens

    start = time.perf_counter()
    server = await client.connect()
    found.seconds = time.perf_counter() - start
    found.revision = server.revision
    row = {**LEGACY, **MODERN}.get(server.revision)
    found.era = row.era if row is not None else None
    tools = await client.list_tools() if server.supports("tools") else []
    found.tools = [tool.name for tool in tools]
    found.unhinted = [tool.name for tool in tools if not _says_what_it_changes(tool.annotations)]
    found.tokens = sum(estimate_tokens(tool.wire) for tool in tools)
    found.noise = list(client.noise)


def _says_what_it_changes(annotations: dict[str, object]) -> bool:
    """`readOnlyHint` decides: without it a host has to ask its user before each call."""
    return any(isinstance(annotations.get(hint), bool) for hint in ("readOnlyHint", "destructiveHint"))


def _take_out_secrets(found: Checkup, entry: ServerEntry, leaks: Sequence[Leak]) -> None:
    """What a server wrote may quote the secrets that it was given."""
    secrets = {leak.value for leak in leaks} | set(entry.headers.values())
    secrets |= {value for name, value in entry.env.items() if is_secret_name(name)}
    secrets |= {value.removeprefix("Bearer ") for value in entry.headers.values()}
    ordered = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret, _REMOVED)
        return entry.redact(text)

    found.failure = clean(found.failure) if found.failure is not None else None
    found.noise = [clean(line) for line in found.noise]


def find_clashes(checkups: Iterable[Checkup]) -> None:
    """Note which tools two servers of one file have; a model cannot tell them apart."""
    owners: defaultdict[str, list[Checkup]] = defaultdict(list)
    for checkup in checkups:
        for tool in dict.fromkeys(checkup.tools):
            owners[tool].append(checkup)
    for tool, having in owners.items():
        for checkup in having:
            others = [other.server for other in having if other is not checkup]
            if others:
                checkup.clashes.append(f"{tool} ({', '.join(others)})")
