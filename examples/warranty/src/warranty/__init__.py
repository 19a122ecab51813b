"""One question answered across three servers: tickets, products and a handbook."""

__version__ = "0.1.0"
