"""Plan, exact apply, verification and rollback through the real task runner, against the local server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.faults import Fault
from airflow_voice_agents.plans.report_text import report_markdown, report_text
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
    PolyAIVerifyPromotionOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIReleaseHoldOperator, PolyAIRollbackOperator
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.state.locks import LockOwner, hold_lock
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    StateMoved,
    TargetLocked,
)
from support.airflow_runner import Outcome
from support.emulated import HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, VALUES, Emulated, counts, items, place

pytestmark = pytest.mark.usefixtures("fernet_key")

PAGE = {"type": "object"}


class Desk:
    """Plans and applies against one server, with one folder for what outlives runs.

    :param emulated: server and Airflow.
    :param folder: the state folder.
    """

    def __init__(self, emulated: Emulated, folder: Path) -> None:
        self.emulated = emulated
        self.folder = str(folder)

    def plan(self, spec: Any, **options: Any) -> Outcome:
        """Run a plan."""
        options = {"state_folder": self.folder, **options}
        return self.emulated.run(PolyAIPlanPromotionOperator(task_id="plan", spec=spec, **options))

    def apply(self, plan: Any, *, task_id: str = "apply", try_number: int = 1, **options: Any) -> Outcome:
        """Run an apply."""
        options = {"state_folder": self.folder, **options}
        task = PolyAIApplyPromotionOperator(task_id=task_id, plan=plan, **options)
        return self.emulated.run(task, try_number=try_number)

    def roll_back(self, snapshot: str, **options: Any) -> Outcome:
        """Run a rollback."""
        options = {"state_folder": self.folder, **options}
        return self.emulated.run(PolyAIRollbackOperator(task_id="back", snapshot=snapshot, **options))

    def version(self, agent_id: str) -> str:
        """The version that pre-release of an agent runs."""
        records = self.emulated.server.state.read("polyai", "agents", agent_id)["deployments"]
        return str([each["version"] for each in records if each["environment"] == PRE_RELEASE][-1])


@pytest.fixture
def desk(polyai: Emulated, tmp_path: Path) -> Desk:
    emulated = polyai
    for environment in (SANDBOX, PRE_RELEASE, LIVE):
        for agent in (HOTELS, ROSA):
            emulated.put_page(agent, environment, {"greeting": f"{agent} {environment}", "own": 1}, PAGE)
    return Desk(emulated, tmp_path / "state")


def spec(*environments: str, agents: tuple[str, ...] = (HOTELS, ROSA), **more: Any) -> dict[str, Any]:
    """A promotion of the hotels' sandbox page to environments of agents."""
    targets = [place(agent, environment) for environment in environments for agent in agents]
    return {"source": place(HOTELS, SANDBOX), "targets": targets, "config": {"stale_keys": "keep"}, **more}


def test_a_plan_writes_nothing_and_its_document_holds_no_value(desk: Desk) -> None:
    before = desk.emulated.state()
    outcome = desk.plan(spec(PRE_RELEASE))
    assert outcome.state == "success", outcome.error
    assert desk.emulated.state() == before
    assert desk.emulated.requests() == {"list real-time configs": 2}
    assert outcome.result["counts"]["to_change"] == 2
    assert f"{HOTELS} {SANDBOX}" not in json.dumps(outcome.result)
    for shown in (outcome.log, outcome.xcoms["plan_markdown"]):
        assert f"{HOTELS} {SANDBOX}" in shown
    assert outcome.result["digest"] in outcome.xcoms["plan_markdown"]


def test_a_source_without_an_agent_takes_from_each_targets_own(desk: Desk) -> None:
    named = [place(agent, PRE_RELEASE, source=place(agent, SANDBOX)) for agent in (HOTELS, ROSA)]
    spelled = desk.plan({"targets": named, "config": {}, "deployment": {}})
    own = desk.plan(spec(PRE_RELEASE, source={"environment": SANDBOX}, config={}, deployment={}))
    assert own.state == "success", own.error
    assert own.result["digest"] == spelled.result["digest"]
    assert own.result["items"] == spelled.result["items"]
    assert desk.apply(own.result).state == "success"
    for agent in (HOTELS, ROSA):
        assert desk.emulated.values(agent, PRE_RELEASE)["greeting"] == f"{agent} {SANDBOX}"


