"""Checking what a tool answered against the schema that it declared.

Schema and answer both come from the server, so neither is trusted. The check is bounded: no reference is fetched over
the network, a pattern runs on an engine that takes linear time and knows no backtracking, equal items are found by
hash, and every keyword looks at the clock. What no such engine can decide, a pattern with look-around or
back-references, is not checked. Formats are annotations, as the specification of JSON Schema has it by default.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from mcp_kernel.client.failures import ClientError, InvalidAnswer
from mcp_kernel.client.keywords import Judge, Keywords
from mcp_kernel.client.patterns import Patterns

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from mcp_kernel.client.keywords import Keyword

Made = TypeVar("Made")

MOST_SECONDS: Final = 5.0
MOST_ERRORS: Final = 50  # of which the one that explains best is reported
MOST_CHARACTERS: Final = 300  # of a reason, which quotes the value


def check_output(schema: Mapping[str, object], structured: object, *, most_seconds: float = MOST_SECONDS) -> None:
    """Raise `InvalidAnswer`, with the path and the reason, unless `structured` fits the schema."""
    OutputCheck(schema, most_seconds=most_seconds).check(structured)


class OutputCheck:
    """A schema made ready, for a tool that is called more than once.

    The dialect is that of `$schema`, JSON Schema 2020-12 if there is none; one named further inside is not heeded.
    """

    def __init__(self, schema: Mapping[str, object], *, most_seconds: float = MOST_SECONDS) -> None:
        """Raise `InvalidAnswer` if the schema is no schema."""
        self._package = _load()
        self._most_seconds = most_seconds
        self._deadline = 0.0
        self._judge = self._bounded(lambda: self._make_judge(dict(schema)))

    def check(self, structured: object) -> None:
        """Raise `InvalidAnswer`, with the path and the reason, unless `structured` fits."""
        error = self._bounded(lambda: self._best(self._judge.iter_errors(structured)))
        if error is not None:
            raise InvalidAnswer(
                f"the structured result does not fit the tool's outputSchema: at {error.json_path}: {_short(error)}"
            )

    def _bounded(self, work: Callable[[], Made]) -> Made:
        from referencing.exceptions import Unresolvable

        self._deadline = time.monotonic() + self._most_seconds
        try:
            return work()
        except ClientError:
            raise
        except Unresolvable as error:
            raise InvalidAnswer(
                f"the tool's outputSchema refers to {_cut(str(error.ref))!r}, which is not inside it; "
                "references to elsewhere are not followed"
            ) from error
        except RecursionError as error:
            raise InvalidAnswer("the tool's outputSchema, or its result, is nested without end") from error
        except Exception as error:  # whatever a schema provokes that is none, such as a $ref into a value
            raise InvalidAnswer(
                f"the tool's outputSchema cannot be used: {type(error).__name__}: {_cut(str(error))}"
            ) from error

    def _make_judge(self, schema: dict[str, object]) -> Judge:
        validators = self._package.validators
        dialect: Any = validators.validator_for(schema, default=validators.Draft202012Validator)
        bounded = self._bounded_dialect(dialect, patterned=_has_patterns(schema))
        # Without the format `regex`: Python's regular expressions are not those of JSON Schema.
        broken = self._best(bounded(dialect.META_SCHEMA, registry=validators.SPECIFICATIONS).iter_errors(schema))
        if broken is not None:
            raise InvalidAnswer(
                f"the tool's outputSchema is no valid JSON Schema: at {broken.json_path}: {_short(broken)}"
            )
        return cast("Judge", bounded(schema, registry=validators.SPECIFICATIONS))

    def _bounded_dialect(self, dialect: Any, *, patterned: bool) -> Any:
        keywords = cast("dict[str, Keyword]", dict(dialect.VALIDATORS))
        keywords |= {word: ours for word, ours in Keywords(Patterns(self._tick)).table().items() if word in keywords}
        if patterned:  # to know what is evaluated, the package tries the patterns with an engine that backtracks
            keywords.pop("unevaluatedProperties", None)
        timed = {word: self._timed(keyword) for word, keyword in keywords.items()}
        # What is not replaced would stay, so that a keyword that goes is one which finds nothing.
        silent: dict[str, Keyword] = {word: _find_nothing for word in dialect.VALIDATORS if word not in timed}
        bounded: Any = self._package.validators.extend(dialect, timed | silent)
        original = bounded.evolve

        def evolve(judge: Judge, **changes: object) -> Judge:
            # The package would leave our keywords for those of the dialect that a schema names inside.
            inner = changes.get("schema")
            if isinstance(inner, Mapping) and "$schema" in inner:
                named = cast("Mapping[str, object]", inner)
                changes["schema"] = {key: value for key, value in named.items() if key != "$schema"}
            return original(judge, **changes)

        bounded.evolve = evolve
        return bounded

    def _timed(self, keyword: Keyword) -> Keyword:
        def run(judge: Judge, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[ValidationError]:
            self._tick()
            return keyword(judge, value, instance, schema) or ()

        return run

    def _best(self, errors: Iterator[ValidationError]) -> ValidationError | None:
        """The error that explains most; of anyOf, that of the branch which came nearest."""
        return self._package.exceptions.best_match(itertools.islice(errors, MOST_ERRORS))

    def _tick(self) -> None:
        if time.monotonic() > self._deadline:
            raise InvalidAnswer(
                f"checking the result against the tool's outputSchema takes longer than {self._most_seconds:g} s"
            )


def _has_patterns(schema: object) -> bool:
    """Whether there are `patternProperties` anywhere, without recursion: a schema may be deep."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            inner = cast("dict[str, object]", value)
            if "patternProperties" in inner:
                return True
            waiting += inner.values()
        elif isinstance(value, list):
            waiting += cast("list[object]", value)
    return False


def _find_nothing(judge: Judge, value: object, instance: object, schema: Mapping[str, Any]) -> tuple[()]:
    return ()


def _short(error: ValidationError) -> str:
    return _cut(error.message)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _load() -> Any:
    try:
        import jsonschema
    except ImportError as error:
        hint = 'pip install "mcp-kernel[validation]"'
        raise ClientError(f"checking results needs the package jsonschema: {hint}") from error
    return jsonschema
