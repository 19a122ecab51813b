"""Answers of Open-Meteo, in the form that its documentation shows, and a server on this machine that gives them."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

_UNITS: Final = {"time": "iso8601", "interval": "seconds", "temperature_2m": "°C", "wind_speed_10m": "km/h"}
BERLIN: Final[Mapping[str, object]] = {
    "id": 2950159,
    "name": "Berlin",
    "latitude": 52.52437,
    "longitude": 13.41053,
    "elevation": 74.0,
    "feature_code": "PPLC",
    "country_code": "DE",
    "timezone": "Europe/Berlin",
    "country": "Germany",
    "admin1": "State of Berlin",
}
HEAD: Final[Mapping[str, object]] = {
    "latitude": 52.52,
    "longitude": 13.419998,
    "generationtime_ms": 0.068,
    "utc_offset_seconds": 7200,
    "timezone": "Europe/Berlin",
    "timezone_abbreviation": "GMT+2",
    "elevation": 38.0,
}
NOW: Final[Mapping[str, object]] = {
    "time": "2025-09-08T09:00",
    "interval": 900,
    "temperature_2m": 15.6,
    "apparent_temperature": 14.9,
    "relative_humidity_2m": 81,
    "precipitation": 0.0,
    "weather_code": 2,
    "wind_speed_10m": 7.9,
}
DAYS: Final[Mapping[str, list[object]]] = {
    "time": ["2025-09-08", "2025-09-09", "2025-09-10"],
    "weather_code": [2, 61, 95],
    "temperature_2m_min": [12.1, 13.4, 14.0],
    "temperature_2m_max": [22.8, 19.2, 21.5],
    "precipitation_sum": [0.0, 4.2, 11.7],
}


class _Recorded(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second would wait for an acknowledgement

    def do_GET(self) -> None:  # the name that http.server calls
        """Answer as the API does."""
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, answer = answer_to(parts.path, asked)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def answer_to(path: str, asked: Mapping[str, str]) -> tuple[int, Mapping[str, object]]:
    """The status and the answer."""
    if path == "/v1/search":
        return 200, {"results": [BERLIN]} if asked.get("name", "").casefold() == "berlin" else {
            "generationtime_ms": 0.4
        }
    if path != "/v1/forecast":
        return 404, {"reason": "Not Found", "error": True}
    if not -90 <= float(asked.get("latitude", "nan")) <= 90:
        return 400, {"error": True, "reason": "Latitude must be in range of -90 to 90°."}
    count = int(asked.get("forecast_days", "7"))
    daily = {"daily": {name: values[:count] for name, values in DAYS.items()}} if "daily" in asked else {}
    return 200, {**HEAD, **({"current_units": _UNITS, "current": NOW} if "current" in asked else {}), **daily}


@contextmanager
def answering() -> Generator[str]:
    """Listen on this machine; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorded)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="recorded", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
