"""SIP trunks (beta): list trunks with their host names, and bind extensions to agents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.engine.action import Scope
from airflow_voice_agents.engine.concurrency import for_each_limited
from airflow_voice_agents.engine.reads import read_all
from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.guards import GuardContext
from airflow_voice_agents.plans.kind import Kinds, Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, Severity, TargetPlan, error, warning
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.actions.base import PROJECT, PolyAIAction, canonical_agent
from airflow_voice_agents.polyai.models import Deployment, SipTrunk, Variant, parse_environment
from airflow_voice_agents.polyai.resources.sip_extension import (
    KIND,
    TARGET,
    ExtensionState,
    SipExtensionKind,
    same_agent,
    sip_extension,
)
from airflow_voice_agents.transport.errors import CallError, GuardRefused, InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, hints
from airflow_voice_agents.transport.validation import (
    RECORD_KEYS,
    decode_list,
    parse_identifier,
    parse_text,
    require_distinct,
    summarize_list,
)

NOT_BETA = (
    "The vendor's SIP trunking API is in beta and may change, so extensions are written only with beta=True. Nothing "
    "was written. Read docs/sip.md, try it with dry_run=True on a trunk without callers, and then pass beta=True."
)
PORTS = {True: (5061, "tls"), False: (5060, "udp")}
"""Whether a trunk is encrypted -> port and transport that the vendor documents for it."""
MAIN = "main"
BINDING = ("agent_id", "client_env", "variant_id")


# ------------------------------------------------------------------------------------------- reads


class ListTrunks(msgspec.Struct, frozen=True):
    """A list of trunks with checked arguments.

    :param account_id: the account.
    :param trunk: id or name of one trunk; ``None`` for all.
    :param extensions: whether the extensions of each trunk are read as well.
    """

    account_id: str
    trunk: str | None = None
    extensions: bool = True

    async def run(self, run: RunContext) -> list[dict[str, Any]]:
        """Read the trunks, and the extensions of those asked for.

        Vendor operations: list SIP trunks, list extensions (one request per trunk).

        :param run: the run.
        :returns: per trunk ``trunk_id``, ``name``, ``account_id``, ``hostname``, ``port``, ``transport``,
            ``encrypted``, ``authentication`` and, where asked for, ``extensions``, by name.
        :raises GuardRefused: when no trunk, or more than one, has the id or name, or when it shows no host name.
        """
        found = await run.send(api.list_sip_trunks(self.account_id))
        trunks = found if self.trunk is None else [self._one(found, self.trunk)]
        bound: dict[str, list[dict[str, Any]]] = {}

        async def read(trunk: SipTrunk) -> None:
            answer = await run.send(api.list_sip_extensions(self.account_id, trunk_id=trunk.id))
            facts = [
                {"extension": each.extension} | {name: getattr(each, name) for name in BINDING}
                for each in answer
            ]
            bound[trunk.id] = sorted(facts, key=lambda each: str(each["extension"]))

        if self.extensions:
            await for_each_limited(trunks, read, limit=run.concurrency)
        more = [{"extensions": bound[each.id]} if self.extensions else {} for each in trunks]
        facts = [_facts(each, self.account_id) | own for each, own in zip(trunks, more, strict=True)]
        return sorted(facts, key=lambda each: (str(each["name"]), each["trunk_id"]))

    def _one(self, found: Sequence[SipTrunk], wanted: str) -> SipTrunk:
        fitting = [each for each in found if each.id == wanted] or [
            each for each in found if each.name == wanted
        ]
        if len(fitting) != 1:
            names = {str(each.name or each.id): each.id for each in found}
            listed = ", ".join(f"{each.name} ({each.id})" for each in fitting or found) or "none"
            what = f"{len(fitting)} SIP trunks are" if fitting else "no SIP trunk is"
            raise GuardRefused(
                f"{what} called {wanted!r} in account {self.account_id} (there are: {listed})."
                f"{'' if fitting else did_you_mean(wanted, names)} Nothing was written. Give the id of one."
            )
        if fitting[0].hostname is None:
            raise GuardRefused(
                f"SIP trunk {fitting[0].id} shows no host name for inbound calls (the API is in beta). Nothing was "
                "written. Look it up in Agent Studio and give it to the carrier by hand."
            )
        return fitting[0]


def parse_list(account_id: object, trunk: object, *, extensions: bool = True) -> ListTrunks:
    """Check the arguments of a list of trunks.

    :param account_id: the account.
    :param trunk: id or name of one trunk, or ``None``.
    :param extensions: whether extensions are read as well.
    :raises InputError: for an invalid argument; the message names it.
    """
    return ListTrunks(
        parse_identifier(account_id, name="account_id"),
        None if trunk is None else parse_text(trunk, name="trunk"),
        extensions,
    )


def _facts(trunk: SipTrunk, account_id: str) -> dict[str, Any]:
    schemes = [name for name, on in (("digest", trunk.digest_auth), ("token", trunk.token_auth)) if on]
    told = trunk.digest_auth is not None and trunk.token_auth is not None
    port, transport = (None, None) if trunk.encrypted is None else PORTS[trunk.encrypted]
    return {
        "trunk_id": trunk.id,
        "name": trunk.name,
        "account_id": trunk.account_id or account_id,
        "hostname": trunk.hostname,
        "port": port,
        "transport": transport,
        "encrypted": trunk.encrypted,
        "authentication": "+".join(schemes) or ("none" if told else None),
    }


# ------------------------------------------------------------------------------------------ writes


class KnownAgent(msgspec.Struct, frozen=True):
    """What reads show of an agent that extensions are to be bound to.

    :param agent_id: its id, as the arguments spell it.
    :param active: what each environment runs; ``None`` where the agent cannot be read.
    :param variants: the variants of its main branch.
    :param also: other spellings of its id.
    """

    agent_id: str
    active: Mapping[str, Deployment | None] | None = None
    variants: tuple[Variant, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def default_variant(self) -> str | None:
        """The variant that answers where none is named."""
        return next((each.id for each in self.variants if each.is_default), None)

    def findings(self, desired: ExtensionState) -> Iterator[Finding]:
        """Yield what callers would miss: the agent, a deployment, the variant.

        :param desired: the desired binding.
        """
        if self.active is None:
            yield error(
                "no_agent",
                f"Agent {self.agent_id} cannot be read with this key, so callers might reach nobody. Check its id.",
            )
            return
        if self.active.get(str(desired.client_env)) is None:
            yield warning(
                "nothing_deployed",
                f"No deployment is shown in {desired.client_env} of {self.agent_id}; callers may reach nobody.",
            )
        names = {each.id: each.name or each.id for each in self.variants}
        if desired.variant_id not in names:
            listed = summarize_list([f"{name} ({each})" for each, name in names.items()]) or "none"
            what = f"no variant {desired.variant_id}" if desired.variant_id else "no default variant"
            yield error(
                "no_variant",
                f"Agent {self.agent_id} has {what} on its main branch (it has: {listed}). Pass variant_id with the id "
                f"of one.{did_you_mean(desired.variant_id or '', names)}",
            )


@dataclass(frozen=True, kw_only=True)
class UpdateExtensions(PolyAIAction):
    """Bindings of dialled numbers on one trunk to agents, with checked arguments.

    Whatever environment answers a dialled number, callers dial it, so every extension counts as live.

    :param account_id: the account.
    :param trunk_id: the trunk.
    :param bindings: dialled number -> agent, environment and variant.
    :param rebind: whether an extension may be taken from another agent.
    :param beta: consent to the vendor's beta API.
    """

    operation: ClassVar[str] = "update SIP extensions"
    counts_items: ClassVar[bool] = True

    account_id: str
    trunk_id: str
    bindings: Mapping[str, ExtensionState]
    rebind: bool = False
    beta: bool = False
    kind: SipExtensionKind = field(default_factory=SipExtensionKind)

    @property
    def target(self) -> str:
        """The name that locks, holds and reports use; a trunk's id is unique."""
        return f"{TARGET}{self.trunk_id}"

    def scope(self) -> Scope:
        """Return the one trunk."""
        return Scope((self.target,), live=True)

    def kinds(self) -> Kinds:
        """Return the one kind."""
        return {KIND: self.kind}

    def guards(self, given: GuardContext) -> Iterator[Finding]:
        """Guard live, and the beta API."""
        yield from super().guards(given)
        if not self.beta:
            yield error("not_beta", NOT_BETA)

    async def plan(self, run: RunContext, *, done: Collection[str] = ()) -> Sequence[TargetPlan]:
        """Read the trunk, its extensions and each agent, and plan each extension.

        Vendor operations: get SIP trunk, list extensions, get active deployments, list variants.
        """
        trunk = await run.send(api.get_sip_trunk(self.account_id, trunk_id=self.trunk_id))
        account = trunk.account_id or self.account_id
        resources = {
            sip_extension(account, self.trunk_id, name): state for name, state in self.bindings.items()
        }
        found = await read_all(run, self.kind, resources)
        agents = {agent_id: await self._agent(run, agent_id) for agent_id in self._agents()}
        for resource, wanted in resources.items():
            name, now = str(wanted.agent_id), found[resource]
            agents[name] = await self._respelled(run, agents[name], now.agent_id if now else None)
        items = [
            self._item(resource, agents[str(wanted.agent_id)], wanted, found[resource])
            for resource, wanted in resources.items()
        ]
        return [TargetPlan(self.target, tuple(items), live=True)]

    async def _respelled(self, run: RunContext, agent: KnownAgent, shown: str | None) -> KnownAgent:
        """Return an agent with the id that an extension shows, where that is another spelling of its own.

        Vendor operations: get active deployments, list connectors.
        """
        spellings = (agent.agent_id, *agent.also)
        if not shown or shown in spellings or shown.startswith(PROJECT) == agent.agent_id.startswith(PROJECT):
            return agent
        known = await canonical_agent(run, shown)
        return replace(agent, also=(*agent.also, shown)) if known in spellings else agent

    def _item(
        self, resource: Resource, agent: KnownAgent, wanted: ExtensionState, now: ExtensionState | None
    ) -> PlannedItem:
        desired = replace(wanted, also=agent.also)
        same = same_agent(desired, now)
        kept = now.variant_id if same and now else None
        desired = replace(desired, variant_id=wanted.variant_id or kept or agent.default_variant)
        said = [*agent.findings(desired)]
        if now is not None and not same and not self.rebind:
            said.append(
                error(
                    "other_agent",
                    f"{resource.name} is answered by agent {now.agent_id or 'that is not shown'}, and binding it to "
                    f"{wanted.agent_id} would take its callers away silently. Pass rebind=True if meant.",
                )
            )
        item = self.kind.plan(resource, desired, now)
        stops = any(each.severity is Severity.ERROR for each in said)
        return replace(item, findings=tuple(said), writes=0 if stops else item.writes)

    def _agents(self) -> list[str]:
        return list(dict.fromkeys(str(each.agent_id) for each in self.bindings.values()))

    async def _agent(self, run: RunContext, agent_id: str) -> KnownAgent:
        try:
            active = await run.send(api.get_active_deployments(agent_id))
            variants = await run.send(api.list_variants(agent_id, branch_id=MAIN))
        except CallError as failure:
            if failure.concerns_all or not failure.permanent:
                raise
            return KnownAgent(agent_id)
        shown = {record.agent_id for record in active.values() if record and record.agent_id}
        return KnownAgent(agent_id, active, tuple(variants), tuple(sorted(shown - {agent_id})))


