"""Models of the Omnia Voice API: responses are read leniently.

Only a number's ``id`` is required: unknown fields are dropped, everything else may be absent or null,
and statuses are open words. ``null``, ``""`` and absent all read as ``None``. An agent that comes with
a number is cut to id, name and status while it is read, because the rest may hold prompts. A body that
cannot be read raises ``ValueError`` naming the field, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from airflow_voice_agents.transport.phone_numbers import E164

_PUNCTUATION = re.compile(r"[\s().\-\u00a0\u2010-\u2015]+")


def number_key(text: str | None) -> str | None:
    """Return the E.164 spelling of a number that a platform shows, or ``None`` for any other text.

    ``+1 (202) 555-0123``, ``0012025550123`` and ``12025550123`` are ``+12025550123``.

    :param text: the number as shown.
    """
    digits = _PUNCTUATION.sub("", text or "")
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    digits = digits if digits.startswith("+") else f"+{digits}"
    return digits if E164.fullmatch(digits) else None


def _text(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def _count(value: object) -> object:
    """Counts are hints: an invalid count is treated as absent."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _flag(value: object) -> object:
    return value if isinstance(value, bool) else None


def _object(value: object) -> object:
    return value if isinstance(value, Mapping) else None


_Text = Annotated[str | None, BeforeValidator(_text)]
_Count = Annotated[int | None, BeforeValidator(_count)]


class Answer(BaseModel):
    """Base of the API's responses: immutable, lenient, camelCase in JSON; numbers are accepted for strings."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


class Agent(Answer):
    """The agent in the record of a number: only its identifying fields."""

    id: _Text = None
    name: _Text = None
    status: _Text = None


class Number(Answer):
    """Phone number of a workspace, and the agent that it is assigned to."""

    id: Annotated[str, BeforeValidator(_text)]
    phone_number: _Text = None
    friendly_name: _Text = None
    agent_id: _Text = None
    status: _Text = None
    created_at: _Text = None
    agent: Annotated[Agent | None, BeforeValidator(_object)] = None

    @property
    def e164(self) -> str | None:
        """The number in E.164; ``None`` if the response shows no number."""
        return number_key(self.phone_number)

    @property
    def assigned_to(self) -> str | None:
        """Id of the agent that the number is assigned to, or ``None``; the status says nothing about it."""
        if "agent_id" in self.model_fields_set or self.agent is None:
            return self.agent_id
        return self.agent.id

    @property
    def tells_agent(self) -> bool:
        """Whether the response states the agent, or states that there is no agent."""
        return "agent_id" in self.model_fields_set or self.assigned_to is not None

    def has_status(self, *statuses: str) -> bool:
        """Return whether the status is one of these words, ignoring case.

        :param statuses: words such as ``ACTIVE`` or ``assigned``; the platform's set is not known.
        """
        shown = (self.status or "").casefold()
        return any(shown == status.casefold() for status in statuses)


class NumberPage(Answer):
    """Some numbers of a list, and what the answer says about the rest.

    ``limit``, ``total``, ``total_pages`` and ``has_more`` are ``None`` if the response does not have them.
    """

    numbers: tuple[Number, ...] = ()
    limit: _Count = None
    total: _Count = None
    total_pages: _Count = None
    has_more: Annotated[bool | None, BeforeValidator(_flag)] = None


def read_page(body: Any) -> NumberPage:
    """Read a list of numbers: an object with ``data`` and perhaps ``pagination``, or a bare list.

    :param body: decoded JSON.
    :raises ValueError: for anything else.
    """
    records = body.get("data") if isinstance(body, Mapping) else body
    if not isinstance(records, list):
        raise ValueError("the answer is neither a list nor an object with a list 'data'")
    told = body.get("pagination") if isinstance(body, Mapping) else None
    hints = told if isinstance(told, Mapping) else {}
    return NumberPage.model_validate({**hints, "numbers": records})


def read_numbers(body: Any) -> tuple[Number, ...]:
    """Read a list that comes whole.

    :param body: decoded JSON.
    :raises ValueError: as :func:`read_page` does.
    """
    return read_page(body).numbers


def read_number_or_nothing(body: Any) -> Number | None:
    """Read a number from the response to a write, which can be empty.

    :param body: decoded JSON, or ``None`` for an empty answer.
    :raises ValueError: for a body that is no number.
    """
    return None if body is None else Number.model_validate(body)


def nothing(_: Any) -> None:
    """Read an answer whose body, if there is one, says nothing that matters."""
