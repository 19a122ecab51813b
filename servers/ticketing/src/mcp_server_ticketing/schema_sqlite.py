"""The tables on SQLite, version by version. A version that was published is never changed: the next one changes it."""

from typing import Final

from .storage import Schema

_FIRST: Final = (
    "CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)",
    """
    CREATE TABLE customers (
        email TEXT PRIMARY KEY NOT NULL CHECK (length(email) BETWEEN 3 AND 254 AND email = lower(email)),
        name TEXT NOT NULL CHECK (length(name) <= 100),
        tier TEXT NOT NULL CHECK (tier IN ('free', 'pro'))
    )
    """,
    """
    CREATE TABLE tickets (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        subject TEXT NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
        customer TEXT NOT NULL REFERENCES customers (email),
        body TEXT NOT NULL CHECK (length(body) BETWEEN 1 AND 10000),
        priority TEXT NOT NULL CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
        status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
        queue TEXT NOT NULL DEFAULT 'support' CHECK (queue IN ('support', 'human')),
        opened_at TEXT NOT NULL,
        closed_at TEXT,
        resolution TEXT CHECK (length(resolution) BETWEEN 1 AND 10000),
        CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
        CHECK ((status = 'closed') = (resolution IS NOT NULL))
    )
    """,
    """
    CREATE TABLE notes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        ticket_id INTEGER NOT NULL REFERENCES tickets (id),
        author TEXT NOT NULL CHECK (length(author) BETWEEN 1 AND 100),
        written_at TEXT NOT NULL,
        text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 10000)
    )
    """,
    """
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        ticket_id INTEGER NOT NULL REFERENCES tickets (id),
        happened_at TEXT NOT NULL,
        actor TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 100),
        what TEXT NOT NULL CHECK (what IN ('created', 'noted', 'escalated', 'closed')),
        detail TEXT,
        origin TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        principal TEXT NOT NULL,
        key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
        digest TEXT NOT NULL,
        stored_at TEXT NOT NULL,
        PRIMARY KEY (principal, key)
    )
    """,
)
_SECOND: Final = (
    "CREATE INDEX tickets_by_customer ON tickets (customer)",
    "CREATE INDEX tickets_by_status ON tickets (status, queue)",
    "CREATE INDEX notes_by_ticket ON notes (ticket_id)",
    "CREATE INDEX history_by_ticket ON history (ticket_id)",
    "CREATE TRIGGER history_is_written_once BEFORE UPDATE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is only added to'); END",
    "CREATE TRIGGER history_is_kept BEFORE DELETE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is only added to'); END",
)

SCHEMA: Final = Schema(
    exists="SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_versions'",
    migrations=(_FIRST, _SECOND),
)
