"""When to call again, and when to leave a server alone.

Objects without clock, chance or waiting: each is told the time and given the dice, and answers how long to wait. Only
failures of the transport belong here; a JSON-RPC error or a result with `isError` is an answer, and an answer says
that the server lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from mcp_kernel.client.failures import CircuitOpen


@dataclass(frozen=True, slots=True)
class Resilience:
    """How patient a client is with one server; times are seconds. `Resilience(attempts=1, failures=0)` never insists.

    Attributes:
        attempts: How often a call is tried at most, the first try included.
        base: The longest wait before the second try; it doubles for each further one.
        cap: The longest wait that doubling leads to.
        most_wait: The longest `Retry-After` that is waited for; a server that asks for more is not called again.
        budget: How many retries a server may have on credit, over all calls.
        earned: What part of a retry each first try earns back.
        failures: How many failures in a row open the circuit; 0 is never.
        open_for: How long the circuit stays open at first; it doubles with each trial that fails.
        open_most: The longest that it stays open between two trials.
    """

    attempts: int = 4
    base: float = 0.25
    cap: float = 8.0
    most_wait: float = 60.0
    budget: float = 10.0
    earned: float = 0.1
    failures: int = 5
    open_for: float = 10.0
    open_most: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be 1 or more: the first try counts")
        for name in ("base", "cap", "most_wait", "budget", "earned", "failures", "open_for", "open_most"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")


class Budget:
    """What the retries of all calls to one server may cost together.

    It keeps a server that fails half of all calls from being called twice as often by every client it has.
    """

    def __init__(self, settings: Resilience) -> None:
        self._most = settings.budget
        self._earned = settings.earned
        self._tokens = settings.budget

    def earn(self) -> None:
        """Count a first try."""
        self._tokens = min(self._most, self._tokens + self._earned)

    def spend(self) -> bool:
        """Pay for a retry; False if there is not enough left for one."""
        # Ten times 0.1 is a whole token, which floating point does not say by itself.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True


class Attempts:
    """The tries of one call. Making one counts as the first try."""

    def __init__(self, settings: Resilience, budget: Budget, dice: Callable[[], float]) -> None:
        """`dice` gives a number from 0 up to 1, as `random.random` does."""
        self._settings = settings
        self._budget = budget
        self._dice = dice
        self._failed = 0
        budget.earn()

    def after_failure(self, *, transient: bool, safe_to_repeat: bool, retry_after: float | None = None) -> float | None:
        """Seconds to wait before the next try; None: there is none, report the failure.

        Args:
            transient: The same call may well succeed later.
            safe_to_repeat: It does no harm if the server has done it already.
            retry_after: How long the server asked to be left alone, which wins over our own backoff.
        """
        self._failed += 1
        settings = self._settings
        if not transient or not safe_to_repeat or self._failed >= settings.attempts:
            return None
        # Calling earlier than asked would only be refused again, so a wait that is too long is not cut short.
        if retry_after is not None and retry_after > settings.most_wait:
            return None
        if not self._budget.spend():
            return None
        if retry_after is not None:
            return retry_after
        # Full jitter: clients that failed together must not come back together.
        return self._dice() * min(settings.cap, settings.base * 2.0 ** min(self._failed - 1, 60))


class Breaker:
    """The circuit to one server: closed, open, or half-open with one trial under way.

    A trial is the circuit opened once more for as long as before: if nobody tells how the trial ended, because its
    caller went away, the next one is let through then.
    """

    def __init__(self, settings: Resilience, server: str) -> None:
        """`server` names it in the refusals."""
        self._settings = settings
        self._server = server
        self._failures = 0
        self._interval = settings.open_for
        self._until: float | None = None
        self._turn: int = 0

    def admit(self, now: float) -> int:
        """Let a try through, or raise `CircuitOpen`; `now` is a clock that never goes back.

        What it returns is for `succeeded` or `failed`: it tells a trial from a call that began before the circuit
        opened and fails only now.
        """
        if self._until is not None:
            if now < self._until:
                raise self._refusal(self._until - now)
            self._until = now + self._interval
            self._turn += 1
        return self._turn

    def succeeded(self, turn: int) -> None:
        """The server answered, be it with an error: close the circuit."""
        if turn == self._turn:
            self._failures = 0
            self._interval = self._settings.open_for
            self._until = None

    def failed(self, now: float, turn: int) -> None:
        """The transport failed: open the circuit, if that was once too often."""
        if turn != self._turn:
            return
        self._failures += 1
        if self._until is not None:
            self._interval = min(self._settings.open_most, self._interval * 2)
        elif not 0 < self._settings.failures <= self._failures:
            return
        self._until = now + self._interval
        self._turn += 1

    def _refusal(self, wait: float) -> CircuitOpen:
        count = f"{self._failures} calls" if self._failures > 1 else "1 call"
        return CircuitOpen(
            f"{self._server} failed {count} in a row and is left alone for now; try again in {wait:.1f} s", wait
        )


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read the header `Retry-After` (RFC 9110, 10.2.3): seconds to wait, None if it is absent or makes no sense.

    `now` is seconds since the epoch, for the form that is a date; a date in the past is no wait.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:  # an asctime date names no zone, HTTP means UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)
