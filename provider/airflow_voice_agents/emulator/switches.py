"""Every behaviour that the vendors leave open, as a named switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints


class SwitchError(ValueError):
    """An unknown switch, or a value that the switch does not take."""


def _switch(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(slots=True)
class Switches:
    """How the server behaves where the vendors' documents are silent or contradict each other.

    Assigning a value checks it, so that a mistyped switch fails at once.

    :raises SwitchError: for an unknown name or a value of the wrong kind.
    """

    variables_validation: Literal["merged", "patch", "patch_required"] = _switch(
        "merged",
        "PATCH variables checks the merged page, the patch alone without 'required', or the bare patch",
    )
    schema_checks_data: bool = _switch(False, "PUT schema refuses a schema that the stored values break")
    null_variable: Literal["store", "delete"] = _switch("store", "what PATCH makes of a null value")
    unset_page: Literal["null", "not_found"] = _switch("null", "how GET answers for a page never written")
    publish_invalid_page: Literal["refuse", "allow"] = _switch(
        "refuse", "publishing while a stored page breaks its own schema"
    )
    response_nulls: Literal["emit", "omit"] = _switch(
        "emit", "absent things appear as null (as the platform does) or not at all (as its document says)"
    )
    response_ids: Literal["slug", "prefixed"] = _switch(
        "slug", "form of account and project ids in replies; requests take both"
    )
    node_errors: Literal["fields", "envelope"] = _switch(
        "fields", "error body of agents, branches, variants, promote and rollback"
    )
    import_existing: Literal["conflict", "partial"] = _switch(
        "conflict", "importing a known number: 409 for all, or left out of 'imported'"
    )
    import_invalid: Literal["reject", "skip"] = _switch(
        "reject", "one malformed number in a batch: 400 for all, or left out of 'imported'"
    )
    import_connector: Literal["default", "none"] = _switch(
        "default", "imported numbers get the environment's first connector, or none"
    )
    reassign_environment: Literal["follow", "keep", "refuse"] = _switch(
        "follow", "a number given a connector of another environment: moves there, stays, or 400"
    )
    move_numbers: Literal["follow", "stay"] = _switch(
        "follow", "numbers of a connector that moves to another project"
    )
    move_variant: Literal["clear", "keep"] = _switch(
        "clear", "variant of a connector that moves to another project"
    )
    sandbox_to_live: Literal["allow", "precondition"] = _switch(
        "allow", "promoting sandbox straight to live: done, or 412"
    )
    publish_again: Literal["conflict", "already"] = _switch(
        "conflict", "publishing with nothing new: 409, or 200 with an error envelope"
    )
    simplified: list[str] = field(
        default_factory=list, metadata={"meaning": "slugs of projects whose merges go straight to live"}
    )
    ab_test: list[str] = field(
        default_factory=list,
        metadata={"meaning": "slugs of projects with a running A/B test: promotion to live is refused"},
    )
    duplicate_configs: bool = _switch(False, "duplicating an agent copies its config pages")
    call_outcome: Literal["SUCCESS", "FAILURE"] = _switch("SUCCESS", "how outbound calls end")
    latency: float = _switch(0.0, "seconds before each request is handled")
    rate_limit: float = _switch(0.0, "requests per second and key before 429; 0 sets no limit")
    retry_after: Literal["seconds", "date", "none"] = _switch("seconds", "form of Retry-After on 429")
    record_bodies: bool = _switch(False, "the journal keeps request bodies")

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _checked(name, value))

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several switches, or none of them when one is wrong.

        :raises SwitchError: as assigning does.
        """
        checked = {name: _checked(name, value) for name, value in values.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """All switches by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read ``name=value`` as given on a command line.

    :raises SwitchError: without an equals sign, or as assigning the switch does.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise SwitchError(f"switch {text!r} must be written name=value")
    return name.strip(), _from_text(name.strip(), value.strip())


def describe() -> list[str]:
    """One line per switch: name, values and meaning, the default first."""
    return [f"{each.name}={_choices(each.name)}: {each.metadata['meaning']}" for each in fields(Switches)]


def _choices(name: str) -> str:
    kind = _kind(name)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {bool: "false|true", float: "0", list: "agent,agent"}[get_origin(kind) or kind]


def _checked(name: str, value: Any) -> Any:
    kind = _kind(name)
    if get_origin(kind) is Literal:
        accepted = value in get_args(kind)
    elif kind is bool:
        accepted = isinstance(value, bool)
    elif kind is float:
        accepted = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6
    else:
        accepted = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if not accepted:
        raise SwitchError(f"switch {name} takes {_choices(name)}, not {value!r}")
    return list(value) if isinstance(value, tuple) else value


def _from_text(name: str, text: str) -> Any:
    kind = _kind(name)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is float:
        try:
            return _checked(name, float(text))
        except ValueError:
            raise SwitchError(f"switch {name} takes a number from 0, not {text!r}") from None
    if get_origin(kind) is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return _checked(name, text)


def _kind(name: str) -> Any:
    if not _KINDS:
        _KINDS.update(get_type_hints(Switches))
    if name not in _KINDS:
        raise SwitchError(f"unknown switch {name!r}; known are {', '.join(sorted(_KINDS))}")
    return cast("Any", _KINDS[name])


_KINDS: dict[str, Any] = {}
