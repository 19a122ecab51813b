"""Where the PostgreSQL database is: a URL that says how to get in, and never shows it."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_SECRET: Final = re.compile(r"(?i)\b(password|sslpassword)=[^&]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL. Its `str` and `repr` say where it leads and never how to get in."""

    url: str

    def __repr__(self) -> str:
        return f"Target({self})"

    def __str__(self) -> str:
        with suppress(ValueError):
            parts = urlsplit(self.url)
            login, at, place = parts.netloc.rpartition("@")
            user, colon, _ = login.partition(":")
            shown = parts._replace(netloc=f"{user}{':***' if colon else ''}{at}{place}").geturl()
            return _SECRET.sub(r"\1=***", shown)
        return "postgresql://…"

    def problem(self) -> str | None:
        """Say why this names no database, or None."""
        try:
            parts = urlsplit(self.url)
            _ = parts.port if "," not in parts.netloc else 0
        except ValueError:
            return "the URL cannot be read: an IPv6 host stands in [ ], a port is a number"
        if parts.scheme not in ("postgresql", "postgres"):
            return "the URL must begin with postgresql://, as in postgresql://user@host:5432/database"
        return None

    @property
    def secrets(self) -> list[str]:
        """Every form in which the password may turn up in a text."""
        found: list[str] = []
        with suppress(ValueError):
            parts = urlsplit(self.url)
            found += [parts.password or "", unquote(parts.password or "")]
            found += [value for key in ("password", "sslpassword") for value in parse_qs(parts.query).get(key, [])]
        return [secret for secret in found if secret]

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text
