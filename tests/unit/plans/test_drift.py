"""Drift: who has moved, told from three digests; findings and reports without values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.diff import Change, Op
from airflow_voice_agents.plans.drift import (
    DRIFTED,
    SETTLED,
    Drift,
    DriftFinding,
    DriftReport,
    compare,
    judge,
    render_drift,
    since,
)
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, error, warning
from airflow_voice_agents.plans.report import ITEMS_SHOWN
from support.json_values import bounded

PAGE = Resource("config page", "rosa", "live")
TARGET = "rosa/live"
A, B, C = "a" * 64, "b" * 64, "c" * 64
STALE = error("stale_keys", "Only the target has own.")
KEPT = warning("stale_keys", "Only the target has own; it stays.")

digests = st.sampled_from([A, B, C])


def found(drift: Drift, target: str = TARGET, number: int = 0) -> DriftFinding:
    return DriftFinding(Resource("connector", target.split("/", maxsplit=1)[0], f"c{number}"), target, drift)


@pytest.mark.parametrize(
    ("now", "desired", "base", "drift"),
    [
        (A, A, None, Drift.IN_SYNC),
        (A, B, None, Drift.DIFFERS),
        (A, A, A, Drift.IN_SYNC),
        (A, B, A, Drift.NOT_PROMOTED),
        (B, A, A, Drift.EDITED),
        (B, B, A, Drift.CONVERGED),
        (B, C, A, Drift.DIVERGED),
    ],
)
def test_every_way_to_move_has_its_word(now: str, desired: str, base: str | None, drift: Drift) -> None:
    assert judge(now, desired, base) is drift


@pytest.mark.parametrize(
    ("now", "desired", "base", "drift"),
    [
        (A, A, None, Drift.DIFFERS),
        (A, B, None, Drift.DIFFERS),
        (A, A, A, Drift.IN_SYNC),
        (A, B, A, Drift.NOT_PROMOTED),
        (B, B, A, Drift.EDITED),
        (B, A, A, Drift.EDITED),
        (B, C, A, Drift.DIVERGED),
    ],
)
def test_what_only_the_target_holds_is_never_taken_for_agreement(
    now: str, desired: str, base: str | None, drift: Drift
) -> None:
    assert judge(now, desired, base, surplus=True) is drift


@bounded(200)
@given(now=digests, desired=digests, base=st.none() | digests)
def test_the_words_say_who_has_moved(now: str, desired: str, base: str | None) -> None:
    drift = judge(now, desired, base)

    assert (drift in SETTLED) == (now == desired)
    assert (drift in DRIFTED) == (now != desired)
    assert (drift is Drift.DIFFERS) == (base is None and now != desired)
    if base is not None:
        moved = {
            Drift.EDITED: (True, False),
            Drift.NOT_PROMOTED: (False, True),
            Drift.IN_SYNC: (False, False),
        }
        assert moved.get(drift, (True, True)) == (now != base, desired != base)


@bounded(100)
@given(now=digests, base=digests)
def test_without_a_source_only_the_target_can_have_moved(now: str, base: str) -> None:
    finding = since(PAGE, target=TARGET, now=now, base=base)

    assert finding.drift is (Drift.IN_SYNC if now == base else Drift.EDITED)
    assert (finding.now, finding.desired, finding.base) == (now, None, base)


def test_drifted_settled_and_unknown_are_all_there_is() -> None:
    assert sorted([*DRIFTED, *SETTLED, Drift.UNKNOWN]) == sorted(Drift)


# ------------------------------------------------------------------------------ items of a plan


def item(now: str, desired: str, *findings: Finding, stale: tuple[str, ...] = ()) -> PlannedItem:
    changes = (
        (Change(Op.CHANGE, ("hours", "monday"), "secret-before", "secret-after"),) if now != desired else ()
    )
    return PlannedItem(PAGE, now, desired, changes=changes, findings=findings, stale_keys=stale)


def test_a_finding_names_keys_and_beginnings_of_digests_and_no_value() -> None:
    finding = compare(item(A, B, KEPT, stale=("own",)), target=TARGET, base=C)

    assert finding.document() == {
        "kind": "config page",
        "owner": "rosa",
        "name": "live",
        "target": TARGET,
        "drift": "diverged",
        "now": "a" * 12,
        "desired": "b" * 12,
        "base": "c" * 12,
        "changed_keys": ["hours", "own"],
    }
    assert "secret" not in repr(finding)


@pytest.mark.parametrize("now", [A, B])
def test_an_item_that_cannot_be_planned_is_unknown_whatever_its_digests_say(now: str) -> None:
    broken = item(now, A, error("unreadable", "It could not be read."), error("more", "Really."))

    finding = compare(broken, target=TARGET, base=A)

    assert (finding.drift, finding.reason) == (Drift.UNKNOWN, "It could not be read. Really.")
    assert (finding.keys, finding.now, finding.desired) == ((), None, None)


def test_an_error_that_only_forbids_to_write_leaves_the_comparison_as_it_is() -> None:
    forbidden = error("skip_pre_release", "No way.")

    drifted = compare(item(A, B, forbidden), target=TARGET, base=None, beside_the_point={"skip_pre_release"})
    settled = compare(item(A, A, forbidden), target=TARGET, base=None, beside_the_point={"skip_pre_release"})
    unknown = compare(item(A, B, forbidden), target=TARGET, base=None)

    assert [each.drift for each in (drifted, settled, unknown)] == [
        Drift.DIFFERS,
        Drift.IN_SYNC,
        Drift.UNKNOWN,
    ]
    assert (drifted.reason, settled.reason) == ("No way.", "")


@pytest.mark.parametrize(
    ("kept", "now", "base", "drift"),
    [
        (KEPT, A, None, Drift.DIFFERS),
        (STALE, A, None, Drift.DIFFERS),
        (KEPT, A, A, Drift.IN_SYNC),
        (STALE, A, A, Drift.NOT_PROMOTED),
        (KEPT, A, B, Drift.EDITED),
        (STALE, A, B, Drift.EDITED),
    ],
)
def test_a_key_that_only_the_target_has(kept: Finding, now: str, base: str | None, drift: Drift) -> None:
    finding = compare(item(now, now, kept, stale=("own",)), target=TARGET, base=base)

    assert finding.drift is drift
    assert finding.keys == (() if drift is Drift.IN_SYNC else ("own",))


# ------------------------------------------------------------------------------------ the report


def test_the_counts_add_up_and_the_worst_comes_first() -> None:
    findings = tuple(found(drift, f"agent-{drift}/live") for drift in reversed(Drift))
    report = DriftReport(findings)

    assert report.counts() == {"total": 7, **{drift.value: 1 for drift in Drift}}
    assert [each["drift"] for each in report.document()["items"]] == [drift.value for drift in Drift]
    assert list(report.summary()["targets"].values()) == [
        *("diverged", "edited", "differs", "not_promoted", "unknown")
    ]


def test_a_target_is_told_by_its_worst_finding() -> None:
    report = DriftReport((found(Drift.IN_SYNC), found(Drift.NOT_PROMOTED), found(Drift.EDITED)))

    assert report.summary()["targets"] == {TARGET: "edited"}


@pytest.mark.parametrize(
    ("drift", "drifted", "settled"),
    [
        *((drift, True, False) for drift in DRIFTED),
        *((drift, False, True) for drift in SETTLED),
        (Drift.UNKNOWN, False, False),
    ],
)
def test_unknown_is_neither_drifted_nor_settled(drift: Drift, drifted: bool, settled: bool) -> None:
    report = DriftReport((found(Drift.IN_SYNC), found(drift)))

    assert (report.drifted, report.settled) == (drifted, settled)


@pytest.mark.parametrize("many", [1, ITEMS_SHOWN, ITEMS_SHOWN + 1, 10_000])
def test_what_is_kept_stays_small_and_the_rest_is_counted(many: int) -> None:
    settled = [found(Drift.IN_SYNC, f"quiet-{number}/live") for number in range(many)]
    drifted = [found(Drift.EDITED, f"agent-{number}/live") for number in range(many)]
    report = DriftReport((*settled, *drifted))

    document, summary = report.document(), report.summary()

    assert len(document["items"]) + document["items_omitted"] == 2 * many
    assert len(summary["targets"]) + summary["targets_omitted"] == many
    assert max(len(document["items"]), len(summary["targets"])) <= ITEMS_SHOWN
    assert document["counts"]["edited"] == summary["counts"]["in_sync"] == many
    assert {each["drift"] for each in document["items"][:many]} == {"edited"}
    assert len(json.dumps(document)) < 250 * ITEMS_SHOWN + 500


def test_the_table_lists_what_is_open_and_counts_the_rest() -> None:
    odd = DriftFinding(PAGE, TARGET, Drift.EDITED, keys=("hours", "a b\n"))
    lost = DriftFinding(Resource("connector", "rosa", "c1"), "rosa", Drift.UNKNOWN, reason="It is\x1b gone.")
    report = DriftReport((found(Drift.IN_SYNC), lost, odd, found(Drift.CONVERGED)))

    assert render_drift(report).splitlines() == [
        "Report: look for drift",
        '  edited   rosa/live  config page rosa/live  hours, "a b\\n"',
        "  unknown  rosa       connector rosa/c1      It is\\u001b gone.",
        "4 resource(s): 1 edited, 1 unknown, 1 converged, 1 in_sync.",
    ]


def test_the_table_of_a_fleet_is_cut_and_says_so() -> None:
    report = DriftReport(tuple(found(Drift.EDITED, f"agent-{number}/live") for number in range(250)))

    lines = render_drift(report).splitlines()

    assert len(lines) == 203
    assert lines[-2:] == ["  … and 50 more", "250 resource(s): 250 edited."]


def test_nothing_is_a_report_too() -> None:
    report = DriftReport(())

    assert (report.drifted, report.settled) == (False, True)
    assert render_drift(report).endswith("0 resource(s): none.")


@bounded(100)
@given(st.lists(st.tuples(st.sampled_from(Drift), st.integers(0, 3)), max_size=20))
def test_no_finding_is_lost(drawn: list[tuple[Drift, int]]) -> None:
    report = DriftReport(
        tuple(found(drift, f"agent-{who}/live", place) for place, (drift, who) in enumerate(drawn))
    )
    counts = report.counts()

    assert counts.pop("total") == sum(counts.values()) == len(drawn)
    assert report.drifted == any(drift in DRIFTED for drift, _ in drawn)
    assert set(report.targets) == {f"agent-{who}/live" for drift, who in drawn if drift not in SETTLED}
