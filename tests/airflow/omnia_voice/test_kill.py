"""kill -9 at every request of a run, before and after it took effect, and a second run in a fresh process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from airflow_voice_agents.omnia_voice.operators.phone_numbers import OmniaVoiceAssignNumbersOperator
from airflow_voice_agents.omnia_voice.operators.snapshots import OmniaVoiceRestoreAssignmentsOperator
from airflow_voice_agents.state.snapshots import load
from support.airflow_versions import forget_fernet
from support.emulated_omnia import DESK, EVENTS, KEY, EmulatedOmnia, number, numbers
from support.faults import Killing, settle
from support.forked_tasks import Attempt, Nursery

LISTED, ASKED = 4, 7


@pytest.fixture(scope="module")
def shared_key() -> str:
    """One Fernet key for this process and those that are forked."""
    return Fernet.generate_key().decode()


@pytest.fixture(scope="module")
def nursery(shared_key: str) -> Iterator[Nursery]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", shared_key)
        nursery = Nursery()
    yield nursery
    nursery.close()


def attempt(omnia: EmulatedOmnia, **arguments: Any) -> Attempt:
    # The nursery makes one connection; its type is not looked at.
    usual = {"omniavoice_conn_id": "omniavoice_default", "confirm_live": True, "concurrency": 1}
    asked = {"phone_numbers": numbers(ASKED), "agent_id": DESK, "reassign": True}
    return Attempt(
        OmniaVoiceAssignNumbersOperator, {**usual, **asked, **arguments}, f"{omnia.server.url}/api/v1", KEY
    )


def begin(omnia: EmulatedOmnia) -> None:
    omnia.start(LISTED)
    omnia.edit(number(1), agentId=EVENTS)
    omnia.edit(number(2), agentId=DESK)


def killed(omnia: EmulatedOmnia, nursery: Nursery, first: Attempt, *, nth: int, apply: bool) -> Any:
    fault = Killing(nth=nth, apply=apply)
    omnia.server.emulator.faults.add(fault)
    [ended] = nursery.run(first, started=fault.target)
    assert ended.exit_code == -signal.SIGKILL
    settle(omnia.server)
    omnia.server.clear_faults()
    return ended


@pytest.mark.parametrize("apply", [False, True], ids=["before it is handled", "after it was applied"])
def test_a_run_killed_at_any_request_and_started_again_ends_as_if_nothing_had_been(
    omnia: EmulatedOmnia, nursery: Nursery, apply: bool
) -> None:
    begin(omnia)
    [calm] = nursery.run(attempt(omnia))
    assert (calm.state, calm.xcoms["return_value"]["counts"]["changed"]) == ("success", ASKED - 1), calm.text
    requests = len(omnia.server.journal.entries())
    assert requests == 1 + (ASKED - 1) + 1

    for nth in range(1, requests + 1):
        begin(omnia)
        killed(omnia, nursery, attempt(omnia), nth=nth, apply=apply)
        [again] = nursery.run(replace(attempt(omnia), try_number=2))

        where = f"killed at request {nth} of {requests}"
        assert again.state == "success", f"{where}: {again.text}"
        assert omnia.listed() == numbers(ASKED), where
        assert omnia.agents(numbers(ASKED)) == {DESK}, where
        assert len(omnia.server.journal.changes()) == ASKED - 1, where


@pytest.mark.parametrize("in_files", [False, True], ids=["state store", "state in files"])
def test_what_a_killed_run_kept_is_what_the_next_try_restores_from(
    omnia: EmulatedOmnia,
    nursery: Nursery,
    shared_key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_files: bool,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", shared_key)
    forget_fernet()
    folder = tmp_path.as_uri()
    keeping = replace(attempt(omnia, take_snapshot=True, state_folder=folder), state_in_files=in_files)
    for nth in (2, 4, 1 + (ASKED - 1) + 1):
        begin(omnia)
        first = killed(omnia, nursery, keeping, nth=nth, apply=True)
        [again] = nursery.run(replace(keeping, try_number=2, store=first.store))
        assert again.state == "success", again.text

        url = again.xcoms["snapshot"]
        assert len(load(url)["resources"]) == ASKED
        omnia.run(
            OmniaVoiceRestoreAssignmentsOperator(
                task_id="back", snapshot=url, confirm_live=True, state_folder=folder, hold=False
            )
        )
        assert [omnia.record(each)["agentId"] for each in numbers(4)] == [None, EVENTS, DESK, None]
        assert omnia.agents(numbers(3, first=4)) == {None}
