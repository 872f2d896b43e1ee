"""Which asset a changed resource belongs to."""

from __future__ import annotations

import pytest

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.polyai.assets import changes
from airflow_voice_agents.polyai.resources import (
    config_page,
    connector,
    deployment,
    phone_number,
    sip_extension,
)


@pytest.mark.parametrize(
    ("resource", "uri", "facts"),
    [
        (
            config_page.page("hotel-1", "live"),
            "agents/hotel-1/environments/live/config",
            {"digest", "changed_keys"},
        ),
        (
            Resource(deployment.KIND, "hotel-1", "live"),
            "agents/hotel-1/environments/live/deployment",
            {"digest", "changed_keys"},
        ),
        (Resource(phone_number.KIND, "hotel-1", "+441632960123"), "agents/hotel-1/routing", set()),
        (Resource(connector.KIND, "hotel-1", "c-1"), "agents/hotel-1/connectors", set()),
        (Resource(sip_extension.KIND, "ac-1/trunk-1", "100"), "sip-trunks/trunk-1/extensions", set()),
    ],
    ids=["config", "deployment", "number", "connector", "extension"],
)
def test_every_kind_has_its_asset(resource: Resource, uri: str, facts: set[str]) -> None:
    report = Report("it", (ItemReport(resource, Status.CHANGED, details={"after": "a" * 12}),))

    [(found, told)] = changes(report).items()

    assert found == f"polyai://{uri}"
    assert told.keys() == {"resources", "plan_digest", *facts}
