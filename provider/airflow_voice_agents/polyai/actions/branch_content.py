"""The content of a branch, as far as the public API lists it: its record, attributes and variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import Attribute, Branch, Variant

MAIN = "main"

PASSING = frozenset({"tag", "diverged"})
"""Fields of a branch's record that change without its content: where it is tried, and what main does."""


@dataclass(frozen=True, slots=True)
class BranchContent:
    """The content of a branch.

    :param branch: its record.
    :param attributes: its attributes.
    :param variants: its variants.
    """

    branch: Branch
    attributes: Sequence[Attribute]
    variants: Sequence[Variant]

    @property
    def state(self) -> str:
        """Digest of everything that the API lists of the branch; another one means that it was changed."""
        record = {
            key: value for key, value in self.branch.model_dump(mode="json").items() if key not in PASSING
        }
        return digest({"record": record, "content": self._by_id()})

    def shown(self) -> dict[str, Any]:
        """Return attributes and variants by name, to compare two branches."""
        names = {each.id: each.name or each.id for each in self.attributes}
        variants = {
            each.name or each.id: {
                "default": bool(each.is_default),
                "values": {names.get(key, key): value for key, value in each.attribute_values.items()},
            }
            for each in self.variants
        }
        return {"attributes": dict.fromkeys(sorted(names.values()), True), "variants": variants}

    def _by_id(self) -> Mapping[str, Any]:
        return {
            "attributes": {each.id: each.name for each in self.attributes},
            "variants": {
                each.id: [each.name, each.is_default, dict(sorted(each.attribute_values.items()))]
                for each in self.variants
            },
        }


async def read_content(run: RunContext, agent_id: str, branch: Branch) -> BranchContent:
    """Read what the API lists of a branch.

    Vendor operations: list attributes, list variants.

    :param run: the run.
    :param agent_id: the agent.
    :param branch: its record.
    """
    branch_id = str(branch.branch_id)
    attributes = await run.send(api.list_attributes(agent_id, branch_id=branch_id))
    variants = await run.send(api.list_variants(agent_id, branch_id=branch_id))
    return BranchContent(branch, attributes, variants)


def find_branch(branches: Sequence[Branch], wanted: str) -> list[Branch]:
    """Return the branch of an id, or all that have a name.

    :param branches: all branches of an agent.
    :param wanted: id or name.
    """
    by_id = [each for each in branches if each.branch_id == wanted]
    return by_id or [each for each in branches if each.name == wanted and each.branch_id]
