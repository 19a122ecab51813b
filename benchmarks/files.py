"""The filesystem server beside npm's `@modelcontextprotocol/server-filesystem`, on a generated tree of 20,000 files.

    uv run benchmarks/files.py [FILES]

Needs Node and the npm registry. Every call is made on one server and on the other in turn; the first is not counted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from contest import Trial, compete, install_npm

PACKAGE = "@modelcontextprotocol/server-filesystem@2026.8.31"
PER_FOLDER = 20
WORDS = ["river", "stone", "cloud", "amber", "quiet", "meadow", "copper", "lantern", "harbour", "willow"]


def make_tree(root: Path, files: int) -> None:
    """Folders three deep with small text files, the same every time."""
    for number in range(files // PER_FOLDER):
        folder = root / f"area{number % 10}" / f"part{number // 10 % 10}" / f"folder{number}"
        folder.mkdir(parents=True)
        for index in range(PER_FOLDER):
            suffix = ("py", "md", "txt", "json")[index % 4]
            lines = (f"{WORDS[(number + line) % 10]} {WORDS[(index * line) % 10]} {line}\n" for line in range(30))
            (folder / f"file{index}.{suffix}").write_text(f"# number {index}\n" + "".join(lines))
    with (root / "long.txt").open("w") as long:
        long.writelines(f"line {number} of a long file\n" for number in range(2_000_000))


def list_trials(root: Path) -> list[Trial]:
    """The calls that both know."""
    folder = root / "area0" / "part0" / "folder0"
    some = [str(folder / f"file{index}.md") for index in range(1, PER_FOLDER, 4)]
    edit = {"oldText": "# number 1\n", "newText": "# the first\n"}
    return [
        Trial("directory_tree, all", "directory_tree", {"path": str(root)}, 7),
        Trial("search_files **/*.py", "search_files", {"path": str(root), "pattern": "**/*.py"}, 7),
        Trial("search_files, few hits", "search_files", {"path": str(root), "pattern": "**/folder77/*.md"}, 7),
        Trial("list_directory", "list_directory", {"path": str(folder)}, 200),
        Trial("list_directory_with_sizes", "list_directory_with_sizes", {"path": str(folder)}, 200),
        Trial("get_file_info", "get_file_info", {"path": some[0]}, 200),
        Trial("read_text_file", "read_text_file", {"path": some[0]}, 200),
        Trial("read_text_file, head of 50 MB", "read_text_file", {"path": str(root / "long.txt"), "head": 10}, 100),
        Trial("read_text_file, tail of 50 MB", "read_text_file", {"path": str(root / "long.txt"), "tail": 10}, 100),
        Trial("read_multiple_files, 5", "read_multiple_files", {"paths": some}, 100),
        Trial("write_file", "write_file", {"path": str(root / "written.txt"), "content": "word\n" * 200}, 100),
        Trial("edit_file, dry", "edit_file", {"path": some[0], "edits": [edit], "dryRun": True}, 100),
    ]


def main(files: int) -> None:
    """Make the tree, install the peer, compete."""
    with tempfile.TemporaryDirectory() as work:
        root = Path(work, "tree").resolve()
        root.mkdir()
        make_tree(root, files)
        peer = install_npm(Path(work, "npm"), PACKAGE)
        ours = [sys.executable, "-m", "mcp_server_filesystem", "--max-output-bytes", "0", str(root)]
        theirs = ["node", str(peer / "dist" / "index.js"), str(root)]
        asyncio.run(compete(ours, theirs, list_trials(root)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
