"""An HTTP protocol for uvicorn that lets the application drop its TCP connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TRANSPORT = "airflow_voice_agents.transport"


class DroppableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, with the connection's transport put into each request's scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application for this connection."""
        super().connection_made(transport)
        # asyncio does this only for sockets made with an explicit protocol; without it, each body
        # waits for the client's delayed acknowledgement of the headers.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        application: Any = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope[_TRANSPORT] = transport
            await application(scope, receive, send)

        self.app = with_transport


async def reset_connection(scope: Scope, receive: Receive) -> None:
    """Drop the connection at once: the client sees a reset, and whatever was not sent is lost."""
    transport: asyncio.Transport = scope[_TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _until_closed(receive)


async def close_early(scope: Scope, receive: Receive) -> None:
    """Send what was written and close, although the client was promised more."""
    scope[_TRANSPORT].close()
    await _until_closed(receive)


async def _until_closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
