"""Conditions on phone numbers, connectors and outbound calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_voice_agents.plans.condition import Found, WaitFailed
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.conditions.arguments import parse_fail_on
from airflow_voice_agents.polyai.models import (
    Connector,
    ConnectorUpdate,
    OutboundCallStatus,
    PhoneNumber,
    parse_environment,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.redaction import LONGEST, mask_numbers
from airflow_voice_agents.transport.validation import parse_identifier, parse_numbers

_ENDS = ("SUCCESS", "FAILURE")
_REASON_SHOWN = 200


@dataclass(frozen=True, slots=True)
class NumbersCondition:
    """An agent has numbers, in an environment, answered by a connector.

    :param agent_id: the agent.
    :param numbers: E.164 numbers.
    :param client_env: environment that they must be in, or ``None`` for any.
    :param connector_id: connector that must answer them, or ``None`` for any.
    """

    agent_id: str
    numbers: tuple[str, ...]
    client_env: str | None = None
    connector_id: str | None = None

    @classmethod
    def parse(
        cls, agent_id: object, phone_numbers: object, client_env: object, connector_id: object
    ) -> NumbersCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            numbers=parse_numbers(phone_numbers),
            client_env=None if client_env is None else str(parse_environment(client_env, name="client_env")),
            connector_id=None
            if connector_id is None
            else parse_identifier(connector_id, name="connector_id"),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {**asdict(self), "numbers": list(self.numbers)}

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> NumbersCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**{**plain, "numbers": tuple(plain["numbers"])})

    def reads(self) -> list[ApiRequest[list[PhoneNumber]]]:
        """Return the request of the condition: one list, of the connector if it is given."""
        return [api.list_phone_numbers(self.agent_id, connector_id=self.connector_id)]

    def holds(self, answers: Sequence[list[PhoneNumber]]) -> Found:
        """Evaluate the condition for every number.

        :param answers: responses to the requests of :meth:`reads`, in order.
        """
        there = {each.number for each in answers[0] if self._fits(each)}
        missing = [number for number in self.numbers if number not in there]
        return not missing, {"agent_id": self.agent_id, "phone_numbers": len(self.numbers)}

    def _fits(self, number: PhoneNumber) -> bool:
        return self.client_env in (None, number.client_env) and self.connector_id in (
            None,
            number.connector_id,
        )


@dataclass(frozen=True, slots=True)
class ConnectorCondition:
    """An agent has a connector, with some settings.

    :param agent_id: the agent.
    :param connector_id: the connector.
    :param settings: names and values of the settings that it must have; ``None`` is an unassigned variant.
    :param client_env: environment that it must be in, or ``None`` for any.
    """

    agent_id: str
    connector_id: str
    settings: tuple[tuple[str, str | None], ...] = ()
    client_env: str | None = None

    @classmethod
    def parse(
        cls, agent_id: object, connector_id: object, settings: object, client_env: object
    ) -> ConnectorCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        connector = parse_identifier(connector_id, name="connector_id")
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            connector_id=connector,
            settings=() if settings is None else _settings(settings, connector),
            client_env=None if client_env is None else str(parse_environment(client_env, name="client_env")),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {**asdict(self), "settings": [list(each) for each in self.settings]}

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> ConnectorCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        settings = tuple((name, value) for name, value in plain.get("settings") or ())
        return cls(**{**plain, "settings": settings})

    def reads(self) -> list[ApiRequest[list[Connector]]]:
        """Return the request of the condition: one list for all connectors of the agent."""
        return [api.list_connectors(self.agent_id)]

    def holds(self, answers: Sequence[list[Connector]]) -> Found:
        """Evaluate the condition; a connector that does not exist yet can be in a move.

        :param answers: responses to the requests of :meth:`reads`, in order.
        """
        shown = next((each for each in answers[0] if each.connector_id == self.connector_id), None)
        found = {
            "agent_id": self.agent_id,
            "connector_id": self.connector_id,
            "client_env": shown and shown.client_env,
        }
        return shown is not None and self._fits(shown), found

    def _fits(self, shown: Connector) -> bool:
        return self.client_env in (None, shown.client_env) and all(
            getattr(shown, name) == value for name, value in self.settings
        )


@dataclass(frozen=True, slots=True)
class OutboundCallCondition:
    """An outbound call has ended. The condition does not contain the called number.

    :param agent_id: the agent that calls.
    :param call_sid: the call.
    :param environment: environment that it was started in.
    :param fail_on: ``failed``, or ``never`` to wait only for the end of the call.
    """

    agent_id: str
    call_sid: str
    environment: str
    fail_on: str = "failed"

    @classmethod
    def parse(
        cls, agent_id: object, call_sid: object, environment: object, fail_on: object
    ) -> OutboundCallCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        return cls(
            agent_id=parse_identifier(agent_id, name="agent_id"),
            call_sid=parse_identifier(call_sid, name="call_sid"),
            environment=str(parse_environment(environment)),
            fail_on=parse_fail_on(fail_on),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return asdict(self)

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> OutboundCallCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**plain)

    def reads(self) -> list[ApiRequest[OutboundCallStatus]]:
        """Return the request of the condition."""
        return [
            api.get_outbound_call_status(self.agent_id, call_sid=self.call_sid, environment=self.environment)
        ]

    def holds(self, answers: Sequence[OutboundCallStatus]) -> Found:
        """Evaluate the condition; a call with an unknown status counts as ongoing.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises WaitFailed: when it has failed.
        """
        status = (answers[0].status or "").upper()
        if status == "FAILURE" and self.fail_on == "failed":
            raise WaitFailed(
                f"Call {self.call_sid} of agent {self.agent_id} failed ({_reason(answers[0].reason)}). "
                "It is not repeated here; start another one if that is wanted."
            )
        found = {"agent_id": self.agent_id, "call_sid": self.call_sid, "status": status}
        return status in _ENDS, found


def _settings(value: object, connector_id: str) -> tuple[tuple[str, str | None], ...]:
    if not isinstance(value, Mapping) or not value:
        raise InputError(
            "settings must be a mapping of at least one of variant_id, asr_lang_code, voice_name"
        )
    update = ConnectorUpdate.parse({"connector_id": connector_id, **value})
    if update.moves:
        raise InputError("settings must not hold project_id: wait under the agent that it will belong to")
    return tuple(update.changes().items())


def _reason(text: str | None) -> str:
    """The platform's messages can contain the called number."""
    return mask_numbers(text[:LONGEST], "(number)")[:_REASON_SHOWN] if text else "the platform gave no reason"
