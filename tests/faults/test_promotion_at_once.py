"""Two promotions of the same targets at once, and colleagues who work on them meanwhile: nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY
from airflow_voice_agents.emulator.server import EmulatorServer
from support.emulated import Emulated
from support.forked_tasks import Ended, Nursery
from support.model import Colleague, cells, deploy, set_connector, set_key, set_number
from support.promotions import (
    DEPOT,
    applying,
    changed_by,
    deployed_twice,
    desk,
    files,
    fleet,
    held,
    planned,
    report_items,
    returning,
    site,
    subjects,
)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[EmulatorServer, Any]]:
    with EmulatorServer(fleet()) as server:
        yield server, planned(Emulated(server, key=FLEET_KEY))


@pytest.fixture
def other_nursery(fernet_key: None) -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def calm(served: Any, nursery: Nursery, folder: Path) -> tuple[str, dict[str, int]]:
    server, plan = served
    server.reset(fleet())
    [ended] = nursery.run(applying(plan, folder, server.url))
    assert ended.state == "success", ended.text
    return held(server), changed_by(server.journal.entries())


@pytest.mark.parametrize("moment", ["update real-time config schema", "assign phone number"])
def test_a_second_run_fails_at_once_and_names_the_one_that_works_there(
    served: Any, nursery: Nursery, other_nursery: Nursery, tmp_path: Path, moment: str
) -> None:
    undisturbed = calm(served, nursery, tmp_path / "calm")
    server, plan = served
    server.reset(fleet())
    first = applying(plan, tmp_path, server.url)
    late: list[Ended] = []

    def second() -> None:  # in the server's own thread: whatever asked for anything would wait for ever
        late.extend(other_nursery.run(replace(first, task_id="late")))

    Emulated(server, key=FLEET_KEY).meanwhile(second, operation=moment)
    [ended] = nursery.run(first)

    assert ended.state == "success", ended.text
    [refused] = late
    assert (refused.state, refused.error) == ("up_for_retry", "TargetLocked"), refused.text
    assert "is locked by task job in run test-run of DAG harness (try 1)" in refused.text
    assert "Nothing was written" in refused.text
    assert (held(server), changed_by(server.journal.entries())) == undisturbed
    assert files(tmp_path)["locks"] == []


def test_a_second_run_that_waits_finds_the_work_done(served: Any, nursery: Nursery, tmp_path: Path) -> None:
    undisturbed = calm(served, nursery, tmp_path / "calm")
    server, plan = served
    server.reset(fleet())
    first = applying(plan, tmp_path, server.url, lock_wait=60.0)

    ended = nursery.run(first, replace(first, task_id="late"))

    assert [each.state for each in ended] == ["success", "success"], [each.text for each in ended]
    assert (held(server), changed_by(server.journal.entries())) == undisturbed
    assert deployed_twice(server) == []
    done = [{item["status"] for item in report_items(each).values()} for each in ended]
    assert sorted(map(sorted, done)) == [["changed", "unchanged"], ["unchanged"]]
    assert files(tmp_path)["locks"] == []


# ------------------------------------------------------------------------------------ colleagues

DEPOT_AGENT = site(DEPOT)
"""Whence connectors move; that one is not there any more is as planned, whoever took it away."""

Edit = Callable[[EmulatorServer], None]


def edits(plan: Any) -> dict[str, Edit]:
    """For each resource that is to change, something that a colleague makes of it."""
    return {
        f"{each['kind']}:{each['owner']}/{each['name']}": edit(each["kind"], each["owner"], each["name"])
        for each in plan["items"]
        if each["before"] != each["after"]
        and (each["kind"], each["owner"]) != ("connector place", DEPOT_AGENT)
    }


def edit(kind: str, owner: str, name: str) -> Edit:
    makers: dict[str, Edit] = {
        "config page": lambda server: set_key(server, owner, name, "limit", 4),
        "deployment": lambda server: deploy(server, owner, name, "7" * 32),
        "connector": lambda server: set_connector(server, name, asrLangCode="cy-GB"),
        "connector place": lambda server: move(server, name),
        "phone number": lambda server: set_number(server, name, f"conn_{int(owner[-4:])}_sandbox"),
    }
    return makers[kind]


def move(server: EmulatorServer, name: str) -> None:
    agents = server.polyai.agents
    home = next(slug for slug, agent in agents.items() if name in agent["connectors"])
    agents[site(13)]["connectors"][name] = agents[home]["connectors"].pop(name)
    server.state.touch()


def planning(served: Any, nursery: Nursery, folder: Path) -> int:
    """How many requests a run makes before it has kept a snapshot."""
    server, plan = served
    server.reset(fleet())
    [ended] = nursery.run(applying(plan, folder, server.url))
    asked = ended.moments[: next(at for at, each in enumerate(ended.moments) if "write of snapshots" in each)]
    return sum(each.startswith("before ") and " /v1/" in each for each in asked)


def test_what_a_colleague_does_right_before_anything_is_written_is_refused(
    served: Any, nursery: Nursery, tmp_path: Path
) -> None:
    server, plan = served
    compared = planning(served, nursery, tmp_path / "calm")
    for name, change in edits(plan).items():
        server.reset(fleet())
        colleague = Colleague(server, cells(server))
        Emulated(server, key=FLEET_KEY).meanwhile(
            lambda change=change, colleague=colleague: colleague.edit(change), nth=compared + 1
        )

        [ended] = nursery.run(
            applying(
                plan, tmp_path / name.replace("/", "-"), server.url, max_snapshot_age=0, max_failures="100%"
            )
        )

        assert colleague.touched, name
        now = cells(server)
        assert {cell: now.get(cell) for cell in colleague.touched} == {
            cell: colleague.shadow[cell] for cell in colleague.touched
        }, name
        item = report_items(ended)[name]
        assert item["status"] == "failed", (name, item)
        assert (
            "changed after it was planned" in item["reason"] or "No write leads safely" in item["reason"]
        ), name
        assert name not in changed_by(server.journal.entries())
        trouble = {
            each["owner"]
            for each in report_items(ended).values()
            if each["status"] not in ("changed", "unchanged")
        }
        assert trouble <= {*owners(name), DEPOT_AGENT}, name


def owners(name: str) -> set[str]:
    """The project of an item; for a connector that moves, the one that it moves to as well."""
    _, _, where = name.partition(":")
    owner, _, what = where.partition("/")
    return {owner, site(int(what.rpartition("_")[2]))} if what.startswith("conn_desk") else {owner}


def test_what_a_colleague_does_beside_it_while_a_write_is_under_way_stays(
    served: Any, nursery: Nursery, tmp_path: Path
) -> None:
    server, plan = served
    calm(served, nursery, tmp_path / "calm")
    writes = [entry for entry in server.journal.entries() if entry.writes]
    goal = cells(server)
    for nth, entry in enumerate(writes, start=1):
        beside = [each for name in subjects(entry) for each in besides(name)]
        for change in beside[:1]:
            server.reset(fleet())
            colleague = Colleague(server, cells(server))
            Emulated(server, key=FLEET_KEY).meanwhile(
                lambda change=change, colleague=colleague: colleague.edit(change),
                operation=entry.operation,
                route=entry.path.replace("+", r"\+"),
                nth=sum(each.path == entry.path for each in writes[:nth]),
            )

            [ended] = nursery.run(applying(plan, tmp_path / str(nth), server.url))

            assert colleague.touched
            kept = {cell: colleague.shadow[cell] for cell in colleague.touched}
            now = cells(server)
            assert {cell: now[cell] for cell in kept} == kept, entry.path
            if (
                "projectId" in entry.body
            ):  # its settings are read again once it is there, and are not as planned
                what = entry.path.rpartition("/")[2]
                item = report_items(ended)[f"connector:{entry.body['projectId']}/{what}"]
                assert (item["status"], "changed after it was planned" in item["reason"]) == ("failed", True)
            else:
                assert ended.state == "success", ended.text
                assert now == {**goal, **kept}, entry.path


def besides(name: str) -> list[Edit]:
    """What a colleague may do to a resource besides what the promotion does."""
    kind, _, where = name.partition(":")
    owner, what = where.split("/")
    if kind == "config page":
        return [lambda server: set_key(server, owner, what, "theirs", 1)]
    if kind in ("connector", "connector place"):
        return [lambda server: set_connector(server, what, asrLangCode="cy-GB")]
    return []


@pytest.mark.parametrize("force", [False, True])
def test_a_target_whose_moved_connector_a_colleague_set_goes_back_by_force_alone(
    served: Any, nursery: Nursery, tmp_path: Path, force: bool
) -> None:
    calm(served, nursery, tmp_path)
    server, _ = served
    set_connector(server, desk(2), voiceName="fr-FR-Neural2-B")
    server.journal.clear()
    [snapshot] = (tmp_path / "snapshots").iterdir()

    [ended] = nursery.run(returning(f"file://{snapshot}", tmp_path, server.url, force=force))

    if force:
        assert ended.state == "success", ended.text
        assert server.polyai.agents[DEPOT_AGENT]["connectors"][desk(2)]["voiceName"] == "en-GB-Neural2-A"
    else:
        assert (ended.state, ended.error) == ("failed", "ItemsFailedPermanently")
        left, back = "site-0002/pre-release", "site-0003/pre-release"
        assert f"Still promoted: {left} (connector {desk(2)} edited since). " in ended.text
        assert f"Rolled back and on hold: {back}" in ended.text
        assert not [each for each in server.journal.writes() if "site-0002" in each.path]
        assert server.polyai.agents["site-0002"]["connectors"][desk(2)]["voiceName"] == "fr-FR-Neural2-B"
