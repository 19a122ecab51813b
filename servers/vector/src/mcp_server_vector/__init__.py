"""A Model Context Protocol server for vector search: hybrid retrieval over Chroma, offline from the first second."""

__version__ = "0.1.0"