def parse_update(
    account_id: object,
    trunk_id: object,
    extensions: object,
    binding: Mapping[str, object],
    bindings: object,
    *,
    rebind: bool = False,
    beta: bool = False,
) -> UpdateExtensions:
    """Check the arguments of an update of extensions.

    :param account_id: the account.
    :param trunk_id: the trunk.
    :param extensions: the dialled numbers that ``binding`` answers: a list of texts, or of records with
        ``extension``, ``phone_number`` or ``number``; or a text with a JSON list, or one per line or comma; or
    :param binding: with ``extensions``, ``agent_id``, ``client_env`` and ``variant_id``.
    :param bindings: instead of both, dialled number -> mapping of ``agent_id``, ``client_env``, ``variant_id``.
    :param rebind: whether an extension may be taken from another agent.
    :param beta: consent to the vendor's beta API.
    :raises InputError: for an invalid argument; the message names it.
    """
    given = {name: value for name, value in binding.items() if value is not None}
    if bindings is None:
        if extensions is None or not given:
            raise InputError("give extensions with agent_id and client_env, or bindings")
        names = _extensions(extensions)
        wanted = dict.fromkeys(names, _binding(given, name="arguments"))
    else:
        if extensions is not None or given:
            raise InputError("give either extensions with agent_id and client_env, or bindings")
        if not isinstance(bindings, Mapping) or not bindings:
            raise InputError("bindings must be a mapping of at least one dialled number to its agent")
        wanted = {
            _extension(name, "bindings"): _binding(value, name=f"bindings[{name}]")
            for name, value in bindings.items()
        }
    return UpdateExtensions(
        account_id=parse_identifier(account_id, name="account_id"),
        trunk_id=parse_identifier(trunk_id, name="trunk_id"),
        bindings=wanted,
        rebind=rebind,
        beta=beta,
    )


