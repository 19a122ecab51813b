"""The filesystem server beside npm's `@modelcontextprotocol/server-filesystem`, on a generated tree of files."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from .installing import install_npm
from .rows import Aim
from .trials import PEER, Contest, Program, Trial, same

PACKAGE: Final = "@modelcontextprotocol/server-filesystem"
VERSION: Final = "2026.8.31"
FILES: Final = 20_000
QUICK_FILES: Final = 2_000
LINES: Final = 2_000_000  # 50 MB
QUICK_LINES: Final = 20_000
PER_FOLDER: Final = 20
WORDS: Final = (
    "river", "stone", "cloud", "amber", "quiet", "meadow", "copper", "lantern", "harbour", "willow",
)  # fmt: skip
SEARCH: Final = (Aim(1 / 3, PEER),)
TREE: Final = (Aim(1 / 1.6, PEER),)


@contextmanager
def prepare(work: Path, *, quick: bool) -> Generator[Contest]:
    """Make the tree."""
    root = (work / "tree").resolve()
    root.mkdir()
    files = QUICK_FILES if quick else FILES
    make_tree(root, files, lines := QUICK_LINES if quick else LINES)
    ours = Program([sys.executable, "-m", "mcp_server_filesystem", "--max-output-bytes", "0", str(root)])
    about = (
        f"A generated tree of {files:,} files, `mcp-server-filesystem` beside npm's `{PACKAGE}` {VERSION}. "
        "Floor: `os.scandir` and a regular expression, and the system's own calls, in one process."
    )
    yield Contest("Files", about, ours, {PEER: lambda: find_peer(root)}, list_trials(root, lines))


def find_peer(root: Path) -> Program:
    """Npm's."""
    folder = install_npm(f"server-filesystem-{VERSION}", f"{PACKAGE}@{VERSION}")
    return Program(["node", str(folder / "node_modules" / PACKAGE / "dist" / "index.js"), str(root)])


