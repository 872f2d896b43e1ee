"""The hook for Airflow connections of type ``signalwire``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_voice_agents.bases.hook import VoiceAgentsHook, extra_of
from airflow_voice_agents.signalwire import api
from airflow_voice_agents.signalwire.connection import SCOPE, ConnectionFields, space_of
from airflow_voice_agents.signalwire.models import Page
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    CallError,
    Forbidden,
    NotFound,
    TransportError,
    Unauthorized,
    VoiceAgentsError,
)
from airflow_voice_agents.transport.settings import ClientSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

TEST_SECONDS = 10.0


class SignalWireHook(VoiceAgentsHook):
    """Send SignalWire requests with an Airflow connection.

    .. code-block:: python

        from airflow_voice_agents.signalwire import api
        from airflow_voice_agents.signalwire.hooks import SignalWireHook

        with SignalWireHook() as hook:
            page = hook.send(api.list_phone_numbers(filter_name="front desk"))

    :param signalwire_conn_id: id of a connection of type ``signalwire``.
    """

    conn_name_attr = "signalwire_conn_id"
    default_conn_name = "signalwire_default"
    conn_type = "signalwire"
    hook_name = "SignalWire"

    def __init__(self, signalwire_conn_id: str = default_conn_name) -> None:
        super().__init__(signalwire_conn_id)

    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: connection of type ``signalwire``.
        :param extra: the decoded extra of the connection.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        return _fields(connection, extra).client_settings()

    @property
    def space(self) -> str:
        """Name of the space, the owner of numbers in plans and reports."""
        return space_of(self.client.settings.base_url)

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection with one request for a number; return success and a message, and never raise.

        Vendor operation: list phone numbers.
        """
        try:
            connection = self.get_connection(self.conn_id)
            fields = _fields(connection, extra_of(connection))
            settings = replace(fields.client_settings(), deadline=TEST_SECONDS, max_attempts=1)
            with Client(settings) as client:
                page = client.send(api.list_phone_numbers(page_size=1))
        except CallError as error:
            return False, _explain(error, space_of(settings.base_url))
        except VoiceAgentsError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001  Airflow's contract: never raise
            return False, f"The connection cannot be read ({type(error).__name__})."
        return True, (
            f"The credentials work: project {fields.project_id} in space {space_of(settings.base_url)} "
            f"has {_amount(page)}."
        )


def _explain(error: CallError, space: str) -> str:
    if isinstance(error, Unauthorized):
        return (
            f"SignalWire refused the credentials (401): check the project id (login) and the API token "
            f"(password), that both belong to space {space}, and that the token has the scope {SCOPE}."
        )
    if isinstance(error, Forbidden):
        return f"SignalWire knows the credentials but refused the request (403): give the API token the scope {SCOPE}."
    if isinstance(error, NotFound):
        return f"There is no Phone Numbers API at {space} (404): check the name of the space (host)."
    if isinstance(error, TransportError):
        return f"Space {space} could not be reached: check the name of the space (host). {error}"
    return f"SignalWire did not answer as it should. {error}"


def _amount(page: Page) -> str:
    if page.next_link is not None:
        return "more than one number"
    return "one number" if page.numbers else "no number yet"


def _fields(connection: Connection, extra: Mapping[str, Any]) -> ConnectionFields:
    return ConnectionFields(
        conn_id=connection.conn_id,
        space=connection.host,
        project_id=connection.login,
        api_token=connection.password,
        port=connection.port,
        extra=extra,
    )
