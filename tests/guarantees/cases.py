"""Every writing operator with a small job at the local server: at least two items to change, where it can have two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.omnia_voice.operators.phone_numbers import (
    OmniaVoiceAssignNumbersOperator,
    OmniaVoiceDeleteNumbersOperator,
    OmniaVoiceUpdateNumbersOperator,
)
from airflow_voice_agents.omnia_voice.operators.snapshots import OmniaVoiceRestoreAssignmentsOperator
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.connectors import PolyAIBatchUpdateConnectorsOperator
from airflow_voice_agents.polyai.operators.deployments import (
    PolyAIMergeBranchOperator,
    PolyAIPromoteDeploymentOperator,
    PolyAIPublishOperator,
    PolyAIRollbackDeploymentOperator,
)
from airflow_voice_agents.polyai.operators.phone_numbers import (
    PolyAIImportPhoneNumbersOperator,
    PolyAIUpdateSipExtensionsOperator,
)
from airflow_voice_agents.polyai.operators.promotion import (
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
)
from airflow_voice_agents.polyai.operators.releases import (
    PolyAIPlanReleaseOperator,
    PolyAIReleaseBranchOperator,
)
from airflow_voice_agents.polyai.operators.rollback import PolyAIRollbackOperator
from airflow_voice_agents.polyai.operators.test_runs import PolyAIRunTestsOperator
from airflow_voice_agents.signalwire.operators.e911 import SignalWireAssignE911Operator
from airflow_voice_agents.signalwire.operators.phone_numbers import (
    SignalWireReleasePhoneNumbersOperator,
    SignalWireSearchAndPurchaseOperator,
)
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import SignalWireRestoreRoutingOperator
from support import carrier, emulated_omnia
from support.carrier import ADDRESS, SWML, EmulatedCarrier
from support.emulated import HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, place
from support.emulated_omnia import DESK, OLD, EmulatedOmnia

Arguments = Mapping[str, Any]
PROJECT = "PROJECT-5A1E9C07"
ROSA_PROJECT = "PROJECT-C3D20B84"
"""The second spelling of the hotels' id."""
BRANCH = "BRANCH-1F0C77D2"
ACCOUNT, TRUNK = "demo-uk", "tr-0k3m5n7p9r1t"
NUMBERS = ["+442079460901", "+442079460902", "+442079460903"]


@dataclass
class World:
    """A server, an Airflow in memory, and the facts of one case.

    :param at: the support object of the system: ``run``, ``writes``, ``state``, ``runner``, ``server``.
    :param folder: the state folder.
    :param facts: what a preparation left, for the task.
    """

    at: Any
    folder: str
    facts: dict[str, Any] = field(default_factory=dict)

    def run(self, task: Any, **options: Any) -> Any:
        """Run one attempt of a task."""
        return self.at.run(task, **options)

    def writes(self) -> int:
        """Requests so far that were there to change something."""
        return len(self.at.server.journal.writes())

    def changes(self) -> list[Any]:
        """Requests so far that changed something."""
        return list(self.at.server.journal.changes())


@dataclass(frozen=True)
class Case:
    """One writing operator.

    :param operator: its class.
    :param prepare: makes the world ready.
    :param arguments: the operator's arguments in that world, without those of the guarantees.
    :param lock: a name that the run locks.
    :param block: the target of a rollback block.
    :param live: whether it needs consent.
    :param items: how many items or targets it changes.
    :param consent: the argument that gives consent.
    :param restore: task that takes the change back from a snapshot, or ``None``.
    :param spelled: arguments with the agent's other spelling, or ``None``.
    :param asks: whether a write asks the platform if there is anything to do, so that a second run sends it again.
    """

    operator: type[Any]
    prepare: Callable[[EmulatorServer, str], World]
    arguments: Callable[[World], Arguments]
    lock: Callable[[World], str]
    block: Callable[[World], str]
    live: bool = True
    items: int = 2
    consent: str = "confirm_live"
    restore: Callable[[World, str], Any] | None = None
    spelled: Callable[[World], Arguments] | None = None
    asks: bool = False

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.operator.__name__

    def task(self, world: World, task_id: str = "it", **more: Any) -> Any:
        """Return the task; consent is given unless it is overridden."""
        given = {self.consent: True} if self.live else {}
        return self.operator(
            task_id=task_id,
            retries=3,
            state_folder=world.folder,
            **{**self.arguments(world), **given, **more},
        )


