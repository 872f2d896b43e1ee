"""What can be said about the production run without running it: its examples, its counts, its table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.journal import Entry

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "production"
WRITE = Entry(
    1, "PATCH", "/v1/page", "/v1/page", "update page", "polyai", writes=True, agent="site", digest="a",
    status=200, changed=True,
)  # fmt: skip


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield import_module("run")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]  # its modules have names that others could have


def test_every_example_is_run(run: Any) -> None:
    lanes = (*run.examples.LANES, run.examples.AT_LAST)
    assert {dag_id for lane in lanes for dag_id, _ in lane} == {
        path.stem for path in (ROOT / "example_dags").glob("*.py")
    }


def test_a_write_that_was_accepted_right_after_the_same_one_is_counted(run: Any) -> None:
    twice = sys.modules["stage"].written_twice
    other = replace(WRITE, digest="b")

    assert twice([WRITE, WRITE]) == ["PATCH /v1/page"]
    assert twice([WRITE, other, WRITE]) == []
    assert twice([WRITE, replace(WRITE, path="/v1/other")]) == []
    assert twice([replace(WRITE, status=None), WRITE]) == ["PATCH /v1/page"]
    assert twice([replace(WRITE, status=429, changed=False), WRITE]) == []


def test_requests_that_the_contract_does_not_have_are_counted(run: Any) -> None:
    strange = sys.modules["stage"].violations

    assert strange([WRITE, replace(WRITE, status=429), replace(WRITE, status=503)]) == []
    assert len(strange([replace(WRITE, operation=None), replace(WRITE, status=400)])) == 2
    assert strange([replace(WRITE, status=400, fault="answer")]) == []


def test_the_table_keeps_the_rows_of_scenarios_that_were_not_played(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "production.md"
    page.write_text(f"Before.\n{run.BEGIN}\n{run.END}\nAfter.\n")
    monkeypatch.setattr(run, "PAGE", page)
    monkeypatch.setattr(run, "_about", lambda: "About.")
    first, second = (each.name for each in run.SCENARIOS[:2])

    run._write({second: (second, "right", "0", "0", "7", "x")})
    run._write({**run._read(), first: (first, "right", "0", "0", "–", "y")})

    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert list(run._read()) == [first, second]
    assert run._read()[second] == (second, "right", "0", "0", "7", "x")


def test_the_page_holds_the_marks(run: Any) -> None:
    text = run.PAGE.read_text(encoding="utf-8")

    assert text.index(run.BEGIN) < text.index(run.END)


def test_names_of_scenarios_are_their_own(run: Any) -> None:
    names = [each.name for each in run.SCENARIOS]

    assert len(set(names)) == len(names)


def test_pins_have_one_version_and_no_address() -> None:
    lines = (ROOT / "constraints-production.txt").read_text().splitlines()

    assert lines
    assert all("==" in line and "/" not in line and " " not in line for line in lines)
