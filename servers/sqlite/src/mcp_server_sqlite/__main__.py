"""`python -m mcp_server_sqlite`."""

from .cli import main

main()