# ---------------------------------------------------------------------------------------- PolyAI


def _polyai(server: EmulatorServer, folder: str) -> World:
    server.reset(default_seed())
    return World(Emulated(server), folder)


def _pages(server: EmulatorServer, folder: str) -> World:
    world = _polyai(server, folder)
    for agent in (HOTELS, ROSA):
        world.at.put_page(agent, PRE_RELEASE, {"greeting": "old", "own": 1})
        world.at.put_page(agent, LIVE, {"greeting": "old", "own": 1})
    world.at.put_page("northgate-bank", SANDBOX, {"greeting": "new", "own": 1})
    return world


def _targets(agent: str = HOTELS) -> list[dict[str, Any]]:
    return [place(agent, LIVE), place(ROSA, LIVE)]


def _promote_config(agent: str = HOTELS) -> dict[str, Any]:
    return {
        "source": place("northgate-bank", SANDBOX),
        "targets": _targets(agent),
        "allow_skip_pre_release": True,
        "promote_schema": False,
    }


def _update_config(agent: str = HOTELS) -> dict[str, Any]:
    return {"values": {"greeting": "new"}, "targets": _targets(agent)}


def _deployed_twice(server: EmulatorServer, folder: str) -> World:
    world = _polyai(server, folder)
    newest = server.state.read("polyai", "agents", HOTELS)["deployments"][-1]
    source = {"version": newest["version"], "artifactVersion": "2026-09-01T08:00:00"}
    with server.state.lock:
        server.polyai.deploy(HOTELS, LIVE, source, "colleague", {"deployment_type": "promote"})
    return world


def _roll_back(world: World, url: str) -> Any:
    return PolyAIRollbackOperator(
        task_id="back", snapshot=url, confirm_live=True, state_folder=world.folder, hold=False
    )


def _live_connectors(world: World, agent: str = HOTELS) -> list[str]:
    found = world.at.server.polyai.agents[HOTELS]["connectors"]
    return [name for name, each in found.items() if each["clientEnv"] == LIVE][:2]


def _connectors(world: World, agent: str = HOTELS) -> dict[str, Any]:
    updates = [{"connector_id": each, "asr_lang_code": "it-IT"} for each in _live_connectors(world)]
    return {"agent_id": agent, "updates": updates, "batch_size": 1}


def _import(agent: str = HOTELS) -> dict[str, Any]:
    return {"agent_id": agent, "client_env": LIVE, "phone_numbers": NUMBERS[:2], "batch_size": 1}


def _connectors_of_many(world: World, agent: str = ROSA) -> dict[str, Any]:
    languages = {"asr_lang_code": "it-IT"}
    hotels = {"agent_id": HOTELS, "updates": [{"connector_id": _live_connectors(world)[0], **languages}]}
    others = {"agent_id": agent, "selector": {"client_env": LIVE, "name": "Rosa North"}, "changes": languages}
    return {"targets": [hotels, others], "batch_size": 1}


def _import_for_many(agent: str = ROSA) -> dict[str, Any]:
    numbers = dict(zip((HOTELS, agent), NUMBERS, strict=False))
    targets = [{"agent_id": each, "phone_numbers": [number]} for each, number in numbers.items()]
    return {"client_env": LIVE, "targets": targets, "batch_size": 1}


