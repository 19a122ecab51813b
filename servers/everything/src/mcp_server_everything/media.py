"""A picture and a sound, small and real: any viewer shows the one, any player plays the other."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib

_SIZE = 16  # pixels, each way
_RED = b"\xd0\x30\x30"
_RATE = 8000  # samples a second
_SAMPLES = 800  # a tenth of a second


def picture() -> bytes:
    """A red square as PNG."""
    header = struct.pack(">IIBBBBB", _SIZE, _SIZE, 8, 2, 0, 0, 0)  # eight bits for each of red, green and blue
    rows = (b"\0" + _RED * _SIZE) * _SIZE  # each row starts with the number of its filter: none
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tone() -> bytes:
    """The concert pitch, 440 hertz, as WAV."""
    samples = bytes(128 + round(90 * math.sin(math.tau * 440 * n / _RATE)) for n in range(_SAMPLES))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(_RATE)
        sound.writeframes(samples)
    return file.getvalue()
