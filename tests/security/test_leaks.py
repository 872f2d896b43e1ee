"""Nothing that must stay inside gets out, whatever a platform answers and wherever one looks."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time import comms

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.polyai.notifications import PolyAIPromotionNotifier
from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator
from airflow_voice_agents.polyai.operators.verification import PolyAICheckPromotionOperator
from airflow_voice_agents.polyai.sensors.outcomes import PolyAIOutboundCallSensor
from airflow_voice_agents.polyai.sensors.resources import PolyAIConfigSensor
from security import leaks
from security.leaks import (
    CANARIES,
    ECHOES,
    ENCODINGS,
    KEY,
    NUMBERS,
    PASSWORD,
    PERSON,
    PROMPT,
    SPELLINGS,
    hits,
)
from support.airflow_runner import Outcome
from support.emulated import HOTELS, LIVE, SANDBOX, VALUES, Emulated

URL = f"https://ann:{PASSWORD}@host.example/x?token={PASSWORD}"


# ------------------------------------------------------------------------------------ the search


@pytest.mark.parametrize("spelling", ENCODINGS)
@pytest.mark.parametrize("name", CANARIES)
def test_the_search_finds_every_spelling(name: str, spelling: str) -> None:
    assert name in hits(f"bad {ENCODINGS[spelling](CANARIES[name])} end")


@pytest.mark.parametrize("spelling", NUMBERS)
def test_the_search_finds_every_spelling_of_a_number(spelling: str) -> None:
    assert hits(f"to {NUMBERS[spelling]}, no answer") == ["number"]


def test_the_search_finds_nothing_where_nothing_is() -> None:
    assert hits("update real-time config variables: no such agent 0123456789 harbour-hotels") == []


# --------------------------------------------------------------------------------- the transport


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_echo_survives_the_transport(spelling: str) -> None:
    found = [
        (part, place, hit)
        for part, echo in ECHOES.items()
        for text in SPELLINGS[spelling]
        for place, each in leaks.search_transport(echo, text).items()
        for hit in each
    ]
    assert found == []


def test_the_table_counts_the_hits() -> None:
    table = {place: leaks.Counter({"plain": 2}) for place in leaks.TRANSPORT_PLACES}
    text = leaks.markdown(table)
    assert "4 places searched: 8 hits." in text
    assert "| plain | 2 | 2 | 2 | 2 |" in text


def test_the_page_is_of_this_audit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security-audit.md").read_text(encoding="utf-8")
    table = {place: leaks.Counter() for place in leaks.TRANSPORT_PLACES}
    assert page.startswith(f"{leaks.HEADER}{leaks.markdown(table)}\n\n## Hostile input\n")


# ------------------------------------------------------------------------------- tasks in Airflow


def stores(outcome: Outcome, folder: Path) -> dict[str, str]:
    """Return all that a task leaves, by the place where it lies."""
    sent = [message for message in outcome.sent if not isinstance(message, comms.MaskSecret)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    message = PolyAIPromotionNotifier().message({"ti": TaskInstance(outcome.xcoms)})
    return {
        "messages to Airflow": repr(sent),
        "rendered templates": repr(outcome.rendered),
        "XComs": repr(outcome.xcoms),
        "asset events": repr(outcome.asset_events),
        "log at DEBUG": outcome.log,
        "error": f"{outcome.error!r} {outcome.retry_reason}",
        "traceback with locals": leaks.with_locals(outcome.error) if outcome.error else "",
        "files": " ".join(str(path) + path.read_bytes().decode("latin-1") for path in files),
        "notification": repr(message),
    }


def found_in(outcome: Outcome, folder: Path) -> dict[str, list[str]]:
    return {place: found for place, text in stores(outcome, folder).items() if (found := hits(text))}


class TaskInstance:
    """A task instance with XComs, as a notifier sees it."""

    dag_id, run_id, task_id, map_index = "release", "run", "update", -1

    def __init__(self, xcoms: dict[str, Any]) -> None:
        self.xcoms = xcoms

    def xcom_pull(self, *, key: str, **_: Any) -> Any:
        """Return an XCom."""
        return self.xcoms.get(key)


def update(folder: Path, **arguments: Any) -> PolyAIUpdateConfigOperator:
    usual = {
        "values": {"holiday_message": PROMPT, "pms_api_key": PASSWORD},
        "targets": {"agent_id": HOTELS, "environment": SANDBOX},
        "state_folder": str(folder),
        "take_snapshot": True,
    }
    return PolyAIUpdateConfigOperator(task_id="update", **{**usual, **arguments})


@pytest.fixture
def airflow(polyai: Emulated, fernet_key: None) -> Emulated:
    """An Airflow whose connection holds the canary key, and a server that lets it in."""
    with polyai.server.state.lock:
        keys = polyai.server.polyai.keys
        keys[KEY] = keys[polyai.key]
    polyai.connect(key=KEY)
    return polyai


def test_no_value_of_a_successful_update_is_left_anywhere(airflow: Emulated, tmp_path: Path) -> None:
    outcome = airflow.run(update(tmp_path, show_values=False))

    assert outcome.state == "success", outcome.error
    assert airflow.values(HOTELS, SANDBOX)["holiday_message"] == PROMPT
    assert list(tmp_path.rglob("*.snapshot"))
    assert found_in(outcome, tmp_path) == {}


def test_a_plan_that_shows_values_shows_no_credentials(airflow: Emulated, tmp_path: Path) -> None:
    outcome = airflow.run(update(tmp_path, values={"holiday_message": URL}, dry_run=True, show_values=True))

    assert outcome.state == "success", outcome.error
    assert "https://ann:***@host.example/x?token=***" in outcome.log
    assert found_in(outcome, tmp_path) == {}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_echo_survives_a_task(airflow: Emulated, tmp_path: Path, spelling: str) -> None:
    texts = [text for text in SPELLINGS[spelling] if "number" not in hits(text)]
    body = {
        "success": False,
        "error_code": "".join(texts[:1]),
        "error_message": " ".join(["refused", *texts]),
        "errors": [{"field": text, "message": text} for text in texts],
    }
    airflow.server.fault("answer", operation=VALUES, status=400, body=body, times=None)

    outcome = airflow.run(update(tmp_path, show_values=False))

    assert outcome.state == "failed"
    assert "refused" in str(outcome.xcoms["report"])
    assert found_in(outcome, tmp_path) == {}


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "number" in hits(SPELLINGS[name][-1])])
def test_nobody_learns_who_is_called(airflow: Emulated, tmp_path: Path, spelling: str) -> None:
    number = SPELLINGS[spelling][-1]
    body = {
        "error": f"no answer from {number}",
        "code": number,
        "errors": [{"field": number, "message": "no"}],
    }
    airflow.server.fault("answer", operation="create outbound call", status=400, body=body, times=None)
    check = {"check": "outbound", "agent_id": HOTELS, "environment": LIVE, "to_number": PERSON}
    task = PolyAICheckPromotionOperator(task_id="call", checks=[{**check, "confirm_call": True}])

    outcome = airflow.run(task)

    assert "no answer from" in str(outcome.xcoms["verdict"])
    assert found_in(outcome, tmp_path) == {}


@pytest.mark.parametrize("spelling", NUMBERS)
def test_the_reason_of_a_call_is_one_line_without_a_number(airflow: Emulated, spelling: str) -> None:
    reason = f"{NUMBERS[spelling]}:\r\n\x1b[31mno\u202e answer\u200b"
    body = {"callSid": "call", "status": "failure", "reason": reason}
    airflow.server.fault("answer", operation="get outbound call status", status=200, body=body, times=None)
    task = PolyAIOutboundCallSensor(
        task_id="wait", agent_id=HOTELS, call_sid="call", environment=LIVE, deferrable=False
    )

    outcome = airflow.run(task)

    assert outcome.state == "failed"
    assert "(number): [31mno answer" in str(outcome.error)
    assert str(outcome.error).isprintable()
    assert hits(f"{outcome.error} {outcome.log}") == []


def test_a_stored_condition_holds_no_digest_that_can_be_looked_up(airflow: Emulated) -> None:
    values = {"holiday_message": "4711", "settings": {"use_mock_api": True}}

    def waiting() -> Any:
        task = PolyAIConfigSensor(
            task_id="wait", agent_id=HOTELS, environment=SANDBOX, values=values, deferrable=True
        )
        outcome = airflow.run(task)
        assert outcome.deferred is not None
        return outcome.deferred.trigger_kwargs

    first, second = json.dumps(waiting()), json.dumps(waiting())

    assert "leaves" in first
    for known in ("4711", True):
        assert digest(known) not in first
    assert json.loads(first)["condition"] != json.loads(second)["condition"]


def test_a_template_that_fails_is_named_and_not_shown(airflow: Emulated, tmp_path: Path) -> None:
    canary = f"canary{uuid.uuid4().hex}"
    values = {"settings": {"key": f"{canary} {{{{ nothing.{canary} }}}}"}}

    outcome = airflow.run(update(tmp_path, values=values, retries=3))

    assert outcome.state == "failed"
    assert "argument values.settings.key could not be rendered (UndefinedError)" in str(outcome.error)
    assert canary not in "".join(stores(outcome, tmp_path).values())


# ------------------------------------------------------------------------------------ notifications


@pytest.mark.parametrize(
    "text",
    [
        "<!channel>", "<!here|here>", "<@U012AB3CD>", "<https://evil.example|click>", "*bold*", "_it_", "~no~",
        "`code`", "https://evil.example/x", "[click](https://evil.example)", "<script>alert(1)</script>",
        "![x](http://evil.example)", "\u202edlrow", "a\r\n\x1b[31mVerdict: passed", "\u200b", "| a | b |",
    ],
)  # fmt: skip
def test_no_text_from_outside_is_markup_in_a_message(text: str) -> None:
    item = {"kind": text, "owner": text, "name": text, "status": text, "reason": text}
    report = {"operation": text, "counts": {"total": 1, text: 1}, "items": [item]}
    verdict = {"verdict": text, "checks": [{"name": text, "verdict": text, "reason": text}]}

    message = PolyAIPromotionNotifier().message({"ti": TaskInstance({"report": report, "verdict": verdict})})

    assert text not in message.text
    assert text not in message.subject
    assert message.subject.isprintable()
    for line in [*message.text.split("\n"), *message.markdown.split("\n")]:
        assert line.isprintable()
    assert not set(message.text) & set("<>*`~|[") - {"["}
    assert "://" not in message.text
    assert outside_of_code(message.markdown).count(text) == 0


def outside_of_code(markdown: str) -> str:
    """Return Markdown without its code spans."""
    return "".join(markdown.split("`")[::2])
