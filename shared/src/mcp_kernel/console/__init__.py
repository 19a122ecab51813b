"""The command `mcp-kernel`: look at a server, call it, and find out why a host's servers do not work."""
