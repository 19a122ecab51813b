"""What can become of a call, other than an answer: every exception that the client raises to its caller.

One tree under `ClientError`, one class for each thing that a caller may want to do about it; never an exception group.
"""

from __future__ import annotations


class ClientError(Exception):
    """A call that has no answer. Its text says what happened, and what to do next where something can be done."""


class ServerRefused(ClientError):
    """The server answered with a JSON-RPC error: `code`, `message` and `data` as it sent them.

    `status` is the HTTP status that came with it, 200 where there was none.
    """

    def __init__(self, code: int, message: str, data: object = None, status: int = 200) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.status = status


class HttpRefused(ClientError):
    """An HTTP status instead of an answer; `retry_after` is that header's value, as it came."""

    def __init__(self, status: int, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotAuthorized(ClientError):
    """No token could be had for the server; `code` is the OAuth error where there was one (RFC 6749, section 5.2)."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ConnectionLost(ClientError):
    """The connection ended before the answer: the server may have done what it was asked, or not."""


class NotConnected(ConnectionLost):
    """There was no connection to begin with: nothing was sent, so nothing was done."""


class CannotStart(NotConnected):
    """The server does not start, or is not one that can be spoken to: to try again will not help."""


class SessionOver(NotConnected):
    """The server does not know the session any more: it refused the call, and a new session may take it."""


class TimedOut(ClientError, TimeoutError):
    """No answer came in time; the server was told that nobody waits for it any more."""


class InvalidAnswer(ClientError):
    """The server answered with something that the protocol does not have."""


class TooManyRounds(ClientError):
    """The server kept asking for input beyond the cap."""


class CircuitOpen(ClientError):
    """The server failed so often that it is left alone for `retry_in` seconds."""

    def __init__(self, message: str, retry_in: float) -> None:
        super().__init__(message)
        self.retry_in = retry_in
