"""Searching: names by a pattern, contents by a text or a regular expression."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from .confinement import Scope
from .content import MOST_BYTES, open_source
from .descriptors import PATH_ONLY, READING, open_in
from .encodings import SAMPLE, detect, is_binary
from .errand import Errand
from .globs import compile_globs
from .matching import BATCH, FILE_SECONDS, MOST_OF_FILE, Expression
from .refusals import Refusal, spell
from .walking import Bounds, Folder, Tally, Walk, check_start, show

MOST_HITS = 10_000
_MOST_CONTEXT = 20
_WIDTH = 400  # characters of a line that are shown
_BATCH_BYTES = 1024 * 1024
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


@dataclass(frozen=True, slots=True)
class Found:
    """Paths that fit a pattern; `denied` are those of them that are not for reading."""

    matches: list[str]
    denied: list[str] = field(default_factory=list[str])
    truncated: bool = False
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        lines = [*self.matches, *(f"[DENIED] {path}" for path in self.denied)]
        return "\n".join([*(lines or ["No matches found"]), *(f"({note})" for note in self.notes)])

    def fit(self, budget: int) -> Found:
        """Keep as many paths as an answer of `budget` bytes can hold."""
        kept, room = 0, budget - 1000
        for path in self.matches:
            room -= len(path.encode("utf-8", "replace")) + 6
            if room < 0:
                break
            kept += 1
        note = f"Cut: {kept} of {len(self.matches)} matches are shown. Use a narrower pattern or a smaller directory."
        return replace(self, matches=self.matches[:kept], denied=[], truncated=True, notes=[note, *self.notes])


@dataclass(frozen=True, slots=True)
class Match:
    """A line in which a match begins, with the lines around it."""

    path: str
    line: int
    text: str
    before: list[str] = field(default_factory=list[str])
    after: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        first = self.line - len(self.before)
        lines = [f"{self.path}-{first + index}- {text}" for index, text in enumerate(self.before)]
        lines.append(f"{self.path}:{self.line}: {self.text}")
        lines += [f"{self.path}-{self.line + 1 + index}- {text}" for index, text in enumerate(self.after)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ContentMatches:
    """Where a text stands."""

    matches: list[Match]
    files_searched: int
    truncated: bool = False
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        gap = "\n--\n" if any(match.before or match.after for match in self.matches) else "\n"
        said = gap.join(str(match) for match in self.matches) or "No matches found"
        return "\n".join([said, *(f"({note})" for note in self.notes)])

    def fit(self, budget: int) -> ContentMatches:
        """Keep as many matches as an answer of `budget` bytes can hold."""
        kept, room = 0, budget - 1000
        for match in self.matches:
            around = [match.text, *match.before, *match.after]
            each = len(match.path.encode("utf-8", "replace")) + 40
            room -= sum(len(text.encode("utf-8", "replace")) * 5 // 4 + each for text in around)
            if room < 0:
                break
            kept += 1
        note = f"Cut: {kept} of {len(self.matches)} matches are shown. Narrow it by path, include or a longer query."
        return replace(self, matches=self.matches[:kept], truncated=True, notes=[note, *self.notes])


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for in files."""

    text: str
    regex: bool = False
    include: tuple[str, ...] = ()
    context: int = 0
    most: int = 100


def search_names(scope: Scope, path: str, pattern: str, bounds: Bounds, errand: Errand) -> Found:
    """Find files and directories whose path below `path` fits a glob."""
    expression = compile_globs([pattern])
    matches: list[str] = []
    denied: list[str] = []
    with check_start(scope, path) as start:
        shown = scope.show(path)
        walk = Walk(scope, start, bounds, errand)
        for folder in walk.folders():
            for name, _, is_denied in folder.entries:
                if expression is not None and expression.match(folder.path + name):
                    (denied if is_denied else matches).append(show(f"{shown.rstrip('/')}/{folder.path}", name))
            if len(matches) >= MOST_HITS:
                walk.tally.cut = f"there are {MOST_HITS} matches, and maybe more. Use a narrower pattern."
                del matches[MOST_HITS:]
                break
    notes = walk.tally.remarks()
    if not pattern:
        notes.append("an empty pattern fits nothing; **/* fits everything")
    elif not matches and "/" not in pattern:
        notes.append(f"{pattern} fits only what lies in {spell(path)} itself; **/{pattern} looks below, too")
    return Found(sorted(matches), sorted(denied), walk.tally.cut is not None, notes)


