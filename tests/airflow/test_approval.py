"""The approval of a plan: what is asked, what an answer is good for, and what no answer leads to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_voice_agents.bases.approval import PromotionApprovalOperator
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.transport.errors import GuardRefused, InputError, StateMoved
from support.airflow_runner import Outcome
from support.answers import TIMED_OUT, WAITING, answer, go_on, patience, question, questions
from support.emulated import HOTELS, PRE_RELEASE, SANDBOX, VALUES, Emulated

pytestmark = pytest.mark.usefixtures("fernet_key")

SPEC = {
    "source": {"agent_id": HOTELS, "environment": SANDBOX},
    "targets": [{"agent_id": HOTELS, "environment": PRE_RELEASE}],
    "config": {"include_keys": ["holiday_message"], "promote_schema": False},
}
MESSAGE = "Joyeux Noël! Reception in St Helier is open until 16:00 on 24 December."
HOSTILE = ("{{ 1/0 }}", "{% raw %}{{ conn.polyai_default.password }}", "{{ ti.task_id }}")


class Gate:
    """A promotion with an approval, its tasks run one after another in the in-memory Airflow."""

    def __init__(self, polyai: Emulated, folder: Path, spec: Any = None, **approval: Any) -> None:
        with DAG("gated", schedule=None, default_args={"retries": 3}):
            group = promotion(
                spec=SPEC if spec is None else spec,
                approval=approval or True,
                state_folder=f"file://{folder}",
            )
        self.polyai = polyai
        self.plan, self.approval, self.apply, self.verify = (
            group[name]
            for name in ("plan", "approval", "apply", "verify")  # type: ignore[attr-defined]
        )

    def run(self, task: Any) -> Outcome:
        return self.polyai.run(task)

    def asked(self) -> Outcome:
        """Plan, and ask."""
        assert self.run(self.plan).state == "success"
        return self.run(self.approval)

    def answered(self, outcome: Outcome, option: str = "Approve") -> Outcome:
        return answer(self.polyai.runner, self.approval, outcome, option)

    @property
    def digest(self) -> str:
        return str(self.polyai.runner.xcoms[self.plan.task_id, -1, "return_value"]["digest"])


@pytest.fixture
def gate(polyai: Emulated, tmp_path: Path) -> Gate:
    return Gate(polyai, tmp_path)


def test_the_plan_is_shown_and_the_task_waits(gate: Gate) -> None:
    planned = gate.run(gate.plan)
    asked = gate.run(gate.approval)

    assert asked.state == WAITING
    table, _, plan = str(question(asked).body).partition("\n\n")
    assert plan == planned.xcoms["plan_markdown"]
    assert table.splitlines()[2:] == [
        f"| From | {HOTELS} sandbox |",
        f"| To | pre-release of {HOTELS} |",
        "| Affected | no callers: pre-release only |",
        "| Changes | 1 key; 1 changed (values); 1 request |",
        "| Order | 1 target; stops at the first failure |",
        "| Undo | a snapshot is taken first; a rollback restores it |",
    ]
    assert question(asked).options == ["Approve", "Reject"]
    assert question(asked).subject == f"{HOTELS} sandbox → pre-release: 1 key"
    assert "holiday_message" in str(question(asked).body)
    assert "Joyeux" in str(question(asked).body)  # nobody can approve what is hidden


def test_what_was_approved_is_applied_and_verified(gate: Gate) -> None:
    approved = gate.answered(gate.asked())
    applied, verified = gate.run(gate.apply), gate.run(gate.verify)

    assert (approved.state, approved.result) == ("success", gate.digest)
    assert "approved by Mara" in approved.log
    assert applied.state == "success", applied.error
    assert verified.state == "success", verified.error
    assert applied.result["plan_digest"] == gate.digest
    assert gate.polyai.values(HOTELS, PRE_RELEASE)["holiday_message"] == MESSAGE
    assert gate.polyai.requests()[VALUES] == gate.polyai.writes() == 1


def test_a_rejection_fails_for_good_and_nothing_is_written(gate: Gate) -> None:
    rejected = gate.answered(gate.asked(), "Reject")

    assert rejected.state == "failed", "retries would ask again"
    assert isinstance(rejected.error, GuardRefused)
    assert "rejected by Mara" in str(rejected.error)
    assert_not_applied(gate)


def test_no_answer_in_time_fails_for_good_and_nothing_is_written(gate: Gate) -> None:
    expired = go_on(gate.polyai.runner, gate.approval, gate.asked(), TIMED_OUT)

    assert expired.state == "failed"
    assert isinstance(expired.error, GuardRefused)
    assert "Nobody answered in time" in str(expired.error)
    assert_not_applied(gate)


def test_a_plan_made_anew_while_it_is_looked_at_is_not_approved(gate: Gate) -> None:
    asked = gate.asked()
    shown = gate.digest
    gate.polyai.put(HOTELS, SANDBOX, holiday_message="Something that nobody has seen")
    assert gate.run(gate.plan).state == "success"

    resumed = gate.answered(asked)

    assert resumed.state == "failed"
    assert isinstance(resumed.error, StateMoved)
    assert shown[:12] in str(resumed.error)
    assert gate.digest[:12] in str(resumed.error)
    assert_not_applied(gate)


def test_a_plan_made_anew_after_the_approval_is_refused(gate: Gate) -> None:
    assert gate.answered(gate.asked()).state == "success"
    gate.polyai.put(HOTELS, SANDBOX, holiday_message="Something that nobody has seen")
    assert gate.run(gate.plan).state == "success"

    assert_not_applied(gate, "is not this plan")


def test_the_same_plan_made_anew_keeps_its_approval(gate: Gate) -> None:
    asked = gate.asked()
    gate.run(gate.plan)

    assert gate.answered(asked).result == gate.digest
    assert gate.run(gate.apply).state == "success"


def test_what_changes_nothing_goes_through_without_a_question(gate: Gate) -> None:
    gate.polyai.put(HOTELS, PRE_RELEASE, holiday_message=MESSAGE)

    asked = gate.asked()
    applied, verified = gate.run(gate.apply), gate.run(gate.verify)

    assert (asked.state, asked.result) == ("success", gate.digest)
    assert questions(asked) == []
    assert (applied.state, verified.state) == ("success", "success")
    assert applied.result["changed"] is False
    assert gate.polyai.writes() == 0


def test_an_empty_plan_is_no_approval_of_what_comes_later(gate: Gate) -> None:
    gate.polyai.put(HOTELS, PRE_RELEASE, holiday_message=MESSAGE)
    assert gate.asked().state == "success"
    gate.polyai.put(HOTELS, SANDBOX, holiday_message="Something that nobody has seen")

    applied = gate.run(gate.apply)

    assert isinstance(applied.error, StateMoved)
    assert gate.polyai.writes() == 0


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_looks_like_a_template_is_shown_and_not_rendered(
    polyai: Emulated, tmp_path: Path, key: str
) -> None:
    polyai.put_page(HOTELS, SANDBOX, {"holiday_message": "x", key: 1})
    polyai.put_page(HOTELS, PRE_RELEASE, {"holiday_message": "x"})
    gate = Gate(polyai, tmp_path, {**SPEC, "config": {}})

    asked = gate.asked()

    assert asked.state == WAITING, asked.error
    assert key in str(question(asked).body)
    assert gate.answered(asked).state == "success"
    assert gate.run(gate.apply).state == "success"
    assert polyai.values(HOTELS, PRE_RELEASE)[key] == 1


def test_a_text_of_another_plan_is_not_asked_about(gate: Gate) -> None:
    gate.run(gate.plan)
    gate.polyai.runner.push(gate.plan.task_id, "## Plan: something else", "plan_markdown")

    asked = gate.run(gate.approval)

    assert asked.state == "failed"
    assert isinstance(asked.error, StateMoved)
    assert questions(asked) == []


def test_what_the_group_applies_with_is_shown(polyai: Emulated, tmp_path: Path) -> None:
    with DAG("gated", schedule=None):
        group = promotion(
            spec=SPEC,
            approval={"response_timeout": timedelta(hours=2)},
            state_folder=f"file://{tmp_path}",
            take_snapshot=False,
        )
    polyai.run(group["plan"])  # type: ignore[attr-defined]
    body = str(question(polyai.run(group["approval"])).body)  # type: ignore[attr-defined]
    assert "no snapshot is taken" in body
    assert "| Answer until |" in body


def test_without_a_plan_nothing_is_asked(gate: Gate) -> None:
    gate.polyai.runner.push(gate.plan.task_id, {"some": "thing"})
    gate.polyai.runner.push(gate.plan.task_id, "text", "plan_markdown")

    asked = gate.run(gate.approval)

    assert asked.state == "failed"
    assert isinstance(asked.error, InputError)


def test_who_may_answer_and_how_long_is_handed_on(polyai: Emulated, tmp_path: Path) -> None:
    gate = Gate(
        polyai,
        tmp_path,
        assigned_users=[{"id": "7", "name": "Mara"}],
        response_timeout=timedelta(hours=12),
    )

    asked = gate.asked()

    assert [user.id for user in question(asked).assigned_users or ()] == ["7"]
    assert patience(asked) == timedelta(hours=12)
    assert question(asked).defaults is None


def test_no_default_can_approve() -> None:
    with DAG("x", schedule=None), pytest.raises(ValueError, match="defaults"):
        PromotionApprovalOperator(task_id="approval", plan="{}", body="", defaults="Approve")


def assert_not_applied(gate: Gate, why: str = "") -> None:
    """Even a DAG that starts the apply whatever became of the approval writes nothing."""
    applied = gate.run(gate.apply)

    assert applied.state == "failed"
    assert isinstance(applied.error, GuardRefused)
    assert why in str(applied.error)
    assert gate.polyai.writes() == 0
