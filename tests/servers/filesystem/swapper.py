"""Swaps two names for each other, as fast as the system can, until its input ends: the other side of a race.

    python swapper.py FIRST SECOND

Each swap is one act, so that neither name is ever missing. Says "ready" once it swaps, and at the end how often it did.
"""

import ctypes
import errno
import os
import select
import sys

EXCHANGE = 2
AT_FDCWD = -100


def main() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    first, second = (os.fsencode(each) for each in sys.argv[1:3])
    count = 0
    while count % 64 or not select.select([sys.stdin], [], [], 0)[0]:
        failed = library.renameat2(AT_FDCWD, first, AT_FDCWD, second, EXCHANGE)
        if failed and ctypes.get_errno() != errno.ENOENT:  # the other side may have moved one of them away
            return 1
        if count == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        count += 1
    sys.stdout.write(f"{count}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
