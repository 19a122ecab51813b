"""The lines of the audit log: each holds the hash of the one before it, so that none can be changed unseen.

A line is a JSON object whose last members are `prev` and `hash`. `hash` is SHA-256, in hexadecimal, of the bytes of the
line without that member: what stands before `,"hash":`, and a closing brace. `prev` is the hash of the line before, and
`seq`, the first member, counts the lines from 1. The chain goes on from file to file.

What this finds, and what it cannot: a line that is edited, cut out, inserted or moved breaks the chain. Lines cut off
at the end leave the head (`FILE.head`, the number and the hash of the last line on the disk) behind. Whoever may write
both files can write them anew from the first line on; against that a hash must be kept where he cannot write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from mcp_kernel.protocol.jsonrpc import to_bytes

GENESIS: Final = "0" * 64
"""What stands as `prev` in the first line."""

_LINE: Final = re.compile(rb'(\{"seq":([1-9][0-9]{0,18}),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}')
_HEAD: Final = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")
_MISSING: Final = re.compile(rb'\{"seq":[0-9]+,"time":"[^"]*","event":"(missing)"')


class Link(NamedTuple):
    """Where a chain stands: the number of a line and its hash."""

    sequence: int
    hash: str


START: Final = Link(0, GENESIS)


class Broken(Exception):
    """A line is not what was written; the text says what is wrong with it."""


def forge(record: Mapping[str, object], last: Link) -> tuple[bytes, Link]:
    """Make the line of a record that follows `last`, with its line feed."""
    body = to_bytes({"seq": last.sequence + 1, **record, "prev": last.hash})
    digest = sha256(body).hexdigest()
    return b'%b,"hash":"%b"}\n' % (body[:-1], digest.encode("ascii")), Link(last.sequence + 1, digest)


def read_line(line: bytes) -> tuple[Link, str]:
    """Return where the chain stands with a line, and the hash that it follows; raises `Broken`."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise Broken("this is no line of an audit log")
    link = Link(int(found[2]), found[4].decode("ascii"))
    if sha256(found[1] + b"}").hexdigest() != link.hash:
        raise Broken("its hash is not that of what it says: it was edited")
    return link, found[3].decode("ascii")


def write_head(last: Link) -> bytes:
    """What stands in the head, always of one length."""
    return b"%020d %b\n" % (last.sequence, last.hash.encode("ascii"))


def read_head(data: bytes) -> Link:
    """Read a head; raises `Broken`."""
    found = _HEAD.fullmatch(data)
    if found is None:
        raise Broken("this is no head of an audit log")
    return Link(int(found[1]), found[2].decode("ascii"))


class Examiner:
    """Goes along a chain and says what is wrong.

    Args:
        after: The hash that the first line must follow: of the last line of a file that is kept elsewhere.
        anchors: Hashes that must occur.
        head: The last line that was written, so that it must be there.
        growing: Lines may follow the head, since a server is writing.
    """

    def __init__(
        self,
        after: str | None = None,
        anchors: frozenset[str] = frozenset(),
        head: Link | None = None,
        *,
        growing: bool = False,
    ) -> None:
        self._after = after
        self._wanted = set(anchors)
        self._head = head
        self._growing = growing
        self._is_begun = False
        self.last = START
        """Where the chain stands so far."""
        self.lines = 0

    def take(self, line: bytes) -> Iterator[str]:
        """Look at the next line, without its line feed; gives what is wrong. Broken or not, the next follows it."""
        self.lines += 1
        try:
            link, previous = read_line(line)
        except Broken as error:
            yield str(error)
            found = _LINE.fullmatch(line)
            self.last = Link(int(found[2]), found[4].decode("ascii")) if found else self.last._replace(hash="")
            return
        self._wanted.discard(link.hash)
        if not self._is_begun:
            self._is_begun = True
            yield from self._begin(link, previous)
        elif link.sequence != self.last.sequence + 1 and self.last.hash:
            yield f"line {link.sequence} follows line {self.last.sequence}: lines are missing, or moved"
        elif previous != self.last.hash and self.last.hash:
            yield "it does not follow the line before it: that was rewritten, or this was put here"
        if self._head is not None and link.sequence == self._head.sequence and link != self._head:
            yield "this is not the line that was written: the head has another hash"
        if _MISSING.match(line):
            yield "when the server started here, lines that had been written were gone"
        self.last = link

    def _begin(self, link: Link, previous: str) -> Iterator[str]:
        if self._after is not None:
            if previous != self._after:
                yield "it does not follow the hash that was given"
        elif link.sequence != 1 or previous != GENESIS:
            yield f"the log begins with line {link.sequence}: name the files before it too, or the hash that it follows"

    def end(self) -> Iterator[str]:
        """Say what is wrong now that there are no more lines."""
        head = self._head
        if head is not None and head.sequence > self.last.sequence:
            yield f"the end was cut off: line {head.sequence} was written, and the last is {self.last.sequence}"
        elif head is not None and head.sequence < self.last.sequence and not self._growing:
            yield f"lines follow line {head.sequence}, the last of the head: put there, or a kill came before the head"
        for anchor in sorted(self._wanted):
            yield f"no line has the hash {anchor}"
