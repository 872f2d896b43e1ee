"""The demo: real promotions in a real Airflow, against a local server that stands in for PolyAI.

Without options it runs a DAG twice, shows plan, progress and report, reads the server's state to see
whether it is right, and ends with exit code 0 only if it is. With ``--ui`` it leaves Airflow's web
interface up until Ctrl-C. Nothing stays behind in either case.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import show
from expected import FACTS, at, differences, expected_pages, page_of, text
from local_settings import ON_BRANCHES, SITES
from processes import HERE, KEY, DemoError, Emulator, Home, Runner, Standalone, connections

DAG_ID = "promote_three_projects"
EXAMPLES = HERE.parent / "example_dags"
UI_PORT = 8080
EMULATOR_PORT = 8099


def main() -> int:
    """Run the demo and return its exit code."""
    options = arguments()
    on_signals(interrupt)
    home = Home()
    right = False
    try:
        right = (web_interface if options.ui else promotions)(home, options.seed)
    except DemoError as error:
        show.verdict(f"The demo failed: {error}.", right=False)
    except KeyboardInterrupt:
        right = options.ui
        show.say("\nEnding Airflow and the local server …")
    finally:
        on_signals(signal.SIG_IGN)
        home.end(keep=not right)
    if not right:
        show.say(f"Everything that was logged is in {home.log}")
    return 0 if right else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="demo/run.py", description="See promotions at work, locally.")
    parser.add_argument("--ui", action="store_true", help="leave Airflow's web interface up")
    parser.add_argument("--seed", type=Path, metavar="FILE", help="start the local server from another seed")
    return parser.parse_args()


def on_signals(handler: Any) -> None:
    """Choose what Ctrl-C and a request to end do; an impatient second one must not stop the clearing up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def interrupt(*_: object) -> NoReturn:
    """End the demo, and clear up."""
    raise KeyboardInterrupt


def promotions(home: Home, seed: Path | None) -> bool:
    """Run the DAG twice, show everything, and tell whether the result is right."""
    show.heading("Three projects, from sandbox over pre-release to live")
    show.say("Starting Airflow and a local server that stands in for PolyAI …")
    emulator = Emulator(home, seed)
    home.connect(emulator.url)
    home.add(HERE / "dags")
    home.prepare_database()
    runner = Runner(home, home.path / "dags" / f"{DAG_ID}.py")
    show.say(f"Airflow {runner.airflow} on SQLite is ready, and so is the local server at {emulator.url}.")
    before = emulator.state()
    first = run(runner, emulator, "First run")
    after_first = emulator.state()
    second = run(runner, emulator, "Second run: everything is as asked for already")
    show_requests(first, second)
    checks = [
        first["state"] == second["state"] == "success",
        check_pages(before, emulator.state()),
        check_facts(emulator.state()),
        check_repeat(second, same=text(after_first) == text(emulator.state())),
    ]
    right = all(checks)
    show.verdict(
        "The result is right: every page holds what it should, and the second run changed nothing."
        if right
        else "The result is wrong; see what is marked ✗ above.",
        right=right,
    )
    return right


def run(runner: Runner, emulator: Emulator, title: str) -> dict[str, Any]:
    """Run the DAG once, show it, and return its state, reports and requests."""
    show.heading(title)
    started = time.monotonic()
    event: dict[str, Any] = {}
    for event in runner.run():
        if event["event"] == "logged" and event["text"].startswith("Plan:"):
            show_plan(event["text"])
        elif event["event"] == "task":
            show.progress(event)
    show.report(f"Report: {event['state']} after {time.monotonic() - started:.1f} s", event["reports"])
    return {**event, "requests": emulator.take_journal()}


def show_plan(plan: str) -> None:
    """Show a plan in full, or in one line where nothing is to change."""
    title, _, rest = plan.partition("\n")
    if "~" in rest or "✗" in rest:
        show.plan(plan)
    else:
        show.say(f"{title}: {rest.strip().splitlines()[-1]}")


def show_requests(*runs: dict[str, Any]) -> None:
    """Show how many requests each run cost."""
    operations = dict.fromkeys(entry["operation"] for each in runs for entry in each["requests"])
    rows = [
        (name, *(str(sum(entry["operation"] == name for entry in each["requests"])) for each in runs))
        for name in operations
    ]
    show.table("Requests that the server saw", ["Operation", "First run", "Second run"], rows)