def _extensions(value: object) -> list[str]:
    given = decode_list(value, name="extensions", lines=True) if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not given:
        raise InputError("extensions must be a list of at least one dialled number")
    names = [_extension(each, f"extensions[{at}]") for at, each in enumerate(given)]
    require_distinct(names, name="extensions")
    return names


def _extension(value: object, name: str) -> str:
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("extension", *RECORD_KEYS) if value.get(key)), None)
    return parse_identifier(parse_text(value, name=name, max_length=api.EXTENSION_LIMIT), name=name)


def _binding(value: object, *, name: str) -> ExtensionState:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be a mapping of {', '.join(BINDING)}")
    if unknown := sorted(set(value) - set(BINDING)):
        raise InputError(
            f"{name} does not take {', '.join(unknown)}; allowed are {', '.join(BINDING)}{hints(unknown, BINDING)}"
        )
    if missing := [each for each in BINDING[:2] if not value.get(each)]:
        raise InputError(f"{name} needs {' and '.join(missing)}")
    variant = value.get("variant_id") or None
    return ExtensionState(
        parse_identifier(value["agent_id"], name=f"{name}.agent_id"),
        parse_environment(value["client_env"], name=f"{name}.client_env").value,
        None if variant is None else parse_identifier(variant, name=f"{name}.variant_id"),
    )