def search_contents(scope: Scope, path: str, query: Query, bounds: Bounds, errand: Errand) -> ContentMatches:
    """Find a text, or what fits a regular expression, in the files below a directory, or in one file."""
    if not query.text:
        raise Refusal("The query is empty. Say what to look for.")
    if _is_file(scope, path):
        return _search_file(scope, path, query, errand)
    with ExitStack() as stack, check_start(scope, path) as start:
        walk = Walk(scope, start, bounds, errand)
        shown = scope.show(path)
        search = _Search(query, walk.tally, shown)
        expression = stack.enter_context(Expression(query.text, errand, query.most)) if query.regex else None
        batch: list[tuple[str, bytes]] = []
        for folder in walk.folders():
            for path_of, data in search.read(folder, errand):
                if expression is None:
                    search.take(path_of, data, search.find_lines(data))
                else:
                    batch.append((path_of, data))
                    if len(batch) >= BATCH or sum(len(each) for _, each in batch) > _BATCH_BYTES:
                        search.match(expression, batch)
                        batch = []
                if walk.tally.cut:
                    break
            if walk.tally.cut:
                break
        if expression is not None and batch:
            search.match(expression, batch)
    return ContentMatches(search.matches, search.searched, walk.tally.cut is not None, search.remarks())


def _is_file(scope: Scope, path: str) -> bool:
    with scope.open(path, PATH_ONLY) as opened:
        return not stat.S_ISDIR(os.fstat(opened.fd).st_mode)


def _search_file(scope: Scope, path: str, query: Query, errand: Errand) -> ContentMatches:
    with open_source(scope, path) as source:
        if source.size > MOST_BYTES:
            raise Refusal(f"{spell(path)} has {source.size} bytes; {MOST_BYTES} are the most that is searched.")
        data = source.read(MOST_BYTES, errand)
    tally = Tally()
    folder, name = posixpath.split(scope.show(path))
    search = _Search(query, tally, folder)
    search.searched = 1
    if query.regex:
        with Expression(query.text, errand, query.most) as expression:
            search.match(expression, [(name, data)])
    else:
        search.take(name, data, search.find_lines(data))
    return ContentMatches(search.matches, 1, tally.cut is not None, search.remarks())


