"""The server: `weather-server`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field

from mcp_kernel import Server
from mcp_kernel.cli import CommandLine

from . import __version__
from .forecast import FORECAST, PLACES, Forecast, Outlook, Unavailable, Weather

Name = Annotated[str, Len(2, 100)]


def build(forecast: Forecast) -> Server:
    """Make the server."""
    server = Server("weather", __version__, title="Weather", tool_errors=(Unavailable,))

    @server.tool(read_only=True, open_world=True)
    async def current_weather(place: Name) -> Weather:  # pyright: ignore[reportUnusedFunction]  # registered
        """Tell the weather at a place now.

        Args:
            place: A town, in any language.
        """
        return await forecast.now(await forecast.find(place))

    @server.tool(read_only=True, open_world=True)
    async def weather_forecast(place: Name, days: Annotated[int, Field(ge=1, le=16)] = 3) -> Outlook:  # pyright: ignore[reportUnusedFunction]  # registered
        """Tell the weather of the next days.

        Args:
            place: A town, in any language.
            days: How many days, today among them.
        """
        return await forecast.days(await forecast.find(place), days)

    server.on_close(forecast.close)
    return server


def main() -> None:
    """Start the server with the arguments of this process."""
    line = CommandLine("weather-server", __version__, "Weather from Open-Meteo, which asks for no key.")
    options = line.add_argument_group("options of this server")
    options.add_argument("--forecast-url", default=FORECAST, metavar="URL", help="where forecasts are asked for")
    options.add_argument("--places-url", default=PLACES, metavar="URL", help="where places are asked for")
    arguments = line.parse_args()
    forecast = Forecast(arguments.forecast_url, arguments.places_url)
    line.serve(build(forecast), arguments, "the weather")
