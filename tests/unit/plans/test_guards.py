"""Guards refuse what nobody agreed to, and each names the parameter that agrees."""

from __future__ import annotations

import itertools

import pytest

from airflow_voice_agents.plans.guards import GuardContext, Overrides, check_live
from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.polyai.ladder import LADDER, check_ladder


def circumstances(*, backfill: bool = False, **consent: bool) -> GuardContext:
    allowed = frozenset({"allow_skip_pre_release"} if consent.pop("allow_skip_pre_release", False) else ())
    return GuardContext(Overrides(**consent, allowed=allowed), backfill=backfill)


def codes(given: GuardContext) -> list[str]:
    return [finding.code for finding in check_live(given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (circumstances(), ["confirm_live"]),
        (circumstances(confirm_live=True), []),
        (circumstances(backfill=True), ["confirm_live", "backfill"]),
        (circumstances(backfill=True, confirm_live=True), ["backfill"]),
        (circumstances(backfill=True, allow_backfill=True), ["confirm_live"]),
        (circumstances(backfill=True, allow_backfill=True, confirm_live=True), []),
        (circumstances(allow_skip_pre_release=True), ["confirm_live"]),
    ],
)
def test_live_needs_consent(given: GuardContext, expected: list[str]) -> None:
    assert codes(given) == expected


def test_every_refusal_is_an_error_and_names_the_parameter_that_agrees() -> None:
    findings = [
        *check_live(circumstances(backfill=True)),
        *check_ladder("sandbox", "live", circumstances()),
    ]
    assert all(finding.severity is Severity.ERROR for finding in findings)
    for finding, parameter in zip(
        findings, ["confirm_live=True", "allow_backfill=True", "allow_skip_pre_release=True"], strict=True
    ):
        assert parameter in finding.message


def test_nothing_is_agreed_to_by_default() -> None:
    assert Overrides() == Overrides(confirm_live=False, allow_backfill=False, allowed=frozenset())
    assert GuardContext() == GuardContext(Overrides(), backfill=False)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(LADDER, LADDER)))
def test_only_the_step_over_pre_release_is_guarded(source: str, target: str) -> None:
    refused = [finding.code for finding in check_ladder(source, target, circumstances())]
    assert refused == (["skip_pre_release"] if (source, target) == ("sandbox", "live") else [])
    assert list(check_ladder(source, target, circumstances(allow_skip_pre_release=True))) == []
