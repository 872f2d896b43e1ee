"""A run asks for its lock before each target, and renews it in the background while one step takes long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path

import pytest

from airflow_voice_agents.engine import apply as engine
from airflow_voice_agents.engine.apply import kept_up
from support.toy import House, SetLights, SetLightsByItem


class CountedLock:
    """A lock that counts what it is asked, and is lost after some looks."""

    def __init__(self, lost_after: int = 99) -> None:
        self.lost_after = lost_after
        self.looks: list[int] = []
        self.renewals = 0
        self.renewed_twice = threading.Event()

    def narrow(self, targets: Collection[str]) -> None:
        """Keep everything."""

    def renew_when_due(self) -> str | None:
        """Count."""
        self.renewals += 1
        if self.renewals >= 2:
            self.renewed_twice.set()
        return None

    def check(self) -> str | None:
        """Count the look, and note the thread."""
        self.looks.append(threading.get_ident())
        return None if len(self.looks) <= self.lost_after else "Somebody removed the lock."


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "state", dict.fromkeys(("house/a", "house/b", "house/c"), 0))


def run(house: House, lock: CountedLock, kind: type[SetLights] = SetLights) -> list[str]:
    house._lock = lambda *_: nullcontext(lock)  # type: ignore[method-assign,assignment]
    report = house.apply(kind(levels=dict.fromkeys(house.levels, 5)))
    return [item.status.value for item in report.items]


def test_the_lock_is_asked_for_once_per_target_off_the_event_loop(house: House) -> None:
    lock = CountedLock()

    assert run(house, lock) == ["changed"] * 3
    assert len(lock.looks) == 3
    assert threading.get_ident() not in lock.looks


def test_a_lock_that_is_gone_stops_the_run_before_the_next_target_is_written(house: House) -> None:
    assert run(house, CountedLock(lost_after=1)) == ["changed", "skipped", "skipped"]
    assert house.written == ["house/a"]
    assert any("Somebody removed the lock." in line for line in house.said)


def test_where_items_count_the_lock_is_asked_for_before_each_wave(house: House) -> None:
    assert run(house, CountedLock(lost_after=0), SetLightsByItem) == ["skipped"] * 3
    assert house.written == []


async def test_the_lock_is_renewed_while_one_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RENEWAL_INTERVAL", 0.0)
    lock, before = CountedLock(), asyncio.all_tasks()

    async with kept_up(lock):
        assert await asyncio.to_thread(lock.renewed_twice.wait, 60)

    assert asyncio.all_tasks() == before


async def test_an_error_of_the_run_ends_the_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RENEWAL_INTERVAL", 0.0)
    before = asyncio.all_tasks()

    with pytest.raises(KeyError):
        async with kept_up(CountedLock()):
            raise KeyError

    assert asyncio.all_tasks() == before
