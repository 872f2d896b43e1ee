"""Every example DAG, with the params of the demo; those that touch the same things one after the other."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from backends import BUCKET
from deployment import HUMAN, ROOT, STATE_CONNECTION, Run
from services import RunError
from stage import ON_BRANCHES as BISTRO
from stage import ROSA, SITES, Found, Scenario, Stage

from airflow_voice_agents.emulator.core import default_seed

HOTELS = "harbour-hotels"
BACKUPS = f"s3://{STATE_CONNECTION}@{BUCKET}/backups"
APPROVED = "promote_with_approval"
LANES: tuple[tuple[tuple[str, Mapping[str, Any]], ...], ...] = (
    (
        ("promote_config_in_one_project", {}),
        (APPROVED, {}),
        ("roll_back_a_promotion", {"action": "roll back"}),
        ("roll_back_a_promotion", {"action": "release hold"}),
        ("update_connectors_in_bulk", {}),
        ("import_and_route_numbers", {}),
    ),
    (
        ("promote_template_to_many_projects", {}),
        ("promote_each_with_its_own_approval", {}),
        ("release_pipeline", {"watch_minutes": 0.2, "poll_seconds": 2}),
    ),
    (
        ("daily_opening_hours", {}),
        ("promote_5000_sites", {"sites": SITES}),
        ("release_by_merge", {"agent_id": BISTRO, "watch_minutes": 0.2, "poll_seconds": 2}),
    ),
    (
        ("carrier_to_polyai", {}),
        ("carrier_to_omnia_voice", {}),
        ("watch_for_drift", {}),
        ("drift_on_webhook", {}),
    ),
)
AT_LAST: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("promote_fleet_in_waves", {}),
    ("back_up_and_restore", {"action": "back up", "folder": BACKUPS}),
    ("back_up_and_restore", {"action": "restore", "folder": BACKUPS}),
)


class Lane(threading.Thread):
    """Runs examples one after the other, and answers their questions."""

    def __init__(self, stage: Stage, examples: tuple[tuple[str, Mapping[str, Any]], ...]) -> None:
        super().__init__(daemon=True)
        self._stage = stage
        self._examples = examples
        self.wrong: list[str] = []
        self.runs: list[Run] = []

    def run(self) -> None:
        """Run them; whatever goes wrong ends the lane."""
        for dag_id, conf in self._examples:
            given = dict(conf)
            if given.get("action") == "roll back":
                given["run_id"] = next(run.run_id for run in self.runs if run.dag_id == APPROVED)
            started = time.monotonic()
            try:
                run = self._stage.airflow.trigger(dag_id, **given)
                self.runs.append(run)
                _answer_until_it_ends(run)
            except (RunError, OSError) as error:
                self.wrong.append(f"{dag_id}: {error}")
                return
            if (state := run.state()) != "success":
                self.wrong.append(f"{dag_id} ended {state}\n{run.told()}")
            tries = {name: count for name, count in run.tries().items() if count > 1}
            print(f"    {dag_id}: {state}, {time.monotonic() - started:.0f} s {tries or ''}", flush=True)


def _answer_until_it_ends(run: Run, seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    seen: dict[tuple[str, int], float] = {}
    while run.state() not in ("success", "failed"):
        if time.monotonic() > deadline:
            raise RunError(f"did not end in {seconds:.0f} s\n{run.told()}")
        for each in run.instances().values():
            asked = (each["task_id"], each["map_index"])
            if each["state"] == "awaiting_input":
                since = seen.setdefault(asked, time.monotonic())
                if time.monotonic() - since > HUMAN:
                    run.choose(asked[0], "Approve", asked[1])
                    seen[asked] = deadline  # once
        time.sleep(0.5)


def examples(stage: Stage) -> Found:
    """Run all of them on any worker, four at a time."""
    names = {path.stem for path in (ROOT / "example_dags").glob("*.py")}
    listed = {dag_id for lane in (*LANES, AT_LAST) for dag_id, _ in lane}
    wrong = [f"{name} is not run" for name in sorted(names ^ listed)]
    lanes = [Lane(stage, lane) for lane in LANES]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    wrong += [line for lane in lanes for line in lane.wrong]
    wrong += [f"not so: {what}" for what, holds in FACTS.items() if not holds(stage)]
    kept = stage.server.state.snapshot()
    last = Lane(stage, AT_LAST)
    last.run()
    wrong += last.wrong
    if stage.server.state.snapshot() != kept:
        wrong.append("a restore of what was just backed up changed something")
    runs = [*(run for lane in lanes for run in lane.runs), *last.runs]
    workers = {worker for run in runs for worker in run.workers().values() if worker}
    wrong += [] if {"worker-a", "worker-b"} <= workers else [f"only {workers} had work"]
    return Found(wrong, None, f"{len(runs)} runs of {len(names)} DAGs")


def _voices(stage: Stage) -> set[str]:
    return {each["voiceName"] for each in stage.server.polyai.agents[HOTELS]["connectors"].values()}


def _missing(stage: Stage) -> set[str]:
    with (ROOT / "example_dags" / "new_numbers.csv").open(newline="") as table:
        asked = {row["phone_number"] for row in csv.DictReader(table)}
    return asked - set(stage.server.polyai.agents[HOTELS]["numbers"])


def _closed_on_some_day(stage: Stage) -> bool:
    with (ROOT / "example_dags" / "opening_hours.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    pages = {row["agent_id"]: stage.values(row["agent_id"], "live")["opening_hours"] for row in rows}
    days = (
        (day == "closed", "closed" in pages[row["agent_id"]][name])
        for row in rows
        for name, day in row.items()
        if name != "agent_id"
    )
    return len(rows) == SITES and all(asked == held for asked, held in days)


def _versions(stage: Stage, agent: str) -> list[str]:
    deployments = stage.server.polyai.agents[agent]["deployments"]
    return [str(each["version"]) for each in deployments if each["environment"] == "live"]


FACTS: dict[str, Callable[[Stage], bool]] = {
    "the connectors have the new voice": lambda stage: (
        _voices(stage) == {"en-GB-Neural2-C", "fr-FR-Neural2-B"}
    ),
    "the numbers of the file were imported": lambda stage: not _missing(stage),
    "the sites are closed on the days of the table": _closed_on_some_day,
    "all sites are as the template": lambda stage: not stage.unlike_template(SITES),
    "the pipeline released one version": lambda stage: (
        len(_versions(stage, ROSA)) == 1 + len(_live_before(ROSA))
    ),
    "the merge released one version": lambda stage: (
        len(_versions(stage, BISTRO)) == 1 + len(_live_before(ROSA))
    ),
}
"""What must be so after all of them."""


def _live_before(agent: str) -> list[Any]:
    deployments = default_seed()["polyai"]["agents"][agent]["deployments"]
    return [each for each in deployments if each["environment"] == "live"]


SCENARIOS = (Scenario("All example DAGs", examples),)
