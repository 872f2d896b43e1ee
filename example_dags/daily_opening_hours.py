"""Push opening hours from a table to the live config of 200 sites, every morning."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
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
    Reads `opening_hours.csv` (one line per site, one column per day, empty for a closed day) and brings every
    site's live page to it. Replace `read_table` by a query to your warehouse. All other keys of the pages stay
    as they are, and sites whose hours did not change are not written.
    """,
):

    @task(multiple_outputs=False)
    def read_table() -> dict[str, Any]:
        """Return ``"agent_id/live"`` -> values, one entry per site."""
        with TABLE.open(encoding="utf-8", newline="") as table:
            return {f"{row['agent_id']}/live": {"opening_hours": hours(row)} for row in csv.DictReader(table)}

    def hours(row: dict[str, str]) -> dict[str, Any]:
        """Turn ``09:00-18:00`` into opening and closing time, and an empty cell into a closed day."""
        spans = {day: row[day].split("-") for day in DAYS}
        return {
            day: {"open": span[0], "close": span[1]} if len(span) == 2 else {"closed": True}
            for day, span in spans.items()
        }

    PolyAIUpdateConfigOperator(
        task_id="push_hours",
        values=read_table(),
        merge="replace",
        concurrency=8,
        confirm_live=True,
    )
