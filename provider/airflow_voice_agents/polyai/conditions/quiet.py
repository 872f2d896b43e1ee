"""Conditions on conversations and alerts being quiet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from airflow_voice_agents.plans.condition import Found, WaitFailed
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.conditions.arguments import parse_flag, parse_ids, parse_moment, parse_whole
from airflow_voice_agents.polyai.models import parse_environment
from airflow_voice_agents.polyai.observations import AlertRule, ConcurrencyInterval
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.validation import parse_count, parse_identifier

BUCKET = timedelta(minutes=5)
"""Length of one interval of the platform's concurrency."""
_OLDEST_KNOWN = 2 * BUCKET
"""Maximum age of the newest interval that the platform answers with."""
MOST_MINUTES = 24 * 60
"""Longest quiet window, in minutes."""


@dataclass(frozen=True, slots=True)
class QuietCondition:
    """There were few conversations at once for some time.

    :param account_id: the account.
    :param project_id: the agent.
    :param environment: one of the three stages.
    :param max_concurrent: maximum number of parallel conversations.
    :param minutes: for how long; five minutes are the smallest step.
    """

    account_id: str
    project_id: str
    environment: str
    max_concurrent: int
    minutes: int

    @classmethod
    def parse(
        cls,
        account_id: object,
        project_id: object,
        environment: object,
        max_concurrent: object,
        minutes: object,
    ) -> QuietCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        return cls(
            account_id=parse_identifier(account_id, name="account_id"),
            project_id=parse_identifier(project_id, name="project_id"),
            environment=str(parse_environment(environment)),
            max_concurrent=parse_whole(max_concurrent, name="max_concurrent"),
            minutes=parse_count(minutes, name="minutes", most=MOST_MINUTES),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return asdict(self)

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> QuietCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**plain)

    @property
    def _buckets(self) -> int:
        return -(-self.minutes // int(BUCKET.total_seconds() // 60))

    def reads(self) -> list[ApiRequest[list[ConcurrencyInterval]]]:
        """Return the request of the condition; it is the same for five minutes."""
        now = bucket_of(datetime.now(UTC))
        return [
            api.get_concurrency(
                self.account_id,
                project_id=self.project_id,
                client_env=self.environment,
                start_time=now - _OLDEST_KNOWN - self._buckets * BUCKET,
                end_time=now + BUCKET,
            )
        ]

    def holds(self, answers: Sequence[list[ConcurrencyInterval]]) -> Found:
        """Decide whether it was quiet for so long, without a gap. The newest interval lags, and does not count.

        :param answers: responses to the requests of :meth:`reads`, in order.
        """
        most_at = {each.time: each.max_concurrent_conversations for each in answers[0]}
        times = sorted(most_at)[:-1][-self._buckets :]
        most = max((most_at[time] for time in times), default=None)
        whole = len(times) == self._buckets and all(b - a == BUCKET for a, b in pairwise(times))
        found = {
            "project_id": self.project_id,
            "environment": self.environment,
            "max_concurrent": most,
            "until": (times[-1] + BUCKET).isoformat() if times else None,
        }
        return whole and most is not None and most <= self.max_concurrent, found


@dataclass(frozen=True, slots=True)
class AlertsClearCondition:
    """Alert rules have been quiet since a moment.

    :param after: moment, in ISO 8601, such as that of a promotion.
    :param project_id: the agent of the rules, as the rules write it; ``None`` for all.
    :param rule_ids: only these rules; none for all.
    :param ignore_older: ignore rules that began to fire before this time.
    :param fail_on_alert: end the wait if a rule began to fire after this time.
    """

    after: str
    project_id: str | None = None
    rule_ids: tuple[str, ...] = ()
    ignore_older: bool = False
    fail_on_alert: bool = False

    @classmethod
    def parse(
        cls, after: object, project_id: object, rule_ids: object, ignore_older: object, fail_on_alert: object
    ) -> AlertsClearCondition:
        """Check a sensor's arguments.

        :raises InputError: for an invalid argument; the message names it.
        """
        return cls(
            after=parse_moment(after, name="after").isoformat(),
            project_id=None if project_id is None else parse_identifier(project_id, name="project_id"),
            rule_ids=parse_ids(rule_ids, name="rule_ids"),
            ignore_older=parse_flag(ignore_older, name="ignore_older"),
            fail_on_alert=parse_flag(fail_on_alert, name="fail_on_alert"),
        )

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger."""
        return {**asdict(self), "rule_ids": list(self.rule_ids)}

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> AlertsClearCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**{**plain, "rule_ids": tuple(plain.get("rule_ids") or ())})

    def reads(self) -> list[ApiRequest[list[AlertRule]]]:
        """Return the request of the condition: one list of the account's rules."""
        return [api.list_alert_rules()]

    def holds(self, answers: Sequence[list[AlertRule]]) -> Found:
        """Evaluate the condition: every rule is ``ok`` in an evaluation whose window lies after the given
        time.

        ``no_data`` and ``unknown`` are not clear, nor is a rule that was not evaluated since.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises WaitFailed: when no rule watches, or one began to fire and that is to end the wait.
        """
        rules = self._meant(answers[0])
        older = [rule for rule in rules if self._is_firing(rule) and not self._is_new(rule)]
        new = [rule for rule in rules if self._is_firing(rule) and self._is_new(rule)]
        if new and self.fail_on_alert:
            listed = "; ".join(f"{rule.name or rule.id} ({rule.metric})" for rule in new)
            raise WaitFailed(f"{len(new)} alert rule(s) began to fire since {self.after}: {listed}.")
        left_out = older if self.ignore_older else []
        open_ones = [rule.id for rule in rules if rule not in left_out and not self._is_clear(rule)]
        found = {"after": self.after, "rules": len(rules), "firing_before": [rule.id for rule in older]}
        return not open_ones, {**found, "not_clear": open_ones}

    def _meant(self, rules: Iterable[AlertRule]) -> list[AlertRule]:
        known = {rule.id: rule for rule in rules}
        wanted = self.rule_ids or known
        found = [known[each] for each in wanted if each in known and self._is_ours(known[each])]
        watching = [rule for rule in found if rule.enabled is not False]
        missing = [each for each in self.rule_ids if each not in {rule.id for rule in watching}]
        if watching and not missing:
            return watching
        raise WaitFailed(
            f"Nothing watches: {self._nothing(missing)}. "
            f"The account has {len(known)} rule(s), of the projects {_projects(known.values())}."
        )

    def _nothing(self, missing: Sequence[str]) -> str:
        if missing:
            return f"rule(s) {', '.join(missing)} are off, or not there for this key and project"
        return f"no rule that is on names project {self.project_id}" if self.project_id else "no rule is on"

    def _is_ours(self, rule: AlertRule) -> bool:
        return self.project_id in (None, rule.project_id)

    def _is_firing(self, rule: AlertRule) -> bool:
        return rule.current_state == "alert"

    def _is_new(self, rule: AlertRule) -> bool:
        return rule.since is None or rule.since >= datetime.fromisoformat(self.after)

    def _is_clear(self, rule: AlertRule) -> bool:
        evaluated = rule.last_evaluated_at
        due = datetime.fromisoformat(self.after) + (rule.window or timedelta(0))
        return rule.current_state == "ok" and evaluated is not None and evaluated >= due


def bucket_of(moment: datetime) -> datetime:
    """Return the beginning of the five minutes that a moment is in.

    :param moment: aware.
    """
    step = BUCKET.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)


def _projects(rules: Iterable[AlertRule]) -> str:
    return ", ".join(sorted({rule.project_id or "(all)" for rule in rules})) or "(none)"
