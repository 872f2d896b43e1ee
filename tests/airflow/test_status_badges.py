"""Every badge of the page comes about by a run against the local server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from airflow.api_fastapi.core_api import security
from airflow.sdk import DAG
from fastapi.testclient import TestClient

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceAssignNumbersOperator
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIRollbackOperator
from airflow_voice_agents.polyai.task_groups import promotion
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.state.files import StateFiles
from airflow_voice_agents.ui import app as ui
from airflow_voice_agents.ui.records import StateReader
from support.airflow_runner import make
from support.carrier import SECRET_URL, EmulatedCarrier, routed
from support.carrier import numbers as carrier_numbers
from support.emulated import BANK, HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, place
from support.emulated_omnia import DESK, EmulatedOmnia
from support.emulated_omnia import numbers as omnia_numbers

pytestmark = pytest.mark.usefixtures("fernet_key")

SPEC: dict[str, Any] = {
    "source": place(HOTELS, SANDBOX),
    "targets": [place(HOTELS, PRE_RELEASE)],
    "config": {"include_keys": ["holiday_message"], "promote_schema": False},
}
Page = Callable[..., str]
Badges = Callable[..., set[str]]


class Everybody:
    """An auth manager that lets everybody read every DAG that the tests run."""

    def is_authorized_dag(self, **_: Any) -> bool:
        return True

    def get_authorized_dag_ids(self, **_: Any) -> set[str]:
        return {"harness", "gated"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"file://{tmp_path}/state"
    monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__STATE_FOLDER", url)
    return url


@pytest.fixture
def page(folder: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Return the page as a browser gets it."""
    for module in (security, ui):
        monkeypatch.setattr(module, "get_auth_manager", Everybody)
    app = ui.create_app(StateReader(folder), stopped=lambda _: None)
    app.dependency_overrides[security.get_user] = lambda: None
    return lambda **query: TestClient(app).get("/", params={"group": "none", **query}).text


@pytest.fixture
def badges(page: Page) -> Badges:
    """Return the badges of a project's row."""

    def badges(project: str = HOTELS) -> set[str]:
        (row,) = [
            each
            for each in page(q=project).split("<tr")[2:]
            if f"project={quote_plus(project)}#panel" in each
        ]
        return set(re.findall(r'class="badge[^>]*>([^<]*)<', row))

    return badges


def look(polyai: Emulated, **arguments: Any) -> None:
    task = make(PolyAIDriftOperator, task_id="look", **{"spec": SPEC, **arguments})
    assert polyai.run(task).state == "success"


def promote(polyai: Emulated, **arguments: Any) -> Any:
    plan = polyai.run(make(PolyAIPlanPromotionOperator, task_id="plan", spec=SPEC))
    outcome = polyai.run(make(PolyAIApplyPromotionOperator, task_id="apply", plan=plan.result, **arguments))
    assert outcome.state == "success", outcome.error
    return outcome


def test_in_sync_and_edited_by_hand(polyai: Emulated, badges: Badges) -> None:
    promote(polyai, baseline="nightly")
    look(polyai, baseline="nightly")
    assert badges() == {"in sync"}

    polyai.put(HOTELS, PRE_RELEASE, holiday_message="Edited in Agent Studio.")
    look(polyai, baseline="nightly")
    assert badges() == {"edited by hand"}


def test_diverged(polyai: Emulated, badges: Badges) -> None:
    promote(polyai, baseline="nightly")
    polyai.put(HOTELS, PRE_RELEASE, holiday_message="Edited in Agent Studio.")
    polyai.put(HOTELS, SANDBOX, holiday_message="Edited in the sandbox.")
    look(polyai, baseline="nightly")

    assert badges() == {"diverged"}


def test_waiting_for_approval(polyai: Emulated, badges: Badges) -> None:
    with DAG("gated", schedule=None):
        group: Any = promotion(spec=SPEC, approval=True)
    polyai.run(group["plan"])
    assert badges() == {"ready to promote"}
    polyai.run(group["approval"])

    assert badges() == {"waiting for approval"}


def test_on_hold_after_a_rollback(polyai: Emulated, badges: Badges) -> None:
    done = promote(polyai)
    back = make(PolyAIRollbackOperator, task_id="back", snapshot=done.xcoms["snapshot"], reason="handoffs")
    assert polyai.run(back).state == "success"

    assert badges() == {"on hold"}


@pytest.mark.parametrize("environment", [PRE_RELEASE, LIVE])
def test_versions_behind_their_source(polyai: Emulated, badges: Badges, page: Page, environment: str) -> None:
    source = {PRE_RELEASE: SANDBOX, LIVE: PRE_RELEASE}[environment]
    spec = {
        "source": place(HOTELS, source),
        "targets": [place(HOTELS, environment)],
        "deployment": {},
    }
    look(polyai, spec=spec)
    assert badges() == {"ready to promote", "1 behind"}

    promoted = make(
        PolyAIPromoteDeploymentOperator,
        task_id="promote",
        agent_id=HOTELS,
        source_environment=source,
        target_environment=environment,
        confirm_live=True,
    )
    assert polyai.run(promoted).state == "success"
    assert badges() == {"in sync"}
    version = polyai.server.polyai.active(HOTELS, source)["version"]
    assert page(q=HOTELS).count(f'<code title="{version}">') == 2


