"""`python -m mcp_server_vector`."""

from .cli import main

main()
