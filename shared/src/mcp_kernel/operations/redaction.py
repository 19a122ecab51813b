"""What of a call's arguments goes into the audit log: not what is secret, and no more than can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import Final, Literal, TypeAlias, cast

from mcp_kernel.operations.hiding import REDACTED, SECRET_NAMES, hide, hide_in_uri, simplify
from mcp_kernel.operations.settings import Complain, Section
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.repeats import digest

Form: TypeAlias = Literal["full", "digest", "none"]
_FORMS: Final = ("full", "digest", "none")

_CUT: Final = "[cut]"
_LONGEST: Final = 1000  # characters of a text
_LONGEST_NAME: Final = 200
_MOST_KNOWN: Final = 1000  # names of which it is known whether they are secret
_LONGEST_KNOWN: Final = 64  # characters of such a name
_ROOM: Final = 16_384  # characters of all arguments together


class Redaction:
    """Makes arguments fit for the log.

    Args:
        names: Further patterns (`*` stands for anything) of names whose values are secret, at any depth.
        form: `full` keeps the arguments without secrets, `digest` only the SHA-256 of these, `none` nothing.
    """

    def __init__(self, names: Iterable[str] = (), form: Form = "full") -> None:
        patterns = [*(f"*{name}*" for name in SECRET_NAMES), *(simplify(name) for name in names)]
        self._secret = re.compile("|".join(translate(pattern) for pattern in patterns))
        self._form = form
        self._known: dict[str, bool] = {}  # names of arguments, which are the same in call after call

    def apply(self, arguments: object) -> object:
        """Return what is written of arguments; None for nothing."""
        if self._form == "none" or arguments is None:
            return None
        if self._form == "digest":
            return {"sha256": digest(self._walk(arguments, None))}
        return self._walk(arguments, _Room())

    def is_secret(self, name: str) -> bool:
        """Tell whether a value of this name must not be seen."""
        found = self._known.get(name)
        if found is None:
            found = self._secret.fullmatch(simplify(name)) is not None
            if len(self._known) < _MOST_KNOWN and len(name) <= _LONGEST_KNOWN:
                self._known[name] = found
        return found

    def _walk(self, value: object, room: _Room | None) -> object:
        if room is not None and not room.take(8):
            return _CUT
        if isinstance(value, str):
            return value if room is None else hide(room.fit(value))
        if isinstance(value, Mapping):
            kept: JsonObject = {}
            for name, inner in cast("Mapping[str, object]", value).items():
                if room is not None and not room.take(len(name)):
                    kept[_CUT] = _CUT
                    break
                kept[name] = REDACTED if self.is_secret(name) else self._walk(inner, room)
            return kept
        if isinstance(value, list):
            items: list[object] = []
            for inner in cast("list[object]", value):
                items.append(self._walk(inner, room))
                if items[-1] is _CUT:
                    break
            return items
        return value


def read_redaction(table: object, complain: Complain) -> Redaction:
    """Read the table `[audit]` of the settings file; what is wrong in it goes to `complain`."""
    section = Section(table, ("audit",), complain)
    names = section.words("redact")
    form = cast("Form", section.choice("arguments", _FORMS))
    section.close()
    return Redaction(names, form)


class _Room:
    """How much may still be written."""

    def __init__(self) -> None:
        self._left = _ROOM

    def take(self, size: int) -> bool:
        self._left -= size
        return self._left >= 0

    def fit(self, text: str) -> str:
        most = min(_LONGEST, self._left)
        self._left -= min(len(text), most)
        return text if len(text) <= most else f"{text[:most]}… {_CUT}, {len(text)} characters"


def cut(text: str) -> str:
    """A name, or a sentence, cut to what can be read."""
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def cut_uri(uri: str) -> str:
    """A URI without what is secret in it, cut to what can be read."""
    return hide_in_uri(uri[:_LONGEST])
