"""The secrets of the containers, one file each: nothing else of the configuration holds them."""

from __future__ import annotations

from pathlib import Path
from secrets import token_urlsafe
from typing import Final

_BYTES: Final = 24


def write_passwords(folder: Path) -> None:
    """Write new secrets; raises `FileExistsError` where there are some.

    The folder is for its owner alone, the files for all: each is mounted by itself into the containers that may read
    it, where the user is another.
    """
    folder.mkdir(mode=0o700, parents=True)
    reader = token_urlsafe(_BYTES)
    texts = {
        "owner_password": token_urlsafe(_BYTES),
        "reader_password": reader,
        "reader_dsn": f"postgresql://reader:{reader}@database:5432/shop",
        "state_key": token_urlsafe(_BYTES),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "ascii")
        (folder / name).chmod(0o444)
