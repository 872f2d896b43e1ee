"""The content of a branch, as far as the public API lists it: record, attributes, variants, topics and behavior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.plan import Finding, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Attribute, Branch, Topic, Variant
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import Forbidden, NotFound

T = TypeVar("T")

MAIN = "main"
SHORT_DIGEST = 8
"""Characters of a digest that stand for a text that no plan shows."""

PASSING = frozenset({"tag", "diverged"})
"""Fields of a branch's record that change without its content: where it is tried, and what main does."""


class BranchContent(msgspec.Struct, frozen=True):
    """The content of a branch.

    :param branch: its record.
    :param attributes: its attributes.
    :param variants: its variants.
    :param behavior: its behavior, which is a prompt; ``None`` where it has none, or it cannot be read.
    :param topics: topics of its knowledge base; ``None`` where they cannot be read.
    """

    branch: Branch
    attributes: Sequence[Attribute]
    variants: Sequence[Variant]
    behavior: str | None = None
    topics: Sequence[Topic] | None = None

    @property
    def state(self) -> str:
        """Digest of everything that the API lists of the branch; another one means that it was changed."""
        record = {
            key: value for key, value in self.branch.model_dump(mode="json").items() if key not in PASSING
        }
        return digest({"record": record, "content": self._by_id()})

    def shown(self) -> dict[str, Any]:
        """Return the content by name, to compare two branches; of texts that an agent speaks by, only digests."""
        names = {each.id: each.name or each.id for each in self.attributes}
        variants = {
            each.name or each.id: {
                "default": bool(each.is_default),
                "values": {names.get(key, key): value for key, value in each.attribute_values.items()},
            }
            for each in self.variants
        }
        topics = {each.name or each.id: _topic(each) for each in self.topics or ()}
        return {
            "attributes": dict.fromkeys(sorted(names.values()), True),
            "variants": variants,
            **({"behavior": _told(self.behavior)} if self.behavior is not None else {}),
            **({"topics": topics} if topics else {}),
        }

    def _by_id(self) -> Mapping[str, Any]:
        return {
            "attributes": {each.id: each.name for each in self.attributes},
            "variants": {
                each.id: [each.name, each.is_default, dict(sorted(each.attribute_values.items()))]
                for each in self.variants
            },
            "behavior": self.behavior,
            "topics": None if self.topics is None else {each.id: each.model_dump() for each in self.topics},
        }


def limits_of(mine: BranchContent, main: BranchContent) -> Iterator[Finding]:
    """Yield what a comparison of two branches does not cover.

    :param mine: a branch.
    :param main: the branch that it is compared with.
    """
    unread = [
        name
        for name, sides in (
            ("behavior", (mine.behavior, main.behavior)),
            ("topics", (mine.topics, main.topics)),
        )
        if None in sides
    ]
    if unread:
        yield warning(
            "content_not_read",
            f"Not compared: {' and '.join(unread)}. The platform shows none for one of the branches, or does not let "
            "this key read it.",
        )
    yield warning(
        "content_not_listed",
        "The public API lists attributes, variants, topics and behavior of a branch, and nothing else: compare flows, "
        "functions and settings in Agent Studio.",
    )


async def read_content(run: RunContext, agent_id: str, branch: Branch) -> BranchContent:
    """Read what the API lists of a branch.

    Vendor operations: list attributes, list variants, list topics, get behavior.

    :param run: the run.
    :param agent_id: the agent.
    :param branch: its record.
    """
    branch_id = str(branch.branch_id)
    attributes = await run.send(api.list_attributes(agent_id, branch_id=branch_id))
    variants = await run.send(api.list_variants(agent_id, branch_id=branch_id))
    topics = await _if_shown(run, api.list_topics(agent_id, branch_id=branch_id))
    behavior = await _if_shown(run, api.get_behavior(agent_id, branch_id=branch_id))
    return BranchContent(branch, attributes, variants, behavior, topics)


async def _if_shown(run: RunContext, request: ApiRequest[T]) -> T | None:
    """Return an answer, or ``None`` where there is nothing or the key cannot read it."""
    try:
        return await run.send(request)
    except (Forbidden, NotFound):
        return None


def _topic(topic: Topic) -> dict[str, Any]:
    return {
        "active": topic.is_active is not False,
        "content": _told(topic.content or ""),
        "actions": _told(topic.actions or ""),
        "example_queries": _told("\n".join(topic.example_queries)),
    }


def _told(text: str) -> str:
    """Return what a plan may show of a text that an agent speaks by: its length and a short digest."""
    return f"{len(text)} characters ({digest(text)[:SHORT_DIGEST]})" if text else "(empty)"


def find_branch(branches: Sequence[Branch], wanted: str) -> list[Branch]:
    """Return the branch of an id, or all that have a name.

    :param branches: all branches of an agent.
    :param wanted: id or name.
    """
    by_id = [each for each in branches if each.branch_id == wanted]
    return by_id or [each for each in branches if each.name == wanted and each.branch_id]
