"""Arguments whose rendered values Airflow must not store."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_voice_agents.airflow_compat import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from jinja2 import Environment

    _Base = BaseOperator
else:
    _Base = object

T = TypeVar("T")

HIDDEN = "(hidden)"
ITEMS_SHOWN = 50
KEY_SHOWN = 80


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
    """Mixin for operators and sensors: covers arguments after rendering, and uncovers them for use.

    An error that leaves a task holds no local variables any more, so that a log that shows those of a traceback
    shows no arguments and no config pages.
    """

    confidential_fields: ClassVar[Sequence[str]] = ()
    """Template fields of which Airflow keeps an outline only."""
    open_keys: ClassVar[Sequence[str]] = ()
    """Keys in those fields whose values are identifiers."""
    may_be_empty: ClassVar[Sequence[str]] = ()
    """Template fields, and keys in them, that can render to nothing."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "execute" in cls.__dict__:
            cls.execute = _without_locals(cls.__dict__["execute"])  # type: ignore[method-assign]

    def resume_execution(self, *args: Any, **kwargs: Any) -> Any:
        """Go on after a deferral, as Airflow does."""
        return _without_locals(super().resume_execution)(*args, **kwargs)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Environment,
        seen_oids: set[int],
    ) -> None:
        """Render the templates and cover what must not be kept; plain and mapped tasks both come by here.

        Airflow logs an argument whose template fails, so confidential ones are rendered here.
        """
        from airflow_voice_agents.bases.rendered_arguments import nothing_expanded, settle

        template_fields = list(template_fields)
        written = {name: parent.uncovered(name) for name in template_fields}
        own = set(self.confidential_fields) if parent is self else set()
        for name in (name for name in template_fields if name in own):
            if isinstance(value := getattr(self, name), MaskedArgument) or value is None:
                continue
            # Nothing of the value may stay in a frame or in the context of the error.
            value, trouble = None, self._render_covered(name, context, jinja_env, seen_oids)
            if trouble is not None:
                written = {}
                raise trouble
        rest = [name for name in template_fields if name not in own]
        super()._do_render_template_fields(parent, rest, context, jinja_env, seen_oids)
        wrong = settle(parent, written) or nothing_expanded(parent, seen_oids)
        if wrong is not None:
            from airflow_voice_agents.transport.errors import InputError

            written = {}
            raise InputError(wrong)

    def _render_covered(
        self, name: str, context: Context, jinja_env: Environment, seen_oids: set[int]
    ) -> Exception | None:
        """Render and cover one argument; return the error to raise, which names field and key only."""
        place: list[str] = []
        value = getattr(self, name)
        try:
            if callable(value):
                rendered = value(context=context, jinja_env=jinja_env)
            else:
                rendered = self._render_parts(value, context, jinja_env, seen_oids, place)
        except Exception as error:  # noqa: BLE001  its text and its frames may hold the argument
            return _template_error(error, "".join([name, *place]))
        setattr(self, name, MaskedArgument(rendered, self.open_keys))
        return None

    def _render_parts(
        self, value: Any, context: Context, jinja_env: Environment, seen_oids: set[int], place: list[str]
    ) -> Any:
        """Render a tree of plain containers; when a part fails, ``place`` holds the way to it."""
        if id(value) in seen_oids:  # values of a mapped task, which are rendered already
            return value
        if type(value) is dict:
            parts: Iterable[tuple[Any, Any]] = value.items()
        elif type(value) in (list, tuple):
            parts = enumerate(value)
        else:
            return self.render_template(value, context, jinja_env, seen_oids)
        rendered: dict[Any, Any] = {}
        for key, below in parts:
            place.append(_step(key))
            rendered[key] = self._render_parts(below, context, jinja_env, seen_oids, place)
            place.pop()
        return rendered if type(value) is dict else type(value)(rendered.values())

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

    def replace(self, name: str, value: Any) -> None:
        """Set a template field, covered as it was.

        :param name: name of the field.
        :param value: its value.
        """
        covered = isinstance(getattr(self, name), MaskedArgument)
        setattr(self, name, MaskedArgument(value, self.open_keys) if covered else value)

    def uncovered(self, name: str) -> Any:
        """Return a template field's value as it was rendered, uncovered.

        :param name: name of the field.
        """
        value = getattr(self, name)
        return value.value if isinstance(value, MaskedArgument) else value


def _without_locals(method: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> T:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            _clear_locals(error)
            raise

    return run


def _clear_locals(error: BaseException) -> None:
    """Clear the variables of all frames that an error and what led to it came through."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        pending += [each.__cause__, each.__context__]
        pending += each.exceptions if isinstance(each, BaseExceptionGroup) else ()


def _step(key: Any) -> str:
    from airflow_voice_agents.plans.display import show_key

    return f"[{key}]" if isinstance(key, int) else f".{show_key(str(key))[:KEY_SHOWN]}"


def _template_error(error: Exception, place: str) -> Exception:
    """Return an error without the text of the template; it is as permanent as the one that it replaces."""
    from jinja2 import TemplateError

    from airflow_voice_agents.transport.errors import InputError, VoiceAgentsError

    text = (
        f"The template of argument {place} could not be rendered ({type(error).__name__}). Nothing was sent. "
        "The text is not shown, because the argument is confidential: correct the template or what it refers to."
    )
    for kind in (AirflowSkipException, AirflowFailException):
        if isinstance(error, kind):
            return kind(text)
    return InputError(text) if isinstance(error, TemplateError) else VoiceAgentsError(text)
