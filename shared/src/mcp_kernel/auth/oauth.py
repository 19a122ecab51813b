"""Authorisation of a client's requests, as httpx wants it: a generator of requests that is told the responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from mcp_kernel.auth.acquisition import Acquisition, Terms
from mcp_kernel.auth.address import canonical, origin, require_safe, show
from mcp_kernel.auth.challenge import Challenge, choose_challenge, read_challenges
from mcp_kernel.auth.dpop import ProofKey
from mcp_kernel.auth.grants import Grant
from mcp_kernel.auth.tokens import Account, FileStore, TokenStore, default_path
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

_EARLY: Final = 30.0  # seconds before its end that a token is refreshed
_RENEWALS: Final = 2  # for one request: by the refresh token, then by the grant
_STEP_UPS: Final = 2  # for one request
_NONCES: Final = 2  # for one request
_REFUSAL: Final = 64 * 1024  # bytes of the body of a refusal that are read to keep the connection
_REFUSAL_TIME: Final = 2.0


@dataclass(slots=True)
class _Attempts:
    """What has been tried for one request, which was sent in a round of authorisations."""

    began: int
    renewals: int = 0
    step_ups: int = 0
    nonces: int = 0


class OAuth(httpx.Auth):
    """Gets, keeps, renews and sends the tokens for one MCP server: `httpx.AsyncClient(auth=OAuth(url, grant))`.

    `store` is a file of the user's unless given; `scopes` are asked for beside those that the server names; `dpop`
    binds tokens to a key always, never, or (None) where the server wants it. Tokens go to the origin of `server_url`
    and nowhere else. Failures are `AuthorizationError`s. One object serves any number of requests at once.
    """

    def __init__(
        self,
        server_url: str,
        grant: Grant,
        *,
        store: TokenStore | None = None,
        scopes: Sequence[str] = (),
        dpop: bool | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        url = canonical(require_safe(server_url, "The server's URL", server_url))
        self._terms = Terms(url, grant, store or FileStore(default_path()), tuple(scopes), dpop)
        self._transport = transport
        self._account: Account | None = None
        self._loaded = False
        self._lock = asyncio.Lock()
        self._round = 0  # of authorisations, that those who waited for one share its end
        self._failure: AuthorizationError | None = None
        self._nonces: dict[tuple[str, str], str] = {}
        self._key: ProofKey | None = None
        self._under_way: set[asyncio.Future[Account | None]] = set()
        self._asked: set[frozenset[str]] = set()  # scopes that were asked for in vain

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: a user may take minutes, which would block everything."""
        raise RuntimeError("OAuth works with httpx.AsyncClient, not with httpx.Client.")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request with a token, and again with a better one where it is refused for that."""
        if not self._is_ours(request.url):
            yield request
            return
        await request.aread()  # to be able to send it again
        attempts = _Attempts(self._round)
        account: Account | None = await self._current()
        while True:
            self._sign(request, account)
            response = yield request
            if not self._is_ours(response.url):
                return
            if nonce := response.headers.get("dpop-nonce", ""):
                self._nonces[origin(self._terms.server_url)] = nonce
            if response.status_code not in (401, 403):
                return
            challenge = choose_challenge(
                read_challenges(response.headers.get_list("www-authenticate")), proofs=self._terms.dpop is not False
            )
            if challenge is None or not self._can_help(response.status_code, challenge):
                return
            if response.status_code == 403:
                account = await self._step_up(account, challenge, attempts)
            elif challenge.error != "use_dpop_nonce" or not nonce or attempts.nonces >= _NONCES:
                account = await self._replace(account, challenge, attempts)
            else:
                attempts.nonces += 1
            dismiss(response)

    def _is_ours(self, url: httpx.URL) -> bool:
        return origin(str(url)) == origin(self._terms.server_url)

    def _can_help(self, status: int, challenge: Challenge) -> bool:
        """Whether a token could change the answer: a plain 403 is the server's last word."""
        return status == 401 or (challenge.error == "insufficient_scope" and bool(challenge.scopes))

    def _sign(self, request: httpx.Request, account: Account | None) -> None:
        request.headers.pop("dpop", None)
        if account is None or not account.access_token:
            request.headers.pop("authorization", None)
        elif not account.proof_key:
            request.headers["authorization"] = f"Bearer {account.access_token}"
        else:
            if self._key is None or self._key.private != account.proof_key:
                self._key = ProofKey(account.proof_key)
            request.headers["authorization"] = f"DPoP {account.access_token}"
            nonce = self._nonces.get(origin(self._terms.server_url), "")
            request.headers["dpop"] = self._key.prove(
                request.method, str(request.url), nonce=nonce, access_token=account.access_token
            )

    async def _current(self) -> Account | None:
        """The account to use, refreshed where its token is about to end."""
        if not self._loaded:
            async with self._lock:
                if not self._loaded:
                    kept = await self._terms.store.load(self._terms.server_url)
                    self._account = kept if self._terms.fits(kept) else None
                    self._loaded = True
        account = self._account
        if account is None or not account.access_token or not account.expires:
            return account
        if account.expires - _EARLY > time.time():
            return account
        if not account.refresh_token:
            if account.expires <= time.time():
                self._account = account.without_tokens()
            return self._account
        return await self._alone(account, None, self._round)

    async def _replace(self, used: Account | None, challenge: Challenge, attempts: _Attempts) -> Account | None:
        """An account in place of one that was refused."""
        attempts.renewals += 1
        if attempts.renewals > _RENEWALS:
            raise AuthorizationError(
                f"{show(self._terms.server_url)} refuses the token that was issued for it a moment ago. Its operator "
                "has to look whether it takes tokens of its authorisation server, for this URL."
            )
        return await self._alone(used, challenge, attempts.began, refreshing=attempts.renewals == 1)

    async def _step_up(self, used: Account | None, challenge: Challenge, attempts: _Attempts) -> Account | None:
        """An account with more scopes than one that was refused."""
        attempts.step_ups += 1
        scopes = frozenset(challenge.scopes)
        in_vain = scopes in self._asked or (used is not None and scopes <= set(used.granted))
        if attempts.step_ups > _STEP_UPS or (in_vain and self._account is used):
            raise AuthorizationError(
                f"{show(self._terms.server_url)} wants the scopes {_list(challenge.scopes)} for this, and refuses it "
                "although they were asked for. Ask whoever grants them, or do without this.",
                "insufficient_scope",
            )
        self._asked.add(scopes)
        account = await self._alone(used, challenge, attempts.began)
        if account is not None and scopes <= set(account.granted):
            self._asked.discard(scopes)
        return account

    async def _alone(
        self, used: Account | None, challenge: Challenge | None, began: int, *, refreshing: bool = False
    ) -> Account | None:
        """Renew the account, though nobody may wait any more: a user may be signing in, and the next request gains."""
        work = asyncio.ensure_future(self._renew_alone(used, challenge, began, refreshing=refreshing))
        self._under_way.add(work)
        work.add_done_callback(self._forget)
        return await asyncio.shield(work)

    def _forget(self, work: asyncio.Future[Account | None]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            work.exception()  # whoever waits has it; where nobody does any more it is not news

    async def _renew_alone(
        self, used: Account | None, challenge: Challenge | None, began: int, *, refreshing: bool
    ) -> Account | None:
        """One request at a time; those sent before it began get what it got, be it a failure.

        Without a challenge only the refresh token is tried: what to ask for instead is the server's to say.
        """
        async with self._lock:
            current = self._account
            if current is not None and current is not used and (current.access_token or challenge is None):
                return current
            if self._round != began and self._failure is not None:
                raise AuthorizationError(str(self._failure), self._failure.code)
            try:
                async with Web(self._terms.server_url, self._transport) as web:
                    acquisition = Acquisition(web, self._terms, self._nonces)
                    self._account = await self._renew(acquisition, used, challenge, refreshing=refreshing)
                self._failure = None
            except AuthorizationError as error:
                self._failure = error
                raise
            finally:
                self._round += 1
            return self._account

    async def _renew(
        self, acquisition: Acquisition, used: Account | None, challenge: Challenge | None, *, refreshing: bool
    ) -> Account | None:
        if challenge is None:
            return None if used is None else (await acquisition.refresh(used) or used.without_tokens())
        place = await acquisition.find(challenge, used)
        if refreshing and used is not None and used.refresh_token and used.issuer == place.server.issuer:
            renewed = await acquisition.refresh(used)
            if renewed is not None and set(challenge.scopes) <= set(renewed.requested):
                return renewed
        return await acquisition.authorise(place, challenge, used)


def dismiss(response: httpx.Response) -> None:
    """Have httpx, which reads a refusal's body before it goes on, read only what is good for the connection."""
    response.headers.pop("content-encoding", None)
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Dismissed(response.stream)


class _Dismissed(httpx.AsyncByteStream):
    """A body that nobody wants: read a little, for a little while, and thrown away."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        try:
            async with asyncio.timeout(_REFUSAL_TIME):
                async for chunk in self._stream:
                    seen += len(chunk)
                    if seen > _REFUSAL:
                        break
        except (TimeoutError, httpx.TransportError):
            pass
        yield b""

    async def aclose(self) -> None:
        await self._stream.aclose()


def _list(scopes: Sequence[str]) -> str:
    return ", ".join("".join(c for c in scope if c.isprintable())[:60] for scope in scopes[:10])
