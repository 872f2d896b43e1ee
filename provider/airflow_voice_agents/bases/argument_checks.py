"""Checks of arguments when an operator or sensor is made, so that a mistake is an import error of the DAG file."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from airflow.sdk.bases.operator import BaseOperatorMeta
from airflow.sdk.definitions._internal.mixins import ResolveMixin

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    _Base = BaseOperator
else:
    _Base = object

RENAMED = {"dry_run": "plan_only"}
"""Arguments whose attribute has another name."""

TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "Flag": (bool,),
    "float": (int, float),
    "int": (int,),
    "None": (type(None),),
    "str": (str,),
    "TemplatedText": (str,),
}
HARMLESS = ("assigned_users", "notifiers", "overrides", "selector")
"""Arguments that mean the same empty and left out, or of which the documentation says what empty means."""

NOT_WRITTEN = ("Template", "Templated", "XComArg")
"""Names in annotations that stand for templates alone, which are not checked here."""


class Accepted(NamedTuple):
    """What an argument may be.

    :param types: its types.
    :param choices: its values, where only some texts are right.
    """

    types: tuple[type, ...]
    choices: tuple[str, ...]


class CheckedWhenMade(BaseOperatorMeta):
    """Metaclass that has an operator check its arguments once its constructors are through.

    Constructors only assign, as Airflow asks, and a subclass's constructor goes on after its base's.
    """

    if not TYPE_CHECKING:  # a checker would take this signature for that of every operator

        def __call__(cls, *args, **kwargs):  # noqa: N805
            made = super().__call__(*args, **kwargs)
            if not kwargs.get("_airflow_from_mapped"):
                made.check_arguments()
            return made


class CheckedArguments(_Base, metaclass=CheckedWhenMade):
    """Mixin for operators and sensors: checks arguments when they are made, and again once they are rendered.

    The second check is the only one of a mapped task, which Airflow makes when it renders it.
    """

    type_aliases: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Names in the annotations of arguments -> the texts that they stand for."""

    def check_arguments(self) -> None:
        """Check what is known by now; a template is checked when the task runs.

        :raises InputError: naming the arguments that are wrong; Airflow shows it as an import error of the file.
        """
        if wrong := list(self.argument_problems()):
            from airflow_voice_agents.transport.errors import InputError

            raise InputError(f"{type(self).__name__} {self.task_id!r}: {' '.join(wrong)}")

    def argument_problems(self) -> Iterator[str]:
        """Yield a sentence for each argument that is wrong."""
        yield from empty_arguments(self)
        yield from wrong_arguments(self)

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        super()._do_render_template_fields(*args, **kwargs)
        self.check_arguments()


def wrong_arguments(operator: Any) -> Iterator[str]:
    """Yield a sentence for each argument that is neither a template nor of its annotated type.

    :param operator: an operator or sensor.
    """
    texts = tuple(sorted((name, tuple(texts)) for name, texts in operator.type_aliases.items()))
    for name, accepted in _accepted(cast("Hashable", type(operator)), texts):
        value = getattr(operator, RENAMED.get(name, name))
        if rendered_later(operator, name) or _fits(value, accepted):
            continue
        yield _sentence(name, value, accepted, hidden=name in getattr(operator, "confidential_fields", ()))


def rendered_later(operator: Any, *names: str) -> bool:
    """Return whether one of some arguments is a template, so that only the task knows its value.

    :param operator: an operator or sensor.
    :param names: the arguments.
    """
    attributes = (RENAMED.get(name, name) for name in names)
    return any(
        holds_template(getattr(operator, each)) for each in attributes if each in operator.template_fields
    )


def listed(choices: Sequence[str]) -> str:
    """Return choices as a phrase: ``'a', 'b' or 'c'``."""
    return " or ".join(filter(None, (", ".join(map(repr, choices[:-1])), repr(choices[-1]))))


def flags(operator: type) -> dict[str, str]:
    """Return the attributes that take a boolean only, and the names of their arguments.

    :param operator: class of an operator or sensor.
    """
    found = _accepted(cast("Hashable", operator), ())
    return {
        RENAMED.get(name, name): name
        for name, accepted in found
        if bool in accepted.types and set(accepted.types) <= {bool, type(None)}
    }


def empty_arguments(operator: Any) -> Iterator[str]:
    """Yield a sentence for each argument that was given and is empty, where leaving it out means everything.

    :param operator: an operator or sensor.
    """
    for name in _left_out(cast("Hashable", type(operator))):
        value = getattr(operator, RENAMED.get(name, name), None)
        if name in (*operator.may_be_empty, *HARMLESS):
            continue
        if isinstance(value, (str, Mapping, list, tuple)) and not value:
            yield f"{name} is empty: leave it out where its default is meant."


def is_template(value: Any) -> bool:
    """Return whether a value is a text with a Jinja template, the output of a task, or an argument of a mapped group.

    :param value: what the DAG's author wrote.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    return isinstance(value, ResolveMixin)


def holds_template(value: Any) -> bool:
    """Return whether a value is a template, or a collection that holds one.

    :param value: what the DAG's author wrote.
    """
    if isinstance(value, Mapping):
        return any(holds_template(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(holds_template, value))
    return is_template(value)


@cache
def _accepted(
    operator: Hashable, aliases: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[tuple[str, Accepted], ...]:
    known = dict(aliases)
    read = ((name, _read(str(each.annotation), known)) for name, each in _parameters(operator).items())
    return tuple((name, accepted) for name, accepted in read if accepted)


@cache
def _left_out(operator: Hashable) -> tuple[str, ...]:
    return tuple(name for name, each in _parameters(operator).items() if each.default is None)


def _parameters(operator: Hashable) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(cast("type", operator)):
        constructor: Any = base.__dict__.get("__init__")
        if constructor is None or not base.__module__.startswith(__name__.split(".", 1)[0]):
            continue
        for name, parameter in inspect.signature(constructor).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(name, parameter)
    return found


def _read(annotation: str, aliases: Mapping[str, tuple[str, ...]]) -> Accepted | None:
    types: list[type] = []
    choices: list[str] = []
    for part in _parts(ast.parse(annotation, mode="eval").body):
        text = ast.unparse(part)
        if text in TYPES:
            types += TYPES[text]
        elif text in aliases:
            choices += aliases[text]
        elif isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Literal":
            choices += ast.literal_eval(
                part.slice if isinstance(part.slice, ast.Tuple) else f"[{ast.unparse(part.slice)}]"
            )
        elif text not in NOT_WRITTEN:
            return None
    return Accepted(tuple(types), tuple(choices))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield node


def _fits(value: Any, accepted: Accepted) -> bool:
    if isinstance(value, bool):
        return bool in accepted.types
    return isinstance(value, accepted.types) or (isinstance(value, str) and value in accepted.choices)


def _sentence(name: str, value: Any, accepted: Accepted, *, hidden: bool) -> str:
    from reprlib import repr as shorten

    from airflow_voice_agents.transport.suggestions import did_you_mean

    kinds = {
        "bool": "True or False",
        "int": "a whole number",
        "float": "a number",
        "NoneType": "None",
        "str": "a text",
    }
    wanted = [
        *([listed(accepted.choices)] if accepted.choices else []),
        *dict.fromkeys(kinds[each.__name__] for each in accepted.types),
    ]
    found = type(value).__name__ if hidden or not isinstance(value, (str, int, float)) else shorten(value)
    meant = did_you_mean(value, accepted.choices) if isinstance(value, str) and not hidden else ""
    return f"{name} must be {' or '.join(wanted)}, not {found}.{meant}"
