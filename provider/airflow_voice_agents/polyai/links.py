"""Links from a task in Airflow to the agent in Agent Studio, and to the task's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink

from airflow_voice_agents.bases.links import REPORT_KEY, ReportLink, StoredAddress, report_url

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.polyai.operators.base import PolyAIOperator

STUDIO_KEY = "agent_studio_url"
"""XCom under which the address of the agent in Agent Studio lies."""

SECTION, OPTION = "voice_agents", "studio_url"
DEFAULT_STUDIO_URL = "https://studio.{region}.poly.ai/{account_id}/{agent_id}"
"""The form that the vendor's own command line prints; the vendor documents none."""
SELF_SERVE_URL = "https://studio.poly.ai/{account_id}/{agent_id}"


@attrs.define()
class AgentStudioLink(StoredAddress, BaseOperatorLink):
    """Opens the agent in Agent Studio."""

    name: str = "Agent Studio"

    @property
    def xcom_key(self) -> str:
        """Where the address lies."""
        return STUDIO_KEY

    def address(self, operator: Any, ti_key: Any) -> str:
        """Return the address of the first agent that the arguments name.

        :param operator: the task's operator, its templates rendered.
        :param ti_key: the task instance; not used.
        """
        from airflow_voice_agents.polyai.hooks import PolyAIHook

        try:
            agent = next(agents_of(operator), None)
            if agent is None:
                return ""
            connection = PolyAIHook.get_connection(operator.polyai_conn_id)
            return studio_url(dict(connection.extra_dejson), agent)
        except Exception as trouble:  # noqa: BLE001  a link is no reason to fail; the task tells what is wrong
            operator.log.info("No link to Agent Studio (%s)", type(trouble).__name__)
            return ""


@attrs.define()
class PromotionReportLink(ReportLink):
    """Opens the task's plan, report and verdict."""

    name: str = "Promotion report"


@attrs.define()
class PolyAIReportLink(PromotionReportLink):
    """Opens the task's report."""

    name: str = "Report"


STUDIO_LINKS = (AgentStudioLink(),)
"""Links of the sensors, which leave no report."""
REPORT_LINKS = (*STUDIO_LINKS, PolyAIReportLink())
"""Links of every operator."""
LINKS = (*STUDIO_LINKS, PromotionReportLink())
"""Links of the operators that promote, deploy or watch."""


def agents_of(operator: Any) -> Iterator[str]:
    """Yield the agents that the arguments of an operator or sensor name.

    :param operator: the operator or sensor, its templates rendered.
    """
    for name in ("agent_id", "project_id", "targets", "values", "spec"):
        if hasattr(operator, name):
            yield from _agents_in(operator.uncovered(name))


def _agents_in(given: Any) -> Iterator[str]:
    """Yield the agents of an id, of ``"agent/environment"``, of a target, of a spec, or of a list of these."""
    if isinstance(given, str):
        if given and not given.startswith(("[", "{")):  # JSON that a template rendered
            yield given.partition("/")[0]
    elif isinstance(given, Mapping):
        if named := given.get("agent_id") or given.get("targets"):
            yield from _agents_in(named)
        else:
            yield from (each.partition("/")[0] for each in given if isinstance(each, str) and "/" in each)
    elif isinstance(given, Sequence):
        for each in given:
            yield from _agents_in(each)


def leave_links(operator: PolyAIOperator, context: Context, agents: Sequence[str]) -> None:
    """Leave the addresses as XComs, so that the links work while the task runs.

    :param operator: whose task it is.
    :param context: the task's context.
    :param agents: agents that the task is about; the link leads to the first.
    """
    ti = context["ti"]
    ti.xcom_push(key=REPORT_KEY, value=report_url(ti))
    try:
        connection = operator.hook().get_connection(operator.polyai_conn_id)
        address = studio_url(dict(connection.extra_dejson), agents[0]) if agents else ""
    except Exception as trouble:  # noqa: BLE001  a link is no reason to fail; the task tells what is wrong
        operator.log.info("No link to Agent Studio (%s)", type(trouble).__name__)
        return
    if address:
        ti.xcom_push(key=STUDIO_KEY, value=address)


def studio_url(extra: dict[str, Any], agent_id: str) -> str:
    """Return the address of an agent in Agent Studio, or an empty text where it cannot be known.

    The form is that of ``[voice_agents] studio_url``, where that is set.

    :param extra: the connection's extra: ``region`` and ``account_id``.
    :param agent_id: the agent.
    """
    from airflow_voice_agents.airflow_compat import conf

    region, account = str(extra.get("region") or ""), str(extra.get("account_id") or "")
    usual = SELF_SERVE_URL if region == "studio" else DEFAULT_STUDIO_URL
    form = conf.get(SECTION, OPTION, fallback="") or usual
    parts = {"region": region, "account_id": account, "agent_id": agent_id}
    if any(f"{{{name}}}" in form and not value for name, value in parts.items()):
        return ""
    for name, value in parts.items():
        form = form.replace(f"{{{name}}}", quote(value, safe=""))
    return form
