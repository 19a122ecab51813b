"""`python -m mcp_server_filesystem`."""

from .cli import main

main()
