"""What the operator decided, the same for every repository."""

from dataclasses import dataclass

MEMORY_CEILING = 64 * 1024 * 1024  # of one answer, when the operator set no limit of bytes
LARGEST_HEAP = 512 * 1024 * 1024  # bytes of one run of git: the diff of a text of 70 MB takes 400 MB
ENVELOPE = 2_000  # bytes of an answer beside its lists and texts


@dataclass(frozen=True, slots=True)
class Policy:
    """Fences and permissions.

    `resolve_seconds` is for one name of a revision, `call_seconds` for one run of git, `max_bytes` for one answer
    (0: no limit but the memory ceiling).
    """

    max_bytes: int = 100_000
    run_hooks: bool = False
    read_only: bool = False
    resolve_seconds: float = 5.0
    call_seconds: float = 7.0

    @property
    def room(self) -> int:
        """Bytes that the lists and texts of one answer may take."""
        ceiling = min(self.max_bytes, MEMORY_CEILING) if self.max_bytes else MEMORY_CEILING
        return max(ceiling - min(ENVELOPE, ceiling // 4), 200)
