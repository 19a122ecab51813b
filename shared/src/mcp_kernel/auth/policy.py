"""Roles of the `--auth` file: who may use which tools, resources and prompts, with which arguments, on which tables.

Nothing is allowed that no role allows. Of several roles a principal may do what one of them lets him do, and each use
stands on the roles that allow it: a table is denied to a call when every role that allows this very call denies it, so
that a role which is about something else does not open it. A role that the file does not know allows nothing. The role
`everyone` is held by whoever is let in, beside his own.

`tools = ["*"]` in a role that says nothing of resources and prompts allows those too, and shows the figures; any other
role reads no resource, uses no prompt and sees no figures unless it says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

from mcp_kernel.protocol.jsonrpc import to_bytes

if TYPE_CHECKING:
    from mcp_kernel.auth.resource.document import Document
    from mcp_kernel.server.access import Sort
    from mcp_kernel.server.principal import Principal

_SORTS: Final[tuple[Sort, ...]] = ("tools", "resources", "prompts")
_ALL: Final = "*"
EVERYONE: Final = "everyone"
"""The role that whoever is let in holds without being given it."""

_NO_ROLES: Final = (
    "nobody may do anything: the file has no [roles.NAME], which says what somebody may do. "
    f'For everybody who is let in to do everything, add the two lines [roles.{EVERYONE}] and tools = ["*"]'
)
_ALL_MAY: Final = (
    f"[roles.{EVERYONE}] lets everybody do everything, so that this role takes nothing away: leave out one of the two"
)
_SCALARS: Final = (str, bool, int, float)
_SAID: Final = frozenset({*_SORTS, "deny_tables", "arguments", "metrics"})

Path = tuple[str | int, ...]
Rules = Mapping[str, Mapping[str, tuple[object, ...]]]
"""By tool and argument, the values that are allowed."""


class Pattern:
    """A name, or the beginnings, middles and ends of names between `*`; takes time in proportion to the name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._first, *self._rest = text.split(_ALL)

    def fits(self, name: str) -> bool:
        """Whether the whole name is one of the pattern."""
        if not self._rest:
            return name == self._first
        *middles, last = self._rest
        if not name.startswith(self._first) or len(name) < len(self._first) + len(last) or not name.endswith(last):
            return False
        place, end = len(self._first), len(name) - len(last)
        for middle in middles:
            found = name.find(middle, place, end)
            if found < 0:
                return False
            place = found + len(middle)
        return True


@dataclass(frozen=True)
class Role:
    """What one role allows; an `arguments` rule binds the calls of its tool that this role allows."""

    name: str
    patterns: Mapping[Sort, tuple[Pattern, ...]] = field(default_factory=dict["Sort", tuple[Pattern, ...]])
    deny_tables: frozenset[str] = frozenset()
    arguments: Rules = field(default_factory=dict[str, Mapping[str, tuple[object, ...]]])
    metrics: bool = False

    def is_everything(self) -> bool:
        """Whether nothing is left that another role could allow."""
        unbound = not self.deny_tables and not self.arguments
        return unbound and all(any(each.text == _ALL for each in self.patterns.get(sort, ())) for sort in _SORTS)

    def allows(self, sort: Sort, name: str, arguments: Mapping[str, object] | None = None) -> bool:
        """Whether the role allows a use; a tool without arguments with some at least."""
        patterns = self.patterns.get(sort, ())
        if sort == "resources" and _is_winding(name):  # what it names is decided behind the pattern's back
            patterns = tuple(each for each in patterns if each.text == _ALL)
        for pattern in patterns:  # a generator would cost more than what it asks
            if pattern.fits(name):
                break
        else:
            return False
        return sort != "tools" or arguments is None or self.unfit(name, arguments) is None

    def unfit(self, tool: str, arguments: Mapping[str, object]) -> str | None:
        """The first argument whose value the role does not allow, or which is missing though a rule names it."""
        for name in self.arguments.get(tool, {}):
            if name not in arguments or not self.fits(tool, name, arguments[name]):
                return name
        return None

    def fits(self, tool: str, argument: str, value: object) -> bool:
        """Whether a rule names this value for an argument."""
        return _is_one_of(value, self.arguments.get(tool, {}).get(argument, ()))


def _is_winding(uri: str) -> bool:
    """Whether a URI has steps that lead nowhere or back, plainly or percent-encoded."""
    return any(step in (".", "..") for step in re.split(r"[/\\]", unquote(uri)))


def _is_one_of(value: object, allowed: Sequence[object]) -> bool:
    """Compare as JSON, where 1, 1.0, true and "1" are four values; of a list each item must be allowed."""
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return bool(items) and all(_is_one_of(item, allowed) for item in items)
    try:
        written = to_bytes(value)
    except ValueError:
        return False
    return any(written == to_bytes(each) for each in allowed)


