"""The hook for Airflow connections of type ``polyai``."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from airflow_voice_agents.bases.hook import VoiceAgentsHook, extra_of, extra_of_async, open_client
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.connection import ConnectionFields, refused_advice
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import CallError, NotFound, Unauthorized, VoiceAgentsError
from airflow_voice_agents.transport.settings import ClientSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

T = TypeVar("T")

TEST_SECONDS = 10.0


class PolyAIHook(VoiceAgentsHook):
    """Send PolyAI requests with an Airflow connection.

    .. code-block:: python

        from airflow_voice_agents.polyai import api
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        with PolyAIHook() as hook:
            pages = hook.send(api.list_config_pages("harbour-hotels"))

    Requests to a route in ``api.RUNTIME_ROUTES`` go to the runtime host with the connection's runtime API key.

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    conn_name_attr = "polyai_conn_id"
    default_conn_name = "polyai_default"
    conn_type = "polyai"
    hook_name = "PolyAI"

    def __init__(self, polyai_conn_id: str = default_conn_name) -> None:
        super().__init__(polyai_conn_id)
        self._runtime: Client | None = None

    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: connection of type ``polyai``.
        :param extra: the decoded extra of the connection.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        return _fields(connection, extra).client_settings()

    @property
    def account_id(self) -> str:
        """The connection's account.

        :raises ConnectionSettingsError: if the connection has no account.
        """
        connection = self.get_connection(self.conn_id)
        fields = _fields(connection, extra_of(connection))
        if fields.account_id is None:
            raise fields.error(
                "account_id is missing: fill it in (Workspace ID in Agent Studio), or pass account_id"
            )
        return fields.account_id

    @property
    def runtime(self) -> Client:
        """The client of the runtime host; the connection is resolved at first use."""
        if self._runtime is None:
            connection = self.get_connection(self.conn_id)
            self._runtime = open_client(_fields(connection, extra_of(connection)).runtime_settings())
        return self._runtime

    def send(self, call: ApiRequest[T]) -> T:
        """Send a request to its host, and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return self.runtime.send(call) if call.route in api.RUNTIME_ROUTES else super().send(call)

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a request to its host from async code, and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        if call.route in api.RUNTIME_ROUTES:
            return await (await self._aruntime()).asend(call)
        return await super().asend(call)

    def close(self) -> None:
        """Close the network connections of both clients, if any."""
        try:
            if self._runtime is not None and self._client is not None:
                # What was sent with run() has its connections in that client's event loop.
                self._client.run(self._runtime.aclose())
            elif self._runtime is not None:
                self._runtime.close()
        finally:
            super().close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._runtime is not None:
                await self._runtime.aclose()
        finally:
            await super().__aexit__(kind, error, trace)

    async def _aruntime(self) -> Client:
        if self._runtime is None:
            connection = await self.find_connection(self.conn_id)
            fields = _fields(connection, await extra_of_async(connection))
            # While this one waited, another send of the same task may have made the client.
            self._runtime = self._runtime or open_client(fields.runtime_settings())
        return self._runtime

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection with one request for the account's agents; return success and a message, and
        never raise.

        Vendor operation: list agents.
        """
        try:
            connection = self.get_connection(self.conn_id)
            fields = _fields(connection, extra_of(connection))
            settings = replace(fields.client_settings(), deadline=TEST_SECONDS, max_attempts=1)
            if fields.account_id is None:
                return False, (
                    "The fields are well formed, but nothing was asked of PolyAI: fill in the account id "
                    "(Workspace ID in Agent Studio), which the only harmless request needs."
                )
            with Client(settings) as client:
                agents = client.send(api.list_agents(fields.account_id))
        except (Unauthorized, NotFound) as error:
            return False, f"PolyAI refused ({error.status}). {refused_advice(fields)}"
        except CallError as error:
            return False, f"PolyAI at {settings.base_url} did not answer as it should. {error}"
        except VoiceAgentsError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001  Airflow's contract: never raise
            return False, f"The connection cannot be read ({type(error).__name__})."
        where = fields.host or f"region {fields.region}"
        return (
            True,
            f"The key works: {len(agents)} agent(s) visible in account {fields.account_id} ({where}).",
        )


def _fields(connection: Connection, extra: Mapping[str, Any]) -> ConnectionFields:
    return ConnectionFields(
        conn_id=connection.conn_id,
        api_key=connection.password,
        host=connection.host,
        port=connection.port,
        extra=extra,
    )
