"""Types of PolyAI's arguments: environments, config targets, promotion specs and connector updates.

Editors complete them and type checkers check them; at run time they are plain mappings:

.. code-block:: python

    from airflow_voice_agents.polyai.types import ConfigTargetArgument

    HOTELS: list[ConfigTargetArgument] = [{"agent_id": "harbour-hotels", "environment": "pre-release"}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Required, TypeAlias, TypedDict

from airflow_voice_agents.bases.types import (
    CommonRestoringArguments,
    CommonWritingArguments,
    LockWait,
    MaxFailures,
    MaxSnapshotAge,
    OperatorArguments,
    PhoneNumbers,
    SensorArguments,
    StopVariable,
    TakeSnapshot,
    Template,
    Templated,
    TemplatedText,
    Verify,
    WritingArguments,
)

EnvironmentName: TypeAlias = "Literal['sandbox', 'pre-release', 'live'] | Template"
"""An environment, or a template that renders to one."""

StaleKeysName = Literal["fail", "keep", "null"]
UnmatchedName = Literal["fail", "warn", "ignore"]
SettingName = Literal["variant_id", "asr_lang_code", "voice_name"]
DriftState = Literal["drift", "in_sync"]
PartName = Literal["config", "connectors", "routing"]
DeploymentModelName = Literal["ladder", "branches", "auto", "simplified"]


class EnvironmentArgument(TypedDict):
    """An environment of an agent, named by slug or id."""

    agent_id: str
    environment: EnvironmentName


class ConfigTargetArgument(EnvironmentArgument, total=False):
    """A target of a config page, with config values of its own."""

    overrides: Mapping[str, Any]


class UpdateTargetArgument(EnvironmentArgument, total=False):
    """A target of a config page, with config values of its own."""

    values: Mapping[str, Any]


class EnvironmentSourceArgument(TypedDict, total=False):
    """An environment that is taken from; without an agent, that of each target's own agent."""

    agent_id: str
    environment: Required[EnvironmentName]


class SourceArgument(TypedDict, total=False):
    """The source of a promotion: an environment of an agent or of each target's own, or the folder of an export."""

    agent_id: str
    environment: EnvironmentName
    folder: str


class ConfigSection(TypedDict, total=False):
    """The section ``config`` of a promotion."""

    include_keys: Sequence[str] | None
    exclude_keys: Sequence[str]
    overrides: Mapping[str, Any]
    stale_keys: StaleKeysName | None
    promote_schema: bool
    bridge_schema: bool
    allow_empty_source: bool


class ConnectorsSection(TypedDict, total=False):
    """The section ``connectors`` of a promotion; connectors are matched by name."""

    names: Sequence[str]
    settings: Sequence[SettingName]
    renamed: Mapping[str, str]
    variants: Mapping[str, str | None]


class RoutingSection(TypedDict, total=False):
    """Connectors that answer numbers: E.164 number -> name or id of a connector."""

    numbers: Mapping[str, str]


class MoveSection(TypedDict, total=False):
    """A connector that moves to the target."""

    connector_id: Required[str]
    from_agent_id: Required[str]
    variant: str | None
    allow_live: bool


class TestGateArgument(TypedDict, total=False):
    """Tests that must have passed, and the version or branch that they tested."""

    test_run_ids: Sequence[str] | Templated
    version: str | None
    state: str | None
    agent_id: str | None
    branch_id: str | None
    since: str | None
    after: str | None
    required: bool


class DeploymentSection(TypedDict, total=False):
    """The section ``deployment`` of a promotion."""

    expected_version: str | None
    expected_target_version: str | None
    allow_downgrade: bool
    deployment_model: DeploymentModelName | None
    message: str
    tests: TestGateArgument | None


class PromotionTarget(EnvironmentArgument, total=False):
    """A target of a promotion: one environment of an agent."""

    source: SourceArgument | None
    overrides: Mapping[str, Any]
    connectors: ConnectorsSection | None
    routing: RoutingSection | None
    moves: Sequence[MoveSection]
    deployment: DeploymentSection | None


class Spec(TypedDict, total=False):
    """A promotion: a source, targets, and a section for each kind of resource."""

    source: SourceArgument | None
    targets: Sequence[PromotionTarget] | Template
    config: ConfigSection | None
    connectors: ConnectorsSection | None
    routing: RoutingSection | None
    deployment: DeploymentSection | None
    never_promote: Sequence[str]
    unmatched: UnmatchedName | None
    allow_skip_pre_release: bool


