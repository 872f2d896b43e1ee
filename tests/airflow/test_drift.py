"""The drift operator and sensor through the real task runner: XComs, events, requests, and what they keep quiet."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases.sensor import SensorError
from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.plans.drift import Drift, DriftFinding, DriftReport
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.assets import drift_uri, drifts
from airflow_voice_agents.polyai.conditions import TARGETS_NAMED, DriftCondition
from airflow_voice_agents.polyai.operators.backup import PolyAIExportOperator
from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.sensors import PolyAIDriftSensor
from airflow_voice_agents.state import baselines
from airflow_voice_agents.transport.errors import InputError, ItemsFailedPermanently, Unauthorized
from support.airflow_home import AirflowHome
from support.airflow_runner import Outcome, make
from support.airflow_versions import NATIVE, AirflowSensorTimeout, DagSerialization
from support.emulated import (
    BANK,
    HOTELS,
    KEY,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    VALUES,
    Emulated,
    kept_text,
    place,
)

SECRET = "marker-of-the-value"
MINE = {"greeting": "Good day", "limit": 3}
SPEC: dict[str, Any] = {
    "source": place(HOTELS, SANDBOX),
    "targets": [place(ROSA, PRE_RELEASE), place(BANK, PRE_RELEASE), place(HOTELS, PRE_RELEASE)],
    "config": {},
}
NAME = "nightly"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / "watch_for_drift.py"


@pytest.fixture
def aligned(polyai: Emulated) -> Emulated:
    """Every page of every agent is the same."""
    for agent in (HOTELS, ROSA, BANK):
        for environment in (SANDBOX, PRE_RELEASE, LIVE):
            polyai.put_page(agent, environment, MINE)
    return polyai


@pytest.fixture
def folder(aligned: Emulated, tmp_path: Path) -> str:
    """A state folder in which everything is noted as it is."""
    entry = {"digest": aligned.digest(ROSA, PRE_RELEASE), "at": "2026-08-01T08:00:00Z"}
    targets = [f"config page:{each['agent_id']}/{each['environment']}" for each in SPEC["targets"]]
    baselines.merge(str(tmp_path / "state"), NAME, dict.fromkeys(targets, entry))
    return str(tmp_path / "state")


def look(**arguments: Any) -> PolyAIDriftOperator:
    given = {} if {"spec", "spec_file", "baseline"} & set(arguments) else {"spec": SPEC}
    return make(PolyAIDriftOperator, task_id="look", **{**given, **arguments})


def wait(until: str = "drift", **arguments: Any) -> PolyAIDriftSensor:
    given = {} if {"spec", "spec_file", "baseline"} & set(arguments) else {"spec": SPEC}
    usual = {"poke_interval": 0.01, "timeout": 30, "deferrable": False}
    return make(PolyAIDriftSensor, task_id="wait", until=until, **{**usual, **given, **arguments})


def end(polyai: Emulated, task: PolyAIDriftSensor) -> Outcome:
    """Run a sensor to its end, through the triggerer if it defers."""
    outcome = polyai.run(task)
    return polyai.runner.resume(task, outcome) if outcome.state == "deferred" else outcome


def events(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {each["dest_asset_key"]["uri"]: each["extra"] for each in outcome.asset_events if each["extra"]}


def written(path: Path, spec: Any) -> str:
    path.write_text(json.dumps(spec))
    return str(path)


both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


# ------------------------------------------------------------------------------------ the operator


def test_targets_that_are_as_their_source_are_in_sync(aligned: Emulated) -> None:
    before = aligned.state()

    outcome = aligned.run(look())

    assert outcome.state == "success"
    assert outcome.result == {
        "operation": "look for drift",
        "drifted": False,
        "counts": {"total": 3, **{drift.value: 0 for drift in Drift}, "in_sync": 3},
        "targets": {},
        "targets_omitted": 0,
    }
    assert events(outcome) == {}
    assert (aligned.requests(), aligned.state()) == ({PAGES: 3}, before)


def test_two_of_three_drift_and_both_are_named(aligned: Emulated, folder: str) -> None:
    aligned.put(ROSA, PRE_RELEASE, greeting=SECRET)
    aligned.put(BANK, PRE_RELEASE, limit=4, greeting=SECRET)

    outcome = aligned.run(look(spec=SPEC, baseline=NAME, state_folder=folder))

    assert outcome.result["targets"] == {f"{ROSA}/{PRE_RELEASE}": "edited", f"{BANK}/{PRE_RELEASE}": "edited"}
    report = outcome.xcoms["report"]
    assert [(each["target"], each["drift"], each.get("changed_keys")) for each in report["items"]] == [
        (f"{ROSA}/{PRE_RELEASE}", "edited", ["greeting"]),
        (f"{BANK}/{PRE_RELEASE}", "edited", ["greeting", "limit"]),
        (f"{HOTELS}/{PRE_RELEASE}", "in_sync", None),
    ]
    assert report["items"][0]["now"] == aligned.digest(ROSA, PRE_RELEASE)[:12]
    assert report["items"][0]["base"] == report["items"][0]["desired"] == aligned.digest(HOTELS, SANDBOX)[:12]
    assert f"edited  {ROSA}/{PRE_RELEASE}" in outcome.log
    run = {"dag_id": "harness", "run_id": "test-run", "task_id": "look"}
    facts = {"drift": "edited", "resources": 1, "kinds": ["config page"], "run": run}
    assert events(outcome) == {drift_uri(ROSA, PRE_RELEASE): facts, drift_uri(BANK, PRE_RELEASE): facts}
    assert (aligned.requests(), aligned.writes()) == ({PAGES: 3}, 0)


def test_no_value_and_no_key_is_kept_or_logged(aligned: Emulated, folder: str) -> None:
    aligned.put(ROSA, PRE_RELEASE, greeting=SECRET)
    aligned.put(HOTELS, SANDBOX, limit=SECRET)
    spec = {**SPEC, "config": {"overrides": {"limit": SECRET}}}

    for outcome in (
        aligned.run(look(spec=spec, baseline=NAME, state_folder=folder)),
        aligned.run(look(spec=json.dumps(spec), fail_on_drift=True, targets=[*SPEC["targets"]])),
    ):
        assert outcome.xcoms["report"]["drifted"] is True
        kept = kept_text(outcome) + repr(outcome.rendered) + repr(outcome.asset_events)
        assert SECRET not in kept
        assert "demo-key-uk" not in kept


@pytest.mark.parametrize("fail", [False, True])
def test_drift_fails_the_task_only_where_that_is_wanted(aligned: Emulated, fail: bool) -> None:
    aligned.put(ROSA, PRE_RELEASE, greeting=SECRET)

    outcome = aligned.run(look(fail_on_drift=fail, retries=3))

    assert outcome.state == ("failed" if fail else "success")
    assert outcome.xcoms["report"]["drifted"] is True
    if fail:
        assert isinstance(outcome.error, ItemsFailedPermanently)
        assert f"{ROSA}/{PRE_RELEASE} (differs)" in str(outcome.error)
        assert outcome.asset_events == []


def test_what_cannot_be_compared_is_no_drift_and_no_peace_either(aligned: Emulated) -> None:
    aligned.server.fault("answer", operation=PAGES, route=ROSA, status=404, times=None)

    told = aligned.run(look())
    failed = aligned.run(look(fail_on_drift=True))

    assert (told.state, told.result["drifted"]) == ("success", False)
    assert told.result["targets"] == {f"{ROSA}/{PRE_RELEASE}": "unknown"}
    assert "could not be read" in told.xcoms["report"]["items"][0]["reason"]
    assert events(told) == {}
    assert (failed.state, f"{ROSA}/{PRE_RELEASE} (unknown)" in str(failed.error)) == ("failed", True)


def test_a_refused_key_fails_the_task(aligned: Emulated) -> None:
    aligned.server.fault("answer", operation=PAGES, status=401, times=None)

    outcome = aligned.run(look(retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", Unauthorized)


def test_an_outlet_of_the_author_tells_whether_anything_drifted(aligned: Emulated) -> None:
    outcome = aligned.run(look(outlets=[Asset("file://fleet/drift")]))

    (own,) = [each for each in outcome.asset_events if each.get("extra")]
    assert own["extra"]["drifted"] is False
    assert own["extra"]["counts"]["in_sync"] == 3


@pytest.mark.parametrize("spelling", ["file", "text", "yaml", "targets"])
def test_a_promotion_can_be_given_in_several_ways(aligned: Emulated, tmp_path: Path, spelling: str) -> None:
    aligned.put(ROSA, PRE_RELEASE, greeting="x")
    arguments: dict[str, Any] = {
        "file": {"spec_file": written(tmp_path / "spec.json", SPEC)},
        "text": {"spec": json.dumps(SPEC)},
        "yaml": {"spec": f"source: {{agent_id: {HOTELS}, environment: sandbox}}\ntargets:\n"
                 f"- {{agent_id: {ROSA}, environment: pre-release}}\nconfig:\n"},
        "targets": {"spec": {**SPEC, "targets": []}, "targets": [place(ROSA, PRE_RELEASE)]},
    }[spelling]  # fmt: skip
    if spelling == "yaml":
        arguments["spec"] = arguments["spec"].replace("config:\n", "config: {}\n")

    outcome = aligned.run(look(**arguments))

    assert outcome.state == "success", outcome.error
    assert outcome.result["targets"] == {f"{ROSA}/{PRE_RELEASE}": "differs"}


def test_an_environment_is_compared_with_the_files_of_an_export(aligned: Emulated, tmp_path: Path) -> None:
    places = [place(ROSA, LIVE), place(BANK, LIVE)]
    exported = aligned.run(PolyAIExportOperator(task_id="export", targets=places, folder=str(tmp_path)))
    spec = {
        "source": {"folder": str(tmp_path)},
        "targets": places,
        "config": {},
        "connectors": {},
        "routing": {},
    }
    still = aligned.run(look(spec=spec))
    aligned.put(ROSA, LIVE, greeting="x")

    moved = aligned.run(look(spec=spec))

    assert (exported.state, still.result["drifted"]) == ("success", False)
    assert moved.result["targets"] == {f"{ROSA}/{LIVE}": "differs"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"spec": None}, "give spec or spec_file to compare with the source, or baseline, or both"),
        ({"spec": SPEC, "spec_file": "x.yaml"}, "give either spec or spec_file"),
        ({"spec": []}, "spec is empty"),
        ({"spec": {**SPEC, "typo": 1}}, "typo"),
        ({"spec_file": "no-such-file.yaml"}, "no-such-file.yaml cannot be read"),
        ({"baseline": NAME}, f"nothing was noted under the name {NAME} yet"),
        ({"baseline": NAME, "targets": []}, "targets is empty"),
        ({"baseline": NAME, "state_folder": "relative"}, "must be a URL or an absolute path"),
    ],
)
def test_bad_input_is_told_before_any_request(
    aligned: Emulated, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    operator = aligned.run(look(**{"state_folder": str(tmp_path), **arguments}, retries=3))
    sensors = [
        aligned.run(wait(**{"state_folder": str(tmp_path), **arguments}, deferrable=each, retries=3))
        for each in (False, True)
    ]

    for outcome in (operator, *sensors):
        assert (outcome.state, said in str(outcome.error)) == ("failed", True), outcome.error
        assert InputError in (type(outcome.error), type(outcome.error and outcome.error.__cause__))
    assert aligned.requests() == {}


# ---------------------------------------------------------- with what promotions have applied last


@pytest.fixture
def applied(aligned: Emulated, tmp_path: Path, fernet_key: str) -> str:
    """A state folder in which an apply has noted its digests."""
    aligned.put(HOTELS, SANDBOX, greeting="Hello")
    folder = str(tmp_path / "state")
    plan = aligned.run(PolyAIPlanPromotionOperator(task_id="plan", spec=SPEC, state_folder=folder))
    task = PolyAIApplyPromotionOperator(task_id="apply", plan=plan.result, baseline=NAME, state_folder=folder)
    outcome = aligned.run(task)
    assert outcome.state == "success", outcome.error
    assert aligned.values(ROSA, PRE_RELEASE)["greeting"] == "Hello"
    aligned.server.journal.clear()
    return folder


@pytest.mark.parametrize("with_spec", [True, False])
def test_after_an_apply_nothing_drifts(aligned: Emulated, applied: str, with_spec: bool) -> None:
    arguments = {"spec": SPEC} if with_spec else {}

    outcome = aligned.run(look(baseline=NAME, state_folder=applied, **arguments))

    assert outcome.result["counts"]["in_sync"] == outcome.result["counts"]["total"] == 3
    assert aligned.requests() == {PAGES: 3}


def test_a_baseline_alone_looks_at_the_targets_and_not_at_the_source(aligned: Emulated, applied: str) -> None:
    aligned.put(HOTELS, SANDBOX, greeting="the next one")
    aligned.put(ROSA, PRE_RELEASE, greeting=SECRET)

    alone = aligned.run(look(baseline=NAME, state_folder=applied))
    both = aligned.run(look(baseline=NAME, state_folder=applied, spec=SPEC))

    assert alone.result["targets"] == {f"{ROSA}/{PRE_RELEASE}": "edited"}
    assert both.result["targets"] == {
        f"{ROSA}/{PRE_RELEASE}": "diverged",
        f"{BANK}/{PRE_RELEASE}": "not_promoted",
        f"{HOTELS}/{PRE_RELEASE}": "not_promoted",
    }
    assert SECRET not in kept_text(alone)


@pytest.mark.usefixtures("fernet_key")
def test_after_a_promotion_of_every_kind_nothing_drifts_and_what_moves_is_found(
    server: EmulatorServer, tmp_path: Path
) -> None:
    from support.promotions import SPEC as EVERYTHING
    from support.promotions import desk, fleet, number, site

    server.reset(copy.deepcopy(fleet()))
    polyai = Emulated(server, FLEET_KEY)
    folder = {"state_folder": str(tmp_path / "state")}
    plan = polyai.run(PolyAIPlanPromotionOperator(task_id="plan", spec=EVERYTHING, **folder))
    task = PolyAIApplyPromotionOperator(task_id="apply", plan=plan.result, baseline=NAME, **folder)
    outcome = polyai.run(task)
    assert outcome.state == "success", outcome.error

    quiet = [
        polyai.run(look(spec=EVERYTHING, baseline=NAME, **folder)),
        polyai.run(look(baseline=NAME, **folder)),
    ]
    server.polyai.agents[site(2)]["connectors"][desk(2)]["voiceName"] = "en-GB-Wavenet-C"
    server.polyai.agents[site(4)]["numbers"][number(4)]["connectorId"] = "conn_4_spare"
    loud = [
        polyai.run(look(spec=EVERYTHING, baseline=NAME, **folder)),
        polyai.run(look(baseline=NAME, **folder)),
    ]

    kinds = {each["kind"] for each in quiet[1].xcoms["report"]["items"]}
    assert kinds == {"config page", "connector", "connector place", "deployment", "phone number"}
    assert [each.result["targets"] for each in quiet] == [{}, {}], quiet[0].xcoms["report"]["items"][:5]
    rerouted, revoiced = f"{site(4)}/{PRE_RELEASE}", f"{site(2)}/{PRE_RELEASE}"
    assert loud[1].result["targets"] == {rerouted: "edited", revoiced: "edited"}
    assert loud[0].result["targets"] == {rerouted: "edited"}, "the promotion sets no voice of what it moves"
    assert loud[0].result["counts"]["converged"] == 1


# ------------------------------------------------------------------------------------- the sensor


@both_ways
def test_drift_is_waited_for(aligned: Emulated, deferrable: bool) -> None:
    aligned.meanwhile(lambda: aligned.put(ROSA, PRE_RELEASE, greeting=SECRET), operation=PAGES, nth=7)

    outcome = end(aligned, wait(deferrable=deferrable))

    assert outcome.state == "success", outcome.error
    found = outcome.result
    assert (found["drifted"], found["targets"], found["targets_omitted"]) == (
        True,
        [f"{ROSA}/{PRE_RELEASE}"],
        0,
    )
    assert found["counts"]["differs"] == 1
    assert (aligned.requests()[PAGES] in (9, 12), aligned.writes()) == (True, 0)


@both_ways
def test_the_end_of_drift_is_waited_for(aligned: Emulated, folder: str, deferrable: bool) -> None:
    aligned.put(ROSA, PRE_RELEASE, greeting="x")
    aligned.meanwhile(lambda: aligned.put_page(ROSA, PRE_RELEASE, MINE), operation=PAGES, nth=4)

    outcome = end(aligned, wait("in_sync", deferrable=deferrable, baseline=NAME, state_folder=folder))

    assert outcome.state == "success", outcome.error
    assert (outcome.result["drifted"], outcome.result["targets"]) == (False, [])
    assert outcome.result["counts"]["in_sync"] == 3


@both_ways
@pytest.mark.parametrize("until", ["drift", "in_sync"])
def test_what_is_there_already_ends_the_wait_with_the_reads_of_one_plan(
    aligned: Emulated, deferrable: bool, until: str
) -> None:
    if until == "drift":
        aligned.put(BANK, PRE_RELEASE, limit=9)

    outcome = aligned.run(wait(until, deferrable=deferrable))

    assert (outcome.state, aligned.requests()) == ("success", {PAGES: 3})


@both_ways
@pytest.mark.parametrize("until", ["drift", "in_sync"])
def test_what_cannot_be_compared_ends_the_wait(aligned: Emulated, deferrable: bool, until: str) -> None:
    aligned.server.fault("answer", operation=PAGES, route=ROSA, status=404, times=None)

    outcome = end(aligned, wait(until, deferrable=deferrable, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", SensorError)
    assert f"config page {ROSA}/{PRE_RELEASE}: It could not be read" in str(outcome.error)
    assert aligned.requests() == {PAGES: 3}


@both_ways
def test_drift_that_is_certain_is_told_though_another_target_cannot_be_read(
    aligned: Emulated, deferrable: bool
) -> None:
    aligned.put(BANK, PRE_RELEASE, limit=9)
    aligned.server.fault("answer", operation=PAGES, route=ROSA, status=404, times=None)

    outcome = aligned.run(wait(deferrable=deferrable))

    assert (outcome.state, outcome.result["targets"]) == ("success", [f"{BANK}/{PRE_RELEASE}"])
    assert outcome.result["counts"]["unknown"] == 1


@both_ways
def test_transient_errors_are_tolerated(aligned: Emulated, deferrable: bool) -> None:
    aligned.put(BANK, PRE_RELEASE, limit=9)
    aligned.server.fault("answer", operation=PAGES, route=BANK, status=503, times=5)

    outcome = end(aligned, wait(deferrable=deferrable))

    assert outcome.state == "success", outcome.error
    assert "Not known yet, asking again later" in aligned.runner.log


@both_ways
@pytest.mark.parametrize("soft_fail", [False, True])
def test_time_out(aligned: Emulated, deferrable: bool, soft_fail: bool) -> None:
    outcome = end(aligned, wait(timeout=0, deferrable=deferrable, soft_fail=soft_fail))

    assert outcome.state == ("skipped" if soft_fail else "failed")
    assert soft_fail or isinstance(outcome.error, AirflowSensorTimeout)


def test_rescheduling_asks_once_and_gives_the_worker_back(aligned: Emulated) -> None:
    task = wait(spec={**SPEC, "config": {"overrides": {"limit": 3}}}, mode="reschedule", poke_interval=60)

    waiting = aligned.run(task)
    aligned.put(ROSA, PRE_RELEASE, greeting="x")
    done = aligned.run(task)

    assert (waiting.state, done.state) == ("up_for_reschedule", "success")
    assert aligned.requests() == {PAGES: 6}


def test_the_trigger_holds_no_value_and_no_key(aligned: Emulated, folder: str) -> None:
    aligned.put(HOTELS, SANDBOX, greeting=SECRET)
    for agent in (ROSA, BANK, HOTELS):
        aligned.put(agent, PRE_RELEASE, greeting=SECRET)
    task = wait(deferrable=True, spec=SPEC, state_folder=folder)

    outcome = aligned.run(task)
    aligned.put(ROSA, PRE_RELEASE, greeting=f"{SECRET} two")
    event = aligned.runner.fire(outcome)
    done = aligned.runner.resume_with(task, outcome, event)

    assert outcome.deferred is not None
    assert outcome.deferred.classpath == "airflow_voice_agents.polyai.triggers.PolyAIDriftTrigger"
    stored = json.dumps(outcome.deferred.trigger_kwargs)
    assert HOTELS in stored
    told = stored + json.dumps(event) + kept_text(outcome) + kept_text(done) + aligned.runner.log
    assert SECRET not in told
    assert "demo-key-uk" not in told
    assert set(event["found"]) == {"drifted", "counts", "targets", "targets_omitted"}


@pytest.mark.parametrize("where", ["shared", "own", "argument", "argument with file"])
def test_a_promotion_with_values_is_not_deferred(aligned: Emulated, tmp_path: Path, where: str) -> None:
    own = [{**each, "overrides": {"limit": SECRET}} for each in SPEC["targets"]]
    arguments: dict[str, Any] = {
        "shared": {"spec": {**SPEC, "config": {"overrides": {"limit": SECRET}}}},
        "own": {"spec": {**SPEC, "targets": own}},
        "argument": {"spec": SPEC, "targets": own},
        "argument with file": {"spec_file": written(tmp_path / "spec.json", SPEC), "targets": own},
    }[where]

    refused = aligned.run(wait(deferrable=True, **arguments))
    poked = aligned.run(wait(**arguments))

    assert (refused.state, poked.state) == ("failed", "success")
    assert "pass spec_file" in str(refused.error)
    assert SECRET not in kept_text(refused) + repr(refused.rendered) + kept_text(poked)
    assert aligned.requests() == {PAGES: 3}, "those of the one that pokes"


def test_a_file_with_values_is_deferred_by_its_name_and_read_anew_for_each_question(
    aligned: Emulated, tmp_path: Path
) -> None:
    spec = {**SPEC, "config": {"overrides": {"greeting": MINE["greeting"]}}}
    file = written(tmp_path / "spec.json", spec)
    task = wait(deferrable=True, spec_file=file, targets=[place(ROSA, PRE_RELEASE)])

    outcome = aligned.run(task)
    written(tmp_path / "spec.json", {**SPEC, "config": {"overrides": {"greeting": SECRET}}})
    done = aligned.runner.resume(task, outcome)

    assert outcome.deferred is not None
    condition = outcome.deferred.trigger_kwargs["condition"]
    assert file in json.dumps(condition)
    assert (done.state, done.result["targets"]) == ("success", [f"{ROSA}/{PRE_RELEASE}"])
    assert SECRET not in kept_text(done) + aligned.runner.log


def test_a_trigger_survives_being_stored(aligned: Emulated, folder: str) -> None:
    outcome = aligned.run(wait(deferrable=True, baseline=NAME, state_folder=folder))

    assert outcome.deferred is not None
    trigger = import_string(outcome.deferred.classpath)(
        **json.loads(json.dumps(outcome.deferred.trigger_kwargs))
    )
    path, kwargs = trigger.serialize()

    assert import_string(path)(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert set(kwargs) == {"polyai_conn_id", "condition", "poll_interval", "deadline"}


def test_the_word_of_what_is_waited_for_is_checked(aligned: Emulated) -> None:
    outcome = aligned.run(wait("drifting"))

    assert (outcome.state, "until must be 'drift' or 'in_sync'" in str(outcome.error)) == ("failed", True)
    assert aligned.requests() == {}


def test_what_a_sensor_found_names_some_targets_and_counts_all() -> None:
    findings = tuple(
        DriftFinding(Resource("config page", f"a{index}", LIVE), f"a{index}/{LIVE}", Drift.EDITED)
        for index in range(1000)
    )

    done, found = DriftCondition("drift").holds(DriftReport(findings))

    assert done
    assert (len(found["targets"]), found["targets_omitted"]) == (TARGETS_NAMED, 1000 - TARGETS_NAMED)
    assert found["counts"]["edited"] == 1000
    assert len(json.dumps(found)) < 1000


# ------------------------------------------------------------------------------ what Airflow sees


def test_the_address_of_drift() -> None:
    report = DriftReport(
        (
            DriftFinding(Resource("connector", "a b", "c"), "a b", Drift.EDITED),
            DriftFinding(Resource("connector", "x", "c"), "x/live", Drift.EDITED),
            DriftFinding(Resource("config page", "x", "live"), "x/live", Drift.DIVERGED),
            DriftFinding(Resource("config page", "y", "live"), "y/live", Drift.UNKNOWN),
            DriftFinding(Resource("config page", "z", "live"), "z/live", Drift.CONVERGED),
        )
    )

    assert drifts(report) == {
        "polyai://agents/x/environments/live/drift": {
            "drift": "diverged",
            "resources": 2,
            "kinds": ["config page", "connector"],
        },
        "polyai://agents/a%20b/drift": {"drift": "edited", "resources": 1, "kinds": ["connector"]},
    }


@pytest.mark.parametrize("make", [look, wait])
def test_operator_and_sensor_survive_serialisation(make: Any) -> None:
    with DAG("stored", schedule=None) as dag:
        task = make(baseline=NAME)

    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).get_task(
        task.task_id
    )

    assert tuple(again.template_fields) == tuple(type(task).template_fields)
    assert again.baseline == NAME
    assert not NATIVE or again.has_retry_policy
    assert [outlet.name for outlet in again.outlets] == (["polyai"] if make is look else [])


def test_templates_are_rendered(aligned: Emulated, folder: str) -> None:
    aligned.runner.push("given", {"spec": SPEC, "folder": folder})

    outcome = aligned.run(
        look(
            spec="{{ ti.xcom_pull('given')['spec'] | tojson }}",
            baseline="{{ 'nightly' }}",
            state_folder="{{ ti.xcom_pull('given')['folder'] }}",
        )
    )

    assert outcome.result["counts"]["in_sync"] == 3
    assert VALUES not in aligned.requests()


# ---------------------------------------------------------------------------------- the example DAG


def test_the_example_is_silent_until_something_drifts_and_names_it_then(
    airflow_home: AirflowHome, server: EmulatorServer
) -> None:
    airflow_home.connect("polyai_default", conn_type="polyai", host=server.url, password=KEY)
    for site in (HOTELS, ROSA, BANK):
        page = server.polyai.page(site, PRE_RELEASE)
        server.polyai.write_page(site, LIVE, variables=page["variables"], schema=page["schema"])
    before = server.state.snapshot()

    quiet = airflow_home.run_dag_file(EXAMPLE)
    for site in (ROSA, BANK):
        now = server.polyai.page(site, LIVE)["variables"]
        server.polyai.write_page(site, LIVE, variables={**now, "holiday_message": SECRET})
    edited = server.state.snapshot()
    server.journal.clear()
    loud = airflow_home.run_dag_file(EXAMPLE)

    assert (quiet.state, loud.state) == ("success", "success"), quiet.output + loud.output
    assert quiet.tasks == {"look": "success", "anything_to_tell": "success", "tell": "skipped"}
    assert quiet.asset_events == []
    assert quiet.xcoms["look"]["return_value"]["counts"]["in_sync"] == 3
    assert loud.tasks["tell"] == "success"
    assert loud.xcoms["tell"]["return_value"] == f"{ROSA}/{LIVE}: differs\n{BANK}/{LIVE}: differs"
    assert [each["uri"] for each in loud.asset_events] == [drift_uri(ROSA, LIVE), drift_uri(BANK, LIVE)]
    assert SECRET not in loud.output + repr(loud.xcoms) + repr(loud.asset_events)
    assert (server.journal.count("GET"), server.journal.count()) == (3, 3)
    assert before != edited == server.state.snapshot()
