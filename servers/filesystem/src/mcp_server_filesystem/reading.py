"""Reading files: text by lines with a tag of its state, several files at once, pictures and sound."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass

from .confinement import Scope
from .content import MOST_BYTES, open_source
from .encodings import UTF_8, detect
from .errand import Errand
from .lines import Piece, Wish, take_lines
from .refusals import Refusal, spell

MOST_PATHS = 100
_RESERVE = 512  # bytes of an answer that are kept for what is said beside the content
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"%PDF-", "application/pdf"),
)
_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".avif": "image/avif",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".md": "text/markdown",
    ".ts": "text/typescript",
}


@dataclass(frozen=True, slots=True)
class Text:
    """What was read of a text file, and what is to say of it."""

    content: str
    remark: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file as bytes, with its type."""

    data: bytes
    mime_type: str
    real: str


def read_text(scope: Scope, path: str, wish: Wish, most_bytes: int, errand: Errand) -> Text:
    """Read lines of a text file; raises `Refusal` for what is no text."""
    with open_source(scope, path) as source:
        piece = take_lines(source, wish, max(most_bytes - _RESERVE, 1024) if most_bytes else 0, errand)
        if piece is None:
            kind = guess_type(path, source.read(64, errand))
            raise Refusal(
                f"{spell(path)} is binary ({kind}, {source.size} bytes) and no text. "
                "read_media_file returns it as it is."
            )
        return Text(piece.text, _remark(piece, wish, source.size, source.etag()))


def _remark(piece: Piece, wish: Wish, size: int, etag: str) -> str:
    said = [f"etag {etag}"]
    if piece.encoding != UTF_8:
        said.append(str(piece.encoding))
    if not wish.is_everything or piece.is_cut:
        said.append(_name_lines(piece))
    text = f"[{'; '.join(said)}]"
    if not piece.is_cut:
        return text
    if piece.split:
        return (
            f"{text}\n[Cut: this line alone is longer than an answer may be; the file has {size} bytes. "
            "search_file_contents finds places in it, and read_media_file returns all of it as bytes. "
            f"{_after(piece, 1).rstrip()}]"
        )
    if wish.from_end:
        return (
            f"{text}\n[Cut: the last lines that fit are shown, of {size} bytes in all. Ask for fewer, or use offset.]"
        )
    return f"{text}\n[Cut: the file has {size} bytes, more than an answer may hold. {_after(piece, piece.lines)}]"


def _name_lines(piece: Piece) -> str:
    if not piece.lines:
        return "no lines"
    if not piece.first:
        return "the last line" if piece.lines == 1 else f"the last {piece.lines} lines"
    last = piece.first + piece.lines - 1
    return f"line {last}" if piece.lines == 1 else f"lines {piece.first} to {last}"


def _after(piece: Piece, lines: int) -> str:
    return f"Go on with offset={piece.first + lines}. " if piece.first else ""


def read_several(scope: Scope, paths: Sequence[str], most_bytes: int, errand: Errand) -> str:
    """Read several text files into one text; what cannot be read says so in its place."""
    if not paths:
        raise Refusal("At least one file path must be provided.")
    if len(paths) > MOST_PATHS:
        raise Refusal(f"{len(paths)} paths were given; {MOST_PATHS} are the most of one call.")
    room = most_bytes - _RESERVE if most_bytes else MOST_BYTES
    parts: list[str] = []
    for number, path in enumerate(paths):
        if room < 1024:
            rest = ", ".join(spell(each) for each in paths[number : number + 10])
            parts.append(f"[Cut: {len(paths) - number} of {len(paths)} files did not fit. Call again for {rest}.]")
            break
        part = _read_one(scope, path, room, errand)
        room -= len(part.encode("utf-8", "replace")) + 5
        parts.append(part)
    return "\n---\n".join(parts)


def _read_one(scope: Scope, path: str, room: int, errand: Errand) -> str:
    try:
        text = read_text(scope, path, Wish(), room, errand)
    except Refusal as refusal:
        return f"{spell(path)}: Error - {refusal}"
    remark = text.remark if "\n" in text.remark or ";" in text.remark else ""
    return f"{spell(path)}:\n{text.content}\n{remark}"


def read_media(scope: Scope, path: str, errand: Errand) -> Media:
    """Read a file as bytes; raises `Refusal` for one that is too large."""
    with open_source(scope, path) as source:
        if source.size > MOST_BYTES:
            raise Refusal(f"{spell(path)} has {source.size} bytes; {MOST_BYTES} are the most that is sent as it is.")
        data = source.read(MOST_BYTES, errand)
        return Media(data, guess_type(source.opened.real, data), source.opened.real)


def read_resource(scope: Scope, path: str, errand: Errand) -> tuple[str | bytes, str]:
    """Read a whole file as text, or as bytes where it is none, with its type."""
    media = read_media(scope, path, errand)
    encoding = detect(media.data)
    if encoding is None or media.mime_type.startswith(("image/", "audio/", "video/")):
        return media.data, media.mime_type
    kind = media.mime_type if media.mime_type != "application/octet-stream" else "text/plain"
    return encoding.decode(media.data[len(encoding.mark) :]), kind


def guess_type(path: str, data: bytes) -> str:
    """The media type of a file, by its name, or else by its first bytes."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # a name with bytes that are no path to pathlib
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix)
    if kind:
        return kind
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "application/octet-stream")