def check_pages(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Compare every page that was promoted with what it shall be."""
    rows = []
    for (project, stage), wanted in expected_pages(before).items():
        page = page_of(after, project, stage)
        moved = len(differences(page, page_of(before, project, stage)))
        wrong = [] if page["variables"] else ["there is no such page"]
        wrong += differences(page, wanted)
        told = f"✗ {', '.join(wrong)}" if wrong else "✓ as expected"
        rows.append((f"{project}/{stage}", f"{moved} changed" if moved else "unchanged", told))
    show.table("State of the server: every key of every page", ["Page", "Keys and schema", "Check"], rows)
    return not any(row[-1].startswith("✗") for row in rows)


def check_facts(after: dict[str, Any]) -> bool:
    """Compare a few values in live with what was written down by hand."""
    rows = []
    for project, key, wanted, meaning in FACTS:
        found = at(page_of(after, project, "live")["variables"], key)
        sign = "✓" if text(found) == text(wanted) else "✗"
        rows.append((f"{project}: {key}", json.dumps(found, ensure_ascii=False), f"{sign} {meaning}"))
    show.table("State of the server: some values in live", ["Key", "Value", "Check"], rows)
    return not any(row[-1].startswith("✗") for row in rows)


def check_repeat(second: dict[str, Any], *, same: bool) -> bool:
    """Tell whether the second run left everything alone."""
    writes = [entry for entry in second["requests"] if entry["writes"]]
    statuses = {item["status"] for report in second["reports"] for item in report["items"]}
    right = same and not writes and statuses == {"unchanged"}
    sign = "✓" if right else "✗"
    show.say(
        f"{sign} Second run: {len(writes)} writes, state of the server {'the same' if same else 'changed'}."
    )
    return right


def web_interface(home: Home, seed: Path | None) -> bool:
    """Leave Airflow's web interface and the local server up until Ctrl-C."""
    show.heading("Airflow's web interface, and a local server that stands in for PolyAI")
    show.say("Starting both; this takes up to a minute …")
    emulator = Emulator(home, seed or seed_for_examples(home), EMULATOR_PORT)
    for folder in (HERE / "dags", EXAMPLES):
        home.add(folder)
    home.configure(HERE / "local_settings.py")
    airflow = Standalone(home, UI_PORT)
    airflow.wait_until_up(DAG_ID)
    airflow.connect(connections(emulator.url))
    show.panel("Airflow is up", INSTRUCTIONS.format(airflow=airflow.url, emulator=emulator.url, dag=DAG_ID))
    airflow.wait()
    return False


def seed_for_examples(home: Home) -> Path:
    """Return a seed file: the shipped projects, the sites of two examples, and a project on the branches model."""
    from airflow_voice_agents.emulator.core import default_seed
    from airflow_voice_agents.emulator.fleet_seed import fleet_seed

    seed = json.loads(json.dumps(default_seed()))
    sites = fleet_seed(SITES, account="demo-uk", key=KEY)["polyai"]["agents"]
    seed["polyai"]["agents"] |= sites | {ON_BRANCHES: on_branches(seed["polyai"]["agents"])}
    for number in seed["omnia_voice"]["workspaces"]["harbour"]["numbers"].values():
        if number.get("agentId") == "agent_old":
            del number["agentId"]  # one that another agent answers is never taken away from it
    seed["switches"] = {"simplified": [ON_BRANCHES]}
    path = home.path / "seed.json"
    path.write_text(json.dumps(seed), encoding="utf-8")
    return path


def on_branches(agents: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a project under its own name, without what belongs to one project alone."""
    own = {"name": "Rosa Bistro", "projectId": "PROJECT-B15740B1", "numbers": {}, "connectors": {}}
    return {**json.loads(json.dumps(agents["rosa-restaurants"])), **own}


INSTRUCTIONS = """\
Airflow        {airflow}    no login; open to this machine only
Local server   {emulator}    config pages, connectors, numbers, requests so far

The DAGs are numbered in reading order; the tag "start here" marks the first ones.

1. Open {airflow}/dags/{dag}, press Trigger, and Trigger again in the dialog.
2. Click the square of promote_to_pre_release, then a project: Logs holds the plan, XCom the report.
3. Reload {emulator}: the pages moved on. Trigger again: nothing is written.
4. The other DAGs are the ones of example_dags/. Each can be triggered as it is but one: 03 undoes a run
   of 02, so run that first, approve it, and give 03 its run id. Some ask for an approval (Required Actions).
5. Admin > Connections lists the connections; Add Connection, type PolyAI, shows the form.

Ctrl-C ends everything and leaves nothing behind."""


if __name__ == "__main__":
    sys.exit(main())
