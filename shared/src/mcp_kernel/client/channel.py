"""A link over a transport of the host's own: a channel that takes and gives whole messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from mcp_kernel.client.duplex import Duplex
from mcp_kernel.client.failures import ConnectionLost, NotConnected
from mcp_kernel.protocol.jsonrpc import Message, encode

Channel: TypeAlias = tuple[AsyncIterable[bytes], Callable[[bytes], Awaitable[object]]]
"""The messages that come, and what sends one: each is JSON-RPC as bytes, without a line feed.

A message is sent when the one before it has been, and its sending is not cancelled but with the channel.
"""

Dial: TypeAlias = Callable[[], AbstractAsyncContextManager[Channel]]
"""Opens a channel for as long as its block lasts; may be called again when a channel was lost."""


class ChannelLink(Duplex):
    """Whatever the transport raises is a connection that was not made, or was lost."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self._dial = dial
        self._task: asyncio.Task[None] | None = None
        self._send: Callable[[bytes], Awaitable[object]] | None = None
        self._turn = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(opened))
        await opened

    async def _run(self, opened: asyncio.Future[None]) -> None:
        """Open the channel, read it and leave it, all in one task, as libraries with cancel scopes want it."""
        why = "The server ended the connection."
        try:
            async with self._dial() as (messages, self._send):
                opened.set_result(None)
                async for data in messages:
                    self._receive(data)
        except Exception as error:  # what a transport raises is its own
            why = f"The connection broke: {str(error) or type(error).__name__}"
        self._send = None
        if opened.done():
            self._lose(ConnectionLost(why))
        else:
            opened.set_exception(NotConnected(why.replace("broke", "cannot be made")))

    async def _write(self, message: Message) -> None:
        sending = asyncio.create_task(self._write_whole(encode(message)))
        self._sending.add(sending)
        sending.add_done_callback(self._sent)
        await asyncio.shield(sending)

    async def _write_whole(self, data: bytes) -> None:
        async with self._turn:
            if self._send is None:
                raise self._lost or ConnectionLost("The client was closed.")
            try:
                await self._send(data)
            except Exception as error:  # as above
                raise ConnectionLost(f"The connection broke: {str(error) or type(error).__name__}") from None

    def _sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # looked at, for a caller who does not wait any more

    async def close(self) -> None:
        task, self._task, self._send = self._task, None, None
        for sending in self._sending:
            sending.cancel()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
