"""Open-Meteo: places by name, and their weather. No key is needed (open-meteo.com, for non-commercial use).

It knows nothing of MCP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

FORECAST: Final = "https://api.open-meteo.com"
PLACES: Final = "https://geocoding-api.open-meteo.com"
_OK: Final = 200
_TOO_MANY: Final = 429
_LONGEST: Final = 1024 * 1024  # bytes of an answer
_NOW: Final = "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,wind_speed_10m"
_DAILY: Final = "temperature_2m_max,temperature_2m_min,precipitation_sum,weather_code"
# Table 4677 of the WMO's Manual on Codes, as far as Open-Meteo uses it.
_SKIES: Final[Mapping[int, str]] = {
    0: "clear", 1: "mainly clear", 2: "partly cloudy", 3: "overcast", 45: "fog", 48: "rime fog",
    51: "light drizzle", 53: "drizzle", 55: "dense drizzle", 56: "freezing drizzle", 57: "dense freezing drizzle",
    61: "light rain", 63: "rain", 65: "heavy rain", 66: "freezing rain", 67: "heavy freezing rain",
    71: "light snow", 73: "snow", 75: "heavy snow", 77: "snow grains",
    80: "light showers", 81: "showers", 82: "violent showers", 85: "snow showers", 86: "heavy snow showers",
    95: "thunderstorm", 96: "thunderstorm with hail", 99: "thunderstorm with heavy hail",
}  # fmt: skip


class Unavailable(Exception):
    """The weather cannot be told; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place: degrees north and east."""

    name: str
    country: str
    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"{self.name}, {self.country}" if self.country else self.name


@dataclass(frozen=True, slots=True)
class Weather:
    """Now, at a place: °C, percent, millimetres in the last quarter of an hour, km/h. `time` is local, ISO 8601."""

    place: str
    time: str
    sky: str
    temperature: float
    feels_like: float
    humidity: float
    precipitation: float
    wind: float

    def __str__(self) -> str:
        return (
            f"{self.place}, {self.time}: {self.sky}, {self.temperature:g} °C (feels like {self.feels_like:g}), "
            f"wind {self.wind:g} km/h, humidity {self.humidity:g} %."
        )


@dataclass(frozen=True, slots=True)
class Day:
    """A day: ISO date, °C, millimetres."""

    date: str
    sky: str
    lowest: float
    highest: float
    precipitation: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """The days from today on."""

    place: str
    days: list[Day]

    def __str__(self) -> str:
        lines = [f"{each.date}: {each.sky}, {each.lowest:g} to {each.highest:g} °C" for each in self.days]
        return "\n".join([self.place, *lines])


class Forecast:
    """Asks the API. The addresses are others in tests, and for those who run Open-Meteo themselves."""

    def __init__(self, forecast: str = FORECAST, places: str = PLACES) -> None:
        self._forecast = forecast.rstrip("/")
        self._places = places.rstrip("/")
        self._client = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=10))

    async def find(self, name: str) -> Place:
        """The likeliest place of a name; raises `Unavailable` where there is none."""
        answer = await self._get(f"{self._places}/v1/search", {"name": name, "count": "1", "language": "en"})
        found = answer.get("results")
        if not isinstance(found, list) or not found:
            raise Unavailable(f"No place is called {name!r}. Ask for a town, perhaps with another spelling.")
        first = _Fields(cast("list[object]", found)[0])
        return Place(first.text("name"), first.text("country", ""), first.number("latitude"), first.number("longitude"))

    async def now(self, place: Place) -> Weather:
        """The weather at a place now."""
        current = _Fields((await self._ask(place, {"current": _NOW})).get("current"))
        return Weather(
            place=str(place),
            time=current.text("time"),
            sky=_sky(current.number("weather_code")),
            temperature=current.number("temperature_2m"),
            feels_like=current.number("apparent_temperature"),
            humidity=current.number("relative_humidity_2m"),
            precipitation=current.number("precipitation"),
            wind=current.number("wind_speed_10m"),
        )

    async def days(self, place: Place, count: int) -> Outlook:
        """The weather of so many days, today first."""
        daily = _Fields((await self._ask(place, {"daily": _DAILY, "forecast_days": str(count)})).get("daily"))
        rows = zip(
            daily.column("time"),
            daily.column("weather_code"),
            daily.column("temperature_2m_min"),
            daily.column("temperature_2m_max"),
            daily.column("precipitation_sum"),
            strict=True,
        )
        return Outlook(str(place), [Day(str(row[0]), _sky(row[1]), *map(_number, row[2:])) for row in rows])

    async def _ask(self, place: Place, what: Mapping[str, str]) -> Mapping[str, object]:
        where = {"latitude": f"{place.latitude:g}", "longitude": f"{place.longitude:g}", "timezone": "auto"}
        return await self._get(f"{self._forecast}/v1/forecast", {**where, **what})

    async def _get(self, url: str, params: Mapping[str, str]) -> Mapping[str, object]:
        try:
            async with self._client.stream("GET", url, params=params) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LONGEST:
                        raise Unavailable("The weather service answers with more than was asked for.")
        except httpx.HTTPError as error:
            raise Unavailable(f"The weather service cannot be reached: {error or type(error).__name__}.") from None
        answer = _read(bytes(body))
        if response.status_code == _TOO_MANY:
            raise Unavailable("The weather service has been asked too often. Try again in a minute.")
        if response.status_code != _OK:
            raise Unavailable(f"The weather service refuses: {answer.get('reason', f'status {response.status_code}')}.")
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Fields:
    """Members of an object that somebody else made: each is what it should be, or the service is at fault."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise Unavailable("The weather service's answer has changed, and cannot be read.")
        self._value = cast("dict[str, object]", value)

    def text(self, name: str, default: str | None = None) -> str:
        found = self._value.get(name, default)
        if not isinstance(found, str):
            raise Unavailable(f"The weather service's answer has no {name}.")
        return found

    def number(self, name: str) -> float:
        return _number(self._value.get(name), name)

    def column(self, name: str) -> Sequence[object]:
        found = self._value.get(name)
        if not isinstance(found, list):
            raise Unavailable(f"The weather service's answer has no {name}.")
        return cast("list[object]", found)


def _read(body: bytes) -> Mapping[str, object]:
    from pydantic_core import from_json

    try:
        found: Any = from_json(body)
    except ValueError:
        found = None
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _number(value: object, name: str = "number") -> float:
    if not isinstance(value, int | float):
        raise Unavailable(f"The weather service's answer has no {name}.")
    return value


def _sky(code: object) -> str:
    return _SKIES.get(int(_number(code)), "unknown")
