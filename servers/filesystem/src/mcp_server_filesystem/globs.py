"""Globs as regular expressions that cannot run away: `*`, `?`, `[…]`, `**` between slashes, `{a,b}`.

Every star but the last of a name stands in an atomic group: the earliest place where the text after a star fits is as
good as any later one, so nothing is ever tried twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import spelling
from .refusals import Refusal

MOST_ALTERNATIVES = 64
_LONGEST = 1000
MOST_CHARACTERS = 20_000  # of all globs of a call together, which take 0.4 s to compile
_SPECIAL = re.compile(r"[*?\[\]\\{}]")
_ANY_FOLDERS = "(?:[^/]+/)*"


def compile_globs(globs: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str] | None:
    """Compile globs, braces and all, into one expression that matches the whole of a path; None for no globs.

    Raises `Refusal` where they are too many: nothing can stop the compiler once it runs.
    """
    sources: list[str] = []
    room = MOST_CHARACTERS
    for each in (each for glob in globs for each in expand_braces(glob)):
        room -= len(each)
        if room < 0:
            raise Refusal(f"The patterns have more than {MOST_CHARACTERS} characters together. Give fewer of them.")
        sources.append(f"(?:{translate(each)})")
    return re.compile(f"(?s:{'|'.join(sources)})\\Z", flags) if sources else None


def expand_braces(glob: str) -> list[str]:
    """Write out the alternatives of `{a,b}` and `{1..3}`; raises `Refusal` where they are too many."""
    if len(glob) > _LONGEST:
        raise Refusal(f"The pattern has {len(glob)} characters; {_LONGEST} are the most.")
    done: list[str] = []
    todo = [glob]
    while todo:
        current = todo.pop()
        found = re.search(r"(?<!\\)\{([^{}]*(?:,|\.\.)[^{}]*)\}", current)
        if found is None:
            done.append(current)
        else:
            todo += [current[: found.start()] + each + current[found.end() :] for each in _choices(found[1])][::-1]
        if len(done) + len(todo) > MOST_ALTERNATIVES:
            raise Refusal(
                f"The pattern {glob} stands for more than {MOST_ALTERNATIVES} alternatives. Write it with fewer braces."
            )
    return done


def _choices(inner: str) -> list[str]:
    numbers = re.fullmatch(r"(-?\d{1,6})\.\.(-?\d{1,6})", inner)
    if numbers is None:
        return inner.split(",")
    first, last = int(numbers[1]), int(numbers[2])
    step = 1 if last >= first else -1
    return [str(each) for each in range(first, last + step, step)[: MOST_ALTERNATIVES + 1]]


def translate(glob: str) -> str:
    """Write one glob without braces as the source of a regular expression, to be matched to the end."""
    groups: list[list[str]] = [[]]
    parts = [part for part in glob.split("/") if part]
    for part in parts:
        if part != "**":
            groups[-1].append(_translate_name(part))
        elif groups[-1] or len(groups) == 1:  # two in a row are one
            groups.append([])
    first, *others = groups
    if not others:
        return "/".join(first)
    source = "".join(f"{name}/" for name in first)
    for group in others[:-1]:
        source += f"(?>(?:[^/]+/)*?{'/'.join(group)}/)"
    return source + (_ANY_FOLDERS + "/".join(others[-1]) if others[-1] else ".+")


def _translate_name(name: str) -> str:
    pieces = [""]
    at = 0
    while at < len(name):
        letter = name[at]
        at += 1
        if letter == "*":
            pieces.append("")
        elif letter == "?":
            pieces[-1] += "[^/]"
        elif letter == "\\" and at < len(name):
            pieces[-1] += re.escape(name[at])
            at += 1
        elif letter == "[" and (end := _end_of_class(name, at)):
            pieces[-1] += _translate_class(name[at:end])
            at = end + 1
        else:
            pieces[-1] += re.escape(letter)
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"


def _end_of_class(name: str, start: int) -> int:
    """Where the class that begins before `start` ends; 0 where it does not, and the bracket means itself."""
    first = start + (name[start : start + 1] in {"!", "^"})
    return max(name.find("]", first + 1), 0)


def _translate_class(inner: str) -> str:
    negated = inner[0] in "!^"
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", inner[1:] if negated else inner)
    source = f"(?!/)[{'^' if negated else ''}{body}]"
    try:
        re.compile(source)
    except re.error:  # a range that runs backwards matches nothing
        return "(?!)"
    return source


def is_special(glob: str) -> bool:
    """Tell whether a glob for a name is more than a word with a star at one of its ends, and has to be compiled."""
    bare = glob[:-1] if glob.endswith("*") else glob.removeprefix("*")
    return _SPECIAL.search(bare) is not None


class Names:
    """Globs for single names, without braces, in a form that says no at once: most are a word, or one with a star."""

    def __init__(self, globs: Iterable[str], *, fold: bool = False) -> None:
        words: set[str] = set()
        starts: list[str] = []
        ends: list[str] = []
        rest: list[str] = []
        for glob in (spelling.fold(each) if fold else each for each in globs):
            if is_special(glob):
                rest.append(glob)
            elif glob.endswith("*"):
                starts.append(glob[:-1])
            elif glob.startswith("*"):
                ends.append(glob[1:])
            else:
                words.add(glob)
        self._fold = fold
        self._words = frozenset(words)
        self._starts, self._ends = tuple(starts), tuple(ends)
        self._rest = compile_globs(rest)

    def match(self, name: str) -> bool:
        """Tell whether one of them fits."""
        name = spelling.fold(name) if self._fold else name
        return (
            name in self._words
            or name.endswith(self._ends)
            or name.startswith(self._starts)
            or (self._rest is not None and self._rest.match(name) is not None)
        )

    def touch(self, names: Iterable[str]) -> bool:
        """Tell whether one of many names may fit: False is certain, and found at once for all of them."""
        text = f"/{'/'.join(names)}/"
        text = spelling.fold(text) if self._fold else text
        return (
            self._rest is not None
            or any(f"/{start}" in text for start in self._starts)
            or any(f"{end}/" in text for end in self._ends)
            or not self._words.isdisjoint(text.split("/"))
        )