class View:
    """What the holder of some roles may use (`server.access.View`)."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        self._roles = roles
        self.is_bare = not roles
        self.has_figures = any(role.metrics for role in roles)

    def allows(self, sort: Sort, name: str, arguments: Mapping[str, object] | None = None) -> bool:
        for role in self._roles:  # noqa: SIM110  # a generator would cost more than what it asks
            if role.allows(sort, name, arguments):
                return True
        return False

    def has_rules(self, tool: str) -> bool:
        return any(tool in role.arguments for role in self._roles)

    def denied_tables(self, sort: Sort, name: str, arguments: Mapping[str, object] | None = None) -> frozenset[str]:
        """All that any role denies where none allows the use as a whole, as with one member of a template."""
        denied = [role.deny_tables for role in self._roles if role.allows(sort, name, arguments)]
        if len(denied) == 1:
            return denied[0]
        if not denied:
            return frozenset[str]().union(*(role.deny_tables for role in self._roles))
        return frozenset[str](denied[0]).intersection(*denied[1:])

    def explain(self, tool: str, arguments: Mapping[str, object]) -> str:
        said: list[str] = []
        for role in self._roles:
            argument = role.unfit(tool, arguments) if role.allows("tools", tool) else None
            if argument is not None:
                allowed = ", ".join(to_bytes(each).decode() for each in role.arguments[tool][argument])
                said.append(f"{argument} may only be {allowed or 'nothing at all'}")
        return f"Refused: of {tool}, {'; or '.join(dict.fromkeys(said))}. Nothing was done."


class Policy:
    """The roles of a file (`server.access.Policy`); a view is made once for each set of them that somebody has.

    The role `everyone` is in each of these sets, where there is one.
    """

    def __init__(self, roles: Iterable[Role] = ()) -> None:
        self.roles = {role.name: role for role in roles}
        self._views: dict[frozenset[str], View] = {}
        self._shown: dict[tuple[str, ...], View] = {}  # the same by roles as they are held, where all are known

    def view(self, principal: Principal | None) -> View:
        """The view of a principal's roles; one that the file does not know adds nothing."""
        names = () if principal is None else principal.roles
        view = self._shown.get(names)
        if view is None:
            view = self.view_of(names)
            if all(name in self.roles for name in names):
                self._shown[names] = view
        return view

    def view_of(self, names: Iterable[str]) -> View:
        """The view of roles by their names."""
        known = frozenset(name for name in (*names, EVERYONE) if name in self.roles)
        view = self._views.get(known)
        if view is None:
            view = self._views[known] = View(tuple(self.roles[name] for name in sorted(known)))
        return view


def read_policy(document: Document) -> Policy:
    """Read `[roles]` of a file; whatever is wrong the document is told, and is left out.

    A file without any role is wrong, since it would let people in to do nothing.
    """
    roles: list[Role] = []
    for name, said in _read_table(document, ("roles",), document.table.get("roles", {})).items():
        path = ("roles", name)
        roles.append(_read_role(document, path, _read_table(document, path, said)))
    if not document.table.get("roles", {}):
        let_in = ("keys", "certificates", "jwt", "introspection", "roles")
        document.complain(_NO_ROLES, next((name for name in let_in if name in document.table), "roles"), 0)
    if any(role.name == EVERYONE and role.is_everything() for role in roles):
        for role in roles:
            if role.name != EVERYONE:
                document.complain(_ALL_MAY, "roles", role.name)
    return Policy(roles)


def _read_role(document: Document, path: Path, said: Mapping[str, object]) -> Role:
    for key in said.keys() - _SAID:
        document.complain(f"a role has no {key}; it has {', '.join(sorted(_SAID))}", *path, key)
    texts: dict[Sort, list[str]] = {}
    for sort in _SORTS:
        if sort in said:
            texts[sort] = _read_texts(document, (*path, sort), said[sort])
    metrics = said.get("metrics", False)
    if not isinstance(metrics, bool):
        document.complain("metrics is true or false: whether the role sees the page /metrics", *path, "metrics")
    if texts.get("tools") == [_ALL] and len(texts) == 1:
        texts = {sort: [_ALL] for sort in _SORTS}
        metrics = said.get("metrics", True)
    patterns: dict[Sort, tuple[Pattern, ...]] = {sort: tuple(map(Pattern, each)) for sort, each in texts.items()}
    denied = _read_texts(document, (*path, "deny_tables"), said.get("deny_tables", []))
    rules = _read_rules(document, (*path, "arguments"), said.get("arguments", {}))
    role = Role(str(path[-1]), patterns, frozenset(denied), rules, metrics is True)
    for tool in role.arguments:
        if not role.allows("tools", tool):
            document.complain(f"a rule for {tool}, which the role does not allow", *path, "arguments", tool)
    return role


def _read_rules(document: Document, path: Path, value: object) -> Rules:
    """Read `arguments = { tool = { argument = [values] } }`."""
    rules: dict[str, dict[str, tuple[object, ...]]] = {}
    for tool, said in _read_table(document, path, value).items():
        rules[tool] = {}
        for argument, values in _read_table(document, (*path, tool), said).items():
            rules[tool][argument] = _read_values(document, (*path, tool, argument), values)
    return rules


def _read_table(document: Document, path: Path, value: object) -> Mapping[str, object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    document.complain(f"{path[-1]} is a table of names and what is said of each", *path)
    return {}


def _read_texts(document: Document, path: Path, value: object) -> list[str]:
    values = _read_list(document, path, value)
    for number, each in enumerate(values):
        if not isinstance(each, str) or not each:
            document.complain(f"{each!r} is no name, which is a text", *path, number)
    return [each for each in values if isinstance(each, str) and each]


def _read_values(document: Document, path: Path, value: object) -> tuple[object, ...]:
    values = _read_list(document, path, value)
    for number, each in enumerate(values):
        if not isinstance(each, _SCALARS):
            wanted = "a text, a number, true or false"
            document.complain(f"{each!r} is no value to compare an argument with: {wanted}", *path, number)
    return tuple(each for each in values if isinstance(each, _SCALARS))


def _read_list(document: Document, path: Path, value: object) -> list[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    document.complain(f'{path[-1]} is a list, as {path[-1]} = ["…"]', *path)
    return []
