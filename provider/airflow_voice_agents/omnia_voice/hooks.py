"""The hook: an Airflow connection of type ``omniavoice``, and calls sent with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

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
    """Tries an update with its other verb, once, when it is answered 405, and remembers what worked.

    :param send: sends a call.
    """

    def __init__(self, send: Sender) -> None:
        self._send = send
        self._refused: set[str] = set()

    async def __call__(self, call: ApiRequest[T]) -> T:
        """Send a call; one that is no update goes as it is.

        :param call: what to send.
        :raises CallError: as the sender does; the first 405 when both verbs are refused.
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
    """Send Omnia Voice calls under an Airflow connection.

    An update that is answered 405 is sent once with its other verb; which one the platform takes is
    remembered as long as the hook lives.

    .. code-block:: python

        with OmniaVoiceHook() as hook:
            page = hook.send(calls.list_numbers())

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
        """What the connection says, the verb of updates and the platform's name among it."""
        if self._fields is None:
            connection = self.get_connection(self.conn_id)
            self._fields = _fields(connection, extra_of(connection))
        return self._fields

    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: connection of type ``omniavoice``.
        :param extra: its extra, already decoded.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        self._fields = _fields(connection, extra)
        return self._fields.client_settings()

    def send(self, call: ApiRequest[T]) -> T:
        """Send a call and return what it reads.

        :param call: what to send.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return self.run(self.asend(call))

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a call from async code and return what it reads.

        :param call: what to send.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return await self._verbs(call)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for one number of the workspace and say in words what came of it; never raises.

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
