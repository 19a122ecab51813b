"""What is refused, with a text that says what to do next; the text is written for the one who asked."""


class Refusal(Exception):
    """A request that is not served, and why."""


class Missing(Refusal):
    """What was named is not there."""


class Busy(Refusal):
    """Somebody else writes, and goes on writing."""


class Mismatch(Refusal):
    """A collection was embedded by something else than what would search it now."""


class Stale(Refusal):
    """Another process wrote to the collection since its vectors were loaded here."""
