"""The published JSON Schemas, read where they lie beside the checkout and never copied into it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jsonschema import ValidationError

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT.parent / "shared" / "spec"

Json = dict[str, Any]


class Judge(Protocol):
    """What is used of a jsonschema validator, whose own annotations are loose."""

    def iter_errors(self, instance: Json) -> Iterable[ValidationError]: ...


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("byte", raises=binascii.Error)
def _is_base64(value: object) -> bool:
    if isinstance(value, str):
        base64.b64decode(value, validate=True)
    return True


@_FORMATS.checks("uri")
def _is_absolute(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) is not None


def why_no_schemas(revision: str = "2026-07-28") -> str | None:
    """The reason to skip a test that needs them, or None when they are there."""
    path = SPEC / revision / "schema.json"
    return None if path.is_file() else f"the schema of {revision} does not lie in ../shared/spec"


def reasons(message: object, revision: str, definition: str) -> list[str]:
    """Why the message is none of that definition."""
    errors = _validator(revision, definition).iter_errors(cast("Json", message))
    return [f"schema {revision} {definition}: {error.json_path}: {error.message}" for error in errors]


@cache
def definitions(revision: str) -> Json:
    """Empty where the folder is absent."""
    if why_no_schemas(revision):
        return {}
    schema = _read(revision)
    return schema.get("$defs") or schema["definitions"]


def _read(revision: str) -> Json:
    """The published schema, mended where its generator made "integer" of the source's `number`: a form's values."""
    text = (SPEC / revision / "schema.json").read_text("utf-8")
    mended = re.sub(r'\[\s*"string",\s*"integer",\s*"boolean"\s*\]', '["string", "number", "boolean"]', text)
    return cast("Json", json.loads(mended))


@cache
def _validator(revision: str, definition: str) -> Judge:
    schema = _read(revision)
    keyword = "$defs" if "$defs" in schema else "definitions"
    judge = Draft7Validator if "draft-07" in schema["$schema"] else Draft202012Validator
    whole = {keyword: schema[keyword], "$ref": f"#/{keyword}/{definition}"}
    return cast("Judge", judge(whole, format_checker=_FORMATS))


def envelope_of(message: Json, revision: str) -> str:
    """The JSON-RPC definition for this kind of message; its names changed in 2025-11-25."""
    known = definitions(revision)
    if "error" in message:
        return "JSONRPCErrorResponse" if "JSONRPCErrorResponse" in known else "JSONRPCError"
    if "result" in message:
        return "JSONRPCResultResponse" if "JSONRPCResultResponse" in known else "JSONRPCResponse"
    return "JSONRPCRequest" if "id" in message else "JSONRPCNotification"


@cache
def definition_of(revision: str, sender: str, kind: str, method: str) -> str | None:
    """The `Request` or `Notification` (the kind) with this method that the schema lets this sender send."""
    known = definitions(revision)
    union: Json = known.get(f"{sender.capitalize()}{kind}", {})
    names = [arm["$ref"].rpartition("/")[2] for arm in union.get("anyOf", [])]
    if "properties" in union:  # a union of one is written out: in 2026-07-28 clients may only cancel
        names = [name for name, body in known.items() if body == union and name.endswith(kind)]
    return next((name for name in names if known[name]["properties"]["method"]["const"] == method), None)


def result_of(revision: str, request: str) -> str:
    """The definition of the result of a request: some have none but the empty one."""
    name = request.removesuffix("Request") + "Result"
    return name if name in definitions(revision) else "EmptyResult"


@cache
def error_of(revision: str, code: int) -> str | None:
    """The definition that says what an error of this code carries as data, if there is one."""
    for name, body in definitions(revision).items():
        arms = body.get("properties", {}).get("error", {}).get("allOf", [])
        if any(arm.get("properties", {}).get("code", {}).get("const") == code for arm in arms):
            return name
    return None
