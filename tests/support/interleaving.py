"""Programs that run side by side one step at a time, in an order that the test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

LIMIT = 60.0
"""Seconds after which a program that neither takes a step nor ends is taken for stuck."""

Program = Callable[[], None]


class Stage:
    """Lets one of several programs take a step, then one of them again, until all have ended.

    A program calls :meth:`step` before whatever others could see or change.

    :param choose: picks the one that goes on, as an index into the names of those that can.
    """

    def __init__(self, choose: Callable[[Sequence[str]], int]) -> None:
        self._choose = choose
        self._turns: dict[str, threading.Semaphore] = {}
        self._parked = threading.Semaphore(0)
        self._errors: list[BaseException] = []
        self._wakes: dict[str, float] = {}
        self._now = 0.0

    def rest(self, seconds: float) -> None:
        """Wait on the stage's clock, which only moves on when every program that has not ended waits.

        :param seconds: how long.
        """
        self._wakes[threading.current_thread().name] = self._now + seconds
        self.step()

    def step(self) -> None:
        """Wait until it is this program's turn."""
        self._parked.release()
        _wait(self._turns[threading.current_thread().name])

    def play(self, programs: dict[str, Program], watch: Program = lambda: None) -> None:
        """Run programs to their ends.

        :param programs: them, by name.
        :param watch: looks at what became of it after each step.
        :raises BaseException: what a program or the watch raised.
        """
        threads = {
            name: threading.Thread(target=self._run, args=(own,), name=name, daemon=True)
            for name, own in programs.items()
        }
        for name, thread in threads.items():
            self._turns[name] = threading.Semaphore(0)
            thread.start()
            _wait(self._parked)
        while alive := [name for name, thread in threads.items() if name in self._turns]:
            self._now = max(self._now, min(self._wakes.get(name, 0.0) for name in alive))
            awake = [name for name in alive if self._wakes.get(name, 0.0) <= self._now]
            name = awake[self._choose(awake)]
            self._turns[name].release()
            _wait(self._parked)
            watch()
        for thread in threads.values():
            thread.join(LIMIT)
        if self._errors:
            raise self._errors[0]

    def _run(self, program: Program) -> None:
        try:
            self.step()
            program()
        except BaseException as error:  # noqa: BLE001  raised again by play
            self._errors.append(error)
        finally:
            del self._turns[threading.current_thread().name]
            self._parked.release()


class _Choices:
    """Follows a path through the choices as far as it goes, and then takes the first each time."""

    def __init__(self, path: Sequence[int]) -> None:
        self._path = path
        self.made: list[tuple[int, int]] = []

    def __call__(self, names: Sequence[str]) -> int:
        at = len(self.made)
        choice = self._path[at] if at < len(self._path) else 0
        self.made.append((choice, len(names)))
        return choice


def every_order(play: Callable[[Stage], None]) -> Iterator[tuple[int, ...]]:
    """Play again and again, once in each order that the programs' steps can have, and yield the choices made.

    :param play: sets everything up anew and plays it on the stage.
    """
    path: list[int] = []
    while True:
        choices = _Choices(path)
        play(Stage(choices))
        made = choices.made
        yield tuple(choice for choice, _ in made)
        while made and made[-1][0] + 1 == made[-1][1]:
            made.pop()
        if not made:
            return
        path = [*(choice for choice, _ in made[:-1]), made[-1][0] + 1]


def _wait(semaphore: threading.Semaphore) -> None:
    if not semaphore.acquire(timeout=LIMIT):
        raise RuntimeError("a program of the test neither took a step nor ended")
