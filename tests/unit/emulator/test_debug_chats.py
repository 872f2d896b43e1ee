"""Debug chats: greeted, answered from the script, ended."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_voice_agents.emulator.server import EmulatorServer

CHATS = "/v1/agents/harbour-hotels/debug-chat"


def begin(api: httpx.Client, **body: Any) -> httpx.Response:
    return api.post(CHATS, json={"clientEnv": "live", **body})


def say(api: httpx.Client, chat: str, message: str, environment: str = "live") -> httpx.Response:
    return api.post(f"{CHATS}/{chat}", json={"clientEnv": environment, "message": message})


def test_an_agent_greets_and_answers_with_what_the_environment_is_configured_to(
    server: EmulatorServer, api: httpx.Client
) -> None:
    begun = begin(api, variantId="VARIANT-C93513B5", channel="chat.polyai")
    chat = begun.json()["conversationId"]
    before = say(api, chat, "When do you OPEN?").json()
    hours = server.polyai.page("harbour-hotels", "live")["variables"]["opening_hours"]
    changed = {"opening_hours": hours | {"monday": {"open": "05:15", "close": "23:00"}}}
    api.patch("/v1/agents/harbour-hotels/real-time-configs/live/variables", json={"variables": changed})
    after = say(api, chat, "When do you open?").json()

    assert (begun.status_code, begun.json()["response"]) == (201, "Harbour Hotels, good day.")
    assert before["response"] == f"On Mondays we open at {hours['monday']['open']}."
    assert after["response"] == "On Mondays we open at 05:15."
    assert (after["metadata"]["retrievedTopics"], after["metadata"]["citedTopic"]) == (["opening_hours"], "")
    assert (after["conversationEnded"], after["delayedResponse"], after["userInput"]) == (
        False,
        False,
        "When do you open?",
    )


def test_each_environment_answers_with_its_own_values(server: EmulatorServer, api: httpx.Client) -> None:
    server.polyai.write_page("harbour-hotels", "sandbox", variables={})
    chat = begin(api, clientEnv="sandbox").json()["conversationId"]

    assert say(api, chat, "open?", "sandbox").json()["response"] == "On Mondays we open at nothing."
    assert say(api, chat, "open?", "live").status_code == 404


def test_what_the_script_does_not_know_gets_another_answer(api: httpx.Client) -> None:
    chat = begin(api).json()["conversationId"]

    assert say(api, chat, "xyzzy").json()["response"] == "Sorry, could you say that again?"


def test_a_chat_that_has_ended_is_gone(api: httpx.Client) -> None:
    chat = begin(api).json()["conversationId"]

    assert say(api, chat, "a person please").json()["conversationEnded"] is True
    gone = say(api, chat, "open?")
    assert (gone.status_code, gone.json()["error_code"]) == (410, "CHAT_CONVERSATION_ENDED")


def test_a_function_may_fail(server: EmulatorServer, api: httpx.Client) -> None:
    def script(data: dict[str, Any]) -> None:
        answer = {"when": "book", "say": "One moment", "fails": "find_booking"}
        data["polyai"]["agents"]["harbour-hotels"]["chat"]["answers"] = [answer]

    server.state.edit(script)
    chat = begin(api).json()["conversationId"]

    (event,) = say(api, chat, "book").json()["metadata"]["functionEvents"]
    assert (event["name"], bool(event["error"])) == ("find_booking", True)


def test_a_chat_may_have_an_id_of_the_callers_once(api: httpx.Client) -> None:
    assert begin(api, conversationId="smoke-1").json()["conversationId"] == "smoke-1"
    assert begin(api, conversationId="smoke-1").status_code == 409


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"clientEnv": "prod"}, "VALIDATION_FAILED"),
        ({"clientEnv": ""}, "VALIDATION_FAILED"),
        ({"variantId": "VARIANT-X"}, "VALIDATION_FAILED"),
        ({"integrationAttributes": []}, "VALIDATION_FAILED"),
    ],
)
def test_bad_chats_are_refused(api: httpx.Client, body: dict[str, Any], code: str) -> None:
    reply = begin(api, **body)

    assert (reply.status_code, reply.json()["error_code"]) == (400, code)


def test_an_environment_without_a_deployment_cannot_be_chatted_with(api: httpx.Client) -> None:
    reply = api.post("/v1/agents/northgate-bank/debug-chat", json={"clientEnv": "live"})

    assert (reply.status_code, reply.json()["error_code"]) == (400, "CHAT_DRAFT_NOT_EXIST")


def test_unknown_chats_are_not_found(api: httpx.Client) -> None:
    reply = say(api, "nope", "hello")

    assert (reply.status_code, reply.json()["error_code"]) == (404, "CONVERSATIONS_NOT_FOUND")


def test_what_is_said_is_not_kept(server: EmulatorServer, api: httpx.Client) -> None:
    chat = begin(api).json()["conversationId"]
    say(api, chat, "marker of a message")

    assert "marker of a message" not in str(server.state.snapshot())