class ConnectorChanges(TypedDict, total=False):
    """Settings of a connector; ``None`` for ``variant_id`` unassigns the variant."""

    variant_id: str | None
    asr_lang_code: str
    voice_name: str


class ConnectorUpdateArgument(ConnectorChanges, total=False):
    """A connector and its desired settings."""

    connector_id: Required[str]


class ConnectorsTargetArgument(TypedDict, total=False):
    """An agent and the desired settings of its connectors; what is left out is as the operator's argument."""

    agent_id: Required[str]
    updates: Sequence[ConnectorUpdateArgument]
    selector: SelectorArgument
    changes: ConnectorChanges


class NumbersTargetArgument(TypedDict, total=False):
    """An agent's environment and the numbers for it; what is left out is as the operator's argument."""

    agent_id: Required[str]
    client_env: EnvironmentName
    connector_id: str | None
    phone_numbers: Required[PhoneNumbers]


class SipBindingArgument(TypedDict, total=False):
    """The agent that answers an extension of a SIP trunk."""

    agent_id: Required[str]
    client_env: Required[EnvironmentName]
    variant_id: str | None


class SelectorArgument(TypedDict, total=False):
    """Criteria for connectors, all of which must match; ``name`` is a shell pattern."""

    client_env: EnvironmentName
    name: str
    variant_id: str | None
    asr_lang_code: str
    voice_name: str


class _Connection(TypedDict, total=False):
    polyai_conn_id: str


class PolyAIArguments(_Connection, OperatorArguments, total=False):
    """Shared arguments of a PolyAI operator that only reads."""


class PolyAISensorArguments(_Connection, SensorArguments, total=False):
    """Shared arguments of a PolyAI sensor."""


class PolyAIWritingArguments(_Connection, WritingArguments, total=False):
    """Shared arguments of a PolyAI operator that writes."""


class ItemwiseArguments(
    _Connection, CommonWritingArguments, LockWait, TakeSnapshot, MaxFailures, StopVariable, total=False
):
    """Shared arguments of the operators that write connectors and numbers."""


class _Deployment(TypedDict, total=False):
    agent_id: Required[str]
    message: str
    deployment_model: DeploymentModelName | None


class _Looking(TypedDict, total=False):
    checks: Required[Sequence[Mapping[str, Any]] | Templated]
    since: TemplatedText | None
    poll_interval: float | TemplatedText
    confirmations: int


class MergeArguments(
    _Connection,
    _Deployment,
    CommonWritingArguments,
    LockWait,
    TakeSnapshot,
    MaxFailures,
    MaxSnapshotAge,
    StopVariable,
    total=False,
):
    """Shared arguments of the operator that merges a branch."""


class DeploymentArguments(PolyAIWritingArguments, _Deployment, total=False):
    """Shared arguments of the operators that deploy."""


class DeploymentRollbackArguments(
    _Connection,
    _Deployment,
    CommonWritingArguments,
    LockWait,
    TakeSnapshot,
    MaxFailures,
    Verify,
    MaxSnapshotAge,
    total=False,
):
    """Shared arguments of the operator that rolls a deployment back."""


class ApplyArguments(_Connection, CommonWritingArguments, Verify, MaxSnapshotAge, StopVariable, total=False):
    """Shared arguments of the operator that applies a promotion."""


class PromotionRollbackArguments(_Connection, CommonRestoringArguments, Verify, MaxSnapshotAge, total=False):
    """Shared arguments of the operator that rolls a promotion back."""

    snapshot: Required[TemplatedText]


class LookingArguments(PolyAIArguments, _Looking, total=False):
    """Shared arguments of the operators that check what was promoted."""


class WatchArguments(_Connection, _Looking, CommonRestoringArguments, Verify, MaxSnapshotAge, total=False):
    """Shared arguments of the operator that watches a promotion and rolls it back."""


class ReleaseWatchArguments(WatchArguments, LockWait, MaxFailures, total=False):
    """Arguments of the operator that watches a release, but for those that say what was released."""

    watch_minutes: float | TemplatedText
    newer_work: Literal["leave", "refuse"]
    response_timeout: timedelta | None
    assigned_users: Sequence[Any] | None
    notifiers: Sequence[Any]


class HoldArguments(PolyAIArguments, total=False):
    """Shared arguments of the operator that releases holds."""

    state_folder: str | None
