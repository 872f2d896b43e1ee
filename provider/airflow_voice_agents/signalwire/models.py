"""Models of SignalWire's Phone Numbers API: responses are read leniently.

Answers may hold unknown fields (dropped), nulls where the vendor's contract has none, and values outside
its enums, which pass through as texts; only what identifies a record is required. A body that cannot be
read raises ``ValueError`` naming the field, never the value. URLs may hold passwords, so ``repr`` shows
the few fields that identify a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from airflow_voice_agents.transport.records import Record

VOICE: Final = "voice"
"""The capability that a number needs for calls, and the receive mode in which it takes them."""

HTTP_METHODS: Final = ("GET", "POST")

COMPANIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "relay_script": ("call_relay_script_url",),
        "laml_webhooks": ("call_request_url",),
        "laml_application": ("call_laml_application_id",),
        "relay_application": ("call_relay_application",),
        "relay_topic": ("call_relay_topic",),
        "relay_context": ("call_relay_context",),
        "relay_connector": ("call_relay_connector_id",),
        "relay_sip_endpoint": ("call_sip_endpoint_id",),
        "relay_verto_endpoint": ("call_verto_resource",),
        "dialogflow": ("call_dialogflow_agent_id",),
        "video_room": ("call_video_room_id",),
        "ai_agent": ("call_ai_agent_id",),
        "call_flow": ("call_flow_id", "call_flow_version"),
    }
)
"""Call handler -> the fields without which it means nothing."""

OPTIONAL_COMPANIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "laml_webhooks": (
            "call_request_method",
            "call_fallback_url",
            "call_fallback_method",
            "call_status_callback_url",
            "call_status_callback_method",
        ),
        "relay_topic": ("call_relay_topic_status_callback_url",),
        "relay_context": ("call_relay_context_status_callback_url",),
    }
)
"""Call handler -> further fields that it uses where they are set."""

SDK_ONLY: Final = frozenset({"call_ai_agent_id", "call_flow_id", "call_flow_version"})
"""Fields that the vendor's SDK writes and its specification does not know; records do not show them."""

FABRIC_ONLY: Final = frozenset({"call_flow", "ai_agent", "fabric_subscriber", "sip_gateway", "call_queue"})
"""Call handlers whose target a record names only as a resource id that this API cannot write."""

CALL_FIELDS: Final = tuple(
    dict.fromkeys(
        name
        for names in (*COMPANIONS.values(), *OPTIONAL_COMPANIONS.values())
        for name in names
        if name not in SDK_ONLY
    )
)
"""Every field of call routing that a record shows and an update takes, beside handler and receive mode."""

WRITABLE: Final = frozenset(
    {
        *("name", "call_handler", "call_receive_mode", *CALL_FIELDS),
        *("message_handler", "message_request_url", "message_request_method"),
        *("message_fallback_url", "message_fallback_method", "message_laml_application_id"),
        *("message_relay_topic", "message_relay_context", "message_relay_application"),
    }
)
"""The fields that an update takes by the vendor's specification."""

BYSTANDERS: Final = tuple(
    sorted(WRITABLE - {"call_handler", "call_receive_mode", "message_relay_application", *CALL_FIELDS})
)
"""The fields that a record shows, that an update could write, and that call routing must leave alone."""


class Answer(BaseModel):
    """Base of what the API answers: immutable and lenient."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)


def _null_to_empty(value: object) -> object:
    return () if value is None else value


def _names_of_flags(value: object) -> object:
    """Owned numbers list their capabilities, available ones flag them."""
    if isinstance(value, Mapping):
        return tuple(name for name, flag in value.items() if flag is True)
    return _null_to_empty(value)


class PhoneNumber(Answer):
    """A number that the project owns, in all of its 41 fields.

    ``calling_handler_resource_id`` and ``messaging_handler_resource_id`` are derived by SignalWire.
    ``e911_status`` is ``None`` where no address was ever assigned; time stamps are kept as they come.
    """

    id: str
    number: str
    name: str | None = None
    capabilities: Annotated[tuple[str, ...], BeforeValidator(_null_to_empty)] = ()
    number_type: str | None = None
    e911_address_id: str | None = None
    e911_status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    next_billed_at: str | None = None
    call_handler: str | None = None
    calling_handler_resource_id: str | None = None
    call_receive_mode: str | None = None
    call_request_url: str | None = None
    call_request_method: str | None = None
    call_fallback_url: str | None = None
    call_fallback_method: str | None = None
    call_status_callback_url: str | None = None
    call_status_callback_method: str | None = None
    call_laml_application_id: str | None = None
    call_dialogflow_agent_id: str | None = None
    call_relay_topic: str | None = None
    call_relay_topic_status_callback_url: str | None = None
    call_relay_script_url: str | None = None
    call_relay_context: str | None = None
    call_relay_context_status_callback_url: str | None = None
    call_relay_application: str | None = None
    call_relay_connector_id: str | None = None
    call_sip_endpoint_id: str | None = None
    call_verto_resource: str | None = None
    call_video_room_id: str | None = None
    message_handler: str | None = None
    messaging_handler_resource_id: str | None = None
    message_request_url: str | None = None
    message_request_method: str | None = None
    message_fallback_url: str | None = None
    message_fallback_method: str | None = None
    message_laml_application_id: str | None = None
    message_relay_topic: str | None = None
    message_relay_context: str | None = None
    country_code: str | None = None

    @property
    def takes_calls(self) -> bool:
        """Whether the number has the capability ``voice``."""
        return VOICE in self.capabilities

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, getattr(self, name)) for name in ("id", "number", "name", "call_handler")]


class AvailableNumber(Answer):
    """A number that could be bought when it was searched for; finding it reserves nothing."""

    number: str
    region: str | None = None
    city: str | None = None
    rate_center: str | None = None
    lata: str | None = None
    capabilities: Annotated[tuple[str, ...], BeforeValidator(_names_of_flags)] = ()

    @property
    def takes_calls(self) -> bool:
        """Whether the number has the capability ``voice``."""
        return VOICE in self.capabilities


class Page(Record, frozen=True):
    """One page of the project's numbers, newest first.

    :param numbers: the numbers; a page may be empty and not be the last.
    :param next_link: address of the next page with an opaque token, or ``None`` on the last page.
    """

    not_shown = ("next_link",)

    numbers: tuple[PhoneNumber, ...]
    next_link: str | None = None
