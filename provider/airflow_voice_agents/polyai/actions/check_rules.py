"""Judge observations after a promotion by thresholds, without requests or clocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from airflow_voice_agents.plans.checks import CheckResult, CheckVerdict, combine
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.polyai.checks_spec import (
    AlertsCheck,
    ConversationsCheck,
    PlacedCallCheck,
    ReadBackCheck,
    SmokeCheck,
    TestRunsCheck,
    TurnSpec,
)
from airflow_voice_agents.polyai.observations import AlertRule, ChatReply, Conversation, TestRun
from airflow_voice_agents.polyai.observations import Verdict as RunVerdict
from airflow_voice_agents.transport.validation import summarize_list

ANSWER_SEARCHED = 5_000
"""Maximum number of characters of an answer that are searched."""
VOLUME_HOURS = 1.0
"""Hours after which the number of conversations is compared with the baseline's."""

Facts = Mapping[str, Any]
Tell = Callable[[CheckVerdict, str, Facts], CheckResult]

_RUN_VERDICTS = {
    RunVerdict.PASSED: CheckVerdict.PASSED,
    RunVerdict.FAILED: CheckVerdict.FAILED,
    RunVerdict.ERROR: CheckVerdict.ERROR,
    RunVerdict.PENDING: CheckVerdict.INCONCLUSIVE,
    RunVerdict.UNKNOWN: CheckVerdict.INCONCLUSIVE,
}


def judge_read_back(
    check: ReadBackCheck, found: Mapping[Resource, str], unread: Mapping[Resource, str]
) -> CheckResult:
    """Compare what is there with what was planned.

    :param check: what was planned.
    :param found: resource -> digest.
    :param unread: resource -> why it cannot be read.
    """
    tell = _teller(check.title)
    away = [pin.key for pin in check.pins if pin.key in found and found[pin.key] != pin.after]
    facts = {"resources": len(check.pins), "differing": len(away), "unread": len(unread)}
    if away:
        told = summarize_list([f"{each.kind} {each}" for each in away])
        return tell(CheckVerdict.FAILED, f"not as the plan has it: {told}", facts)
    if unread or len(found) < len(check.pins):
        why = next(iter(unread.values()), "no answer")
        return _lasting(tell(CheckVerdict.ERROR, f"{len(unread)} resource(s) cannot be read: {why}", facts))
    return tell(CheckVerdict.PASSED, f"{len(found)} resource(s) are as planned", facts)


def judge_test_runs(check: TestRunsCheck, runs: Sequence[TestRun]) -> CheckResult:
    """Judge the runs that a deployment has started.

    :param check: which ones.
    :param runs: them, as read now.
    """
    tell = _teller(check.title)
    if not runs:
        verdict = CheckVerdict.INCONCLUSIVE if check.required else CheckVerdict.SKIPPED
        return tell(verdict, "the deployment started no test run", {"runs": 0})
    verdicts = {run.id: _RUN_VERDICTS[run.verdict] for run in runs}
    worst = combine(tell(verdict, "", {}) for verdict in verdicts.values())
    counts = {each.value: list(verdicts.values()).count(each) for each in CheckVerdict}
    facts = {"runs": len(runs), **{word: count for word, count in counts.items() if count}}
    if worst is CheckVerdict.PASSED:
        return tell(worst, f"{len(runs)} test run(s) passed", facts)
    named = [f"{run.id} ({run.status or 'no status'})" for run in runs if verdicts[run.id] is worst]
    result = tell(worst, f"test run(s) {summarize_list(named)}", facts)
    return _lasting(result) if worst is CheckVerdict.ERROR else result


def judge_alerts(check: AlertsCheck, rules: Iterable[AlertRule], since: datetime) -> CheckResult:
    """Judge how the alert rules of an account stand.

    :param check: which ones count.
    :param rules: all of the account's.
    :param since: moment of the promotion; what fired before is not blamed on it.
    """
    tell, listed = _teller(check.title), list(rules)
    if missing := set(check.rule_ids) - {rule.id for rule in listed}:
        text = f"no alert rule {summarize_list(sorted(missing))}; check the id, and that the key is of that account"
        return _lasting(tell(CheckVerdict.ERROR, text, {"missing": sorted(missing)}))
    watched = [rule for rule in listed if _counts(check, rule)]
    if not watched:
        return tell(CheckVerdict.INCONCLUSIVE, "no enabled alert rule watches this", {"rules": 0})
    found = [(rule, *_rule_verdict(check, rule, since)) for rule in watched]
    verdict = combine(tell(each, "", {}) for _, each, _ in found)
    told = [f"{rule.name or rule.id} {why}" for rule, each, why in found if each is verdict and why]
    facts = {
        "rules": len(watched),
        "firing": sorted(rule.id for rule, each, _ in found if each is CheckVerdict.FAILED),
        "fired_before": sorted(rule.id for rule in watched if _fired_before(rule, since)),
    }
    return tell(verdict, summarize_list(told) if told else f"{len(watched)} alert rule(s) are ok", facts)