class _Search:
    """One search through contents: what was found, and what was passed over."""

    def __init__(self, query: Query, tally: Tally, shown: str) -> None:
        self.query = query
        self.matches: list[Match] = []
        self.searched = 0
        self._tally = tally
        self._shown = shown
        self._needle = query.text.encode("utf-8", "surrogatepass")
        self._western = None if query.text.isascii() else query.text.encode("cp1252", "ignore")
        self._include = compile_globs(_deepen(glob) for glob in query.include)
        self._large = self._late = self._dense = 0

    def read(self, folder: Folder, errand: Errand) -> Iterator[tuple[str, bytes]]:
        """The bytes of the files of a directory that are to be searched."""
        for name, kind, denied in folder.entries:
            if kind != "file" or denied:
                continue
            if self._include is not None and not self._include.match(folder.path + name):
                continue
            if errand.is_late:
                self._tally.cut = "time was up before all files were searched. Narrow it by path or include."
                return
            data = self._load(folder.fd, name)
            if data is not None:
                self.searched += 1
                yield f"{folder.path}{name}", data

    def _load(self, folder: int, name: str) -> bytes | None:
        try:
            fd = open_in((folder, name), READING)
        except OSError:
            self._tally.unreadable += 1
            return None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > MOST_BYTES:
                self._large += 1
                return None
            return os.read(fd, max(status.st_size, SAMPLE) + 1)
        except OSError:
            self._tally.unreadable += 1
            return None
        finally:
            os.close(fd)

    def find_lines(self, data: bytes) -> list[int]:
        """The lines in which the query's text stands, by bytes where that is enough."""
        if data.startswith(_MARKS):
            return self._find_decoded(data)
        at = data.find(self._needle)
        if at < 0:
            if self._western and data.find(self._western) >= 0:
                return self._find_decoded(data)
            return []
        if is_binary(data[:SAMPLE]):
            return []
        return _number_lines(data, self._needle, at, min(self.query.most, MOST_OF_FILE))

    def _find_decoded(self, data: bytes) -> list[int]:
        text = _decode(data)
        if text is None:
            return []
        coded, needle = text.encode("utf-8", "replace"), self._needle
        at = coded.find(needle)
        return [] if at < 0 else _number_lines(coded, needle, at, min(self.query.most, MOST_OF_FILE))

    def match(self, expression: Expression, batch: Sequence[tuple[str, bytes]]) -> None:
        """Let a regular expression look at some files."""
        texts = [_to_utf_8(data) for _, data in batch]
        chosen = [index for index, text in enumerate(texts) if text is not None]
        found = expression.find([texts[index] or b"" for index in chosen])
        for index, lines in zip(chosen, found, strict=False):
            if lines is None:
                self._late += 1
            else:
                self.take(*batch[index], lines)
        if len(found) < len(chosen):
            self._tally.cut = (
                "the regular expression takes too long. Write it without repetitions inside repetitions, or search "
                "for a plain text."
            )

    def take(self, path: str, data: bytes, numbers: Sequence[int]) -> None:
        """Note the matches of one file."""
        if not numbers:
            return
        text = _decode(data)
        if text is None:
            return
        self._dense += len(numbers) >= MOST_OF_FILE
        lines = text.split("\n")
        shown, around = spell(f"{self._shown.rstrip('/')}/{path}"), min(self.query.context, _MOST_CONTEXT)
        for number in numbers:
            if len(self.matches) >= self.query.most:
                self._tally.cut = f"the first {self.query.most} matches are shown. Raise maxResults, or narrow it."
                return
            index = number - 1
            self.matches.append(
                Match(
                    shown,
                    number,
                    _clip(lines[index]),
                    [_clip(line) for line in lines[max(index - around, 0) : index]],
                    [_clip(line) for line in lines[number : number + around]],
                )
            )

    def remarks(self) -> list[str]:
        """What the reader of the answer should know."""
        said = self._tally.remarks()
        if self._tally.denied:
            said.append(f"{self._tally.denied} entries denied (they may hold secrets) and not searched")
        counted = (
            (self._large, f"larger than {MOST_BYTES} bytes and not searched"),
            (self._late, f"not searched to the end: the expression took more than {FILE_SECONDS:g} s"),
            (self._dense, f"with {MOST_OF_FILE} matches or more, of which the first are shown"),
        )
        return said + [f"{'1 file' if number == 1 else f'{number} files'} {text}" for number, text in counted if number]


def _number_lines(data: bytes, needle: bytes, at: int, most: int) -> list[int]:
    numbers: list[int] = []
    number, seen = 1, 0
    while at >= 0 and len(numbers) < most:
        number += data.count(b"\n", seen, at)
        seen = at
        numbers.append(number)
        end = data.find(b"\n", at)
        at = -1 if end < 0 else data.find(needle, end + 1)
    return numbers


def _deepen(glob: str) -> str:
    """A glob without a slash is meant for names, wherever they are."""
    return glob if "/" in glob else f"**/{glob}"


def _decode(data: bytes) -> str | None:
    encoding = detect(data)
    return None if encoding is None else encoding.decode(data[len(encoding.mark) :])


def _to_utf_8(data: bytes) -> bytes | None:
    """The bytes of a text in UTF-8; None for what is no text."""
    encoding = detect(data)
    if encoding is None:
        return None
    body = data[len(encoding.mark) :]
    return body if encoding.name == "utf-8" else encoding.decode(body).encode("utf-8", "replace")


def _clip(line: str) -> str:
    line = line.removesuffix("\r")
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"
