"""The hook for Airflow connections of type ``omniavoice``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from airflow_voice_agents.bases.hook import VoiceAgentsHook, extra_of
from airflow_voice_agents.engine.concurrency import Sender
from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.api import fallback_verb, is_update
from airflow_voice_agents.omnia_voice.connection import ConnectionFields, refused_advice
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import (
    ApiError,
    CallError,
    NotFound,
    Unauthorized,
    VoiceAgentsError,
)
from airflow_voice_agents.transport.settings import ClientSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

T = TypeVar("T")

METHOD_NOT_ALLOWED: Final = 405
"""The one status that says for certain that nothing was applied and another verb may be."""


class VerbFallback:
    """Retries an update once with the other HTTP verb after a 405, and remembers the verb that worked.

    :param send: sends a call.
    """

    def __init__(self, send: Sender) -> None:
        self._send = send
        self._refused: set[str] = set()

    async def __call__(self, call: ApiRequest[T]) -> T:
        """Send a request; only updates are retried with the other verb.

        :param call: the request, from the system's ``api`` module.
        :raises CallError: if the request fails; the first 405 if both verbs are refused.
        """
        if not is_update(call):
            return await self._send(call)
        if call.method in self._refused:
            return await self._send(fallback_verb(call))
        try:
            return await self._send(call)
        except ApiError as error:
            if error.status != METHOD_NOT_ALLOWED:
                raise
            refusal = error
        return await self._with_other_verb(call, refusal)

    async def _with_other_verb(self, call: ApiRequest[T], refusal: ApiError) -> T:
        try:
            answer = await self._send(fallback_verb(call))
        except ApiError as error:
            if error.status == METHOD_NOT_ALLOWED:
                raise refusal from None
            self._refused.add(call.method)
            raise
        self._refused.add(call.method)
        return answer


TEST_SECONDS = 10.0


class OmniaVoiceHook(VoiceAgentsHook):
    """Send Omnia Voice requests with an Airflow connection.

    After a 405, the hook sends an update once more with the other HTTP verb, and remembers the verb that the
    platform accepts.

    .. code-block:: python

        from airflow_voice_agents.omnia_voice import api
        from airflow_voice_agents.omnia_voice.hooks import OmniaVoiceHook

        with OmniaVoiceHook() as hook:
            page = hook.send(api.list_numbers())

    :param omniavoice_conn_id: id of a connection of type ``omniavoice``.
    """

    conn_name_attr = "omniavoice_conn_id"
    default_conn_name = "omniavoice_default"
    conn_type = "omniavoice"
    hook_name = "Omnia Voice"

    def __init__(self, omniavoice_conn_id: str = default_conn_name) -> None:
        super().__init__(omniavoice_conn_id)
        self._verbs = VerbFallback(super().asend)
        self._fields: ConnectionFields | None = None

    @property
    def fields(self) -> ConnectionFields:
        """Fields of the connection, including the verb of updates and the platform's name."""
        if self._fields is None:
            connection = self.get_connection(self.conn_id)
            self._fields = _fields(connection, extra_of(connection))
        return self._fields

    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: connection of type ``omniavoice``.
        :param extra: the decoded extra of the connection.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        self._fields = _fields(connection, extra)
        return self._fields.client_settings()

    def send(self, call: ApiRequest[T]) -> T:
        """Send a request and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return self.run(self.asend(call))

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a request from async code and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return await self._verbs(call)

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection with one request for a number; return success and a message, and never raise.

        Vendor operation: list numbers.
        """
        try:
            connection = self.get_connection(self.conn_id)
            fields = _fields(connection, extra_of(connection))
            settings = replace(fields.client_settings(), deadline=TEST_SECONDS, max_attempts=1)
            with Client(settings) as client:
                page = client.send(api.list_numbers(limit=1))
        except (Unauthorized, NotFound) as error:
            return False, f"Omnia Voice refused ({error.status}). {refused_advice(fields)}"
        except CallError as error:
            return False, f"Omnia Voice at {settings.base_url} did not answer as it should. {error}"
        except VoiceAgentsError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001  Airflow's contract: never raise
            return False, f"The connection cannot be read ({type(error).__name__})."
        count = f"{page.total} number(s)" if page.total is not None else "numbers"
        return True, f"The key works: {count} visible in its workspace at {fields.platform}."


def _fields(connection: Connection, extra: Mapping[str, Any]) -> ConnectionFields:
    return ConnectionFields(
        conn_id=connection.conn_id,
        api_key=connection.password,
        host=connection.host,
        port=connection.port,
        extra=extra,
    )
