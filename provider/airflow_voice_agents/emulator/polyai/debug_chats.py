"""Debug chats: the agent answers from the seed's script, with values of its config page if that says so."""

from __future__ import annotations

import re
from typing import Any

from airflow_voice_agents.emulator.polyai.bodies import FREE, NAME, TEXT, open_body
from airflow_voice_agents.emulator.polyai.operation import python_operation
from airflow_voice_agents.emulator.polyai.store import PolyAIStore, known_environment
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply

_CHATS = "/v1/agents/{agentId}/debug-chat"
_INVALID = "VALIDATION_FAILED"
_VALUE = re.compile(r"\{([^{}]+)\}")


def create_chat(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Begin a chat with what the environment runs; the agent greets."""
    body, agent = exchange.content, store.agent(exchange)
    environment = known_environment(body["clientEnv"], _INVALID)
    if store.active(exchange.agent or "", environment) is None:
        text = "The draft you are attempting to chat with does not exist."
        raise Problem(400, text, "CHAT_DRAFT_NOT_EXIST")
    variant = body.get("variantId")
    if variant is not None and variant not in agent["branches"]["main"]["variants"]:
        raise Problem(400, f"Variant '{variant}' does not exist", _INVALID)
    store.state.touch()
    key = body.get("conversationId") or f"CH{store.clock.new_uuid()}"
    if key in agent["chats"]:
        raise Problem(409, "Conversation ID already exists", "CONVERSATIONS_ALREADY_EXISTS")
    agent["chats"][key] = {"environment": environment, "ended": False}
    return Reply(201, _show(store, exchange, key, {"say": agent["chat"]["greeting"]}))


def send_message(store: PolyAIStore, exchange: EmulatorRequest) -> Reply:
    """Answer a message; a chat that has ended is gone."""
    body, agent, key = exchange.content, store.agent(exchange), exchange.params["conversationId"]
    chat = agent["chats"].get(key)
    if chat is None or chat["environment"] != known_environment(body["clientEnv"], _INVALID):
        raise Problem(404, "Conversation ID does not exist.", "CONVERSATIONS_NOT_FOUND")
    if chat["ended"]:
        raise Problem(410, "The conversation has ended.", "CHAT_CONVERSATION_ENDED")
    answer = _answer(agent["chat"], body.get("message", ""))
    store.state.touch()
    agent["chats"][key] = chat | {"ended": answer.get("ends", False)}
    return Reply(200, _show(store, exchange, key, answer, body.get("message", "")))


def _answer(chat: Record, message: str) -> Record:
    for answer in chat["answers"]:
        if answer.get("when", "").lower() in message.lower():
            found: Record = answer
            return found
    return {"say": chat["otherwise"]}


def _show(
    store: PolyAIStore, exchange: EmulatorRequest, key: str, answer: Record, message: str = ""
) -> Record:
    environment = store.agent(exchange)["chats"][key]["environment"]
    values = store.page(exchange.agent or "", environment)["variables"] or {}
    failed = answer.get("fails")
    return {
        "conversationId": key,
        "userInput": message,
        "response": _VALUE.sub(lambda found: _value_at(values, found[1]), answer.get("say", "")),
        "metadata": {
            "state": {},
            "currentNode": "main",
            "nodeTrace": ["main"],
            "metrics": {},
            "functionEvents": [{"name": failed, "error": "Exception"}] if failed else [],
            "retrievedTopics": answer.get("topics", []),
            "citedTopic": "",
        },
        "conversationEnded": answer.get("ends", False),
        "delayedResponse": False,
    }


def _value_at(values: Record, place: str) -> str:
    found: Any = values
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return "nothing" if found is None else str(found)


_LANGUAGES: dict[str, Record] = {"clientEnv": NAME, "asrLangCode": TEXT, "ttsLangCode": TEXT}

OPERATIONS = (
    python_operation(
        "create debug chat",
        "POST",
        _CHATS,
        create_chat,
        writes=True,
        body=open_body(
            "clientEnv",
            properties=_LANGUAGES
            | {"variantId": TEXT, "channel": TEXT, "conversationId": NAME, "integrationAttributes": FREE},
        ),
    ),
    python_operation(
        "send debug chat message",
        "POST",
        f"{_CHATS}/{{conversationId}}",
        send_message,
        writes=True,
        body=open_body("clientEnv", properties=_LANGUAGES | {"message": TEXT, "metadata": FREE}),
    ),
)
