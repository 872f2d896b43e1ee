"""Assignments kept and restored: round trips, retries, and newer work that is left alone."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from cryptography.fernet import Fernet

from airflow_voice_agents.omnia_voice.operators.phone_numbers import (
    OmniaVoiceAssignNumbersOperator,
    OmniaVoiceUpdateNumbersOperator,
)
from airflow_voice_agents.omnia_voice.operators.snapshots import (
    OmniaVoiceReleaseHoldOperator,
    OmniaVoiceRestoreAssignmentsOperator,
    OmniaVoiceSnapshotAssignmentsOperator,
)
from airflow_voice_agents.state.snapshots import load
from airflow_voice_agents.transport.errors import GuardRefused, InputError, ItemsFailed
from support.airflow_runner import Outcome, make
from support.emulated import counts, items, kept_text
from support.emulated_omnia import (
    CREATE,
    DESK,
    EVENTS,
    KEY,
    LIST,
    OLD,
    PROMPT,
    UPDATE,
    EmulatedOmnia,
    number,
    numbers,
)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where the snapshots of a test go."""
    return (tmp_path / "snapshots").as_uri()


def keep(folder: str, *phone_numbers: str, **arguments: Any) -> OmniaVoiceSnapshotAssignmentsOperator:
    chosen = list(phone_numbers) or None
    return OmniaVoiceSnapshotAssignmentsOperator(
        task_id="keep", phone_numbers=chosen, folder=folder, **arguments
    )


def assign(folder: str, *phone_numbers: str, **arguments: Any) -> OmniaVoiceAssignNumbersOperator:
    usual: dict[str, Any] = {"reassign": True, "confirm_live": True, "take_snapshot": True, "agent_id": DESK}
    return OmniaVoiceAssignNumbersOperator(
        task_id="assign",
        phone_numbers=list(phone_numbers),
        state_folder=folder.removesuffix("/snapshots"),
        **{**usual, **arguments},
    )


def restore(snapshot: str, **arguments: Any) -> OmniaVoiceRestoreAssignmentsOperator:
    usual: dict[str, Any] = {"confirm_live": True}
    return make(
        OmniaVoiceRestoreAssignmentsOperator, task_id="restore", snapshot=snapshot, **{**usual, **arguments}
    )


def assigned(omnia: EmulatedOmnia, count: int) -> list[str | None]:
    return [omnia.record(each)["agentId"] for each in numbers(count)]


def mixed(omnia: EmulatedOmnia) -> list[str | None]:
    """Three numbers: of an agent, of nobody, and of another agent with a name."""
    omnia.start(3)
    omnia.edit(number(0), agentId=OLD)
    omnia.edit(number(2), agentId=EVENTS, friendlyName="Weddings")
    return [OLD, None, EVENTS]


def url_of(outcome: Outcome) -> str:
    return str(outcome.xcoms["snapshot"])


# -------------------------------------------------------------------------------------- round trips


def test_what_an_assignment_changed_is_restored_and_a_second_restore_writes_nothing(
    omnia: EmulatedOmnia, folder: str
) -> None:
    before = mixed(omnia)

    first = omnia.run(assign(folder, *numbers(3)))
    left = assigned(omnia, 3)
    task = restore(url_of(first))
    back, requests = omnia.again(task)
    again, none = omnia.again(task)

    assert (first.state, left) == ("success", [DESK] * 3)
    assert (back.state, counts(back)) == ("success", {"changed": 3})
    assert assigned(omnia, 3) == before
    assert requests == {LIST: 2, UPDATE: 3}
    assert (counts(again), none) == ({"unchanged": 3}, {LIST: 1})


