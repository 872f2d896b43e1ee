"""Pages and files that were made to stop whoever reads them: each is named and left alone, and others go on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.bases import template_inputs
from airflow_voice_agents.plans.decoding import YAML_LIMITS
from airflow_voice_agents.polyai.conditions import ConfigCondition, DriftCondition
from airflow_voice_agents.polyai.operators.backup import PolyAIExportOperator
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.resources import page_schema, schema_process
from airflow_voice_agents.polyai.triggers import PolyAIConfigTrigger, PolyAIDriftTrigger
from airflow_voice_agents.transport.errors import InputError
from security import bombs
from support.airflow_runner import Outcome, make
from support.emulated import BANK, HOTELS, LIVE, PRE_RELEASE, ROSA, SANDBOX, Emulated, place
from support.triggerer import Triggerer

PAGE = {"greeting": "Good day"}
DEEP: dict[str, Any] = {"menu": bombs.deep(249)}
"""250 levels."""
PATIENCE = 120.0
"""Seconds after which a test that waits for another process gives up."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[schema_process.SchemaProcess]:
    """A process of the test's own that evaluates, with less time for one evaluation."""
    process = schema_process.SchemaProcess(seconds=0.5)
    monkeypatch.setattr(schema_process, "PROCESS", process)
    monkeypatch.setattr(page_schema._verdicts, "kept", {})
    yield process
    process.close()


@pytest.fixture
def aligned(polyai: Emulated) -> Emulated:
    """Every page of every agent is the same."""
    for agent in (HOTELS, ROSA, BANK):
        for environment in (SANDBOX, PRE_RELEASE, LIVE):
            polyai.put_page(agent, environment, PAGE)
    return polyai


def put(polyai: Emulated, agent: str, environment: str, name: str) -> None:
    """Make a page hostile."""
    hostile = bombs.PAGES[name]()
    polyai.put_page(agent, environment, dict(hostile.values), dict(hostile.schema or {}))


