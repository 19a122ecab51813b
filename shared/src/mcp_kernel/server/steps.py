"""Runs a handler's first step at once, so that a call that never waits costs no trip through the event loop.

A coroutine must run inside a task: `asyncio.timeout`, `TaskGroup` and the database drivers ask which one is current.
Python 3.12 can start a task eagerly. On 3.11 one task is kept in reserve: the first step runs inline with that task
entered as the current one, and only a coroutine that really waits takes the task over.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.tasks import _enter_task, _leave_task  # pyright: ignore[reportPrivateUsage]  # 3.11 has no public way
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import TracebackType
from typing import Final, TypeAlias, cast, final

if sys.version_info < (3, 12):
    # What asyncio.current_task() reads, which is a function of Python on 3.11: a call made for every request.
    from asyncio.tasks import _current_tasks  # pyright: ignore[reportAttributeAccessIssue,reportUnknownVariableType]  # in no stub

    _CURRENT: Final = cast("dict[asyncio.AbstractEventLoop, asyncio.Task[object]]", _current_tasks)

Work: TypeAlias = Coroutine[object, None, None]

_NOTHING: Final = object()  # None is what a bare `yield` hands to the loop


@final
class _Reserve(Coroutine[object, None, None]):
    """What the task in reserve runs: nothing yet, then the rest of a coroutine whose first step is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gate: asyncio.Future[None] = loop.create_future()
        self._work: Work | None = None
        self._waiting: object = _NOTHING
        self.context = copy_context()
        self.pristine = self.context.copy()
        self.task = asyncio.Task(self, loop=loop, context=self.context)
        # It goes with a server that nobody keeps; it holds no work, so nothing is lost that anybody must be told of.
        self.task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]  # as asyncio's own do it

    def take_over(self, work: Work, waiting: object) -> asyncio.Task[None]:
        """Go on with a coroutine that waits for what its first step yielded."""
        self._work, self._waiting = work, waiting
        self.task._log_destroy_pending = True  # pyright: ignore[reportAttributeAccessIssue]  # now it would be
        if not self._gate.done():
            self._gate.set_result(None)
        return self.task

    def send(self, value: object) -> object:
        if self._work is None:
            return next(iter(self._gate))
        if self._waiting is not _NOTHING:
            waiting, self._waiting = self._waiting, _NOTHING
            return waiting
        return self._work.send(None)

    def throw(  # pyright: ignore[reportIncompatibleMethodOverride]  # the three-argument form is what asyncio calls
        self, kind: object, value: object = None, trace: TracebackType | None = None
    ) -> object:
        error = value if isinstance(value, BaseException) else kind
        if isinstance(error, type):
            error = error()
        assert isinstance(error, BaseException)  # noqa: S101  # asyncio throws nothing else
        if self._work is None:
            raise error
        waiting, self._waiting = self._waiting, _NOTHING
        if isinstance(error, asyncio.CancelledError) and isinstance(waiting, asyncio.Future) and waiting.cancel():
            return waiting  # pyright: ignore[reportUnknownVariableType]  # whatever it would have held
        return self._work.throw(error)

    def close(self) -> None:
        if self._work is not None:
            self._work.close()

    def __await__(self) -> Generator[object, None, None]:
        raise TypeError("only a task runs this")


class Steps:
    """Starts coroutines inline, on one event loop."""

    __slots__ = ("_loop", "_reserve")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reserve: _Reserve | None = None

    if sys.version_info >= (3, 12):

        def begin(self, work: Work) -> asyncio.Task[None] | None:
            """Run the first step of a coroutine now; returns the task of one that waits, None for one that ended."""
            task = asyncio.Task(work, loop=self._loop, eager_start=True, context=copy_context())
            if not task.done():
                return task
            if not task.cancelled():
                task.result()
            return None

    else:

        def begin(self, work: Work) -> asyncio.Task[None] | None:
            """Run the first step of a coroutine now; returns the task of one that waits, None for one that ended."""
            loop, reserve = self._loop, self._reserve
            if reserve is None or copy_context() != reserve.pristine:  # whoever begins has other variables now
                self.close()
                reserve = _Reserve(loop)
            self._reserve = None
            task, outer = reserve.task, _CURRENT.get(loop)
            if outer is not None:
                _leave_task(loop, outer)
            _enter_task(loop, task)
            try:
                waiting = reserve.context.run(work.send, None)
            except (StopIteration, asyncio.CancelledError):
                # Kept for the next call, unless this one changed it: left a variable, or asked to be cancelled.
                if reserve.context != reserve.pristine or task.cancelling():
                    task.cancel()
                else:
                    self._reserve = reserve
                return None
            finally:
                _leave_task(loop, task)
                if outer is not None:
                    _enter_task(loop, outer)
            return reserve.take_over(work, waiting)

    def close(self) -> None:
        """Let go of the task in reserve."""
        if self._reserve is not None:
            self._reserve.task.cancel()
            self._reserve = None
