"""Write opening hours from a table to the live config of 200 sites, every morning."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, task

from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator

TABLE = Path(__file__).with_name("opening_hours.csv")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

with DAG(
    dag_id="daily_opening_hours",
    schedule="0 5 * * *",
    start_date=pendulum.datetime(2026, 11, 1, tz="Europe/London"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["polyai", "config"],
    doc_md="""
    Reads `opening_hours.csv` (one row per site, one column per day, `closed` for a closed day) and updates
    the live page of every site. An empty or unreadable cell fails the run before any request; the error names
    the site and the day. A day that cannot be read never counts as closed. Replace `read_table` with a query
    to your warehouse. All other keys of the pages stay unchanged, and sites whose hours did not change are
    not written.
    """,
):

    @task(multiple_outputs=False)
    def read_table() -> dict[str, Any]:
        """Return ``"agent_id/live"`` -> values, one entry per site; what cannot be read fails, by site and day."""
        from airflow_voice_agents.bases.template_inputs import read_records
        from airflow_voice_agents.plans.opening_hours import parse_week
        from airflow_voice_agents.transport.errors import InputError

        try:
            rows = read_records(str(TABLE), name="opening hours", wanted=["agent_id"], may_be_blank=DAYS)
        except InputError as error:
            raise AirflowFailException(str(error)) from None
        found: dict[str, Any] = {}
        problems = []
        for place, row in rows:
            site = row["agent_id"]
            if f"{site}/live" in found:
                problems.append(f"{place}: site {site} is there twice")
            try:
                week = parse_week(row, site=site, days={day: day for day in DAYS})
                found[f"{site}/live"] = {"opening_hours": on_page(site, week)}
            except InputError as error:
                problems.append(f"{place}: {error}")
        if problems:
            raise AirflowFailException(
                "\n".join([f"{TABLE.name} cannot be used. Nothing was sent.", *problems])
            )
        return found

    def on_page(site: str, week: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
        """Return a week as the pages of this fleet hold it: each day is closed, or open once."""
        from airflow_voice_agents.transport.errors import InputError

        for day, spans in week.items():
            if len(spans) > 1:
                raise InputError(f"{site}, {day}: there are {len(spans)} spans, and the page takes one")
        return {
            day: {"open": spans[0][0], "close": spans[0][1]} if spans else {"closed": True}
            for day, spans in week.items()
        }

    PolyAIUpdateConfigOperator(
        task_id="push_hours",
        values=read_table(),
        merge="replace",
        concurrency=8,
        confirm_live=True,
    )
