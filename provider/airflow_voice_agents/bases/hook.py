"""A hook that sends calls; systems add how a connection becomes client settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_voice_agents.airflow_compat import connection_async, connection_extra_async
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.settings import ClientSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

T = TypeVar("T")


class VoiceAgentsHook(BaseHook):
    """Holds one pooled client for one connection, made at first use.

    Use it as a context manager, sync or async, so that its connections are closed.

    :param conn_id: id of the Airflow connection.
    """

    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._client: Client | None = None

    @abstractmethod
    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: the Airflow connection.
        :param extra: its extra, already decoded.
        :raises ConnectionSettingsError: naming the connection and the field that is wrong.
        """

    @property
    def client(self) -> Client:
        """The client; the connection is resolved at first use."""
        if self._client is None:
            connection = self.get_connection(self.conn_id)
            self._client = Client(self.settings(connection, connection.extra_dejson))
        return self._client

    def get_conn(self) -> Client:
        """Return the client."""
        return self.client

    def send(self, call: ApiRequest[T]) -> T:
        """Send a call and return what it reads.

        :param call: what to send.
        :raises VoiceAgentsError: the subclass that says what went wrong.
        """
        return self.client.send(call)

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a call from async code and return what it reads.

        :param call: what to send.
        :raises VoiceAgentsError: the subclass that says what went wrong.
        """
        return await (await self.aclient()).asend(call)

    async def aclient(self) -> Client:
        """Return the client; the connection is resolved at first use, without blocking the event loop."""
        if self._client is None:
            connection = await connection_async(self.conn_id)
            extra = await connection_extra_async(connection)
            # While this one waited, another send of the same task may have made the client.
            self._client = self._client or Client(self.settings(connection, extra))
        return self._client

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run async work that sends through this hook, on the client's own event loop.

        :param work: coroutine that awaits :meth:`asend`.
        """
        try:
            client = self.client
        except BaseException:
            work.close()
            raise
        return client.run(work)

    def close(self) -> None:
        """Close the client's connections, if it was ever used."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
