"""Checks of arguments when an operator or sensor is created, so that a mistake is an import error of the DAG
file.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pkgutil import resolve_name
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    TypeAlias,
    cast,
    get_args,
    get_origin,
    is_typeddict,
)

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
    "datetime": (datetime,),
    "Flag": (bool,),
    "float": (int, float),
    "int": (int,),
    "None": (type(None),),
    "str": (str,),
    "Templated": (str,),
    "TemplatedText": (str,),
    "timedelta": (timedelta,),
}
HARMLESS = ("assigned_users", "notifiers", "overrides", "selector")
"""Arguments that mean the same empty and left out, or of which the documentation says what empty means."""

NOT_WRITTEN = ("Template", "XComArg")
"""Names in annotations that stand for templates alone, which are not checked here."""

ANYTHING = ("Any", "RetryPolicy")
"""Names in annotations of what Airflow checks itself."""

JSON_TYPES = (str, bytes, int, float, Mapping, Sequence, Set, type(None))
"""Types that an object of a class of ours, such as a route, does not have."""

SHARED_TYPES = "airflow_voice_agents.bases.types"

Alternative: TypeAlias = str | tuple[str, ...]
"""An argument, or arguments that belong together."""


class Shape(NamedTuple):
    """What an argument, or a part of one, can be.

    :param types: its types.
    :param choices: its values, where only some texts are right.
    :param lists: what the members of a list can be.
    :param mappings: what the values of a mapping can be.
    :param names: types of ours by name, which are looked up when something else does not fit.
    :param keys: what the values of a mapping with known keys can be.
    :param required: the keys that such a mapping must have.
    :param objects: whether an object of a class of ours is left to the task.
    :param anything: whether it is not checked.
    """

    types: tuple[type, ...] = ()
    choices: tuple[str, ...] = ()
    lists: tuple[Shape, ...] = ()
    mappings: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()
    keys: tuple[tuple[str, Shape], ...] = ()
    required: tuple[str, ...] = ()
    objects: bool = False
    anything: bool = False


class Wrong(NamedTuple):
    """A part of an argument that does not fit.

    :param path: where it is: ``targets[0].environment``.
    :param value: what stands there.
    :param shape: what can stand there.
    :param keys: what is wrong with the keys of a mapping, as a sentence.
    """

    path: str
    value: Any
    shape: Shape
    keys: str = ""


class LazyLinks(Sequence[Any]):
    """Extra links that are imported when Airflow looks at them, not when a DAG file is parsed.

    :param path: the links, as ``package.module:NAME``.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __getitem__(self, place: Any) -> Any:
        """Return one of them."""
        return resolve_name(self.path)[place]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(resolve_name(self.path))


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
    spellings: ClassVar[Mapping[str, str]] = {}
    """Further spellings of such texts."""
    types_path: ClassVar[str] = SHARED_TYPES
    """Module with the types that annotations name; it is imported where a structure is to be checked."""
    advised_keys: ClassVar[Sequence[str]] = ()
    """Keys in mappings about which the task says what to do instead."""
    checked_elsewhere: ClassVar[Sequence[str]] = ()
    """Names of such types that have a check of their own."""
    exactly_one_of: ClassVar[Sequence[Sequence[Alternative]]] = ()
    """Arguments, or groups of them, of which one must be given whole and the others not."""
    at_most_one_of: ClassVar[Sequence[Sequence[Alternative]]] = ()
    """The same where all may be left out, and a part of a group is enough."""

    def check_arguments(self) -> None:
        """Check what is known by now; a template is checked when the task runs.

        :raises InputError: naming the arguments that are wrong; Airflow shows it as an import error of the file.
        """
        with self._depth_bounded():
            wrong = list(self.argument_problems())
        if wrong:
            from airflow_voice_agents.transport.errors import InputError

            raise InputError(f"{type(self).__name__} {self.task_id!r}: {' '.join(wrong)}")

    @contextmanager
    def _depth_bounded(self) -> Iterator[None]:
        """Refuse an argument whose walk does not end; where it can be named, it is."""
        try:
            yield
        except RecursionError:
            from airflow_voice_agents.transport.errors import InputError

            names = ", ".join(_deep_arguments(self)) or "an argument"
            raise InputError(
                f"{type(self).__name__} {self.task_id!r}: {names} is nested too deeply or contains itself."
            ) from None

    def argument_problems(self) -> Iterator[str]:
        """Yield a sentence for each argument that is wrong."""
        yield from empty_arguments(self)
        yield from wrong_arguments(self)
        yield from wrong_alternatives(self)

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        with self._depth_bounded():
            super()._do_render_template_fields(*args, **kwargs)
        self.check_arguments()


