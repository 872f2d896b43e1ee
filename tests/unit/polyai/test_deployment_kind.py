"""What an environment runs, as a resource kind: which plans are made, and what counts as done."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.engine.progress import ResourceProgress
from airflow_voice_agents.plans.kind import Transition
from airflow_voice_agents.plans.plan import Finding, PlannedItem, Severity
from airflow_voice_agents.plans.versions import version_change
from airflow_voice_agents.polyai.models import Deployment, DeploymentResult
from airflow_voice_agents.polyai.resources.deployment import (
    DeploymentKind,
    DeploymentRules,
    DeploymentState,
    Via,
    Way,
    deployment,
    needs_history,
    plan_deployment,
    plan_return,
    state_of,
)
from airflow_voice_agents.polyai.resources.deployment_model import Model
from airflow_voice_agents.polyai.resources.deployment_records import (
    PREVIOUS,
    choose,
    first_made,
    moment,
    newest_first,
    overtakes,
    versions_between,
)
from airflow_voice_agents.transport.api_request import Replay
from airflow_voice_agents.transport.errors import InputError

AGENT = "rosa"
TARGET = deployment(AGENT, "pre-release")
KIND = DeploymentKind()


def record(version: str | None, day: int = 1, environment: str = "sandbox", **own: Any) -> Deployment:
    made = f"2026-08-{day:02}T09:00:00Z"
    return Deployment(
        id=own.pop("id", f"{environment}-{version}-{day}"),
        environment=environment,
        version=version,
        created_at=own.pop("created_at", made),
        **own,
    )


HISTORY = [record("b", 2), record("c", 3), record("a", 1)]
"""The sandbox's, in no order."""


def test_message_and_author_are_kept_for_the_way_back_and_change_no_digest() -> None:
    made = record("a", id="1", created_by="ann", metadata={"deployment_message": "Release 1"})
    kept = KIND.from_json(json.loads(json.dumps(KIND.to_json(state_of(made)))))
    assert (kept.label, kept.author) == ("Release 1", "ann")
    assert KIND.digest(kept) == KIND.digest(DeploymentState("a"))
    former = {"version": "a", "deployment_id": "1", "created_at": None}
    assert KIND.from_json(former) == DeploymentState("a")
    item = KIND.restore(TARGET, kept, DeploymentState("c", "9"))
    assert version_change(item) == 'c → a "Release 1" by ann on 2026-08-01'


def active(
    sandbox: str | None = "c", pre_release: str | None = "a", live: str | None = "a"
) -> dict[str, Any]:
    found = {"sandbox": sandbox, "pre-release": pre_release, "live": live}
    return {name: version and record(version, 20, name) for name, version in found.items()}


def plan(
    runs: dict[str, Any] | None = None,
    *,
    target: str = "pre-release",
    source: str = "sandbox",
    history: Sequence[Deployment] = HISTORY,
    **rules: Any,
) -> PlannedItem:
    place = deployment(AGENT, target)
    return plan_deployment(KIND, place, runs or active(), history, DeploymentRules(**rules), source)


def codes(item: PlannedItem, severity: Severity = Severity.ERROR) -> list[str]:
    return [finding.code for finding in item.findings if finding.severity is severity]


# ------------------------------------------------------------------------------------ what is read


def test_one_read_tells_what_every_environment_of_an_agent_runs() -> None:
    places = [deployment(AGENT, "live"), TARGET, deployment("bank", "live")]

    first, second = KIND.observe(places)

    assert first.request.path == "/v1/agents/rosa/deployments/active"
    assert (first.resources, second.resources) == (tuple(places[:2]), (places[2],))
    found = first.states(active(live=None))
    assert found[TARGET] == DeploymentState("a", f"pre-release-a-{20}")
    assert found[deployment(AGENT, "live")] is None
    assert first.states({"sandbox": None}) == {
        deployment(AGENT, "sandbox"): None
    }  # what is not named is unread


# -------------------------------------------------------------------------------- equality and diff


