"""The PolyAI room: who may ask, which handler answers, and how refusals look."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from airflow_voice_agents.emulator.polyai import (
    agents,
    alerts,
    branches,
    connectors,
    conversations,
    debug_chats,
    deployments,
    outbound_calls,
    phone_numbers,
    real_time_configs,
    simulations,
    sip_trunks,
    variants,
)
from airflow_voice_agents.emulator.polyai.errors import envelope, fields_body
from airflow_voice_agents.emulator.polyai.operation import PolyAIOperation, Service
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS
from airflow_voice_agents.emulator.polyai.store import PolyAIStore
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record, Reply
from airflow_voice_agents.emulator.state import State

_CORRELATION = "X-PolyAI-Correlation-Id"


class PolyAIRoom:
    """The Agents API and its neighbours on top of a store.

    The neighbours on the runtime host are answered at the same address, because no path is on both hosts.
    """

    name = "polyai"
    limiter = None
    agents_api: tuple[PolyAIOperation, ...] = (
        *real_time_configs.OPERATIONS,
        *connectors.OPERATIONS,
        *phone_numbers.OPERATIONS,
        *deployments.OPERATIONS,
        *branches.OPERATIONS,
        *variants.OPERATIONS,
        *agents.OPERATIONS,
        *outbound_calls.OPERATIONS,
    )
    """What the vendor's document of the Agents API declares."""
    operations: tuple[PolyAIOperation, ...] = (
        *agents_api,
        *simulations.OPERATIONS,
        *alerts.OPERATIONS,
        *debug_chats.OPERATIONS,
        *conversations.OPERATIONS,
        *sip_trunks.OPERATIONS,
    )

    def __init__(self, state: State) -> None:
        self.store = PolyAIStore(state)

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace the store's content by a seed's section."""
        self.store.load(section)

    def dump(self) -> Record:
        """The store's content as a seed's section."""
        return self.store.dump()

    def latest_stamp(self) -> str:
        """When the newest deployment was made."""
        stamps = (
            record["createdAt"] for agent in self.store.agents.values() for record in agent["deployments"]
        )
        return max(stamps, default="")

    def admit(self, exchange: EmulatorRequest) -> None:
        """Note correlation id, key and agent on the exchange."""
        exchange.trace_id = exchange.headers.get(_CORRELATION.lower()) or str(uuid.uuid4())
        exchange.caller = self.store.keys.get(exchange.headers.get("x-api-key", ""), {})
        reference = exchange.params.get("agentId") or exchange.params.get("projectId")
        if reference is not None:
            exchange.agent = self.store.find_agent(reference) or reference

    def answer(self, exchange: EmulatorRequest) -> Reply:
        """Check the key, read the body, call the handler."""
        operation = cast("PolyAIOperation", exchange.operation)
        try:
            self._authorise(exchange, operation)
            if operation.body is not None:
                exchange.content = operation.body.read(exchange)
            return operation.handle(self.store, exchange)
        except Problem as problem:
            return self._refuse(exchange, operation, problem)

    def headers(self, exchange: EmulatorRequest) -> dict[str, str]:
        """The correlation id."""
        return {_CORRELATION: exchange.trace_id}

    def summary(self) -> dict[str, Any]:
        """What there is, in names and counts."""
        agents_ = self.store.agents
        return {
            "accounts": list(self.store.accounts),
            "agents": list(agents_),
            "keys": [key["name"] for key in self.store.keys.values()],
            "connectors": sum(len(agent["connectors"]) for agent in agents_.values()),
            "numbers": sum(len(agent["numbers"]) for agent in agents_.values()),
        }

    def overview(self, limit: int) -> list[dict[str, Any]]:
        """The first agents with what each environment holds; values marked as secret are left out."""
        return [
            {
                "agent": slug,
                "name": agent["name"],
                "environments": {env: self._overview_of(slug, env) for env in ENVIRONMENTS},
            }
            for slug, agent in list(self.store.agents.items())[:limit]
        ]

    def _overview_of(self, slug: str, environment: str) -> dict[str, Any]:
        agent, page = self.store.agents[slug], self.store.page(slug, environment)
        active = self.store.active(slug, environment)
        properties = (page["schema"] or {}).get("properties", {})
        return {
            "version": active["version"][:9] if active else None,
            "connectors": sum(each["clientEnv"] == environment for each in agent["connectors"].values()),
            "numbers": sum(each["clientEnv"] == environment for each in agent["numbers"].values()),
            "last_updated": page["lastUpdated"],
            "values": {
                key: "(secret)" if _is_secret(properties.get(key)) else value
                for key, value in (page["variables"] or {}).items()
            },
        }

    def _authorise(self, exchange: EmulatorRequest, operation: PolyAIOperation) -> None:
        caller = exchange.caller
        host = "runtime" if operation.service is Service.RUNTIME else "build"
        if not caller or caller["expired"] or caller["host"] != host:
            raise Problem(401, "Invalid API key", "AUTH_USER_INVALID_TOKEN")
        if "accountId" in exchange.params:
            self._authorise_account(exchange)
        if exchange.agent is not None:
            self._authorise_agent(exchange, exchange.agent)
        if operation.name in caller["denied"]:
            config = "/real-time-configs" in operation.route
            code = "REAL_TIME_CONFIG_FORBIDDEN_ACCESS" if config else "USER_ACCESS_FORBIDDEN"
            raise Problem(403, "The API key lacks a permission", code)

    def _authorise_agent(self, exchange: EmulatorRequest, slug: str) -> None:
        if slug not in self.store.agents:
            raise Problem(404, f"Project {slug} not found", "PROJECT_NOT_FOUND")
        if not self.store.may_use(exchange.caller, slug):
            raise Problem(403, "The API key has no access to this project", "FORBIDDEN")

    def _authorise_account(self, exchange: EmulatorRequest) -> None:
        account = self.store.find_account(exchange.params["accountId"])
        if account is None:
            raise Problem(404, "Account not found", "ACCOUNT_NOT_FOUND")
        if account != exchange.caller["account"]:
            raise Problem(403, "The API key belongs to another account", "FORBIDDEN")

    def _refuse(self, exchange: EmulatorRequest, operation: PolyAIOperation, problem: Problem) -> Reply:
        if problem.body is not None:
            return Reply(problem.status, problem.body)
        if operation.service is Service.ALERTS:
            return Reply(problem.status, {"message": problem.message})
        if operation.service is Service.RUNTIME:
            return Reply(problem.status, {"error_message": problem.message})
        if operation.service is Service.SIP:
            short = (problem.code or "error").lower()
            return Reply(problem.status, {"success": False, "error": short, "message": problem.message})
        plain = (
            operation.service is Service.NODE
            and self.store.switches.node_errors == "fields"
            and problem.status not in (401, 403, *operation.declared)
        )
        if plain:
            return Reply(problem.status, fields_body(problem))
        return Reply(problem.status, envelope(problem.code, problem.message, exchange.trace_id))


def _is_secret(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    return schema.get("writeOnly") is True or schema.get("format") == "password"
