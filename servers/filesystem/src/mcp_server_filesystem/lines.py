"""Whole lines of a file: the first, the last, or a range, and as many as an answer holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .content import MOST_BYTES, Source
from .encodings import SAMPLE, Encoding, detect
from .errand import Errand
from .refusals import Refusal

_CHUNK = 256 * 1024
_FIRST_STEP = 8 * 1024  # of reading from the end, then more
Edge = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines are wanted: `count` of them (None: all) from line `first` on, or the last ones."""

    first: int = 1
    count: int | None = None
    from_end: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether the whole file is wanted."""
        return self.first == 1 and self.count is None


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a file. `first` counts from 1 and is 0 where it is not known; `is_cut` that there were more wanted.

    `split` says that even the first line did not fit and is shown in part.
    """

    text: str
    encoding: Encoding
    first: int
    lines: int
    is_cut: bool = False
    split: bool = False


def take_lines(source: Source, wish: Wish, room: int, errand: Errand) -> Piece | None:
    """Read the lines that are wanted, at most `room` bytes of them (0: the bound of all reading); None for no text."""
    room = min(room or MOST_BYTES, MOST_BYTES)
    head = source.read(SAMPLE, errand) if source.whole is None else source.whole
    encoding = detect(head, whole=source.whole is not None)
    if encoding is None:
        return None
    if encoding.is_wide:
        return _take_decoded(source, encoding, wish, room, errand)
    taken = (
        _take_end(source, encoding, wish, room, errand)
        if wish.from_end
        else _take(source, encoding, wish, room, errand)
    )
    data, first, is_cut = taken
    return _make_piece(data, encoding, wish, first, is_cut, room)


def _make_piece(data: bytes, encoding: Encoding, wish: Wish, first: int, is_cut: bool, room: int) -> Piece:
    split = False
    if is_cut or len(data) > room:
        data, is_cut, split = _trim(data, room, encoding, wish.from_end)
    if not encoding.assumed and encoding.name == "utf-8":
        found = detect(data)
        encoding = encoding if found is None or not found.assumed or encoding.mark else found
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    if not wish.is_everything or is_cut:
        data = _strip_end(data)
    return Piece(encoding.decode(data), encoding, first, lines, is_cut, split)


def _strip_end(data: bytes) -> bytes:
    if data.endswith(b"\r\n"):
        return data[:-2]
    return data[:-1] if data.endswith(b"\n") else data


def _trim(data: bytes, room: int, encoding: Encoding, from_end: bool) -> tuple[bytes, bool, bool]:
    """Cut to whole lines within `room`, or a single one between two characters; says if cut, and if a line was."""
    if len(data) <= room:
        return data, True, False
    if from_end:
        kept = data[-room:]
        start = kept.find(b"\n") + 1
        if data[-room - 1 : -room] == b"\n":
            return kept, True, False
        if 0 < start < len(kept):
            return kept[start:], True, False
        return kept.decode("utf-8", "ignore").encode() if encoding.name == "utf-8" else kept, True, True
    kept = data[:room]
    end = kept.rfind(b"\n") + 1
    if end:
        return kept[:end], True, False
    return kept.decode("utf-8", "ignore").encode() if encoding.name == "utf-8" else kept, True, True


def _take(source: Source, encoding: Encoding, wish: Wish, room: int, errand: Errand) -> tuple[bytes, int, bool]:
    """The bytes of the lines from `first` on; a bit more than `room` where there is more."""
    offset, skip, past = len(encoding.mark), wish.first - 1, 0
    parts: list[bytes] = []
    held, wanted = 0, wish.count
    step = _FIRST_STEP if wish.count and not skip else _CHUNK
    while chunk := source.read(step if skip else min(step, max(room - held + 1, 4096)), errand, offset):
        offset += len(chunk)
        step = min(step * 4, _CHUNK)
        if skip:
            found = chunk.count(b"\n")
            if found < skip:
                skip, past = skip - found, past + found
                if errand.is_late:
                    raise Refusal(f"Line {wish.first} was not reached in time: {past} line feeds in {offset} bytes.")
                continue
            at = _find_line(chunk, skip)
            chunk, past, skip = chunk[at:], past + skip, 0
        if wanted is not None:
            found = chunk.count(b"\n")
            if found >= wanted:
                parts.append(chunk[: _find_line(chunk, wanted)])
                data = b"".join(parts)
                return data, wish.first, len(data) > room
            wanted -= found
        parts.append(chunk)
        held += len(chunk)
        if held > room:
            return b"".join(parts), wish.first, True
    if skip and wish.first > 1:
        raise Refusal(f"The file has {past} line feeds, so no line {wish.first}. Ask for an earlier one.")
    return b"".join(parts), wish.first, False


def _find_line(chunk: bytes, number: int) -> int:
    """Where the part after so many line feeds begins."""
    at = 0
    for _ in range(number):
        at = chunk.index(b"\n", at) + 1
    return at


def _take_end(source: Source, encoding: Encoding, wish: Wish, room: int, errand: Errand) -> tuple[bytes, int, bool]:
    """The bytes of the last lines; which line the first of them is is known only where the start was reached."""
    start, size, wanted = len(encoding.mark), source.size, wish.count or 0
    data, position, step = b"", size, _FIRST_STEP
    while position > start and len(data) <= room:
        step = min(step, position - start)
        position -= step
        data = source.read(step, errand, position) + data
        at = _find_line_back(data, wanted)
        if at >= 0:
            data = data[at:]
            return data, 0, len(data) > room
        step = min(step * 4, _CHUNK)
    return data, 1 if position <= start else 0, position > start


def _find_line_back(data: bytes, number: int) -> int:
    """Where the last so many lines begin; -1 where there are fewer. A line feed at the very end opens no line."""
    at = len(data) - 1
    for _ in range(number):
        at = data.rfind(b"\n", 0, max(at, 0))
        if at < 0:
            return -1
    return at + 1


def _take_decoded(source: Source, encoding: Encoding, wish: Wish, room: int, errand: Errand) -> Piece:
    """The same for encodings in which a line feed is several bytes: through UTF-8."""
    if source.size > MOST_BYTES:
        raise Refusal(f"A file in {encoding.name} is read up to {MOST_BYTES} bytes. Convert it to UTF-8 first.")
    text = encoding.decode(source.read(MOST_BYTES, errand)[len(encoding.mark) :])
    every = text.split("\n")
    closed = every[-1] == "" and len(every) > 1
    lines = every[:-1] if closed else every
    if wish.from_end:
        first = max(len(lines) - (wish.count or 0), 0)
        chosen = lines[first:]
    else:
        first = wish.first - 1
        if first and first >= len(lines):
            raise Refusal(f"The file has {len(lines)} lines, so no line {wish.first}. Ask for an earlier one.")
        chosen = lines[first:] if wish.count is None else lines[first : first + wish.count]
    ended = closed or first + len(chosen) < len(lines)
    data = "\n".join(chosen).encode("utf-8", "replace") + (b"\n" if ended else b"")
    inner = Encoding("utf-8", b"\xef\xbb\xbf")
    piece = _make_piece(data, inner, wish, first + 1, len(data) > room, room)
    return Piece(piece.text, encoding, piece.first, piece.lines, piece.is_cut, piece.split)