def _extensions() -> dict[str, Any]:
    agent = {"agent_id": HOTELS, "client_env": LIVE}
    return {"account_id": ACCOUNT, "trunk_id": TRUNK, "extensions": NUMBERS[:2], "beta": True, **agent}


def _promote_deployment(agent: str = HOTELS) -> dict[str, Any]:
    return {"agent_id": agent, "source_environment": PRE_RELEASE, "target_environment": LIVE}


def _spec(agent: str = HOTELS) -> dict[str, Any]:
    return {
        "source": place("northgate-bank", SANDBOX),
        "targets": _targets(agent),
        "config": {"promote_schema": False},
        "allow_skip_pre_release": True,
    }


def _planned(server: EmulatorServer, folder: str) -> World:
    world = _pages(server, folder)
    _plan(world, HOTELS)
    return world


def _plan(world: World, agent: str) -> Any:
    task = PolyAIPlanPromotionOperator(task_id="plan", spec=_spec(agent), state_folder=world.folder)
    outcome = world.run(task)
    assert outcome.state == "success", outcome.error
    world.facts["plan"] = outcome.result
    return {"plan": outcome.result}


def _promoted(server: EmulatorServer, folder: str) -> World:
    world = _planned(server, folder)
    task = PolyAIApplyPromotionOperator(
        task_id="apply",
        plan=world.facts["plan"],
        state_folder=folder,
        take_snapshot=True,
        confirm_live=True,
    )
    outcome = world.run(task)
    assert outcome.state == "success", outcome.error
    world.facts["snapshot"] = outcome.xcoms["snapshot"]
    server.journal.clear()
    return world


def _release_planned(server: EmulatorServer, folder: str) -> World:
    world = _polyai(server, folder)
    server.switches.simplified = [ROSA]
    _plan_release(world, ROSA)
    return world


def _plan_release(world: World, agent: str) -> Any:
    outcome = world.run(PolyAIPlanReleaseOperator(task_id="plan", agent_id=agent, branch=BRANCH))
    assert outcome.state == "success", outcome.error
    world.facts["plan"] = outcome.result
    return {"plan": outcome.result}


