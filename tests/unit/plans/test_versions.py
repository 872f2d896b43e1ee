"""Versions in plans and reports: short hash, message, author and date, and never a credential."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.render import render_report
from airflow_voice_agents.plans.report import ItemReport, Report, Status, explain
from airflow_voice_agents.plans.report_text import report_markdown, report_text
from airflow_voice_agents.plans.versions import KNOWN, version_change

OLD, NEW = "1" * 32, "2" * 32
LIVE = Resource("deployment", "harbour-hotels", "live")
RECORDS = [
    {"version": OLD, "label": "Release 41", "author": "ben", "created_at": "2026-10-01T08:00:00Z"},
    {"version": NEW, "label": "Release 42", "author": "", "created_at": None},
]


def item(facts: Any, before: Any = OLD) -> PlannedItem:
    change = Change(Op.CHANGE, ("version",), before, NEW)
    return PlannedItem(LIVE, "a", "b", changes=(change,), facts=facts)


def test_a_report_names_both_versions_as_people_know_them() -> None:
    told = '11111111 "Release 41" by ben on 2026-10-01 → 22222222 "Release 42"'
    planned = item({KNOWN: RECORDS})
    report = Report("promote", (explain(planned, ItemReport(LIVE, Status.CHANGED, "read back")),))
    assert report.document()["items"][0]["version_change"] == told
    assert f"{told}; read back" in render_report(report)
    for text in (report_text(report.document()), report_markdown(report.document())):
        assert "Release 41" in text
        assert OLD not in text


def test_records_of_environments_are_known_as_well() -> None:
    active = {"versions": {"live": RECORDS[0], "pre-release": RECORDS[1]}}
    assert version_change(item(active)) == version_change(item({KNOWN: RECORDS}))


def test_a_version_of_which_nothing_is_known_is_its_first_digits() -> None:
    assert version_change(item({KNOWN: RECORDS[1:]})) == '11111111 → 22222222 "Release 42"'
    assert version_change(item({KNOWN: RECORDS[1:]}, before=None)) == '22222222 "Release 42"'


def test_what_is_about_no_version_has_none() -> None:
    assert version_change(item({})) == ""
    assert version_change(PlannedItem(LIVE, "a", "b", facts={KNOWN: RECORDS})) == ""
    assert "version_change" not in explain(item({}), ItemReport(LIVE, Status.CHANGED)).details


def test_a_message_shows_no_credentials() -> None:
    record = {**RECORDS[1], "label": "see https://ann:hunter2@example.com"}
    assert "hunter2" not in version_change(item({KNOWN: [record]}))
