"""Weather from a public API, and what a call costs over each transport."""

__version__ = "0.1.0"