def test_only_the_version_counts() -> None:
    left, right = DeploymentState("a", "1", "then"), DeploymentState("a", "2", "now", Via(Way.PROMOTE, "3"))

    assert left == right
    assert KIND.digest(left) == KIND.digest(right)
    assert (
        len({KIND.digest(state) for state in (None, DeploymentState(None), left, DeploymentState("b"))}) == 4
    )


def test_a_third_version_is_a_foreign_change_and_a_new_record_of_the_same_one_is_too() -> None:
    before, after = DeploymentState("a", "1"), DeploymentState("b")

    def keys(left: DeploymentState | None, right: DeploymentState | None) -> list[str]:
        return [str(change.path[0]) for change in KIND.diff(left, right)]

    assert keys(before, after) == keys(before, DeploymentState("b", "9")) == ["version b"]
    assert keys(before, DeploymentState("c", "9")) == ["version c"]
    assert keys(before, DeploymentState("a", "9")) == ["deployment_id"]
    assert keys(before, before) == keys(None, None) == []
    assert keys(before, None) == ["version (none)"]


@pytest.mark.parametrize("version", [None, "a"])
def test_an_empty_version_is_never_settled(version: str | None) -> None:
    transition = Transition(TARGET, None, DeploymentState(None))

    assert KIND.mismatches(transition, DeploymentState(version)) == ["version"]


# -------------------------------------------------------------------------------------- the writes


def intent_to(via: Via | None, version: str = "c") -> Transition[DeploymentState]:
    return Transition(TARGET, DeploymentState("a", "1"), DeploymentState(version, via=via))


def test_a_promotion_always_names_its_target() -> None:
    ((step,),) = KIND.write_sequences([intent_to(Via(Way.PROMOTE, "7", "why"))])

    assert step.request.path == "/v1/agents/rosa/deployments/7/promote"
    assert step.request.body == {"deploymentMessage": "why", "targetEnvironment": "pre-release"}
    assert step.request.replay is Replay.RECONCILE
    assert (step.resources, step.split) == ((TARGET,), None)


def test_a_rollback_names_the_record_to_go_back_to() -> None:
    ((step,),) = KIND.write_sequences([intent_to(Via(Way.ROLL_BACK, "7"))])

    assert step.request.path == "/v1/agents/rosa/deployments/7/rollback"
    assert step.request.replay is Replay.RECONCILE


def test_a_state_that_names_no_record_cannot_be_written() -> None:
    with pytest.raises(InputError, match="from a record"):
        list(KIND.write_sequences([intent_to(None)]))


def answered(**made: Any) -> ResourceProgress[DeploymentState]:
    """Write, be answered with a record, and follow the progress of the environment."""
    transition = intent_to(Via(Way.PROMOTE, "7"))
    ((step,),) = KIND.write_sequences([transition])
    made = {"id": "9", "version": "c", "environment": "pre-release", **made}
    results = step.judge(DeploymentResult(deployment=Deployment(**made), test_run_ids=("t",)))
    progress = ResourceProgress(transition)
    progress.seen = progress.answered = results[TARGET].state
    return progress


NEWER = "a newer write by somebody else"


@pytest.mark.parametrize(
    ("made", "observed", "open_ones"),
    [
        ({}, DeploymentState("c", "9"), []),
        ({}, DeploymentState("c"), []),
        ({"version": None, "environment": None}, DeploymentState("c", "9"), []),
        ({}, DeploymentState("c", "10"), [NEWER]),
        ({}, DeploymentState("b", "10"), ["version"]),
        ({}, None, ["version"]),
        ({"environment": "live"}, DeploymentState("c", "10"), [NEWER]),
        ({"environment": "live"}, DeploymentState("a", "1"), ["version"]),
    ],
)
def test_the_answer_and_what_is_read_must_agree(
    made: dict[str, Any], observed: DeploymentState | None, open_ones: list[str]
) -> None:
    progress = answered(**made)
    progress.seen = observed

    assert progress.differences(KIND) == open_ones


