"""Acquiring a token: registration where it is needed, then the grant; and refreshing one."""

from __future__ import annotations

import time
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Final

from mcp_kernel.auth.address import show
from mcp_kernel.auth.challenge import Challenge
from mcp_kernel.auth.discovery import Place, Preference, find_place, find_server
from mcp_kernel.auth.dpop import ALGORITHM, ProofKey
from mcp_kernel.auth.endpoint import Token, TokenEndpoint
from mcp_kernel.auth.grants import AuthorizationCode, Grant, Target
from mcp_kernel.auth.metadata import ServerMetadata
from mcp_kernel.auth.registration import Registration, describe_client, register
from mcp_kernel.auth.tokens import Account, TokenStore
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

OFFLINE: Final = "offline_access"
_TEMPORARY: Final = frozenset(("", "server_error", "temporarily_unavailable", "slow_down"))


@dataclass(frozen=True, slots=True)
class Terms:
    """How a client wants its tokens for one server."""

    server_url: str
    grant: Grant
    store: TokenStore
    scopes: tuple[str, ...] = ()
    dpop: bool | None = None

    @property
    def registration(self) -> Registration | None:
        """The registration that was made beforehand."""
        return self.grant.registration

    @property
    def assume_endpoints(self) -> bool:
        """Whether a server without any metadata will do."""
        return isinstance(self.grant, AuthorizationCode) and self.grant.assume_endpoints

    def fits(self, account: Account | None) -> bool:
        """Whether a kept account is one of this client, and not of another that asked for the same server."""
        if account is None:
            return False
        if isinstance(self.grant, AuthorizationCode) and self.registration is None:
            return (
                account.client_id == self.grant.client_metadata_url or account.redirect_uri == self.grant.redirect_uri
            )
        return self.registration is not None and account.client_id == self.registration.client_id


