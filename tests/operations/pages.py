"""Pages of figures, read as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(page: bytes) -> Figures:
    """Every sample of a page, by its name and labels; one that comes twice is an error of the page."""
    found: Figures = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(cast("Mapping[str, str]", sample.labels).items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def figure(page: bytes, name: str, /, **labels: str) -> float:
    return read(page).get((name, frozenset(labels.items())), 0.0)
