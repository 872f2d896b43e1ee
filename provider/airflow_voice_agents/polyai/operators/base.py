"""Base classes of PolyAI's operators."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias

from airflow_voice_agents.bases.argument_checks import LazyLinks, listed, rendered_later
from airflow_voice_agents.bases.operator import RestoringOperator, VoiceAgentsOperator, WritingOperator
from airflow_voice_agents.polyai import ADVISED_KEYS, SPEC_TYPES, SPELLINGS, TYPE_ALIASES, TYPES_PATH

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.polyai.hooks import PolyAIHook

ALIAS = "polyai"
"""Name of the asset alias through which every PolyAI operator emits its changes."""

OUTLETS = [AssetAlias(ALIAS)]
"""A default of the signature, and a list, because a mapped operator takes its outlets from there."""


SPEC_SCHEMA = Path(__file__).parents[1] / "promotion.schema.json"
"""The JSON Schema of a promotion spec."""


PROMOTION_LINKS: Sequence[Any] = LazyLinks("airflow_voice_agents.polyai.links:LINKS")
"""Links of the operators that promote, deploy or watch."""


class PolyAIOperator(VoiceAgentsOperator):
    """Base of the PolyAI operators.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    asset_alias: ClassVar[str] = ALIAS
    type_aliases = TYPE_ALIASES
    spellings = SPELLINGS
    types_path = TYPES_PATH
    advised_keys = ADVISED_KEYS
    checked_elsewhere = SPEC_TYPES
    ui_color: str = "#e8e4ff"
    operator_extra_links: Sequence[Any] = LazyLinks("airflow_voice_agents.polyai.links:REPORT_LINKS")

    def __init__(
        self, *, polyai_conn_id: str = "polyai_default", outlets: Any = OUTLETS, **kwargs: Any
    ) -> None:
        super().__init__(outlets=outlets, **kwargs)
        self.polyai_conn_id = polyai_conn_id

    def hook(self) -> PolyAIHook:
        """Return a hook for the connection."""
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        return PolyAIHook(self.polyai_conn_id)

    def leave_links(self, context: Context, agents: Sequence[str]) -> None:
        """Leave the addresses of the links as XComs, so that they work while the task runs.

        :param context: the task's context.
        :param agents: agents that the task is about; the link leads to the first.
        """
        from airflow_voice_agents.polyai.links import leave_links

        leave_links(self, context, agents)


class PolyAIWritingOperator(PolyAIOperator, WritingOperator):
    """Base of the PolyAI operators that write."""

    template_fields: Sequence[str] = ("polyai_conn_id", *WritingOperator.template_fields)


class PolyAIRestoringOperator(PolyAIOperator, RestoringOperator):
    """Base of the PolyAI operators that undo earlier work."""

    template_fields: Sequence[str] = ("polyai_conn_id", *RestoringOperator.template_fields)


def spec_problems(operator: Any) -> Iterator[str]:
    """Yield what is wrong with a promotion spec that is written into the DAG, by its JSON Schema.

    The schema is a file, so that parsing a DAG file loads none of the modules that read a spec; the task reads it.

    :param operator: an operator with ``spec`` and ``targets``.
    """
    written, own = operator.uncovered("spec"), operator.uncovered("targets")
    if not isinstance(written, Mapping) or rendered_later(operator, "spec", "targets"):
        return
    from jsonschema.exceptions import best_match

    targets = {} if own is None else {"targets": own}
    spec = json.loads(json.dumps({**written, **targets}, default=str))
    wrong = best_match(_spec_validator().iter_errors(spec))
    if wrong is not None:
        yield _spec_problem(wrong)


@cache
def _spec_validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SPEC_SCHEMA.read_text(encoding="utf-8")))


def _spec_problem(wrong: Any) -> str:
    from airflow_voice_agents.transport.model_errors import place

    where = place(["spec", *wrong.absolute_path])
    if wrong.validator == "additionalProperties":
        known = list(wrong.schema["properties"])
        unknown = ", ".join(sorted(key for key in wrong.instance if key not in known))
        return f"{where} has unknown keys {unknown}; allowed are {', '.join(known)}."
    if wrong.validator == "required":
        missing = ", ".join(key for key in wrong.validator_value if key not in wrong.instance)
        return f"{where} lacks {missing}."
    if wrong.validator == "enum":
        return f"{where} must be {listed(wrong.validator_value)}."
    return f"{where} must be {wrong.validator_value}." if wrong.validator == "type" else f"{where} is wrong."
