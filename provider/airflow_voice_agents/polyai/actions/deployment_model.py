"""Detect the deployment model of a project, with the evidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.ladder import LIVE
from airflow_voice_agents.polyai.models import Environment
from airflow_voice_agents.polyai.resources.deployment_model import SIMPLIFIED, KnownModel, Model, conclude
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.validation import parse_choice

ASSUMED: Final = (
    "no deployment_model was given, so the ladder is assumed: sandbox, pre-release, live. Pass 'ladder' to confirm it, "
    "'branches', or 'auto'."
)

Read = Callable[[ApiRequest[Any]], Awaitable[Any]]


async def find_model(
    run: RunContext, agent_id: str, model: str | None, read: Read | None = None
) -> KnownModel:
    """Return the model that the author of the DAG gave, or what the deployments of an agent show of it.

    Costs two requests for ``auto``, and none for a model that was given.

    Vendor operation: list deployments.

    :param run: the run; its log gets a line on what is taken for granted or concluded.
    :param agent_id: the agent.
    :param model: ``ladder``, ``branches``, ``auto``, or ``None`` where nothing was given: the ladder is assumed.
    :param read: sends a read; ``None`` uses the run.
    """
    if model is None:
        run.log(f"{agent_id}: {ASSUMED}")
        return KnownModel(Model.LADDER)
    if model != Model.AUTO:
        return KnownModel(Model(model))
    send = read or run.send
    sandbox = await send(api.list_deployments(agent_id, environment=Environment.SANDBOX))
    live = await send(api.list_deployments(agent_id, environment=LIVE))
    known = conclude(sandbox, live)
    name = known.model.value if known.model else "no conclusion"
    run.log(f"{agent_id}: deployment_model='auto': {name}, because {known.reason}")
    return known


def parse_model(value: object) -> Model | None:
    """Check the deployment model of a project.

    :param value: ``ladder``, ``branches``, ``auto``, the deprecated spelling ``simplified``, or ``None``.
    :raises InputError: for anything else.
    """
    if value is None:
        return None
    if value == SIMPLIFIED:
        return Model.BRANCHES
    return Model(parse_choice(value, name="deployment_model", choices=tuple(Model)))
