"""Changing files: writing them whole, editing them, making directories."""

from __future__ import annotations

import posixpath
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from .confinement import Scope, Spot
from .content import HASHED, hash_bytes, open_source
from .descriptors import FOLDER, make_folder_in
from .diffing import compare, make_diff
from .editing import Edit, apply_edits, normalise
from .encodings import UTF_8, Encoding, detect
from .refusals import NotThere, Refusal, explain, spell
from .replacing import ABSENT, check_etag, read_old, replace_content
from .sandbox import Sandbox

Mode = Literal["overwrite", "create", "append"]
_MOST_LETTERS = 64 * 1024 * 1024
_MOST_FOLDERS = 64


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written; `etag` is its tag now, for ifMatch."""

    path: str
    bytes: int
    etag: str
    created: bool
    note: str | None = None

    def __str__(self) -> str:
        text = f"Successfully wrote to {self.path}\n[etag {self.etag}]"
        return f"{text}\n{self.note}" if self.note else text


@dataclass(frozen=True, slots=True)
class Edited:
    """A file that was edited, or would be; `etag` is its tag now."""

    path: str
    dry_run: bool
    diff: str
    etag: str
    note: str | None = None

    def __str__(self) -> str:
        ticks = "```"
        while ticks in self.diff:
            ticks += "`"
        text = f"{ticks}diff\n{self.diff}{ticks}\n\n" if self.diff else "The edits change nothing.\n"
        said = "Nothing was written: this was a dry run. " if self.dry_run else ""
        return f"{text}{said}[etag {self.etag}]" + (f"\n{self.note}" if self.note else "")

    def fit(self, budget: int) -> Edited:
        """Show the beginning of the diff."""
        shown = self.diff.encode("utf-8", "replace")[: max(budget // 2 - 600, 0)].decode("utf-8", "ignore")
        shown = shown[: shown.rfind("\n") + 1]
        note = f"Cut: the diff has {len(self.diff)} characters and is shown in part. The edits are not cut."
        return replace(self, diff=shown, note=note)


@dataclass(frozen=True, slots=True)
class Made:
    """A directory that is there now; `created` says whether it was not there before."""

    path: str
    created: bool

    def __str__(self) -> str:
        return f"Successfully created directory {self.path}"


def write_text(sandbox: Sandbox, scope: Scope, path: str, content: str, how: tuple[Mode, str | None]) -> Written:
    """Write a file whole, or add to its end; `how` is the mode and the tag that the old file must have."""
    mode, expected = how[0], how[1] or None
    if len(content) > _MOST_LETTERS:
        raise Refusal(f"The content has {len(content)} characters; {_MOST_LETTERS} are the most of one call.")
    if mode == "create" and expected:
        raise Refusal("mode create makes a file that is not there yet, ifMatch names one that is. Send one of them.")
    sample = mode == "overwrite" and not expected
    with _admitted(scope, path) as spot, read_old(spot, path, sample=sample) as old:
        if expected:
            check_etag(old.etag if old else None, expected, path)
        if mode == "create":
            if old is not None:
                raise Refusal(f"{spell(path)} exists already. Use mode overwrite to replace it.")
            expected = ABSENT
        elif mode == "append":
            expected = ABSENT if old is None else old.etag
        data, note = _compose(old.data if old else None, content, append=mode == "append")
        remark = replace_content(spot, path, data, old, (sandbox, expected))
        if old is not None:
            scope.keep(old.opened)
    notes = " ".join(each for each in (note, remark) if each)
    return Written(spell(path), len(data), _tag(scope, path, data), old is None, notes or None)


@contextmanager
def _admitted(scope: Scope, path: str) -> Generator[Spot]:
    """The spot of a file that may be written."""
    with scope.spot(path) as spot:
        scope.admit_writing(spot.real, path)
        yield spot


def _tag(scope: Scope, path: str, data: bytes) -> str:
    """The tag of what was just written: that of the bytes, or of a large file that of the file."""
    if len(data) <= HASHED:
        return hash_bytes(data)
    with open_source(scope, path) as source:
        return source.etag()


def edit_text(sandbox: Sandbox, scope: Scope, path: str, edits: Sequence[Edit], how: tuple[bool, str | None]) -> Edited:
    """Make all edits or none; `how` says whether to only show them, and the tag that the file must have."""
    dry_run, expected = how
    with _admitted(scope, path) as spot, read_old(spot, path) as old:
        if old is None:
            raise NotThere(f"{spell(path)} does not exist. write_file makes a file.")
        data, etag = old.data, old.etag
        if expected:
            check_etag(etag, expected, path)
        encoding = detect(data)
        if encoding is None:
            raise Refusal(f"{spell(path)} is binary and no text, so it cannot be edited.")
        text = encoding.decode(data[len(encoding.mark) :])
        old_mac = "\r" in text and "\n" not in text
        before = normalise(text, old_mac=old_mac)
        after = apply_edits(before, edits, old_mac=old_mac)
        diff = make_diff(before, after, spell(path))
        if dry_run or after == before:
            return Edited(spell(path), dry_run, diff, etag)
        written = after.replace("\n", "\r") if old_mac else _restore(text, before, after)
        new = _encode(encoding, written, path)
        remark = replace_content(spot, path, new, old, (sandbox, etag))
        if old_mac and remark is None:
            remark = "The lines of this file end with CR, as those of old Macintoshes do; new ones do too."
        scope.keep(old.opened)
    return Edited(spell(path), dry_run, diff, _tag(scope, path, new), remark)


def make_folders(scope: Scope, path: str) -> Made:
    """Make a directory with those that it lies in; one that is there is fine."""
    absolute = scope.absolute(path)
    missing: list[str] = []
    while True:
        try:
            with scope.open(absolute, FOLDER) as opened:
                scope.admit_reading(opened.real, path)
                break
        except NotThere:
            head, name = posixpath.split(absolute.rstrip("/"))
            if name in ("", ".", ".."):
                raise Refusal(f"{spell(path)} names a directory by dots that is not there.") from None
            missing.append(name)
            if len(missing) > _MOST_FOLDERS:
                raise Refusal(
                    f"More than {_MOST_FOLDERS} directories would have to be made. Make them in steps."
                ) from None
            absolute = head
    for name in reversed(missing):
        absolute = f"{absolute.rstrip('/')}/{name}"
        with scope.spot(absolute) as spot:
            scope.admit_writing(spot.real, path)
            try:
                make_folder_in((spot.folder.fd, spot.name))
            except FileExistsError:  # somebody else was quicker: a directory is what was wanted, a file shows next
                continue
            except OSError as error:
                raise explain(error, path) from None
    with scope.open(path, FOLDER):
        return Made(spell(path), bool(missing))


def _compose(old: bytes | None, content: str, *, append: bool) -> tuple[bytes, str | None]:
    """The bytes to write: in the old file's marked encoding and line endings, where it has such."""
    if old is None:
        return _encode(UTF_8, content, "The content"), None
    encoding = detect(old)
    text = "" if encoding is None else encoding.decode(old[len(encoding.mark) :])
    note = None
    if _ending(text) == "\r\n" and "\r" not in content and "\n" in content:
        content = content.replace("\n", "\r\n")
        note = "The file's line endings, CRLF, were kept."
    if append:
        if encoding is None and old:
            raise Refusal("The file is binary and no text, so no text is added to it.")
        kind = encoding or UTF_8
        return old + _encode(Encoding(kind.name), content, "The content"), note
    if encoding is None or not encoding.mark:
        return _encode(UTF_8, content, "The content"), note
    return _encode(encoding, content, "The content"), note


