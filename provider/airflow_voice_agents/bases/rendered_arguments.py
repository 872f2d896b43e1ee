"""Checks of rendered templates: strings stay strings, empty results are refused, and flags are exactly true
or false.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow_voice_agents.bases.argument_checks import RENAMED, arguments, flags, holds_template, is_template

NOTHING = ("", "none", "null")
"""Texts, in lower case, that a template makes of a value that is not there."""
EMPTY = (*NOTHING, "[]", "{}")
"""The same for a whole argument, which then says nothing either."""
YES, NO = ("true", "True"), ("false", "False")


class _WrongError(Exception):
    """Carries a sentence about an argument out of the walk through it."""


def settle(operator: Any, written: Mapping[str, Any]) -> str | None:
    """Check each argument that was rendered, and give texts without a template back as they were written.

    The error is returned and not raised, so that no frame of its traceback holds a value.

    :param operator: an operator or sensor whose template fields were rendered.
    :param written: template field -> what the DAG's author wrote.
    :returns: a sentence that names the argument, or the key in it, that rendered to nothing or is no boolean.
    """
    booleans = flags(type(operator))
    try:
        for name, before in written.items():
            after = operator.uncovered(name)
            if before is not None and before is not after:
                operator.replace(name, _checked(operator, name, before, after, booleans))
    except _WrongError as wrong:
        return str(wrong)
    return None


def nothing_expanded(operator: Any, resolved: Collection[int]) -> str | None:
    """Return a sentence for an argument of a mapped task for which another task's output has nothing.

    Such an argument is given, and not left out: its default would mean something else.

    :param operator: the operator or sensor that Airflow made of the mapped one.
    :param resolved: identities of the values that came from outputs, as Airflow notes them.
    """
    if id(None) not in resolved or operator.dag is None:
        return None
    mapped = operator.dag.task_dict.get(operator.task_id)
    written = getattr(mapped, "partial_kwargs", None)
    if written is None:
        return None
    expanded = getattr(mapped.expand_input, "value", None)
    names = expanded if isinstance(expanded, Mapping) else arguments(type(operator))
    for name in names:
        attribute = RENAMED.get(name, name)
        known = name not in written and name in arguments(type(operator))
        if known and attribute not in operator.may_be_empty and operator.uncovered(attribute) is None:
            return _said(name)
    return None


def _checked(operator: Any, name: str, before: Any, after: Any, booleans: Mapping[str, str]) -> Any:
    if not holds_template(before):
        return before
    if not is_template(before):
        return _settled(before, after, name, operator.may_be_empty)
    if name in booleans:
        return _flag(after, booleans[name])
    if name not in operator.may_be_empty and _empty(after):
        raise _WrongError(_said(name))
    return after


def _settled(before: Any, after: Any, path: str, may_be_empty: Sequence[str]) -> Any:
    if isinstance(before, str) and not is_template(before):
        return before
    if is_template(before):
        if path.rsplit(".", 1)[-1] not in may_be_empty and _nothing(after):
            raise _WrongError(_said(path))
        return after
    if isinstance(before, Mapping) and isinstance(after, Mapping) and len(before) == len(after):
        pairs = zip(before.items(), after.items(), strict=True)
        return {
            key: _settled(value, rendered, f"{path}.{key}", may_be_empty)
            for (_, value), (key, rendered) in pairs
        }
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        parts = enumerate(zip(before, after, strict=True))
        settled = (_settled(old, new, f"{path}[{place}]", may_be_empty) for place, (old, new) in parts)
        return tuple(settled) if isinstance(after, tuple) else list(settled)
    return after


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
    raise _WrongError(f"{name} must render to true or false, and did not. Nothing was sent.")


def _said(path: str) -> str:
    return (
        f"{path} rendered to nothing: its template, or the output of the task that it names, is empty or None. "
        "Nothing was sent. Leave the argument out where its default is meant."
    )
