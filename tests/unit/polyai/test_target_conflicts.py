"""Targets of one promotion of which one changes what another is planned from."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.polyai.actions.planner import refuse_entangled
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import InputError


def place(agent: str, environment: str = "pre-release", **own: Any) -> dict[str, Any]:
    return {"agent_id": agent, "environment": environment, **own}


def taking(
    agent: str, source: tuple[str, str], environment: str = "pre-release", **own: Any
) -> dict[str, Any]:
    return place(agent, environment, source=place(*source), **own)


def moving(agent: str, origin: str, **own: Any) -> dict[str, Any]:
    return place(agent, moves=[{"connector_id": "c-1", "from_agent_id": origin}], **own)


def check(*targets: dict[str, Any], **sections: Any) -> None:
    refuse_entangled(PromotionSpec.parse({"targets": list(targets), **sections}))


CLIMBING = (taking("spa", ("spa", "sandbox")), taking("spa", ("spa", "pre-release"), "live"))


@pytest.mark.parametrize("section", ["config", "deployment", "connectors"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_target_is_no_source_of_another(section: str, order: int) -> None:
    with pytest.raises(InputError) as refused:
        check(*CLIMBING[::order], **{section: {}})
    said = str(refused.value)
    assert "spa/live takes from spa/pre-release, which the same promotion writes" in said
    assert "one after the other. Nothing was sent." in said


def test_sources_that_nobody_writes_may_be_shared_and_be_of_the_targets_own_agents() -> None:
    check(taking("spa", ("spa", "sandbox")), taking("inn", ("spa", "sandbox")), config={}, connectors={})
    check(taking("spa", ("spa", "sandbox")), place("inn", source={"folder": "file:///kept"}), config={})


def test_a_source_that_nothing_is_taken_from_may_be_written() -> None:
    check(*(each | {"routing": {"numbers": {"+442079460000": "Main"}}} for each in CLIMBING))


@pytest.mark.parametrize(
    ("other", "of"),
    [
        (taking("inn", ("hub", "pre-release"), connectors={}), "inn/pre-release"),
        (taking("hub", ("spa", "sandbox"), connectors={}), "hub/pre-release"),
        (place("hub", routing={"numbers": {"+442079460000": "Main"}}), "hub/pre-release"),
    ],
    ids=["settings are taken from there", "settings are set there", "numbers are routed there"],
)
def test_no_connector_leaves_an_environment_by_whose_connectors_another_target_is_planned(
    other: dict[str, Any], of: str
) -> None:
    said = f"bar/pre-release takes a connector away from hub/pre-release, by whose connectors {of} is planned"
    for targets in ([moving("bar", "hub"), other], [other, moving("bar", "hub")]):
        with pytest.raises(InputError, match=said):
            check(*targets)


def test_connectors_that_leave_where_nobody_else_looks_may_move() -> None:
    check(moving("bar", "hub"), moving("inn", "hub"))
    check(moving("bar", "hub"), taking("inn", ("hub", "sandbox"), connectors={}))
    check(moving("bar", "hub", source=place("spa")), taking("hub", ("spa", "sandbox")), config={})
    check(moving("bar", "hub", source=place("hub"), connectors={}))