def test_a_source_without_an_agent_keeps_to_the_ladder(desk: Desk) -> None:
    outcome = desk.plan(spec(LIVE, source={"environment": SANDBOX}))
    assert isinstance(outcome.error, GuardRefused)
    assert "allow_skip_pre_release" in str(outcome.error)


def test_a_plan_that_hides_values_says_none(desk: Desk) -> None:
    outcome = desk.plan(spec(PRE_RELEASE), show_values=False)
    assert outcome.state == "success", outcome.error
    assert f"{HOTELS} {SANDBOX}" not in json.dumps(outcome.xcoms) + outcome.log


def test_an_apply_does_what_was_planned_and_a_second_one_nothing(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    outcome = desk.apply(plan)
    assert outcome.state == "success", outcome.error
    assert counts(outcome) == {"changed": 2}
    assert desk.emulated.values(ROSA, PRE_RELEASE)["greeting"] == f"{HOTELS} {SANDBOX}"
    again = desk.apply(plan)
    assert counts(again) == {"unchanged": 2}
    assert desk.emulated.writes() == 2
    verified = desk.emulated.run(PolyAIVerifyPromotionOperator(task_id="verify", plan=plan))
    assert verified.state == "success"
    assert counts(verified) == {"unchanged": 2}
    assert "Report: verify promotion\n  as planned  " in verified.log
    assert "2 item(s): 2 as planned." in verified.log
    for shown in (report_text, report_markdown):
        assert "2 as planned" in shown(verified.xcoms["report"])
        assert "unchanged" not in shown(verified.xcoms["report"])


def test_the_requests_of_an_apply_are_a_read_a_write_and_a_read_back_per_target(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.server.journal.clear()
    desk.apply(plan)
    assert desk.emulated.requests() == {"list real-time configs": 4, VALUES: 2}
    desk.emulated.server.journal.clear()
    desk.apply(plan, verify=False)
    assert desk.emulated.requests() == {"list real-time configs": 2}


@pytest.mark.parametrize("who", [(HOTELS, SANDBOX), (ROSA, PRE_RELEASE)], ids=["source", "target"])
def test_what_moved_is_named_and_nothing_is_written(desk: Desk, who: tuple[str, str]) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.put(*who, greeting="a colleague's")
    outcome = desk.apply(plan)
    assert isinstance(outcome.error, StateMoved)
    assert f"{ROSA}/{PRE_RELEASE}" in str(outcome.error)
    assert (f"{HOTELS}/{PRE_RELEASE}" in str(outcome.error)) == (who == (HOTELS, SANDBOX))
    assert desk.emulated.writes() == 0


def test_a_half_applied_plan_stays_appliable(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.put(HOTELS, PRE_RELEASE, greeting=f"{HOTELS} {SANDBOX}")  # as if an apply got so far
    outcome = desk.apply(plan)
    assert counts(outcome) == {"changed": 1, "unchanged": 1}


def test_a_plan_that_was_changed_is_no_plan(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    plan["items"][0]["after"] = "0" * 64
    assert isinstance(desk.apply(plan).error, InputError)


def test_only_the_plan_that_was_approved_is_applied(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    outcome = desk.apply(plan, approved_digest="f" * 64)
    assert isinstance(outcome.error, GuardRefused)
    assert desk.emulated.writes() == 0
    assert desk.apply(plan, approved_digest=plan["digest"]).state == "success"


def test_live_needs_to_be_meant(desk: Desk) -> None:
    plan = desk.plan(spec(LIVE, allow_skip_pre_release=True)).result
    refused = desk.apply(plan)
    assert isinstance(refused.error, GuardRefused)
    assert "confirm_live" in str(refused.error)
    assert desk.emulated.writes() == 0
    assert desk.apply(plan, confirm_live=True).state == "success"


def test_pre_release_is_not_skipped_unasked(desk: Desk) -> None:
    outcome = desk.plan(spec(LIVE))
    assert isinstance(outcome.error, GuardRefused)
    assert "allow_skip_pre_release" in str(outcome.error)
    assert "skip_pre_release" in outcome.xcoms["plan_markdown"]


def test_no_more_targets_change_than_may(desk: Desk) -> None:
    refused = desk.plan(spec(PRE_RELEASE), max_changed=1)
    assert isinstance(refused.error, GuardRefused)
    plan = desk.plan(spec(PRE_RELEASE), max_changed=2).result
    assert isinstance(desk.apply(plan, max_changed="50%").error, GuardRefused)
    assert desk.emulated.writes() == 0


def test_the_switch_stops_a_run_between_waves(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.meanwhile(
        lambda: desk.emulated.runner.variables.update(voice_agents_stop="INC-7"), operation=VALUES
    )
    outcome = desk.apply(plan, waves=[1, "100%"])
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "voice_agents_stop" in str(outcome.error)
    assert counts(outcome) == {"changed": 1, "skipped": 1}
    desk.emulated.runner.variables.clear()
    assert counts(desk.apply(plan, waves=[1, "100%"], try_number=2)) == {"changed": 2}
    assert desk.emulated.writes() == 2


def test_a_freeze_stops_a_run_and_overriding_it_is_on_record(desk: Desk) -> None:
    always = {"start": "2020-01-01", "duration": "P2D", "timezone": "Europe/London", "rrule": "FREQ=DAILY"}
    plan = desk.plan(spec(PRE_RELEASE)).result
    refused = desk.apply(plan, freeze=[{**always, "reason": "Christmas"}])
    assert isinstance(refused.error, GuardRefused)
    assert "Christmas" in str(refused.error)
    assert desk.emulated.writes() == 0
    outcome = desk.apply(plan, freeze=[always], override_freeze="INC-9, agreed with Mara")
    assert outcome.state == "success", outcome.error
    assert "INC-9" in str(outcome.xcoms["report"]["notes"])


def test_the_budget_for_failures_stops_a_run(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.server.emulator.faults.add(
        Fault("answer", operation=VALUES, status=403, times=1, body={"message": "no"})
    )
    outcome = desk.apply(plan, concurrency=1)
    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"failed": 1, "skipped": 1}
    assert "max_failures" in str(items(outcome))


def test_a_rollback_brings_back_what_was_and_holds_the_targets(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    snapshot = desk.apply(plan).xcoms["snapshot"]
    outcome = desk.roll_back(snapshot, reason="callers complained")
    assert outcome.state == "success", outcome.error
    for agent in (HOTELS, ROSA):
        assert desk.emulated.values(agent, PRE_RELEASE)["greeting"] == f"{agent} {PRE_RELEASE}"
    held = desk.plan(spec(PRE_RELEASE))
    assert isinstance(held.error, GuardRefused)
    assert "callers complained" in str(held.error)
    refused = desk.apply(plan)
    assert isinstance(refused.error, GuardRefused)
    desk.emulated.run(
        PolyAIReleaseHoldOperator(
            task_id="release",
            targets=[f"{each}/{PRE_RELEASE}" for each in (HOTELS, ROSA)],
            state_folder=desk.folder,
        )
    )
    assert desk.plan(spec(PRE_RELEASE)).state == "success"


def test_what_was_rolled_back_is_not_taken_for_done_when_the_apply_is_cleared(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.emulated.server.emulator.faults.add(
        Fault("answer", operation=VALUES, route=ROSA, status=403, times=1, body={"message": "no"})
    )
    failed = desk.apply(plan)
    assert counts(failed) == {"changed": 1, "failed": 1}
    assert desk.roll_back(failed.xcoms["snapshot"]).state == "success"
    cleared = desk.apply(plan, try_number=2)
    assert isinstance(cleared.error, GuardRefused)
    assert f"{HOTELS}/{PRE_RELEASE} is on hold" in str(cleared.error)


def test_a_hold_lets_something_else_through(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    desk.roll_back(desk.apply(plan).xcoms["snapshot"])
    desk.emulated.put(HOTELS, SANDBOX, greeting="mended")
    other = desk.plan(spec(PRE_RELEASE))
    assert other.state == "success"
    assert desk.apply(other.result).state == "success"


def test_a_rollback_leaves_newer_work_alone_and_takes_back_the_rest(desk: Desk) -> None:
    snapshot = desk.apply(desk.plan(spec(PRE_RELEASE)).result).xcoms["snapshot"]
    desk.emulated.put(HOTELS, PRE_RELEASE, greeting="newer")
    outcome = desk.roll_back(snapshot)
    assert isinstance(outcome.error, ItemsFailedPermanently)
    left, back = (f"{agent}/{PRE_RELEASE}" for agent in (HOTELS, ROSA))
    assert str(outcome.error).startswith(
        f"Still promoted: {left} (config page edited since). Rolled back and on hold: {back}. Look at {left}. "
        "To overwrite the edits there, roll back again with force=True"
    )
    assert "Now:  Still promoted" in outcome.log
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert items(outcome)[left]["finding"] == "newer_work"
    assert desk.emulated.values(HOTELS, PRE_RELEASE)["greeting"] == "newer"
    assert desk.emulated.values(ROSA, PRE_RELEASE)["greeting"] == f"{ROSA} {PRE_RELEASE}"
    assert list(rollback_blocks.read(desk.folder, [left, back])) == [back]
    desk.emulated.server.journal.clear()
    forced = desk.roll_back(snapshot, force=True)
    assert forced.state == "success", forced.error
    assert desk.emulated.writes() == 1
    assert desk.emulated.values(HOTELS, PRE_RELEASE)["greeting"] == f"{HOTELS} {PRE_RELEASE}"
    assert sorted(rollback_blocks.read(desk.folder, [left, back])) == [left, back]


def test_a_rollback_says_before_it_writes_what_it_would_leave(desk: Desk) -> None:
    snapshot = desk.apply(desk.plan(spec(PRE_RELEASE)).result).xcoms["snapshot"]
    desk.emulated.put(HOTELS, PRE_RELEASE, greeting="newer")
    before = desk.emulated.state()
    outcome = desk.roll_back(snapshot, dry_run=True)
    assert str(outcome.error).startswith(
        f"Would stay promoted: {HOTELS}/{PRE_RELEASE} (config page edited since). "
        f"Would be rolled back: {ROSA}/{PRE_RELEASE}."
    )
    assert desk.emulated.state() == before


def test_a_strict_rollback_writes_nothing_over_newer_work_nor_beside_it(desk: Desk) -> None:
    snapshot = desk.apply(desk.plan(spec(PRE_RELEASE)).result).xcoms["snapshot"]
    desk.emulated.put(ROSA, PRE_RELEASE, greeting="newer")
    desk.emulated.server.journal.clear()
    outcome = desk.roll_back(snapshot, newer_work="refuse")
    assert isinstance(outcome.error, GuardRefused)
    assert str(outcome.error).startswith(
        f"Still promoted: {HOTELS}/{PRE_RELEASE} (not begun); {ROSA}/{PRE_RELEASE} (config page edited since). "
        "Nothing was rolled back."
    )
    assert "newer_work='leave' rolls back the others" in str(outcome.error)
    assert desk.emulated.writes() == 0
    assert not rollback_blocks.read(desk.folder, [f"{ROSA}/{PRE_RELEASE}"])
    assert desk.roll_back(snapshot, force=True).state == "success"
    assert desk.emulated.values(ROSA, PRE_RELEASE)["greeting"] == f"{ROSA} {PRE_RELEASE}"


def test_a_target_with_newer_work_is_left_whole(desk: Desk) -> None:
    own = [place(agent, PRE_RELEASE, source=place(agent, SANDBOX), deployment={}) for agent in (HOTELS, ROSA)]
    planned = desk.plan({"targets": own, "config": {"stale_keys": "keep"}})
    snapshot = desk.apply(planned.result).xcoms["snapshot"]
    deployed = desk.version(HOTELS)
    desk.emulated.put(HOTELS, PRE_RELEASE, greeting="newer")
    outcome = desk.roll_back(snapshot)
    assert str(outcome.error).startswith(
        f"Still promoted: {HOTELS}/{PRE_RELEASE} (config page edited since). Rolled back and on hold: {ROSA}/"
    )
    assert counts(outcome) == {"changed": 2, "failed": 1, "skipped": 1}
    assert desk.version(HOTELS) == deployed
    assert not rollback_blocks.read(desk.folder, [f"{HOTELS}/{PRE_RELEASE}"])


def test_a_newer_deployment_is_named_and_left(desk: Desk) -> None:
    own = [place(agent, PRE_RELEASE, source=place(agent, SANDBOX)) for agent in (HOTELS, ROSA)]
    snapshot = desk.apply(desk.plan({"targets": own, "deployment": {}}).result).xcoms["snapshot"]
    newer = {"version": "9" * 32, "artifactVersion": "x"}
    desk.emulated.server.polyai.deploy(HOTELS, PRE_RELEASE, newer, "colleague", {})
    outcome = desk.roll_back(snapshot)
    assert str(outcome.error).startswith(
        f"Still promoted: {HOTELS}/{PRE_RELEASE} (deployment edited since). Rolled back and on hold: {ROSA}/"
    )
    assert desk.version(HOTELS) == "9" * 32


def test_a_rollback_says_what_it_cannot_undo(desk: Desk) -> None:
    desk.emulated.put(HOTELS, SANDBOX, added={"deep": 1})
    snapshot = desk.apply(desk.plan(spec(PRE_RELEASE)).result).xcoms["snapshot"]
    outcome = desk.roll_back(snapshot)
    assert outcome.state == "success"
    assert items(outcome)[f"{ROSA}/{PRE_RELEASE}"]["stale_keys"] == ["added"]


def test_a_rollback_that_only_plans_changes_nothing(desk: Desk) -> None:
    snapshot = desk.apply(desk.plan(spec(PRE_RELEASE)).result).xcoms["snapshot"]
    before = desk.emulated.state()
    outcome = desk.roll_back(snapshot, dry_run=True)
    assert outcome.state == "success"
    assert outcome.result["dry_run"] is True
    assert desk.emulated.state() == before
    assert desk.plan(spec(PRE_RELEASE)).state == "success"


def test_a_target_that_another_run_works_on_is_left_alone(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    other = LockOwner("nightly", "run-1", "apply")
    with hold_lock([f"{ROSA}/{PRE_RELEASE}"], other, f"{desk.folder}/locks", log=print):
        outcome = desk.apply(plan)
    assert isinstance(outcome.error, TargetLocked)
    assert "nightly" in str(outcome.error)
    assert desk.emulated.requests() == {"list real-time configs": 2}  # the plan's own
    assert desk.apply(plan).state == "success"


@pytest.mark.usefixtures("no_fernet_key")
def test_without_a_key_a_snapshot_in_the_clear_needs_consent_and_says_so(desk: Desk) -> None:
    plan = desk.plan(spec(PRE_RELEASE)).result
    refused = desk.apply(plan)
    assert isinstance(refused.error, GuardRefused)
    assert "allow_unencrypted" in str(refused.error)
    assert desk.emulated.writes() == 0
    outcome = desk.apply(plan, allow_unencrypted=True)
    assert outcome.state == "success", outcome.error
    assert "NOT encrypted" in outcome.log


@pytest.mark.usefixtures("no_fernet_key")
def test_without_a_key_live_is_not_kept_in_the_clear_unasked(desk: Desk) -> None:
    plan = desk.plan(spec(LIVE, allow_skip_pre_release=True)).result
    refused = desk.apply(plan, confirm_live=True)
    assert isinstance(refused.error, GuardRefused)
    assert "allow_unencrypted" in str(refused.error)
    assert desk.emulated.writes() == 0
    assert desk.apply(plan, confirm_live=True, allow_unencrypted=True).state == "success"


def test_values_of_a_spec_are_sealed_in_the_plan(desk: Desk) -> None:
    asked = spec(PRE_RELEASE)
    asked["targets"][0]["overrides"] = {"greeting": "Xyzzy-secret-greeting"}
    outcome = desk.plan(asked, show_values=False)
    assert outcome.state == "success", outcome.error
    everything = json.dumps(outcome.xcoms) + outcome.log + json.dumps(outcome.rendered)
    assert "Xyzzy" not in everything
    assert desk.apply(outcome.result).state == "success"
    assert desk.emulated.values(HOTELS, PRE_RELEASE)["greeting"] == "Xyzzy-secret-greeting"


def test_a_spec_may_be_a_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "promotion.yaml"
    file.write_text(
        f"source: {{agent_id: {HOTELS}, environment: sandbox}}\n"
        f"targets: [{{agent_id: {ROSA}, environment: pre-release}}]\n"
        "config: {}\n",
        encoding="utf-8",
    )
    task = PolyAIPlanPromotionOperator(task_id="plan", spec_file=str(file), state_folder=desk.folder)
    outcome = desk.emulated.run(task)
    assert outcome.state == "success", outcome.error
    assert outcome.result["counts"]["targets"] == 1


def test_targets_may_come_from_elsewhere(desk: Desk) -> None:
    outcome = desk.plan(spec(SANDBOX), targets=[place(ROSA, PRE_RELEASE)])
    assert [item["owner"] for item in outcome.result["items"]] == [ROSA]


def test_one_unit_of_all_kinds_is_applied_in_order_and_undone_by_one_rollback(desk: Desk) -> None:
    target = place(
        ROSA,
        PRE_RELEASE,
        source=place(ROSA, SANDBOX),
        moves=[{"connector_id": "conn_hh_prerelease", "from_agent_id": HOTELS}],
        connectors={"renamed": {"Rosa sandbox": "Rosa pre-release"}},
        routing={"numbers": {"+441632960020": "Hotels pre-release"}},
        deployment={},
    )
    before = json.loads(desk.emulated.state())["agents"]
    planned = desk.plan({"targets": [target], "config": {"stale_keys": "keep"}})
    for told in (planned.log, planned.xcoms["plan_markdown"]):
        assert '"conn_rr_prerelease" → "conn_hh_prerelease"' in told
    plan = planned.result
    desk.emulated.server.journal.clear()
    outcome = desk.apply(plan)
    assert outcome.state == "success", outcome.error
    order = [entry.operation for entry in desk.emulated.server.journal.writes()]
    assert order == [VALUES, "promote deployment", "update connector", "assign phone number"]
    assert desk.emulated.number(ROSA, "+441632960020") == (PRE_RELEASE, "conn_hh_prerelease")
    assert "conn_hh_prerelease" not in json.loads(desk.emulated.state())["agents"][HOTELS]["connectors"]
    desk.emulated.server.journal.clear()
    undone = desk.roll_back(outcome.xcoms["snapshot"])
    assert undone.state == "success", undone.error
    after = json.loads(desk.emulated.state())["agents"]
    for agent in (HOTELS, ROSA):
        for part in ("connectors", "numbers"):
            assert after[agent][part] == before[agent][part]
    versions = [
        [d for d in each[ROSA]["deployments"] if d["environment"] == PRE_RELEASE] for each in (before, after)
    ]
    assert versions[0][-1]["version"] == versions[1][-1]["version"]
    assert len(versions[1]) == len(versions[0]) + 2  # one promotion, one rollback


def test_an_unmapped_variant_is_an_error_that_says_what_to_write(desk: Desk) -> None:
    target = place(
        ROSA,
        LIVE,
        source=place(HOTELS, LIVE),
        connectors={
            "names": ["Hotels main line"],
            "renamed": {"Hotels main line": "Rosa reservations"},
        },
    )
    outcome = desk.plan({"targets": [target]})
    assert isinstance(outcome.error, GuardRefused)
    assert "connectors.variants" in str(outcome.error)