def until(happened: Callable[[], Any], why: str, *, trail: Callable[[], object] = str) -> Any:
    """Return what is waited for, once it is there; fail with what the trail shows, if it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{why}\n{trail()}"
        time.sleep(0.02)
    return found


# ---------------------------------------------------------------------------------- what becomes of bombs


@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_is_named_within_limits(name: str) -> None:
    damage = bombs.light(name, seconds=1.0)

    ways = (bombs.BOMBS[name].said, "of computing time")  # less of which is given here
    assert any(way in damage.said for way in ways)
    assert damage.peak - damage.before < 2 * schema_process.MEGABYTES


def test_the_page_of_the_audit_shows_every_bomb() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security-audit.md").read_text(encoding="utf-8")
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in page.partition("## Hostile input")[2].splitlines()
    ]

    assert [row for row in rows if row in bombs.BOMBS] == list(bombs.BOMBS)


# ----------------------------------------------------------------------------------------- pages of a fleet


@pytest.mark.parametrize("bomb", ["enum", "references"])
def test_only_the_target_with_a_hostile_page_is_refused(
    aligned: Emulated, quick: schema_process.SchemaProcess, bomb: str
) -> None:
    put(aligned, ROSA, PRE_RELEASE, bomb)
    targets = [
        {**place(agent, PRE_RELEASE), "values": {"greeting": "Hello"}} for agent in (BANK, ROSA, HOTELS)
    ]

    outcome = plan(aligned, targets)

    assert statuses(outcome) == {BANK: "changed", ROSA: "failed", HOTELS: "changed"}
    reason = reasons(outcome)[ROSA]
    assert "the schema cannot be evaluated within" in reason
    assert ("within 0.5 s of computing time. Nothing was changed." in reason) or bomb == "references"
    assert reasons(outcome)[BANK] == "would change with 1 request(s)"


@pytest.mark.parametrize("values", [DEEP, {"menu": [[]]}], ids=["250 levels", "as usual"])
def test_only_the_target_with_a_deep_page_is_refused(aligned: Emulated, values: dict[str, Any]) -> None:
    aligned.put_page(ROSA, PRE_RELEASE, values)
    targets = [
        {**place(agent, PRE_RELEASE), "values": {"greeting": "Hello"}} for agent in (BANK, ROSA, HOTELS)
    ]

    outcome = plan(aligned, targets)

    deep = values is DEEP
    assert statuses(outcome) == {BANK: "changed", ROSA: "failed" if deep else "changed", HOTELS: "changed"}
    said = "The config page of rosa-restaurants/pre-release is nested deeper than 100 levels."
    assert (said in reasons(outcome)[ROSA]) is deep
    assert aligned.writes() == 0


def test_a_deep_source_is_named_for_each_target(aligned: Emulated) -> None:
    aligned.put_page(ROSA, SANDBOX, DEEP)
    task = make(
        PolyAIPromoteConfigOperator,
        task_id="promote",
        source=place(ROSA, SANDBOX),
        targets=[place(ROSA, PRE_RELEASE), place(BANK, PRE_RELEASE)],
        dry_run=True,
    )

    outcome = aligned.run(task)

    assert statuses(outcome) == {ROSA: "failed", BANK: "failed"}
    assert "The config page of the source is nested deeper than 100 levels." in reasons(outcome)[BANK]


def test_a_deep_page_is_not_exported_and_others_are(aligned: Emulated, tmp_path: Path) -> None:
    aligned.put_page(ROSA, PRE_RELEASE, DEEP)
    task = make(
        PolyAIExportOperator,
        task_id="export",
        targets=[place(ROSA, PRE_RELEASE), place(BANK, PRE_RELEASE)],
        include=["config"],
        folder=str(tmp_path),
    )

    outcome = aligned.run(task)

    assert outcome.state == "failed"
    assert "nested deeper than 100 levels" in str(outcome.error)
    assert [path.parent.parent.name for path in tmp_path.rglob("config.json")] == [BANK]


def test_values_of_a_task_are_bounded_in_depth(aligned: Emulated) -> None:
    outcome = aligned.run(update([{**place(ROSA, PRE_RELEASE), "values": DEEP}]))

    assert outcome.state == "failed"
    assert "is nested deeper than 100 levels" in str(outcome.error)
    assert aligned.writes() == 0


def update(targets: list[dict[str, Any]], **arguments: Any) -> PolyAIUpdateConfigOperator:
    return make(PolyAIUpdateConfigOperator, task_id="update", targets=targets, **arguments)


def plan(polyai: Emulated, targets: list[dict[str, Any]]) -> Outcome:
    return polyai.run(update(targets, dry_run=True))


def items(outcome: Outcome) -> list[dict[str, Any]]:
    return list(outcome.xcoms["report"]["items"])


def statuses(outcome: Outcome) -> dict[str, str]:
    return {each["owner"]: each["status"] for each in items(outcome)}


def reasons(outcome: Outcome) -> dict[str, str]:
    return {each["owner"]: each.get("reason", "") for each in items(outcome)}


# ------------------------------------------------------------------------------------------ a real triggerer


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux about processes")
def test_an_innocent_sensor_fires_while_a_hostile_page_is_evaluated(
    aligned: Emulated, fernet_key: str, tmp_path: Path
) -> None:
    put(aligned, ROSA, SANDBOX, "enum")
    spec = {
        "targets": [{**place(agent, PRE_RELEASE), "source": place(agent, SANDBOX)} for agent in (ROSA, BANK)],
        "config": {},
    }
    drift = DriftCondition.parse("drift", spec=spec)
    config = ConfigCondition.parse(HOTELS, LIVE, {"greeting": "Good evening"}, None, None)

    with Triggerer(connections(aligned), tmp_path / "triggerer.log") as triggerer:
        triggerer.create(2, *waiting(PolyAIConfigTrigger, config))
        until(lambda: polls(aligned, HOTELS) > 2, "the innocent sensor does not ask", trail=triggerer.trail)
        triggerer.create(1, *waiting(PolyAIDriftTrigger, drift))
        evaluating = until(lambda: evaluators(triggerer.pid), "no schema is evaluated")
        with stopped(evaluating[0]):  # it takes as long as this test likes
            asked = polls(aligned, HOTELS)
            until(lambda: polls(aligned, HOTELS) > asked + 2, "the innocent sensor does not ask any more")
            aligned.put(HOTELS, LIVE, greeting="Good evening")
            triggerer.wait([2])
            early = dict(triggerer.events)
        triggerer.wait([1])
        blocked, ended = triggerer.blocked, dict(triggerer.events)

    assert [each["status"] for each in early[2]] == ["success"]
    assert 1 not in early
    (event,) = ended[1]
    assert event["found"]["targets"] == [f"{ROSA}/{PRE_RELEASE}"]
    assert event["found"]["counts"] | {"total": 2, "differs": 1, "in_sync": 1} == event["found"]["counts"]
    assert triggerer.failures == []
    assert blocked == []
    until(lambda: not exists(evaluating[0]), "the process that evaluates outlives the triggerer")


def connections(polyai: Emulated) -> dict[str, Any]:
    fields = {"conn_type": "polyai", "host": polyai.server.url, "password": polyai.key, "extra": "{}"}
    return {"polyai_default": fields}


def waiting(trigger: Any, condition: Any) -> tuple[str, dict[str, Any]]:
    made = trigger(
        polyai_conn_id="polyai_default",
        condition=condition.serialize(),
        poll_interval=0.2,
        deadline=time.time() + PATIENCE,
    )
    return made.serialize()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Let a process do nothing for a while."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def polls(polyai: Emulated, agent: str) -> int:
    """Count the times that somebody asked for the pages of an agent."""
    return sum(agent in each.path for each in polyai.server.journal.entries())


def evaluators(parent: int) -> list[int]:
    """Return the processes that evaluate schemas for a process."""
    listed = Path(f"/proc/{parent}/task").glob("*/children")
    children = {int(child) for each in listed for child in each.read_text().split()}
    return [each for each in children if "schema_evaluation" in of_process(each, "cmdline")]


def exists(process: int) -> bool:
    return of_process(process, "stat").rpartition(")")[2][:3] not in ("", " Z ")


def of_process(process: int, what: str) -> str:
    """Return what Linux tells of a process; nothing where it has ended."""
    try:
        return Path(f"/proc/{process}/{what}").read_text()
    except OSError:
        return ""


# ---------------------------------------------------------------------------------------------------- files


def json_of(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("spec.yaml", bombs.YAML, f"more than {YAML_LIMITS.nodes:,} values"),
        ("spec.yaml", f"a: {json_of(250)}", "more than 100 levels"),
        ("spec.json", json_of(250), "more than 100 levels"),
        ("spec.json", "[" + "[]," * (10 * bombs.MEGABYTE) + "[]]", "too large"),
    ],
    ids=["aliases", "deep YAML", "deep JSON", "30 MiB of []"],
)
def test_a_hostile_file_is_refused_by_name(tmp_path: Path, name: str, content: str, said: str) -> None:
    file = tmp_path / name
    file.write_text(content)

    with pytest.raises(InputError) as caught:
        template_inputs.read_document(str(file), name="spec_file")

    assert str(caught.value).startswith(f"spec_file: {file}")
    assert said in str(caught.value)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    for path in ("/dev/zero", str(tmp_path / "link")):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("/dev/zero")
        with pytest.raises(InputError, match="is a device or a pipe"):
            template_inputs.read_yaml(path, name="spec_file")
