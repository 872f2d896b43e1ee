"""Checks of rendered templates: a text stays a text, nothing is no value, and only true is a yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_voice_agents.bases.argument_checks import flags, is_template
from airflow_voice_agents.transport.errors import InputError

NOTHING = ("", "none", "null")
"""Texts, in lower case, that a template makes of a value that is not there."""
EMPTY = (*NOTHING, "[]", "{}")
"""The same for a whole argument, which then says nothing either."""
YES, NO = ("true", "True"), ("false", "False")


def settle(operator: Any, written: Mapping[str, Any]) -> None:
    """Check each argument that was rendered, and give texts without a template back as they were written.

    :param operator: an operator or sensor whose template fields were rendered.
    :param written: template field -> what the DAG's author wrote.
    :raises InputError: naming the argument, or the key in it, that rendered to nothing or is no boolean.
    """
    booleans = flags(operator)
    for name, before in written.items():
        after = getattr(operator, name)
        if before is None or before is after:
            continue
        if name in booleans and _was_template(before):
            setattr(operator, name, _flag(after, booleans[name]))
            continue
        if name not in operator.may_be_empty and _was_template(before) and _empty(after):
            raise InputError(_said(name))
        setattr(operator, name, _settled(before, after, name, operator.may_be_empty))


def render_quietly(render: Callable[[Any], Any], value: Any, name: str) -> Any:
    """Render an argument so that an error names where it is, and never what is written or rendered there.

    :param render: renders a template or a collection of some.
    :param value: what the DAG's author wrote.
    :param name: the argument.
    :raises InputError: when a template in it cannot be rendered.
    """
    try:
        return render(value)
    except Exception as error:  # noqa: BLE001
        kind = type(error).__name__
    for place, part in _parts(value, name):
        try:
            render(part)
        except Exception as error:  # noqa: BLE001
            kind, name = type(error).__name__, place
            break
    raise InputError(f"{name} cannot be rendered: its template ends in {kind}. Nothing was sent.")


def _settled(before: Any, after: Any, path: str, may_be_empty: Sequence[str]) -> Any:
    if isinstance(before, str) and not is_template(before):
        return before
    if _was_template(before):
        if path.rsplit(".", 1)[-1] not in may_be_empty and _nothing(after):
            raise InputError(_said(path))
        return after
    if isinstance(before, Mapping) and isinstance(after, Mapping) and len(before) == len(after):
        pairs = zip(before.items(), after.items(), strict=True)
        return {
            key: _settled(value, rendered, f"{path}.{key}", may_be_empty)
            for (_, value), (key, rendered) in pairs
        }
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        return [
            _settled(value, rendered, f"{path}[{place}]", may_be_empty)
            for place, (value, rendered) in enumerate(zip(before, after, strict=True))
        ]
    return after


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _parts(below, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, below in enumerate(value):
            yield from _parts(below, f"{path}[{place}]")
    else:
        yield path, value


def _was_template(written: Any) -> bool:
    return isinstance(written, ResolveMixin) or (isinstance(written, str) and is_template(written))


def _nothing(rendered: Any) -> bool:
    return rendered is None or (isinstance(rendered, str) and rendered.strip().lower() in NOTHING)


def _empty(rendered: Any) -> bool:
    if isinstance(rendered, str):
        return "".join(rendered.split()).lower() in EMPTY
    return rendered is None or (isinstance(rendered, (Mapping, list, tuple)) and not rendered)


def _flag(rendered: Any, name: str) -> bool:
    if isinstance(rendered, bool):
        return rendered
    if isinstance(rendered, str) and rendered.strip() in (*YES, *NO):
        return rendered.strip() in YES
    raise InputError(f"{name} must render to true or false, and did not. Nothing was sent.")


def _said(path: str) -> str:
    return (
        f"{path} rendered to nothing: its template, or the output of the task that it names, is empty or None. "
        "Nothing was sent. Leave the argument out where its default is meant."
    )
