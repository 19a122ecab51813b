"""A Model Context Protocol server for a support desk's tickets, on SQLite or PostgreSQL."""

__version__ = "0.1.0"
