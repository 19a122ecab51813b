"""Objects and packs as no honest git writes them."""

from __future__ import annotations

import hashlib
import struct
import zlib

from tests.servers.git.forge import Repo

BLOB, REFERENCE_DELTA = 3, 7
ONE, TWO = b"\x11" * 20, b"\x22" * 20


def write_object(repo: Repo, kind: str, content: bytes) -> str:
    """Store an object of any content; gives its hash."""
    return repo.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=content).decode().strip()


def commit_tree(repo: Repo, *entries: tuple[str, bytes, bytes], head: str = "HEAD") -> str:
    """Commit a tree of entries (mode, name, hash), whatever they are called, and point a ref at it."""
    tree = write_object(
        repo, "tree", b"".join(mode.encode() + b" " + name + b"\0" + sha for mode, name, sha in entries)
    )
    who = b"Eve <eve@example.org> 1700000000 +0000"
    text = b"tree %s\nauthor %s\ncommitter %s\n\nforged\n" % (tree.encode(), who, who)
    commit = write_object(repo, "commit", text)
    repo.write(f".git/{head}", f"{commit}\n")
    return commit


def number(value: int) -> bytes:
    """A number as deltas have it."""
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def entry(kind: int, content: bytes, base: bytes = b"", size: int | None = None) -> bytes:
    """An entry of a pack; `base` is the hash that a delta names, `size` what it claims to have."""
    left = len(content) if size is None else size
    head, left = bytearray([kind << 4 | left & 0x0F]), left >> 4
    while left:
        head[-1] |= 0x80
        head.append(left & 0x7F)
        left >>= 7
    return bytes(head) + base + zlib.compress(content)


def write_pack(repo: Repo, entries: dict[bytes, bytes], offset: int | None = None) -> None:
    """Write a pack and its index; `offset` is told of every entry in place of the true one."""
    data, offsets = b"PACK" + struct.pack(">II", 2, len(entries)), dict[bytes, int]()
    for sha, content in entries.items():
        offsets[sha] = len(data) if offset is None else offset
        data += content
    checksum = hashlib.sha1(data, usedforsecurity=False).digest()
    names = sorted(offsets)
    index = b"\xfftOc" + struct.pack(">I", 2)
    index += struct.pack(">256I", *(sum(name[0] <= first for name in names) for first in range(256)))
    index += b"".join(names) + bytes(4 * len(names)) + b"".join(struct.pack(">I", offsets[name]) for name in names)
    index += checksum
    index += hashlib.sha1(index, usedforsecurity=False).digest()
    repo.write(f".git/objects/pack/pack-{checksum.hex()}.pack", data + checksum)
    repo.write(f".git/objects/pack/pack-{checksum.hex()}.idx", index)
