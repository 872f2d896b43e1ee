"""Triggers that a former release left in Airflow's database: they load, are stored the same again, and fire."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_voice_agents.bases.hook import VoiceAgentsHook
from airflow_voice_agents.bases.sensor import VoiceAgentsSensor
from airflow_voice_agents.bases.trigger import ConditionTrigger
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.get_provider_info import get_provider_info
from support import carrier, emulated_omnia
from support.carrier import ADDRESS, EmulatedCarrier, routed
from support.emulated import Emulated
from support.emulated_omnia import DESK, EmulatedOmnia
from support.virtual_time import VirtualTime

HOTEL, PAST = "harbour-hotels", 999_999.0
ONE, TWO = carrier.numbers(2)
DIGEST_OF_FALSE = "fcbcf165908dd18a9e49f7ff27810176db8e9f63b4352213741664245224f8aa"
SWML_FIELDS = ["call_handler", "call_receive_mode", "call_relay_script_url"]
TO_OLD = "619145ff930b55b637c7b5203cc1a781ad0a0a87acad1dc65be1a4fbbcc4185f"
DRIFT_SPEC = {
    "source": {"agent_id": HOTEL, "environment": "sandbox"},
    "targets": [{"agent_id": HOTEL, "environment": "live"}],
    "config": {},
}

# Class, condition, how the only event ends, and what is asked for it.
POLYAI: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "PolyAIConfigTrigger",
        {
            "agent_id": HOTEL,
            "environment": "live",
            "leaves": [[["csat_enabled"], DIGEST_OF_FALSE]],
            "page_digest": None,
            "equals": None,
        },
        "success",
        "list real-time configs",
    ),
    (
        "PolyAIConfigTrigger",
        {
            "agent_id": HOTEL,
            "environment": "live",
            "leaves": [],
            "page_digest": None,
            "equals": ["northgate-bank", "live"],
        },
        "timeout",
        "list real-time configs",
    ),
    (
        "PolyAIDeploymentTrigger",
        {
            "agent_id": HOTEL,
            "environment": "live",
            "version": None,
            "deployment_id": None,
            "newer_than": "2020-01-01T00:00:00+00:00",
        },
        "success",
        "get active deployments",
    ),
    (
        "PolyAIConnectorTrigger",
        {
            "agent_id": HOTEL,
            "connector_id": "conn_hh_sandbox",
            "settings": [["variant_id", None]],
            "client_env": "sandbox",
        },
        "success",
        "list connectors",
    ),
    (
        "PolyAIPhoneNumbersTrigger",
        {
            "agent_id": HOTEL,
            "numbers": ["+441632960000"],
            "client_env": "sandbox",
            "connector_id": "conn_hh_sandbox",
        },
        "success",
        "list phone numbers",
    ),
    (
        "PolyAITestRunsTrigger",
        {"agent_id": HOTEL, "test_run_ids": ["run_1"], "allowed_failures": 0, "fail_on": "failed"},
        "error",
        "get test run",
    ),
    (
        "PolyAIOutboundCallTrigger",
        {"agent_id": HOTEL, "call_sid": "CA1", "environment": "live", "fail_on": "failed"},
        "error",
        "get outbound call status",
    ),
    (
        "PolyAIQuietWindowTrigger",
        {
            "account_id": "acct",
            "project_id": HOTEL,
            "environment": "live",
            "max_concurrent": 0,
            "minutes": 15,
        },
        "error",
        "get concurrency",
    ),
    (
        "PolyAIAlertsClearTrigger",
        {
            "after": "2020-01-01T00:00:00+00:00",
            "project_id": None,
            "rule_ids": [],
            "ignore_older": False,
            "fail_on_alert": False,
        },
        "timeout",
        "list alert rules",
    ),
    (
        "PolyAIDriftTrigger",
        {
            "until": "in_sync",
            "spec": DRIFT_SPEC,
            "spec_file": None,
            "targets": None,
            "baseline": None,
            "state_folder": None,
        },
        "timeout",
        "list real-time configs",
    ),
]
SIGNALWIRE: list[tuple[dict[str, Any], str]] = [
    ({"kind": "owned", "numbers": [ONE, TWO]}, "success"),
    ({"kind": "owned", "numbers": [ONE, "+14155550100"]}, "timeout"),
    (
        {
            "kind": "routed",
            "numbers": [ONE],
            "marks": [{"fields": SWML_FIELDS, "digest": TO_OLD}],
            "mark_of": [0],
        },
        "success",
    ),
    ({"kind": "registered", "numbers": [ONE], "address_id": None}, "success"),
    ({"kind": "registered", "numbers": [TWO], "address_id": ADDRESS}, "timeout"),
]
OMNIA: list[tuple[dict[str, Any], str, str]] = [
    (
        {"numbers": [emulated_omnia.number(0)], "agent_id": None, "statuses": []},
        "success",
        emulated_omnia.LIST,
    ),
    (
        {"numbers": [emulated_omnia.number(0)], "agent_id": DESK, "statuses": ["ACTIVE"]},
        "success",
        emulated_omnia.OF_AGENT,
    ),
    (
        {"numbers": [emulated_omnia.number(5)], "agent_id": DESK, "statuses": []},
        "timeout",
        emulated_omnia.OF_AGENT,
    ),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    """A clock by which every deadline of the stored triggers has passed, so that each looks once."""
    clock = VirtualTime()
    clock.patch(monkeypatch)
    return clock


def loaded(path: str, connection: str, conn_id: str, condition: dict[str, Any]) -> Any:
    """The trigger that Airflow makes of what is stored; it would store the same again."""
    stored = {connection: conn_id, "condition": condition, "poll_interval": 60.0, "deadline": PAST}
    trigger = import_string(f"airflow_voice_agents.{path}")(**stored)
    assert trigger.serialize() == (f"airflow_voice_agents.{path}", stored)
    return trigger


@pytest.mark.parametrize(
    ("name", "condition", "ends"),
    [(case[0], case[1], case[2:]) for case in POLYAI],
    ids=[c[0] for c in POLYAI],
)
def test_a_stored_polyai_trigger_fires(
    polyai: Emulated, clock: VirtualTime, name: str, condition: dict[str, Any], ends: tuple[str, str]
) -> None:
    polyai.connect(runtime_host=polyai.server.url, runtime_api_key="demo-runtime-key-uk")
    trigger = loaded(f"polyai.triggers.{name}", "polyai_conn_id", "polyai_default", condition)

    (events,) = clock.fire(polyai.runner, [trigger])

    assert ([event["status"] for event in events], list(polyai.requests())) == ([ends[0]], [ends[1]])


@pytest.mark.parametrize(("condition", "status"), SIGNALWIRE)
def test_a_stored_signalwire_trigger_fires(
    server: EmulatorServer, clock: VirtualTime, condition: dict[str, Any], status: str
) -> None:
    signalwire = EmulatedCarrier(server)
    signalwire.start(routed(2, call_receive_mode="voice"))
    signalwire.edit(ONE, e911_address_id=ADDRESS, e911_status="active")
    trigger = loaded(
        "signalwire.triggers.SignalWirePhoneNumbersTrigger",
        "signalwire_conn_id",
        "signalwire_default",
        condition,
    )

    (events,) = clock.fire(signalwire.runner, [trigger])

    assert [event["status"] for event in events] == [status]
    assert signalwire.requests() == {carrier.LIST: 1}


@pytest.mark.parametrize(("condition", "status", "operation"), OMNIA)
def test_a_stored_omnia_voice_trigger_fires(
    server: EmulatorServer, clock: VirtualTime, condition: dict[str, Any], status: str, operation: str
) -> None:
    omnia = EmulatedOmnia(server)
    omnia.start(2, DESK)
    trigger = loaded(
        "omnia_voice.triggers.OmniaVoiceNumberTrigger",
        "omniavoice_conn_id",
        "omniavoice_default",
        condition,
    )

    (events,) = clock.fire(omnia.runner, [trigger])

    assert [event["status"] for event in events] == [status]
    assert omnia.requests() == {operation: 1}


# ----------------------------------------------------------------------------- names in class attributes


def subclasses(kind: str, base: type) -> list[Any]:
    modules = [name for entry in get_provider_info()[kind] for name in entry["python-modules"]]  # type: ignore[attr-defined]
    found = [value for name in modules for value in vars(import_module(name)).values()]
    return [value for value in found if inspect.isclass(value) and issubclass(value, base)]


SENSORS = [kind for kind in subclasses("sensors", VoiceAgentsSensor) if hasattr(kind, "trigger_path")]
TRIGGERS = [kind for kind in subclasses("triggers", ConditionTrigger) if hasattr(kind, "condition_path")]
TRIGGER_MODULES = [name for entry in get_provider_info()["triggers"] for name in entry["python-modules"]]  # type: ignore[attr-defined]


def takes_the_connection(kind: Any, hook: Any) -> bool:
    constructors = (vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base))
    return hook.conn_name_attr == kind.conn_name_attr and any(
        kind.conn_name_attr in inspect.signature(each).parameters for each in constructors
    )


@pytest.mark.parametrize("sensor", SENSORS, ids=lambda kind: kind.__name__)
def test_a_sensor_names_a_hook_and_a_trigger_of_its_connection(sensor: Any) -> None:
    hook, trigger = resolve_name(sensor.hook_path), resolve_name(sensor.trigger_path)

    assert issubclass(hook, VoiceAgentsHook)
    assert issubclass(trigger, ConditionTrigger)
    assert (trigger.hook_path, trigger.conn_name_attr) == (sensor.hook_path, sensor.conn_name_attr)
    assert takes_the_connection(sensor, hook)


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda kind: kind.__name__)
def test_a_trigger_names_a_hook_and_reads_its_condition(trigger: Any) -> None:
    assert takes_the_connection(trigger, resolve_name(trigger.hook_path))
    assert callable(resolve_name(trigger.condition_path))
    assert trigger.condition_path.endswith("deserialize")


def test_every_system_has_triggers_and_sensors() -> None:
    systems = {"polyai", "signalwire", "omnia_voice"}

    assert {kind.__module__.split(".")[1] for kind in SENSORS} == systems
    assert {kind.__module__.split(".")[1] for kind in TRIGGERS} == systems


@pytest.mark.parametrize("module", [*TRIGGER_MODULES, "airflow_voice_agents.polyai.watch_trigger"])
def test_importing_a_trigger_imports_next_to_nothing_of_ours(module: str) -> None:
    """The triggerer imports it on its event loop; the rest is imported in a thread when the trigger runs."""
    program = (
        f"import json, sys, airflow.triggers.base, {module}\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('airflow_voice_agents.')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    system = module.rpartition(".")[0]

    assert set(json.loads(done.stdout.splitlines()[-1])) <= {
        *("airflow_voice_agents.get_provider_info", system, module),
        *(f"airflow_voice_agents.bases{name}" for name in ("", ".lazy_imports", ".trigger")),
        *(f"airflow_voice_agents.transport{name}" for name in ("", ".errors")),
    }
