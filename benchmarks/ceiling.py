"""Measure the requests per second of the local server with plain keep-alive sockets."""

from __future__ import annotations

import asyncio
import sys
import time

REQUEST = "GET /v1/agents/{agent}/real-time-configs HTTP/1.1\r\nHost: {host}\r\nX-API-KEY: {key}\r\n\r\n"


async def ask(host: str, port: int, request: bytes, until: float) -> int:
    """Send the same request again and again over one connection; return how often.

    :param host: of the server.
    :param port: of the server.
    :param request: head and body.
    :param until: monotonic seconds.
    """
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        count += 1
    writer.close()
    return count


async def requests_per_second(url: str, key: str, agent: str, connections: int, seconds: float) -> float:
    """Measure.

    :param url: of the server.
    :param key: API key.
    :param agent: whose pages are read.
    :param connections: side by side.
    :param seconds: how long.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    request = REQUEST.format(agent=agent, host=host, key=key).encode()
    start = time.monotonic()
    asked = (ask(host, int(port), request, start + seconds) for _ in range(connections))
    return sum(await asyncio.gather(*asked)) / (time.monotonic() - start)


if __name__ == "__main__":
    print(asyncio.run(requests_per_second(sys.argv[1], sys.argv[2], sys.argv[3], 16, float(sys.argv[4]))))
