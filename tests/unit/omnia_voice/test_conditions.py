"""The Omnia Voice condition: one list for all numbers of a workspace, and a decision from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from airflow_voice_agents.omnia_voice.conditions import NumberCondition, NumberList
from airflow_voice_agents.omnia_voice.models import Number, NumberPage
from airflow_voice_agents.omnia_voice.resources.phone_number import by_e164
from airflow_voice_agents.plans.condition import fetch_all
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import ResponseError

FIRST, SECOND, THIRD = "+442079460000", "+442079460001", "+442079460002"


def numbers(wanted: Iterable[str], agent_id: Any = None, statuses: Any = None) -> NumberCondition:
    return NumberCondition.parse(list(wanted), agent_id, statuses)


def records(*agents: str | None, status: str = "ACTIVE") -> NumberList:
    return NumberList(
        by_e164(
            Number(id=f"n{index}", phone_number=number, agent_id=agent, status=status)
            for index, (number, agent) in enumerate(zip((FIRST, SECOND), agents, strict=False))
        )
    )


class Workspace:
    """Pages of one number each; the last one may say that there is more, and then repeat itself."""

    def __init__(self, *listed: str, endless: bool = False) -> None:
        self.listed, self.endless = listed, endless
        self.sent: list[ApiRequest[Any]] = []

    async def asend(self, call: ApiRequest[Any]) -> Any:
        self.sent.append(call)
        if "agents" in call.path:
            return tuple(Number(id=number, phone_number=number) for number in self.listed)
        page = min(int(dict(call.query)["page"]), len(self.listed))
        found = self.listed[page - 1]
        more = self.endless or page < len(self.listed)
        return NumberPage(numbers=(Number(id=found, phone_number=found),), has_more=more)

    async def aclient(self) -> Any:
        raise AssertionError("not needed here")


async def test_the_answer_is_the_complete_list_by_number() -> None:
    workspace = Workspace(FIRST, SECOND, THIRD)

    (answer,) = await fetch_all(numbers([SECOND]).reads(), workspace)

    assert (sorted(answer.numbers), answer.complete) == ([FIRST, SECOND, THIRD], True)
    assert [dict(call.query)["page"] for call in workspace.sent] == ["1", "2", "3"]


async def test_a_list_that_ends_early_says_nothing_about_what_is_not_on_it() -> None:
    (answer,) = await fetch_all(numbers([FIRST]).reads(), Workspace(FIRST, endless=True))

    assert not answer.complete
    assert numbers([FIRST]).holds([answer])[0]
    with pytest.raises(ResponseError, match="did not come whole"):
        numbers([FIRST, SECOND]).holds([answer])


async def test_an_agents_list_is_one_request() -> None:
    workspace = Workspace(FIRST, SECOND)

    (answer,) = await fetch_all(numbers([FIRST], "a").reads(), workspace)

    assert (sorted(answer.numbers), answer.complete) == ([FIRST, SECOND], True)
    assert len(workspace.sent) == 1


def test_conditions_of_a_workspace_read_the_same_and_those_of_an_agent_its_list() -> None:
    def keys(*conditions: NumberCondition) -> set[Any]:
        return {read.key for each in conditions for read in each.reads()}

    assert len(keys(numbers([FIRST]), numbers([SECOND, THIRD]), numbers([FIRST], statuses="ACTIVE"))) == 1
    assert len(keys(numbers([FIRST], "a"), numbers([SECOND], "a", ["ACTIVE"]))) == 1
    assert len(keys(numbers([FIRST]), numbers([FIRST], "a"), numbers([FIRST], "b"))) == 3


@pytest.mark.parametrize(
    ("agent_id", "statuses", "answer", "ready"),
    [
        (None, None, records("a", None), 2),
        (None, None, records("a"), 1),
        ("a", None, records("a", "b"), 1),
        (None, ["active"], records("a", "a"), 2),
        (None, "other", records("a", "a"), 0),
        ("a", "ACTIVE", records("a", "a"), 2),
    ],
)
def test_a_condition_counts_what_is_ready(
    agent_id: str | None, statuses: Any, answer: NumberList, ready: int
) -> None:
    condition = numbers([FIRST, SECOND], agent_id, statuses)

    holds, found = NumberCondition.deserialize(condition.serialize()).holds([answer])

    assert (holds, found["ready"], found["waiting"]) == (ready == 2, ready, 2 - ready)
    assert len(found["ids"]) == ready


def test_an_agents_list_that_names_no_agent_is_believed() -> None:
    listed = NumberList(by_e164([Number(id="n1", phone_number=FIRST)]))

    assert numbers([FIRST], "a").holds([listed])[0]
