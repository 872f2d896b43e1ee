"""The checks after a promotion and their thresholds, with units and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.observations import METRICS
from airflow_voice_agents.polyai.spec import Identifier, PhoneNumber, Stage, Text
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.model_errors import explain_all
from airflow_voice_agents.transport.strict_json import decode_json
from airflow_voice_agents.transport.suggestions import hints

SAID_LIMIT = 500
"""Most characters that a smoke test says in one turn."""
PATTERN_LIMIT = 200
"""Most characters of a pattern that an answer must match."""
TURNS_LIMIT = 20
"""Most turns of a smoke test."""

VENDOR_ERROR_RATE = 0.10
"""Share of conversations with errors above which the vendor advises to roll back."""
VENDOR_HANDOFF_INCREASE = 2.0
"""Ratio of the current handoff rate to the baseline at which the vendor advises a rollback."""


def _listed(value: object) -> object:
    """A list that a template rendered is a text."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return decode_json(value, where="it")
    except InputError:
        raise ValueError("it is a text that is not a JSON list; add | tojson to the template") from None


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error:
        raise ValueError("it is not a valid regular expression") from None
    return value


def _metric(value: str) -> str:
    if value not in METRICS:
        raise ValueError(f"it must be one of {', '.join(METRICS)}{hints([value], METRICS)}")
    return value


def _absent(value: object) -> object:
    """What a template makes of an XCom that is not there."""
    return None if value in ("", "None") else value


Ids = Annotated[tuple[Identifier, ...], BeforeValidator(_listed)]
OptionalId = Annotated[Identifier | None, BeforeValidator(_absent)]
Pattern = Annotated[str, Field(min_length=1, max_length=PATTERN_LIMIT), AfterValidator(_pattern)]
Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Check(_Part):
    name: Text | None = None
    polled: ClassVar[bool] = True
    """Whether it only reads, so that a trigger may make it."""

    @property
    def title(self) -> str:
        """What results call the check: its name, or else its kind."""
        return self.name or str(getattr(self, "check", ""))


class PinSpec(_Part):
    """The desired state of one resource.

    :param kind: kind of the resource.
    :param owner: whose it is.
    :param resource: its name.
    :param after: digest of the desired state.
    """

    kind: Text
    owner: str
    resource: str
    after: Text

    @property
    def key(self) -> Resource:
        """The resource."""
        return Resource(self.kind, self.owner, self.resource)


