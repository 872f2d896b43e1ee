"""Assets of PolyAI, on which other DAGs can be scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_voice_agents.plans.report import Report, Status

if TYPE_CHECKING:
    from airflow_voice_agents.plans.drift import DriftReport
    from airflow_voice_agents.plans.kind import Resource
    from airflow_voice_agents.polyai.spec import PromotionSpec


def config_uri(agent_id: str, environment: str) -> str:
    """Return the asset URI of an environment's config page.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/environments/{environment}/config"


def phone_numbers_uri(agent_id: str, environment: str) -> str:
    """Return the asset URI of an environment's phone numbers.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/environments/{environment}/phone-numbers"


def connectors_uri(agent_id: str) -> str:
    """Return the asset URI of an agent's connectors.

    :param agent_id: the agent.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/connectors"


def deployment_uri(agent_id: str, environment: str) -> str:
    """Return the asset URI of an environment's deployment.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/environments/{environment}/deployment"


def routing_uri(agent_id: str) -> str:
    """Return the asset URI of an agent's number routing.

    :param agent_id: the agent.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/routing"


def webhook_uri(agent_id: str | None = None) -> str:
    """Return the asset URI of a webhook.

    :param agent_id: the agent, by its first name in ``[voice_agents] webhook_agents``; ``None`` for all
        signed webhooks of the account.
    """
    return f"polyai://agents/{quote(agent_id, safe='')}/webhook" if agent_id else "polyai://account/webhook"


def sip_extensions_uri(trunk_id: str) -> str:
    """Return the asset URI of the extensions of a SIP trunk.

    :param trunk_id: the trunk.
    """
    return f"polyai://sip-trunks/{quote(trunk_id, safe='')}/extensions"


def sources_of(spec: PromotionSpec) -> list[str]:
    """Return the asset URIs of what a promotion takes from the platform; export files have no asset.

    :param spec: the promotion.
    """
    found = []
    for source in map(spec.source_of, spec.targets):
        if source is None or source.folder is not None or not (source.agent_id and source.environment):
            continue
        found += [config_uri(source.agent_id, source.environment)] if spec.config else []
        found += [connectors_uri(source.agent_id)] if spec.connectors else []
        found += [deployment_uri(source.agent_id, source.environment)] if spec.deployment else []
    return list(dict.fromkeys(found))


def drift_uri(agent_id: str, environment: str | None = None) -> str:
    """Return the asset URI of an environment's drift.

    :param agent_id: the agent.
    :param environment: ``sandbox``, ``pre-release`` or ``live``; ``None`` if it is unknown.
    """
    inside = f"/environments/{environment}" if environment else ""
    return f"polyai://agents/{quote(agent_id, safe='')}{inside}/drift"


def drifts(report: DriftReport) -> dict[str, dict[str, Any]]:
    """Return asset URI -> facts, of every target that has drifted.

    :param report: how all resources stand.
    """
    from airflow_voice_agents.plans.drift import DRIFTED

    found: dict[str, dict[str, Any]] = {}
    for finding in report.having(*DRIFTED):
        owner, _, environment = finding.target.partition("/")
        facts = found.setdefault(
            drift_uri(owner, environment or None), {"drift": finding.drift.value, "resources": 0, "kinds": []}
        )
        facts["resources"] += 1
        facts["kinds"] = sorted({*facts["kinds"], finding.resource.kind})
    return found


def changes(report: Report) -> dict[str, dict[str, Any]]:
    """Return asset URI -> facts, of everything that changed.

    :param report: what happened to resources of any kind.
    """
    changed: dict[str, dict[str, Any]] = {}
    for item in report.having(Status.CHANGED):
        uri, whole = _changed_asset(item.resource)
        facts = changed.setdefault(uri, {"resources": 0, "plan_digest": report.plan_digest})
        facts["resources"] += 1
        if whole:
            facts["digest"] = item.details.get("after")
            facts["changed_keys"] = item.details.get("changed_keys", [])
    return changed


def _changed_asset(resource: Resource) -> tuple[str, bool]:
    """Return the asset that a resource is or belongs to, and whether it is the whole of it.

    The kinds stand here by name, so that no task imports those that it does not work on.
    """
    owner, name = resource.owner, resource.name
    match resource.kind:
        case "config page":
            return config_uri(owner, name), True
        case "deployment":
            return deployment_uri(owner, name), True
        case "phone number":
            return routing_uri(owner), False
        case "SIP extension":
            from airflow_voice_agents.polyai.resources.sip_extension import trunk_of

            return sip_extensions_uri(trunk_of(owner)[1]), False
    return connectors_uri(owner), False