def wrong_arguments(operator: Any) -> Iterator[str]:
    """Yield a sentence for each argument that is neither a template nor of its annotated type.

    :param operator: an operator or sensor.
    """
    for name, shape, default in _shapes(cast("Hashable", type(operator))):
        value = operator.uncovered(RENAMED.get(name, name))
        if value is default or shape.anything:
            continue
        templated = RENAMED.get(name, name) in operator.template_fields
        wrong = _wrong(value, shape, name, _Names(operator, templated=templated))
        if wrong is not None:
            yield _sentence(wrong, hidden=_is_hidden(operator, name, wrong.path))


def wrong_alternatives(operator: Any) -> Iterator[str]:
    """Yield a sentence where several arguments are given of which one is enough, or none where one is needed.

    :param operator: an operator or sensor.
    """
    for required, choices in (
        *((True, each) for each in operator.exactly_one_of),
        *((False, each) for each in operator.at_most_one_of),
    ):
        groups = [(each,) if isinstance(each, str) else each for each in choices]
        given = [group for group in groups if any(_is_given(operator, name) for name in group)]
        whole = all(_is_given(operator, name) for group in given for name in group)
        if len(given) > 1 or (required and not (given and whole)):
            yield _give(
                [_together(group) if required else "/".join(group) for group in groups], required=required
            )


def _is_given(operator: Any, name: str) -> bool:
    return operator.uncovered(RENAMED.get(name, name)) is not None


