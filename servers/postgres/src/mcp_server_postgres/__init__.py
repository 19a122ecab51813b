"""A Model Context Protocol server for PostgreSQL, read-only by the engine's own means."""

__version__ = "0.1.0"
