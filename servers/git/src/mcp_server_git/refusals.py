"""Refusal: the one way in which the domain says no."""


class Refusal(Exception):
    """An answer that says no: what is wrong and what to do next, written for a language model to read.

    Its text never holds what a file outside the allowed repositories holds, nor whether one is there.
    """

    def __str__(self) -> str:
        return super().__str__().encode("utf-8", "backslashreplace").decode()  # a path may be no text


class NothingThere(Refusal):
    """There is no such repository, revision or file."""
