"""Plans of a bulk update: targets by environment, and a connector of unknown environment counts as live."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.engine.policy import Policy
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.polyai.actions.connectors import UpdateConnectors, parse_update
from support.actions import carry_out

CHANGES = {"asr_lang_code": "fr-FR"}


def shown(connector_id: str, environment: str | None) -> dict[str, Any]:
    return {"connectorId": connector_id, "clientEnv": environment, "asrLangCode": "en-GB", "name": "n"}


def planned(*connectors: dict[str, Any], confirm_live: bool = False, asked: str = "a") -> Report:
    """A dry run of an update of some connectors."""

    async def send(request: Any) -> Any:
        assert request.operation == "get connectors"
        missing = [each for each in asked if each not in {known["connectorId"] for known in connectors}]
        return request.read({"found": list(connectors), "notFound": missing})

    updates = [{"connector_id": each, **CHANGES} for each in asked]
    given = GuardContext(Overrides(confirm_live=confirm_live))
    log: list[str] = []
    report = carry_out(
        parse_update("rosa", updates, None, None),
        send,
        policy=Policy(dry_run=True),
        guard_context=given,
        log=log.append,
    )
    assert ("would be refused" in "".join(log)) is not confirm_live or report.counts()["changed"] == 0
    return report


@pytest.mark.parametrize("environment", [None, "live"])
def test_a_connector_that_may_be_live_needs_consent(environment: str | None) -> None:
    assert planned(shown("a", environment)).counts()["changed"] == 1
    assert planned(shown("a", environment), confirm_live=True).counts()["changed"] == 1


def test_an_unknown_id_is_refused_and_the_others_go_on() -> None:
    report = planned(shown("a", "live"), asked="ab", confirm_live=True)
    assert [item.status for item in report.items] == [Status.CHANGED, Status.FAILED]
    assert report.items[1].permanent


@pytest.mark.parametrize(
    ("selector", "locked"),
    [
        (None, ("rosa/*",)),
        ({}, ("rosa/*",)),
        ({"name": "Main*"}, ("rosa/*",)),
        ({"client_env": "pre_release"}, ("rosa/pre-release",)),
    ],
)
def test_the_environment_of_a_selector_is_all_that_is_locked(
    selector: dict[str, Any] | None, locked: tuple[str, ...]
) -> None:
    updates = [{"connector_id": "a", **CHANGES}] if selector is None else None
    action = parse_update("rosa", updates, selector, None if selector is None else CHANGES)
    assert isinstance(action, UpdateConnectors)
    assert action.scope().targets == locked
    assert action.scope().exact is (locked != ("rosa/*",))
