"""Every example DAG: parsed as Airflow parses it, run in a real Airflow, and run a second time for nothing."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.get_provider_info import get_provider_info
from airflow_voice_agents.omnia_voice.connection import ConnectionFields as OmniaVoiceFields
from airflow_voice_agents.polyai.connection import REGIONS, ConnectionFields
from airflow_voice_agents.polyai.hooks import PolyAIHook
from airflow_voice_agents.signalwire.connection import ConnectionFields as SignalWireFields
from support.airflow_home import AirflowHome, DagRunResult
from support.airflow_versions import AirflowFailException, DagBag, DagSerialization, ParamValidationError

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "example_dags"
FILES = sorted(EXAMPLES.glob("*.py"))
SITES = 200
HOTELS, ROSA, BANK = "harbour-hotels", "rosa-restaurants", "northgate-bank"

PAGES, SCHEMA, VALUES = (
    "list real-time configs",
    "update real-time config schema",
    "update real-time config variables",
)


README = (ROOT / "README.md").read_text(encoding="utf-8")
CONNECTIONS, OPERATORS, EXAMPLE_PAGE = (
    (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for page in ("connections", "operators", "examples")
)


class Example:
    """An Airflow home with the example DAGs, and the local server that their connection leads to."""

    def __init__(self, home: AirflowHome, server: EmulatorServer, key: str) -> None:
        self.server = server
        self._home = home
        home.connect("polyai_default", conn_type="polyai", host=server.url, password=key)
        for table in EXAMPLES.glob("*.csv"):
            home.add_dag(table)

    @property
    def folder(self) -> Path:
        """The folder of the DAG files and their tables."""
        return self._home.path / "dags"

    def attempt(self, name: str) -> DagRunResult:
        """Run an example from start to end, well or not; the requests of earlier runs are forgotten."""
        self.server.journal.clear()
        return self._home.run_dag_file(EXAMPLES / f"{name}.py")

    def run_file(self, path: Path, conf: dict[str, Any]) -> DagRunResult:
        """Run a DAG file that ends well."""
        self.server.journal.clear()
        run = self._home.run_dag_file(path, conf=conf)
        assert run.state == "success", run.output
        return run

    def run(self, name: str) -> DagRunResult:
        """Run an example that ends well."""
        run = self.attempt(name)
        assert run.state == "success", run.output
        return run

    def requests(self) -> dict[str, int]:
        """Requests of the last run by operation."""
        return dict(Counter(str(entry.operation) for entry in self.server.journal.entries()))

    def page(self, agent_id: str, environment: str) -> dict[str, Any]:
        """The values of a page as the server holds them."""
        return dict(self.server.polyai.page(agent_id, environment)["variables"])

    def expect_nothing_to_do_after(self, first: DagRunResult, name: str) -> None:
        """Run an example once more: no write, no asset event, and everything reported as unchanged."""
        before = self.server.state.snapshot()

        again = self.run(name)

        assert self.server.journal.writes() == []
        assert self.server.state.snapshot() == before
        assert not any(each["changed"] for each in summaries(again).values())
        assert again.asset_events == first.asset_events
        assert statuses(again) == {"unchanged": statuses(first).total()}


def summaries(run: DagRunResult) -> dict[str, dict[str, Any]]:
    """What each operator of a run returned."""
    return {task: found["return_value"] for task, found in run.xcoms.items() if "report" in found}


def statuses(run: DagRunResult) -> Counter[str]:
    """How the items of a run ended, over all its tasks."""
    return Counter(
        item["status"]
        for found in run.xcoms.values()
        if "report" in found
        for item in found["report"]["items"]
    )


@pytest.fixture
def example(airflow_home: AirflowHome) -> Iterator[Example]:
    with EmulatorServer() as server:
        yield Example(airflow_home, server, "demo-key-uk")


@pytest.fixture
def fleet(airflow_home: AirflowHome) -> Iterator[Example]:
    with EmulatorServer(fleet_seed(SITES)) as server:
        yield Example(airflow_home, server, FLEET_KEY)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_parses_without_warnings_and_survives_serialization(path: Path) -> None:
    bag = DagBag(path)

    assert bag.import_errors == {}
    assert not bag.captured_warnings
    (dag,) = bag.dags.values()
    assert dag.dag_id == path.stem
    assert DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).task_dict.keys() == set(
        dag.task_ids
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_described_and_never_runs_twice_at_a_time_or_for_the_past(path: Path) -> None:
    (dag,) = DagBag(path).dags.values()

    assert dag.doc_md
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert {getattr(task, "polyai_conn_id", "polyai_default") for task in dag.tasks} == {"polyai_default"}


def test_the_dag_in_the_readme_parses(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "from_readme.py"
    path.write_text(block)

    bag = DagBag(path)

    assert bag.import_errors == {}
    assert list(bag.dags) == ["to_pre_release"]


def test_the_connection_in_the_guide_is_complete() -> None:
    (text,) = re.findall(r"AIRFLOW_CONN_POLYAI_DEFAULT='(.*?)'", CONNECTIONS)
    fields = json.loads(text)

    settings = ConnectionFields("readme", "a-key", None, None, fields["extra"]).client_settings()

    assert fields["conn_type"] == PolyAIHook.conn_type
    assert settings.base_url == "https://api.uk.poly.ai"
    assert all(f"`https://api.{region}.poly.ai`" in CONNECTIONS for region in REGIONS)


def test_the_other_connections_in_the_guide_are_complete() -> None:
    signalwire, omnia = (
        json.loads(text)
        for text in re.findall(r"AIRFLOW_CONN_(?:SIGNALWIRE|OMNIAVOICE)_DEFAULT='(.*?)'", CONNECTIONS)
    )
    carrier = SignalWireFields("readme", signalwire["host"], "a-project", "a-token", None, {})
    platform = OmniaVoiceFields("readme", "a-key", omnia["host"], None, {})

    assert (signalwire["conn_type"], omnia["conn_type"]) == ("signalwire", "omniavoice")
    assert carrier.client_settings().base_url == "https://acme.signalwire.com"
    assert platform.client_settings().base_url == "https://api.omnia-voice.com/api/v1"


def test_the_guides_name_every_example_operator_and_sensor() -> None:
    info: dict[str, Any] = get_provider_info()
    names = [
        name for word in ("operators", "sensors") for each in info[word] for name in each["python-modules"]
    ]
    tasks = {
        name
        for module in map(import_module, names)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not isabstract(value)
        if not name.startswith("_")
    }

    assert len(tasks) >= 20
    assert [name for name in tasks if f"`{name}`" not in OPERATORS] == []
    assert [path.name for path in FILES if f"`{path.name}`" not in EXAMPLE_PAGE] == []


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda p: p.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_import_and_route_numbers(example: Example) -> None:
    name = "import_and_route_numbers"

    first = example.run(name)

    numbers = example.server.polyai.agents[HOTELS]["numbers"]
    new = [f"+44163296010{last}" for last in range(4)]
    assert [(numbers[each]["clientEnv"], numbers[each]["connectorId"]) for each in new] == [
        ("sandbox", "conn_hh_sandbox")
    ] * 4
    assert first.tasks == {"import_numbers": "success"}
    assert statuses(first) == {"changed": 4, "unchanged": 1}
    assert example.requests() == {
        "get connector": 1,
        "get phone numbers": 2,
        "import phone numbers": 1,
    }
    assert [each["uri"] for each in first.asset_events] == [
        f"polyai://agents/{HOTELS}/environments/sandbox/phone-numbers"
    ]
    example.expect_nothing_to_do_after(first, name)


def test_update_connectors_in_bulk(example: Example) -> None:
    name = "update_connectors_in_bulk"

    first = example.run(name)

    connectors = example.server.polyai.agents[HOTELS]["connectors"]
    assert {each: (found["voiceName"], found["variantId"]) for each, found in connectors.items()} == {
        "conn_hh_sandbox": ("en-GB-Neural2-C", None),
        "conn_hh_prerelease": ("en-GB-Neural2-C", "VARIANT-C93513B5"),
        "conn_hh_live_main": ("en-GB-Neural2-C", "VARIANT-C93513B5"),
        "conn_hh_live_jersey": ("fr-FR-Neural2-B", "VARIANT-42CC9B38"),
        "conn_hh_live_groups": ("en-GB-Neural2-C", "VARIANT-D1E2FCB9"),
    }
    for agent, sandbox in (("rosa-restaurants", "conn_rr_sandbox"), ("northgate-bank", "conn_nb_sandbox")):
        assert example.server.polyai.agents[agent]["connectors"][sandbox]["asrLangCode"] == "en-US"
    assert set(first.tasks.values()) == {"success"}
    assert statuses(first) == {"changed": 7}
    assert len(example.server.journal.writes()) == 7
    example.expect_nothing_to_do_after(first, name)


def test_promote_config_in_one_project(example: Example) -> None:
    name = "promote_config_in_one_project"
    sandbox, live_before = example.page(HOTELS, "sandbox"), example.page(HOTELS, "live")

    first = example.run(name)

    live = example.page(HOTELS, "live")
    own = {"fallback_number", "pms_api_key", "winter_notice"}
    assert {key: live[key] for key in own} == {key: live_before[key] for key in own}
    assert {key: live[key] for key in live.keys() - own - {"settings"}} == {
        key: sandbox[key] for key in sandbox.keys() - own - {"settings"}
    }
    assert live["settings"] == {
        "use_mock_api": False,
        "mock_dnis": False,
        "use_dev_api": False,
        "routing_enabled": True,
        "booking_timeout_seconds": 8.0,
    }
    assert first.tasks == {
        "promote_to_pre_release": "success",
        "wait_for_acceptance": "success",
        "promote_to_live": "success",
    }
    assert statuses(first) == {"changed": 2}
    assert example.requests() == {PAGES: 5, VALUES: 2, SCHEMA: 1}
    example.expect_nothing_to_do_after(first, name)


def test_promote_template_to_many_projects(example: Example) -> None:
    name = "promote_template_to_many_projects"
    before = {project: example.page(project, "pre-release") for project in (ROSA, BANK)}
    template = example.page(HOTELS, "sandbox")

    first = example.run(name)

    messages = {
        ROSA: template["holiday_message"],
        BANK: "Branches are closed from 24 to 26 December.",
    }
    for project, page in before.items():
        hours = {**page["opening_hours"], "sunday": template["opening_hours"]["sunday"]}
        expected = {**page, "holiday_message": messages[project], "opening_hours": hours}
        assert example.page(project, "pre-release") == expected
    assert first.tasks == {"plan": "success", "apply": "success"}
    assert first.xcoms["plan"]["report"]["dry_run"] is True
    assert (
        first.xcoms["plan"]["return_value"]["plan_digest"]
        == first.xcoms["apply"]["return_value"]["plan_digest"]
    )
    assert example.requests() == {PAGES: 3 + 3 + 2, VALUES: 2}
    example.expect_nothing_to_do_after(first, name)


def test_promote_5000_sites(
    fleet: Example, airflow_home: AirflowHome, fernet_key: str, tmp_path: Path
) -> None:
    """Here four sites in chunks of two, the first time without a person to ask."""
    airflow_home.settings["AIRFLOW__CORE__FERNET_KEY"] = fernet_key
    text = (EXAMPLES / "promote_5000_sites.py").read_text(encoding="utf-8")
    asks, size = 'approval={"response_timeout": timedelta(hours=12)}', "chunk_size=100"
    named = 'dag_id="promote_5000_sites"'  # on Airflow 3.1 dag.test() knows only the first DAG of an id
    changes = {asks: "approval=False", size: "chunk_size=2", named: 'dag_id="unasked"'}
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    unasked = tmp_path / "unasked.py"
    unasked.write_text(text, encoding="utf-8")

    first = fleet.run_file(unasked, {"sites": 5})
    written = len(fleet.server.journal.writes())
    again = fleet.run_file(EXAMPLES / "promote_5000_sites.py", {"sites": 5})

    chunked = {f"promotion.{name}[{chunk}]" for name in ("apply", "verify") for chunk in range(2)}
    assert set(first.tasks) == {"sites", "promotion.plan", "promotion.report", *chunked}
    assert set(first.tasks.values()) == {"success"}
    assert first.xcoms["promotion.report"]["report"]["counts"]["changed"] == 4
    assert written > 0
    assert again.xcoms["promotion.report"]["report"]["counts"]["unchanged"] == 4
    assert again.tasks["promotion.approval"] == "success"
    assert fleet.server.journal.writes() == []


def test_daily_opening_hours(fleet: Example) -> None:
    name = "daily_opening_hours"
    others = {site: without_hours(fleet.page(site, "live")) for site in ("site-0001", "site-0200")}

    first = fleet.run(name)

    with (EXAMPLES / "opening_hours.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == SITES
    for row in rows:
        assert fleet.page(row["agent_id"], "live")["opening_hours"] == hours_of(row)
    assert {site: without_hours(fleet.page(site, "live")) for site in others} == others
    assert first.tasks == {"read_table": "success", "push_hours": "success"}
    assert set(first.xcoms["read_table"]) == {"return_value"}
    assert statuses(first) == {"changed": SITES}
    assert fleet.requests() == {PAGES: 2 * SITES, VALUES: SITES}
    fleet.expect_nothing_to_do_after(first, name)
    assert fleet.requests() == {PAGES: SITES}


def without_hours(page: dict[str, Any]) -> dict[str, Any]:
    """A page's values but for the opening hours."""
    return {key: value for key, value in page.items() if key != "opening_hours"}


