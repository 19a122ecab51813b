"""What may be read and how much: the operator's word, and how names are compared."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows; given once on the command line and never changed by a caller.

    A table's name is compared as SQLite compares it: ASCII letters without regard to case. A name that exists in
    no file is kept all the same, so that a table that is created later under it is denied from its first moment.
    """

    deny_tables: frozenset[str] = frozenset()
    mask_columns: frozenset[tuple[str, str]] = frozenset()
    max_rows: int = 1000
    query_timeout: float = 10.0
    max_bytes: int = 100_000
    allow_write: bool = False
    immutable: bool = False

    @property
    def restricts(self) -> bool:
        """Whether anything at all is withheld; only then are programs read and schemas copied."""
        return bool(self.deny_tables or self.mask_columns)


def fold(name: str) -> str:
    """Fold a name as SQLite does: A-Z only. str.lower would also fold letters that SQLite tells apart."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def quote(name: str) -> str:
    """Quote an identifier by SQLite's rule: double quotes, doubled inside. NUL cannot be quoted: it ends the SQL."""
    if "\0" in name:
        raise ValueError("a name cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def nearest(name: str, candidates: list[str]) -> list[str]:
    """Give up to three candidates that look like the name, best first."""
    from difflib import get_close_matches  # here: only needed when something was misspelt

    folded = {fold(candidate): candidate for candidate in candidates}
    inside = [value for key, value in folded.items() if fold(name) and fold(name) in key]
    close = [folded[key] for key in get_close_matches(fold(name), list(folded), n=3, cutoff=0.5)]
    return list(dict.fromkeys(close + inside))[:3]
