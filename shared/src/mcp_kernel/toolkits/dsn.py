"""Where a PostgreSQL database is: a DSN as a text, which says how to get in and never shows it. No driver is needed."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES: Final = ("postgresql", "postgres")
_SECRET: Final = re.compile(r"(?i)\b(password|sslpassword|passfile)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)")
_SHORTEST: Final = 3  # characters of a secret that is taken out of texts: a shorter one is a part of common words


@dataclass(frozen=True, slots=True)
class Dsn:
    """A DSN; `text` is None where the PG* variables say it all.

    Its `str` and `repr` say where it leads and never how to get in.
    """

    text: str | None = None

    def __repr__(self) -> str:
        return f"Dsn({self})"

    def __str__(self) -> str:
        if self.text is None:
            return f"postgresql://{os.environ.get('PGHOST', 'localhost')}/{os.environ.get('PGDATABASE', '')}"
        try:
            parts = urlsplit(self.text)
        except ValueError:
            return "postgresql://…"
        login, at, place = parts.netloc.rpartition("@")
        user, colon, _ = login.partition(":")
        netloc = f"{user}{':***' if colon else ''}{at}{place}"
        return _SECRET.sub(r"\1=***", parts._replace(netloc=netloc).geturl())

    def problem(self) -> str | None:
        """Say why this names no database, or None."""
        if self.text is None:
            return None
        try:
            parts = urlsplit(self.text)
            _ = parts.port if "," not in parts.netloc else 0
        except ValueError:
            return "the DSN cannot be read: an IPv6 host stands in [ ], a port is a number"
        if parts.scheme not in _SCHEMES:
            return "the DSN must begin with postgresql://, as in postgresql://user@host:5432/database"
        return None

    @property
    def secrets(self) -> list[str]:
        """Every form in which the password may turn up in a text."""
        found = [os.environ.get("PGPASSWORD", "")]
        with suppress(ValueError):
            parts = urlsplit(self.text or "")
            found += [parts.password or "", unquote(parts.password or "")]
            found += [value for key in ("password", "sslpassword") for value in parse_qs(parts.query).get(key, [])]
        return [secret for secret in found if secret]

    def sets(self, parameter: str) -> bool:
        """Tell whether a parameter stands behind the question mark."""
        with suppress(ValueError):
            return parameter in parse_qs(urlsplit(self.text or "").query)
        return False

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, "***")
        return text


def read_dsn(text: str) -> Dsn:
    """Read a DSN from the command line."""
    found = Dsn(text.strip())
    problem = found.problem()
    if problem is not None:
        raise argparse.ArgumentTypeError(problem)
    return found
