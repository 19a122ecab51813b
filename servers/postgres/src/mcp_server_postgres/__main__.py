"""`python -m mcp_server_postgres`."""

from .cli import main

main()
