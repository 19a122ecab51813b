"""Bytes to text: which encoding can be told, and which is assumed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

SAMPLE = 16 * 1024
_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\b\x1b")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's text is written; `mark` are the bytes at its beginning that say so, if any."""

    name: str
    mark: bytes = b""
    assumed: bool = False

    def __str__(self) -> str:
        mark = " with a byte order mark" if self.mark else ""
        return f"{self.name}{mark}{' (assumed: it is not UTF-8)' if self.assumed else ''}"

    @property
    def is_wide(self) -> bool:
        """Whether a line feed is more than one byte."""
        return self.name.startswith(("utf-16", "utf-32"))

    def decode(self, data: bytes) -> str:
        """Read bytes after the mark; what does not fit becomes a replacement character."""
        return data.decode(self.name, "replace")

    def encode(self, text: str) -> bytes:
        """Write text with the mark; raises `UnicodeEncodeError` where the encoding has no such character."""
        return self.mark + text.encode(self.name)


UTF_8 = Encoding("utf-8")


def detect(data: bytes, *, whole: bool = True) -> Encoding | None:
    """Tell the encoding of a file from its bytes, or from its first ones; None for what is no text.

    A byte order mark says it; without one it is UTF-8 where that fits, else it is assumed to be Windows' Western
    encoding, or Latin-1 where even that does not fit.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return Encoding(name, mark)
    if is_binary(data[:SAMPLE]):
        return None
    if _is_utf_8(data, whole):
        return UTF_8
    return Encoding("cp1252" if _decodes(data, "cp1252") else "latin-1", assumed=True)


def is_binary(data: bytes) -> bool:
    """Tell whether the first bytes of a file look like no text at all."""
    if b"\0" in data:
        return True
    controls = len(data) - len(data.translate(None, _CONTROLS))
    return controls * 10 > len(data)


def _is_utf_8(data: bytes, whole: bool) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True
