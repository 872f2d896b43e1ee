"""Runs coroutines from code that is not async, on an event loop that stays open between runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_INSIDE = "an event loop runs in this thread: await the async method (asend, aclose) instead"


class SyncRunner:
    """Runs coroutines on one event loop, made at first use, so that connections outlive each run.

    Safe to share between threads, which take turns.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._runner: asyncio.Runner | None = None

    @property
    def is_open(self) -> bool:
        """The loop was made and is not closed yet."""
        return self._runner is not None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end.

        :param coroutine: closed without a run when an event loop runs in this thread.
        :raises RuntimeError: when an event loop runs in this thread.
        """
        if inside_loop():
            coroutine.close()
            raise RuntimeError(_INSIDE)
        with self._turn:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return _run(self._runner, coroutine)

    def close(self) -> None:
        """Close the loop, if there is one.

        :raises RuntimeError: when an event loop runs in this thread.
        """
        if inside_loop():
            raise RuntimeError(_INSIDE)
        with self._turn:
            runner, self._runner = self._runner, None
            if runner is not None:
                runner.close()

    def is_running_here(self) -> bool:
        """Tell whether the caller runs on this very loop."""
        return self._runner is not None and self._runner.get_loop() is asyncio.get_running_loop()


def inside_loop() -> bool:
    """Tell whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(runner: asyncio.Runner, coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return runner.run(coroutine)
    except BaseException:
        # A signal handler may raise through the loop; what it left must not go on at the next run.
        for task in asyncio.all_tasks(runner.get_loop()):
            task.cancel()
        raise