def test_the_connection_says_which_verb_restores(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.server.journal.clear()
    omnia.connect(update_method="PUT")
    omnia.server.switches.omnia_update_verb = "both"

    omnia.run(restore(url_of(first)))

    assert {entry.method for entry in omnia.server.journal.writes()} == {"PUT"}


def test_a_number_that_was_not_listed_is_unassigned_and_stays(omnia: EmulatedOmnia, folder: str) -> None:
    omnia.start(1)

    first = omnia.run(assign(folder, *numbers(2)))
    back = omnia.run(restore(url_of(first)))

    assert counts(back) == {"changed": 2}
    assert (omnia.listed(), assigned(omnia, 2)) == (numbers(2), [None, None])
    assert "unassigned, not deleted" in items(back)[f"{omnia.platform}/{number(1)}"]["reason"]


def test_a_number_that_was_deleted_is_created_where_that_is_forced(omnia: EmulatedOmnia, folder: str) -> None:
    omnia.start(2, OLD)
    url = omnia.run(keep(folder)).result
    omnia.server.omnia_voice.remove_number(number(1))

    refused = omnia.run(restore(url))
    forced, requests = omnia.again(restore(url, force=True))

    assert (refused.state, type(refused.error)) == ("failed", GuardRefused)
    assert "is answered by nobody" in str(refused.error)
    assert (counts(forced), assigned(omnia, 2)) == ({"changed": 1, "unchanged": 1}, [OLD, OLD])
    assert requests[CREATE] == 1


def test_a_name_that_an_assignment_gave_is_taken_back(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)

    first = omnia.run(assign(folder, *numbers(3), friendly_name="New line"))
    omnia.run(restore(url_of(first)))

    assert omnia.record(number(2))["friendlyName"] == "Weddings"
    assert omnia.record(number(0))["friendlyName"] == "New line"


@pytest.mark.parametrize("chosen", [(), tuple(numbers(3))])
def test_a_snapshot_costs_one_list_and_writes_nothing(
    omnia: EmulatedOmnia, folder: str, chosen: tuple[str, ...]
) -> None:
    before = mixed(omnia)

    kept = omnia.run(keep(folder, *chosen))
    requests = omnia.requests()
    omnia.edit(number(1), agentId=DESK)
    back = omnia.run(restore(kept.result, expected_agent_id=DESK))

    assert (kept.state, requests) == ("success", {LIST: 1})
    assert (counts(back), assigned(omnia, 3)) == ({"changed": 1, "unchanged": 2}, before)


def test_an_empty_workspace_has_nothing_to_keep(omnia: EmulatedOmnia, folder: str) -> None:
    outcome = omnia.run(keep(folder, retries=1))

    assert (outcome.state, type(outcome.error)) == ("failed", GuardRefused)


# -------------------------------------------------------------------------------------- newer work


@pytest.mark.parametrize("force", [False, True])
def test_newer_work_stops_the_restore_unless_it_is_forced(
    omnia: EmulatedOmnia, folder: str, force: bool
) -> None:
    before = mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.edit(number(1), agentId=EVENTS)

    back, requests = omnia.again(restore(url_of(first), force=force, retries=3))

    if force:
        assert (back.state, assigned(omnia, 3)) == ("success", before)
    else:
        assert (back.state, type(back.error)) == ("failed", GuardRefused)
        assert f"{number(1)} is answered by agent {EVENTS}" in str(back.error)
        assert "neither as in the snapshot nor as the change left it" in str(back.error)
        assert (requests, assigned(omnia, 3)) == ({LIST: 1}, [DESK, EVENTS, DESK])


def test_newer_work_may_be_left_out(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.edit(number(1), agentId=EVENTS)

    back = omnia.run(restore(url_of(first), allow_partial=True))

    assert (back.state, counts(back)) == ("success", {"changed": 2, "skipped": 1})
    assert assigned(omnia, 3) == [OLD, EVENTS, EVENTS]
    assert items(back)[f"{omnia.platform}/{number(1)}"]["finding"] == "newer_work"


def test_a_partial_restore_does_not_tolerate_what_fails_otherwise(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.edit(number(1), agentId=EVENTS)
    omnia.server.fault("answer", operation=UPDATE, status=503, times=None)

    back = omnia.run(restore(url_of(first), allow_partial=True, retries=1))

    assert (back.state, counts(back)) == ("up_for_retry", {"failed": 2, "skipped": 1})
    assert isinstance(back.error, ItemsFailed)


def test_a_snapshot_by_itself_does_not_know_what_an_assignment_left(
    omnia: EmulatedOmnia, folder: str
) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result
    omnia.run(assign(folder, *numbers(3), take_snapshot=False))

    unknown = omnia.run(restore(url))
    wrong = omnia.run(restore(url, expected_agent_id=OLD))
    told = omnia.run(restore(url, expected_assignments=dict.fromkeys(numbers(3), DESK)))

    assert "the snapshot does not say what the change left" in str(unknown.error)
    assert "neither as in the snapshot nor as the change left it" in str(wrong.error)
    assert (told.state, counts(told)) == ("success", {"changed": 3})


def test_a_new_name_alone_is_no_reason_to_refuse_and_stays(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result
    omnia.edit(number(2), friendlyName="Parties")

    back, requests = omnia.again(restore(url))

    assert (counts(back), requests) == ({"unchanged": 3}, {LIST: 1})
    assert omnia.record(number(2))["friendlyName"] == "Parties"


# ------------------------------------------------------------------------------------------- holds


def test_an_assignment_that_was_undone_is_refused_until_it_is_released(
    omnia: EmulatedOmnia, folder: str
) -> None:
    before = mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.run(restore(url_of(first), reason="complaints"))
    writes = omnia.writes()

    held = omnia.run(assign(folder, *numbers(3), retries=3))
    left = assigned(omnia, 3)
    released = omnia.run(OmniaVoiceReleaseHoldOperator(task_id="release"))
    again = omnia.run(OmniaVoiceReleaseHoldOperator(task_id="release", targets=omnia.platform))
    free = omnia.run(assign(folder, *numbers(3)))

    assert (held.state, type(held.error)) == ("failed", GuardRefused)
    assert "complaints" in str(held.error)
    assert (omnia.writes() - writes, left) == (3, before)
    assert (released.result, again.result) == ([omnia.platform], [])
    assert (free.state, assigned(omnia, 3)) == ("success", [DESK] * 3)


def test_a_restore_may_place_no_hold(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    first = omnia.run(assign(folder, *numbers(3)))
    omnia.run(restore(url_of(first), hold=False))

    assert omnia.run(assign(folder, *numbers(3))).state == "success"


def test_an_update_keeps_and_restores_the_settings_that_it_named(omnia: EmulatedOmnia) -> None:
    mixed(omnia)
    task = OmniaVoiceUpdateNumbersOperator(
        task_id="update",
        phone_numbers=numbers(3),
        changes={"status": "INACTIVE"},
        confirm_live=True,
        take_snapshot=True,
    )
    url = url_of(omnia.run(task))
    omnia.edit(number(1), agentId=EVENTS)

    back = omnia.run(restore(url))
    held = omnia.run(task)

    assert counts(back) == {"changed": 3}
    assert {omnia.record(each)["status"] for each in numbers(3)} == {"ACTIVE"}
    assert assigned(omnia, 3) == [OLD, EVENTS, EVENTS]
    assert "on hold" in str(held.error)


# -------------------------------------------------------------------------------- deprecated names


def test_deprecated_arguments_keep_working_and_warn(
    omnia: EmulatedOmnia, folder: str, tmp_path: Path
) -> None:
    mixed(omnia)
    base = tmp_path / "snapshots"
    base.mkdir()
    (base / "20200101T000000000000Z-d-t.snapshot").write_text("old")
    old = {"snapshot": True, "retention": timedelta(days=30), "snapshot_folder": folder}
    task = assign(folder, *numbers(3), take_snapshot=None, **old)

    with pytest.warns(AirflowProviderDeprecationWarning) as caught:
        outcome = omnia.run(task)

    assert url_of(outcome).startswith(folder)
    assert len(list(base.iterdir())) == 1
    said = " ".join(str(each.message) for each in caught)
    for name, new in (
        ("snapshot", "take_snapshot"),
        ("retention", "snapshot_retention"),
        ("snapshot_folder", "state_folder"),
    ):
        assert f"{name} is deprecated; use {new}" in said
    assert "snapshot" not in omnia.run(assign(folder, *numbers(3), take_snapshot=None, snapshot=False)).xcoms


# ---------------------------------------------------------------------------------------- the retries


def test_a_retry_adds_to_what_the_first_try_kept(omnia: EmulatedOmnia, folder: str) -> None:
    before = mixed(omnia)
    omnia.server.fault("answer", operation=UPDATE, route="0002", status=503, times=None)
    task = assign(folder, *numbers(3), retries=1)

    first = omnia.run(task)
    omnia.server.clear_faults()
    second = omnia.run(task, try_number=2)
    back = omnia.run(restore(url_of(second)))

    assert (first.state, second.state) == ("up_for_retry", "success")
    assert url_of(first) != url_of(second)
    assert (counts(back), assigned(omnia, 3)) == ({"changed": 3}, before)


def test_a_retry_with_nothing_left_to_write_names_the_snapshot_again(
    omnia: EmulatedOmnia, folder: str
) -> None:
    before = mixed(omnia)
    task = assign(folder, *numbers(3), retries=1)

    first = omnia.run(task)
    second, requests = omnia.again(task, try_number=2)
    omnia.run(restore(url_of(second)))

    assert url_of(first) == url_of(second)
    assert requests == {LIST: 1}
    assert assigned(omnia, 3) == before


def test_a_retry_that_fails_early_still_names_what_the_first_try_kept(
    omnia: EmulatedOmnia, folder: str
) -> None:
    """Airflow forgets a task's XComs before each try, and whoever restores asks for this one."""
    mixed(omnia)
    task = assign(folder, *numbers(3), retries=3)
    first = omnia.run(task)
    omnia.server.fault("answer", operation=LIST, status=503, times=None)

    again = omnia.run(task, try_number=2)

    assert again.state == "up_for_retry"
    assert url_of(again) == url_of(first)


def test_what_somebody_changed_between_two_tries_is_kept_as_it_is_now(
    omnia: EmulatedOmnia, folder: str
) -> None:
    mixed(omnia)
    task = assign(folder, *numbers(3), retries=1)
    omnia.run(task)
    omnia.edit(number(0), agentId=EVENTS)

    second = omnia.run(task, try_number=2)
    omnia.run(restore(url_of(second)))

    assert assigned(omnia, 3) == [EVENTS, None, EVENTS]


def test_a_first_snapshot_that_is_lost_is_told(omnia: EmulatedOmnia, folder: str, tmp_path: Path) -> None:
    mixed(omnia)
    omnia.server.fault("answer", operation=UPDATE, route="0002", status=503, times=None)
    task = assign(folder, *numbers(3), retries=1)
    omnia.run(task)
    omnia.server.clear_faults()
    for path in (tmp_path / "snapshots").iterdir():
        path.unlink()

    second = omnia.run(task, try_number=2)

    assert second.state == "success"
    assert "What an earlier try changed is not in this snapshot" in second.log


def test_the_snapshot_is_named_before_the_first_write(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    omnia.server.fault("answer", operation=UPDATE, status=403, times=None)

    outcome = omnia.run(assign(folder, *numbers(3)))

    assert outcome.state == "failed"
    assert len(load(url_of(outcome))["resources"]) == 3


@pytest.mark.parametrize("arguments", [{"dry_run": True}, {"reassign": False}])
def test_nothing_is_kept_where_nothing_will_be_written(
    omnia: EmulatedOmnia, folder: str, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    mixed(omnia)

    outcome = omnia.run(assign(folder, *numbers(3), **arguments))

    assert "snapshot" not in outcome.xcoms
    assert not (tmp_path / "snapshots").exists()


# ------------------------------------------------------------------------------------------ the file


def test_a_snapshot_is_encrypted_and_holds_no_prompt(
    omnia: EmulatedOmnia, folder: str, tmp_path: Path, fernet_key: str
) -> None:
    mixed(omnia)

    outcome = omnia.run(keep(folder))

    (path,) = (tmp_path / "snapshots").iterdir()
    assert OLD.encode() not in path.read_bytes()
    plain = Fernet(fernet_key).decrypt(path.read_bytes()).decode()
    assert OLD in plain
    assert PROMPT not in plain + kept_text(outcome)
    assert KEY not in plain + kept_text(outcome)


@pytest.mark.usefixtures("no_fernet_key")
def test_without_a_key_of_airflows_nothing_is_kept_in_the_clear_unless_that_is_meant(
    omnia: EmulatedOmnia, folder: str
) -> None:
    mixed(omnia)

    refused = omnia.run(assign(folder, *numbers(3)))
    writes = omnia.writes()
    allowed = omnia.run(assign(folder, *numbers(3), allow_unencrypted=True))

    assert (refused.state, type(refused.error), writes) == ("failed", GuardRefused, 0)
    assert (allowed.state, allowed.xcoms["report"]["counts"]["changed"]) == ("success", 3)


def test_old_snapshots_go(omnia: EmulatedOmnia, folder: str, tmp_path: Path) -> None:
    omnia.start(1)
    base = tmp_path / "snapshots"
    base.mkdir()
    (base / "20200101T000000000000Z-d-t.snapshot").write_text("old")

    omnia.run(keep(folder, retention=timedelta(days=30)))

    assert len(list(base.iterdir())) == 1


def test_a_snapshot_that_was_changed_is_not_used(omnia: EmulatedOmnia, folder: str, fernet_key: str) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result
    path = Path(url.removeprefix("file://"))
    document = json.loads(Fernet(fernet_key).decrypt(path.read_bytes()))
    document["snapshot"]["resources"][0]["state"]["agent_id"] = "agent_evil"
    path.write_bytes(Fernet(fernet_key).encrypt(json.dumps(document).encode()))

    outcome = omnia.run(restore(url, force=True, retries=3))

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert "was changed after it was taken" in str(outcome.error)


def test_a_snapshot_of_another_platform_is_not_used(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result
    omnia.runner.connections = {
        "omniavoice_default": {
            "conn_type": "omniavoice",
            "host": "https://api.omnia-voice.com/api/v1",
            "password": KEY,
        }
    }

    outcome = omnia.run(restore(url))

    assert isinstance(outcome.error, InputError)
    assert "the task's connection leads to omniavoice at api.omnia-voice.com" in str(outcome.error)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"snapshot": ""}, "snapshot is missing"),
        ({"snapshot": "{{ ti.xcom_pull('nobody', key='snapshot') }}"}, "snapshot rendered to nothing"),
        ({"snapshot": "file:///no-such-folder/x.snapshot"}, "cannot be read"),
        ({"expected_agent_id": DESK, "expected_assignments": {number(0): DESK}}, "give either expected"),
        ({"expected_agent_id": "a/b"}, "expected_agent_id must not hold a slash"),
        ({"expected_assignments": {}}, "expected_assignments is empty"),
    ],
)
def test_bad_input_is_told_before_any_request(
    omnia: EmulatedOmnia, folder: str, arguments: dict[str, Any], said: str
) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result
    omnia.server.journal.clear()

    outcome = omnia.run(
        make(
            OmniaVoiceRestoreAssignmentsOperator,
            task_id="restore",
            **{"snapshot": url, "confirm_live": True, **arguments},
            retries=3,
        )
    )

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert said in str(outcome.error)
    assert omnia.requests() == {}


def test_a_restore_needs_a_confirmation(omnia: EmulatedOmnia, folder: str) -> None:
    mixed(omnia)
    url = omnia.run(keep(folder)).result

    outcome, requests = omnia.again(restore(url, confirm_live=False))

    assert (type(outcome.error), requests) == (GuardRefused, {})
