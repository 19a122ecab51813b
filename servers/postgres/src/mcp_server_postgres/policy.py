"""What may be read and how much: the operator's word, and how names are compared."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows; given once on the command line and never changed by a caller.

    A table is named `table`, in whatever schema, or `schema.table`; a masked column has the column behind it. Case is
    not regarded: a name that fits too much withholds too much, which shows, and one that fits too little would not.
    """

    deny_tables: frozenset[str] = frozenset()
    mask_columns: frozenset[tuple[str, str]] = frozenset()
    allow_functions: frozenset[str] = frozenset()
    max_rows: int = 1000
    query_timeout: float = 10.0
    max_bytes: int = 100_000
    max_cost: float = 0.0
    allow_superuser: bool = False

    @property
    def restricts(self) -> bool:
        """Whether anything at all is withheld."""
        return bool(self.deny_tables or self.mask_columns)

    def denies(self, schema: str, table: str) -> bool:
        """Whether a table of this name is withheld."""
        return any(_is_named(schema, table, name) for name in self.deny_tables)

    def masks(self, schema: str, table: str) -> frozenset[str]:
        """The columns of a table of this name that are withheld, folded."""
        return frozenset(fold(column) for name, column in self.mask_columns if _is_named(schema, table, name))


def _is_named(schema: str, table: str, name: str) -> bool:
    return fold(name) in (fold(table), f"{fold(schema)}.{fold(table)}")


def fold(name: str) -> str:
    """Fold a name for comparison."""
    return name.casefold()


def quote(name: str) -> str:
    """Quote an identifier by SQL's rule: double quotes, doubled inside."""
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
