"""Snapshots of routing and their restore: what is kept, what comes back, what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.signalwire.operators.routing import SignalWireRoutePhoneNumbersOperator
from airflow_voice_agents.signalwire.operators.snapshots import (
    SignalWireReleaseHoldOperator,
    SignalWireRestoreRoutingOperator,
    SignalWireSnapshotRoutingOperator,
)
from airflow_voice_agents.state import snapshots
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ItemsFailed
from support.airflow_runner import Outcome, make
from support.carrier import LIST, MARKER, NEW, OLD, PUT, SWML, EmulatedCarrier, numbers, routed
from support.emulated import counts, items, kept_text

ONE, TWO, THREE, FOUR, FIVE = numbers(5)
THEIRS = "https://theirs.example/"

pytestmark = pytest.mark.usefixtures("fernet_key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where snapshots are kept."""
    return tmp_path / "snapshots"


def keep(where: Path, *phone_numbers: str, **arguments: Any) -> SignalWireSnapshotRoutingOperator:
    usual = {"phone_numbers": list(phone_numbers) or None, "folder": where.as_uri()}
    return make(SignalWireSnapshotRoutingOperator, task_id="keep", **{**usual, **arguments})


def cut_over(folder: Path, *phone_numbers: str, **arguments: Any) -> SignalWireRoutePhoneNumbersOperator:
    usual = {
        "phone_numbers": list(phone_numbers) or None,
        "route": SWML,
        "confirm_live": True,
        "take_snapshot": True,
        "state_folder": folder.parent.as_uri(),
    }
    return make(SignalWireRoutePhoneNumbersOperator, task_id="cut_over", **{**usual, **arguments})


def restore(url: Any, **arguments: Any) -> SignalWireRestoreRoutingOperator:
    usual = {"snapshot": url, "confirm_live": True}
    return make(SignalWireRestoreRoutingOperator, task_id="restore", **{**usual, **arguments})


def kept(url: str) -> dict[str, Any]:
    """The routing in a snapshot by number."""
    return {entry["name"]: entry["state"] for entry in snapshots.load(url)["resources"]}


def reasons(outcome: Outcome) -> dict[str, str]:
    return {name.rpartition("/")[2]: item.get("reason", "") for name, item in items(outcome).items()}


def routing(carrier: EmulatedCarrier, *asked: str) -> list[tuple[Any, ...]]:
    fields = ("call_handler", "call_receive_mode", "call_relay_script_url", "call_request_url", "name")
    return [tuple(carrier.record(number)[name] for name in fields) for number in asked]


# --------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(
    "before",
    [
        {"call_handler": "relay_script", "call_relay_script_url": OLD},
        {"call_handler": "laml_webhooks", "call_request_url": OLD, "call_fallback_url": THEIRS},
        {"call_handler": "relay_topic", "call_relay_topic": "desk"},
        {"call_handler": "dialogflow", "call_dialogflow_agent_id": "d1", "call_receive_mode": "fax"},
    ],
)
def test_a_number_comes_back_to_any_route_that_can_be_set(
    carrier: EmulatedCarrier, folder: Path, before: dict[str, Any]
) -> None:
    carrier.start({ONE: before})
    url = carrier.run(cut_over(folder, ONE)).xcoms["snapshot"]
    assert carrier.urls([ONE]) == {("relay_script", NEW)}

    outcome = carrier.run(restore(url))
    second, requests = carrier.again(restore(url))

    assert (outcome.state, counts(outcome), counts(second)) == ("success", {"changed": 1}, {"unchanged": 1})
    assert before.items() <= carrier.record(ONE).items()
    assert requests == {LIST: 1}


def test_a_snapshot_task_and_a_restore_task_stand_alone(carrier: EmulatedCarrier, folder: Path) -> None:
    before = routing(carrier, *numbers(5))
    url = carrier.run(keep(folder, *numbers(5))).result
    carrier.run(cut_over(folder, *numbers(5), take_snapshot=False))
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, expected_route=SWML))

    assert counts(outcome) == {"changed": 5}
    assert routing(carrier, *numbers(5)) == before
    assert carrier.requests() == {LIST: 1, PUT: 5}


def test_two_thousand_numbers_come_back_within_the_floor(carrier: EmulatedCarrier, folder: Path) -> None:
    carrier.start(routed(2000))
    url = carrier.run(cut_over(folder, *numbers(2000), concurrency=16)).xcoms["snapshot"]
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, concurrency=16))

    assert counts(outcome) == {"changed": 2000}
    assert carrier.urls(numbers(2000)) == {("relay_script", OLD)}
    assert carrier.requests() == {LIST: 2, PUT: 2000}