def _counts(check: AlertsCheck, rule: AlertRule) -> bool:
    if rule.id in check.rule_ids:
        return True
    if rule.enabled is False or (check.metrics and rule.metric not in check.metrics):
        return False
    return check.account_wide if rule.project_id is None else rule.project_id in check.project_ids


def _fired_before(rule: AlertRule, since: datetime) -> bool:
    return rule.current_state == "alert" and rule.since is not None and rule.since < since


def _rule_verdict(check: AlertsCheck, rule: AlertRule, since: datetime) -> tuple[CheckVerdict, str]:
    if rule.enabled is False:
        return CheckVerdict.INCONCLUSIVE, "is switched off"
    if rule.current_state == "alert":
        return _firing(check, rule, since)
    if rule.current_state != "ok":
        return CheckVerdict.INCONCLUSIVE, f"has the state {rule.current_state or 'unknown'}"
    window = rule.window if check.whole_window else timedelta(0)
    if window is None:
        return CheckVerdict.INCONCLUSIVE, "has a window of an unknown form"
    if rule.last_evaluated_at is None or rule.last_evaluated_at <= since + window:
        return CheckVerdict.INCONCLUSIVE, "was not evaluated since the promotion"
    return CheckVerdict.PASSED, ""


def _firing(check: AlertsCheck, rule: AlertRule, since: datetime) -> tuple[CheckVerdict, str]:
    if rule.since is None:
        return CheckVerdict.INCONCLUSIVE, "fires, and does not tell since when"
    if rule.since >= since:
        return CheckVerdict.FAILED, "fires since the promotion"
    verdict = CheckVerdict.PASSED if check.allow_preexisting else CheckVerdict.INCONCLUSIVE
    return verdict, "fired before the promotion already"


class Traffic(msgspec.Struct, frozen=True):
    """Conversations that are over, counted.

    :param conversations: how many.
    :param handoffs: how many of them were handed to a person.
    :param told: how many tell whether they were.
    :param hours: the time that they are of.
    """

    conversations: int
    handoffs: int
    told: int
    hours: float

    @classmethod
    def of(cls, conversations: Sequence[Conversation], hours: float) -> Traffic:
        """Count conversations; those under way are left out.

        :param conversations: any.
        :param hours: the time that they are of.
        """
        over = [each for each in conversations if not each.in_progress]
        said = [each.handoff for each in over if each.handoff is not None]
        return cls(len(over), said.count(True), len(said), hours)

    @property
    def handoff_rate(self) -> float:
        """Share of handoffs; 0 where none tells."""
        return self.handoffs / self.told if self.told else 0.0

    @property
    def per_hour(self) -> float:
        """Conversations per hour."""
        return self.conversations / self.hours if self.hours > 0 else 0.0


class Failures(msgspec.Struct, frozen=True):
    """Failed functions in a sample of conversations.

    :param sample: how many conversations tell of their functions.
    :param failing: in how many of them a function failed.
    :param critical: how often a critical one did.
    """

    sample: int
    failing: int
    critical: int

    @classmethod
    def of(cls, conversations: Iterable[Conversation], critical: Sequence[str]) -> Failures:
        """Count failed functions; conversations that tell nothing of functions are left out.

        :param conversations: the sample.
        :param critical: names of critical functions.
        """
        told = [each.failed_functions for each in conversations if each.failed_functions is not None]
        return cls(len(told), sum(map(bool, told)), sum(name in critical for names in told for name in names))

    @property
    def rate(self) -> float:
        """Share of conversations in which a function failed."""
        return self.failing / self.sample if self.sample else 0.0


def judge_conversations(
    check: ConversationsCheck, now: Traffic, before: Traffic, failures: Failures
) -> CheckResult:
    """Compare conversations since the promotion with those before it.

    :param check: the thresholds.
    :param now: since the promotion.
    :param before: the baseline.
    :param failures: failed functions since the promotion.
    """
    tell = _teller(check.title)
    facts = {
        "conversations": now.conversations,
        "handoff_rate": round(now.handoff_rate, 4),
        "error_rate": round(failures.rate, 4),
        "sample": failures.sample,
        "critical_failures": failures.critical,
        "baseline_conversations": before.conversations,
        "baseline_handoff_rate": round(before.handoff_rate, 4),
    }
    if failures.critical > check.max_critical_failures:
        return tell(CheckVerdict.FAILED, f"critical functions failed {failures.critical} time(s)", facts)
    judged = [_judge_volume(check, now, before)]
    if now.conversations < check.min_conversations:
        few = f"{now.conversations} conversation(s) are too few; {check.min_conversations} are needed"
        judged.append((CheckVerdict.INCONCLUSIVE, few))
    else:
        judged += [_judge_handoffs(check, now, before), _judge_errors(check, failures)]
    verdict = combine(tell(each, "", {}) for each, _ in judged)
    told = "; ".join(why for each, why in judged if each is verdict and why)
    return tell(verdict, told or f"{now.conversations} conversation(s) are within the thresholds", facts)


