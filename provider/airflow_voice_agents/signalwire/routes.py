"""Routes of a phone number: one type per call handler, each with the fields that the handler requires.

Authors write them as values or as plain mappings with the same names, the kind of route under ``to``:

.. code-block:: python

    from airflow_voice_agents.signalwire.routes import ToSwml

    ToSwml("https://agents.example.com/swml")
    {"to": "swml", "url": "https://agents.example.com/swml"}  # the same route

URLs can contain a user name and password; ``repr`` masks them. Every route receives calls as voice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from reprlib import repr as shorten
from types import MappingProxyType
from typing import Any, ClassVar, Final

from airflow_voice_agents.signalwire.checks import masked_url, parse_url, parse_uuid
from airflow_voice_agents.signalwire.models import HTTP_METHODS, VOICE
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import hints
from airflow_voice_agents.transport.validation import parse_choice, parse_text

CALL_FLOW_VERSIONS: Final = ("working_copy", "current_deployed")

_UUIDS: Final = frozenset({"call_sip_endpoint_id", "call_video_room_id", "call_ai_agent_id", "call_flow_id"})


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """Base of the routes; a route says which call handler it is and what its fields are called by the API."""

    handler: ClassVar[str]
    """The API's ``call_handler``."""
    api_names: ClassVar[Mapping[str, str]]
    """Field of the route -> field of the API."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None or each.default is not None:
                check = _check(self.api_names[each.name])
                object.__setattr__(self, each.name, check(value, name=f"{type(self).__name__}.{each.name}"))

    def changes(self) -> dict[str, str]:
        """Return the body of the update that makes it so: handler, receive mode and all fields given."""
        given = {api_name: getattr(self, name) for name, api_name in self.api_names.items()}
        return {
            "call_handler": self.handler,
            "call_receive_mode": VOICE,
            **{api_name: value for api_name, value in given.items() if value is not None},
        }

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.api_names if getattr(self, name) is not None}
        parts = (
            f"{name}={(masked_url(value) if name.endswith('url') else value)!r}"
            for name, value in shown.items()
        )
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, slots=True, repr=False)
class ToSwml(Route):
    """Calls run the SWML document that a URL returns; SignalWire posts to it once per call.

    :param url: where the document is.
    """

    handler = "relay_script"
    api_names = MappingProxyType({"url": "call_relay_script_url"})

    url: str


@dataclass(frozen=True, slots=True, repr=False)
class ToCxmlWebhook(Route):
    """Calls run the cXML document that a URL returns. It must be cXML; this is no webhook for anything else.

    Fields that are not given stay as the number has them.

    :param url: where the document is.
    :param method: ``GET`` or ``POST``.
    :param fallback_url: asked when ``url`` fails.
    :param fallback_method: ``GET`` or ``POST``; with ``fallback_url`` only.
    :param status_callback_url: receives the status of calls.
    :param status_callback_method: ``GET`` or ``POST``; with ``status_callback_url`` only.
    """

    handler = "laml_webhooks"
    api_names = MappingProxyType(
        {
            "url": "call_request_url",
            "method": "call_request_method",
            "fallback_url": "call_fallback_url",
            "fallback_method": "call_fallback_method",
            "status_callback_url": "call_status_callback_url",
            "status_callback_method": "call_status_callback_method",
        }
    )

    url: str
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str | None = None
    status_callback_url: str | None = None
    status_callback_method: str | None = None

    def __post_init__(self) -> None:
        Route.__post_init__(self)
        for kind in ("fallback", "status_callback"):
            if getattr(self, f"{kind}_method") is not None and getattr(self, f"{kind}_url") is None:
                raise InputError(f"ToCxmlWebhook.{kind}_method needs {kind}_url beside it")


@dataclass(frozen=True, slots=True, repr=False)
class ToCxmlApplication(Route):
    """Calls go to a cXML application of the project.

    :param id: the application.
    """

    handler = "laml_application"
    api_names = MappingProxyType({"id": "call_laml_application_id"})

    id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToRelayApplication(Route):
    """Calls go to a Relay application.

    :param name: the application.
    """

    handler = "relay_application"
    api_names = MappingProxyType({"name": "call_relay_application"})

    name: str


@dataclass(frozen=True, slots=True, repr=False)
class ToRelayTopic(Route):
    """Calls go to the Relay clients that listen to a topic.

    :param topic: the topic.
    :param status_callback_url: receives the status of calls; left out, the number keeps its own.
    """

    handler = "relay_topic"
    api_names = MappingProxyType(
        {"topic": "call_relay_topic", "status_callback_url": "call_relay_topic_status_callback_url"}
    )

    topic: str
    status_callback_url: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ToRelayConnector(Route):
    """Calls go to a Relay connector.

    :param id: the connector.
    """

    handler = "relay_connector"
    api_names = MappingProxyType({"id": "call_relay_connector_id"})

    id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToSipEndpoint(Route):
    """Calls go to a SIP endpoint that registers with SignalWire; a platform elsewhere needs SWML or cXML.

    :param id: UUID of the endpoint.
    """

    handler = "relay_sip_endpoint"
    api_names = MappingProxyType({"id": "call_sip_endpoint_id"})

    id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToVertoEndpoint(Route):
    """Calls go to a Verto client.

    :param resource: the client's resource.
    """

    handler = "relay_verto_endpoint"
    api_names = MappingProxyType({"resource": "call_verto_resource"})

    resource: str


@dataclass(frozen=True, slots=True, repr=False)
class ToDialogflow(Route):
    """Calls go to a Dialogflow agent.

    :param agent_id: the agent, as SignalWire knows it.
    """

    handler = "dialogflow"
    api_names = MappingProxyType({"agent_id": "call_dialogflow_agent_id"})

    agent_id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToVideoRoom(Route):
    """Calls go to a video room.

    :param id: UUID of the room.
    """

    handler = "video_room"
    api_names = MappingProxyType({"id": "call_video_room_id"})

    id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToAiAgent(Route):
    """Calls go to a SignalWire AI agent.

    Known from the vendor's SDK only: its specification does not list it, and no answer shows the id. So it
    is written on every run, and only the handler can be verified.

    :param id: UUID of the AI agent.
    """

    handler = "ai_agent"
    api_names = MappingProxyType({"id": "call_ai_agent_id"})

    id: str


@dataclass(frozen=True, slots=True, repr=False)
class ToCallFlow(Route):
    """Calls go to a call flow.

    Known from the vendor's SDK only, with the consequences that :class:`ToAiAgent` tells.

    :param id: UUID of the call flow.
    :param version: ``working_copy`` or ``current_deployed``.
    """

    handler = "call_flow"
    api_names = MappingProxyType({"id": "call_flow_id", "version": "call_flow_version"})

    id: str
    version: str


ROUTES: Final[Mapping[str, type[Route]]] = MappingProxyType(
    {
        "swml": ToSwml,
        "cxml_webhook": ToCxmlWebhook,
        "cxml_application": ToCxmlApplication,
        "relay_application": ToRelayApplication,
        "relay_topic": ToRelayTopic,
        "relay_connector": ToRelayConnector,
        "sip_endpoint": ToSipEndpoint,
        "verto_endpoint": ToVertoEndpoint,
        "dialogflow": ToDialogflow,
        "video_room": ToVideoRoom,
        "ai_agent": ToAiAgent,
        "call_flow": ToCallFlow,
    }
)
"""The word under ``to`` -> the route."""


def parse_route(value: object, *, name: str = "route") -> Route:
    """Read a route as a DAG, an XCom or a file gives it.

    :param value: a route, or a mapping with ``to`` and the route's own fields.
    :param name: what to call the argument in the error.
    :raises InputError: naming what is unknown, missing or wrong.
    """
    if isinstance(value, Route):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{name} must be a mapping with 'to', or a route, not {type(value).__name__}")
    to = value.get("to")
    kind = ROUTES.get(to) if isinstance(to, str) else None
    if kind is None:
        hint = hints([to], ROUTES) if isinstance(to, str) else ""
        raise InputError(f"{name}.to must be one of {', '.join(ROUTES)}, not {shorten(to)}{hint}")
    given = {key: item for key, item in value.items() if key != "to"}
    if unknown := sorted(given.keys() - kind.api_names.keys()):
        allowed = ", ".join(kind.api_names)
        raise InputError(
            f"{name} to {to} does not take {', '.join(unknown)}; allowed are {allowed}{hints(unknown, kind.api_names)}"
        )
    if missing := [field for field in _required(kind) if given.get(field) is None]:
        raise InputError(f"{name} to {to} needs {', '.join(missing)}")
    return kind(**given)


def _required(kind: type[Route]) -> list[str]:
    return [field.name for field in fields(kind) if field.default is MISSING]


def _check(api_name: str) -> Callable[..., Any]:
    if api_name.endswith("_url"):
        return parse_url
    if api_name.endswith("_method"):
        return partial(parse_choice, choices=HTTP_METHODS)
    if api_name == "call_flow_version":
        return partial(parse_choice, choices=CALL_FLOW_VERSIONS)
    return parse_uuid if api_name in _UUIDS else parse_text
