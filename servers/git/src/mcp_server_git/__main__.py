"""`python -m mcp_server_git`."""

from .cli import main

main()
