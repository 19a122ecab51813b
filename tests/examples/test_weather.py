"""The weather's server: what the API says, what it says when it cannot, and the measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.served import serve
from tests.stage import Connect, in_every_revision, scene, text_of
from tests.transports.host import Host

from mcp_kernel import Client
from weather import recorded
from weather.forecast import Forecast
from weather.server import build

SCRIPT = str(Path(sys.executable).with_name("weather-server"))


@pytest.fixture
def api() -> Generator[str]:
    with recorded.answering() as url:
        yield url


@asynccontextmanager
async def asking(url: str) -> AsyncGenerator[Forecast]:
    """The weather of another API, whose connections are closed at the end."""
    forecast = Forecast(url, url)
    try:
        yield forecast
    finally:
        await forecast.close()


@in_every_revision
@scene
async def test_the_weather_is_told_in_every_revision(connect: Connect, api: str, revision: str) -> None:
    async with asking(api) as forecast, connect(build(forecast), revision) as client:
        now = await client.call_tool("current_weather", {"place": "berlin"})
        assert text_of(now) == (
            "Berlin, Germany, 2025-09-08T09:00: partly cloudy, 15.6 °C (feels like 14.9), wind 7.9 km/h, humidity 81 %."
        )
        days = await client.call_tool("weather_forecast", {"place": "Berlin", "days": 2})
        assert text_of(days).splitlines()[1:] == [
            "2025-09-08: partly cloudy, 12.1 to 22.8 °C",
            "2025-09-09: light rain, 13.4 to 19.2 °C",
        ]


def broken(status: int, answer: object) -> Any:
    def give(path: str, asked: dict[str, str]) -> tuple[int, Any]:
        return (200, {"results": [recorded.BERLIN]}) if path == "/v1/search" else (status, answer)

    return give


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (429, {"error": True, "reason": "limit"}, "Try again in a minute"),
        (400, {"error": True, "reason": "Latitude is wrong."}, "refuses: Latitude is wrong"),
        (500, [], "status 500"),
        (200, {}, "cannot be read"),
        (200, {"current": {"time": 7}}, "has no time"),
        (200, {"current": {**recorded.NOW, "temperature_2m": "warm"}}, "has no temperature_2m"),
        (200, {"current": {**recorded.NOW, "time": "x" * 2_000_000}}, "more than was asked for"),
    ],
)
@scene
async def test_what_the_api_does_wrong_is_told_in_a_sentence(
    connect: Connect, api: str, monkeypatch: pytest.MonkeyPatch, status: int, answer: object, said: str
) -> None:
    monkeypatch.setattr(recorded, "answer_to", broken(status, answer))
    async with asking(api) as forecast, connect(build(forecast)) as client:
        told = await client.call_tool("current_weather", {"place": "Berlin"})
        assert told["isError"]
        assert said in text_of(told)


@scene
async def test_a_place_that_is_not_there_and_an_api_that_is_not_are_told(connect: Connect, api: str) -> None:
    async with asking(api) as forecast, connect(build(forecast)) as client:
        assert "No place is called 'Nowhere'" in text_of(
            await client.call_tool("current_weather", {"place": "Nowhere"})
        )
    async with asking("http://127.0.0.1:9") as forecast, connect(build(forecast)) as client:
        assert "cannot be reached" in text_of(await client.call_tool("current_weather", {"place": "Berlin"}))


def test_the_program_serves_it_over_stdio_and_http(api: str) -> None:
    command = [SCRIPT, "--forecast-url", api, "--places-url", api]
    with Host(command) as host:
        assert "partly cloudy" in json.dumps(host.open().call("current_weather", place="Berlin"))

    @scene
    async def ask(url: str) -> None:
        async with Client(url) as client:
            assert "partly cloudy" in (await client.call_tool("current_weather", {"place": "Berlin"})).text

    with serve(command) as url:
        ask(url)


def test_the_measurement_prints_a_line_for_each_transport() -> None:
    program = str(Path(sys.executable).with_name("weather-latency"))
    done = subprocess.run([program, "--calls", "3"], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["transport", "stdio", "http", "sse"]
    assert all(float(number) > 0 for line in lines[1:] for number in line.split()[1:])