def test_a_snapshot_task_reads_only_and_holds_what_was_asked_for(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    before = carrier.state()

    outcome = carrier.run(keep(folder, TWO, FOUR))

    assert outcome.state == "success"
    assert list(kept(outcome.result)) == [TWO, FOUR]
    assert kept(outcome.result)[TWO]["companions"] == {"call_relay_script_url": OLD}
    assert (carrier.requests(), carrier.state()) == ({LIST: 1}, before)


def test_a_snapshot_without_numbers_and_filters_holds_the_whole_project(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    carrier.start(routed(3) | {FOUR: {"capabilities": ["fax"]}})

    assert list(kept(carrier.run(keep(folder)).result)) == [ONE, TWO, THREE, FOUR]
    assert list(kept(carrier.run(keep(folder, filter_name=f"Line {TWO}")).result)) == [TWO]


@pytest.mark.parametrize("arguments", [{"phone_numbers": numbers(1, first=9000)}, {"filter_name": "nobody"}])
def test_a_snapshot_of_what_is_not_there_is_none(
    carrier: EmulatedCarrier, folder: Path, arguments: dict[str, Any]
) -> None:
    outcome = carrier.run(keep(folder, **arguments))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert not folder.exists()


# -------------------------------------------------------------------- the snapshot of a cut-over


def test_a_cut_over_keeps_exactly_the_numbers_that_change(carrier: EmulatedCarrier, folder: Path) -> None:
    carrier.edit(TWO, call_relay_script_url=NEW)

    outcome = carrier.run(cut_over(folder, ONE, TWO, THREE))

    assert list(kept(outcome.xcoms["snapshot"])) == [ONE, THREE]
    assert carrier.requests() == {LIST: 1, PUT: 2}


def test_the_snapshot_is_kept_and_announced_before_the_first_write(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    seen: list[tuple[list[str], Any]] = []

    def look() -> None:
        published = carrier.runner.xcoms.get(("cut_over", -1, "snapshot"))
        seen.append(([path.name for path in folder.iterdir()], published))

    carrier.meanwhile(look, operation=PUT)
    carrier.run(cut_over(folder, ONE))

    ((names, published),) = seen
    assert len(names) == 1
    assert published is not None
    assert names[0] in str(published)


def test_a_cut_over_that_changes_nothing_keeps_nothing(carrier: EmulatedCarrier, folder: Path) -> None:
    carrier.edit(ONE, call_relay_script_url=NEW)

    outcome = carrier.run(cut_over(folder, ONE))

    assert outcome.state == "success"
    assert "snapshot" not in outcome.xcoms
    assert not folder.exists()


def test_a_refused_plan_keeps_nothing(carrier: EmulatedCarrier, folder: Path) -> None:
    outcome = carrier.run(cut_over(folder, ONE, *numbers(1, first=9000)))

    assert outcome.state == "failed"
    assert "snapshot" not in outcome.xcoms
    assert not folder.exists()


def test_a_snapshot_that_cannot_be_kept_stops_the_cut_over(carrier: EmulatedCarrier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    outcome = carrier.run(cut_over(tmp_path / "file" / "below", ONE))

    assert outcome.state == "failed"
    assert carrier.writes() == 0


def test_a_retry_still_leads_back_to_where_the_first_try_started(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    third = carrier.record(THREE)["id"]
    carrier.server.fault("answer", operation=PUT, route=third, status=422, times=1)
    task = cut_over(folder, *numbers(5), retries=3)

    first = carrier.run(task)
    second = carrier.run(task, try_number=2)
    url = second.xcoms["snapshot"]
    back = carrier.run(restore(url))

    assert (counts(first), counts(second)) == ({"changed": 4, "failed": 1}, {"changed": 1, "unchanged": 4})
    assert sorted(kept(url)) == numbers(5)
    assert counts(back) == {"changed": 5}
    assert carrier.urls(numbers(5)) == {("relay_script", OLD)}


def test_a_retry_after_all_was_written_announces_the_first_snapshot_again(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    task = cut_over(folder, ONE, TWO)
    url = carrier.run(task).xcoms["snapshot"]

    again = carrier.run(task, try_number=2)

    assert counts(again) == {"unchanged": 2}
    assert again.xcoms["snapshot"] == url


def test_a_retry_that_fails_early_still_announces_what_the_first_try_kept(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    """Airflow forgets a task's XComs before each try, and whoever restores asks for this one."""
    task = cut_over(folder, ONE, TWO, retries=3)
    url = carrier.run(task).xcoms["snapshot"]
    carrier.server.fault("answer", operation=LIST, status=503, times=None)

    again = carrier.run(task, try_number=2)

    assert again.state == "up_for_retry"
    assert again.xcoms["snapshot"] == url


def test_a_retry_keeps_newer_work_rather_than_what_was_there_before_it(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    task = cut_over(folder, ONE, TWO)
    carrier.run(task)
    carrier.edit(TWO, call_relay_script_url=THEIRS)

    again = carrier.run(task, try_number=2)
    held = kept(again.xcoms["snapshot"])

    assert held[ONE]["companions"] == {"call_relay_script_url": OLD}
    assert held[TWO]["companions"] == {"call_relay_script_url": THEIRS}


def test_a_retry_whose_first_snapshot_is_gone_says_so_and_goes_on(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    task = cut_over(folder, ONE, TWO)
    carrier.run(task)
    for path in folder.iterdir():
        path.unlink()
    carrier.edit(TWO, call_relay_script_url=OLD)

    again = carrier.run(task, try_number=2)

    assert counts(again) == {"changed": 1, "unchanged": 1}
    assert list(kept(again.xcoms["snapshot"])) == [TWO]
    assert "What an earlier try changed is not in this snapshot" in again.log


# ---------------------------------------------------------------------------- newer work, drift


def test_newer_work_is_refused_and_nothing_is_written(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, *numbers(5))).xcoms["snapshot"]
    carrier.edit(TWO, call_relay_script_url=THEIRS)
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 4}
    assert "somebody changed it since" in reasons(outcome)[TWO]
    assert carrier.requests() == {LIST: 1}


def test_newer_work_is_overwritten_by_force(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, *numbers(5))).xcoms["snapshot"]
    carrier.edit(TWO, call_relay_script_url=THEIRS)

    outcome = carrier.run(restore(url, force=True))

    assert counts(outcome) == {"changed": 5}
    assert carrier.urls(numbers(5)) == {("relay_script", OLD)}


def test_newer_work_is_left_out_of_a_partial_restore(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, *numbers(5))).xcoms["snapshot"]
    carrier.edit(TWO, call_relay_script_url=THEIRS)

    outcome = carrier.run(restore(url, allow_partial=True))

    assert outcome.state == "success"
    assert counts(outcome) == {"changed": 4, "failed": 1}
    assert carrier.record(TWO)["call_relay_script_url"] == THEIRS
    assert "somebody changed it since" in reasons(outcome)[TWO]
    assert outcome.xcoms["report"]["items"][0]["finding"] == "newer_work"


def test_a_number_that_was_put_back_by_hand_needs_nothing(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, ONE, TWO)).xcoms["snapshot"]
    carrier.edit(TWO, call_relay_script_url=OLD)

    outcome = carrier.run(restore(url))

    assert counts(outcome) == {"changed": 1, "unchanged": 1}


def test_fields_that_the_cut_over_did_not_set_are_no_newer_work(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    cxml = {"to": "cxml_webhook", "url": NEW}
    url = carrier.run(cut_over(folder, ONE, route=cxml)).xcoms["snapshot"]
    carrier.edit(ONE, name="renamed", call_fallback_method="POST")

    outcome = carrier.run(restore(url))

    assert counts(outcome) == {"changed": 1}
    assert carrier.record(ONE)["name"] == "renamed"


def test_without_a_word_on_the_cut_over_nobody_can_tell_newer_work(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    url = carrier.run(keep(folder, ONE, TWO)).result
    carrier.edit(ONE, call_relay_script_url=NEW)

    refused = carrier.run(restore(url))
    told = carrier.run(restore(url, expected_routes={ONE: SWML}))

    assert isinstance(refused.error, GuardRefused)
    assert "pass expected_route" in reasons(refused)[ONE]
    assert (told.state, counts(told)) == ("success", {"changed": 1, "unchanged": 1})


def test_an_expected_route_goes_before_what_the_snapshot_says(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, ONE)).xcoms["snapshot"]

    outcome = carrier.run(restore(url, expected_route={"to": "swml", "url": THEIRS}))

    assert isinstance(outcome.error, GuardRefused)
    assert carrier.urls([ONE]) == {("relay_script", NEW)}


# ------------------------------------------------------------------------ what cannot come back


@pytest.mark.parametrize("before", [{"call_handler": None}, {"call_handler": "sip_gateway"}])
def test_what_the_api_cannot_set_stops_a_restore_before_the_first_write(
    carrier: EmulatedCarrier, folder: Path, before: dict[str, Any]
) -> None:
    carrier.start(routed(2) | {THREE: before})
    url = carrier.run(cut_over(folder, ONE, TWO, THREE)).xcoms["snapshot"]
    carrier.server.journal.clear()

    refused = carrier.run(restore(url))
    requests = carrier.requests()
    partial = carrier.run(restore(url, allow_partial=True))

    assert isinstance(refused.error, GuardRefused)
    assert requests == {LIST: 1}
    assert (partial.state, counts(partial)) == ("success", {"changed": 2, "failed": 1})
    assert carrier.urls([ONE, TWO]) == {("relay_script", OLD)}
    assert carrier.urls([THREE]) == {("relay_script", NEW)}


@pytest.mark.parametrize("partial", [False, True])
def test_a_number_that_was_released_meanwhile_is_a_failed_item(
    carrier: EmulatedCarrier, folder: Path, partial: bool
) -> None:
    url = carrier.run(cut_over(folder, ONE, TWO)).xcoms["snapshot"]
    carrier.server.signalwire.remove_number(TWO)

    outcome = carrier.run(restore(url, allow_partial=partial, retries=3))

    assert outcome.state == ("success" if partial else "failed")
    assert counts(outcome) == {"changed": 1, "failed": 1}
    assert "does not have the number any more" in reasons(outcome)[TWO]
    assert carrier.urls([ONE]) == {("relay_script", OLD)}


def test_a_write_that_fails_is_not_tolerated_by_a_partial_restore(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    url = carrier.run(cut_over(folder, ONE, TWO, THREE)).xcoms["snapshot"]
    carrier.edit(TWO, call_relay_script_url=THEIRS)
    carrier.server.fault("answer", operation=PUT, status=422)

    outcome = carrier.run(restore(url, allow_partial=True, concurrency=1))

    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"changed": 1, "failed": 2}


def test_a_field_that_no_call_can_clear_is_told(carrier: EmulatedCarrier, folder: Path) -> None:
    carrier.start({ONE: {"call_handler": "laml_webhooks", "call_request_url": OLD}})
    cxml = {"to": "cxml_webhook", "url": NEW, "fallback_url": NEW}
    url = carrier.run(cut_over(folder, ONE, route=cxml)).xcoms["snapshot"]

    outcome = carrier.run(restore(url))

    assert counts(outcome) == {"changed": 1}
    assert carrier.record(ONE)["call_request_url"] == OLD
    assert "call_fallback_url" in reasons(outcome)[ONE]
    assert "stays" in reasons(outcome)[ONE]


# ---------------------------------------------------------------------------------- holds


@pytest.mark.parametrize("stand_alone", [False, True])
def test_a_route_that_was_restored_away_is_refused_until_the_hold_is_released(
    carrier: EmulatedCarrier, folder: Path, stand_alone: bool
) -> None:
    task = cut_over(folder, ONE, TWO, take_snapshot=not stand_alone)
    kept_before = carrier.run(keep(folder, ONE, TWO)).result
    url = carrier.run(task).xcoms.get("snapshot", kept_before)
    carrier.run(restore(url, expected_route=SWML if stand_alone else None, reason="callers heard nothing"))
    before = carrier.state()

    refused = carrier.run(task)
    elsewhere = carrier.run(cut_over(folder, ONE, route={"to": "swml", "url": THEIRS}, dry_run=True))
    released = carrier.run(SignalWireReleaseHoldOperator(task_id="release_hold"))
    again = carrier.run(SignalWireReleaseHoldOperator(task_id="release_hold", targets=carrier.space))
    changed_back = carrier.state()
    done = carrier.run(task)

    assert isinstance(refused.error, GuardRefused)
    assert "callers heard nothing" in reasons(refused)[ONE]
    assert changed_back == before
    assert elsewhere.state == "success"
    assert (released.result, again.result) == ([carrier.space], [])
    assert (done.state, counts(done)) == ("success", {"changed": 2})


def test_a_restore_without_a_hold_lets_the_same_route_come_again(
    carrier: EmulatedCarrier, folder: Path
) -> None:
    task = cut_over(folder, ONE)
    carrier.run(restore(carrier.run(task).xcoms["snapshot"], hold=False))

    assert counts(carrier.run(task)) == {"changed": 1}


def test_a_snapshot_of_a_former_version_still_restores(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, ONE, TWO)).xcoms["snapshot"]
    document = snapshots.load(url)
    for entry in document["resources"]:
        entry["note"] = {name: entry["note"][name] for name in ("fields", "digest")}
    body = {name: value for name, value in document.items() if name != "digest"}
    old = snapshots.save(
        {**body, "digest": digest(body)},
        origin=snapshots.Origin("signalwire", "127.0.0.1"),
        folder=folder.as_uri(),
        name="old",
        allow_unencrypted=False,
        retention=None,
        log=str,
    )
    carrier.edit(TWO, call_relay_script_url=THEIRS)

    refused = carrier.run(restore(old))
    partial = carrier.run(restore(old, allow_partial=True))
    held = carrier.run(cut_over(folder, ONE))

    assert "somebody changed it since" in reasons(refused)[TWO]
    assert (partial.state, counts(partial)) == ("success", {"changed": 1, "failed": 1})
    assert isinstance(held.error, GuardRefused)


# -------------------------------------------------------------------------------- guards


def test_an_unconfirmed_restore_reads_and_writes_nothing(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, ONE)).xcoms["snapshot"]
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, confirm_live=False))

    assert isinstance(outcome.error, GuardRefused)
    assert carrier.requests() == {}


def test_a_dry_run_shows_what_would_come_back(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(cut_over(folder, ONE)).xcoms["snapshot"]
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, dry_run=True, confirm_live=False, show_values=True))

    assert outcome.state == "success"
    assert f'"{NEW}" → "{OLD}"' in outcome.log
    assert carrier.requests() == {LIST: 1}