@pytest.mark.parametrize(
    ("made", "open_ones"),
    [
        ({}, []),
        ({"environment": None}, []),
        ({"version": "b"}, ["version"]),
        ({"environment": "live"}, ["environment of the answer"]),
    ],
)
def test_an_answer_alone_must_show_the_version_and_the_environment(
    made: dict[str, Any], open_ones: list[str]
) -> None:
    assert answered(**made).differences(KIND) == open_ones


def test_an_answer_gives_its_ids_as_facts() -> None:
    ((step,),) = KIND.write_sequences([intent_to(Via(Way.PROMOTE, "7"))])

    results = step.judge(DeploymentResult(deployment=Deployment(id="9", version="c"), test_run_ids=("t",)))

    assert results[TARGET].facts == {
        "previous_version": "a",
        "version": "c",
        "deployment_id": "9",
        "test_run_ids": ["t"],
    }


def test_the_record_is_the_revision() -> None:
    assert KIND.revision(DeploymentState("c", "9")) == "9"
    assert KIND.revision(None) is None


def test_an_answer_without_a_version_shows_no_state() -> None:
    ((step,),) = KIND.write_sequences([intent_to(Via(Way.PROMOTE, "7"))])

    verdicts = step.judge(DeploymentResult(deployment=Deployment(id="9")))

    assert verdicts[TARGET].state is None


# ------------------------------------------------------------------------------- plans to promote


def test_what_the_source_runs_is_promoted() -> None:
    item = plan(message="why")

    assert item.errors == ()
    assert (item.before, item.after) == (KIND.digest(DeploymentState("a")), KIND.digest(DeploymentState("c")))
    assert (item.source, item.writes, item.waypoints) == (item.after, 1, ())
    assert [(change.path, change.before, change.after) for change in item.changes] == [
        (("version",), "a", "c")
    ]
    assert item.transition is not None
    assert item.transition.after.via == Via(Way.PROMOTE, "sandbox-c-20", "why")


def test_a_version_that_is_there_is_left_alone_whatever_the_history_says() -> None:
    item = plan(active("c", "c"), history=(), expected_target_version="a")

    assert (item.changed, item.writes, item.transition, item.findings) == (False, 0, None, ())


def test_a_repeated_run_is_done_although_the_source_has_moved_on() -> None:
    item = plan(active("d", "c"), expected_version="c", expected_target_version="a")

    assert not item.changed
    assert (codes(item), codes(item, Severity.WARNING)) == ([], ["source_moved_on"])


@pytest.mark.parametrize(
    ("runs", "options", "expected"),
    [
        (active(None), {}, ["empty_source"]),
        ({**active(), "sandbox": record(None, 9)}, {}, ["empty_version"]),
        (active(), {"expected_version": "b"}, ["expected_version"]),
        (active("c", "c"), {"expected_version": "b"}, ["expected_version"]),
        (active(), {"expected_target_version": "b"}, ["expected_target_version"]),
        (active(pre_release=None), {"expected_target_version": "b"}, ["expected_target_version"]),
        (active(), {"deployment_model": "simplified"}, ["simplified_model"]),
        (active(), {"deployment_model": Model.BRANCHES}, ["simplified_model"]),
        (active(), {"source": "live"}, ["stage_order"]),
        (active(), {"source": "pre-release"}, ["stage_order"]),
        (active("b", "c"), {}, ["downgrade"]),
        (active("c", "x"), {}, ["downgrade"]),
        ({**active(), "pre-release": record(None, 9)}, {}, ["downgrade"]),
        (active("b", "c"), {"allow_downgrade": True}, []),
        (active("c", "x"), {"allow_downgrade": True}, []),
        (active("c", None), {"history": ()}, []),
        (active(live="b", pre_release="a"), {"source": "pre-release", "target": "live"}, ["downgrade"]),
        (active(live="a", pre_release="b"), {"source": "pre-release", "target": "live"}, []),
    ],
)
def test_what_stands_in_the_way_of_a_promotion(
    runs: dict[str, Any], options: dict[str, Any], expected: list[str]
) -> None:
    assert codes(plan(runs, **options)) == expected


def test_a_refused_plan_without_source_changes_nothing() -> None:
    item = plan(active(None))

    assert (item.changed, item.source, item.transition) == (False, None, None)


