"""`python -m mcp_sandbox`."""

from mcp_sandbox.cli import main

if __name__ == "__main__":
    main()