class Acquisition:
    """The way to one token, under terms. Everything that it learns is in the account that it returns."""

    def __init__(self, web: Web, terms: Terms, nonces: MutableMapping[tuple[str, str], str]) -> None:
        self._web = web
        self._terms = terms
        self._nonces = nonces

    async def find(self, challenge: Challenge, account: Account | None) -> Place:
        """Find where to authorise, now: it may have changed since the account was opened."""
        required, terms = self._terms.registration, self._terms
        known = account.issuer if account else ""
        preference = Preference(required.issuer if required else "", known, terms.assume_endpoints)
        place = await find_place(self._web, terms.server_url, challenge, preference)
        # A client id that is an https URL is good at every server, one with a stated issuer was checked already.
        bound = required is not None and not required.issuer and not required.client_id.startswith("https://")
        if bound and account is not None and account.issuer != place.server.issuer:
            raise AuthorizationError(
                f"The authorisation server changed from {show(account.issuer)} to {show(place.server.issuer)}, "
                "which does not know the client's credentials. Register the client there, and give what you get; if "
                "you did, give its issuer with it."
            )
        return place

    async def refresh(self, account: Account) -> Account | None:
        """The account with a fresh token, or None where the refresh token is of no use any more."""
        server = await find_server(self._web, self._terms.server_url, account.issuer, self._terms.assume_endpoints)
        key = ProofKey(account.proof_key) if account.proof_key else None
        form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token, "resource": account.resource}
        try:
            token = await self._endpoint(server, account, key).ask(form)
        except AuthorizationError as error:
            if error.code in _TEMPORARY:
                raise
            return None
        return await self._keep(account, token, key, account.granted)

    async def authorise(self, place: Place, challenge: Challenge, prior: Account | None) -> Account:
        """Get a new token, by the grant."""
        terms, server = self._terms, place.server
        kept = await terms.store.load(terms.server_url, server.issuer)
        blank = Account(terms.server_url, server.issuer)
        account = kept.without_tokens() if kept is not None and terms.fits(kept) else blank
        scopes = self._scopes(place, challenge, prior)
        account = replace(account, resource=place.resource.resource, requested=scopes)
        key = self._choose_key(place, challenge)
        for last in (not account.client_id, True):
            account = await self._registered(account, server, bound=key is not None)
            target = Target(account.resource, server.issuer, scopes)
            try:
                token = await terms.grant.obtain(self._endpoint(server, account, key), target, account.client_id)
                break
            except AuthorizationError as error:
                # A registration of an earlier day may have been forgotten over there.
                if last or error.code != "invalid_client" or terms.registration is not None:
                    raise
                account = account.without_registration()
        else:
            raise AssertionError
        if not token.bound and (terms.dpop is True or place.resource.wants_proofs):
            raise AuthorizationError(
                f"{show(server.issuer)} gave a token that is not bound to the client's key, as it has to be. "
                "Its operator has to turn on DPoP."
            )
        return await self._keep(account, token, key, scopes)

    async def _keep(self, account: Account, token: Token, key: ProofKey | None, scopes: tuple[str, ...]) -> Account:
        renewed = replace(
            account,
            access_token=token.access_token,
            refresh_token=token.refresh_token or account.refresh_token,
            expires=token.expires,
            granted=scopes if token.scopes is None else token.scopes,
            proof_key=key.private if key is not None and token.bound else "",
        )
        await self._terms.store.save(renewed)
        return renewed

    def _endpoint(self, server: ServerMetadata, account: Account, key: ProofKey | None) -> TokenEndpoint:
        registration = self._terms.registration or Registration(
            account.client_id, account.client_secret, method=account.client_method
        )
        return TokenEndpoint(self._web, server, registration, proof_key=key, nonces=self._nonces)

    async def _registered(self, account: Account, server: ServerMetadata, *, bound: bool) -> Account:
        """The account with a client id: one given, a metadata document's, or one that is made now."""
        grant, given = self._terms.grant, self._terms.registration
        if given is not None:
            return replace(account, client_id=given.client_id)
        assert isinstance(grant, AuthorizationCode)  # noqa: S101 - only this grant goes without a registration
        if account.client_id and (not account.client_expires or account.client_expires > time.time()):
            return account
        if grant.client_metadata_url and server.knows_metadata_documents:
            return replace(account, client_id=grant.client_metadata_url, redirect_uri=grant.redirect_uri)
        if not server.registration_endpoint:
            raise AuthorizationError(
                f"{show(server.issuer)} registers no clients by itself. Register this one there by hand, with the "
                f"redirect URI {show(grant.redirect_uri)}, and give its client_id."
            )
        made = await register(
            self._web, server, describe_client(grant.redirect_uri, grant.client_metadata, server, bound=bound)
        )
        account = replace(
            account,
            client_id=made.client_id,
            client_secret=made.client_secret,
            client_method=made.method,
            client_expires=made.expires,
            redirect_uri=grant.redirect_uri,
        )
        await self._terms.store.save(account)  # not to register again where the user gives up
        return account

    def _scopes(self, place: Place, challenge: Challenge, prior: Account | None) -> tuple[str, ...]:
        """Those of before, those that are needed now, those of the terms, each once."""
        wanted = [*(prior.requested if prior else ()), *(challenge.scopes or place.resource.scopes)]
        wanted = [scope for scope in [*wanted, *self._terms.scopes] if scope != OFFLINE]
        if isinstance(self._terms.grant, AuthorizationCode) and OFFLINE in place.server.scopes:
            wanted.append(OFFLINE)
        return _unique(wanted)

    def _choose_key(self, place: Place, challenge: Challenge) -> ProofKey | None:
        """A key, where the terms want proofs, or where they leave it open and the server takes them."""
        resource, server = place.resource, place.server
        takes = challenge.scheme == "dpop" or resource.wants_proofs
        takes = takes or (ALGORITHM in resource.proof_algorithms and ALGORITHM in server.proof_algorithms)
        if self._terms.dpop is False or not (self._terms.dpop or takes):
            return None
        if server.proof_algorithms and ALGORITHM not in server.proof_algorithms:
            raise AuthorizationError(f"{show(server.issuer)} does not take DPoP proofs signed by {ALGORITHM}.")
        return ProofKey.generate()


def _unique(scopes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scopes))
