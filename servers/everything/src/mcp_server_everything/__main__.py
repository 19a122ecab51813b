"""`python -m mcp_server_everything`."""

from .cli import main

main()
