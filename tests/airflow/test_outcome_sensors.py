"""Sensors for how things go and stand after a promotion, poking and deferred, against the local server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases.sensor import SensorError
from airflow_voice_agents.polyai.sensors import (
    PolyAIAlertsClearSensor,
    PolyAIConnectorSensor,
    PolyAIDeploymentSensor,
    PolyAIOutboundCallSensor,
    PolyAIQuietWindowSensor,
    PolyAITestRunsSensor,
)
from support.airflow_runner import Outcome, make
from support.emulated import HOTELS, LIVE, SANDBOX, Emulated, kept_text

RUNTIME_KEY = "demo-runtime-key-uk"
CONNECTOR, CALLEE = "conn_hh_sandbox", "+447700900123"
FUNCTIONS, CRASHES = "ar_0HarbourFunctions", "ar_0HarbourCrashes"
VERSION = "9" * 32
AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


@pytest.fixture(autouse=True)
def present(polyai: Emulated) -> None:
    """The server's present is this machine's, and the connection has both hosts."""
    polyai.server.switches.wall_clock = True
    polyai.connect(runtime_host=polyai.server.url, runtime_api_key=RUNTIME_KEY)


def end(polyai: Emulated, task: Any) -> Outcome:
    """Run a sensor to its end, through the triggerer if it defers."""
    outcome = polyai.run(task)
    return polyai.runner.resume(task, outcome) if outcome.state == "deferred" else outcome


def usual(deferrable: bool, **arguments: Any) -> dict[str, Any]:
    waits = {"task_id": "wait", "poke_interval": 0.01, "timeout": 60, "deferrable": deferrable}
    return {**waits, **arguments}


def deploy(polyai: Emulated, environment: str = LIVE) -> dict[str, Any]:
    store = polyai.server.polyai
    with store.state.lock:
        made = {"version": VERSION, "artifactVersion": "9"}
        return dict(store.deploy(HOTELS, environment, made, "someone", {}))


def start_run(polyai: Emulated) -> str:
    with polyai.server.state.lock:
        return polyai.server.polyai.start_run(HOTELS, "main", ["CASE-1", "CASE-2"])


def set_voice(polyai: Emulated, voice: str = "en-GB-Neural2-C") -> None:
    with polyai.server.state.lock:
        connectors = polyai.server.polyai.agents[HOTELS]["connectors"]
        connectors[CONNECTOR] = {**connectors[CONNECTOR], "voiceName": voice}


# ------------------------------------------------------------------------------------ deployments


def deployment(deferrable: bool, **arguments: Any) -> PolyAIDeploymentSensor:
    return make(PolyAIDeploymentSensor, **usual(deferrable, agent_id=HOTELS, environment=LIVE, **arguments))


@both_ways
@pytest.mark.parametrize("wanted", ["version", "newer_than"])
def test_a_deployment_that_comes_ends_the_wait(polyai: Emulated, deferrable: bool, wanted: str) -> None:
    polyai.meanwhile(lambda: deploy(polyai), operation="get active deployments", nth=3)
    given = {"version": VERSION, "newer_than": AN_HOUR_AGO}[wanted]

    outcome = end(polyai, deployment(deferrable, **{wanted: given}))

    assert outcome.state == "success"
    assert outcome.result["version"] == VERSION
    assert outcome.result["environment"] == LIVE
    assert polyai.requests() == {"get active deployments": 3}


def test_the_record_is_what_counts_where_it_is_named(polyai: Emulated) -> None:
    first, again = deploy(polyai), deploy(polyai)

    held = polyai.run(deployment(True, deployment_id=again["id"]))
    gone = polyai.run(deployment(True, deployment_id=first["id"]))
    elsewhere = polyai.run(deployment(True, deployment_id=deploy(polyai, SANDBOX)["id"]))

    assert (held.state, held.result["deployment_id"]) == ("success", again["id"])
    assert (gone.state, elsewhere.state) == ("deferred", "deferred")


# -------------------------------------------------------------------------------------- test runs


def runs_of(deferrable: bool, ids: Any, **arguments: Any) -> PolyAITestRunsSensor:
    return make(PolyAITestRunsSensor, **usual(deferrable, agent_id=HOTELS, test_run_ids=ids, **arguments))


@both_ways
def test_runs_that_pass_end_the_wait_with_their_counts(polyai: Emulated, deferrable: bool) -> None:
    runs = [start_run(polyai), start_run(polyai)]

    outcome = end(polyai, runs_of(deferrable, runs))

    counts = {"verdict": "passed", "tests": 2, "passed": 2, "failed": 0, "errors": 0}
    assert outcome.state == "success"
    assert outcome.result == {
        "agent_id": HOTELS,
        "test_runs": dict.fromkeys(runs, counts),
        "verdict": "passed",
    }
    assert polyai.requests() == {"get test run": 6}


@both_ways
@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("failed", "failed: 1 passed, 1 failed, 0 without a result"),
        ("completed_failed", "failed: 1 passed, 1 failed, 0 without a result"),
        ("timed_out", "error: 1 passed, 0 failed, 1 without a result"),
        ("error", "error: 1 passed, 0 failed, 1 without a result"),
    ],
)
def test_runs_that_do_not_pass_fail_the_task_for_good(
    polyai: Emulated, deferrable: bool, ends: str, said: str
) -> None:
    polyai.server.switches.test_run_outcome = ends
    run = start_run(polyai)

    outcome = end(polyai, runs_of(deferrable, [run], retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, SensorError)
    assert f"1 of 1 test run(s) of agent {HOTELS} did not pass: {run} ({said})" in str(outcome.error)


@both_ways
def test_failures_may_be_allowed_or_only_told(polyai: Emulated, deferrable: bool) -> None:
    polyai.server.switches.test_run_outcome = "failed"
    run = start_run(polyai)

    allowed = end(polyai, runs_of(deferrable, [run], allowed_failures=1))
    told = end(polyai, runs_of(deferrable, [run], fail_on="never"))

    assert (allowed.state, told.state) == ("success", "success")
    assert told.result["test_runs"][run]["failed"] == 1


@pytest.mark.parametrize("status", ["cancelled", "never"])
def test_a_status_that_nobody_documents_is_that_of_a_run_under_way(polyai: Emulated, status: str) -> None:
    polyai.server.switches.test_run_outcome = status
    run = start_run(polyai)
    for _ in range(3):
        assert polyai.run(runs_of(True, [run])).state == "deferred"

    outcome = end(polyai, runs_of(True, [run], timeout=0, soft_fail=True))

    assert outcome.state == "skipped"


@pytest.mark.parametrize("ids", [None, [], "", "[]"])
@both_ways
def test_without_runs_there_is_nothing_to_wait_for(polyai: Emulated, deferrable: bool, ids: Any) -> None:
    polyai.runner.connections = {}

    outcome = polyai.run(runs_of(deferrable, ids))

    assert (outcome.state, outcome.result) == (
        "success",
        {"agent_id": HOTELS, "test_runs": {}, "verdict": "skipped"},
    )
    assert polyai.requests() == {}


def test_ids_come_from_templates_too(polyai: Emulated) -> None:
    runs = [start_run(polyai), start_run(polyai)]
    polyai.runner.push("deploy", runs, key="test_run_ids")
    pulled = "ti.xcom_pull('deploy', key='test_run_ids')"

    as_json = end(polyai, runs_of(True, f"{{{{ {pulled} | tojson }}}}"))
    with_commas = end(polyai, runs_of(True, f"{{{{ {pulled} | join(',') }}}}"))
    as_python = polyai.run(runs_of(True, f"{{{{ {pulled} }}}}"))

    assert set(as_json.result["test_runs"]) == set(with_commas.result["test_runs"]) == set(runs)
    assert "add | tojson to the template" in str(as_python.error)


@both_ways
def test_answers_of_500_while_a_run_is_under_way_are_tolerated(polyai: Emulated, deferrable: bool) -> None:
    polyai.server.switches.test_run_errors = 12
    run = start_run(polyai)

    outcome = end(polyai, runs_of(deferrable, [run]))

    assert outcome.state == "success"
    assert polyai.requests()["get test run"] == 15


# ------------------------------------------------------------------------------------- connectors


def connector(deferrable: bool, **arguments: Any) -> PolyAIConnectorSensor:
    given = {"agent_id": HOTELS, "connector_id": CONNECTOR, **arguments}
    return make(PolyAIConnectorSensor, **usual(deferrable, **given))


@both_ways
def test_a_connector_that_gets_its_settings_ends_the_wait(polyai: Emulated, deferrable: bool) -> None:
    polyai.meanwhile(lambda: set_voice(polyai), operation="list connectors", nth=3)

    outcome = end(polyai, connector(deferrable, settings={"voiceName": "en-GB-Neural2-C"}))

    assert outcome.state == "success"
    assert outcome.result == {"agent_id": HOTELS, "connector_id": CONNECTOR, "client_env": SANDBOX}
    assert polyai.requests() == {"list connectors": 3}


@pytest.mark.parametrize(
    ("wanted", "state"),
    [
        ({}, "success"),
        ({"client_env": SANDBOX}, "success"),
        ({"client_env": LIVE}, "deferred"),
        ({"connector_id": "conn_of_nobody"}, "deferred"),
        ({"settings": {"asr_lang_code": "xx-XX"}}, "deferred"),
        ({"settings": '{"asr_lang_code": "xx-XX"}'}, "deferred"),
    ],
)
def test_a_connector_must_be_there_as_it_is_wanted(
    polyai: Emulated, wanted: dict[str, Any], state: str
) -> None:
    assert polyai.run(connector(True, **wanted)).state == state


# ---------------------------------------------------------------------------------- outbound calls


def start_call(polyai: Emulated) -> str:
    from airflow_voice_agents.polyai import api
    from airflow_voice_agents.polyai.hooks import PolyAIHook
    from support.airflow_runner import set_supervisor_comms

    call = api.create_outbound_call(HOTELS, to_number=CALLEE, environment=SANDBOX)
    with set_supervisor_comms(polyai.runner), PolyAIHook() as hook:
        return str(hook.send(call).call_sid)


def call_of(deferrable: bool, call_sid: str, **arguments: Any) -> PolyAIOutboundCallSensor:
    given = {"agent_id": HOTELS, "call_sid": call_sid, "environment": SANDBOX, **arguments}
    return make(PolyAIOutboundCallSensor, **usual(deferrable, **given))


@both_ways
def test_a_call_that_ends_ends_the_wait(polyai: Emulated, deferrable: bool) -> None:
    call_sid = start_call(polyai)

    outcome = end(polyai, call_of(deferrable, call_sid))

    assert outcome.result == {"agent_id": HOTELS, "call_sid": call_sid, "status": "SUCCESS"}
    assert polyai.requests()["get outbound call status"] == 3
    assert CALLEE not in kept_text(outcome)


@both_ways
def test_a_call_that_fails_fails_the_task_and_nobody_learns_who_was_called(
    polyai: Emulated, deferrable: bool
) -> None:
    call_sid = start_call(polyai)
    body = {"callSid": call_sid, "status": "failure", "reason": f"{CALLEE} / +44 7700 900 123: no answer"}
    polyai.server.fault("answer", operation="get outbound call status", status=200, nth=2, times=9, body=body)

    outcome = end(polyai, call_of(deferrable, call_sid))
    told = end(polyai, call_of(deferrable, call_sid, fail_on="never"))

    assert outcome.state == "failed"
    assert f"Call {call_sid} of agent {HOTELS} failed ((number) / (number): no answer)" in str(outcome.error)
    assert told.result["status"] == "FAILURE"
    texts = kept_text(outcome) + kept_text(told) + polyai.runner.log
    assert "7700" not in texts


# ------------------------------------------------------------------------------- quiet and alerts


def quiet(deferrable: bool, **arguments: Any) -> PolyAIQuietWindowSensor:
    given = {"account_id": "demo-uk", "project_id": HOTELS, "environment": LIVE, **arguments}
    return make(PolyAIQuietWindowSensor, **usual(deferrable, **given))


def clear_calls(polyai: Emulated) -> None:
    with polyai.server.state.lock:
        polyai.server.polyai.agents[HOTELS]["conversations"].clear()


@both_ways
def test_a_quiet_time_ends_the_wait(polyai: Emulated, deferrable: bool) -> None:
    clear_calls(polyai)
    polyai.server.polyai.add_conversation(HOTELS, LIVE, startedAt=-3600, inProgress=True)
    polyai.meanwhile(lambda: clear_calls(polyai), operation="get concurrency", nth=3)

    outcome = end(polyai, quiet(deferrable, minutes=12))

    assert outcome.state == "success"
    assert outcome.result["max_concurrent"] == 0
    assert polyai.requests() == {"get concurrency": 3}


@pytest.mark.parametrize(("lag", "state"), [(0, "success"), (300, "success"), (1200, "deferred")])
def test_the_newest_interval_may_lag_and_no_more(polyai: Emulated, lag: float, state: str) -> None:
    clear_calls(polyai)
    polyai.server.switches.concurrency_lag = lag

    assert polyai.run(quiet(True)).state == state


def test_few_conversations_may_be_quiet_enough(polyai: Emulated) -> None:
    clear_calls(polyai)
    for _ in range(2):
        polyai.server.polyai.add_conversation(HOTELS, LIVE, startedAt=-3600, inProgress=True)

    assert polyai.run(quiet(True, max_concurrent=2)).state == "success"
    assert polyai.run(quiet(True, max_concurrent=1)).state == "deferred"


def alerts(deferrable: bool, **arguments: Any) -> PolyAIAlertsClearSensor:
    given = {"after": AN_HOUR_AGO, "project_id": HOTELS, **arguments}
    return make(PolyAIAlertsClearSensor, **usual(deferrable, **given))


@both_ways
def test_rules_that_come_to_be_ok_end_the_wait(polyai: Emulated, deferrable: bool) -> None:
    polyai.server.polyai.set_alert(FUNCTIONS, "alert")
    clear = lambda: polyai.server.polyai.set_alert(FUNCTIONS, "ok")  # noqa: E731
    polyai.meanwhile(clear, operation="list alert rules", nth=3)

    outcome = end(polyai, alerts(deferrable))

    assert outcome.state == "success"
    assert (outcome.result["rules"], outcome.result["not_clear"]) == (2, [])
    assert polyai.requests() == {"list alert rules": 3}


@both_ways
def test_a_new_alert_can_end_the_wait_and_an_older_one_never_does(polyai: Emulated, deferrable: bool) -> None:
    polyai.server.polyai.set_alert(CRASHES, "alert", since=-86400)
    older = polyai.run(alerts(True, fail_on_alert=True))
    ignored = polyai.run(alerts(deferrable, fail_on_alert=True, ignore_older=True))
    polyai.server.polyai.set_alert(FUNCTIONS, "alert", since=-60)

    outcome = end(polyai, alerts(deferrable, fail_on_alert=True, ignore_older=True))

    assert (older.state, ignored.state) == ("deferred", "success")
    assert ignored.result["firing_before"] == [CRASHES]
    assert outcome.state == "failed"
    assert "1 alert rule(s) began to fire" in str(outcome.error)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"project_id": "PROJECT-OF-NOBODY"}, "no rule that is on names project PROJECT-OF-NOBODY"),
        ({"rule_ids": ["ar_0Nobody"]}, "rule(s) ar_0Nobody are off, or not there"),
    ],
)
def test_where_nothing_watches_the_wait_ends_at_once(
    polyai: Emulated, arguments: dict[str, Any], said: str
) -> None:
    outcome = polyai.run(alerts(True, **arguments))

    assert outcome.state == "failed"
    assert said in str(outcome.error)


# ------------------------------------------------------------------------------------- all of them


def each(polyai: Emulated) -> Iterator[tuple[Any, Callable[[], Any]]]:
    polyai.server.polyai.set_alert(FUNCTIONS, "alert")
    clear_calls(polyai)
    polyai.server.polyai.add_conversation(HOTELS, LIVE, startedAt=-3600, inProgress=True)
    yield deployment(True, version=VERSION), lambda: deploy(polyai)
    yield runs_of(True, [start_run(polyai)]), lambda: None
    yield connector(True, settings={"voice_name": "en-GB-Neural2-C"}), lambda: set_voice(polyai)
    yield call_of(True, start_call(polyai)), lambda: None
    yield quiet(True), lambda: clear_calls(polyai)
    yield alerts(True), lambda: polyai.server.polyai.set_alert(FUNCTIONS, "ok")


def test_what_a_trigger_is_stored_as_is_small_and_leads_to_the_same_end_after_a_restart(
    polyai: Emulated,
) -> None:
    for sensor, happens in list(each(polyai)):
        outcome = polyai.run(sensor)
        assert outcome.state == "deferred", sensor.task_type
        assert outcome.deferred is not None
        path, kwargs = outcome.deferred.classpath, json.loads(json.dumps(outcome.deferred.trigger_kwargs))
        stored = json.dumps(kwargs)
        assert len(stored) < 1000
        assert not [secret for secret in (CALLEE, "demo-key-uk", RUNTIME_KEY) if secret in stored]

        again = import_string(path)(**kwargs)

        assert again.serialize() == (path, kwargs)
        assert again.deadline == kwargs["deadline"]
        happens()
        assert polyai.runner.resume(sensor, outcome).state == "success", sensor.task_type


@both_ways
@pytest.mark.parametrize(
    ("sensor", "said"),
    [
        (deployment, "exactly one of version, deployment_id and newer_than"),
        (lambda way: deployment(way, version="a", deployment_id="b"), "exactly one of"),
        (
            lambda way: deployment(way, newer_than="2026-01-01T00:00:00"),
            "newer_than must be a time with a zone",
        ),
        (lambda way: deployment(way, newer_than="soon"), "newer_than must be a time with a zone"),
        (lambda way: runs_of(way, 7), "test_run_ids must be a list or a text or None, not 7"),
        (lambda way: runs_of(way, ["a/b"]), "test_run_ids[0]"),
        (lambda way: runs_of(way, ["a"], allowed_failures=-1), "allowed_failures must be a whole number"),
        (lambda way: runs_of(way, ["a"], fail_on="always"), "fail_on must be 'failed' or 'never'"),
        (lambda way: connector(way, settings={}), "settings is empty"),
        (lambda way: connector(way, settings={"project_id": "x"}), "must not hold project_id"),
        (lambda way: connector(way, settings={"name": "x"}), "settings has unknown keys name"),
        (lambda way: connector(way, client_env="production"), "client_env must be"),
        (lambda way: call_of(way, "a/b"), "call_sid"),
        (lambda way: quiet(way, minutes=0), "minutes must be a whole number"),
        (lambda way: quiet(way, max_concurrent=True), "max_concurrent must be a whole number"),
        (lambda way: alerts(way, after="yesterday"), "after must be a time with a zone"),
        (lambda way: alerts(way, ignore_older="yes"), "ignore_older must be True or False"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(
    polyai: Emulated, deferrable: bool, sensor: Callable[[bool], Any], said: str
) -> None:
    outcome = polyai.run(sensor(deferrable))

    assert outcome.state == "failed"
    assert said in str(outcome.error)
    assert polyai.requests() == {}