def test_a_snapshot_of_another_space_is_refused(carrier: EmulatedCarrier, folder: Path) -> None:
    url = carrier.run(keep(folder, ONE)).result
    connection = dict(carrier.runner.connections["signalwire_default"])
    elsewhere = carrier.server.url.replace("127.0.0.1", "localhost")
    carrier.runner.connections = {"signalwire_default": {**connection, "host": elsewhere}}
    carrier.server.journal.clear()

    outcome = carrier.run(restore(url, force=True))

    assert isinstance(outcome.error, InputError)
    assert "is of signalwire at 127.0.0.1 (" in str(outcome.error)
    assert "the task's connection leads to signalwire at localhost" in str(outcome.error)
    assert carrier.requests() == {}


@pytest.mark.parametrize("damage", ["missing", "cut", "other key"])
def test_a_snapshot_that_cannot_be_read_is_refused(
    carrier: EmulatedCarrier, folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.fernet import Fernet

    from support.airflow_versions import forget_fernet

    url = carrier.run(keep(folder, ONE)).result
    (path,) = folder.iterdir()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        forget_fernet()

    outcome = carrier.run(restore(url, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert carrier.writes() == 0


# ---------------------------------------------------------------------------- where it is kept


def test_the_file_is_encrypted_and_nothing_shows_a_secret(carrier: EmulatedCarrier, folder: Path) -> None:
    secret = f"https://caller:{MARKER}@agents.example/x?token={MARKER}"
    carrier.edit(ONE, call_relay_script_url=secret)

    taken = carrier.run(keep(folder, ONE))
    moved = carrier.run(cut_over(folder, ONE))
    back = carrier.run(restore(moved.xcoms["snapshot"], show_values=True))

    assert carrier.record(ONE)["call_relay_script_url"] == secret
    for path in folder.iterdir():
        assert MARKER.encode() not in path.read_bytes()
    for outcome in (taken, moved, back):
        assert MARKER not in kept_text(outcome) + repr(outcome.rendered) + json.dumps(outcome.xcoms)


@pytest.mark.usefixtures("no_fernet_key")
@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("task", [keep, cut_over])
def test_without_a_key_a_snapshot_is_kept_only_where_that_is_meant(
    carrier: EmulatedCarrier, folder: Path, task: Any, allowed: bool
) -> None:
    outcome = carrier.run(task(folder, ONE, allow_unencrypted=allowed))

    assert outcome.state == ("success" if allowed else "failed")
    if not allowed:
        assert isinstance(outcome.error, GuardRefused)
        assert not folder.exists()
        assert carrier.writes() == 0


def test_old_snapshots_are_removed_where_a_retention_is_given(carrier: EmulatedCarrier, folder: Path) -> None:
    carrier.run(keep(folder, ONE))
    (old,) = folder.iterdir()
    old.rename(folder / f"20200101T000000000000Z-{old.name.partition('-')[2]}")
    (folder / "20200101T000000000000Z-other.txt").write_text("not ours")

    url = carrier.run(keep(folder, ONE, retention=timedelta(days=30))).result

    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == 2
    assert "20200101T000000000000Z-other.txt" in left
    assert ONE in kept(url)


def test_by_default_snapshots_lie_in_the_state_folder(carrier: EmulatedCarrier) -> None:
    outcome = carrier.run(keep(Path("/"), ONE, folder=None))

    assert outcome.state == "success", outcome.error
    assert outcome.result.startswith(f"{state_folder(None, 'snapshots')}/")
    assert list(kept(outcome.result)) == [ONE]
