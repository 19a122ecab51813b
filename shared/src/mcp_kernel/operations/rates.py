"""How often: rates, and the buckets that hold a caller to one.

A bucket holds as many calls as its rate allows in its period, and fills evenly: `60/minute` lets sixty calls through at
once, and then one each second. What is stored of a bucket is one number, the time at which it is full again (the
generic cell rate algorithm).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, Protocol

MOST_BUCKETS: Final = 10_000
_PERIODS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_FORM: Final = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    count: int
    seconds: float

    def __str__(self) -> str:
        period = next((name for name, length in _PERIODS.items() if length == self.seconds), f"{self.seconds:g} s")
        return f"{self.count} in a{'n' if period[0] == 'h' else ''} {period}"


def parse_rate(text: str) -> Rate:
    """Read `60/minute`; raises `ValueError` with what would be right."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("write a number and a period, as 60/minute; the periods are second, minute, hour and day")
    return Rate(int(found[1]), _PERIODS[found[2]])


class Buckets(Protocol):
    """Where the buckets are: in this process, or in a store that several share."""

    async def take(self, demands: Mapping[str, Rate], now: float) -> float:
        """Take one call out of each of these buckets, or out of none.

        Args:
            demands: The rate of each bucket, by its key. A bucket is full when it is first heard of.
            now: Seconds by the caller's clock, which never goes back; a store of several callers has its own.

        Returns 0.0 where all of them had one, else the seconds until they will.
        """
        ...


class MemoryBuckets:
    """The buckets of one process: `most` at a time; full ones are forgotten, and at the cap the fullest."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    async def take(self, demands: Mapping[str, Rate], now: float) -> float:
        """See `Buckets.take`. It never waits."""
        return self.take_now(demands, now)

    def take_now(self, demands: Mapping[str, Rate], now: float) -> float:
        """Take one call out of each bucket, or out of none; see `Buckets.take`."""
        full_at = self._full_at
        after = {key: max(full_at.get(key, now), now) + rate.seconds / rate.count for key, rate in demands.items()}
        # A billionth of a period is what adding up its parts may be wrong by.
        wait = max((after[key] - now - rate.seconds * (1 + 1e-9) for key, rate in demands.items()), default=0.0)
        if wait > 0:
            return wait
        full_at.update(after)
        if len(full_at) > self._most:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Make room: the full ones say nothing; where that is not enough, a quarter goes, whose time is up first."""
        full_at = self._full_at = {key: time for key, time in self._full_at.items() if time > now}
        if len(full_at) > self._most:
            for key in nsmallest(max(self._most // 4, 1), full_at, key=full_at.__getitem__):
                del full_at[key]
