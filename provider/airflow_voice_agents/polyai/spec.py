"""The promotion spec: a typed document that names the sources, the targets and the parts to promote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

from airflow_voice_agents.plans.selection import Unmatched, deep_merge, parse_selector
from airflow_voice_agents.polyai import NEVER_PROMOTE
from airflow_voice_agents.polyai.ladder import LADDER, LIVE
from airflow_voice_agents.polyai.models import Environment, parse_environment
from airflow_voice_agents.polyai.resources.config_plan import StaleKeys
from airflow_voice_agents.polyai.resources.connector import SETTINGS
from airflow_voice_agents.polyai.resources.test_gate import TestGate
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.model_errors import explain_all, listed
from airflow_voice_agents.transport.suggestions import did_you_mean
from airflow_voice_agents.transport.validation import (
    parse_identifier,
    parse_json_object,
    parse_phone_number,
)


def _identifier(value: object) -> str:
    try:
        return parse_identifier(value, name="it")
    except InputError as error:
        raise ValueError(str(error)) from None


def _environment(value: object) -> Environment:
    try:
        return parse_environment(value)
    except InputError:
        hint = did_you_mean(value, LADDER) if isinstance(value, str) else ""
        raise ValueError(f"it must be {', '.join(map(repr, LADDER))}.{hint}".rstrip(".")) from None


def _number(value: object) -> str:
    if isinstance(value, int):
        raise ValueError("a number must be a text: put it in quotes")
    try:
        return parse_phone_number(value, name="it", private=True)
    except InputError as error:
        raise ValueError(str(error)) from None


def _distinct_numbers(value: object) -> object:
    """Refuse two spellings of one number, of which one would win silently."""
    if not isinstance(value, Mapping):
        return value
    found = [number for key in value if (number := _readable_number(key))]
    if len(set(found)) < len(found):
        raise ValueError("it names one number in two spellings")
    return value


def _readable_number(value: object) -> str | None:
    try:
        return _number(value)
    except ValueError:
        return None  # reported at its own place


def _selector(value: str) -> str:
    try:
        return parse_selector(value, name="it")
    except InputError as error:
        raise ValueError(str(error)) from None


def _json_object(value: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return parse_json_object(value, name="it")
    except InputError as error:
        raise ValueError(str(error)) from None


Identifier = Annotated[str, BeforeValidator(_identifier)]
Stage = Annotated[Environment, BeforeValidator(_environment)]
PhoneNumber = Annotated[str, BeforeValidator(_number)]
Selectors = tuple[Annotated[str, AfterValidator(_selector)], ...]
Values = Annotated[Mapping[str, Any], AfterValidator(_json_object)]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _some(targets: tuple[Any, ...]) -> tuple[Any, ...]:
    if not targets:
        raise ValueError("at least one is needed")
    return targets


class SourceSpec(_Part):
    """Where a promotion takes from: an environment of an agent, or files that an export wrote.

    :param agent_id: the agent, by default each target's own; for files, whose files.
    :param environment: the environment; for files, whose files, by default the target's own.
    :param folder: URL of the folder that an export wrote into, or ``None`` to read the platform.
    """

    agent_id: Identifier | None = None
    environment: Stage | None = None
    folder: Text | None = None

    @model_validator(mode="after")
    def _complete(self) -> SourceSpec:
        if self.folder is None and self.environment is None:
            raise ValueError(
                "give agent_id and environment, environment alone for each target's own agent, or the folder of an "
                "export"
            )
        if self.folder is None and self.agent_id is None and "agent_id" in self.model_fields_set:
            raise ValueError("agent_id is null; leave it out to take from each target's own agent")
        return self


class ConfigSpec(_Part):
    """How config pages are promoted.

    :param include_keys: selectors of what is taken; ``None`` takes everything not excluded.
    :param exclude_keys: selectors of what each target keeps.
    :param overrides: values laid over what is taken, for all targets; objects are merged.
    :param stale_keys: ``fail``, ``keep`` or ``null`` for keys that only a target has; by default ``fail``
        for live and ``keep`` elsewhere.
    :param promote_schema: whether targets take the source's schema.
    :param bridge_schema: whether a permissive schema may stand in between.
    :param allow_empty_source: whether an unset or empty source page is meant.
    """

    include_keys: Selectors | None = None
    exclude_keys: Selectors = ()
    overrides: Values = Field(default_factory=dict, repr=False)
    stale_keys: StaleKeys | None = None
    promote_schema: StrictBool = True
    bridge_schema: StrictBool = False
    allow_empty_source: StrictBool = False


class ConnectorsSpec(_Part):
    """How the settings of connectors are promoted; connectors are matched by name.

    :param names: shell patterns of the source's connector names.
    :param settings: which settings are taken.
    :param renamed: source connector name -> target connector name, where they differ.
    :param variants: source variant name -> target variant name, or null for none, where they differ.
    """

    names: tuple[Text, ...] = ("*",)
    settings: tuple[Literal["variant_id", "asr_lang_code", "voice_name"], ...] = SETTINGS  # type: ignore[assignment]
    renamed: Mapping[Text, Text] = Field(default_factory=dict)
    variants: Mapping[Text, Text | None] = Field(default_factory=dict)


class RoutingSpec(_Part):
    """Which connectors answer which numbers of a target; the numbers must be imported already.

    :param numbers: E.164 number -> name (or id) of a connector in the target's environment. With files
        as the source, those of the files; these are laid over them.
    """

    numbers: Annotated[Mapping[PhoneNumber, Text], BeforeValidator(_distinct_numbers)] = Field(
        default_factory=dict
    )


class MoveSpec(_Part):
    """A connector that moves to the target, with its calls.

    :param connector_id: the connector.
    :param from_agent_id: the agent that has it now.
    :param variant: name of the target's variant that it gets, or ``None`` for none.
    :param allow_live: whether a live connector may move.
    """

    connector_id: Identifier
    from_agent_id: Identifier
    variant: Text | None = None
    allow_live: StrictBool = False


class DeploymentSpec(_Part):
    """How the active deployment of an agent's environment is promoted to a later one of the same agent.

    :param expected_version: version that the source must run.
    :param expected_target_version: version that the target must run before.
    :param allow_downgrade: whether the target may go back to an older version, or to one that sandbox
        never had.
    :param deployment_model: ``ladder``; ``branches``, in which nothing is promoted (deprecated spelling:
        ``simplified``); ``auto``, which concludes it from the deployments that the platform lists; or null, which
        assumes the ladder.
    :param message: kept with the new deployment.
    :param tests: tests that must have passed on the version that is promoted.
    """

    expected_version: Text | None = None
    expected_target_version: Text | None = None
    allow_downgrade: StrictBool = False
    deployment_model: Literal["ladder", "branches", "auto", "simplified"] | None = None
    message: str = ""
    tests: TestGate | None = None


class TargetSpec(_Part):
    """One environment of one agent that is written.

    :param agent_id: the agent.
    :param environment: the environment.
    :param source: where it takes from; by default the promotion's source.
    :param overrides: config values for it alone, laid over those for all.
    :param connectors: mappings for it alone, laid over those for all.
    :param routing: numbers for it alone, laid over those for all.
    :param moves: connectors that move to it.
    :param deployment: version pins for it alone.
    """

    agent_id: Identifier
    environment: Stage
    source: SourceSpec | None = None
    overrides: Values = Field(default_factory=dict, repr=False)
    connectors: ConnectorsSpec | None = None
    routing: RoutingSpec | None = None
    moves: tuple[MoveSpec, ...] = ()
    deployment: DeploymentSpec | None = None

    @property
    def name(self) -> str:
        """The target for people, checkpoints, locks and holds."""
        return f"{self.agent_id}/{self.environment.value}"


class PromotionSpec(_Part):
    """A promotion. A kind of resource is promoted where its section is there, and left alone where it is not.

    :param source: where all targets take from that name no source of their own.
    :param targets: what is written; no target twice.
    :param config: real-time config pages.
    :param connectors: settings of connectors.
    :param routing: connectors of phone numbers.
    :param deployment: deployments.
    :param never_promote: selectors of config keys that no target ever takes: test switches.
    :param unmatched: ``fail``, ``warn`` or ``ignore`` for a selector, a connector name or a renaming that
        reaches nothing; by default ``fail`` for live and ``warn`` elsewhere.
    :param allow_skip_pre_release: sandbox may go to live directly.
    """

    source: SourceSpec | None = None
    targets: Annotated[tuple[TargetSpec, ...], AfterValidator(_some)]
    config: ConfigSpec | None = None
    connectors: ConnectorsSpec | None = None
    routing: RoutingSpec | None = None
    deployment: DeploymentSpec | None = None
    never_promote: Selectors = NEVER_PROMOTE
    unmatched: Unmatched | None = None
    allow_skip_pre_release: StrictBool = False

    @classmethod
    def parse(cls, value: object, *, name: str = "spec") -> PromotionSpec:
        """Read a promotion.

        :param value: decoded YAML or JSON.
        :param name: what to call it in errors.
        :raises InputError: naming every place that is wrong, without the values there.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"{name} must be a mapping, not {type(value).__name__}")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InputError(f"{name} is not a promotion: {explain_all(error, value, cls)}") from None

    def plain(self) -> dict[str, Any]:
        """Return the promotion as JSON; :meth:`parse` takes it. It may hold values."""
        return self.model_dump(
            mode="json", exclude_unset=True
        )  # what a target says itself counts, even a default

    @property
    def holds_values(self) -> bool:
        """Whether config values are written down in it."""
        return bool(self.config and self.config.overrides) or any(target.overrides for target in self.targets)

    @property
    def writes_live(self) -> bool:
        """Whether a live environment is among the targets."""
        return any(target.environment == LIVE for target in self.targets)

    @property
    def folders(self) -> set[str]:
        """URLs of the exports that it takes from."""
        sources = (self.source_of(target) for target in self.targets)
        return {source.folder for source in sources if source is not None and source.folder is not None}

    def source_of(self, target: TargetSpec) -> SourceSpec | None:
        """Return where a target takes from, with the target's own agent, and for files its environment, filled in.

        :param target: one of the targets.
        """
        source = target.source or self.source
        if source is None or (source.folder is None and source.agent_id is not None):
            return source
        return SourceSpec(
            folder=source.folder,
            agent_id=source.agent_id or target.agent_id,
            environment=source.environment or target.environment,
        )

    def overrides_of(self, target: TargetSpec) -> Mapping[str, Any]:
        """Return the config values that are laid over what a target takes.

        :param target: one of the targets.
        """
        shared = self.config.overrides if self.config else {}
        return deep_merge(shared, target.overrides) if target.overrides else shared

    def connectors_of(self, target: TargetSpec) -> ConnectorsSpec | None:
        """Return how a target's connectors are set: what it says itself, laid over what is said for all.

        :param target: one of the targets.
        """
        if target.connectors is None or self.connectors is None:
            return target.connectors or self.connectors
        own, shared = target.connectors, self.connectors
        said = {field: getattr(own, field) for field in own.model_fields_set}
        said["renamed"] = {**shared.renamed, **own.renamed}
        said["variants"] = {**shared.variants, **own.variants}
        return shared.model_copy(update=said)

    def routing_of(self, target: TargetSpec) -> RoutingSpec | None:
        """Return which connectors answer a target's numbers.

        :param target: one of the targets.
        """
        if target.routing is None or self.routing is None:
            return target.routing or self.routing
        return RoutingSpec(numbers={**self.routing.numbers, **target.routing.numbers})

    def deployment_of(self, target: TargetSpec) -> DeploymentSpec | None:
        """Return how a target's deployment is promoted.

        :param target: one of the targets.
        """
        if target.deployment is None or self.deployment is None:
            return target.deployment or self.deployment
        own = target.deployment
        return self.deployment.model_copy(update={each: getattr(own, each) for each in own.model_fields_set})

    @model_validator(mode="after")
    def _coherent(self) -> PromotionSpec:
        if problems := _incoherent(self):
            raise ValueError(listed(problems))
        return self


