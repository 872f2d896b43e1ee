"""Everything that a task does to the world outside its process, counted, so that it can die at any of it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.response import Attempt, RawResponse


class Moments:
    """The moments of an attempt: right before and right after each request, each file and each note.

    :param last: the one at which the process kills itself, from 1; 0 for never.
    """

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self.passed: list[str] = []

    def pass_by(self, name: str) -> None:
        """Note a moment, and end with it if it is the last one."""
        self.passed.append(name)
        if len(self.passed) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Note the moments before and after what is done."""
        self.pass_by(f"before {name}")
        yield
        self.pass_by(f"after {name}")

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count the requests that are sent and the files that are written and removed."""
        with contextlib.ExitStack() as stack:
            for owner, method, name in (
                (StateFiles, "write", _room),
                (StateFiles, "remove", _room),
            ):
                stack.enter_context(mock.patch.object(owner, method, self._told(owner, method, name)))
            stack.enter_context(mock.patch.object(Client, "_request", self._sending()))
            yield

    def _told(self, owner: Any, method: str, name: Callable[..., str]) -> Callable[..., Any]:
        plain = getattr(owner, method)

        def told(its: Any, *arguments: Any) -> Any:
            with self.around(f"{method} of {name(its, *arguments)}"):
                return plain(its, *arguments)

        return told

    def _sending(self) -> Callable[..., Any]:
        plain = Client._request

        async def send(client: Client, attempt: Attempt[Any]) -> RawResponse:
            with self.around(f"{attempt.request.method} {urlsplit(attempt.url).path}"):
                return await plain(client, attempt)

        return send


def _room(files: StateFiles, *_: Any) -> str:
    """The room of a file: a lock's own name is another one each time."""
    return files.url("").rstrip("/").rpartition("/")[2]
