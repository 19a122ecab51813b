"""Notes in a JSON file, as resources and tools."""

__version__ = "0.1.0"
