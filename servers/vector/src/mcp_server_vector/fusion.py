"""Scores: of one search between 0 and 1, and of two searches together."""

from __future__ import annotations

import math
from collections.abc import Mapping


def similarity(distance: float, space: str) -> float:
    """Turn a distance into a similarity between 0 and 1 that falls as the distance grows.

    Cosine distance is 1 - cos: what points away from the query scores 0. Squared Euclidean distance and inner product
    have no bounds, so that they are bent into the interval.
    """
    if space == "cosine":
        return min(max(1.0 - distance, 0.0), 1.0)
    if space == "l2":
        return 1.0 / (1.0 + max(distance, 0.0))
    return 1.0 / (1.0 + math.exp(min(max(distance - 1.0, -700.0), 700.0)))  # ip: the distance is 1 - product


def fuse(semantic: Mapping[str, float], keyword: Mapping[str, float], weight: float) -> dict[str, float]:
    """Mix two searches: `weight` is the share of the semantic one.

    Each is scaled by its own best score, which ranks better than to mix them as they are or by ranks. The better of
    the two best scores then scales the mixture, so that where nothing fits well all scores are low.
    """
    meant, said = max(semantic.values(), default=0.0), max(keyword.values(), default=0.0)
    strength = max(meant, said)
    shares = weight / meant if meant > 0 else 0.0, (1 - weight) / said if said > 0 else 0.0
    return {
        each: strength * (shares[0] * semantic.get(each, 0.0) + shares[1] * keyword.get(each, 0.0))
        for each in {*semantic, *keyword}
    }
