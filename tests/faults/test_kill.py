"""kill -9 at every request of a run, before and after it took effect, and a second run in a fresh process."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

import pytest

from support.emulated import Emulated, items
from support.faults import (
    PROMOTION,
    SCENARIOS,
    Killing,
    Scenario,
    Start,
    Truth,
    changes,
    settle,
    state_without_stamps,
)
from support.forked_tasks import Attempt, Ended, Nursery


@dataclass(frozen=True)
class Calm:
    """What a run that nobody disturbs does."""

    requests: int
    state: str
    changes: dict[str, int]
    truth: Truth
    statuses: dict[str, str]


def statuses(ended: Ended) -> dict[str, str]:
    return {name: item["status"] for name, item in items(ended).items()}  # type: ignore[arg-type]


def undisturbed(polyai: Emulated, scenario: Scenario, nursery: Nursery, attempt: Attempt) -> Calm:
    [ended] = nursery.run(attempt)
    assert (ended.exit_code, ended.state) == (0, "success"), ended.text
    entries = polyai.server.journal.entries()
    return Calm(
        requests=len(entries),
        state=state_without_stamps(polyai.server),
        changes=changes(entries),
        truth=scenario.truth(polyai.server),
        statuses=statuses(ended),
    )


def killed(polyai: Emulated, nursery: Nursery, attempt: Attempt, *, nth: int, apply: bool) -> Ended:
    fault = Killing(nth=nth, apply=apply)
    polyai.server.emulator.faults.add(fault)
    [ended] = nursery.run(attempt, started=fault.target)
    assert ended.exit_code == -signal.SIGKILL
    settle(polyai.server)
    polyai.server.clear_faults()
    return ended


def test_what_the_sweeps_run_over_needs_every_kind_of_write(start: Start, nursery: Nursery) -> None:
    calm = {
        each.name: undisturbed(start(each), each, nursery, each.attempt(start(each).server.url))
        for each in SCENARIOS
    }

    assert {name: each.requests for name, each in calm.items()} == {
        "promotion": 8 + 11 + 6,
        "connectors": 1 + 1 + 1 + 2 + 2 + 1,
        "numbers": 1 + 4 + 3 + 3 + 9,
    }
    assert {name: sorted(set(each.changes.values())) for name, each in calm.items()} == {
        "promotion": [1, 2],  # the bridged page takes two schemas
        "connectors": [1],
        "numbers": [1],
    }
    for each in calm.values():
        assert set(each.statuses.values()) == {"changed", "unchanged"}


@pytest.mark.parametrize(
    ("apply", "concurrency"),
    [(False, 1), (True, 1), (True, 4)],
    ids=["before it is handled", "after it was applied", "after it was applied, side by side"],
)
def test_a_run_killed_at_any_request_and_started_again_ends_as_if_nothing_had_been(
    start: Start, nursery: Nursery, scenario: Scenario, apply: bool, concurrency: int
) -> None:
    polyai = start(scenario)
    attempt = scenario.attempt(polyai.server.url, concurrency=concurrency)
    calm = undisturbed(polyai, scenario, nursery, attempt)

    for nth in range(1, calm.requests + 1):
        server = start(scenario).server
        killed(polyai, nursery, attempt, nth=nth, apply=apply)
        left = scenario.truth(server)
        [again] = nursery.run(replace(attempt, try_number=2))

        where = f"killed at request {nth} of {calm.requests}"
        assert (again.exit_code, again.state) == (0, "success"), f"{where}: {again.text}"
        assert state_without_stamps(server) == calm.state, where
        assert changes(server.journal.entries()) == calm.changes, where
        expected = {
            name: "unchanged" if left[name] == value else "changed" for name, value in calm.truth.items()
        }
        assert statuses(again) == expected, where


def approved(start: Start, nursery: Nursery) -> tuple[Emulated, Attempt]:
    """A promotion that is held to a plan."""
    polyai = start(PROMOTION)
    [planned] = nursery.run(PROMOTION.attempt(polyai.server.url, dry_run=True))
    digest = planned.xcoms["return_value"]["plan_digest"]
    return start(PROMOTION), PROMOTION.attempt(polyai.server.url, expected_digest=digest)


def test_an_approved_plan_killed_at_any_request_is_finished_under_its_digest(
    start: Start, nursery: Nursery
) -> None:
    polyai, attempt = approved(start, nursery)
    calm = undisturbed(polyai, PROMOTION, nursery, attempt)

    for nth in range(9, calm.requests + 1):
        server = start(PROMOTION).server
        first = killed(polyai, nursery, attempt, nth=nth, apply=True)
        [again] = nursery.run(replace(attempt, try_number=2, store=first.store))

        where = f"killed at request {nth} of {calm.requests}"
        assert again.state == "success", f"{where}: {again.text}"
        assert state_without_stamps(server) == calm.state, where
        assert changes(server.journal.entries()) == calm.changes, where


def test_an_approved_plan_killed_at_any_word_with_airflow_is_finished_under_its_digest(
    start: Start, nursery: Nursery
) -> None:
    polyai, attempt = approved(start, nursery)
    [calm] = nursery.run(attempt)
    state, written = state_without_stamps(polyai.server), changes(polyai.server.journal.entries())
    first_word = calm.messages.index("SetTaskStateStore") + 1

    for number, message in enumerate(calm.messages[first_word - 1 :], first_word):
        server = start(PROMOTION).server
        [first] = nursery.run(replace(attempt, last_message=number))
        assert first.exit_code == -signal.SIGKILL
        [again] = nursery.run(replace(attempt, try_number=2, store=first.store))

        assert again.state == "success", f"killed after {message}: {again.text}"
        assert state_without_stamps(server) == state, message
        assert changes(server.journal.entries()) == written, message
