"""The summary above a plan that is approved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem, TargetPlan
from airflow_voice_agents.plans.summary import PlanSummary, cell, rollout_rows
from airflow_voice_agents.polyai.actions.promotion_summary import summarize, summarize_release
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import InputError
from support.json_values import JSON, bounded


def spec(*agents: str, environment: str = "live", source: Any = None, **more: Any) -> PromotionSpec:
    given = {"source": source} if source else {}
    targets = [{"agent_id": agent, "environment": environment} for agent in agents]
    return PromotionSpec.parse({**given, "targets": targets, "config": {}, **more})


def planned(spec: PromotionSpec, keys: int = 2, *, deploys: bool = False) -> list[TargetPlan]:
    plans = []
    for target in spec.targets:
        name = target.environment.value
        changes = tuple(Change(Op.ADD, (f"key{each}",), None, each) for each in range(keys))
        items = [
            PlannedItem(Resource("config page", target.agent_id, name), "b", "a", changes=changes, writes=1)
        ]
        if deploys:
            items.append(PlannedItem(Resource("deployment", target.agent_id, name), "b", "a", writes=1))
        plans.append(TargetPlan(target.name, tuple(items)))
    return plans


OWN = {"agent_id": "harbour-hotels", "environment": "pre-release"}


def test_one_project_begins_with_its_name_and_its_environments() -> None:
    wanted = spec("harbour-hotels", source=OWN)
    assert summarize(wanted, planned(wanted, 7, deploys=True)).subject == (
        "harbour-hotels pre-release → live: 7 keys, deployment"
    )


def test_many_projects_are_counted_and_the_same_change_is_told_once() -> None:
    wanted = spec(
        *(f"site-{each}" for each in range(25)), source={"agent_id": "template", "environment": "sandbox"}
    )
    summary = summarize(wanted, planned(wanted))
    assert summary.subject == "25 projects → live: 2 keys each, from template sandbox"
    assert summary.target == "live of site-0, site-1, site-2 and 22 more"
    assert summary.affected == "callers of 25 projects"
    assert summary.changes == "2 keys each; 50 added (values); 25 requests"


def test_targets_that_change_differently_are_summed() -> None:
    wanted = spec("a", "b", source=OWN)
    first, second = planned(wanted, 1)[0], planned(wanted, 3)[1]
    assert (
        summarize(wanted, [first, second]).subject
        == "2 projects → live: 4 keys in 2 targets, from harbour-hotels pre-release"
    )


def test_each_projects_own_source_is_said_once() -> None:
    targets = [
        {
            "agent_id": agent,
            "environment": "live",
            "source": {"agent_id": agent, "environment": "pre-release"},
        }
        for agent in ("a", "b")
    ]
    wanted = PromotionSpec.parse({"targets": targets, "config": {}})
    summary = summarize(wanted, planned(wanted))
    assert (summary.subject, summary.source) == (
        "2 projects pre-release → live: 2 keys each",
        "each project's own pre-release",
    )


@pytest.mark.parametrize("environment", ["sandbox", "pre-release"])
def test_where_no_callers_are_the_summary_says_so(environment: str) -> None:
    wanted = spec("a", environment=environment, source={"agent_id": "b", "environment": "sandbox"})
    assert summarize(wanted, planned(wanted)).affected == f"no callers: {environment} only"


def test_a_plan_without_changes_says_so() -> None:
    wanted = spec("a", source=OWN)
    same = [TargetPlan("a/live", (PlannedItem(Resource("config page", "a", "live"), "d", "d"),))]
    assert "nothing changes" in summarize(wanted, same).subject


SUMMARY = PlanSummary("s", "template sandbox", "live of a | b", "callers of 2 projects", "2 keys each", 2)


def test_the_table_has_a_row_for_each_fact_and_a_bar_ends_no_cell() -> None:
    assert SUMMARY.markdown([("Order", "1 → 2")]).splitlines() == [
        "| | |",
        "|---|---|",
        "| From | template sandbox |",
        "| To | live of a `\\|` b |",
        "| Affected | callers of 2 projects |",
        "| Changes | 2 keys each |",
        "| Order | 1 → 2 |",
    ]


def test_a_summary_is_read_back() -> None:
    assert PlanSummary.read(SUMMARY.document()) == SUMMARY


@bounded(100)
@given(JSON)
def test_plans_of_other_makers_have_no_summary(value: Any) -> None:
    assert PlanSummary.read(value) is None


@bounded(200)
@given(st.text(max_size=30))
def test_no_text_leaves_its_cell(text: str) -> None:
    shown = cell(text)
    assert "\n" not in shown
    assert "|" not in shown.replace("\\|", "")


def test_order_and_undo_are_those_of_the_task_that_applies() -> None:
    assert rollout_rows(
        replace(SUMMARY, targets=25), [1, "20%", "100%"], {"count": 5, "percent": 10}, True
    ) == [
        ("Order", "1 → 5 → 25 targets; stops after 3 failures"),
        ("Undo", "a snapshot is taken first; a rollback restores it"),
    ]
    assert rollout_rows(replace(SUMMARY, targets=1), None, 0, False) == [
        ("Order", "1 target; stops at the first failure"),
        ("Undo", "no snapshot is taken, so there is no rollback"),
    ]


def test_a_merge_is_undone_by_going_back_not_by_a_snapshot() -> None:
    merge = PlannedItem(Resource("branch", "harbour-hotels", "spring"), "b", "a", writes=1)
    summary = summarize_release("harbour-hotels", "spring", Plan("release", (merge,)))
    assert summary.subject == "harbour-hotels spring → live: merge"
    assert rollout_rows(summary, None, 0, True)[1] == (
        "Undo",
        "live is rolled back to the deployment that it ran before",
    )


def test_waves_that_the_task_would_refuse_are_refused_here() -> None:
    with pytest.raises(InputError, match="waves"):
        rollout_rows(SUMMARY, ["50%"], 0, True)
