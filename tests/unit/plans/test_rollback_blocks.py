"""Holds: the very state that was rolled back is refused, everything else passes and is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem, Severity
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock, check_blocks
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded

PAGE, LINE = Resource("config page", "rosa", "live"), Resource("connector", "rosa", "c1")
HOLD = RollbackBlock(
    "rosa/live",
    {"config page:rosa/live": "bad", "connector:rosa/c1": "worse"},
    "calls failed",
    {"dag_id": "d", "run_id": "r", "task_id": "t"},
    "2026-01-02T03:04:05+00:00",
)


def item(target: Resource, before: str, after: str) -> PlannedItem:
    return PlannedItem(target, before, after)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        pytest.param([item(PAGE, "old", "bad")], ["error on_hold"], id="the same again"),
        pytest.param(
            [item(PAGE, "old", "good"), item(LINE, "old", "worse")], ["error on_hold"], id="one of two"
        ),
        pytest.param([item(PAGE, "old", "good")], ["warning on_hold_elsewhere"], id="another state"),
        pytest.param([item(LINE, "old", "bad")], ["warning on_hold_elsewhere"], id="a digest of another"),
        pytest.param([item(PAGE, "bad", "old")], ["warning on_hold_elsewhere"], id="away from it"),
        pytest.param([item(PAGE, "bad", "bad")], [], id="it is there already"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_only_the_state_that_was_rolled_back_is_refused(items: list[PlannedItem], said: list[str]) -> None:
    findings = list(check_blocks(items, HOLD))

    assert [f"{each.severity} {each.code}" for each in findings] == said


def test_the_refusal_names_the_resources_the_hold_and_the_way_out() -> None:
    (finding,) = check_blocks([item(PAGE, "old", "bad"), item(LINE, "x", "worse")], HOLD)

    assert finding.severity is Severity.ERROR
    assert (
        "rosa/live is on hold since 2026-01-02T03:04:05+00:00 (placed by d/r/t: calls failed)"
        in finding.message
    )
    assert "config page rosa/live, connector rosa/c1" in finding.message
    assert "release the target" in finding.message


@bounded(100)
@given(
    st.builds(
        RollbackBlock,
        st.text(),
        st.dictionaries(st.text(), st.text(), max_size=3),
        st.text(),
        st.dictionaries(st.text(), st.text(), max_size=3),
        st.text(),
    )
)
def test_a_hold_comes_back_from_its_document(hold: RollbackBlock) -> None:
    assert RollbackBlock.from_document(json.loads(json.dumps(hold.document()))) == hold


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {**HOLD.document(), "version": 2},
        {**HOLD.document(), "target": None},
        {**HOLD.document(), "digests": ["a"]},
        {**HOLD.document(), "digests": {"a": None}},
        {**HOLD.document(), "placed_by": "me"},
        {key: value for key, value in HOLD.document().items() if key != "placed_at"},
    ],
)
def test_what_is_no_hold_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="hold"):
        RollbackBlock.from_document(document)


def test_a_resource_has_one_name_in_all_holds() -> None:
    assert {PAGE.key, LINE.key} == HOLD.digests.keys()
