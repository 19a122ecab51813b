"""What completion offers, the likeliest first."""

from __future__ import annotations

from typing import Final

CITIES: Final = {
    "France": ("Paris", "Lyon", "Marseille"),
    "Italy": ("Rome", "Milan", "Naples"),
    "Testland": ("Testville", "Testford", "Testminster"),
}


def countries(typed: str) -> list[str]:
    """The countries that start with what was typed."""
    return [country for country in CITIES if country.lower().startswith(typed.lower())]


def cities(typed: str, country: str | None = None) -> list[str]:
    """The cities that start with what was typed, of one country where it is known."""
    known = CITIES.get(country, ()) if country else [city for cities in CITIES.values() for city in cities]
    return [city for city in known if city.lower().startswith(typed.lower())]