def test_an_old_version_deployed_anew_to_sandbox_is_still_old() -> None:
    item = plan(active("b", "c"), history=[*HISTORY, record("b", 9)])

    assert codes(item) == ["downgrade"]
    assert "c, which it would replace, was made after b" in item.errors[0].message


@pytest.mark.parametrize(
    ("runs", "rules", "needed"),
    [
        (active(), {}, True),
        (active(), {"allow_downgrade": True}, False),
        (active(pre_release=None), {}, False),
        (active("c", "c"), {}, False),
        (active(None), {}, False),
        (active(), {"expected_version": "b"}, False),
        (active(), {"deployment_model": "simplified"}, False),
    ],
)
def test_the_history_is_needed_only_where_something_would_be_replaced(
    runs: dict[str, Any], rules: dict[str, Any], needed: bool
) -> None:
    assert needs_history(KIND, TARGET, runs, DeploymentRules(**rules), "sandbox") is needed


VERSIONS = st.sampled_from(["a", "b", "c", "d", None])


@given(
    runs=st.tuples(VERSIONS, VERSIONS),
    history=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 28)), max_size=6),
    pins=st.tuples(VERSIONS, VERSIONS),
    allowed=st.booleans(),
)
def test_a_promotion_without_errors_brings_the_source_s_version_and_never_an_older_one(
    runs: tuple[Any, Any], history: list[tuple[str, int]], pins: tuple[Any, Any], allowed: bool
) -> None:
    source, there = runs
    item = plan(
        active(source, there),
        history=[record(version, day) for version, day in history],
        expected_version=pins[0],
        expected_target_version=pins[1],
        allow_downgrade=allowed,
    )
    if not item.changed or item.errors:
        assert item.errors or there in (source, pins[0])
        return
    assert item.after == KIND.digest(DeploymentState(source))
    assert pins[0] in (None, source)
    assert pins[1] in (None, there)
    if there is not None and not allowed:
        first = {version: min(day for name, day in history if name == version) for version, _ in history}
        assert first[there] <= first[source]


# ------------------------------------------------------------------------------ the way back


def test_a_restore_rolls_back_to_the_record_that_ran() -> None:
    wanted = KIND.from_json(json.loads(json.dumps(KIND.to_json(DeploymentState("a", "1", "then")))))

    item = KIND.restore(TARGET, wanted, DeploymentState("c", "9"))

    assert (item.before, item.after) == (KIND.digest(DeploymentState("c")), KIND.digest(wanted))
    assert item.findings == ()
    assert item.transition is not None
    assert item.transition.after.via == Via(Way.ROLL_BACK, "1")
    assert item.transition.after.created_at == "then"


def test_a_restore_of_what_runs_writes_nothing() -> None:
    item = KIND.restore(TARGET, DeploymentState("a", "1"), DeploymentState("a", "9"))

    assert (item.changed, item.transition, item.findings) == (False, None, ())


@pytest.mark.parametrize(
    ("wanted", "now", "said"),
    [
        (None, DeploymentState("c", "9"), ["stays_deployed"]),
        (None, None, []),
        (DeploymentState(None, "1"), DeploymentState("c", "9"), ["no_way_back"]),
        (DeploymentState("a"), DeploymentState("c", "9"), ["no_way_back"]),
    ],
)
def test_what_no_call_can_undo_is_named(
    wanted: DeploymentState | None, now: DeploymentState | None, said: list[str]
) -> None:
    item = KIND.restore(TARGET, wanted, now)

    assert codes(item, Severity.WARNING) == said
    assert (item.changed, item.errors) == (False, ())
    assert item.before == KIND.digest(now)


def test_a_rollback_of_sandbox_says_that_main_moves() -> None:
    item = KIND.restore(deployment(AGENT, "sandbox"), DeploymentState("a", "1"), None)

    assert codes(item, Severity.WARNING) == ["moves_main"]
    assert [change.op.value for change in item.changes] == ["+"]


