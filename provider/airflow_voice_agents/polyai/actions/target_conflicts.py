"""Targets of one promotion that stand in each other's way: what one is written, another takes from."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_voice_agents.polyai.spec import PromotionSpec, TargetSpec
from airflow_voice_agents.transport.errors import InputError


def refuse_entangled(spec: PromotionSpec) -> None:
    """Refuse a promotion in which the writes for one target change what another one is planned from.

    A plan says what everything is before its first write. Once such a one was half applied it could not be held
    to any more, and a retry would be refused for what the run itself has done.

    :param spec: the promotion.
    :raises InputError: naming the first two targets, before any request.
    """
    for problem in (*_written_sources(spec), *_leaving_connectors(spec)):
        raise InputError(f"{problem}; promote them one after the other. Nothing was sent.")


def _written_sources(spec: PromotionSpec) -> Iterator[str]:
    written = {target.name for target in spec.targets}
    for target in spec.targets:
        origin = _origin(spec, target)
        takes = spec.config or spec.deployment_of(target) or spec.connectors_of(target)
        if takes is not None and origin in written:
            yield f"{target.name} takes from {origin}, which the same promotion writes"


def _leaving_connectors(spec: PromotionSpec) -> Iterator[str]:
    movers = {
        f"{move.from_agent_id}/{target.environment.value}": target.name
        for target in spec.targets
        for move in target.moves
    }
    for target in spec.targets if movers else ():
        settings = spec.connectors_of(target) is not None
        own = {target.name} if settings or spec.routing_of(target) is not None else set()
        taken = {_origin(spec, target)} if settings else set()
        for place in sorted(filter(None, own | taken)):
            mover = movers.get(place)
            if mover not in (None, target.name):
                yield f"{mover} takes a connector away from {place}, by whose connectors {target.name} is planned"


def _origin(spec: PromotionSpec, target: TargetSpec) -> str | None:
    """Return the environment of an agent that a target takes from; ``None`` for files, and without a source."""
    source = spec.source_of(target)
    if source is None or source.folder is not None or source.environment is None:
        return None
    return f"{source.agent_id}/{source.environment.value}"
