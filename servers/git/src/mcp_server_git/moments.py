"""Bounds of time as people and models write them, turned into seconds since the epoch."""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from .names import show
from .refusals import Refusal

UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
NUMBERS: Final = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "last": 1}
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DATES: Final = ("%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%Y/%m/%d", "%Y.%m.%d")
_AGO: Final = re.compile(r"(\d+|[a-z]+)\s+(second|minute|hour|day|week|month|year)s?(?:\s+ago)?")
_EPOCH: Final = re.compile(r"@?(\d{9,11})")


def read_moment(text: str, now: datetime, *, is_end: bool = False) -> int:
    """Give the second that a text means; raises `Refusal` for what is no time.

    Git takes what it does not understand for the present, and a date alone for that day at this time of the day. Here
    a date is its whole day: its first second as a start, its last as an end. Without a zone it is local time.
    """
    clean = " ".join(text.strip().split())
    if found := _EPOCH.fullmatch(clean):
        return int(found[1])
    if re.search(r"\d[T ]\d{1,2}:", clean) or re.fullmatch(r"\d{8}T\d+.*", clean):
        return int(_read_iso(text, clean).astimezone().timestamp())
    day = _read_day(clean.lower(), now)
    if day is not None:
        bound = time(23, 59, 59) if is_end else time()
        return int(datetime.combine(day, bound).astimezone().timestamp())
    return int(_read_relative(text, clean.lower(), now).timestamp())


def write_moment(seconds: str, zone: str) -> str:
    """Write a time as ISO 8601, in the zone that git has beside it (`+0100`); nothing for what is no time."""
    try:
        offset = timedelta(minutes=int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[3:5])))
        return datetime.fromtimestamp(int(seconds), timezone(offset)).isoformat()
    except (ValueError, OverflowError, IndexError, OSError):
        return ""


def _read_iso(text: str, clean: str) -> datetime:
    try:
        return datetime.fromisoformat(re.sub(r" ([+-]\d{2}:?\d{2}|Z|UTC)$", lambda each: _zone(each[1]), clean))
    except ValueError:
        raise _unknown(text) from None


def _zone(text: str) -> str:
    return "+00:00" if text in ("Z", "UTC") else text


def _read_day(clean: str, now: datetime) -> date | None:
    if clean == "today":
        return now.date()
    weekday = clean.removeprefix("last ")
    if weekday in WEEKDAYS:
        return now.date() - timedelta(days=(now.weekday() - WEEKDAYS.index(weekday) - 1) % 7 + 1)
    try:
        return date.fromisoformat(clean)
    except ValueError:
        pass
    for form in DATES:
        try:
            return datetime.strptime(clean.replace(",", ""), form).date()  # noqa: DTZ007  a day has no zone
        except ValueError:
            continue
    return None


def _read_relative(text: str, clean: str, now: datetime) -> datetime:
    if clean == "now":
        return now
    if clean == "yesterday":
        return now - timedelta(days=1)
    found = _AGO.fullmatch(clean)
    amount = (int(found[1]) if found[1].isdigit() else NUMBERS.get(found[1], -1)) if found else -1
    if found is None or not 0 <= amount < 100_000:
        raise _unknown(text)
    try:
        if found[2] in UNITS:
            return now - timedelta(seconds=amount * UNITS[found[2]])
        months = now.year * 12 + now.month - 1 - amount * (12 if found[2] == "year" else 1)
        year, month = months // 12, months % 12 + 1
        return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        raise _unknown(text) from None


def _unknown(text: str) -> Refusal:
    return Refusal(
        f"{show(text)} is no time that is understood here. Give ISO 8601 (2024-01-15, 2024-01-15T14:30:25+01:00), a "
        "date (Jan 15 2024), or how long ago (2 weeks ago, yesterday)."
    )
