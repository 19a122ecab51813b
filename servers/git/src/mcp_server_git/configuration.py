"""Configuration files of git, read as data: what git itself gets to see is written anew from what is known here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .refusals import Refusal
from .regular import read_regular

LARGEST: Final = 1024 * 1024  # bytes of one configuration file
DEEPEST: Final = 10  # includes within includes, as in git

_SECTION: Final = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\\n]|\\.)*)")?\s*\]')
_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(=)?[ \t]*")
_WILD: Final = re.compile(r"\*+/?|\?|\[[!^]?[^\]]+\]|\\.")
_ESCAPES: Final = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}

BOOLEAN, WORD, NUMBER, LINE = "boolean", "word", "number", "line"
KNOWN: Final = {
    "core.filemode": BOOLEAN,
    "core.ignorecase": BOOLEAN,
    "core.symlinks": BOOLEAN,
    "core.precomposeunicode": BOOLEAN,
    "core.trustctime": BOOLEAN,
    "core.checkstat": WORD,
    "core.ignorestat": BOOLEAN,
    "core.autocrlf": WORD,
    "core.eol": WORD,
    "core.safecrlf": WORD,
    "core.sparsecheckout": BOOLEAN,
    "core.sparsecheckoutcone": BOOLEAN,
    "core.sharedrepository": WORD,
    "index.sparse": BOOLEAN,
    "diff.renames": WORD,
    "diff.renamelimit": NUMBER,
    "diff.algorithm": WORD,
    "diff.indentheuristic": BOOLEAN,
    "extensions.objectformat": WORD,
    "extensions.refstorage": WORD,
}
"""Every key that is passed on to git, with the form that its value must have. No other key reaches git."""
KNOWN_IN_SECTIONS: Final = {("branch", "remote"): LINE, ("branch", "merge"): LINE, ("remote", "fetch"): LINE}
"""The same for keys of sections with a name: what tells a branch's upstream, and nothing that is run or connected."""
HARMLESS_EXTENSIONS: Final = frozenset(
    ("noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees", "compatobjectformat")
)
_FORMS: Final = {
    BOOLEAN: re.compile(r"(?i)|true|false|yes|no|on|off|[01]"),
    WORD: re.compile(r"[A-Za-z0-9-]{1,30}"),
    NUMBER: re.compile(r"[0-9]{1,9}"),
    LINE: re.compile(r"[^\x00-\x1f\x7f]{1,1000}"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a configuration: `section.name.key`, section and key in lower case. None: the key stands alone."""

    section: str
    name: str
    key: str
    value: str | None

    @property
    def path(self) -> str:
        """The name under which git's documentation has it."""
        return f"{self.section}.{self.key}" if not self.name else f"{self.section}.{self.name}.{self.key}"


def read_file(path: Path) -> list[Setting]:
    """Read one file without following its includes; a file that is not there is empty. Raises `Refusal`."""
    try:
        if str(path) == os.devnull or not path.exists():
            return []
    except OSError as error:
        raise Refusal(f"The configuration {path} cannot be read: {error.strerror}.") from None
    data = read_regular(path, LARGEST + 1, follow=True)
    if data is None:
        raise Refusal(f"The configuration {path} cannot be read, or is no file.")
    if len(data) > LARGEST:
        raise Refusal(f"The configuration {path} is larger than {LARGEST} bytes.")
    return parse(data.decode("utf-8", "surrogateescape"), path)


def parse(text: str, path: Path) -> list[Setting]:
    """Read the text of a configuration; raises `Refusal` that names the line, and never its content."""
    settings: list[Setting] = []
    section, name, at = "", "", 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in "#;":
            at = _end_of_line(text, at)
        elif found := _SECTION.match(text, at):
            section, _, dotted = found[1].lower().partition(".")
            name, at = dotted if found[2] is None else re.sub(r"\\(.)", r"\1", found[2]), found.end()
        elif section and (found := _KEY.match(text, at)):
            at = found.end()
            value = None
            if found[2]:
                value, at = _read_value(text, at, path)
            elif at < len(text) and text[at] not in "\r\n#;":
                raise _damaged(text, at, path)
            settings.append(Setting(section, name, found[1].lower(), value))
        else:
            raise _damaged(text, at, path)
    return settings


def _read_value(text: str, at: int, path: Path) -> tuple[str, int]:
    """Read a value from after its equals sign to the end of its line, or lines; gives it and where it ends."""
    value, kept, quoted = "", 0, False
    while at < len(text) and (character := text[at]) != "\n":
        at += 1
        if character == "\\":
            escaped = text[at : at + 2] if text[at : at + 2] == "\r\n" else text[at : at + 1]
            at += len(escaped)
            if escaped.endswith("\n"):
                continue
            if escaped not in _ESCAPES:
                raise _damaged(text, at, path)
            value += _ESCAPES[escaped]
            kept = len(value)
        elif character == '"':
            quoted = not quoted
            kept = len(value)
        elif not quoted and character in "#;":
            at = _end_of_line(text, at)
        else:
            value += character
            kept = len(value) if quoted or not character.isspace() else kept
    if quoted:
        raise _damaged(text, at, path)
    return value[:kept], at


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _damaged(text: str, at: int, path: Path) -> Refusal:
    line = text.count("\n", 0, at) + 1
    return Refusal(f"The configuration {path} is damaged in line {line}. Repair it with an editor, then call again.")


# --- the user's own files, which are trusted: includes are followed ---


def user_files(environment: Mapping[str, str]) -> list[Path]:
    """The system's and the user's configuration, in the order in which they are read."""
    home = find_home(environment)
    xdg = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "config"
    system = (
        [] if environment.get("GIT_CONFIG_NOSYSTEM") else [environment.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig"]
    )
    given = environment.get("GIT_CONFIG_GLOBAL")
    return [*map(Path, system), *([Path(given)] if given is not None else [xdg, home / ".gitconfig"])]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the conditions of `includeIf` ask for. `branch` is the one that HEAD names, `urls` those of the remotes."""

    git_dir: Path
    home: Path
    branch: str | None = None
    urls: tuple[str, ...] = ()


def read_user(path: Path, situation: Situation, depth: int = 0) -> Iterator[tuple[Path, list[Setting]]]:
    """Read a file of the user's with what it includes, file by file in the order of precedence.

    A file that cannot be read is passed over: an error in it must not stop the server from reading repositories.
    """
    try:
        settings = read_file(path)
    except Refusal:
        settings = []
    yield path, [each for each in settings if each.section not in ("include", "includeif")]
    for each in settings:
        if each.key == "path" and each.value and depth < DEEPEST and _is_included(each, path, situation):
            yield from read_user(path.parent / expand(each.value, situation.home), situation, depth + 1)


def _is_included(setting: Setting, path: Path, situation: Situation) -> bool:
    if setting.section == "include":
        return not setting.name
    kind, _, pattern = setting.name.partition(":")
    match setting.section, kind.lower():
        case "includeif", "gitdir" | "gitdir/i":
            return _lies_in(situation, path, pattern, any_case=kind.lower() == "gitdir/i")
        case "includeif", "onbranch":
            return situation.branch is not None and fits(_complete(pattern), situation.branch)
        case "includeif", "hasconfig" if pattern.startswith("remote.*.url:"):
            return any(fits(pattern.removeprefix("remote.*.url:"), each) for each in situation.urls)
        case _:
            return False


def _lies_in(situation: Situation, path: Path, pattern: str, *, any_case: bool) -> bool:
    pattern = (
        f"{path.parent}/{pattern[2:]}"
        if pattern.startswith("./")
        else str(expand(pattern, situation.home)) + "/" * (pattern.endswith("/") and pattern != "/")
    )
    pattern = pattern if pattern.startswith("/") else f"**/{pattern}"
    subject = f"{situation.git_dir}/"
    if any_case:
        pattern, subject = pattern.lower(), subject.lower()
    pattern = _complete(pattern)
    return fits(pattern, subject) or fits(pattern, subject.rstrip("/"))


def _complete(pattern: str) -> str:
    """Have a slash at the end mean all that lies below."""
    return f"{pattern}**" if pattern.endswith("/") else pattern


def fits(glob: str, text: str) -> bool:
    """Match as git does in its conditions: `*` and `?` not over a slash, `**` as a name of its own over any."""
    source, at = "", 0
    for found in _WILD.finditer(glob):
        source += re.escape(glob[at : found.start()])
        at, wild = found.end(), found[0]
        begins = found.start() == 0 or glob[found.start() - 1] == "/"
        if wild == "**/" and begins:
            source += "(?:.*/)?"
        elif wild[0] == "*":
            source += ".*" if begins and wild == "**" and at == len(glob) else "[^/]*" + wild.lstrip("*")
        elif wild[0] == "[":
            source += f"(?!/)[{wild[1:-1].replace('!', '^', wild[1] == '!')}]"
        else:
            source += "[^/]" if wild == "?" else re.escape(wild[1:])
    try:
        return re.fullmatch(source + re.escape(glob[at:]), text, re.DOTALL) is not None
    except re.error:  # a range that runs backwards
        return False


def find_home(environment: Mapping[str, str]) -> Path:
    """Give the user's home directory."""
    return Path(environment.get("HOME") or Path.home())


def expand(text: str, home: Path) -> Path:
    """Give a path of a configuration, with its `~/` written out."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return Path(text)


# --- what git gets to see ---


def select(settings: list[Setting]) -> Iterator[Setting]:
    """Choose what is passed on to git, with values that have the form they must have."""
    for each in settings:
        form = KNOWN.get(each.path) if not each.name else KNOWN_IN_SECTIONS.get((each.section, each.key))
        if form is None:
            continue
        value = "true" if each.value is None and form == BOOLEAN else each.value or ""
        if _FORMS[form].fullmatch(value) and (form == BOOLEAN or value) and not re.search(r"[\x00-\x1f]", each.name):
            yield Setting(each.section, each.name, each.key, value)


def write(settings: list[Setting]) -> str:
    """Write settings as a configuration file."""
    return "".join(f"{_head(each)}\n\t{each.key} = {_quote(each.value or '')}\n" for each in settings)


def _head(setting: Setting) -> str:
    return f"[{setting.section} {_quote(setting.name)}]" if setting.name else f"[{setting.section}]"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_true(value: str | None) -> bool:
    """Read a boolean as git does: a key that stands alone is true."""
    return value is None or value.lower() in ("true", "yes", "on", "1")
