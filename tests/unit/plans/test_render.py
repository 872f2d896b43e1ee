"""Plans and reports as text: exact, without values unless asked, and safe to look at."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.diff import diff
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, refused, warning
from airflow_voice_agents.plans.render import (
    HIDDEN,
    MASKED,
    PATH_WIDTH,
    ROWS_SHOWN,
    SENSITIVE_NAMES,
    VALUE_WIDTH,
    Display,
    render_plan,
    render_report,
    show_key,
    show_path,
    visible,
)
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from support.json_values import JSON, bounded

BEFORE: dict[str, Any] = {
    "opening_hours": {"monday": ["9-17", "18-20"], "sunday": None},
    "settings": {"routing_enabled": False, "api_key": "old-key", "mock_dnis": "+441632960001"},
    "use_mock_api": True,
}
AFTER: dict[str, Any] = {
    "opening_hours": {"monday": ["10-17"], "sunday": None},
    "settings": {"routing_enabled": True, "api_key": "new-key", "mock_dnis": "+441632960001"},
    "crm": {"url": "https://crm.example", "auth": {"token": "t0p"}, "pin": 1234},
    "use_mock_api": True,
}
LIVE = Resource("config page", "harbour-hotels", "live")
ITEM = PlannedItem(
    LIVE,
    before="b" * 64,
    after="a" * 64,
    source="c" * 64,
    changes=tuple(diff(BEFORE, AFTER)),
    stale_keys=("legacy",),
    kept_keys=("use_mock_api",),
    findings=(
        warning("stale_keys", "Only the target has legacy; it stays, so the pages will not be equal."),
    ),
    sensitive=(("crm", "pin"),),
    writes=2,
)
UNCHANGED = PlannedItem(Resource("config page", "rosa", "live"), "d" * 64, "d" * 64)
PLAN = Plan("promote config", (ITEM, UNCHANGED))

SHOWN = f"""\
Plan: promote config (digest {PLAN.digest[:12]})

  ~ config page harbour-hotels/live  (2 requests)
      ~ opening_hours.monday[0]   "9-17" → "10-17"
      - opening_hours.monday[1]   "18-20"
      ~ settings.routing_enabled  false → true
      ~ settings.api_key          "(sensitive)" → "(sensitive)"
      + crm                       {{"url": "https://crm.example", "auth": {{"token": "(sensitiv…
      = use_mock_api  the target keeps its own value
      ! legacy  only the target has it; no request can remove it
      i stale_keys: Only the target has legacy; it stays, so the pages will not be equal.

1 of 2 target(s) to change with 2 request(s): 1 to add, 3 to change, 1 to remove. 1 stale key(s) stay."""

CONCEALED = f"""\
Plan: promote config (digest {PLAN.digest[:12]})

  ~ config page harbour-hotels/live  (2 requests)
      ~ opening_hours.monday[0]   (hidden)
      - opening_hours.monday[1]   (hidden)
      ~ settings.routing_enabled  (hidden)
      ~ settings.api_key          (hidden)
      + crm                       (hidden)
      = use_mock_api  the target keeps its own value
      ! legacy  only the target has it; no request can remove it
      i stale_keys: Only the target has legacy; it stays, so the pages will not be equal.

1 of 2 target(s) to change with 2 request(s): 1 to add, 3 to change, 1 to remove. 1 stale key(s) stay."""


def test_a_plan_with_values() -> None:
    assert render_plan(PLAN, Display(show_values=True)) == SHOWN


def test_values_are_shown_unless_they_are_hidden() -> None:
    assert render_plan(PLAN, Display()) == render_plan(PLAN) == SHOWN
    assert render_plan(PLAN, Display(show_values=False)) == CONCEALED


def same_change(count: int) -> Plan:
    """A plan with one change in many targets."""
    changes = tuple(diff({"a": 1}, {"a": 2}))
    items = [
        PlannedItem(
            Resource("config page", f"hotel-{place}", "live"), f"b{place}", "a", changes=changes, writes=1
        )
        for place in range(count)
    ]
    return Plan("update config", tuple(items))


def test_the_same_change_in_many_targets_is_shown_once() -> None:
    assert render_plan(same_change(25)).splitlines()[2:] == [
        "  ~ config page: the same in 25: hotel-0/live, hotel-1/live, hotel-2/live and 22 more  (1 request each)",
        "      ~ a  1 → 2",
        "",
        "25 of 25 target(s) to change with 25 request(s): 0 to add, 25 to change, 0 to remove.",
    ]


def test_a_plan_of_thousands_counts_what_it_does_not_compare() -> None:
    text = render_plan(same_change(5000))
    assert "the same in 2000: " in text
    assert "… and 3000 more resource(s) that are not listed" in text
    assert len(text) < 1000


def test_a_refused_item_is_marked_as_not_written() -> None:
    item = PlannedItem(LIVE, "d", "d", findings=(refused("absent", "It is not there."),))
    assert render_plan(Plan("p", (item,))).splitlines()[2:4] == [
        "    config page harbour-hotels/live  (not written)",
        "      ✗ absent: It is not there.",
    ]


def test_a_plan_without_changes_says_so_in_one_line() -> None:
    assert render_plan(Plan("update config", (UNCHANGED,))).splitlines()[1:] == [
        "",
        "Nothing to change: 1 target(s) are as asked for.",
    ]


def test_a_plan_with_errors_marks_them_and_says_that_nothing_is_written() -> None:
    wrong = PlannedItem(LIVE, "b", "a", findings=(error("no_valid_order", "Neither order."), error("x", ".")))
    assert render_plan(Plan("promote config", (wrong, UNCHANGED))).splitlines()[3:] == [
        "      ✗ no_valid_order: Neither order.",
        "      ✗ x: .",
        "",
        "1 of 2 target(s) have errors (✗): nothing is written.",
    ]


def test_an_unchanged_target_with_something_to_say_is_listed() -> None:
    stale = PlannedItem(LIVE, "d", "d", stale_keys=("legacy",))
    text = render_plan(Plan("promote config", (stale,)))
    assert "    config page harbour-hotels/live  (unchanged)" in text
    assert text.endswith("0 to remove. 1 stale key(s) stay.")


# ------------------------------------------------------------------------------------- sensitive


def shown(value: Any, path: tuple[str | int, ...] = ("plain",), **display: Any) -> str:
    """A value as a plan with values shows it."""
    patterns = display.pop("patterns", ())
    return Display(show_values=True, **display).value(value, path, patterns)


@pytest.mark.parametrize("word", SENSITIVE_NAMES)
def test_a_key_with_a_sensitive_word_is_masked_wherever_it_stands(word: str) -> None:
    key = f"My_{word.upper()}_2"
    assert shown("hunter2", (key,)) == f'"{MASKED}"'
    assert shown("hunter2", (key, 0, "below")) == f'"{MASKED}"'
    assert "hunter2" not in shown({"deep": [{key: {"x": "hunter2"}}]})


def test_a_pattern_of_the_schema_masks_what_is_below_it() -> None:
    patterns = [("crm", "*", "pin")]
    assert shown("1234", ("crm", 0, "pin"), patterns=patterns) == f'"{MASKED}"'
    assert shown({"n": 1}, ("crm", "x", "pin"), patterns=patterns) == f'"{MASKED}"'
    assert "1234" not in shown([{"pin": "1234"}], ("crm",), patterns=patterns)
    assert shown("1234", ("crm", "pin"), patterns=patterns) == '"1234"'


@pytest.mark.parametrize("selector", ["crm.pin", "**.pin", "crm", "crm.*"])
def test_a_selector_of_the_author_masks_what_is_below_it(selector: str) -> None:
    assert shown({"x": "1234"}, ("crm", "pin"), sensitive_keys=(selector,)) == f'"{MASKED}"'
    assert "1234" not in shown({"pin": {"y": "1234"}}, ("crm",), sensitive_keys=(selector,))


def test_without_values_nothing_is_shown_at_all() -> None:
    assert Display(show_values=False).value({"a": 1}, ("a",), ()) == HIDDEN


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@crm.example/x",
        "see sip://hunter2@pbx.example and ftp://a:hunter2@f.example",
        "https://crm.example/x?api_key=hunter2&y=1",
        "https://crm.example/x?y=1;Token=hunter2#top",
    ],
)
def test_credentials_inside_urls_are_masked_wherever_they_stand(text: str) -> None:
    assert "hunter2" not in shown(text)
    assert "hunter2" not in shown({"deep": [{"url": text}]})
    assert "***" in shown(text)


def test_a_url_without_credentials_is_shown_as_it_is() -> None:
    assert shown("https://crm.example/x?site=1") == '"https://crm.example/x?site=1"'


def test_a_deployment_may_name_further_sensitive_words() -> None:
    assert shown("1234", ("door_code",), sensitive_names=("door",)) == f'"{MASKED}"'


@bounded(150)
@given(JSON, st.sampled_from(["password", "x"]))
def test_a_secret_below_a_sensitive_key_is_never_shown(value: Any, key: str) -> None:
    secret = "hunter2"
    before, after = {"k": value}, {"k": {key: secret, "l": [value, {key: [secret]}]}}
    item = PlannedItem(LIVE, "b", "a", changes=tuple(diff(before, after)), sensitive=(("k", "x"), ("k", "l")))
    assert secret not in render_plan(Plan("p", (item,)), Display(show_values=True))
    assert secret not in render_plan(Plan("p", (item,)), Display(show_values=False))


# --------------------------------------------------------------------------------------- hostile

HOSTILE = [
    "\x1b[31mred",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x00",
    "\x7f",
    "\x9b31m",
    "\u202eevil",
    "\u2066x",
    "\u2028",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_escaped_everywhere(text: str) -> None:
    page = Resource("config page", f"agent{text}", "live")
    item = PlannedItem(
        page,
        "b",
        "a",
        changes=tuple(diff({text: {text: text}}, {text: {text: [text], "new": {text: text}}})),
        stale_keys=(text,),
        kept_keys=(f"settings.{text}",),
        findings=(warning("w", f"about {text}"),),
    )
    plan_text = render_plan(Plan("p", (item,)), Display(show_values=True))
    report_text = render_report(Report("r", (ItemReport(page, Status.FAILED, f"because {text}"),)))
    for rendered in (plan_text, report_text):
        assert text not in rendered
        assert_harmless(rendered)
    plain = Plan(
        "p",
        (
            PlannedItem(
                LIVE,
                "b",
                "a",
                changes=tuple(diff({"k": {"k": ""}}, {"k": {"k": [""], "n": {}}})),
                stale_keys=("k",),
                kept_keys=("k",),
                findings=(warning("w", ""),),
            ),
        ),
    )
    assert len(plan_text.splitlines()) == len(render_plan(plain, Display(show_values=True)).splitlines())
    assert len(report_text.splitlines()) == 3


@bounded(200)
@given(st.text(max_size=20))
def test_no_text_whatever_gets_through_unescaped(text: str) -> None:
    assert_harmless(visible(text))
    assert_harmless(show_key(text))
    assert "\n" not in visible(text) + show_key(text)


def test_an_escaped_key_is_json_even_beyond_the_first_plane() -> None:
    key = "tag \U000e0041 end"
    assert show_key(key) == r'"tag \udb40\udc41 end"'
    assert json.loads(show_key(key)) == key


def test_ordinary_text_of_any_language_stays_readable() -> None:
    assert visible("Grüße aus 東京 – שלום") == "Grüße aus 東京 – שלום"


def assert_harmless(text: str) -> None:
    kinds = {unicodedata.category(character) for character in text.replace("\n", "")}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("opening_hours", "monday", 0), "opening_hours.monday[0]"),
        (("a.b", "c"), '"a.b".c'),
        (("", "x y"), '""."x y"'),
        (("kebab-case", "_x1"), "kebab-case._x1"),
        (("1st",), '"1st"'),
        (("a\nb",), '"a\\nb"'),
        (("Straße",), '"Straße"'),
        ((0, "a"), "[0].a"),
        ((), ""),
    ],
)
def test_unusual_keys_are_quoted(path: tuple[str | int, ...], text: str) -> None:
    assert show_path(path) == text


def test_long_values_are_cut() -> None:
    text = shown("x" * 1000)
    assert len(text) == VALUE_WIDTH
    assert text.endswith("…")
    assert shown("x" * (VALUE_WIDTH - 2)) == f'"{"x" * (VALUE_WIDTH - 2)}"'


def test_a_long_key_does_not_widen_the_other_lines() -> None:
    item = PlannedItem(LIVE, "b", "a", changes=tuple(diff({"k" * 500: 1, "short": 1}, {})))
    (line,) = [each for each in render_plan(Plan("p", (item,))).splitlines() if "short" in each]
    assert len(line) < PATH_WIDTH + 30


# ---------------------------------------------------------------------------------------- reports


def test_a_report_is_a_table_with_trouble_first() -> None:
    def item(name: str, status: Status, reason: str = "") -> ItemReport:
        return ItemReport(Resource("connector", "rosa", name), status, reason)

    report = Report(
        "update connectors",
        (
            item("one", Status.UNCHANGED),
            item("two", Status.CHANGED),
            item("thirteen", Status.FAILED, "no such variant. It was not changed."),
            item("four", Status.SKIPPED, "not attempted"),
        ),
        dry_run=True,
    )
    assert (
        render_report(report)
        == """\
Report: update connectors
  failed     rosa/thirteen  no such variant. It was not changed.
  skipped    rosa/four      not attempted
  changed    rosa/two
  unchanged  rosa/one
4 item(s): 1 changed, 1 unchanged, 1 failed, 1 skipped. Dry run: nothing was written."""
    )


def test_an_empty_report_says_so() -> None:
    assert render_report(Report("r", ())) == "Report: r\n0 item(s): none."


def test_a_long_report_is_cut_and_counts_all() -> None:
    items = tuple(
        ItemReport(Resource("k", "o", str(number)), Status.CHANGED) for number in range(ROWS_SHOWN + 7)
    )
    lines = render_report(Report("r", items)).splitlines()
    assert len(lines) == ROWS_SHOWN + 3
    assert lines[-2:] == ["  … and 7 more", f"{ROWS_SHOWN + 7} item(s): {ROWS_SHOWN + 7} changed."]