def _encode(encoding: Encoding, text: str, what: str) -> bytes:
    try:
        return encoding.encode(text)
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise Refusal(
            f"{spell(what)} has the character {letter!a} that {encoding.name}, the file's encoding, does not have. "
            "Nothing was changed."
        ) from None


def _ending(text: str) -> str:
    r"""How lines end: \r\n where all do, else \n."""
    pairs = text.count("\r\n")
    return "\r\n" if pairs and pairs == text.count("\n") else "\n"


def _restore(text: str, before: str, after: str) -> str:
    r"""Give an edited text its line endings back: lines that stayed keep theirs, new ones end as most do."""
    pairs, every = text.count("\r\n"), text.count("\n")
    if not pairs:
        return after
    if pairs == every:
        return after.replace("\n", "\r\n")
    raw, old, new = text.split("\n"), before.split("\n"), after.split("\n")
    ending = "\r" if pairs * 2 > every else ""
    lines: list[str] = []
    for kind, a, a_end, b, b_end in compare(old, new):
        lines += raw[a:a_end] if kind == "equal" else [line + ending for line in new[b:b_end]]
    if lines and lines[-1].endswith("\r") and not new[-1].endswith("\r"):
        lines[-1] = lines[-1][:-1]  # nothing ends the last one
    return "\n".join(lines)
