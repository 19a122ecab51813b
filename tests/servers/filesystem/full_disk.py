"""Changes files on a disk that is full: a small tmpfs of its own.

    unshare --map-root-user --mount python full_disk.py FOLDER

Prints, as JSON, what each change was refused with, and what is on the disk before and after.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mcp_server_filesystem.editing import Edit
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.moving import move
from mcp_server_filesystem.refusals import Refusal
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.writing import edit_text, write_text

LARGE = "x" * 200_000


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def look(folder: Path) -> dict[str, int]:
    """The files, with a number for what they hold."""
    return {each.name: hash(each.read_bytes()) for each in folder.iterdir() if each.is_file()}


def main() -> None:
    """Try every change."""
    folder = Path(sys.argv[1])
    disk, other = folder / "disk", folder / "other"
    disk.mkdir()
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True, timeout=10)
    (disk / "old.txt").write_text("old\n" * 3_000)
    (other / "large.txt").write_text(LARGE)
    (other / "tree").mkdir()
    (other / "tree" / "large.txt").write_text(LARGE)
    fill(disk / "filler")
    box = Sandbox([Directory(disk), Directory(other)], Policy())
    before, refusals = look(disk), dict[str, str]()
    with box.scope() as scope:
        edit = [Edit("old\n" * 3_000, LARGE)]
        changes: dict[str, Callable[[], object]] = {
            "overwrite": lambda: write_text(box, scope, "old.txt", LARGE, ("overwrite", None)),
            "append": lambda: write_text(box, scope, "old.txt", LARGE, ("append", None)),
            "create": lambda: write_text(box, scope, "new.txt", LARGE, ("create", None)),
            "edit": lambda: edit_text(box, scope, "old.txt", edit, (False, None)),
            "move": lambda: move(scope, str(other / "large.txt"), str(disk / "large.txt"), Errand()),
            "move a tree": lambda: move(scope, str(other / "tree"), str(disk / "tree"), Errand()),
        }
        for name, change in changes.items():
            try:
                change()
            except Refusal as refusal:
                refusals[name] = str(refusal)
    kept = sorted(str(each.relative_to(other)) for each in other.rglob("*") if each.is_file())
    json.dump(
        {
            "refusals": refusals,
            "same": look(disk) == before,
            "on": sorted(each.name for each in disk.iterdir()),
            "kept": kept,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
