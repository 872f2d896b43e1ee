"""The hook: an Airflow connection of type ``polyai``, and calls sent with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.edge.hook import VoiceAgentsHook
from airflow_voice_agents.http.client import Client
from airflow_voice_agents.http.errors import CallError, NotFound, Unauthorized, VoiceAgentsError
from airflow_voice_agents.http.settings import ClientSettings
from airflow_voice_agents.polyai import calls
from airflow_voice_agents.polyai.connection import ConnectionFields, refused_advice

if TYPE_CHECKING:
    from airflow.sdk import Connection

TEST_SECONDS = 10.0


class PolyAIHook(VoiceAgentsHook):
    """Send PolyAI calls under an Airflow connection.

    .. code-block:: python

        with PolyAIHook() as hook:
            pages = hook.send(calls.list_config_pages("harbour-hotels"))

    :param polyai_conn_id: id of a connection of type ``polyai``.
    """

    conn_name_attr = "polyai_conn_id"
    default_conn_name = "polyai_default"
    conn_type = "polyai"
    hook_name = "PolyAI"

    def __init__(self, polyai_conn_id: str = default_conn_name) -> None:
        super().__init__(polyai_conn_id)

    def settings(self, connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
        """Turn a connection into client settings.

        :param connection: connection of type ``polyai``.
        :param extra: its extra, already decoded.
        :raises ConnectionSettingsError: naming the connection and the field that is wrong.
        """
        return _fields(connection, extra).client_settings()

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the account's agents once and say in words what came of it; never raises.

        Vendor operation: list agents.
        """
        try:
            connection = self.get_connection(self.conn_id)
            fields = _fields(connection, connection.extra_dejson)
            settings = replace(fields.client_settings(), deadline=TEST_SECONDS, max_attempts=1)
            if fields.account_id is None:
                return False, (
                    "The fields are well formed, but nothing was asked of PolyAI: fill in the account id "
                    "(Workspace ID in Agent Studio), which the only harmless request needs."
                )
            with Client(settings) as client:
                agents = client.send(calls.list_agents(fields.account_id))
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
