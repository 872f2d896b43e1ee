"""Baselines: what a promotion applied last, per name, merged and never half-read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.plans.document import ExpectedDigest, PlanDocument
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.state import baselines
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

ONE = {"digest": "d1", "at": "2026-01-02T03:04:05+00:00"}
TWO = {"digest": "d2", "at": "2026-01-03T03:04:05+00:00", "keys": {"greeting": "k1"}}


@pytest.fixture
def base(tmp_path: Path) -> str:
    return tmp_path.as_uri()


def test_what_was_noted_comes_back_and_stays_until_it_is_noted_again(base: str) -> None:
    assert baselines.load(base, "nightly") == {}
    assert baselines.merge(base, "nightly", {"page:a/live": ONE}) == {"page:a/live": ONE}
    merged = baselines.merge(base, "nightly", {"page:b/live": TWO})

    assert merged == baselines.load(base, "nightly") == {"page:a/live": ONE, "page:b/live": TWO}
    assert baselines.merge(base, "nightly", {"page:a/live": TWO})["page:a/live"] == TWO
    assert baselines.load(base, "Nightly") == {}


def test_nothing_to_note_writes_nothing(base: str, tmp_path: Path) -> None:
    assert baselines.merge(base, "nightly", {}) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "entry",
    [None, {}, {"digest": "d"}, {"digest": "d", "at": 1}, {**ONE, "keys": ["a"]}, {**ONE, "keys": {"a": 1}}],
)
def test_an_entry_that_is_none_is_refused_before_anything_is_noted(base: str, entry: Any) -> None:
    baselines.merge(base, "nightly", {"k": ONE})

    with pytest.raises(InputError, match="that of l has not"):
        baselines.merge(base, "nightly", {"k": TWO, "l": entry})

    assert baselines.load(base, "nightly") == {"k": ONE}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"version": 2}',
        b'{"version": true, "name": "nightly", "resources": {}}',
        b'{"version": 1.0, "name": "nightly", "resources": {}}',
        b'{"version": 1, "name": "nightly", "resources": {}, "resources": {}}',
        b'{"version": 1, "name": "nightly", "resources": {}, "more": NaN}',
        b"[" * 100_000 + b"]" * 100_000,
        None,
    ],
)
def test_a_damaged_baseline_is_refused_and_left_as_it_is(
    base: str, tmp_path: Path, damage: bytes | None
) -> None:
    baselines.merge(base, "nightly", {"k": ONE})
    (path,) = (tmp_path / "baselines").iterdir()
    damage = path.read_bytes().replace(b'"nightly"', b'"daily"') if damage is None else damage
    path.write_bytes(damage)

    with pytest.raises(InputError, match="is not the baseline of promotion nightly"):
        baselines.load(base, "nightly")
    with pytest.raises(InputError):
        baselines.merge(base, "nightly", {"k": TWO})

    assert path.read_bytes() == damage


def test_a_promotion_without_a_name_has_no_baseline(base: str) -> None:
    with pytest.raises(InputError, match="needs a name"):
        baselines.load(base, "")


@bounded(50)
@given(
    st.lists(st.dictionaries(st.text(), st.sampled_from([ONE, TWO]), max_size=3), max_size=4),
    st.text(min_size=1),
)
def test_merging_is_like_updating_a_mapping(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, Any]], name: str
) -> None:
    base = tmp_path_factory.mktemp("baselines").as_uri()
    expected: dict[str, Any] = {}

    for entries in steps:
        expected |= entries
        assert baselines.merge(base, name, entries) == expected

    assert baselines.load(base, name) == expected


def test_of_a_report_what_is_as_planned_is_noted_and_nothing_else(base: str) -> None:
    targets = {status: Resource("page", status.value, "live") for status in Status}
    stranger = Resource("page", "stranger", "live")
    pins = {target: ExpectedDigest("before", f"after {target.owner}", None) for target in targets.values()}
    document = PlanDocument("promote", "digest", pins, {}, {})
    items = [ItemReport(target, status) for status, target in targets.items()]
    report = Report("promote", (*items, ItemReport(stranger, Status.CHANGED)))

    baselines.record(base, "nightly", document, replace(report, dry_run=True))
    baselines.record(base, "nightly", document, replace(report, refused=True))
    assert baselines.load(base, "nightly") == {}
    baselines.record(base, "nightly", document, report)

    found = baselines.load(base, "nightly")
    assert {key: entry["digest"] for key, entry in found.items()} == {
        "page:changed/live": "after changed",
        "page:unchanged/live": "after unchanged",
    }
