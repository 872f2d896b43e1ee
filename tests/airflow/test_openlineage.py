"""OpenLineage: source → target of a run, with the plan's digest and without values; nothing where it is missing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from airflow_voice_agents.bases import lineage
from airflow_voice_agents.bases.lineage import FACET, Lineage
from airflow_voice_agents.polyai.assets import config_uri, connectors_uri, deployment_uri, sources_of
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.spec import PromotionSpec
from support.emulated import HOTELS, PRE_RELEASE, SANDBOX, Emulated

INSTALLED = importlib.util.find_spec("openlineage") is not None
MODULES = ("airflow.providers.openlineage.extractors", "airflow.providers.common.compat.openlineage.facet")
MESSAGE = "a value that nobody may see here"


@dataclass
class Dataset:
    namespace: str
    name: str


@dataclass
class OperatorLineage:
    inputs: list[Any]
    outputs: list[Any]
    run_facets: dict[str, Any] = field(default_factory=dict)


class RunFacet:
    """Stands in for OpenLineage's base of facets."""


@pytest.fixture
def openlineage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenLineage's Airflow provider, or stand-ins for what is imported of it where it is not installed."""
    lineage._plan_facet.cache_clear()
    if not INSTALLED:
        for name in ("airflow.providers.openlineage", *MODULES):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules[MODULES[0]].OperatorLineage = OperatorLineage  # type: ignore[attr-defined]
        sys.modules[MODULES[1]].Dataset = Dataset  # type: ignore[attr-defined]
        sys.modules[MODULES[1]].RunFacet = RunFacet  # type: ignore[attr-defined]
    yield
    lineage._plan_facet.cache_clear()


def promotion(**more: Any) -> PolyAIPromoteConfigOperator:
    return PolyAIPromoteConfigOperator(
        **more,
        task_id="promote",
        source={"agent_id": HOTELS, "environment": SANDBOX},
        targets={"agent_id": HOTELS, "environment": PRE_RELEASE},
        include_keys=["holiday_message"],
        promote_schema=False,
    )


@dataclass
class Ran:
    """Takes the operator as it was executed, which is what OpenLineage's listener asks."""

    tasks: list[Any] = field(default_factory=list)

    def __call__(self, context: Any) -> None:
        self.tasks.append(context["task"])

    @property
    def facts(self) -> Any:
        return self.tasks[-1].get_openlineage_facets_on_complete(None)


@pytest.fixture
def ran() -> Ran:
    return Ran()


def named(datasets: list[Any]) -> list[tuple[str, str]]:
    return [(each.namespace, each.name) for each in datasets]


def config_of(environment: str) -> tuple[str, str]:
    return ("polyai://agents", f"{HOTELS}/environments/{environment}/config")


@pytest.mark.usefixtures("openlineage")
def test_a_promotion_leads_from_its_source_to_its_target_with_the_plan_s_digest(
    polyai: Emulated, ran: Ran
) -> None:
    polyai.put(HOTELS, SANDBOX, holiday_message=MESSAGE)
    outcome = polyai.run(promotion(on_success_callback=ran))
    facts = ran.facts

    assert outcome.state == "success", outcome.error
    assert named(facts.inputs) == [config_of(SANDBOX)]
    assert named(facts.outputs) == [config_of(PRE_RELEASE)]
    assert facts.run_facets[FACET].planDigest == outcome.result["plan_digest"]
    assert MESSAGE not in repr(facts)


@pytest.mark.usefixtures("openlineage")
def test_a_run_that_changes_nothing_has_no_outputs(polyai: Emulated, ran: Ran) -> None:
    assert polyai.run(promotion()).state == "success"

    assert polyai.run(promotion(on_success_callback=ran)).state == "success"

    assert named(ran.facts.outputs) == []


@pytest.mark.usefixtures("openlineage")
def test_an_update_has_no_source(polyai: Emulated, ran: Ran) -> None:
    task = PolyAIUpdateConfigOperator(
        task_id="update",
        on_success_callback=ran,
        targets={"agent_id": HOTELS, "environment": SANDBOX},
        values={"holiday_message": MESSAGE},
    )

    assert polyai.run(task).state == "success"

    facts = ran.facts
    assert (named(facts.inputs), named(facts.outputs)) == ([], [config_of(SANDBOX)])


@pytest.mark.usefixtures("openlineage")
def test_a_deployment_leads_from_environment_to_environment(polyai: Emulated, ran: Ran) -> None:
    task = PolyAIPromoteDeploymentOperator(
        task_id="promote",
        on_success_callback=ran,
        agent_id=HOTELS,
        source_environment=SANDBOX,
        target_environment=PRE_RELEASE,
    )

    outcome = polyai.run(task)

    assert outcome.state == "success", outcome.error
    assert named(ran.facts.inputs) == [("polyai://agents", f"{HOTELS}/environments/{SANDBOX}/deployment")]


def test_without_openlineage_there_is_nothing(
    polyai: Emulated, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("airflow.providers.openlineage", MODULES[0]):
        monkeypatch.setitem(sys.modules, name, None)

    assert polyai.run(promotion(on_success_callback=ran)).state == "success"

    assert ran.facts is None


def test_before_it_ran_an_operator_has_nothing_to_show() -> None:
    assert promotion().get_openlineage_facets_on_complete(None) is None


@pytest.mark.usefixtures("openlineage")
def test_without_a_digest_there_is_no_facet() -> None:
    facts = Lineage(("polyai://agents/a/config",), (), None).openlineage()

    assert facts.run_facets == {}


def test_a_spec_s_sources_are_those_of_its_targets_and_no_files() -> None:
    spec = PromotionSpec.parse(
        {
            "source": {"agent_id": "a", "environment": SANDBOX},
            "targets": [
                {"agent_id": "a", "environment": PRE_RELEASE},
                {"agent_id": "b", "environment": PRE_RELEASE, "source": {"folder": "file:///exports"}},
                {
                    "agent_id": "c",
                    "environment": PRE_RELEASE,
                    "source": {"agent_id": "d", "environment": SANDBOX},
                },
            ],
            "config": {},
        }
    )

    assert sources_of(spec) == [config_uri("a", SANDBOX), config_uri("d", SANDBOX)]
    own = PromotionSpec.parse({**spec.plain(), "source": {"environment": SANDBOX}})
    assert sources_of(own) == sources_of(spec)
    deployments = spec.model_copy(update={"config": None, "deployment": object()})
    assert sources_of(deployments) == [deployment_uri("a", SANDBOX), deployment_uri("d", SANDBOX)]
    connectors = spec.model_copy(update={"config": None, "connectors": object()})
    assert sources_of(connectors) == [connectors_uri("a"), connectors_uri("d")]
