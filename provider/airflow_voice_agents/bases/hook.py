"""Base class of hooks: one pooled client per connection."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from msgspec.structs import asdict

from airflow_voice_agents.airflow_compat import (
    AirflowNotFoundException,
    add_connection_form,
    conf,
    connection_async,
    connection_extra_async,
)
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import ConnectionSettingsError
from airflow_voice_agents.transport.settings import AUTO, ClientSettings

if TYPE_CHECKING:
    from airflow.sdk import Connection

T = TypeVar("T")

SECTION, RATE_LIMIT_STORE, TRANSPORT = "voice_agents", "rate_limit_store", "transport"
"""Section and option of Airflow's configuration that name the store of the shared pace."""


class VoiceAgentsHook(BaseHook):
    """Base of the hooks: one pooled client for one connection, created at first use.

    Use it as a context manager, sync or async, to close its network connections.

    :param conn_id: id of the Airflow connection.
    """

    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        add_connection_form(cls)

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._client: Client | None = None

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return a connection of this hook's type.

        :param conn_id: id of the Airflow connection.
        :raises ConnectionSettingsError: if the connection does not exist or has another type, because its key
            must not be sent to this platform.
        """
        try:
            return cls._checked(super().get_connection(conn_id))
        except AirflowNotFoundException:
            pass
        raise cls._missing(conn_id)

    @classmethod
    async def find_connection(cls, conn_id: str) -> Connection:
        """Return a connection of this hook's type without blocking the event loop.

        :param conn_id: id of the Airflow connection.
        :raises ConnectionSettingsError: as :meth:`get_connection` does.
        """
        try:
            return cls._checked(await connection_async(conn_id))
        except AirflowNotFoundException:
            pass
        raise cls._missing(conn_id)

    @classmethod
    def _checked(cls, connection: Connection) -> Connection:
        given = connection.conn_type
        if given and given != cls.conn_type:
            raise ConnectionSettingsError(
                f"connection {connection.conn_id!r} is of type {given!r}, not {cls.conn_type!r}, so its key was not "
                f"used. Nothing was sent. Pass {cls.conn_name_attr} with a connection of type {cls.conn_type!r}, or "
                "correct its type."
            )
        return connection

    @classmethod
    def _missing(cls, conn_id: str) -> ConnectionSettingsError:
        return ConnectionSettingsError(
            f"connection {conn_id!r} does not exist. Nothing was sent. Create it with type {cls.conn_type!r}, or pass "
            f"another one as {cls.conn_name_attr}."
        )

    @abstractmethod
    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: the Airflow connection.
        :param extra: the decoded extra of the connection.
        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """

    @property
    def client(self) -> Client:
        """The client; the connection is resolved at first use."""
        if self._client is None:
            connection = self.get_connection(self.conn_id)
            self._client = open_client(self.settings(connection, extra_of(connection)))
        return self._client

    def place(self) -> tuple[str, str]:
        """Return the host name of the connection's API, and its account if it has one.

        :raises ConnectionSettingsError: if the connection is invalid; the message names the connection and
            the field.
        """
        connection = self.get_connection(self.conn_id)
        extra = extra_of(connection)
        base_url = self.settings(connection, extra).base_url
        return urlsplit(base_url).hostname or base_url, str(extra.get("account_id") or "")

    def get_conn(self) -> Client:
        """Return the client."""
        return self.client

    def send(self, call: ApiRequest[T]) -> T:
        """Send a request and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return self.client.send(call)

    async def asend(self, call: ApiRequest[T]) -> T:
        """Send a request from async code and return its parsed response.

        :param call: the request, from the system's ``api`` module.
        :raises VoiceAgentsError: a subclass for the cause, see :mod:`airflow_voice_agents.transport.errors`.
        """
        return await (await self.aclient()).asend(call)

    async def aclient(self) -> Client:
        """Return the client; the connection is resolved at first use, without blocking the event loop."""
        if self._client is None:
            connection = await self.find_connection(self.conn_id)
            extra = await extra_of_async(connection)
            # While this one waited, another send of the same task may have made the client.
            self._client = self._client or open_client(self.settings(connection, extra))
        return self._client

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that uses this hook, on the client's own event loop.

        :param work: coroutine that awaits :meth:`asend`.
        """
        try:
            client = self.client
        except BaseException:
            work.close()
            raise
        return client.run(work)

    def close(self) -> None:
        """Close the client's network connections, if any."""
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


def open_client(settings: ClientSettings) -> Client:
    """Create a client that shares its request rate with others.

    ``[voice_agents] rate_limit_store`` shares the rate among all workers and triggerers; otherwise a file in
    the Airflow home shares it among the processes of one machine.

    :param settings: address, key and limits.
    :raises ConnectionSettingsError: if the URL of the store is invalid, or its package is missing.
    """
    home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()
    store = conf.get(SECTION, RATE_LIMIT_STORE, fallback="") or None
    folder = str(home / "voice-agents" / "limits")
    transport = conf.get(SECTION, TRANSPORT, fallback="") or AUTO
    chosen = {"rate_limit_store": store, "limit_folder": folder, "transport": transport}
    # Made anew: before msgspec 0.21, which Airflow 3.1 has, replace() checks nothing.
    return Client(type(settings)(**{**asdict(settings), **chosen}))


def extra_of(connection: Connection) -> Mapping[str, Any]:
    """Return the decoded extra of a connection.

    :param connection: the Airflow connection.
    :raises ConnectionSettingsError: if the extra is not a JSON object.
    """
    return _object(connection, connection.extra_dejson)


async def extra_of_async(connection: Connection) -> Mapping[str, Any]:
    """Return the decoded extra of a connection without blocking the event loop.

    :param connection: the Airflow connection.
    :raises ConnectionSettingsError: as :func:`extra_of` does.
    """
    return _object(connection, await connection_extra_async(connection))


def _object(connection: Connection, extra: Any) -> Mapping[str, Any]:
    raw = getattr(connection, "extra", None)
    if isinstance(extra, Mapping) and (extra or not isinstance(raw, str) or _decoded(raw) == {}):
        return extra
    if isinstance(extra, str) and isinstance(_decoded(extra), Mapping):
        what = "is a JSON text inside JSON: it was encoded twice"
    elif isinstance(extra, Mapping):
        what = "is not valid JSON"
    else:
        what = f"is not a JSON object, but {type(extra).__name__}"
    raise ConnectionSettingsError(
        f"connection {connection.conn_id!r}: the extra {what}. Nothing was sent. Write it as a JSON object, such as "
        '{"timeout": 60}.'
    )


def _decoded(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return None