def hours_of(row: dict[str, str]) -> dict[str, Any]:
    """A row of the table as a page holds it."""
    days = {day: span for day, span in row.items() if day != "agent_id"}
    return {
        day: dict(zip(("open", "close"), span.split("-"), strict=True))
        if span != "closed"
        else {"closed": True}
        for day, span in days.items()
    }


# ------------------------------------------------------------------------------------- bad inputs

MAY_BE_BLANK = {"override_freeze", "run_id", "snapshot", "reason"}
"""Params without which an example does less, or is refused by its operator; nothing is widened."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_param_of_an_example_may_be_blank(path: Path) -> None:
    (dag,) = DagBag(path).dags.values()

    for name in dag.params.keys() - MAY_BE_BLANK:
        for blank in ("", " \t", None):
            with pytest.raises(ParamValidationError):
                dag.params.get_param(name).resolve(blank)


def read_hours(monkeypatch: pytest.MonkeyPatch, table: Path) -> Any:
    (dag,) = DagBag(EXAMPLES / "daily_opening_hours.py").dags.values()
    function = dag.get_task("read_table").python_callable
    monkeypatch.setitem(function.__globals__, "TABLE", table)
    return function()


HEADER = "Agent ID;Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_opening_hours_are_read_as_a_spreadsheet_exports_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    row = "a;09:00–18:00;9am-5pm;22:00-02:00;24 hours;Closed;09:00 - 18:00;closed"
    (tmp_path / "hours.csv").write_bytes(f"{HEADER}\r\n{row}\r\n".encode(encoding))

    found = read_hours(monkeypatch, tmp_path / "hours.csv")

    assert found == {
        "a/live": {
            "opening_hours": {
                "monday": {"open": "09:00", "close": "18:00"},
                "tuesday": {"open": "09:00", "close": "17:00"},
                "wednesday": {"open": "22:00", "close": "02:00"},
                "thursday": {"open": "00:00", "close": "24:00"},
                "friday": {"closed": True},
                "saturday": {"open": "09:00", "close": "18:00"},
                "sunday": {"closed": True},
            }
        }
    }


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("site-7;09:00-12:00, 13:00-17:00;{6}", "row 2: site-7, monday: there are 2 spans"),
        ("site-7;9-5;{6}", "row 2: site-7, monday: '9-5'"),
        ("site-7;by appointment;{6}", "row 2: site-7, monday: 'by appointment'"),
        ("site-7;;{6}", "row 2: site-7, monday: '' is blank; write closed"),
        ("site-7;closed", "site-7, sunday: '' is blank"),
        (";closed;{6}", "row 2 has no agent_id"),
        ("site-7;closed;{6}\nsite-7;closed;{6}", "row 3: site site-7 is there twice"),
        ("site-7;closed;{6};09:00-10:00", "row 2 has 9 cells"),
    ],
)
def test_hours_that_are_not_clear_fail_by_site_and_day(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cells: str, said: str
) -> None:
    text = cells.replace("{6}", ";".join(["closed"] * 6))
    (tmp_path / "hours.csv").write_text(f"{HEADER}\n{text}\n")

    with pytest.raises(AirflowFailException, match=re.escape(said)):
        read_hours(monkeypatch, tmp_path / "hours.csv")


def test_a_table_of_hours_without_a_day_names_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hours.csv").write_text("agent_id;mo;tu\na;closed;closed\n")

    with pytest.raises(
        AirflowFailException, match=r"has no column 'monday'.*semicolons.*'agent_id', 'mo', 'tu'"
    ):
        read_hours(monkeypatch, tmp_path / "hours.csv")


def test_a_bad_table_of_hours_fails_the_run_before_any_request(fleet: Example) -> None:
    rows = (EXAMPLES / "opening_hours.csv").read_text().splitlines()
    rows[1] = rows[1].replace("08:30-17:30", "8:30-5:30pm", 1)
    (fleet.folder / "opening_hours.csv").write_text("\n".join(rows))

    run = fleet.attempt("daily_opening_hours")

    assert run.state == "failed"
    assert "site-0001, monday: '8:30-5:30pm'" in run.output
    assert fleet.requests() == {}
