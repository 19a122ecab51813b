"""The page for a browser: what a server offers, and every message of it, to a person who builds one or a client."""
