"""Omnia Voice responses become models."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.models import Number, read_page

PROMPT = "You are the secret concierge"


def test_of_an_agent_only_id_name_and_status_are_kept() -> None:
    agent = {
        "id": "a1",
        "name": "Concierge",
        "status": "SUSPENDED",
        "description": PROMPT,
        "standardConfig": {"systemPrompt": PROMPT},
        "prompt": PROMPT,
    }
    number = Number.model_validate({"id": "n1", "agent": agent, "prompt": PROMPT})
    assert number.agent is not None
    assert number.agent.model_dump() == {"id": "a1", "name": "Concierge", "status": "SUSPENDED"}
    assert PROMPT not in f"{number!r}{number.model_dump_json()}{pickle.dumps(number)!r}"


@pytest.mark.parametrize(
    ("record", "assigned_to", "tells"),
    [
        ({"agentId": "a1"}, "a1", True),
        ({"agentId": " a1 "}, "a1", True),
        ({"agentId": 17}, "17", True),
        ({"agentId": None}, None, True),
        ({"agentId": ""}, None, True),
        ({"agentId": None, "agent": {"id": "a1"}}, None, True),
        ({"agent": {"id": "a1"}}, "a1", True),
        ({"agent": {"name": "x"}}, None, False),
        ({"agent": "a1"}, None, False),
        ({"status": "assigned"}, None, False),
        ({"status": "unassigned", "agentId": "a1"}, "a1", True),
        ({}, None, False),
    ],
)
def test_assignment_is_judged_by_the_agents_id(record: Any, assigned_to: str | None, tells: bool) -> None:
    number = Number.model_validate({"id": "n1", **record})
    assert (number.assigned_to, number.tells_agent) == (assigned_to, tells)


def test_an_agent_of_an_unexpected_kind_is_not_taken_for_none() -> None:
    with pytest.raises(ValueError, match="agentId"):
        Number.model_validate({"id": "n1", "agentId": {"id": "a1"}})


@pytest.mark.parametrize("status", ["ACTIVE", "assigned", "porting since Monday"])
def test_statuses_are_open_words_compared_without_case(status: str) -> None:
    number = Number.model_validate({"id": "n1", "status": status})
    assert number.status == status
    assert number.has_status("other", status.swapcase())
    assert not number.has_status("other")
    assert not Number.model_validate({"id": "n1"}).has_status("active")


def test_number_is_shown_in_e164() -> None:
    assert Number.model_validate({"id": "n1", "phoneNumber": "+1 202 555 0123"}).e164 == "+12025550123"
    assert Number.model_validate({"id": "n1", "phoneNumber": 12025550123}).e164 == "+12025550123"
    assert Number.model_validate({"id": "n1"}).e164 is None


@pytest.mark.parametrize("odd", ["50", -1, 2.5, True, None, [1], {"a": 1}])
def test_pagination_hints_that_are_none_are_as_if_absent(odd: Any) -> None:
    page = read_page({"data": [], "pagination": {"limit": odd, "total": odd, "totalPages": odd}})
    assert (page.limit, page.total, page.total_pages) == (None, None, None)


@pytest.mark.parametrize("odd", ["true", 1, None, []])
def test_only_a_truth_value_says_whether_there_is_more(odd: Any) -> None:
    assert read_page({"data": [], "pagination": {"hasMore": odd}}).has_more is None
    assert read_page({"data": [], "pagination": {"hasMore": True}}).has_more is True


@pytest.mark.parametrize("pagination", [None, [], "page 1", {"numbers": 1}])
def test_pagination_of_another_kind_is_as_if_absent(pagination: Any) -> None:
    page = read_page({"data": [{"id": "n1"}], "pagination": pagination})
    assert (len(page.numbers), page.has_more, page.total) == (1, None, None)
