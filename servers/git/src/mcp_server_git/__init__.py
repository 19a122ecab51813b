"""A Model Context Protocol server for git repositories, in which a hostile repository runs nothing."""

__version__ = "0.1.0"