class ReadBackCheck(_Check):
    """Everything that a plan promised is there.

    Passed when every resource has the planned digest, failed when one has another.

    :param plan: what the planning task returned. Only digests of it are kept.
    :param pins: the digests, where no plan is given.
    """

    check: Literal["read_back"] = "read_back"
    pins: tuple[PinSpec, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _of_plan(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "plan" not in given:
            return given
        rest = {key: value for key, value in given.items() if key != "plan"}
        return {**rest, "pins": _pins(given["plan"])}


class TestRunsCheck(_Check):
    """The test runs that a deployment has started.

    Passed when all have passed, failed when one has failed; inconclusive while one is under way or ended in
    an unknown way; error when one errored or timed out. That a run has ended is not enough.

    :param agent_id: the agent.
    :param test_run_ids: ids of the runs: XCom ``test_run_ids`` of the task that deployed.
    :param required: whether no run at all is inconclusive; otherwise it is skipped, which is not passed and fails
        nothing.
    """

    __test__ = False

    check: Literal["test_runs"] = "test_runs"
    agent_id: Identifier
    test_run_ids: Ids = ()
    required: StrictBool = True


class AlertsCheck(_Check):
    """Alert rules of the account; only what began to fire after the promotion counts against it.

    Passed when every rule was evaluated after the promotion and is ok; failed when one has fired since;
    inconclusive when a rule has no data or was not evaluated since, or when there is no rule.

    :param project_ids: agents whose rules count, in the form in which the rules name them.
    :param rule_ids: further rules by id.
    :param metrics: only rules of projects that watch these; all by default.
    :param account_wide: whether enabled rules that name no project count as well.
    :param allow_preexisting: whether rules that fired before the promotion already are only reported;
        otherwise they are inconclusive.
    :param whole_window: whether a rule counts as evaluated only once its window lies after the promotion.
    """

    check: Literal["alerts"] = "alerts"
    project_ids: Ids = ()
    rule_ids: Ids = ()
    metrics: tuple[Annotated[str, AfterValidator(_metric)], ...] = ()
    account_wide: StrictBool = False
    allow_preexisting: StrictBool = True
    whole_window: StrictBool = False

    @model_validator(mode="after")
    def _some(self) -> AlertsCheck:
        if not (self.project_ids or self.rule_ids or self.account_wide):
            raise ValueError("give project_ids, rule_ids, or account_wide")
        return self


class ConversationsCheck(_Check):
    """Conversations since the promotion, compared with those before it.

    Conversations that are under way do not count. Below ``min_conversations`` it is inconclusive.

    :param agent_id: the agent.
    :param environment: the environment.
    :param host: ``agent`` reads them under the connection's API key, ``runtime`` from the runtime host
        under its own key; only the first can tell deployments apart.
    :param account_id: the account; required for ``runtime``.
    :param deployment_id: only conversations held with this deployment, where conversations tell theirs;
        otherwise those that began since the promotion.
    :param min_conversations: fewest conversations to judge by, since the promotion and in the baseline.
    :param baseline_hours: hours before the promotion that are compared with.
    :param max_handoff_rate_increase: failed when the share of conversations handed to a person is this
        many times the baseline's, or more; 2 is the vendor's own reason to roll back. ``None`` does not look.
    :param handoff_rate_floor: share of handoffs, 0 to 1, below which none of this counts.
    :param max_error_rate: failed when in more than this share of conversations, 0 to 1, a function failed;
        0.10 is the vendor's own reason to roll back. ``None`` does not look.
    :param critical_functions: functions that must not fail.
    :param max_critical_failures: how often they may fail even so.
    :param min_volume_ratio: failed when there are fewer conversations per hour than this part of the
        baseline's, once the period is an hour or longer; ``None`` does not look.
    :param sample: most conversations, the latest ones, that are read one by one for failed functions.
    :param max_conversations: most conversations that are read in one look.
    """

    check: Literal["conversations"] = "conversations"
    agent_id: Identifier
    environment: Stage
    host: Literal["agent", "runtime"] = "agent"
    account_id: Identifier | None = None
    deployment_id: OptionalId = None
    min_conversations: int = Field(default=20, ge=1)
    baseline_hours: float = Field(default=24.0, gt=0, le=24 * 31, allow_inf_nan=False)
    max_handoff_rate_increase: Factor | None = VENDOR_HANDOFF_INCREASE
    handoff_rate_floor: Rate = 0.05
    max_error_rate: Rate | None = VENDOR_ERROR_RATE
    critical_functions: tuple[Text, ...] = ()
    max_critical_failures: int = Field(default=0, ge=0)
    min_volume_ratio: Factor | None = None
    sample: int = Field(default=50, ge=1, le=1000)
    max_conversations: int = Field(default=2000, ge=50, le=100_000)

    @model_validator(mode="after")
    def _reachable(self) -> ConversationsCheck:
        if self.host == "runtime" and self.account_id is None:
            raise ValueError("account_id is needed for the runtime host")
        return self


class TurnSpec(_Part):
    """One turn of a smoke test.

    :param say: what is said; ``None``, in the first turn only, waits for the greeting.
    :param expect: regular expressions that are all found in the answer, whatever the case.
    :param topics: topics that the agent looks up for it.
    :param ends: whether the agent ends the chat with it; ``None`` does not look.
    """

    say: Annotated[str, Field(min_length=1, max_length=SAID_LIMIT)] | None = Field(default=None, repr=False)
    expect: tuple[Pattern, ...] = ()
    topics: tuple[Text, ...] = ()
    ends: StrictBool | None = None


class SmokeCheck(_Check):
    """A scripted chat with what an environment runs; what the agent's functions do, they do.

    Passed when every answer is as expected. It is made once, before the waiting begins.

    :param agent_id: the agent.
    :param environment: the environment.
    :param turns: what is said, and what is expected.
    :param variant_id: the variant that answers.
    :param max_failed_functions: how many calls of functions may fail in it.
    """

    check: Literal["smoke"] = "smoke"
    polled: ClassVar[bool] = False
    agent_id: Identifier
    environment: Stage
    turns: tuple[TurnSpec, ...] = Field(min_length=1, max_length=TURNS_LIMIT)
    variant_id: OptionalId = None
    max_failed_functions: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _said(self) -> SmokeCheck:
        if any(turn.say is None for turn in self.turns[1:]):
            raise ValueError("only the first turn may wait for the greeting; the others need say")
        return self


class OutboundCheck(_Check):
    """One call to a number of your own; it is never placed twice.

    Passed when the call came about, which does not tell whether the agent behaved. One that did not come
    about is inconclusive, unless ``failure_counts``.

    :param agent_id: the agent.
    :param environment: the environment.
    :param to_number: E.164 number; it appears nowhere.
    :param confirm_call: must be true: a phone rings, and it costs money.
    :param failure_counts: whether a call that did not come about is failed.
    :param variant_id: the variant that talks.
    """

    check: Literal["outbound"] = "outbound"
    polled: ClassVar[bool] = False
    agent_id: Identifier
    environment: Stage
    to_number: PhoneNumber = Field(repr=False)
    confirm_call: StrictBool = False
    failure_counts: StrictBool = False
    variant_id: OptionalId = None

    @model_validator(mode="after")
    def _consent(self) -> OutboundCheck:
        if not self.confirm_call:
            raise ValueError("this calls a phone; pass confirm_call: true if that is meant")
        return self


class PlacedCallCheck(_Check):
    """An outbound call that was placed; this is what becomes of :class:`OutboundCheck`.

    :param agent_id: the agent.
    :param environment: the environment.
    :param call_sid: id of the call.
    :param failure_counts: whether a call that did not come about is failed.
    """

    check: Literal["placed_call"] = "placed_call"
    agent_id: Identifier
    environment: Stage
    call_sid: Identifier
    failure_counts: StrictBool = False


Check = Annotated[
    ReadBackCheck
    | TestRunsCheck
    | AlertsCheck
    | ConversationsCheck
    | SmokeCheck
    | OutboundCheck
    | PlacedCallCheck,
    Field(discriminator="check"),
]
Checks = tuple[Check, ...]
_CHECKS: TypeAdapter[Checks] = TypeAdapter(Checks)


def parse_checks(given: object) -> Checks:
    """Check what an operator was given, before any request.

    :param given: decoded JSON or YAML: a list of checks, each with its kind in ``check``.
    :raises InputError: naming what is wrong; values are not shown.
    """
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise InputError("checks must be a list of at least one check")
    try:
        checks = _CHECKS.validate_python(tuple(given))
    except ValidationError as error:
        told = explain_all(error, list(given), Check, name="checks")
        end = "" if told.endswith((".", "?")) else "."
        raise InputError(f"checks are wrong: {told}{end} Nothing was sent.") from None
    titles = [check.title for check in checks]
    if len(set(titles)) < len(titles):
        raise InputError("two checks are called the same; give each a name. Nothing was sent.")
    return checks


def plain(checks: Sequence[Any]) -> list[dict[str, Any]]:
    """Return checks that only read as JSON, for a trigger.

    :param checks: no smoke test and no call that is to be placed.
    """
    return [check.model_dump(mode="json") for check in checks if check.polled]


def _decoded(plan: Any) -> Any:
    if not isinstance(plan, str):
        return plan
    try:
        return decode_json(plan, where="it")
    except InputError as error:
        raise InputError(f"plan is a text that is not JSON; add | tojson to the template ({error})") from None


def _pins(plan: Any) -> list[dict[str, str]]:
    try:
        document = PlanDocument.read(_decoded(plan))
    except InputError as error:
        raise ValueError(str(error)) from None
    return [
        {"kind": each.kind, "owner": each.owner, "resource": each.name, "after": pin.after}
        for each, pin in document.pins.items()
    ]
