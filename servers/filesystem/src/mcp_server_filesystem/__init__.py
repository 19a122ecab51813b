"""A Model Context Protocol server for files, confined to its directories by the operating system."""

__version__ = "0.1.0"