def make_tree(root: Path, files: int, lines: int) -> None:
    """Folders three deep with small text files, the same every time, and one of so many lines."""
    for number in range(files // PER_FOLDER):
        folder = root / f"area{number % 10}" / f"part{number // 10 % 10}" / f"folder{number}"
        folder.mkdir(parents=True)
        for index in range(PER_FOLDER):
            suffix = ("py", "md", "txt", "json")[index % 4]
            words = (f"{WORDS[(number + line) % 10]} {WORDS[(index * line) % 10]} {line}\n" for line in range(30))
            (folder / f"file{index}.{suffix}").write_text(f"# number {index}\n" + "".join(words))
    with (root / "long.txt").open("w") as long:
        long.writelines(f"line {number} of a long file\n" for number in range(lines))


def list_trials(root: Path, lines: int) -> list[Trial]:
    """The calls that both know."""
    return [*list_walks(root), *list_looks(root, lines), *list_changes(root)]


def list_walks(root: Path) -> list[Trial]:
    """What goes through the whole tree."""
    every, few = "**/*.py", "**/folder77/*.md"
    return [
        Trial(
            "directory_tree, all",
            same("directory_tree", {"path": str(root)}),
            lambda _: to_json(build_tree(str(root))),
            "folder77",
            2,
            TREE,
            quick=True,
        ),
        Trial(
            f"search_files `{every}`",
            same("search_files", {"path": str(root), "pattern": every}),
            lambda _: to_json(search(str(root), re.compile(r"(?:.*/)?[^/]*\.py"))),
            "file0.py",
            2,
            SEARCH,
            quick=True,
        ),
        Trial(
            "search_files, few hits",
            same("search_files", {"path": str(root), "pattern": few}),
            lambda _: to_json(search(str(root), re.compile(r"(?:.*/)?folder77/[^/]*\.md"))),
            "folder77",
            2,
            SEARCH,
        ),
    ]


def list_looks(root: Path, lines: int) -> list[Trial]:
    """What reads a folder or a file."""
    folder = root / "area0" / "part0" / "folder0"
    long = root / "long.txt"
    some = [str(folder / f"file{index}.md") for index in range(1, PER_FOLDER, 4)]
    first = Path(some[0])
    here, file = {"path": str(folder)}, {"path": some[0]}
    listed = "list_directory_with_sizes"
    return [
        Trial("list_directory", same("list_directory", here), lambda _: list_names(folder), "file0.py", 40),
        Trial(listed, same(listed, here), lambda _: list_sizes(folder), "file0.py", 40),
        Trial("get_file_info", same("get_file_info", file), lambda _: to_json(describe(first)), "size", 40),
        Trial("read_text_file", same("read_text_file", file), lambda _: read([first]), "# number 1", 40, quick=True),
        Trial(
            "read_text_file, head of 50 MB",
            same("read_text_file", {"path": str(long), "head": 10}),
            lambda _: read_head(long),
            "line 9 of",
            20,
        ),
        Trial(
            "read_text_file, tail of 50 MB",
            same("read_text_file", {"path": str(long), "tail": 10}),
            lambda _: read_tail(long),
            f"line {lines - 1} of",
            20,
        ),
        Trial(
            "read_multiple_files, 5",
            same("read_multiple_files", {"paths": some}),
            lambda _: read([Path(each) for each in some]),
            "# number 17",
            20,
        ),
    ]


def list_changes(root: Path) -> list[Trial]:
    """What writes, and what would."""
    file, written = root / "area0" / "part0" / "folder0" / "file1.md", root / "written.txt"
    edit = {"oldText": "# number 1\n", "newText": "# the first\n"}
    content = "word\n" * 200
    return [
        Trial(
            "write_file",
            same("write_file", {"path": str(written), "content": content}),
            lambda _: replace(written, content),
            "written.txt",
            20,
        ),
        Trial(
            "edit_file, dry",
            same("edit_file", {"path": str(file), "edits": [edit], "dryRun": True}),
            lambda _: compare(file, edit["oldText"], edit["newText"]),
            "+# the first",
            20,
        ),
    ]


def build_tree(folder: str) -> list[dict[str, object]]:
    """A folder as names with their kinds."""
    tree: list[dict[str, object]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                tree.append({"name": entry.name, "type": "directory", "children": build_tree(entry.path)})
            else:
                tree.append({"name": entry.name, "type": "file"})
    return tree


def search(root: str, pattern: re.Pattern[str]) -> list[str]:
    """Files whose path from the root matches."""
    cut = len(root) + 1
    return [path for path in walk(root) if pattern.fullmatch(path, cut)]


def walk(root: str) -> Iterator[str]:
    """Every file below a folder."""
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path


def list_names(folder: Path) -> bytes:
    """Names and kinds."""
    with os.scandir(folder) as entries:
        return to_json([(entry.name, entry.is_dir()) for entry in entries])


def list_sizes(folder: Path) -> bytes:
    """Names and sizes."""
    with os.scandir(folder) as entries:
        return to_json([(entry.name, entry.stat().st_size) for entry in entries])


def describe(path: Path) -> dict[str, object]:
    """What the system knows of a file."""
    found = path.stat()
    return {"size": found.st_size, "modified": found.st_mtime, "permissions": f"{found.st_mode:o}"}


def read(paths: Sequence[Path]) -> bytes:
    """Files whole."""
    return to_json({str(path): path.read_text() for path in paths})


def read_head(path: Path) -> bytes:
    """Ten lines."""
    with path.open() as lines:
        return to_json([next(lines) for _ in range(10)])


def read_tail(path: Path) -> bytes:
    """The last ten lines."""
    with path.open("rb") as file:
        file.seek(-4096, os.SEEK_END)
        return to_json(file.read().decode().splitlines()[-10:])


def replace(path: Path, content: str) -> bytes:
    """Write beside, wait for the disk, and put it into the place of the old one."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return to_json({"path": str(path)})


def compare(path: Path, old: str, new: str) -> bytes:
    """The difference that an edit would make."""
    before = path.read_text()
    after = before.replace(old, new, 1)
    return to_json("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True))))