def test_a_promotion_back_says_nothing_of_main() -> None:
    wanted = DeploymentState("a", via=Via(Way.PROMOTE, "1"))

    assert plan_return(KIND, deployment(AGENT, "live"), None, wanted).findings == ()


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"version": "a"},
        {"version": 1, "deployment_id": None, "created_at": None},
        {"version": "a", "deployment_id": None, "created_at": None, "more": None},
    ],
)
def test_a_state_is_read_back_strictly(value: Any) -> None:
    with pytest.raises(InputError):
        KIND.from_json(value)


# ----------------------------------------------------------------------------------- the history


def test_moments_are_read_in_every_spelling() -> None:
    same = [
        "2026-08-03T09:00:00Z",
        "2026-08-03T11:00:00+02:00",
        "2026-08-03T09:00:00.000",
        "2026-08-03 09:00",
    ]

    assert {moment(record("a", created_at=text)) for text in same} == {
        dt.datetime(2026, 8, 3, 9, tzinfo=dt.UTC)
    }
    assert moment(record("a", created_at="yesterday")) is None
    assert moment(record("a", created_at=None)) is None


def test_records_are_sorted_by_time_and_the_undated_come_last() -> None:
    undated = record("x", created_at=None)

    assert [each.version for each in newest_first([undated, *HISTORY])] == ["c", "b", "a", "x"]


def test_a_version_is_as_old_as_its_first_record() -> None:
    found = first_made(
        [record("a", 5), record("a", 2), record("b", created_at=None), record("b", 1), record(None)]
    )

    assert found == {"a": dt.datetime(2026, 8, 2, 9, tzinfo=dt.UTC), "b": None}


def test_what_cannot_be_dated_may_be_older() -> None:
    history = [record("a", 1), record("b", created_at=None)]

    assert "which of a and b is the newer one" in (overtakes(history, "a", "b") or "")
    assert "which of a and c is the newer one" in (overtakes(history, "a", "c") or "")


@pytest.mark.parametrize(
    ("there", "candidate", "count"),
    [
        ("a", "c", 2),
        ("a", "b", 1),
        ("b", "c", 1),
        ("c", "a", None),
        ("c", "c", None),
        ("x", "c", None),
        (None, "c", None),
    ],
)
def test_versions_between_two_are_counted_where_the_history_tells(
    there: str | None, candidate: str, count: int | None
) -> None:
    assert versions_between([*HISTORY, record("a", 30)], there, candidate) == count
    assert versions_between([*HISTORY, record("x", created_at=None)], there, candidate) is None


@pytest.mark.parametrize(
    ("to", "now", "chosen"),
    [
        (PREVIOUS, "c", "b"),
        (PREVIOUS, None, "c"),
        ("a", "c", "a"),
        ("sandbox-b-2", "c", "b"),
        (PREVIOUS, "b", "previous_is_newer"),
        ("x", "c", "not_in_environment"),
    ],
)
def test_which_record_a_rollback_goes_to(to: str, now: str | None, chosen: str) -> None:
    found = choose(HISTORY, to, "sandbox", now=now)

    assert (found.code if isinstance(found, Finding) else found.version) == chosen


def test_a_version_means_its_newest_record() -> None:
    found = choose([*HISTORY, record("a", 9), record("a", 4)], "a", "sandbox", now="c")

    assert isinstance(found, Deployment)
    assert found.id == "sandbox-a-9"


@pytest.mark.parametrize("history", [[], [record("c", 1), record("c", 2)], [record(None, 1), record("c", 2)]])
def test_without_another_version_there_is_no_previous(history: list[Deployment]) -> None:
    found = choose(history, PREVIOUS, "sandbox", now="c")

    assert isinstance(found, Finding)
    assert found.code == "no_previous"


def test_a_record_without_version_is_nothing_to_go_back_to() -> None:
    found = choose([record(None, 1, id="blank")], "blank", "sandbox", now="c")

    assert isinstance(found, Finding)
    assert found.code == "empty_version"


def test_nothing_deployed_is_no_state() -> None:
    assert state_of(None) is None
    assert state_of(record(None, id="1")) == DeploymentState(None, "1")