def _together(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _give(choices: Sequence[str], *, required: bool) -> str:
    if len(choices) == 2:
        comma = "," if any(" and " in each for each in choices) else ""
        return f"give either {choices[0]}{comma} or {choices[1]}."
    count = "exactly" if required else "at most"
    return f"give {count} one of {', '.join(choices[:-1])} and {choices[-1]}."


def _deep_arguments(operator: Any) -> list[str]:
    from airflow_voice_agents.transport.strict_json import is_deeper

    names = arguments(type(operator))
    return [name for name in names if is_deeper(operator.uncovered(RENAMED.get(name, name)))]


def rendered_later(operator: Any, *names: str) -> bool:
    """Return whether one of some arguments is a template, so that only the task knows its value.

    :param operator: an operator or sensor.
    :param names: the arguments.
    """
    attributes = (RENAMED.get(name, name) for name in names)
    return any(
        holds_template(operator.uncovered(each)) for each in attributes if each in operator.template_fields
    )


def listed(choices: Sequence[str]) -> str:
    """Return choices as a phrase: ``'a', 'b' or 'c'``."""
    return " or ".join(filter(None, (", ".join(map(repr, choices[:-1])), repr(choices[-1]))))


def flags(operator: type) -> dict[str, str]:
    """Return the attributes that take a boolean only, and the names of their arguments.

    :param operator: class of an operator or sensor.
    """
    return {
        RENAMED.get(name, name): name
        for name, shape, _ in _shapes(cast("Hashable", operator))
        if bool in shape.types and shape == Shape(shape.types) and set(shape.types) <= {bool, type(None)}
    }


def arguments(operator: type) -> tuple[str, ...]:
    """Return the names of the arguments of ours.

    :param operator: class of an operator or sensor.
    """
    return tuple(name for name, _, _ in _shapes(cast("Hashable", operator)))


def empty_arguments(operator: Any) -> Iterator[str]:
    """Yield a sentence for each argument that was given and is empty, where leaving it out means everything.

    :param operator: an operator or sensor.
    """
    for name in _left_out(cast("Hashable", type(operator))):
        value = operator.uncovered(RENAMED.get(name, name))
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
def _shapes(operator: Hashable) -> tuple[tuple[str, Shape, Any], ...]:
    parameters = _parameters(operator).items()
    return tuple((name, _read(str(each.annotation)), each.default) for name, each in parameters)


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


@cache
def _read(annotation: str) -> Shape:
    found = Shape()
    for part in _parts(ast.parse(annotation, mode="eval").body):
        found = _joined(found, _read_part(part))
    return found


def _read_part(part: ast.expr) -> Shape:
    text = ast.unparse(part)
    if isinstance(part, ast.Subscript):
        return _read_generic(ast.unparse(part.value), part.slice)
    if text in TYPES or text in NOT_WRITTEN:
        return Shape(TYPES.get(text, ()))
    return Shape(anything=True) if text in ANYTHING else Shape(names=(text,))


def _read_generic(name: str, below: ast.expr) -> Shape:
    parts = below.elts if isinstance(below, ast.Tuple) else [below]
    if name == "Literal":
        return Shape(choices=tuple(map(ast.literal_eval, parts)))
    last = _read(ast.unparse(parts[-1]))
    if name == "Sequence":
        return Shape(lists=(last,))
    return Shape(mappings=(last,)) if name == "Mapping" else last


def _joined(one: Shape, other: Shape) -> Shape:
    both: Iterable[Any] = zip(one, other, strict=True)
    return Shape._make(mine or its if isinstance(mine, bool) else mine + its for mine, its in both)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield node


class _Names:
    """Looks up the names in annotations of an operator, for one of its arguments."""

    def __init__(self, operator: Any, *, templated: bool) -> None:
        self._operator = operator
        self._templated = templated

    def leave(self, value: Any, shape: Shape) -> bool:
        """Return whether the task checks a value: a template, or an object of a class of ours."""
        return (self._templated and is_template(value)) or (
            shape.objects and not isinstance(value, JSON_TYPES)
        )

    def advises(self, keys: Iterable[str]) -> bool:
        """Return whether the task has more to say about one of some keys."""
        return any(key in self._operator.advised_keys for key in keys)

    def is_choice(self, value: Any, choices: Sequence[str]) -> bool:
        """Return whether a text is one of some, in any spelling."""
        return isinstance(value, str) and self._operator.spellings.get(value, value) in choices

    def complete(self, shape: Shape) -> Shape:
        """Return a shape with what its names stand for."""
        for name in shape.names:
            shape = _joined(shape, self._named(name))
        return shape._replace(names=())

    def _named(self, name: str) -> Shape:
        if name in self._operator.type_aliases:
            return Shape(choices=tuple(self._operator.type_aliases[name]))
        if name in self._operator.checked_elsewhere:
            return Shape(mappings=(Shape(anything=True),))
        return self.complete(_declared(self._operator.types_path, name))


@cache
def _declared(path: str, name: str) -> Shape:
    """Return what a type of ours allows; a class that is no mapping is left to the task."""
    from importlib import import_module

    modules = (import_module(each) for each in (path, SHARED_TYPES))
    found: Any = next((vars(each)[name] for each in modules if name in vars(each)), None)
    if isinstance(found, str):
        return _read(found)
    if get_origin(found) is Literal:
        return Shape(choices=get_args(found))
    if not is_typeddict(found):
        return Shape(objects=True)
    texts = {key: str(getattr(each, "__forward_arg__", each)) for key, each in found.__annotations__.items()}
    required = (key for key, text in texts.items() if text.startswith("Required["))
    return Shape(
        keys=tuple((key, _read(text)) for key, text in texts.items()),
        required=tuple(dict.fromkeys((*sorted(found.__required_keys__), *required))),
        objects=True,
    )


def _wrong(value: Any, shape: Shape, path: str, names: _Names) -> Wrong | None:
    """Return the first part that does not fit; names are looked up where nothing else fits."""
    if shape.names:
        found = _wrong(value, shape._replace(names=()), path, names)
        return found and _wrong(value, names.complete(shape), path, names)
    if shape.anything or names.leave(value, shape) or _is_plain(value, shape, names):
        return None
    if isinstance(value, Mapping):
        return _wrong_mapping(value, shape, path, names)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and shape.lists:
        # 100,000 numbers are in no need of a path each.
        plain = {each for one in shape.lists for each in one.types}
        entries = enumerate(value) if isinstance(value, (list, tuple)) else ()
        members = ((place, each) for place, each in entries if type(each) not in plain)
        each_wrong = (_fitting(each, shape.lists, f"{path}[{place}]", names) for place, each in members)
        return next(filter(None, each_wrong), None)
    return Wrong(path, value, shape)


def _is_plain(value: Any, shape: Shape, names: _Names) -> bool:
    if isinstance(value, bool):
        return bool in shape.types
    return isinstance(value, shape.types) or names.is_choice(value, shape.choices)


def _wrong_mapping(value: Mapping[Any, Any], shape: Shape, path: str, names: _Names) -> Wrong | None:
    if strange := [key for key in value if not isinstance(key, str)]:
        return Wrong(path, value, shape, f"has a key that is a {type(strange[0]).__name__} and not a text")
    if shape.mappings:
        found = (_fitting(each, shape.mappings, f"{path}.{key}", names) for key, each in value.items())
        return next(filter(None, found), None)
    if not shape.keys:
        return Wrong(path, value, shape)
    known = dict(shape.keys)
    given = {key if key in known else _snake(key): each for key, each in value.items()}
    if names.advises(given):
        return None
    if keys := _wrong_keys(value, given, shape):
        return Wrong(path, value, shape, keys)
    found = (_wrong(each, known[key], f"{path}.{key}", names) for key, each in given.items())
    return next(filter(None, found), None)


def _wrong_keys(written: Iterable[str], given: Mapping[str, Any], shape: Shape) -> str:
    known = [key for key, _ in shape.keys]
    if unknown := [key for key, meant in zip(written, given, strict=False) if meant not in known]:
        from airflow_voice_agents.transport.suggestions import hints

        return f"has unknown keys {', '.join(unknown)}; allowed are {', '.join(known)}{hints(unknown, known)}"
    missing = [key for key in shape.required if key not in given]
    return f"lacks {', '.join(missing)}" if missing else ""


def _fitting(value: Any, shapes: Sequence[Shape], path: str, names: _Names) -> Wrong | None:
    """Return ``None`` where one of several shapes fits, and else what is wrong by the first."""
    found = [_wrong(value, each, path, names) for each in shapes]
    return None if None in found else found[0]


def _snake(key: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in key)


def _is_hidden(operator: Any, name: str, path: str) -> bool:
    """Return whether a value must not be shown: that of a confidential argument which is no identifier."""
    key = path.rpartition(".")[2]
    return RENAMED.get(name, name) in operator.confidential_fields and key not in operator.open_keys


def _sentence(wrong: Wrong, *, hidden: bool) -> str:
    from reprlib import repr as shorten

    from airflow_voice_agents.transport.suggestions import did_you_mean

    path, value, shape, keys = wrong
    if keys:
        return f"{path} {keys}" if keys.endswith("?") else f"{path} {keys}."
    kinds = {
        "bool": "True or False",
        "datetime": "a time",
        "int": "a whole number",
        "float": "a number",
        "NoneType": "None",
        "str": "a text",
        "timedelta": "a timedelta",
    }
    wanted = [
        *([listed(shape.choices)] if shape.choices else []),
        *(["a mapping"] if shape.mappings or shape.keys else []),
        *(["a list"] if shape.lists else []),
        *dict.fromkeys(kinds[each.__name__] for each in shape.types),
    ]
    found = type(value).__name__ if hidden or not isinstance(value, (str, int, float)) else shorten(value)
    meant = did_you_mean(value, shape.choices) if isinstance(value, str) and not hidden else ""
    return f"{path} must be {' or '.join(wanted)}, not {found}.{meant}"
