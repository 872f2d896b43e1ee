"""A lock is renewed in time, its loss stops the run, and a storage's hiccup does not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.state.locks import RENEWALS, Lock, LockOwner
from airflow_voice_agents.transport.errors import TargetLocked

TTL = 900.0
THIRD = TTL / RENEWALS
OWNER = LockOwner("dag", "run 1", "promote")


class Files:
    """A folder in memory."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def url(self, name: str) -> str:
        return f"memory://{name}"

    def names(self) -> list[str]:
        return sorted(self.contents)

    def read(self, name: str) -> bytes | None:
        return self.contents.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.contents[name] = content

    def remove(self, name: str) -> None:
        self.contents.pop(name, None)


class FakeLock(Lock):
    """A lock that notes when it is renewed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.renewed: list[float] = []
        self.said: list[str] = []
        self.trouble: Exception | None = None
        super().__init__(Files(), ("hotel/live",), OWNER, self.said.append, ttl=TTL, clock=lambda: self.now)
        self.acquire()

    def renew(self) -> None:
        self.renewed.append(self.now)
        if self.trouble is not None:
            raise self.trouble

    def at(self, seconds: float) -> str | None:
        self.now = 1000.0 + seconds
        return self.renew_when_due()


def test_a_lock_is_renewed_once_in_each_third_of_its_time() -> None:
    lock = FakeLock()
    for seconds in range(0, 1201, 10):
        assert lock.at(seconds) is None
    assert lock.renewed == [1000.0 + THIRD * times for times in range(1, 5)]


def test_the_next_time_counts_from_when_it_was_renewed() -> None:
    lock = FakeLock()
    lock.at(500)
    lock.at(500 + THIRD - 1)
    assert len(lock.renewed) == 1
    lock.at(500 + THIRD)
    assert len(lock.renewed) == 2


def test_a_lost_lock_stops_the_run_in_its_own_words() -> None:
    lock = FakeLock()
    lock.trouble = TargetLocked("hotel/live is locked by another run.")
    assert lock.at(THIRD - 1) is None
    assert lock.at(THIRD) == "hotel/live is locked by another run."
    assert lock.at(THIRD + 1) == "hotel/live is locked by another run."


def test_a_hiccup_of_the_storage_is_told_and_tried_again_at_the_next_unit() -> None:
    lock = FakeLock()
    lock.trouble = OSError("secret://bucket is down")
    assert lock.at(THIRD) is None
    assert lock.at(THIRD + 1) is None
    assert (
        lock.said
        == [
            "The lock on the targets could not be renewed (OSError); it lasts for now, and the next target tries again"
        ]
        * 2
    )
    lock.trouble = None
    assert lock.at(THIRD + 2) is None
    assert len(lock.renewed) == 3
    lock.at(2 * THIRD + 1)
    assert len(lock.renewed) == 3


def test_a_lock_that_is_about_to_end_stops_the_run() -> None:
    lock = FakeLock()
    lock.trouble = OSError("down")
    assert lock.at(2 * THIRD - 1) is None
    assert lock.at(2 * THIRD) == (
        "The lock on the targets could not be renewed (OSError), and is about to end. Look at the folder of locks, "
        "then run again."
    )


@pytest.mark.parametrize("kept_up", [True, False])
def test_a_real_lock_outlasts_its_time_only_when_it_is_kept_up(*, kept_up: bool) -> None:
    files, time = Files(), [1_800_000_000.0]
    options: dict[str, Any] = {"clock": lambda: time[0], "sleep": lambda _: None, "log": lambda _: None}
    lock = Lock(files, ("hotel/live",), OWNER, ttl=TTL, **options)
    lock.acquire()
    for _ in range(20):
        time[0] += 100
        if kept_up:
            assert lock.renew_when_due() is None
    assert lock.still_mine() is kept_up
    if not kept_up:
        assert lock.renew_when_due() is not None


def real(files: Files, time: list[float], said: list[str]) -> Lock:
    options: dict[str, Any] = {"clock": lambda: time[0], "sleep": lambda _: None, "log": said.append}
    lock = Lock(files, ("hotel/live",), OWNER, ttl=TTL, **options)
    lock.acquire()
    return lock


def test_whether_the_lock_stands_is_looked_up_and_renews_it_when_that_is_due() -> None:
    files, time, said = Files(), [1_800_000_000.0], []
    lock = real(files, time, said)
    for _ in range(20):
        time[0] += 100
        assert lock.check() is None

    files.contents.clear()
    assert "is not this run's any more" in (lock.check() or "")
    assert said == []


def test_a_storage_that_cannot_be_asked_stops_the_run_when_the_lock_has_ended() -> None:
    files, time, said = Files(), [1_800_000_000.0], []
    lock = real(files, time, said)

    def fail(_: str) -> bytes:
        raise OSError

    files.read = fail  # type: ignore[method-assign]
    assert lock.check() is None
    assert "lasts for now" in said[0]
    time[0] += TTL
    assert "is about to end" in (lock.check() or "")


def test_a_lock_that_others_renew_in_the_background_is_given_back_once() -> None:
    files, time, said = Files(), [1_800_000_000.0], []
    lock = real(files, time, said)
    lock.release()
    time[0] += TTL / 2

    assert "is not this run's any more" in (lock.renew_when_due() or "")
    assert files.contents == {}
