"""What an authorisation leaves behind, and where it is kept: one account for each resource and issuer."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, cast

from mcp_kernel.errors import AuthorizationError

_FORM: Final = 1  # of the file


@dataclass(frozen=True, slots=True)
class Account:
    """A client at an authorisation server: how it is registered, and its tokens for one resource.

    Every secret is left out of its repr. Empty where there is none: an account without an access token is still worth
    its registration.
    """

    server_url: str
    issuer: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    client_method: str = ""
    client_expires: float = 0.0
    redirect_uri: str = ""
    resource: str = ""
    requested: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires: float = 0.0  # as time.time() counts; 0: not said
    proof_key: str = field(default="", repr=False)  # a JWK, where the token is bound to it by DPoP

    def without_tokens(self) -> Account:
        """The registration alone, and which scopes had been asked for."""
        return replace(self, access_token="", refresh_token="", expires=0.0, granted=(), proof_key="")

    def without_registration(self) -> Account:
        """Nothing but which scopes had been asked for."""
        bare = replace(self.without_tokens(), client_id="", client_secret="", client_method="", redirect_uri="")
        return replace(bare, client_expires=0.0)


class TokenStore(Protocol):
    """Where accounts are kept between connections; to be kept as secret as passwords."""

    async def load(self, server_url: str, issuer: str | None = None) -> Account | None:
        """The account of a server at an issuer; without an issuer, the one that was saved last."""
        ...

    async def save(self, account: Account) -> None:
        """Keep an account in the place of the one for the same server and issuer."""
        ...


class MemoryStore:
    """Accounts for as long as the process lives."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Account] = {}

    async def load(self, server_url: str, issuer: str | None = None) -> Account | None:
        """The account of a server at an issuer; without an issuer, the one that was saved last."""
        return _pick(self._accounts, server_url, issuer)

    async def save(self, account: Account) -> None:
        """Keep an account as the latest of its server."""
        self._accounts.pop((account.server_url, account.issuer), None)
        self._accounts[account.server_url, account.issuer] = account


class FileStore:
    """Accounts in a file that only its owner can read; written whole, so that it is never half a file."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = asyncio.Lock()

    async def load(self, server_url: str, issuer: str | None = None) -> Account | None:
        """The account of a server at an issuer; without an issuer, the one that was saved last."""
        return _pick(await asyncio.to_thread(self._read), server_url, issuer)

    async def save(self, account: Account) -> None:
        """Keep an account as the latest of its server."""
        async with self._lock:
            await asyncio.to_thread(self._add, account)

    def _add(self, account: Account) -> None:
        with _Exclusive(self._path):
            accounts = self._read()
            accounts.pop((account.server_url, account.issuer), None)
            accounts[account.server_url, account.issuer] = account
            self._write([asdict(one) for one in accounts.values()])

    def _read(self) -> dict[tuple[str, str], Account]:
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AuthorizationError(f"The tokens in {self._path} cannot be read: {error.strerror}.") from None
        try:
            listed = cast("dict[str, list[dict[str, object]]]", json.loads(text))["accounts"]
            accounts = [_restore(one) for one in listed]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AuthorizationError(f"{self._path} is no file of tokens. Move it away, and authorise again.") from None
        return {(account.server_url, account.issuer): account for account in accounts}

    def _write(self, accounts: list[dict[str, object]]) -> None:
        try:
            # A temporary file of this kind is made with mode 0600, whatever the umask.
            descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump({"form": _FORM, "accounts": accounts}, file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise AuthorizationError(f"The tokens cannot be kept in {self._path}: {error.strerror}.") from None


class _Exclusive:
    """Keeps other processes from writing the same file between reading and replacing it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise AuthorizationError(f"The tokens cannot be kept in {self._path}: {error.strerror}.") from None
        if os.name == "posix":
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def default_path() -> Path:
    """Where tokens are kept unless told otherwise: the user's own folder for what programs keep."""
    home = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "mcp-kernel" / "tokens.json"


def _restore(kept: Mapping[str, object]) -> Account:
    values = {
        name: tuple(cast("list[str]", value)) if isinstance(value, list) else value for name, value in kept.items()
    }
    return Account(**cast("dict[str, str]", values))  # pyright: ignore[reportArgumentType] - each has the field's own type


def _pick(accounts: Mapping[tuple[str, str], Account], server_url: str, issuer: str | None) -> Account | None:
    if issuer is not None:
        return accounts.get((server_url, issuer))
    return next((one for one in reversed(list(accounts.values())) if one.server_url == server_url), None)
