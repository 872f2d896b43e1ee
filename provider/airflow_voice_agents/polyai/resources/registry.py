"""PolyAI's resource kinds by name, and the order in which they depend on each other."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.plans.kind import ResourceKind
from airflow_voice_agents.polyai.resources import (
    config_page,
    connector,
    connector_move,
    deployment,
    phone_number,
    sip_extension,
)

ORDER = (
    *(config_page.KIND, deployment.KIND, connector_move.KIND, connector.KIND, phone_number.KIND),
    sip_extension.KIND,
)
"""New content finds its config; variants come with content; connectors are there before numbers lead to them."""

BATCH_SIZE = 50


def kinds(*, bridge_schema: bool = False, batch_size: int = BATCH_SIZE) -> dict[str, ResourceKind[Any]]:
    """Return every kind that a promotion may hold.

    :param bridge_schema: whether a permissive schema may stand between when no plain order is valid.
    :param batch_size: most connectors, and most numbers, per call.
    """
    return {
        config_page.KIND: config_page.ConfigPageKind(bridge_schema=bridge_schema),
        deployment.KIND: deployment.DeploymentKind(),
        connector_move.KIND: connector_move.ConnectorMoveKind(batch_size=batch_size),
        connector.KIND: connector.ConnectorKind(batch_size=batch_size),
        phone_number.KIND: phone_number.PhoneNumberKind(batch_size=batch_size),
        sip_extension.KIND: sip_extension.SipExtensionKind(),
    }