def test_an_ab_test_that_a_refusal_named(polyai: Emulated, badges: Badges, page: Page) -> None:
    polyai.server.state.switches.ab_test = [HOTELS]
    promoted = make(
        PolyAIPromoteDeploymentOperator,
        task_id="promote",
        agent_id=HOTELS,
        source_environment=PRE_RELEASE,
        target_environment=LIVE,
        confirm_live=True,
    )
    assert polyai.run(promoted).state == "failed"

    assert {"A/B test", "failed"} <= badges()
    assert "as the platform said in a refusal" in page(project=HOTELS)
    polyai.server.state.switches.ab_test = []
    assert polyai.run(promoted).state == "success"
    assert "A/B test" not in badges()


def test_in_progress_names_wave_and_targets(
    polyai: Emulated, badges: Badges, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    write = StateFiles.write

    def watching(self: StateFiles, name: str, content: bytes) -> None:
        write(self, name, content)
        if "/status" in self.url(name):
            seen.append(badges())

    monkeypatch.setattr(StateFiles, "write", watching)
    update = make(
        PolyAIUpdateConfigOperator,
        task_id="update",
        targets=[place(agent, PRE_RELEASE) for agent in (HOTELS, ROSA, BANK)],
        values={"holiday_message": "Closed."},
        waves=[1, 2, "100%"],
    )
    assert polyai.run(update).state == "success"

    assert seen == [
        {"in progress"},
        {"wave 2 of 3 · 1/3"},
        {"wave 3 of 3 · 2/3"},
        {"wave 3 of 3 · 3/3"},
        {"in sync", "locked"},
    ]
    assert badges() == {"in sync"}


# ------------------------------------------------------------------------------ the other two systems


def test_numbers_of_a_carrier_show_where_they_lead(
    server: EmulatorServer, page: Page, badges: Badges, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = EmulatedCarrier(server)
    carrier.start(routed(3))
    seen: list[set[str]] = []
    write = StateFiles.write

    def watching(self: StateFiles, name: str, content: bytes) -> None:
        write(self, name, content)
        if "/status" in self.url(name):
            seen.append(badges(space))

    one, two, three = carrier_numbers(3)
    arguments = {"route": {"to": "swml", "url": SECRET_URL}, "confirm_live": True}
    plan = make(
        SignalWireRoutePhoneNumbersOperator,
        task_id="route",
        phone_numbers=[one, two],
        dry_run=True,
        **arguments,
    )
    assert carrier.run(plan).state == "success"
    (space,) = map(unquote_plus, re.findall(r'project=([^"]*)#panel">', page()))
    assert badges(space) == {"ready to promote"}
    assert re.search(r"2 to</span> relay_script old.example<", page())

    apply = make(SignalWireRoutePhoneNumbersOperator, task_id="route", phone_numbers=[one, two], **arguments)
    monkeypatch.setattr(StateFiles, "write", watching)
    assert carrier.run(apply).state == "success"

    assert seen[0] == {"in progress"}
    assert badges(space) == {"in sync"}
    assert re.search(r"2 to</span> relay_script agents.example<", page())
    panel = page(project=space)
    assert "SignalWire" in panel
    assert re.search(rf"{re.escape(one)} <span[^>]*>relay_script agents.example<", panel)
    assert three not in panel
    assert "marker-of-the-secret" not in panel


def test_numbers_of_a_workspace_show_their_agent(server: EmulatorServer, page: Page, badges: Badges) -> None:
    omnia = EmulatedOmnia(server)
    omnia.start(3)
    assign = make(
        OmniaVoiceAssignNumbersOperator,
        task_id="assign",
        phone_numbers=omnia_numbers(3),
        agent_id=DESK,
        confirm_live=True,
    )
    assert omnia.run(assign).state == "success"

    assert re.search(rf"3 to</span> agent {re.escape(DESK)}<", page())
    (name,) = map(unquote_plus, re.findall(r'project=([^"]*)#panel">', page()))
    assert badges(name) == {"in sync"}
    assert omnia_numbers(3)[0] in page(project=name)


def test_systems_are_grouped_and_filtered(server: EmulatorServer, polyai: Emulated, page: Page) -> None:
    look(polyai)
    omnia = EmulatedOmnia(server)
    omnia.start(1)
    assign = make(
        OmniaVoiceAssignNumbersOperator,
        task_id="assign",
        phone_numbers=omnia_numbers(1),
        agent_id=DESK,
        confirm_live=True,
    )
    assert omnia.run(assign).state == "success"

    grouped = page(group="system")
    assert re.findall(r'scope="rowgroup"[^>]*>([^<]*)<', grouped) == ["PolyAI", "Omnia Voice"]
    assert HOTELS not in page(system="omniavoice")
    assert page(system="polyai").count('<th scope="row">') == 1