POLYAI = [
    Case(
        PolyAIPromoteConfigOperator,
        _pages,
        lambda world: _promote_config(),
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        restore=_roll_back,
        spelled=lambda world: _promote_config(PROJECT),
    ),
    Case(
        PolyAIUpdateConfigOperator,
        _pages,
        lambda world: _update_config(),
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        restore=_roll_back,
        spelled=lambda world: _update_config(PROJECT),
    ),
    Case(
        PolyAIBatchUpdateConnectorsOperator,
        _polyai,
        _connectors,
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        restore=_roll_back,
        spelled=lambda world: _connectors(world, PROJECT),
    ),
    Case(
        PolyAIImportPhoneNumbersOperator,
        _polyai,
        lambda world: _import(),
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        spelled=lambda world: _import(PROJECT),
    ),
    Case(
        PolyAIBatchUpdateConnectorsOperator,
        _polyai,
        _connectors_of_many,
        lambda world: f"{ROSA}/{LIVE}",
        lambda world: f"{ROSA}/{LIVE}",
        restore=_roll_back,
        spelled=lambda world: _connectors_of_many(world, ROSA_PROJECT),
    ),
    Case(
        PolyAIImportPhoneNumbersOperator,
        _polyai,
        lambda world: _import_for_many(),
        lambda world: f"{ROSA}/{LIVE}",
        lambda world: f"{ROSA}/{LIVE}",
        spelled=lambda world: _import_for_many(ROSA_PROJECT),
    ),
    Case(
        PolyAIUpdateSipExtensionsOperator,
        _polyai,
        lambda world: _extensions(),
        lambda world: f"sip-trunks/{TRUNK}",
        lambda world: f"sip-trunks/{TRUNK}",
        restore=_roll_back,
    ),
    Case(
        PolyAIPublishOperator,
        _polyai,
        lambda world: {"agent_id": ROSA, "message": "m"},
        lambda world: f"{ROSA}/{SANDBOX}",
        lambda world: f"{ROSA}/{SANDBOX}",
        live=False,
        items=1,
        spelled=lambda world: {"agent_id": ROSA_PROJECT},
        asks=True,
    ),
    Case(
        PolyAIPromoteDeploymentOperator,
        _polyai,
        lambda world: _promote_deployment(),
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        items=1,
        restore=_roll_back,
        spelled=lambda world: _promote_deployment(PROJECT),
    ),
    Case(
        PolyAIRollbackDeploymentOperator,
        _deployed_twice,
        lambda world: {
            "agent_id": HOTELS,
            "environment": LIVE,
            "to": "previous",
            "allow_previous_live": True,
        },
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        items=1,
        restore=_roll_back,
        spelled=lambda world: {"agent_id": PROJECT},
    ),
    Case(
        PolyAIMergeBranchOperator,
        _polyai,
        lambda world: {"agent_id": ROSA, "branch": BRANCH},
        lambda world: f"{ROSA}/{SANDBOX}",
        lambda world: f"{ROSA}/{SANDBOX}",
        live=False,
        items=1,
        spelled=lambda world: {"agent_id": ROSA_PROJECT},
    ),
    Case(
        PolyAIRunTestsOperator,
        _polyai,
        lambda world: {"agent_id": HOTELS, "branch": "main", "test_ids": ["CASE-OPENING"]},
        lambda world: f"{HOTELS}/{SANDBOX}",
        lambda world: f"{HOTELS}/{SANDBOX}",
        live=False,
        items=1,
        spelled=lambda world: {"agent_id": PROJECT},
    ),
    Case(
        PolyAIReleaseBranchOperator,
        _release_planned,
        lambda world: {"plan": world.facts["plan"], "allow_unapproved": True},
        lambda world: f"{ROSA}/{LIVE}",
        lambda world: f"{ROSA}/{LIVE}",
        items=1,
        spelled=lambda world: _plan_release(world, ROSA_PROJECT),
    ),
    Case(
        PolyAIApplyPromotionOperator,
        _planned,
        lambda world: {"plan": world.facts["plan"], "lock_wait": 0.0},
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        restore=_roll_back,
        spelled=lambda world: _plan(world, PROJECT),
    ),
    Case(
        PolyAIRollbackOperator,
        _promoted,
        lambda world: {"snapshot": world.facts["snapshot"], "hold": False},
        lambda world: f"{HOTELS}/{LIVE}",
        lambda world: f"{HOTELS}/{LIVE}",
        restore=_roll_back,
    ),
]


# ------------------------------------------------------------------------------------ SignalWire


def _carrier(server: EmulatorServer, folder: str) -> World:
    world = World(EmulatedCarrier(server), folder)
    world.at.start(carrier.routed(3), available=carrier.numbers(9, first=5000))
    return world


def _cut_over(server: EmulatorServer, folder: str) -> World:
    world = _carrier(server, folder)
    task = SignalWireRoutePhoneNumbersOperator(
        task_id="route",
        phone_numbers=carrier.numbers(2),
        route=SWML,
        confirm_live=True,
        take_snapshot=True,
        state_folder=folder,
    )
    outcome = world.run(task)
    assert outcome.state == "success", outcome.error
    world.facts["snapshot"] = outcome.xcoms["snapshot"]
    server.journal.clear()
    return world


def _restore_routing(world: World, url: str) -> Any:
    return SignalWireRestoreRoutingOperator(
        task_id="back", snapshot=url, confirm_live=True, state_folder=world.folder, hold=False
    )


