"""Links of a promotion's tasks, and notifications about them over other channels."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseNotifier, Connection

from airflow_voice_agents.polyai.hooks import PolyAIHook
from airflow_voice_agents.polyai.links import LINKS, agents_of, studio_url
from airflow_voice_agents.polyai.notifications import PolyAIPromotionNotifier, PromotionMessage
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.promotion import PolyAIPlanPromotionOperator
from airflow_voice_agents.polyai.operators.verification import PolyAICheckPromotionOperator
from airflow_voice_agents.polyai.sensors import PolyAISensor
from airflow_voice_agents.signalwire.hooks import SignalWireHook
from airflow_voice_agents.signalwire.operators.snapshots import SignalWireReleaseHoldOperator
from airflow_voice_agents.transport.errors import ConnectionSettingsError, GuardRefused, ItemsFailed
from support.airflow_runner import Outcome, make
from support.emulated import HOTELS, LIVE, PRE_RELEASE, SANDBOX, Emulated, place
from support.operators import public_operators, right_arguments

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


ENDED = SimpleNamespace(dag_id="release", run_id="run", task_id="task", map_index=2)
"""A task that has ended and left no address, as Airflow hands it to links."""


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.providers.common.compat.sdk.XCom.get_value", lambda **_: None)


@pytest.fixture
def connected(nothing_left: None, monkeypatch: pytest.MonkeyPatch) -> None:
    polyai = Connection(conn_id="polyai_default", conn_type="polyai", password="k", extra=json.dumps(TELLING))
    carrier = Connection(
        conn_id="signalwire_default", conn_type="signalwire", host="acme", login="a", password="b"
    )
    monkeypatch.setattr(PolyAIHook, "get_connection", lambda *_: polyai)
    monkeypatch.setattr(SignalWireHook, "get_connection", lambda *_: carrier)


def after(task: Any) -> dict[str, str]:
    """The links of a task that has ended, as Airflow asks for them."""
    return {link.name: link.get_link(task, ti_key=ENDED) for link in task.operator_extra_links}


@pytest.mark.parametrize("kind", public_operators(), ids=lambda kind: kind.__name__)
@pytest.mark.usefixtures("connected")
def test_every_operator_and_sensor_has_its_links(kind: Any) -> None:
    arguments = right_arguments(kind)
    found = after(make(kind, **arguments))

    names = set(found)
    report_of_run = "/dags/release/runs/run/tasks/task/mapped/2/xcom"
    if kind.__name__.startswith("SignalWire"):
        assert found.pop("SignalWire space") == "https://acme.signalwire.com"
    if not kind.__name__.startswith("PolyAI"):  # Omnia Voice documents no address of a page
        expected = [] if kind.__name__.endswith("Sensor") else ["Report"]
        assert list(found) == expected
        assert all(address.endswith(report_of_run) for address in found.values())
    elif issubclass(kind, PolyAISensor):
        assert names == {"Agent Studio"}
    else:
        (report,) = names - {"Agent Studio"}
        assert report in ("Report", "Promotion report")
        assert found[report].endswith(report_of_run)
    if "agent_id" in arguments and kind.__name__.startswith("PolyAI"):
        assert found["Agent Studio"] == "https://studio.uk.poly.ai/demo%20uk/x"


TARGETS: Any = [place(HOTELS, LIVE), place("other", LIVE)]


@pytest.mark.parametrize(
    ("given", "agents"),
    [
        ({"targets": TARGETS}, [HOTELS, "other"]),
        ({"targets": TARGETS[0]}, [HOTELS]),
        ({"targets": f"{HOTELS}/live"}, [HOTELS]),
        ({"targets": [f"{HOTELS}/live"]}, [HOTELS]),
        ({"targets": '[{"agent_id": "x"}]'}, []),
        ({"targets": None, "spec": {"source": TARGETS[1], "targets": TARGETS}}, [HOTELS, "other"]),
        ({"values": {f"{HOTELS}/live": {"greeting": "a/b"}}}, [HOTELS]),
        ({"values": {"greeting": "a"}}, []),
        ({"project_id": HOTELS}, [HOTELS]),
        ({"project_id": None}, []),
    ],
    ids=str,
)
def test_the_agents_that_arguments_name(given: Any, agents: list[str]) -> None:
    operator = SimpleNamespace(**given, uncovered=lambda name: given[name])
    assert list(agents_of(operator)) == agents


@pytest.mark.usefixtures("nothing_left")
def test_a_link_without_a_connection_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise ConnectionSettingsError("there is none")

    for hook in (PolyAIHook, SignalWireHook):
        monkeypatch.setattr(hook, "get_connection", missing)

    assert after(deploy())["Agent Studio"] == ""
    assert after(SignalWireReleaseHoldOperator(task_id="task"))["SignalWire space"] == ""


def test_a_connection_that_says_too_little_costs_the_link_only(polyai: Emulated) -> None:
    outcome = polyai.run(deploy())

    assert outcome.state == "success", outcome.error
    assert shown(outcome)["Agent Studio"] == ""


def test_a_task_whose_connection_is_missing_fails_for_that(polyai: Emulated) -> None:
    polyai.runner.connections = {}

    outcome = polyai.run(deploy())

    assert "polyai_default" in str(outcome.error)
    assert shown(outcome)["Promotion report"]
