"""Links of a promotion's tasks, and notifications about them over other channels."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_voice_agents.polyai.links import LINKS, studio_url
from airflow_voice_agents.polyai.notifications import PolyAIPromotionNotifier, PromotionMessage
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.promotion import PolyAIPlanPromotionOperator
from airflow_voice_agents.polyai.operators.verification import PolyAICheckPromotionOperator
from airflow_voice_agents.transport.errors import GuardRefused, ItemsFailed
from support.airflow_runner import Outcome, make
from support.emulated import HOTELS, LIVE, PRE_RELEASE, SANDBOX, Emulated, place

TELLING = {"region": "uk", "account_id": "demo uk"}
STUDIO = f"https://studio.uk.poly.ai/demo%20uk/{HOTELS}"


class Channel(BaseNotifier):
    """A notifier with a template, as every provider has one."""

    template_fields = ("text",)

    def __init__(self, text: str, told: list[str]) -> None:
        super().__init__()
        self.text = text
        self.told = told

    def notify(self, context: Any) -> None:
        self.told.append(self.text)

    async def async_notify(self, context: Any) -> None:
        self.told.append(self.text)


class Instance:
    """A task instance with XComs."""

    dag_id, run_id, task_id, map_index = "release", "run", "watch", -1

    def __init__(self, **xcoms: Any) -> None:
        self.xcoms = xcoms

    def xcom_pull(self, *, task_ids: str, key: str, **_: Any) -> Any:
        return self.xcoms.get(key) if task_ids in (self.task_id, "other") else None


VERDICT = {"verdict": "failed", "checks": [{"name": "alerts", "verdict": "failed", "reason": "it *fires*"}]}
REPORT = {
    "operation": "roll back",
    "counts": {"total": 2, "changed": 1, "failed": 1},
    "items": [
        {"kind": "config page", "owner": HOTELS, "name": LIVE, "status": "failed", "reason": "no right"}
    ],
    "items_omitted": 1,
}


def context(**xcoms: Any) -> Any:
    return {"ti": Instance(**xcoms)}


def failed(error: BaseException, **xcoms: Any) -> Any:
    """The context that Airflow hands to ``on_failure_callback``."""
    instance = Instance(**xcoms)
    instance.log_url = "https://airflow.example/dags/release"  # type: ignore[attr-defined]
    return {"ti": instance, "exception": error}


def test_a_failure_before_any_report_says_why_and_where_the_log_is() -> None:
    why = GuardRefused("promote: harbour-hotels/live is on hold since 3:00. Nothing was written.")
    message = PolyAIPromotionNotifier().message(failed(why))

    assert message.subject == "release.watch: failed"
    assert message.text.splitlines() == [
        "Failed: promote: harbour-hotels/live is on hold since 3:00. Nothing was written.",
        "",
        "Log: https://airflow.example/dags/release",
    ]
    assert message.markdown.startswith("**Failed: promote: `harbour-hotels/live` is on hold")


def test_a_failure_comes_before_the_report() -> None:
    message = PolyAIPromotionNotifier().message(failed(ItemsFailed("1 of 2 failed"), report=REPORT))
    assert message.text.index("Failed: 1 of 2 failed") < message.text.index("Report: roll back")


def test_a_foreign_error_is_named_by_its_class_alone() -> None:
    message = PolyAIPromotionNotifier().message(failed(KeyError("sk-0123456789")))
    assert "KeyError; the log has the details" in message.text
    assert "sk-0123456789" not in message.text + message.markdown + message.subject


def test_a_message_holds_verdict_and_report() -> None:
    message = PolyAIPromotionNotifier().message(context(verdict=VERDICT, report=REPORT))

    assert message.subject == "release.watch: verdict failed, roll back: 1 changed, 1 not as asked for"
    assert message.text.splitlines() == [
        "Verdict: failed",
        "alerts: failed, it ∗fires∗",
        "",
        "Report: roll back",
        "1 changed, 1 failed",
        f"config page {HOTELS}/{LIVE}: failed, no right",
        "… and 1 more",
    ]
    assert "`*fires*`" in message.markdown


@pytest.mark.parametrize(
    "given", [{}, {"ti": Instance()}, context(verdict="odd", report=3)], ids=["no task", "none", "odd"]
)
def test_without_a_report_it_says_so(given: Any) -> None:
    assert "neither" in PolyAIPromotionNotifier().message(given).text


def test_any_notifier_can_be_handed_the_message_again_and_again() -> None:
    told: list[str] = []
    notifier = PolyAIPromotionNotifier(
        notifiers=[Channel("{{ promotion_subject }}|{{ promotion_text }}", told)]
    )

    notifier(context(verdict=VERDICT))
    notifier(context(report=REPORT))

    assert told[0].startswith("release.watch: verdict failed|Verdict: failed")
    assert "roll back" in told[1]
    assert "verdict" not in told[1]


def test_a_callable_can_be_handed_the_message() -> None:
    told: list[PromotionMessage] = []

    PolyAIPromotionNotifier(send=told.append, task_id="other")(context(verdict=VERDICT))

    assert [each.text.splitlines()[0] for each in told] == ["Verdict: failed"]


def test_notifiers_can_be_awaited() -> None:
    told: list[str] = []
    notifier = PolyAIPromotionNotifier(notifiers=Channel("{{ promotion_text }}", told))
    notifier.context = context(verdict=VERDICT)

    async def tell() -> None:
        await notifier

    asyncio.run(tell())

    assert told == ["Verdict: failed\nalerts: failed, it ∗fires∗"]


# ------------------------------------------------------------------------------------------ links


@pytest.mark.parametrize(
    ("extra", "address"),
    [
        (TELLING, STUDIO),
        ({"region": "studio", "account_id": "a"}, f"https://studio.poly.ai/a/{HOTELS}"),
        ({"region": "uk"}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_address_of_an_agent(extra: dict[str, Any], address: str) -> None:
    assert studio_url(extra, HOTELS) == address


def test_the_form_of_the_address_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW__VOICE_AGENTS__STUDIO_URL", "https://studio.example/{agent_id}?a={account_id}"
    )

    assert studio_url({"account_id": "../x"}, "a/b") == "https://studio.example/a%2Fb?a=..%2Fx"


def plan() -> Any:
    spec = {"source": place(HOTELS, SANDBOX), "targets": [place(HOTELS, PRE_RELEASE)], "config": {}}
    return make(PolyAIPlanPromotionOperator, task_id="task", spec=spec)


def deploy() -> Any:
    return PolyAIPromoteDeploymentOperator(
        task_id="task", agent_id=HOTELS, source_environment=SANDBOX, target_environment=PRE_RELEASE
    )


def look() -> Any:
    checks = [{"check": "test_runs", "agent_id": HOTELS, "required": False}]
    return make(PolyAICheckPromotionOperator, task_id="task", checks=checks)


def shown(outcome: Outcome) -> dict[str, str]:
    return {link.name: outcome.xcoms.get(link.xcom_key, "") for link in LINKS}


@pytest.mark.parametrize("task", [plan(), deploy(), look()], ids=["plan", "deploy", "check"])
def test_tasks_leave_their_links(polyai: Emulated, task: Any) -> None:
    polyai.connect(**TELLING)

    links = shown(polyai.run(task))

    assert links["Agent Studio"] == STUDIO
    assert links["Promotion report"].endswith("/dags/harness/runs/test-run/tasks/task/xcom")
    assert [link.name for link in task.operator_extra_links] == ["Agent Studio", "Promotion report"]


def test_a_connection_that_says_too_little_costs_the_link_only(polyai: Emulated) -> None:
    outcome = polyai.run(deploy())

    assert outcome.state == "success", outcome.error
    assert shown(outcome)["Agent Studio"] == ""


def test_a_task_whose_connection_is_missing_fails_for_that(polyai: Emulated) -> None:
    polyai.runner.connections = {}

    outcome = polyai.run(deploy())

    assert "polyai_default" in str(outcome.error)
    assert shown(outcome)["Promotion report"]
