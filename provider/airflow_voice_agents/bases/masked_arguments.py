"""Arguments whose values must not be kept by Airflow once their templates are rendered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from jinja2 import Environment

    _Base = BaseOperator
else:
    _Base = object

HIDDEN = "(hidden)"
ITEMS_SHOWN = 50


class MaskedArgument:
    """Carries a rendered argument past Airflow's record of rendered templates, which shows an outline.

    :param value: the rendered argument.
    :param open_keys: keys whose values are identifiers and may be shown.
    """

    def __init__(self, value: Any, open_keys: Sequence[str]) -> None:
        self.value = value
        self._open_keys = open_keys

    def serialize(self) -> Any:
        """Return what Airflow may keep: keys and identifiers."""
        return self._outline(self.value, shown=False)

    def __repr__(self) -> str:
        return HIDDEN

    def _outline(self, value: Any, *, shown: bool) -> Any:
        if isinstance(value, dict):
            return {key: self._outline(below, shown=key in self._open_keys) for key, below in value.items()}
        if isinstance(value, (list, tuple)):
            outlined = [self._outline(below, shown=shown) for below in value[:ITEMS_SHOWN]]
            return outlined if len(value) <= ITEMS_SHOWN else [*outlined, f"… {len(value)} in all"]
        return value if shown or value is None else HIDDEN


class MaskedArguments(_Base):
    """Mixin for operators and sensors: covers arguments after rendering, and uncovers them for use."""

    confidential_fields: ClassVar[Sequence[str]] = ()
    """Template fields of which Airflow keeps an outline only."""
    open_keys: ClassVar[Sequence[str]] = ()
    """Keys in those fields whose values are identifiers."""

    may_be_empty: ClassVar[Sequence[str]] = ()
    """Template fields, and keys in them, that can render to nothing."""

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Environment,
        seen_oids: set[int],
    ) -> None:
        """Render, check what came out, and cover what must not be kept; Airflow renders mapped tasks here as well."""
        from airflow_voice_agents.bases.rendered_arguments import render_quietly, settle

        fields = list(template_fields)
        written = {name: getattr(parent, name) for name in fields}
        shown = [name for name in fields if name not in self.confidential_fields]
        super()._do_render_template_fields(parent, shown, context, jinja_env, seen_oids)
        for name in fields:
            if name in self.confidential_fields and written[name]:
                render = partial(self.render_template, context=context, jinja_env=jinja_env)
                setattr(parent, name, render_quietly(render, written[name], name))
        settle(parent, written)
        for name in self.confidential_fields:
            if getattr(parent, name) is not None:
                setattr(parent, name, MaskedArgument(getattr(parent, name), self.open_keys))

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a template; a text without a brace is none, and needs not be compiled: lists may hold 100,000.

        :param content: a template, or a collection of some.
        :param context: the task's context.
        :param jinja_env: environment to render with.
        :param seen_oids: what was rendered already.
        """
        if isinstance(content, str) and "{" not in content and not self.template_ext:
            return content  # a native environment would make a number of it
        return super().render_template(content, context, jinja_env, seen_oids)

    def argument(self, name: str) -> Any:
        """Return a template field's value, uncovered; a text that a template rendered is read as JSON.

        :param name: name of the field.
        :raises InputError: for a text that is not JSON.
        """
        from airflow_voice_agents.bases.template_inputs import from_json

        return from_json(self.uncovered(name), name=name)

    def uncovered(self, name: str) -> Any:
        """Return a template field's value as it was rendered, uncovered.

        :param name: name of the field.
        """
        value = getattr(self, name)
        return value.value if isinstance(value, MaskedArgument) else value
