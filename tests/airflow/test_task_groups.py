"""The task group of a promotion: its tasks, what each of them gets, and in what order they run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task_group

from airflow_voice_agents.polyai.operators.promotion import NOT_ASKED_FOR, PolyAIApplyPromotionOperator
from airflow_voice_agents.polyai.task_groups import FOR_PLAN_ALONE, PromotionOptions, promotion
from support.airflow_versions import DagSerialization

SPEC = {"source": {"folder": "file:///files"}, "targets": [], "config": {}}


def group_of(dag: DAG | None = None, **arguments: Any) -> Any:
    with dag or DAG("x", schedule=None):
        return promotion(**{"spec": SPEC, **arguments})


def test_its_tasks_run_one_after_another() -> None:
    group = group_of()

    assert list(group.children) == [f"promotion.{each}" for each in ("plan", "approval", "apply", "verify")]
    assert group["plan"].upstream_task_ids == set()
    assert group["approval"].upstream_task_ids == {"promotion.plan"}
    assert group["apply"].upstream_task_ids == {"promotion.plan", "promotion.approval"}
    assert group["verify"].upstream_task_ids == {"promotion.plan", "promotion.apply"}
    assert group["apply"].trigger_rule == "all_success"


def test_the_apply_takes_the_digest_that_the_approval_returns() -> None:
    group = group_of()

    assert group["apply"].approved_digest.operator is group["approval"]
    assert group["apply"].approved_digest.key == "return_value"
    assert group["approval"].body.operator is group["plan"]
    assert group["approval"].body.key == "plan_markdown"


def test_without_an_approval_nobody_is_asked() -> None:
    group = group_of(approval=False)

    assert "promotion.approval" not in group.children
    assert group["apply"].approved_digest == NOT_ASKED_FOR


def test_an_empty_mapping_still_asks() -> None:
    assert "promotion.approval" in group_of(approval={}).children


def test_the_approval_gets_its_own_arguments() -> None:
    group = group_of(approval={"response_timeout": timedelta(hours=1), "fail_on_reject": False})

    assert group["approval"].response_timeout == timedelta(hours=1)
    assert group["approval"].fail_on_reject is False


def test_every_option_reaches_the_tasks_that_know_it() -> None:
    options: dict[str, Any] = {
        "polyai_conn_id": "other",
        "concurrency": 7,
        "show_values": True,
        "sensitive_keys": ("a",),
        "max_changed": "10%",
        "allow_unencrypted": True,
        "state_folder": "/state",
        "allow_local_state": True,
        "baseline": "fleet",
        "waves": [1, "100%"],
        "max_failures": 3,
        "stop_variable": None,
        "freeze": [{"start": "2026-12-24", "duration": "P1D", "timezone": "UTC"}],
        "override_freeze": "why",
        "take_snapshot": False,
        "snapshot_retention": timedelta(1),
        "lock_wait": 5.0,
        "max_snapshot_age": 9.0,
        "confirm_live": True,
        "allow_backfill": True,
    }
    assert options.keys() == PromotionOptions.__optional_keys__

    group = group_of(**options)

    got = {name: value for name, value in options.items() if name not in FOR_PLAN_ALONE}
    assert {name: getattr(group["apply"], name) for name in got} == got
    planned = {
        name: options[name]
        for name in (*FOR_PLAN_ALONE, "max_changed", "allow_unencrypted", "state_folder", "concurrency")
    }
    assert {name: getattr(group["plan"], name) for name in planned} == planned
    assert {group[each].polyai_conn_id for each in ("plan", "apply", "verify")} == {"other"}
    assert group["verify"].concurrency == 7


def test_what_is_not_given_is_left_to_the_operators_and_default_args() -> None:
    group = group_of(DAG("x", schedule=None, default_args={"polyai_conn_id": "of_the_dag"}))
    bare = PolyAIApplyPromotionOperator(task_id="bare", plan="{}")

    assert group["apply"].polyai_conn_id == "of_the_dag"
    assert {name: getattr(group["apply"], name) for name in ("waves", "stop_variable", "lock_wait")} == {
        name: getattr(bare, name) for name in ("waves", "stop_variable", "lock_wait")
    }


def test_default_args_of_the_group_reach_every_task() -> None:
    group = group_of(default_args={"retries": 5})

    assert {each.retries for each in group.children.values()} == {5}


def test_an_option_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="wave"):
        group_of(wave=[1])


def test_it_stands_between_other_tasks() -> None:
    with DAG("x", schedule=None):
        before, after = (EmptyOperator(task_id=each) for each in ("before", "after"))
        group = promotion(spec=SPEC)
        before >> group >> after

    assert group["plan"].upstream_task_ids == {"before"}  # type: ignore[attr-defined]
    assert group["verify"].downstream_task_ids == {"after"}  # type: ignore[attr-defined]


def test_mapped_over_targets_it_survives_serialization() -> None:
    with DAG("x", schedule=None) as dag:

        @task_group
        def one(target: Any) -> None:
            promotion(spec=SPEC, targets=[target])

        one.expand(target=[{"agent_id": "a"}, {"agent_id": "b"}])

    read = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))

    assert set(read.task_dict) == {
        f"one.promotion.{each}" for each in ("plan", "approval", "apply", "verify")
    }
