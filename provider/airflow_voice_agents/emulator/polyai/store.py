"""State of the PolyAI room: lookups by either form of id, and every change that handlers share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_voice_agents.emulator.behaviors import Behaviors
from airflow_voice_agents.emulator.polyai.observation_seed import (
    ALERT_STATES,
    read_alert_rules,
    read_conversation,
    settled,
)
from airflow_voice_agents.emulator.polyai.seed import ENVIRONMENTS, read_section
from airflow_voice_agents.emulator.reading import choice_at
from airflow_voice_agents.emulator.request import EmulatorRequest, Problem, Record
from airflow_voice_agents.emulator.state import Clock, SeedError, State

_UNSET: Record = {"variables": None, "schema": None, "lastUpdated": None}


class PolyAIStore:
    """Accounts, keys and agents.

    Records are replaced, never changed in place, because seeds share them; what a reader got stays as
    it was. Threads other than the server's hold ``state.lock`` around changes other than
    :meth:`write_page`, :meth:`set_alert` and :meth:`add_conversation`.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.keys: dict[str, Record] = {}
        self.accounts: dict[str, Record] = {}
        self.agents: dict[str, Record] = {}
        self.alert_rules: dict[str, Record] = {}
        self._agent_by_project_id: dict[str, str] = {}
        self._account_by_id: dict[str, str] = {}
        self._owner_of_number: dict[str, str] = {}

    def load(self, section: Mapping[str, Any]) -> None:
        """Replace everything by a seed's section.

        :raises SeedError: where the section cannot be used.
        """
        self.keys, self.accounts, self.agents = read_section(section)
        rules = read_alert_rules(section.get("alertRules", {}), self.accounts, self.agents)
        present = self.clock.present()
        self.alert_rules = {key: settled(rule, "since", present) for key, rule in rules.items()}
        for agent in self.agents.values():
            told = agent["conversations"].items()
            agent["conversations"] = {key: settled(record, "startedAt", present) for key, record in told}
        self._account_by_id = {account["id"]: slug for slug, account in self.accounts.items()}
        self._agent_by_project_id = {agent["projectId"]: slug for slug, agent in self.agents.items()}
        self._owner_of_number = {}
        for slug, agent in self.agents.items():
            for number in agent["numbers"]:
                owner = self._owner_of_number.setdefault(number, slug)
                if owner != slug:
                    raise SeedError(f"polyai.agents.{slug}.numbers: {number} belongs to {owner}")

    def dump(self) -> Record:
        """The section in the seed's format, sharing its records."""
        return {
            "keys": self.keys,
            "accounts": self.accounts,
            "agents": self.agents,
            "alertRules": self.alert_rules,
        }

    @property
    def switches(self) -> Behaviors:
        """The live switches."""
        return self.state.switches

    @property
    def clock(self) -> Clock:
        """The logical clock."""
        return self.state.clock

    # --- who and whose

    def find_agent(self, reference: str) -> str | None:
        """Slug of the agent meant by a slug or a ``PROJECT-…`` id."""
        return reference if reference in self.agents else self._agent_by_project_id.get(reference)

    def find_account(self, reference: str) -> str | None:
        """Slug of the account meant by a slug or a ``ws-…`` id."""
        return reference if reference in self.accounts else self._account_by_id.get(reference)

    def may_use(self, caller: Record, slug: str) -> bool:
        """Whether a key's owner may use an agent."""
        allowed = caller["agents"] is None or slug in caller["agents"]
        return bool(allowed and self.agents[slug]["account"] == caller["account"])

    def agent(self, exchange: EmulatorRequest) -> Record:
        """The agent that a request addresses; the room made sure that there is one."""
        return self.agents[exchange.agent or ""]

    def show_agent_id(self, slug: str) -> str:
        """An agent's id in the form that replies use."""
        return slug if self.switches.response_ids == "slug" else str(self.agents[slug]["projectId"])

    def show_account_id(self, slug: str) -> str:
        """An account's id in the form that replies use."""
        return slug if self.switches.response_ids == "slug" else str(self.accounts[slug]["id"])

    def owned_by(self, slug: str) -> Record:
        """``accountId`` of an agent, for replies."""
        return {"accountId": self.show_account_id(self.agents[slug]["account"])}

    # --- config pages

    def page(self, agent_id: str, environment: str) -> Record:
        """A stored config page; one never written has nulls."""
        page: Record = self.agents[agent_id]["configs"].get(environment, _UNSET)
        return page

    def write_page(
        self,
        agent_id: str,
        environment: str,
        *,
        variables: Record | None = None,
        schema: Record | None = None,
    ) -> Record:
        """Replace values, schema or both of a page, unchecked, and stamp it."""
        with self.state.lock:
            page = {**self.page(agent_id, environment), "lastUpdated": self.state.touch()}
            if variables is not None:
                page["variables"] = variables
            if schema is not None:
                page["schema"] = schema
            self.agents[agent_id]["configs"][environment] = page
        return page

    # --- numbers and connectors

    def number_owner(self, number: str) -> str | None:
        """Slug of the agent that a number belongs to, whichever it is."""
        return self._owner_of_number.get(number)

    def put_number(self, slug: str, number: str, record: Record) -> None:
        """Add a number to an agent, or replace its record."""
        self.agents[slug]["numbers"][number] = record
        self._owner_of_number[number] = slug
        self.state.touch()

    def drop_number(self, slug: str, number: str) -> None:
        """Take a number from an agent."""
        del self.agents[slug]["numbers"][number]
        del self._owner_of_number[number]
        self.state.touch()

    def numbers_of(self, slug: str, connector_id: str) -> list[str]:
        """Numbers of an agent that ring a connector."""
        numbers = self.agents[slug]["numbers"]
        return [number for number, record in numbers.items() if record["connectorId"] == connector_id]

    # --- deployments

    def active(self, slug: str, environment: str) -> Record | None:
        """The latest deployment of an environment."""
        records = self.agents[slug]["deployments"]
        return next((record for record in reversed(records) if record["environment"] == environment), None)

    def deploy(
        self, slug: str, environment: str, source: Record, created_by: str, metadata: Record
    ) -> Record:
        """Append a deployment of what ``source`` (a draft or a record) holds."""
        created_at = self.state.touch()
        record = {
            "id": self.clock.new_uuid(),
            "environment": environment,
            "artifactVersion": source["artifactVersion"],
            "version": source["version"],
            "createdBy": created_by,
            "createdAt": created_at,
            "metadata": metadata,
        }
        self.agents[slug]["deployments"].append(record)
        return record

    def new_draft(self, slug: str) -> Record:
        """A draft with a version that no other has."""
        now = self.state.touch()
        text = f"{slug}/{self.clock.next_number()}"
        draft = {"version": hashlib.sha256(text.encode()).hexdigest()[:32], "artifactVersion": now}
        self.agents[slug]["draft"] = draft
        return draft

    def give_staging(self, slug: str, branch_id: str) -> Record:
        """Let Staging hold a branch, and no other one; return the deployment that this makes.

        :param slug: the agent.
        :param branch_id: a branch other than ``main``.
        """
        with self.state.lock:
            branches = self.agents[slug]["branches"]
            for key, branch in branches.items():
                branches[key] = branch | {"tag": "staging" if key == branch_id else None}
            metadata = {"deployment_type": "publish", "deployment_message": ""}
            if self.switches.staging_tag == "shown":
                metadata["tag"] = "staging"
            text = f"{slug}/{branch_id}/{self.clock.next_number()}"
            version = hashlib.sha256(text.encode()).hexdigest()[:32]
            held = {"version": version, "artifactVersion": self.clock.now()}
            return self.deploy(slug, self.switches.staging_environment, held, "staging", metadata)

    def start_tests(self, slug: str) -> list[str]:
        """Ids of the test runs that a deployment starts; by the switch, one in projects without suites too."""
        agent = self.agents[slug]
        suites = agent["testSuites"] or int(slug in self.switches.tested)
        return [self.start_run(slug, "main", list(agent["testCases"]) or ["TEST-1"]) for _ in range(suites)]

    def start_run(self, slug: str, branch_id: str, cases: list[str]) -> str:
        """Start a run of some test cases and return its id."""
        run_id = self.clock.new_uuid()
        looked_at: Record = {"looks": 0, "errors": 0, "startedAt": self.clock.now()}
        self.agents[slug]["testRuns"][run_id] = looked_at | {"branchId": branch_id, "cases": cases}
        return run_id

    # --- what can be watched

    def set_alert(self, rule_id: str, state: str, /, **changes: Any) -> None:
        """Change how an alert rule stands, as the platform's evaluations would.

        :param state: ``ok``, ``alert``, ``no_data`` or ``unknown``.
        :param changes: other fields of the rule, named as in a seed; ``since`` is the present without one
            where the state changes.
        :raises KeyError: for an unknown rule.
        :raises SeedError: for what no seed may say either.
        """
        with self.state.lock:
            choice_at("state", state, ALERT_STATES)
            rule, present = self.alert_rules[rule_id], self.clock.present()
            if state != rule["state"]:
                changes = {"since": 0} | changes
            changed = {rule_id: rule | changes | {"state": state}}
            read = read_alert_rules(changed, self.accounts, self.agents)
            self.alert_rules[rule_id] = settled(read[rule_id], "since", present)
            self.state.revision += 1
            self.state.persist()

    def add_conversation(self, slug: str, environment: str, /, **fields: Any) -> str:
        """Add a conversation that begins now, and return its id.

        :param slug: the agent.
        :param environment: where it was held.
        :param fields: other fields of the conversation, named as in a seed.
        :raises SeedError: for what no seed may say either.
        """
        with self.state.lock:
            choice_at("environment", environment, ENVIRONMENTS)
            key = f"CA{self.clock.next_number():032x}"
            record = read_conversation(key, fields | {"environment": environment})
            self.agents[slug]["conversations"][key] = settled(record, "startedAt", self.clock.present())
            self.state.revision += 1
            self.state.persist()
        return key

    # --- agents

    def add_agent(self, slug: str, agent: Record) -> None:
        """Add an agent."""
        self.agents[slug] = agent
        self._agent_by_project_id[agent["projectId"]] = slug
        self.state.touch()

    def drop_agent(self, slug: str) -> None:
        """Remove an agent with everything that it has."""
        agent = self.agents.pop(slug)
        del self._agent_by_project_id[agent["projectId"]]
        for number in agent["numbers"]:
            del self._owner_of_number[number]
        self.state.touch()

    def new_id(self, prefix: str) -> str:
        """An id such as ``VARIANT-0000001F`` that was not given out before."""
        return f"{prefix}-{self.clock.next_number():08X}"


def known_environment(value: str, code: str) -> str:
    """Check the name of an environment.

    :raises Problem: 400 with ``code``.
    """
    if value not in ENVIRONMENTS:
        raise Problem(400, f"Unknown client environment '{value}'", code)
    return value
