"""Prompts as files, with versions to choose from."""

__version__ = "0.1.0"
