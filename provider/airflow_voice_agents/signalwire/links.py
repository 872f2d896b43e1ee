"""Link from a task in Airflow to the SignalWire space of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from airflow.sdk import BaseOperatorLink

from airflow_voice_agents.bases.links import REPORT_LINKS

if TYPE_CHECKING:
    from airflow_voice_agents.airflow_compat import TaskInstanceKey

SPACE_KEY = "signalwire_space_url"
"""XCom under which Airflow keeps the address of the space when the task ends."""


@attrs.define()
class SignalWireSpaceLink(BaseOperatorLink):
    """Opens the space, whose address is that of its API."""

    name: str = "SignalWire space"

    @property
    def xcom_key(self) -> str:
        """Where the address lies."""
        return SPACE_KEY

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the space, or an empty text where the connection does not tell it.

        :param operator: the task's operator or sensor, its templates rendered.
        :param ti_key: the task instance; not used.
        """
        from airflow_voice_agents.bases.hook import extra_of
        from airflow_voice_agents.signalwire.hooks import SignalWireHook

        try:
            hook = SignalWireHook(operator.signalwire_conn_id)
            connection = hook.get_connection(hook.conn_id)
            parts = urlsplit(hook.settings(connection, extra_of(connection)).base_url)
        except Exception as trouble:  # noqa: BLE001  a link is no reason to fail; the task tells what is wrong
            operator.log.info("No link to the SignalWire space (%s)", type(trouble).__name__)
            return ""
        return f"{parts.scheme}://{parts.netloc}"


SPACE_LINKS = (SignalWireSpaceLink(),)
"""Links of every SignalWire sensor."""
LINKS = (*SPACE_LINKS, *REPORT_LINKS)
"""Links of every SignalWire operator."""
