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
    """The source of a promotion: an environment of an agent, or the files of an export.

    :param agent_id: the agent. For files, the agent whose files are used; default: that of each target.
    :param environment: the environment. For files, the environment whose files are used; default: that of the target.
    :param folder: URL of the folder of an export, or ``None`` to read the platform.
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
    """Promotion of real-time config pages.

    :param include_keys: selectors of the keys to promote; ``None`` promotes all keys that are not excluded.
    :param exclude_keys: selectors of the keys that each target keeps.
    :param overrides: values that replace those of the source, for all targets; objects are merged.
    :param stale_keys: ``fail``, ``keep`` or ``null`` for keys that only a target has; default: ``fail`` for live, else
        ``keep``.
    :param promote_schema: promote the schema of the source as well.
    :param bridge_schema: allow a permissive schema between the two writes.
    :param allow_empty_source: allow a source page that is unset or empty.
    """

    include_keys: Selectors | None = None
    exclude_keys: Selectors = ()
    overrides: Values = Field(default_factory=dict, repr=False)
    stale_keys: StaleKeys | None = None
    promote_schema: StrictBool = True
    bridge_schema: StrictBool = False
    allow_empty_source: StrictBool = False


class ConnectorsSpec(_Part):
    """Promotion of connector settings; connectors are matched by name.

    :param names: shell patterns of source connector names.
    :param settings: the settings to promote.
    :param renamed: source connector name -> target connector name, if they differ.
    :param variants: source variant name -> target variant name (null for none), if they differ.
    """

    names: tuple[Text, ...] = ("*",)
    settings: tuple[Literal["variant_id", "asr_lang_code", "voice_name"], ...] = SETTINGS  # type: ignore[assignment]
    renamed: Mapping[Text, Text] = Field(default_factory=dict)
    variants: Mapping[Text, Text | None] = Field(default_factory=dict)


class RoutingSpec(_Part):
    """Routing of numbers to connectors; the numbers must be imported already.

    :param numbers: E.164 number -> name (or id) of a connector in the target's environment. If the
        source is a folder, they win over the numbers in its files.
    """

    numbers: Annotated[Mapping[PhoneNumber, Text], BeforeValidator(_distinct_numbers)] = Field(
        default_factory=dict
    )


class MoveSpec(_Part):
    """Move of a connector, with its calls, to the target.

    :param connector_id: the connector.
    :param from_agent_id: the agent that has the connector now.
    :param variant: name of the target's variant to assign, or ``None`` for none.
    :param allow_live: allow the move of a live connector.
    """

    connector_id: Identifier
    from_agent_id: Identifier
    variant: Text | None = None
    allow_live: StrictBool = False


class DeploymentSpec(_Part):
    """Promotion of the active deployment of one environment to a later one of the same agent.

    :param expected_version: version that the source must run.
    :param expected_target_version: version that the target must run before.
    :param allow_downgrade: allow an older version than the target's, or one that sandbox never had.
    :param deployment_model: ``ladder``; ``branches``, which has no promotion (deprecated spelling:
        ``simplified``); ``auto``, which detects it from the deployments that the platform lists; or null, which
        assumes the ladder.
    :param message: message of the new deployment.
    :param tests: tests that must have passed on the version that is promoted.
    """

    expected_version: Text | None = None
    expected_target_version: Text | None = None
    allow_downgrade: StrictBool = False
    deployment_model: Literal["ladder", "branches", "auto", "simplified"] | None = None
    message: str = ""
    tests: TestGate | None = None


class TargetSpec(_Part):
    """A target: one environment of one agent.

    :param agent_id: the agent.
    :param environment: the environment.
    :param source: source of this target; default: the source of the promotion.
    :param overrides: config values of this target; they win over ``config.overrides``.
    :param connectors: connector mappings of this target; they win over those of the promotion.
    :param routing: numbers of this target; they win over those of the promotion.
    :param moves: connectors to move to this target.
    :param deployment: version pins of this target.
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
    """A promotion. It includes the resources whose section is present and ignores all others.

    :param source: source of all targets that have no source of their own.
    :param targets: the targets, each at most once.
    :param config: includes real-time config pages.
    :param connectors: includes connector settings.
    :param routing: includes number routing.
    :param deployment: includes deployments.
    :param never_promote: selectors of config keys that are never promoted: test switches.
    :param unmatched: ``fail``, ``warn`` or ``ignore`` for a selector, a connector name or a renaming that matches
        nothing; default: ``fail`` for live, else ``warn``.
    :param allow_skip_pre_release: allow a promotion from sandbox to live without pre-release.
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
