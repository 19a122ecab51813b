"""Names of files, branches and revisions: from bytes to text and back, and what is not a name."""

import json
import re
import unicodedata

from .refusals import Refusal

MOST = 4_000  # characters of a name
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_LETTERS = {code: letter for letter, code in _ESCAPES.items()}
_QUOTED = re.compile(rb'\\([0-7]{1,3}|[abtnvfr"\\])')


def spell(name: bytes) -> str:
    """Write a file's name as text that leads back to it: as it is, or quoted as git quotes where it is no text."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return quote(name)
    return text if text.isprintable() and not text.startswith('"') else quote(name)


def quote(name: bytes) -> str:
    """Quote a name as git does: in double quotes, with octal escapes."""
    return '"' + "".join(_escape(code) for code in name) + '"'


def _escape(code: int) -> str:
    if code in _LETTERS:
        return "\\" + _LETTERS[code]
    return chr(code) if 32 <= code < 127 else f"\\{code:03o}"


def read_name(text: str) -> bytes:
    """Give the bytes of a name that `spell` wrote, or that a caller made up; raises `Refusal` for none."""
    if not text or len(text) > MOST or "\0" in text:
        raise Refusal("A file's name must not be empty, longer than 4,000 characters, or hold a NUL character.")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Refusal('A name holds a lone surrogate. Give it as the server does: "caf\\351.txt", in quotes.') from None
    if len(text) > 1 and text[0] == text[-1] == '"':
        return unquote(data[1:-1])
    return data


def unquote(data: bytes) -> bytes:
    """Undo git's quoting."""
    return _QUOTED.sub(_unescape, data)


def _unescape(match: re.Match[bytes]) -> bytes:
    body = match[1].decode()
    return bytes([int(body, 8) & 0xFF if body[0].isdigit() else _ESCAPES[body]])


def show(text: str, most: int = 80) -> str:
    """Quote a text of the caller for an error: short, and without control characters."""
    clean = "".join(" " if unicodedata.category(each)[0] == "C" else each for each in text[: most + 1])
    return f"'{clean[:most]}…'" if len(clean) > most else f"'{clean}'"


def check_revision(text: str) -> str:
    """Return a revision that cannot be taken for anything else; raises `Refusal`."""
    if not text.strip():
        raise Refusal("A revision must not be empty: give a branch, a tag, a commit, or HEAD.")
    if text.startswith("-"):
        raise Refusal(
            f"{show(text)} begins with a dash, and no revision does. Give a branch, a tag, a commit, or HEAD."
        )
    if len(text) > MOST or any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise Refusal(f"{show(text)} is no revision: it is too long or holds control characters.")
    return text


def check_branch(text: str) -> str:
    """Return the name of a branch as git allows them (git-check-ref-format); raises `Refusal` that tells why not."""
    if not text or text.startswith("-") or text in ("HEAD", "@"):
        raise Refusal(f"{show(text)} cannot be the name of a branch: it is empty, HEAD, @, or begins with a dash.")
    if len(text.encode("utf-8", "replace")) > 200 or any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise Refusal(f"{show(text)} cannot be the name of a branch: it is too long or holds control characters.")
    if re.search(r"[ ~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.$", text):
        raise Refusal(
            f"{show(text)} cannot be the name of a branch: spaces, ~ ^ : ? * [ \\ .. @{{ // and a slash or dot at the "
            "end are not allowed. Use letters, digits, dashes and single slashes."
        )
    if any(part.startswith(".") or part.endswith(".lock") for part in text.split("/")):
        raise Refusal(f"{show(text)} cannot be the name of a branch: no part may begin with a dot or end in .lock.")
    return text


def weigh(text: str) -> int:
    """Count the bytes of a text as JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def trim(text: str, room: int) -> str:
    """Cut a text to whole lines that weigh at most `room` as JSON; to whole characters where one line is too long."""
    if weigh(text) <= room:
        return text
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weigh(text[:middle]) <= room else (low, middle - 1)
    line = text.rfind("\n", 0, low) + 1
    return text[: line or low]
