"""`python -m mcp_server_ticketing`."""

from .cli import main

main()
