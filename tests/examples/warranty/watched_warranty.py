"""The command `warranty` in a process whose every message is written to the file that the variable WATCHED names."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

if __name__ == "__main__":
    from tests.watched import watch

    from warranty.cli import main

    watch()
    sys.exit(main())
