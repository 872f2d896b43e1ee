"""What public reads show of the deployment model of a project, and what is said where they show too little."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.plans.plan import Severity
from airflow_voice_agents.polyai.actions.deployment_model import parse_model
from airflow_voice_agents.polyai.models import Deployment
from airflow_voice_agents.polyai.resources.deployment_model import KnownModel, Model, conclude
from airflow_voice_agents.transport.errors import InputError


def record(version: str | None, day: int | None, way: str | None = "publish", **metadata: Any) -> Deployment:
    made = None if day is None else f"2026-09-{day:02}T08:00:00Z"
    facts = {"deployment_type": way, **metadata} if way else metadata
    return Deployment(id=f"d{version}{day}", version=version, created_at=made, metadata=facts or None)


PROMOTED = record("a", 2, "promotion")
NEWER = record("b", 3)


@pytest.mark.parametrize(
    ("sandbox", "live", "model", "said"),
    [
        (
            [record("a", 1), NEWER],
            [PROMOTED],
            Model.LADDER,
            "sandbox has version b, which is newer than a of live",
        ),
        ([NEWER, record("a", 1)], [PROMOTED], Model.LADDER, "live got its version by promotion"),
        ([record("a", 1), NEWER], [record("a", 2, "rollback")], Model.LADDER, "by rollback"),
        ([record("x", 3, tag="staging")], [PROMOTED], Model.BRANCHES, "carries the tag 'staging'"),
        ([record("x", 1, tag="staging"), NEWER], [PROMOTED], Model.BRANCHES, "carries the tag"),
        ([record("a", 1)], [PROMOTED], None, "live runs the newest version"),
        ([record("a", 3)], [record("a", 2)], None, "live runs the newest version"),
        ([NEWER], [record("a", 2, "publish")], None, "was no promotion (its type is publish)"),
        ([NEWER], [record("a", 2, None)], None, "its type is not shown"),
        ([NEWER], [], None, "live runs nothing yet"),
        ([], [], None, "live runs nothing yet"),
        ([record("b", None)], [PROMOTED], None, "no readable time"),
        ([record(None, 3)], [PROMOTED], None, "has no version"),
        ([record("", 3)], [record("", 2)], None, "has no version"),
        ([record("x", 3, tag="")], [PROMOTED], Model.LADDER, "no deployment of sandbox carries a tag"),
    ],
)
def test_the_rule_of_the_vendor_s_command_line(
    sandbox: list[Deployment], live: list[Deployment], model: Model | None, said: str
) -> None:
    known = conclude(sandbox, live)

    assert known.model is model
    assert said in known.reason


def test_an_unknown_model_asks_the_question_that_a_person_can_answer() -> None:
    (finding,) = KnownModel(None, "why").findings("rosa", stops=True)

    assert (finding.severity, finding.code) == (Severity.ERROR, "unknown_model")
    assert "Does merging a branch of rosa into main go straight to live?" in finding.message
    assert "deployment_model='branches'" in finding.message
    assert "deployment_model='ladder'" in finding.message


def test_where_nothing_stops_an_unknown_model_is_a_warning() -> None:
    (finding,) = KnownModel(None, "why").findings("rosa", stops=False)

    assert finding.severity is Severity.WARNING


def test_a_model_that_was_given_needs_no_word() -> None:
    assert list(KnownModel(Model.BRANCHES).findings("rosa", stops=True)) == []


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ("ladder", Model.LADDER),
        ("branches", Model.BRANCHES),
        ("simplified", Model.BRANCHES),
        ("auto", Model.AUTO),
        (None, None),
    ],
)
def test_every_spelling_is_read(given: object, model: Model | None) -> None:
    assert parse_model(given) is model


def test_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="deployment_model"):
        parse_model("stages")
