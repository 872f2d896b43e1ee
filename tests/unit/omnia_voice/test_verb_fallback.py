"""The other verb on 405."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.omnia_voice import api
from airflow_voice_agents.omnia_voice.hooks import VerbFallback
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import ApiError, BadRequest, NotFound, ServerError

UPDATE = api.update_number("n1", changes={"agent_id": "a1"}, verb="PATCH")


class Platform:
    """Answers by verb: an error is raised, anything else is returned."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.verbs: list[str] = []

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.verbs.append(call.method)
        answer = self.answers[call.method]
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(status: int) -> ApiError:
    kind = {404: NotFound, 500: ServerError}.get(status, BadRequest)
    return kind("no", status=status)


async def test_the_other_verb_is_tried_once_on_405_and_remembered() -> None:
    platform = Platform(PATCH=refusal(405), PUT="done")
    send = VerbFallback(platform)
    assert [await send(UPDATE) for _ in range(3)] == ["done"] * 3
    assert platform.verbs == ["PATCH", "PUT", "PUT", "PUT"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 501])
async def test_no_other_status_brings_up_the_other_verb(status: int) -> None:
    platform = Platform(PATCH=refusal(status), PUT="done")
    with pytest.raises(ApiError) as caught:
        await VerbFallback(platform)(UPDATE)
    assert (caught.value.status, platform.verbs) == (status, ["PATCH"])


async def test_both_verbs_refused_is_the_first_refusal() -> None:
    first = refusal(405)
    platform = Platform(PATCH=first, PUT=refusal(405))
    send = VerbFallback(platform)
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            await send(UPDATE)
        assert caught.value is first
    assert platform.verbs == ["PATCH", "PUT"] * 2


async def test_what_the_other_verb_is_answered_counts_and_shows_that_it_is_taken() -> None:
    platform = Platform(PATCH=refusal(405), PUT=refusal(404))
    send = VerbFallback(platform)
    for _ in range(2):
        with pytest.raises(NotFound):
            await send(UPDATE)
    assert platform.verbs == ["PATCH", "PUT", "PUT"]


@pytest.mark.parametrize(
    "call",
    [
        api.get_number("n1"),
        api.delete_number("n1"),
        api.assign_number(phone_number="+12025550123", agent_id="a"),
    ],
    ids=lambda call: call.operation,
)
async def test_calls_that_are_no_update_are_refused_as_they_are(call: ApiRequest[Any]) -> None:
    platform = Platform(**{call.method: refusal(405)})
    with pytest.raises(ApiError):
        await VerbFallback(platform)(call)
    assert platform.verbs == [call.method]
