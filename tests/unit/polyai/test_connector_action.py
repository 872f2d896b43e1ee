"""Plans of a bulk update: targets by environment, and a connector of unknown environment counts as live."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.engine.policy import Policy
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.report import Report, Status
from airflow_voice_agents.polyai.actions.connectors import UpdateConnectors, _selected_earlier, parse_update
from support.actions import carry_out

CHANGES = {"asr_lang_code": "fr-FR"}


def shown(connector_id: str, environment: str | None) -> dict[str, Any]:
    return {"connectorId": connector_id, "clientEnv": environment, "asrLangCode": "en-GB", "name": "n"}


def planned(*connectors: dict[str, Any], asked: str = "a", confirm_live: bool = True) -> tuple[Report, str]:
    """The report and the log of a dry run of an update."""

    async def send(request: Any) -> Any:
        assert request.operation == "get connectors"
        known = {each["connectorId"] for each in connectors}
        return request.read({"found": list(connectors), "notFound": [*(set(asked) - known)]})

    log: list[str] = []
    report = carry_out(
        parse_update("rosa", [{"connector_id": each, **CHANGES} for each in asked], None, None),
        send,
        policy=Policy(dry_run=True),
        guard_context=GuardContext(Overrides(confirm_live=confirm_live)),
        log=log.append,
    )
    return report, "\n".join(log)


@pytest.mark.parametrize(
    ("environment", "needs"), [(None, True), ("live", True), ("sandbox", False), ("pre-release", False)]
)
def test_a_connector_that_may_be_live_needs_consent(environment: str | None, needs: bool) -> None:
    _, refused = planned(shown("a", environment), confirm_live=False)
    _, allowed = planned(shown("a", environment))
    assert ("would be refused" in refused) is needs
    assert "would be refused" not in allowed


def test_an_unknown_id_is_refused_and_the_others_go_on() -> None:
    report, _ = planned(shown("a", "live"), asked="ab")
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


def test_what_the_former_release_noted_of_its_one_agent_is_still_known() -> None:
    class Noted:
        def recall(self, key: str) -> Any:
            return {"selected-connectors": ["a"]}[key]

    assert _selected_earlier(Noted(), "rosa") == {"a"}  # type: ignore[arg-type]
