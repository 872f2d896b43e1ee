"""Links from a task in Airflow to what it has left: the base of the systems' links, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_voice_agents.airflow_compat import TaskInstanceKey

REPORT_KEY = "promotion_report_url"
"""XCom under which the address of the task's XComs lies, where plan, report and verdict are."""


class StoredAddress:
    """Mixin of a link whose address a task left as XCom while it ran; Airflow asks for others when the task ends."""

    __slots__ = ()

    @property
    def xcom_key(self) -> str:
        """Where the address lies."""
        return REPORT_KEY

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, or an empty text where it cannot be known.

        :param operator: the task's operator, its templates rendered.
        :param ti_key: the task instance.
        """
        from airflow.providers.common.compat.sdk import XCom

        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or self.address(operator, ti_key))

    def address(self, operator: Any, ti_key: Any) -> str:
        """Return the address that the operator's arguments lead to.

        :param operator: the task's operator, its templates rendered.
        :param ti_key: the task instance.
        """
        return report_url(ti_key)


@attrs.define()
class ReportLink(StoredAddress, BaseOperatorLink):
    """Opens the task's report."""

    name: str = "Report"


REPORT_LINKS = (ReportLink(),)
"""Links of operators whose platform has no documented page to open."""


def report_url(ti: Any) -> str:
    """Return the address of a task's XComs in Airflow, below the base URL where one is set.

    :param ti: the task instance.
    """
    from airflow_voice_agents.airflow_compat import conf

    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    run, task = (quote(text, safe="") for text in (ti.run_id, ti.task_id))
    mapped = "" if ti.map_index is None or ti.map_index < 0 else f"/mapped/{ti.map_index}"
    return f"{base}/dags/{quote(ti.dag_id, safe='')}/runs/{run}/tasks/{task}{mapped}/xcom"
