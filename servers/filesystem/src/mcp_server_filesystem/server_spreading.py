"""A function of one dataclass as a function of its fields: for tools that take more than a signature should."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from mcp_kernel import Context

A = TypeVar("A")
R = TypeVar("R")


def spread(kind: type[A]) -> Callable[[Callable[[A, Context], Awaitable[R]]], Callable[..., Awaitable[R]]]:
    """Decorate a handler of one request and the context; what callers see are the request's fields."""

    def decorate(function: Callable[[A, Context], Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        @wraps(function)
        async def called(ctx: Context, **fields: object) -> R:
            return await function(kind(**fields), ctx)

        hints = typing.get_type_hints(kind, include_extras=True)
        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in dataclasses.fields(cast("Any", kind))
        ]
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=Context)
        returned = typing.get_type_hints(function)["return"]
        called.__signature__ = inspect.Signature([*parameters, context], return_annotation=returned)  # pyright: ignore[reportAttributeAccessIssue]  # what inspect reads
        called.__annotations__ = {**hints, "ctx": Context, "return": returned}
        return called

    return decorate
