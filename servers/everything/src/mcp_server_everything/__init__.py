"""A Model Context Protocol server with every feature of the protocol, for people who build clients."""

__version__ = "0.1.0"
