"""`python -m mcp_kernel`: the command `mcp-kernel`."""

import sys

from mcp_kernel.console.program import main

if __name__ == "__main__":
    sys.exit(main())
