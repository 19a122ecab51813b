"""`python -m support_agent`."""

import sys

from support_agent.cli import main

sys.exit(main())