def _judge_volume(check: ConversationsCheck, now: Traffic, before: Traffic) -> tuple[CheckVerdict, str]:
    ratio = check.min_volume_ratio
    if ratio is None or now.hours < VOLUME_HOURS:
        return CheckVerdict.PASSED, ""
    if before.conversations < check.min_conversations:
        return (
            CheckVerdict.INCONCLUSIVE,
            "the baseline has too few conversations to compare their number with",
        )
    if now.per_hour < ratio * before.per_hour:
        return (
            CheckVerdict.FAILED,
            f"{now.per_hour:.1f} conversations per hour, before it were {before.per_hour:.1f}",
        )
    return CheckVerdict.PASSED, ""


def _judge_handoffs(check: ConversationsCheck, now: Traffic, before: Traffic) -> tuple[CheckVerdict, str]:
    increase = check.max_handoff_rate_increase
    if increase is None:
        return CheckVerdict.PASSED, ""
    if now.told < check.min_conversations:
        return CheckVerdict.INCONCLUSIVE, "too few conversations tell whether they were handed to a person"
    if now.handoff_rate < check.handoff_rate_floor or not now.handoffs:
        return CheckVerdict.PASSED, ""
    if before.told < check.min_conversations:
        return CheckVerdict.INCONCLUSIVE, "the baseline has too few conversations to compare handoffs with"
    rates = f"{now.handoff_rate:.1%} were handed to a person, before it was {before.handoff_rate:.1%}"
    failed = now.handoff_rate >= increase * before.handoff_rate
    return (CheckVerdict.FAILED, rates) if failed else (CheckVerdict.PASSED, "")


def _judge_errors(check: ConversationsCheck, failures: Failures) -> tuple[CheckVerdict, str]:
    if check.max_error_rate is None:
        return CheckVerdict.PASSED, ""
    if failures.sample < min(check.min_conversations, check.sample):
        return CheckVerdict.INCONCLUSIVE, "too few conversations tell of their functions"
    rates = f"a function failed in {failures.rate:.1%} of {failures.sample} conversation(s)"
    return (CheckVerdict.FAILED, rates) if failures.rate > check.max_error_rate else (CheckVerdict.PASSED, "")


def judge_turn(turn: TurnSpec, reply: ChatReply) -> list[str]:
    """List what is not as expected in an answer, without the answer.

    :param turn: what is expected.
    :param reply: the answer.
    """
    heard = reply.response[:ANSWER_SEARCHED]
    problems = [
        f"pattern {place} was not found in the answer"
        for place, pattern in enumerate(turn.expect, start=1)
        if not re.search(pattern, heard, re.IGNORECASE)
    ]
    if missing := [topic for topic in turn.topics if topic not in reply.retrieved_topics]:
        problems.append(f"topic(s) {summarize_list(missing)} were not looked up")
    if turn.ends is not None and bool(reply.conversation_ended) != turn.ends:
        problems.append("the chat went on" if turn.ends else "the agent ended the chat")
    return problems


def judge_smoke(check: SmokeCheck, problems: Sequence[str], failed_functions: int, turns: int) -> CheckResult:
    """Judge a chat.

    :param check: what was expected.
    :param problems: what was not as expected.
    :param failed_functions: how many calls of functions failed.
    :param turns: how many turns there were.
    """
    tell = _teller(check.title)
    facts = {"turns": turns, "problems": len(problems), "failed_functions": failed_functions}
    if failed_functions > check.max_failed_functions:
        problems = [*problems, f"{failed_functions} call(s) of functions failed"]
    if problems:
        return tell(CheckVerdict.FAILED, "; ".join(problems), facts)
    return tell(CheckVerdict.PASSED, f"{turns} turn(s) were answered as expected", facts)


def judge_call(check: PlacedCallCheck, status: str | None) -> CheckResult:
    """Judge an outbound call; that it came about does not tell whether the agent behaved.

    :param check: the call.
    :param status: as the platform tells it.
    """
    tell, facts = _teller(check.title), {"call_sid": check.call_sid, "status": status}
    if status == "SUCCESS":
        return tell(CheckVerdict.PASSED, "the call came about", facts)
    if status == "FAILURE":
        verdict = CheckVerdict.FAILED if check.failure_counts else CheckVerdict.INCONCLUSIVE
        return tell(verdict, "the call did not come about", facts)
    return tell(CheckVerdict.INCONCLUSIVE, f"the call is not over ({status or 'no status'})", facts)


def _teller(title: str) -> Tell:
    return partial(CheckResult, title)


def _lasting(result: CheckResult) -> CheckResult:
    return CheckResult(result.name, result.verdict, result.reason, result.facts, permanent=True)