def _incoherent(spec: PromotionSpec) -> Sequence[str]:
    names = Counter(target.name for target in spec.targets)
    return [
        *(f"targets names {name} twice" for name, times in names.items() if times > 1),
        *(problem for target in spec.targets for problem in _problems_of(spec, target)),
    ]


def _problems_of(spec: PromotionSpec, target: TargetSpec) -> Sequence[str]:
    source, problems = spec.source_of(target), []
    sections = {
        "config": spec.config,
        "connectors": spec.connectors_of(target),
        "routing": spec.routing_of(target),
        "moves": target.moves,
        "deployment": spec.deployment_of(target),
    }
    if not any(section is not None and section != () for section in sections.values()):
        problems.append(f"nothing is promoted to {target.name}: add a section, for instance config: {{}}")
    needing = [name for name in ("config", "connectors", "deployment") if sections[name] is not None]
    if source is None and needing:
        problems.append(f"{target.name} has no source to take {', '.join(needing)} from")
    if target.overrides and spec.config is None:
        problems.append(f"{target.name} has overrides, but no config is promoted: add config: {{}}")
    if source is None:
        return problems
    if source.folder is None and (source.agent_id, source.environment) == (
        target.agent_id,
        target.environment,
    ):
        problems.append(f"{target.name} is its own source")
    if sections["deployment"] is not None and (
        source.folder is not None or source.agent_id != target.agent_id
    ):
        problems.append(
            f"{target.name} takes a deployment from elsewhere, but the platform promotes deployments only inside "
            "one agent"
        )
    return problems
