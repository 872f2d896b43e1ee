"""Imports by name: in another thread than the event loop's, once, and in the order of the names."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from airflow_voice_agents.bases.trigger import resolve_in_thread

MODULE = """
import threading
THREAD = threading.current_thread()
class Thing:
    @classmethod
    def make(cls): return cls()
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that nobody has imported yet."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [f"lazily_imported_{tmp_path.name}_{index}" for index in range(2)]
    for name in names:
        (tmp_path / f"{name}.py").write_text(MODULE)
    return names


async def test_modules_are_imported_in_another_thread(modules: list[str]) -> None:
    thread, make = await resolve_in_thread(f"{modules[1]}:THREAD", f"{modules[0]}:Thing.make")

    assert thread is not threading.current_thread()
    assert type(make()).__module__ == modules[0]
    assert [name for name in sys.modules if name in modules] == [modules[1], modules[0]]


async def test_what_was_imported_is_found_without_a_thread(
    modules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{modules[0]}:Thing"
    first = await resolve_in_thread(name)
    monkeypatch.setattr("asyncio.to_thread", None)

    assert await resolve_in_thread(name) == first


async def test_a_name_that_there_is_not_is_an_error_each_time(modules: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(AttributeError):
            await resolve_in_thread(f"{modules[0]}:Nothing")
