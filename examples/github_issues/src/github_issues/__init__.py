"""Issues on GitHub: created once, searched and read."""

__version__ = "0.1.0"