SIGNALWIRE = [
    Case(
        SignalWireRoutePhoneNumbersOperator,
        _carrier,
        lambda world: {"phone_numbers": carrier.numbers(2), "route": SWML},
        lambda world: f"{world.at.space}/{carrier.numbers(1)[0]}",
        lambda world: world.at.space,
        restore=_restore_routing,
    ),
    Case(
        SignalWireRestoreRoutingOperator,
        _cut_over,
        lambda world: {"snapshot": world.facts["snapshot"], "hold": False},
        lambda world: f"{world.at.space}/{carrier.numbers(1)[0]}",
        lambda world: world.at.space,
        restore=_restore_routing,
    ),
    Case(
        SignalWireSearchAndPurchaseOperator,
        _carrier,
        lambda world: {"count": 2, "max_numbers": 5},
        lambda world: f"{world.at.space}/*",
        lambda world: world.at.space,
        consent="confirm_purchase",
    ),
    Case(
        SignalWireReleasePhoneNumbersOperator,
        _carrier,
        lambda world: {"phone_numbers": carrier.numbers(2), "expected": carrier.numbers(2)},
        lambda world: f"{world.at.space}/{carrier.numbers(1)[0]}",
        lambda world: world.at.space,
    ),
    Case(
        SignalWireAssignE911Operator,
        _carrier,
        lambda world: {"phone_numbers": carrier.numbers(2), "e911_address_id": ADDRESS},
        lambda world: f"{world.at.space}/{carrier.numbers(1)[0]}",
        lambda world: world.at.space,
        restore=_restore_routing,
    ),
]


# ----------------------------------------------------------------------------------- Omnia Voice


def _omnia(server: EmulatorServer, folder: str) -> World:
    world = World(EmulatedOmnia(server), folder)
    world.at.start(3, OLD)
    return world


def _assigned(server: EmulatorServer, folder: str) -> World:
    world = _omnia(server, folder)
    task = OmniaVoiceAssignNumbersOperator(
        task_id="assign",
        phone_numbers=emulated_omnia.numbers(2),
        agent_id=DESK,
        reassign=True,
        confirm_live=True,
        take_snapshot=True,
        state_folder=folder,
    )
    outcome = world.run(task)
    assert outcome.state == "success", outcome.error
    world.facts["snapshot"] = outcome.xcoms["snapshot"]
    server.journal.clear()
    return world


def _restore_assignments(world: World, url: str) -> Any:
    return OmniaVoiceRestoreAssignmentsOperator(
        task_id="back", snapshot=url, confirm_live=True, state_folder=world.folder, hold=False
    )


OMNIA_VOICE = [
    Case(
        OmniaVoiceAssignNumbersOperator,
        _omnia,
        lambda world: {"phone_numbers": emulated_omnia.numbers(2), "agent_id": DESK, "reassign": True},
        lambda world: f"{world.at.platform}/{emulated_omnia.number(0)}",
        lambda world: world.at.platform,
        restore=_restore_assignments,
    ),
    Case(
        OmniaVoiceUpdateNumbersOperator,
        _omnia,
        lambda world: {
            "phone_numbers": emulated_omnia.numbers(2),
            "changes": {"agent_id": DESK},
            "reassign": True,
        },
        lambda world: f"{world.at.platform}/{emulated_omnia.number(0)}",
        lambda world: world.at.platform,
        restore=_restore_assignments,
    ),
    Case(
        OmniaVoiceDeleteNumbersOperator,
        _omnia,
        lambda world: {"phone_numbers": emulated_omnia.numbers(2), "expected": emulated_omnia.numbers(2)},
        lambda world: f"{world.at.platform}/{emulated_omnia.number(0)}",
        lambda world: world.at.platform,
    ),
    Case(
        OmniaVoiceRestoreAssignmentsOperator,
        _assigned,
        lambda world: {"snapshot": world.facts["snapshot"], "hold": False},
        lambda world: f"{world.at.platform}/{emulated_omnia.number(0)}",
        lambda world: world.at.platform,
        restore=_restore_assignments,
    ),
]

CASES = [*POLYAI, *SIGNALWIRE, *OMNIA_VOICE]
