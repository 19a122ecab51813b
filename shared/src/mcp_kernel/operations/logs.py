"""The log on stderr: lines of text or of JSON, with the request they belong to and without what nobody may read.

Whoever can read a log can use a token that stands in it. So tokens are taken out of every line at the last moment,
when it is written, whoever wrote it and wherever in it they stand, the text of an exception included.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TypeAlias, cast

from mcp_kernel.operations.correlation import find_mark
from mcp_kernel.operations.hiding import hide

_Caught: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]"
_PLAIN: Final = "%(levelname)s %(name)s: %(message)s"
_CONTROLS: Final = {number: f"\\x{number:02x}" for number in (*range(32), 127, *range(128, 160))} | {10: "\\n", 9: " "}


class Lines(logging.Formatter):
    """Writes what happened as one line of text, and an exception below it, indented.

    `LEVEL LOGGER [MARKS]: MESSAGE`, where the marks are those of the request that the line belongs to, as
    `trace=… request=7 method=tools/call`; a line that belongs to none has no brackets.
    """

    def __init__(self) -> None:
        super().__init__(_PLAIN)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        request = find_mark(record)
        marks = "" if request is None else f" [{request}]"
        # A line feed in what a client sent must not begin a line that this server seems to have written.
        message = record.message.translate(_CONTROLS)
        return f"{record.levelname} {record.name}{marks}: {message}"

    def formatException(self, ei: object) -> str:  # noqa: N802  # logging's name
        # Nor one in the text of an exception: what stands below a line is indented, and moves no cursor.
        text = super().formatException(cast("_Caught", ei))
        return "\n".join(f"  {line.translate(_CONTROLS)}" for line in text.split("\n"))

    def format(self, record: logging.LogRecord) -> str:
        kept, record.exc_text = record.exc_text, None  # as another handler has spelled it
        try:
            return hide(super().format(record))
        finally:
            record.exc_text = kept


class JsonLines(logging.Formatter):
    """Writes what happened as one JSON object on a line.

    `time`, `level`, `logger`, `message`, and `exception` where there was one; a line that belongs to a request has its
    `trace`, `request` and `method`, and over HTTP `session` and `principal` where there are such.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {
            "time": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide(record.getMessage()),
        }
        request = find_mark(record)
        if request is not None:
            line.update(request.members())
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = hide(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def write_lines(*, as_json: bool) -> logging.Formatter:
    """Write the log in one of the two forms, with the request that each line belongs to; returns what makes the lines.

    Of the handlers at the root those that write to a stream are meant; a program's own keep their form.
    """
    lines = JsonLines() if as_json else Lines()
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(lines)
    return lines
