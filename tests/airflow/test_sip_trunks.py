"""SIP trunks: the host name for a carrier, and extensions that are bound, rebound and led back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.polyai.operators.phone_numbers import (
    PolyAIListSipTrunksOperator,
    PolyAIUpdateSipExtensionsOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIRollbackOperator
from airflow_voice_agents.transport.errors import (
    ConnectionSettingsError,
    GuardRefused,
    InputError,
    ItemsFailed,
)
from support import carrier
from support.airflow_runner import Outcome, make
from support.airflow_versions import DagBag
from support.emulated import HOTELS, LIVE, ROSA, SANDBOX, Emulated, counts

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "carrier_to_polyai.py"
ACCOUNT, TRUNK, NAME = "demo-uk", "tr-0k3m5n7p9r1t", "Carrier UK"
HOST = f"{TRUNK}.sbc.sip.uk.poly.ai"
BOUND, DESK, NEW = "+441632960005", "1000", "+442079460901"
BRIGHTON, ST_HELIER, SOHO = "VARIANT-C93513B5", "VARIANT-42CC9B38", "VARIANT-78272830"
WRITES = ("create sip extension", "update sip extension", "delete sip extension")


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", str(tmp_path / "state"))


def listed(polyai: Emulated, **arguments: Any) -> Outcome:
    return polyai.run(
        PolyAIListSipTrunksOperator(**{"task_id": "trunks", "account_id": ACCOUNT, **arguments})
    )


def bind(polyai: Emulated, **arguments: Any) -> Outcome:
    usual = {"task_id": "bind", "account_id": ACCOUNT, "trunk_id": TRUNK, "beta": True, "confirm_live": True}
    return polyai.run(make(PolyAIUpdateSipExtensionsOperator, **{**usual, **arguments}))


def binding(polyai: Emulated, extension: str) -> tuple[str, str, str] | None:
    record = polyai.server.polyai.accounts[ACCOUNT]["sipTrunks"][TRUNK]["extensions"].get(extension)
    return None if record is None else (record["agent"], record["clientEnv"], record["variantId"])


def seed_trunk(polyai: Emulated, trunk_id: str, **fields: Any) -> None:
    trunks = polyai.server.polyai.accounts[ACCOUNT]["sipTrunks"]
    trunks[trunk_id] = {**trunks[TRUNK], "hostname": f"{trunk_id}.example.com", "extensions": {}, **fields}


# ------------------------------------------------------------------------------------------- reads


@pytest.mark.parametrize("trunk", [TRUNK, NAME])
def test_the_host_name_comes_from_the_read(polyai: Emulated, trunk: str) -> None:
    outcome = listed(polyai, trunk=trunk)

    (facts,) = outcome.result
    assert facts == {
        "trunk_id": TRUNK,
        "name": NAME,
        "account_id": ACCOUNT,
        "hostname": HOST,
        "port": 5061,
        "transport": "tls",
        "encrypted": True,
        "authentication": "none",
        "extensions": [
            {"extension": BOUND, "agent_id": HOTELS, "client_env": LIVE, "variant_id": BRIGHTON},
            {"extension": DESK, "agent_id": ROSA, "client_env": SANDBOX, "variant_id": SOHO},
        ],
    }
    one = {key: outcome.xcoms[key] for key in ("trunk_id", "hostname", "port", "transport")}
    assert one == {"trunk_id": TRUNK, "hostname": HOST, "port": 5061, "transport": "tls"}
    assert polyai.requests() == {"list sip trunks": 1, "list sip extensions": 1}


def test_all_trunks_are_listed_without_their_secrets(polyai: Emulated) -> None:
    seed_trunk(polyai, "tr-2", name="Old", encrypted=False, authentication="token")
    polyai.connect(account_id=ACCOUNT)

    outcome = listed(polyai, account_id=None, extensions=False)

    assert [(each["trunk_id"], each["port"], each["authentication"]) for each in outcome.result] == [
        (TRUNK, 5061, "none"),
        ("tr-2", 5060, "token"),
    ]
    assert "hostname" not in outcome.xcoms
    assert "203.0.113" not in str(outcome.xcoms)
    assert polyai.requests() == {"list sip trunks": 1}


def test_a_trunk_that_is_not_clear_is_refused(polyai: Emulated) -> None:
    missing = listed(polyai, trunk="Carrier UX").error
    seed_trunk(polyai, "tr-2")
    twice = listed(polyai, trunk=NAME).error

    assert isinstance(missing, GuardRefused)
    assert "did you mean" in str(missing).lower()
    assert isinstance(twice, GuardRefused)
    assert "tr-2" in str(twice)


def test_a_trunk_without_a_host_name_leads_nobody_there(polyai: Emulated) -> None:
    polyai.server.switches.sip_hostname = "absent"

    outcome = listed(polyai, trunk=TRUNK)

    assert isinstance(outcome.error, GuardRefused)
    assert "no host name" in str(outcome.error)
    assert "hostname" not in outcome.xcoms
    assert listed(polyai).result[0]["hostname"] is None


def test_an_account_has_to_be_named_somewhere(polyai: Emulated) -> None:
    outcome = listed(polyai, account_id=None)

    assert isinstance(outcome.error, ConnectionSettingsError)
    assert "account_id" in str(outcome.error)


# ------------------------------------------------------------------------------------------ writes


def test_nothing_is_written_without_consent_to_the_beta(polyai: Emulated) -> None:
    asked: dict[str, Any] = {"extensions": [NEW], "agent_id": HOTELS, "client_env": LIVE, "beta": False}

    refused = bind(polyai, **asked)
    planned = bind(polyai, **asked, dry_run=True)

    assert isinstance(refused.error, GuardRefused)
    assert "beta=True" in str(refused.error)
    assert counts(planned) == {"changed": 1}
    assert "would be refused" in planned.log
    assert polyai.writes() == 0


@pytest.mark.usefixtures("fernet_key")
def test_numbers_are_created_and_rebound_and_led_back(polyai: Emulated) -> None:
    wanted = {
        NEW: {"agent_id": HOTELS, "client_env": LIVE},
        BOUND: {"agent_id": HOTELS, "client_env": LIVE, "variant_id": ST_HELIER},
        DESK: {"agent_id": ROSA, "client_env": LIVE},
    }

    first = bind(polyai, bindings=wanted, take_snapshot=True)
    again, requests = polyai.again(
        PolyAIUpdateSipExtensionsOperator(
            task_id="again",
            account_id=ACCOUNT,
            trunk_id=TRUNK,
            bindings=wanted,
            beta=True,
            confirm_live=True,
        )
    )

    assert counts(first) == {"changed": 3}
    assert binding(polyai, NEW) == (HOTELS, LIVE, BRIGHTON), "the default variant"
    assert binding(polyai, BOUND) == (HOTELS, LIVE, ST_HELIER)
    assert binding(polyai, DESK) == (ROSA, LIVE, SOHO)
    assert counts(again) == {"unchanged": 3}
    assert not set(requests) & set(WRITES)

    snapshot = first.xcoms["snapshot"]
    refused = polyai.run(PolyAIRollbackOperator(task_id="no", snapshot=snapshot))
    back = polyai.run(PolyAIRollbackOperator(task_id="back", snapshot=snapshot, confirm_live=True))

    assert isinstance(refused.error, GuardRefused), "callers reach every trunk"
    assert counts(back) == {"changed": 3}
    assert binding(polyai, NEW) is None
    assert binding(polyai, BOUND) == (HOTELS, LIVE, BRIGHTON)
    assert binding(polyai, DESK) == (ROSA, SANDBOX, SOHO)
    held = bind(polyai, bindings=wanted)
    assert "on hold" in str(held.error)


def test_records_of_a_carrier_name_the_numbers(polyai: Emulated) -> None:
    records = [{"phone_number": NEW, "name": "Line 1"}, {"number": "+442079460902"}]

    outcome = bind(polyai, extensions=records, agent_id=HOTELS, client_env=LIVE, variant_id=BRIGHTON)

    assert counts(outcome) == {"changed": 2}
    assert binding(polyai, "+442079460902") == (HOTELS, LIVE, BRIGHTON)
    assert polyai.requests() == {
        "get sip trunk": 1,
        "list sip extensions": 2,
        "get active deployments": 1,
        "list variants": 1,
        "create sip extension": 2,
    }


def test_an_extension_is_taken_from_another_agent_only_if_meant(polyai: Emulated) -> None:
    asked: dict[str, Any] = {"extensions": [DESK], "agent_id": HOTELS, "client_env": LIVE}

    refused = bind(polyai, **asked)
    assert isinstance(refused.error, GuardRefused)
    assert ROSA in str(refused.error)
    assert "rebind=True" in str(refused.error)
    assert polyai.writes() == 0
    assert counts(bind(polyai, **asked, rebind=True)) == {"changed": 1}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"agent_id": "nobody"}, "cannot be read with this key"),
        ({"variant_id": "VARIANT-C93513B6"}, "has no variant VARIANT-C93513B6"),
    ],
)
def test_callers_are_not_led_to_what_is_not_there(polyai: Emulated, asked: dict[str, Any], said: str) -> None:
    outcome = bind(polyai, **{"extensions": [NEW], "agent_id": HOTELS, "client_env": LIVE, **asked})

    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert polyai.writes() == 0


def test_an_environment_without_a_deployment_is_a_warning(polyai: Emulated) -> None:
    outcome = bind(polyai, extensions=[NEW], agent_id="northgate-bank", client_env=LIVE)

    assert counts(outcome) == {"changed": 1}
    assert "No deployment is shown in live of northgate-bank" in outcome.log


@pytest.mark.parametrize("shown", ["platform", "as_sent"])
@pytest.mark.parametrize("spelled", [HOTELS, "PROJECT-5A1E9C07"])
def test_both_spellings_of_an_agent_are_one_agent(polyai: Emulated, shown: Any, spelled: str) -> None:
    polyai.server.switches.sip_agent_ids = shown
    polyai.server.switches.response_ids = "prefixed"
    asked: dict[str, Any] = {"extensions": [NEW, BOUND], "client_env": LIVE}

    assert counts(bind(polyai, **asked, agent_id=spelled)) == {"changed": 1, "unchanged": 1}
    assert counts(bind(polyai, **asked, agent_id=HOTELS)) == {"unchanged": 2}


def test_what_a_colleague_bound_meanwhile_is_not_overwritten(polyai: Emulated) -> None:
    polyai.meanwhile(
        lambda: polyai.server.polyai.accounts[ACCOUNT]["sipTrunks"][TRUNK]["extensions"].update(
            {NEW: {"agent": ROSA, "clientEnv": LIVE, "variantId": SOHO, "createdAt": "", "updatedAt": ""}}
        ),
        operation="create sip extension",
    )

    outcome = bind(polyai, extensions=[NEW], agent_id=HOTELS, client_env=LIVE)

    assert isinstance(outcome.error, ItemsFailed)
    assert binding(polyai, NEW) == (ROSA, LIVE, SOHO), "the colleague's"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "give either extensions, agent_id and client_env, or bindings"),
        (
            {"extensions": [NEW], "agent_id": HOTELS},
            "give either extensions, agent_id and client_env, or bindings",
        ),
        ({"extensions": [NEW, NEW], "agent_id": HOTELS, "client_env": LIVE}, "repeats"),
        ({"extensions": ["a/b"], "agent_id": HOTELS, "client_env": LIVE}, "extensions[0]"),
        ({"extensions": ["1" * 129], "agent_id": HOTELS, "client_env": LIVE}, "128"),
        ({"bindings": {NEW: {"agent": HOTELS}}}, "agent"),
        ({"bindings": {NEW: {"agent_id": HOTELS, "client_env": "prod"}}}, "sandbox"),
        ({"bindings": {NEW: {"agent_id": HOTELS, "client_env": LIVE}}, "agent_id": ROSA}, "either"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(
    polyai: Emulated, asked: dict[str, Any], said: str
) -> None:
    outcome = bind(polyai, **asked)

    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


# ---------------------------------------------------------------------------------------- cut-over


@pytest.mark.usefixtures("fernet_key")
def test_the_example_leads_a_carrier_to_the_host_name_that_was_read(polyai: Emulated, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count('SIP_TRUNK = ""') == 1
    path = tmp_path / EXAMPLE.name
    path.write_text(text.replace('SIP_TRUNK = ""', f'SIP_TRUNK = "{NAME}"'), encoding="utf-8")
    (dag,) = DagBag(path).dags.values()
    numbers = carrier.numbers(2)
    polyai.server.reset({**carrier.seed(carrier.routed(2)), "polyai": default_seed()["polyai"]})
    polyai.connect(account_id=ACCOUNT)
    polyai.runner.connections = {
        **polyai.runner.connections,
        **carrier.EmulatedCarrier(polyai.server).runner.connections,
    }
    polyai.runner.conf = {"lines": "Line", "agent_id": HOTELS, "client_env": LIVE}

    ran = {}
    for name in ("list_numbers", "read_trunk", "snapshot_routing", "bind_extensions", "cut_over"):
        ran[name] = polyai.run(dag.get_task(name))
        assert ran[name].state == "success", ran[name].error

    url = f"https://swml.example.com/to-polyai?host={HOST}"
    assert {polyai.server.signalwire.number(each)["call_relay_script_url"] for each in numbers} == {url}
    assert {binding(polyai, each) for each in numbers} == {(HOTELS, LIVE, BRIGHTON)}
    assert dag.get_task("cut_over").upstream_task_ids == {"bind_extensions", "list_numbers"}
    assert "read_trunk" in dag.get_task("snapshot_routing").upstream_task_ids, (
        "read before anything is written"
    )
    assert not {"import_numbers", "agent_answers"} & set(dag.task_ids)
