"""The way to the database: how to connect to it, and what is wrong when that fails."""

import asyncio
import os
import ssl
from dataclasses import dataclass
from typing import Protocol

from .driver import Connection, connect, is_known, state_of, text_of
from .refusals import Unavailable


class Address(Protocol):
    """A DSN; its `str` says where it leads and never how to get in. `text` is None where PG* variables say it all."""

    @property
    def text(self) -> str | None: ...

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        ...

    def sets(self, parameter: str) -> bool:
        """Tell whether a parameter stands in it."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)

    def clean(self, text: str) -> str:
        """Take the password out of a text."""
        return self.address.clean(text)

    @property
    def _shows_certificate(self) -> bool:
        return bool(os.environ.get("PGSSLCERT")) or self.address.sets("sslcert")

    async def connect(self, seconds: float) -> Connection:
        """Open a connection; raises `Unavailable` that says what is wrong and what to try."""
        try:
            return await connect(self.address.text, seconds)
        except Exception as error:
            if not isinstance(error, ValueError) and not is_known(error):
                raise
            raise Unavailable(self.clean(self._explain(error))) from None

    def _explain(self, error: Exception) -> str:
        state, said = state_of(error), text_of(error)
        where = f"The database {self} cannot be used"
        match state[:2], state:
            case _, "3D000":
                return f"{where}: {said}. Check the name of the database in the DSN."
            case "28", _:
                return f"{where}: {said}. {_advise_login(said)}"
            case _, "57P03":
                return f"{where} just now: {said}. It is starting or recovering; try again in a few seconds."
            case _, "53300":
                return f"{where} just now: {said}. All its connections are taken; try again in a moment."
            case "08", _ if self._shows_certificate:
                return (
                    f"{where}: TLS failed: {said}. The server may have refused the certificate of sslcert: it must be "
                    "signed by an authority that the server knows, and be valid today."
                )
            case ("", _) | ("08", _):
                return f"{where}: {_explain_way(error, said)}"
            case _:
                return f"{where}: {said} (SQLSTATE {state})."


def _explain_way(error: Exception, said: str) -> str:
    import socket

    text = said.lower()
    if isinstance(error, ssl.SSLError) or "ssl" in text or "certificate" in text:
        return f"TLS failed: {said}. {_advise_tls(error, text)}"
    if isinstance(error, socket.gaierror):
        return f"its host name was not found ({said}). Check the host in the DSN and the network."
    if isinstance(error, ConnectionRefusedError) or "connect call failed" in text or "refused" in text:
        return "the connection was refused. Check that PostgreSQL runs there, and the host and port in the DSN."
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "it did not answer in time. Check the host, the port and any firewall between."
    if isinstance(error, FileNotFoundError):
        return f"there is no such socket or file ({said}). Check the host or the files named in the DSN."
    return f"{said or type(error).__name__}. Check the DSN."


_NO_AUTHORITY = (18, 19, 20, 21)  # X509_V_ERR_*: signed by itself, or by nobody who is known
_OTHER_HOST = (62, 64)
_EXPIRED = 10


def _advise_tls(error: Exception, text: str) -> str:
    """What to try where TLS fails; of `verify_code`, OpenSSL's reason, only those that an operator meets."""
    code = getattr(error, "verify_code", None)
    if code in _NO_AUTHORITY:
        return (
            "The server's certificate is signed by no authority in sslrootcert (without it, ~/.postgresql/root.crt): "
            "give the file of the one that signed it."
        )
    if code in _OTHER_HOST:
        return (
            "The server's certificate is for another host than the one in the DSN: write the name that stands in it, "
            "or sslmode=verify-ca, with which names do not count."
        )
    if code == _EXPIRED:
        return "The server's certificate has expired: it needs another."
    if "rejected ssl upgrade" in text:
        return "The server has no TLS: turn it on there (ssl = on), or write sslmode=disable."
    if "mismatch" in text:
        return "sslcert and sslkey do not belong together."
    return "Check sslmode, sslrootcert, sslcert and sslkey in the DSN against what the server has and asks for."


def _advise_login(said: str) -> str:
    if "certificate" in said:
        return "Check sslcert and sslkey: the server wants a certificate of the client, with the user's name in it."
    if "no encryption" in said:
        return "Write sslmode=require, if the server wants TLS, or check what pg_hba.conf allows this host."
    return "Check the user and the password, and what pg_hba.conf allows this host."


async def hang_up(connection: Connection, seconds: float = 1.0) -> None:
    """Close a connection politely, or at once when that takes long."""
    try:
        await connection.close(timeout=seconds)
    except Exception:  # whatever stands in the way of politeness
        connection.terminate()
