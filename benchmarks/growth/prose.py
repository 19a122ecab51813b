"""Texts for measuring."""

from __future__ import annotations

import random
from itertools import accumulate


class Prose:
    """Texts whose words are as often used as those of a language: the one at rank r as often as 1 / r."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # texts, no secrets
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = ["".join(self._chance.choices(letters, k=self._chance.randrange(3, 10))) for _ in range(30_000)]
        self._often = list(accumulate(1 / (rank + 5) for rank in range(30_000)))

    def words(self, number: int) -> str:
        """So many words."""
        return " ".join(self._chance.choices(self._words, cum_weights=self._often, k=number))

    def text(self, sentences: int) -> str:
        """So many sentences, of about 85 characters each."""
        return " ".join(f"{self.words(14).capitalize()}." for _ in range(sentences))
