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
    """Check that all resources match a plan.

    Passed if every resource has the planned digest; failed if one has another.

    :param plan: result of the planning task. Only its digests are stored.
    :param pins: the digests, if no plan is given.
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
    """Check the test runs that a deployment started.

    Passed if all passed; failed if one failed; inconclusive if one has not ended or has an unknown status;
    error if one errored or timed out.

    :param agent_id: the agent.
    :param test_run_ids: ids of the runs: XCom ``test_run_ids`` of the deploying task.
    :param required: if true, no run at all is inconclusive; otherwise the result is skipped, which is not
        passed and does not fail.
    """

    __test__ = False

    check: Literal["test_runs"] = "test_runs"
    agent_id: Identifier
    test_run_ids: Ids = ()
    required: StrictBool = True


class AlertsCheck(_Check):
    """Check alert rules of the account; only alerts after the promotion count.

    Passed if every rule was evaluated after the promotion and is ok; failed if one has fired since;
    inconclusive if a rule has no data or was not evaluated since, or if there is no rule.

    :param project_ids: agents whose rules count, as the rules write them.
    :param rule_ids: additional rules by id.
    :param metrics: metrics of the projects' rules that count; default: all.
    :param account_wide: include enabled rules that name no project.
    :param allow_preexisting: only report rules that fired before the promotion; if false, they are
        inconclusive.
    :param whole_window: count a rule as evaluated only when its whole window lies after the promotion.
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
    """Compare conversations since the promotion with those before it.

    Ongoing conversations do not count. The result is inconclusive below ``min_conversations``.

    :param agent_id: the agent.
    :param environment: the environment.
    :param host: ``agent`` uses the connection's API key, ``runtime`` uses the runtime host with its own key;
        only ``agent`` can distinguish deployments.
    :param account_id: the account; required for ``runtime``.
    :param deployment_id: only conversations of this deployment, if conversations show theirs; otherwise those
        that began after the promotion.
    :param min_conversations: minimum number of conversations, since the promotion and in the baseline.
    :param baseline_hours: hours before the promotion to compare with.
    :param max_handoff_rate_increase: failed if the handoff rate is at least this many times the baseline's; 2
        is the vendor's own reason to roll back. ``None`` skips this check.
    :param handoff_rate_floor: handoff rate (0 to 1) below which the increase does not count.
    :param max_error_rate: failed if a function failed in more than this share (0 to 1) of conversations; 0.10
        is the vendor's own reason to roll back. ``None`` skips this check.
    :param critical_functions: functions that must not fail.
    :param max_critical_failures: number of tolerated failures of critical functions.
    :param min_volume_ratio: failed if there are fewer conversations per hour than this share of the
        baseline's, after at least an hour; ``None`` skips this check.
    :param sample: maximum number of conversations, the latest ones, that are read one by one for failed
        functions.
    :param max_conversations: maximum number of conversations per round.
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

    :param say: text to send; ``None``, in the first turn only, waits for the greeting.
    :param expect: regular expressions that must all match the answer, ignoring case.
    :param topics: topics that the agent must look up.
    :param ends: whether the agent must end the chat; ``None`` skips this check.
    """

    say: Annotated[str, Field(min_length=1, max_length=SAID_LIMIT)] | None = Field(default=None, repr=False)
    expect: tuple[Pattern, ...] = ()
    topics: tuple[Text, ...] = ()
    ends: StrictBool | None = None


class SmokeCheck(_Check):
    """A scripted chat with the deployment of an environment; the agent's functions run for real.

    Passed if every answer is as expected. It runs once, before the wait begins.

    :param agent_id: the agent.
    :param environment: the environment.
    :param turns: texts to send, and expected answers.
    :param variant_id: the variant that answers.
    :param max_failed_functions: number of function calls that can fail in the chat.
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

    Passed if the call was connected, which does not show whether the agent behaved well. A call that was not
    connected is inconclusive, unless ``failure_counts`` is set.

    :param agent_id: the agent.
    :param environment: the environment.
    :param to_number: E.164 number; it appears in no log, XCom or error.
    :param confirm_call: must be true, because a phone rings and the call costs money.
    :param failure_counts: count a call that was not connected as failed.
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
    """An outbound call that was placed, the result of :class:`OutboundCheck`.

    :param agent_id: the agent.
    :param environment: the environment.
    :param call_sid: id of the call.
    :param failure_counts: count a call that was not connected as failed.
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
    """Parse the checks of an operator, before any request.

    :param given: decoded JSON or YAML: a list of checks, each with its kind in ``check``.
    :raises InputError: for an invalid check; the message names the place and hides values.
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
