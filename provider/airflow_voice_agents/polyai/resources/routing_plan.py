"""Plan which connector answers each number of an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change
from airflow_voice_agents.polyai.resources.connector_matching import shown
from airflow_voice_agents.polyai.resources.phone_number import NumberState, PhoneNumberKind, phone_number


def plan_routing(
    kind: PhoneNumberKind,
    agent_id: str,
    numbers: Mapping[str, str],
    *,
    client_env: str,
    states: Mapping[Resource, NumberState],
    connectors: Mapping[str, Sequence[str]],
) -> tuple[PlannedItem, ...]:
    """Plan that numbers ring connectors of their own environment.

    :param kind: the kind of the numbers.
    :param agent_id: the agent that has them.
    :param numbers: E.164 number -> name or id of a connector.
    :param client_env: the environment of numbers and connectors.
    :param states: the numbers as they are; those that the agent does not have are missing.
    :param connectors: name -> ids of the agent's connectors of that environment, with those that a move brings.
    """
    return tuple(
        _routed(kind, phone_number(agent_id, number), states, client_env, (wanted, connectors))
        for number, wanted in numbers.items()
    )


def _routed(
    kind: PhoneNumberKind,
    resource: Resource,
    states: Mapping[Resource, NumberState],
    client_env: str,
    choice: tuple[str, Mapping[str, Sequence[str]]],
) -> PlannedItem:
    now, ids = states.get(resource), _ids(*choice)
    if now is None or now.client_env != client_env:
        return no_change(kind, resource, now, _misplaced(resource, client_env, now))
    if len(ids) != 1:
        return no_change(kind, resource, now, _unclear(resource, client_env, ids, choice))
    return change(kind, resource, now, replace(now, connector_id=ids[0]), identifiers=True)


def _ids(wanted: str, called: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Ids that a name or an id means; an id wins, because it is the platform's own."""
    known = {each for ids in called.values() for each in ids}
    return [wanted] if wanted in known else called.get(wanted, ())


def _misplaced(resource: Resource, client_env: str, now: NumberState | None) -> Finding:
    if now is None:
        return error(
            "number_absent",
            f"{resource.owner} does not have {resource.name}. Import it for {client_env} with "
            "PolyAIImportPhoneNumbersOperator first.",
        )
    return error(
        "wrong_environment",
        f"{resource.name} is in {now.client_env}, not in {client_env}, and no number is taken to another "
        "environment. Name it in the target that it belongs to.",
    )


def _unclear(
    resource: Resource, client_env: str, ids: Sequence[str], choice: tuple[str, Mapping[str, Sequence[str]]]
) -> Finding:
    wanted, called = choice
    if ids:
        return error(
            "ambiguous_connector",
            f"{resource.owner} has {len(ids)} connectors named {wanted!r} in {client_env}: {', '.join(ids)}. "
            "Write the id of one of them.",
        )
    return error(
        "unmatched_connector",
        f"{resource.owner} has no connector {wanted!r} in {client_env} (it has: {shown(called)}). Write the name "
        "or the id of one of them.",
    )
