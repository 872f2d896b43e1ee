"""Requests for an environment's real-time config pages and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.polyai import readers
from airflow_voice_agents.polyai.api.requests import AGENT, IDENTIFIERS, deployment_message, get, send
from airflow_voice_agents.polyai.models import (
    ConfigPage,
    Deployment,
    DeploymentResult,
    Environment,
    parse_environment,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.validation import parse_json_object

_CONFIGS = f"{AGENT}/real-time-configs"
_CONFIG = f"{_CONFIGS}/{{clientEnv}}"
_DEPLOYMENTS = f"{AGENT}/deployments"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{deploymentId}}"

# ----------------------------------------------------------------------------- real-time configs


def list_config_pages(agent_id: str) -> ApiRequest[list[ConfigPage]]:
    """Read the real-time config pages of all environments (``GET …/real-time-configs``)."""
    read = readers.list_of(ConfigPage, "configPages")
    return get("list real-time configs", _CONFIGS, read, agent_id=agent_id)


def get_config_page(agent_id: str, *, client_env: str) -> ApiRequest[ConfigPage]:
    """Read the real-time config page of one environment (``GET …/real-time-configs/{clientEnv}``)."""
    return get(
        "get real-time config",
        _CONFIG,
        ConfigPage.model_validate,
        agent_id=agent_id,
        client_env=parse_environment(client_env, name="client_env").value,
    )


def put_config_schema(agent_id: str, *, client_env: str, schema: Mapping[str, Any]) -> ApiRequest[ConfigPage]:
    """Replace the schema of one environment's page (``PUT …/real-time-configs/{clientEnv}/schema``).

    :param schema: JSON Schema, Draft 7.
    """
    return send(
        "update real-time config schema",
        "PUT",
        f"{_CONFIG}/schema",
        ConfigPage.model_validate,
        body={"schema": parse_json_object(schema, name="schema")},
        agent_id=agent_id,
        client_env=parse_environment(client_env, name="client_env").value,
    )


def patch_config_variables(
    agent_id: str, *, client_env: str, variables: Mapping[str, Any]
) -> ApiRequest[ConfigPage]:
    """Set keys of one environment's page (``PATCH …/real-time-configs/{clientEnv}/variables``).

    :param variables: top-level keys, each with its whole value; other keys stay, and none can be removed.
    """
    return send(
        "update real-time config variables",
        "PATCH",
        f"{_CONFIG}/variables",
        ConfigPage.model_validate,
        body={"variables": parse_json_object(variables, name="variables")},
        agent_id=agent_id,
        client_env=parse_environment(client_env, name="client_env").value,
    )


# ----------------------------------------------------------------------------------- deployments


def list_deployments(
    agent_id: str, *, environment: str, limit: int | None = None
) -> ApiRequest[list[Deployment]]:
    """Read the history of an environment, in no order to rely on (``GET …/deployments``).

    :param limit: maximum number of records, from 1; there is no paging.
    """
    query = {"environment": parse_environment(environment).value}
    if limit is not None:
        query["limit"] = _limit(limit)
    read = readers.list_of(Deployment, "deployments")
    return get("list deployments", _DEPLOYMENTS, read, query=query, agent_id=agent_id)


def get_active_deployments(agent_id: str) -> ApiRequest[dict[str, Deployment | None]]:
    """Read what each environment runs (``GET …/deployments/active``)."""
    read = readers.active_deployments
    return get("get active deployments", f"{_DEPLOYMENTS}/active", read, agent_id=agent_id)


def publish(agent_id: str, *, environment: str, message: str = "") -> ApiRequest[DeploymentResult]:
    """Deploy the draft of ``main`` to an environment (``POST …/deployments/publish``).

    :param message: kept with the deployment.
    """
    return send(
        "publish deployment",
        "POST",
        f"{_DEPLOYMENTS}/publish",
        DeploymentResult.model_validate,
        shown=IDENTIFIERS,
        body=deployment_message(message) | {"environment": parse_environment(environment).value},
        agent_id=agent_id,
    )


def promote_deployment(
    agent_id: str, *, deployment_id: str, target_environment: str, message: str = ""
) -> ApiRequest[DeploymentResult]:
    """Deploy a deployment's version to a later environment (``POST …/deployments/{deploymentId}/promote``).

    :param target_environment: ``pre-release`` or ``live``.
    :param message: kept with the new deployment.
    """
    target = parse_environment(target_environment, name="target_environment")
    if target is Environment.SANDBOX:
        raise InputError(
            "target_environment must be 'pre-release' or 'live': nothing is promoted to 'sandbox'"
        )
    return send(
        "promote deployment",
        "POST",
        f"{_DEPLOYMENT}/promote",
        DeploymentResult.model_validate,
        shown=IDENTIFIERS,
        body=deployment_message(message) | {"targetEnvironment": target.value},
        agent_id=agent_id,
        deployment_id=deployment_id,
    )


def rollback_deployment(
    agent_id: str, *, deployment_id: str, message: str = ""
) -> ApiRequest[DeploymentResult]:
    """Go back to a deployment in its own environment (``POST …/deployments/{deploymentId}/rollback``).

    :param deployment_id: the deployment to go back to, not the one to leave.
    :param message: the platform has been seen to drop it.
    """
    return send(
        "roll back deployment",
        "POST",
        f"{_DEPLOYMENT}/rollback",
        DeploymentResult.model_validate,
        body=deployment_message(message),
        agent_id=agent_id,
        deployment_id=deployment_id,
    )


def _limit(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError("limit must be a whole number from 1")
    return str(value)
