"""Publications as a resource kind: one more record, recognized by its look."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.plans.kind import Transition
from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.polyai.models import Deployment
from airflow_voice_agents.polyai.resources.publication import (
    Publication,
    PublicationKind,
    follow_up,
    publication,
    publication_of,
)
from airflow_voice_agents.transport.errors import BadRequest, Conflict

KIND = PublicationKind()
SANDBOX = publication("rosa", "sandbox")


def shown(**metadata: Any) -> Publication | None:
    return publication_of(Deployment(id="2", version="b", metadata=metadata or None))


@pytest.mark.parametrize(
    ("observed", "missing"),
    [
        (None, ["a newer record"]),
        (Publication("1"), ["a newer record"]),
        (shown(), []),
        (shown(deployment_type="publish", deployment_message="m"), []),
        (shown(deployment_type="rollback"), ["a newer write by somebody else"]),
        (shown(deployment_message="other"), ["a newer write by somebody else"]),
    ],
)
def test_only_a_newer_record_that_looks_like_ours_counts(
    observed: Publication | None, missing: list[str]
) -> None:
    before = Publication("1")

    assert KIND.mismatches(Transition(SANDBOX, before, follow_up(before, "m")), observed) == missing


def test_a_plan_is_one_more_record_and_says_that_it_lasts() -> None:
    item = KIND.plan(SANDBOX, "m", Publication("1"))
    again = KIND.plan(SANDBOX, "m", Publication("1"))

    assert (item.changed, item.writes, item.after) == (True, 1, again.after)
    assert [(each.severity, each.code) for each in item.findings] == [(Severity.WARNING, "cannot_undo")]


def test_a_publication_of_an_earlier_try_is_done_and_keeps_the_digest_of_its_plan() -> None:
    planned = KIND.plan(SANDBOX, "m", Publication("1"))
    done = KIND.plan_done(SANDBOX, "1", Publication("2"))

    assert not done.changed
    assert done.before == planned.after


@pytest.mark.parametrize(
    ("failure", "strict", "reason"),
    [
        (
            Conflict("no", error_code="DEPLOYMENTS_ALREADY_PUBLISHED"),
            False,
            "there is nothing new to publish",
        ),
        (Conflict("no"), False, "there is nothing new to publish"),
        (Conflict("no", error_code="DEPLOYMENTS_ALREADY_PUBLISHED"), True, None),
        (BadRequest("no", error_code="OTHER"), False, None),
    ],
)
def test_a_refusal_that_there_is_nothing_new_is_no_change(
    failure: Any, strict: bool, reason: str | None
) -> None:
    kind = PublicationKind(nothing_new_fails=strict)
    before = Publication("1")
    ((write,),) = kind.write_sequences([Transition(SANDBOX, before, follow_up(before, "m"))])

    assert write.no_change is not None
    assert write.no_change(failure) == reason
