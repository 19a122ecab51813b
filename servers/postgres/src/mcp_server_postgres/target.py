"""Where the database is: a DSN or the PG* variables, how to connect to it, and what is wrong when that fails."""

import asyncio
import os
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from .driver import Connection, connect, is_known, state_of, text_of
from .refusals import Unavailable

SCHEMES = ("postgresql", "postgres")
_SECRET = re.compile(r"(?i)\b(password|sslpassword|passfile)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to. `dsn` is None where the PG* variables say it all.

    Its `str` and `repr` say where it is and never how to get in.
    """

    dsn: str | None = None

    def __repr__(self) -> str:
        return f"Target({self})"

    def __str__(self) -> str:
        if self.dsn is None:
            host = os.environ.get("PGHOST", "localhost")
            return f"postgresql://{host}/{os.environ.get('PGDATABASE', '')}"
        return redact(self.dsn)

    def problem(self) -> str | None:
        """Say why this names no database, or None."""
        if self.dsn is None:
            return None
        try:
            parts = urlsplit(self.dsn)
            _ = parts.port if "," not in parts.netloc else 0
        except ValueError:
            return "the DSN cannot be read: an IPv6 host stands in [ ], a port is a number"
        if parts.scheme not in SCHEMES:
            return "the DSN must begin with postgresql://, as in postgresql://user@host:5432/database"
        return None

    @property
    def secrets(self) -> list[str]:
        """Every form in which the password may turn up in a text."""
        found = [os.environ.get("PGPASSWORD", "")]
        with suppress(ValueError):
            parts = urlsplit(self.dsn or "")
            found += [parts.password or "", unquote(parts.password or "")]
            found += [value for key in ("password", "sslpassword") for value in parse_qs(parts.query).get(key, [])]
        return [secret for secret in found if secret]

    async def connect(self, seconds: float) -> Connection:
        """Open a connection; raises `Unavailable` that says what is wrong and what to try."""
        try:
            return await connect(self.dsn, seconds)
        except Exception as error:
            if not isinstance(error, ValueError) and not is_known(error):
                raise
            raise Unavailable(self.clean(self._explain(error))) from None

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) > 2:  # a shorter one would tear words apart, and no error names it alone
                text = text.replace(secret, "***")
        return text

    def _explain(self, error: Exception) -> str:
        state, said = state_of(error), text_of(error)
        where = f"The database {self} cannot be used"
        match state[:2], state:
            case _, "3D000":
                return f"{where}: {said}. Check the name of the database in the DSN."
            case "28", _:
                return f"{where}: {said}. Check the user and the password, and what pg_hba.conf allows this host."
            case _, "57P03":
                return f"{where} just now: {said}. It is starting or recovering; try again in a few seconds."
            case _, "53300":
                return f"{where} just now: {said}. All its connections are taken; try again in a moment."
            case ("", _) | ("08", _):
                return f"{where}: {_explain_way(error, said)}"
            case _:
                return f"{where}: {said} (SQLSTATE {state})."


def _explain_way(error: Exception, said: str) -> str:
    import socket

    text = said.lower()
    if isinstance(error, ssl.SSLError) or "ssl" in text or "certificate" in text:
        return f"TLS failed: {said}. Check sslmode and sslrootcert in the DSN against the server's certificate."
    if isinstance(error, socket.gaierror):
        return f"its host name was not found ({said}). Check the host in the DSN and the network."
    if isinstance(error, ConnectionRefusedError) or "connect call failed" in text or "refused" in text:
        return "the connection was refused. Check that PostgreSQL runs there, and the host and port in the DSN."
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "it did not answer in time. Check the host, the port and any firewall between."
    if isinstance(error, FileNotFoundError):
        return f"there is no such socket or file ({said}). Check the host or the files named in the DSN."
    return f"{said or type(error).__name__}. Check the DSN."


def redact(dsn: str) -> str:
    """Write a DSN without its password."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "postgresql://…"
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}{':***' if colon else ''}{at}{place}"
    return _SECRET.sub(r"\1=***", parts._replace(netloc=netloc).geturl())


async def hang_up(connection: Connection, seconds: float = 1.0) -> None:
    """Close a connection politely, or at once when that takes long."""
    try:
        await connection.close(timeout=seconds)
    except Exception:  # whatever stands in the way of politeness
        connection.terminate()
