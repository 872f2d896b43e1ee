"""Plans and reports as text: exact, sensitive values masked, and safe to look at."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.plans.diff import ABSENT, Change, Op, Path, diff
from airflow_voice_agents.plans.display import HIDDEN, LEAD, MASKED, VALUE_WIDTH
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.markdown import render_plan_markdown
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, refused, warning
from airflow_voice_agents.plans.render import (
    BLOCKS_SHOWN,
    LOOKED_AT,
    PATH_WIDTH,
    ROWS_SHOWN,
    TARGETS_NAMED,
    Display,
    change_lines,
    render_plan,
    render_report,
    show_key,
    show_path,
    visible,
)
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.transport.masking import SENSITIVE_NAMES
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
      ~ settings.api_key          (sensitive), changed
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


def test_a_plan_shows_values_by_default() -> None:
    assert render_plan(PLAN) == render_plan(PLAN, Display()) == SHOWN


def test_a_plan_without_values() -> None:
    assert render_plan(PLAN, Display(show_values=False)) == CONCEALED


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


def line(change: Change, patterns: tuple[tuple[str, ...], ...] = (), **display: Any) -> str:
    """The one line of a plan that has one change."""
    item = PlannedItem(LIVE, "b", "a", changes=(change,), sensitive=patterns)
    (found,) = change_lines(item, Display(**display))
    return found


def shown(
    value: Any, path: Path = ("plain",), patterns: tuple[tuple[str, ...], ...] = (), **display: Any
) -> str:
    """A value that is new, as a plan shows it."""
    return line(Change(Op.ADD, path, ABSENT, value), patterns, **display).split("  ", 1)[1]


def changed(before: Any, after: Any, path: Path = ("plain",), **display: Any) -> str:
    """A change of a value, as a plan shows it."""
    return line(Change(Op.CHANGE, path, before, after), **display).split("  ", 1)[1]


@pytest.mark.parametrize("word", SENSITIVE_NAMES)
def test_a_key_with_a_sensitive_word_is_masked_wherever_it_stands(word: str) -> None:
    key = f"My_{word.upper()}_2"
    assert shown("hunter2", (key,)) == MASKED
    assert shown("hunter2", (key, 0, "below")) == f"{MASKED}, changed"
    assert "hunter2" not in shown({"deep": [{key: {"x": "hunter2"}}]})


@pytest.mark.parametrize("key", ["prompt", "instructions", "system_prompt", "greeting", "holiday_message"])
def test_what_an_agent_says_is_shown_unless_it_is_selected(key: str) -> None:
    assert shown("Say hello.", (key,)) == '"Say hello."'
    assert shown("Say hello.", (key,), sensitive_keys=(key,)) == MASKED


def test_names_of_the_deployment_are_sensitive_too() -> None:
    assert shown("x", ("door_code",)) == '"x"'
    assert shown("x", ("Door Code",), sensitive_names=("door_code",)) == MASKED
    assert "1234" not in shown({"door_code": "1234"}, sensitive_names=("door_code",))
    assert "1234" not in shown("https://a.example/?door_code=1234", sensitive_names=("door_code",))


def test_a_pattern_of_the_schema_masks_what_is_below_it() -> None:
    patterns = (("crm", "*", "pin"),)
    assert shown("1234", ("crm", 0, "pin"), patterns) == MASKED
    assert shown({"n": 1}, ("crm", "x", "pin"), patterns) == MASKED
    assert "1234" not in shown([{"pin": "1234"}], ("crm",), patterns)
    assert shown("1234", ("crm", "pin"), patterns) == '"1234"'


@pytest.mark.parametrize("selector", ["crm.pin", "**.pin", "crm", "crm.*"])
def test_a_selector_of_the_author_masks_what_is_below_it(selector: str) -> None:
    assert shown({"x": "1234"}, ("crm", "pin"), sensitive_keys=(selector,)).startswith(MASKED)
    assert "1234" not in shown({"pin": {"y": "1234"}}, ("crm",), sensitive_keys=(selector,))


def test_without_values_nothing_is_shown_at_all() -> None:
    assert shown({"a": 1}, ("a",), show_values=False) == HIDDEN
    assert changed(1, 2, ("a",), show_values=False) == HIDDEN
    assert changed(1, 2, ("api_key",), show_values=False) == HIDDEN


def test_identifiers_are_shown_even_where_values_are_hidden() -> None:
    item = PlannedItem(LIVE, "b", "a", changes=tuple(diff({"id": "1"}, {"id": "2"})), identifiers=True)
    assert '~ id  "1" → "2"' in render_plan(Plan("p", (item,)), Display(show_values=False))


@bounded(100)
@given(JSON, JSON)
def test_two_masked_values_look_alike_whatever_they_are(before: Any, after: Any) -> None:
    assert changed(before, after, ("api_key",)) == "(sensitive), changed"
    assert shown(after, ("api_key",)) == MASKED


def test_what_changes_below_a_masked_key_is_one_line_that_tells_neither_keys_nor_lengths() -> None:
    before = {"tokens": ["a", "b", "c"], "secret": {"x": 1}, "plain": 1}
    after = {"tokens": ["d"], "secret": {"hunter2": 1, "y": 2}, "plain": 2}
    item = PlannedItem(LIVE, "b", "a", changes=tuple(diff(before, after)))
    assert list(change_lines(item, Display())) == [
        "~ tokens  (sensitive), changed",
        "~ secret  (sensitive), changed",
        "~ plain   1 → 2",
    ]
    hidden = list(change_lines(item, Display(show_values=False)))
    assert hidden == ["~ tokens  (hidden)", "~ secret  (hidden)", "~ plain   (hidden)"]


def test_values_that_differ_where_they_are_masked_are_shown_once() -> None:
    assert changed("https://ann:one@a.example/x", "https://ann:two@a.example/x") == (
        '"https://ann:***@a.example/x", changed where it is masked'
    )
    assert changed("https://ann:one@a.example", "https://ann:one@b.example") == (
        '"https://ann:***@a.example" → "https://ann:***@b.example"'
    )


def test_the_first_difference_of_long_values_can_be_seen() -> None:
    same = "You are the receptionist of a hotel by the sea. Be kind, be brief, and never "
    text = changed(f"{same}promise a room. {'x' * 100}", f"{same}promise a view. {'x' * 100}")
    assert text.startswith("…")
    before, after = text.split(" → ")
    assert "promise a room." in before
    assert "promise a view." in after
    assert len(before) == len(after) == VALUE_WIDTH
    longer = changed("x" * 200, "x" * 201)
    assert longer == f'…{"x" * LEAD}" → …{"x" * LEAD}x"'


SECRETS = st.text("abcXYZ019", min_size=16, max_size=24).map("hunter2".__add__)
URLS = [
    "https://{}@crm.example/path",
    "https://:{}@crm.example/path",
    "https://ann:{}@crm.example/path?x=1",
    "https://{}:x@crm.example",
    "see https://ann:{}@crm.example, please",
    "sip:ann:{}@pbx.example",
    "https://crm.example/?a=1&api_key={}&b=2",
    "https://crm.example/?key={}",
    "(https://crm.example/#access_token={})",
    "https://crm.example/?next=https%3A%2F%2Fann%3A{}%40b.example",
]
PLACES: list[tuple[str, Any]] = [
    ("url", lambda url: url),
    ("list", lambda url: [1, url, [url]]),
    ("object", lambda url: {"deep": {"deeper": [{"url": url}]}}),
    ("key", lambda url: {url: {"x": 1}}),
    ("key below", lambda url: {"deep": {url: [1]}}),
]


@bounded(300)
@given(JSON, SECRETS, st.sampled_from(URLS), st.sampled_from(PLACES), st.booleans())
def test_no_secret_is_shown_wherever_it_is_planted(
    value: Any, secret: str, url: str, place: tuple[str, Any], gone: bool
) -> None:
    """As a value below a sensitive key, a key below one, inside a URL of a value, a text or a key."""
    planted = {
        "plain": value,
        place[0]: place[1](url.format(secret)),
        "password": {secret: secret},
        "list_of": [value, {"x": [{"clientSecret": [secret]}]}],
        "marked": [{"pin": {secret: secret}}],
        "selected": {secret: {secret: [secret]}},
    }
    sides = [{**planted, "plain": 1}, {"plain": value}] if gone else [{"plain": value, "marked": []}, planted]
    item = PlannedItem(
        LIVE,
        "b",
        "a",
        changes=tuple(diff(*sides)),
        sensitive=(("marked", "*", "pin"),),
        stale_keys=(url.format(secret),),
        kept_keys=(f"settings.{url.format(secret)}",),
    )
    for show_values in (True, False):
        display = Display(show_values, sensitive_keys=("selected", "selected.*"))
        texts = [render_plan(Plan("p", (item,)), display), render_plan_markdown(Plan("p", (item,)), display)]
        texts += [text for row in display.rows(item) for text in row.texts]  # before they are shortened
        assert not [text for text in texts if "hunter2" in text]


@bounded(200)
@given(SECRETS, SECRETS, st.sampled_from(URLS), st.sampled_from(["url", "api_key"]))
def test_no_change_of_a_secret_tells_its_length(old: str, new: str, url: str, key: str) -> None:
    lines = {
        changed(url.format(before), url.format(after), (key,))
        for before, after in [(old, new), (new, old), (old, new * 2)]
        if before != after
    }
    assert len(lines) <= 1


# -------------------------------------------------------------------------------------- grouping


def target(name: str, before: Any = None, after: Any = None, **fields: Any) -> PlannedItem:
    changes = tuple(diff(before or {"hours": "9-17"}, after or {"hours": "10-17"}))
    resource = Resource("config page", name, "live")
    return PlannedItem(resource, f"b{name}", f"a{name}", **{"changes": changes, "writes": 1, **fields})


def test_a_change_that_many_targets_share_is_shown_once() -> None:
    plan = Plan("promote config", tuple(target(f"hotel-{number}") for number in range(25)))
    assert render_plan(plan).splitlines()[2:] == [
        (
            "  ~ config page, the same change in 25 targets: hotel-0/live, hotel-1/live, hotel-2/live … and 22 more  "
            "(1 request each)"
        ),
        '      ~ hours  "9-17" → "10-17"',
        "",
        "25 of 25 target(s) to change with 25 request(s): 0 to add, 25 to change, 0 to remove.",
    ]


def test_changes_that_are_the_same_object_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    rows = Display.rows
    monkeypatch.setattr(Display, "rows", lambda display, item: looks.append(item) or rows(display, item))
    first = target("hotel-0")
    alike = [replace(first, resource=Resource("config page", f"hotel-{n}", "live")) for n in range(50)]
    told = [replace(each, findings=(warning("told", f"{each.resource} is open."),)) for each in alike[:3]]
    assert "the same change in 50 targets" in render_plan(Plan("p", tuple(alike)))
    assert len(looks) == 1 + 1  # compared, and shown
    looks.clear()
    assert "the same change in 3 targets" in render_plan(Plan("p", tuple(told)))
    assert len(looks) == len(told) + 1


def test_the_same_changes_with_other_requests_are_not_joined() -> None:
    first = target("a")
    plan = Plan("p", (first, replace(first, writes=2), replace(first, kept_keys=("hours",))))
    assert "targets:" not in render_plan(plan)


def test_a_plan_of_thousands_counts_what_it_does_not_compare() -> None:
    text = render_plan(Plan("p", tuple(target(f"hotel-{number}") for number in range(LOOKED_AT + 3000))))
    assert f"the same change in {LOOKED_AT} targets: " in text
    assert "… and 3000 more resource(s) that are not listed" in text
    assert len(text) < 1000


def test_a_plan_of_many_different_changes_counts_what_it_does_not_list() -> None:
    own = [target(f"a{number}", after={"hours": str(number)}) for number in range(BLOCKS_SHOWN)]
    more = [target(f"b{number}", after={"hours": str(number % 2) * 9}) for number in range(10)]
    text = render_plan(Plan("p", (*own, *more)))
    assert text.count("\n  ~ config page") == BLOCKS_SHOWN
    assert "\n\n  … and 10 more resource(s) that are not listed\n\n110 of 110 target(s) to change" in text


def test_a_refused_item_is_marked_as_not_written() -> None:
    item = PlannedItem(LIVE, "d", "d", findings=(refused("absent", "It is not there."),))
    assert render_plan(Plan("p", (item,))).splitlines()[2:4] == [
        "    config page harbour-hotels/live  (not written)",
        "      ✗ absent: It is not there.",
    ]


@pytest.mark.parametrize("count", [2, TARGETS_NAMED, TARGETS_NAMED + 1])
def test_few_targets_are_all_named(count: int) -> None:
    text = render_plan(Plan("p", tuple(target(f"hotel-{number}") for number in range(count))))
    assert all(f"hotel-{number}/live" in text for number in range(count))
    assert "more" not in text


def test_targets_keep_their_order_and_only_equal_ones_are_joined() -> None:
    other = {"hours": "11-17"}
    plan = Plan("p", (target("a"), target("b", after=other), target("c"), target("d", writes=2)))
    assert [each for each in render_plan(plan).splitlines() if "config page" in each] == [
        "  ~ config page, the same change in 2 targets: a/live, c/live  (1 request each)",
        "  ~ config page b/live  (1 request)",
        "  ~ config page d/live  (2 requests)",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"stale_keys": ("legacy",)},
        {"kept_keys": ("mock",)},
        {"findings": (warning("w", "Said of one only."),)},
        {"findings": (error("e", "Said of one only."),)},
        {"findings": (refused("r", "Said of one only."),)},
        {"writes": 3},
    ],
)
def test_targets_of_which_anything_else_is_said_are_not_joined(fields: dict[str, Any]) -> None:
    assert "the same" not in render_plan(Plan("p", (target("a"), target("b", **fields))))


def test_long_values_that_look_alike_once_shortened_are_not_joined() -> None:
    long = "x" * 200
    plan = Plan("p", (target("a", after={"hours": f"{long}1"}), target("b", after={"hours": f"{long}2"})))
    assert "the same" not in render_plan(plan)


def test_masked_values_do_not_tell_whether_targets_share_them() -> None:
    pairs = [("a", "one"), ("b", "two"), ("c", "two")]
    plan = Plan("p", tuple(target(name, {"token": "x"}, {"token": new}) for name, new in pairs))
    assert "the same change in 3 targets: a/live, b/live, c/live" in render_plan(plan)


def test_where_values_are_hidden_only_the_keys_are_said_to_be_the_same() -> None:
    plan = Plan("p", (target("a"), target("b", after={"hours": "11-17"})))
    assert (
        "  ~ config page, the same keys change in 2 targets: a/live, b/live  (1 request each)"
        in render_plan(plan, Display(show_values=False))
    )


def test_unchanged_targets_of_which_the_same_is_said_are_joined() -> None:
    items = [
        PlannedItem(Resource("config page", name, "live"), "d", "d", stale_keys=("legacy",)) for name in "ab"
    ]
    text = render_plan(Plan("p", tuple(items)))
    assert "    config page, the same in 2 targets: a/live, b/live  (unchanged)" in text


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
    plan_text = render_plan(Plan("p", (item,)), Display())
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
    assert len(plan_text.splitlines()) == len(render_plan(plain, Display()).splitlines())
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
    (short,) = [each for each in render_plan(Plan("p", (item,))).splitlines() if "short" in each]
    assert len(short) < PATH_WIDTH + 30


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


def test_a_sensitive_key_that_is_misspelled_is_told_beside_the_value_that_it_leaves_open() -> None:
    plan = Plan("promote", (ITEM,))
    said = render_plan(plan, Display(sensitive_keys=("crm.pim", "nothing", "**.url")))
    assert "sensitive_keys masks nothing here with crm.pim. Did you mean 'crm.pin'" in said
    assert "with nothing" not in said
    assert "with **.url" not in said
    assert "sensitive_keys" not in render_plan(plan, Display(show_values=False, sensitive_keys=("crm.pim",)))


# ------------------------------------------------------------------------------------- one line for many


def week(**changes: tuple[str, str]) -> PlannedItem:
    return PlannedItem(
        LIVE,
        "b",
        "a",
        changes=tuple(Change(Op.CHANGE, ("hours", day, "open"), *sides) for day, sides in changes.items()),
        writes=1,
    )


def test_the_same_change_of_three_keys_is_one_line_that_names_them() -> None:
    same = ("08:00", "07:30")
    text = render_plan(Plan("p", (week(mon=same, tue=("09:00", "07:30"), wed=same, thu=same),)))
    assert [line.strip() for line in text.splitlines()[3:5]] == [
        '~ hours.*.open    "08:00" → "07:30"  (mon, wed, thu)',
        '~ hours.tue.open  "09:00" → "07:30"',
    ]


@pytest.mark.parametrize("display", [Display(show_values=False), Display(sensitive_keys=("hours.*.open",))])
def test_values_that_nobody_sees_are_not_said_to_be_the_same(display: Display) -> None:
    same = ("08:00", "07:30")
    text = render_plan(Plan("p", (week(mon=same, tue=same, wed=same),)), display)
    assert "*" not in text.replace("sensitive_keys masks", "")


def test_two_alike_stay_two_lines() -> None:
    same = ("08:00", "07:30")
    assert "*" not in render_plan(Plan("p", (week(mon=same, tue=same),)))


def test_values_come_before_the_schema() -> None:
    item = PlannedItem(
        LIVE,
        "b",
        "a",
        changes=(Change(Op.ADD, ("$schema", "type"), None, "object"), Change(Op.ADD, ("open",), None, True)),
        writes=2,
    )
    lines = render_plan(Plan("p", (item,))).splitlines()
    assert lines[3].strip().startswith("+ open")
    assert lines[4].strip().startswith("+ $schema")


def test_the_same_error_in_many_targets_is_one_block() -> None:
    wrong = [
        PlannedItem(
            Resource("connector", f"hotel-{each}", "Main"),
            "d",
            "d",
            findings=(error("x", f"hotel-{each} has no Main."),),
        )
        for each in range(25)
    ]
    text = render_plan(Plan("p", tuple(wrong)))
    assert text.count("✗ x") == 1
    assert "<project> has no Main." in text
    assert "the same in 25 targets" in text
    assert "(not planned)" in text


def test_the_same_failure_of_many_targets_is_one_row_of_the_report() -> None:
    failed = [
        ItemReport(Resource("config page", f"hotel-{each}", "live"), Status.FAILED, f"hotel-{each} is locked")
        for each in range(25)
    ]
    lines = render_report(Report("p", tuple(failed))).splitlines()
    assert len(lines) == 3
    assert lines[1].split("  ")[-1] == "<project> is locked"
    assert "hotel-0/live, hotel-1/live, hotel-2/live … and 22 more" in lines[1]


OLD, NEW = "1d6710c69efd1b6e8b8faffb2a191c36", "1aa8f7a4ab4d125dfe2c25957c03030c"


def deployment(**label: str) -> PlannedItem:
    return PlannedItem(
        Resource("deployment", "harbour-hotels", "live"),
        "b",
        "a",
        changes=(Change(Op.CHANGE, ("version",), OLD, NEW),),
        writes=1,
        identifiers=True,
        facts={
            "versions": {
                "pre-release": {"version": NEW, "created_at": "2026-08-14T10:00:00Z", **label},
                "live": {"version": OLD, "label": "", "author": "", "created_at": None},
                "sandbox": {"version": "something else", "label": "Draft", "author": "Tom"},
            }
        },
    )


def test_a_version_is_known_by_its_message_author_and_date() -> None:
    lines = render_plan(Plan("p", (deployment(label="Late check-out", author="Mara"),))).splitlines()
    assert [line.strip() for line in lines[3:5]] == [
        '~ version  "1d6710c6" → "1aa8f7a4"',
        '1aa8f7a4: "Late check-out" by Mara on 2026-08-14',
    ]
    assert "Draft" not in "".join(lines)


def test_the_message_of_a_version_is_text_from_outside() -> None:
    hostile = deployment(label="\x1b[2J https://user:s3cret-pass@crm.example", author="a\nb")
    text = render_plan(Plan("p", (hostile,)))
    assert "\x1b" not in text
    assert "s3cret-pass" not in text
    assert len(text.splitlines()) == len(
        render_plan(Plan("p", (deployment(label="x", author="y"),))).splitlines()
    )
