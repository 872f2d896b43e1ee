"""Plans as Markdown, read back with a Markdown parser: what is shown is text, whatever it is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace

from airflow_voice_agents.plans.diff import diff
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.markdown import LIMIT, code, prose, render_plan_markdown
from airflow_voice_agents.plans.plan import Plan, PlannedItem, error, warning
from airflow_voice_agents.plans.render import BLOCKS_SHOWN, LOOKED_AT, Display, visible
from airflow_voice_agents.transport.masking import mask_credentials
from support.json_values import bounded

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
BLOCKS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "fence"),
    *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
}
"""Markdown elements that a plan uses."""

SPANS = {"text", "code_inline", "strong_open", "strong_close"}
ADDRESS = re.compile(r"https?://|www\.|[-.\w+]@[-\w]|\w\.\w|//|\$", re.IGNORECASE)
"""Text that GitHub's Markdown turns into a link, and a little more."""

PIECES = st.sampled_from(
    [
        *(
            "`",
            "``",
            "```",
            "~~~",
            "|",
            "|---|",
            "||",
            "\\",
            "\\\\",
            "\\`",
            "\\|",
            "*",
            "**",
            "_",
            "__",
            "~~",
            "$",
        ),
        *(
            "[x](http://e.example)",
            "![x](https://e.example/x.png)",
            "[x]",
            "[x]: /y",
            "[^1]",
            "](",
            "![",
            "[ ]",
        ),
        *(
            "<b>",
            "</code>",
            "<!--",
            "-->",
            "<script>",
            "<http://e.example>",
            "<a@b.example>",
            "&lt;",
            "&#124;",
        ),
        *(
            "http://e.example",
            "HTTPS://",
            "www.e.example",
            "WWW.",
            "www",
            "a@b.example",
            "mailto:",
            "ftp://x",
        ),
        *(
            "\n",
            "\r\n",
            "\n\n",
            "\n\n# h",
            "\n\n    code",
            "\n---\n",
            "\n- x",
            "\n> x",
            "\n```\n",
            "\n\n|a|\n|-|\n",
        ),
        *("# ", "## ", "===", "---", "- ", "+ ", "1. ", "1)", "> ", "    ", "\t", "  \n", " ", "", "\u00a0"),
        *("\u202e", "\u2066", "\u2028", "\u0085", "\x00", "\x1b[31m", "\x7f", "\U000e0041", "\ufeff"),
        *(
            "key",
            "opening_hours",
            "Grüße",
            "東京",
            "שלום",
            "don't",
            "(live)",
            "e.g.",
            "100%",
            ".",
            ",",
            ":",
            "!",
        ),
    ]
)
HOSTILE = st.lists(PIECES | st.text(max_size=4), min_size=1, max_size=6).map("".join)


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a text, those inside of paragraphs and headings included."""
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def blocks(text: str) -> list[str]:
    return [f"{token.type} {token.tag} {token.info}" for token in PARSER.parse(text)]


def read(text: str) -> str:
    """One line of Markdown as its reader sees it."""
    return "".join(token.content for token in tokens(text) if token.type in {"text", "code_inline"})


def assert_only_text(text: str) -> None:
    parsed = list(tokens(text))
    assert {token.type for token in parsed} <= BLOCKS | SPANS
    assert not [token.content for token in parsed if token.type == "text" and ADDRESS.search(token.content)]


def assert_visible(text: str) -> None:
    assert text == "\n".join(map(visible, text.split("\n")))


def full_of(text: str, *, kind: str = "config page") -> Plan:
    """A plan in which a text stands wherever text from outside can stand."""
    before, after = {text: {text: text, "gone": text}}, {text: {text: [text], f"{text}2": {text: text}}}
    item = PlannedItem(
        Resource(kind, f"agent {text}", text),
        "b",
        "a",
        changes=tuple(diff(before, after)),
        stale_keys=(text,),
        kept_keys=(f"settings.{text}",),
        findings=(warning("w", f"about {text}, it is {text}."), error("e", text)),
        writes=2,
    )
    calm = PlannedItem(Resource(kind, text, "live"), "b", "a")
    return Plan("promote", (calm, item))


# ----------------------------------------------------------------------------------------- layout

RAISED = PlannedItem(
    Resource("config page", "harbour-hotels", "live"),
    "b" * 64,
    "a" * 64,
    changes=tuple(
        diff(
            {"hours": {"monday": "9-17"}, "api_key": "old", "old": 1},
            {"hours": {"monday": "10-17"}, "api_key": "new", "crm": {"url": "https://crm.example"}},
        )
    ),
    stale_keys=("legacy",),
    kept_keys=("use_mock_api",),
    findings=(warning("stale_keys", "Only the target has legacy; it stays."),),
    writes=2,
)
REFUSED = PlannedItem(
    Resource("connector", "rosa", "CONN-1"),
    "b",
    "a",
    findings=(
        warning("note", "First of all."),
        error("confirm_live", "This writes into live, where callers are. Pass confirm_live=True if meant."),
    ),
    writes=1,
)
SAME = PlannedItem(Resource("config page", "rosa", "live"), "d", "d")
PLAN = Plan("promote config", (RAISED, SAME))

SHOWN = f"""\
## Plan: promote config

**1 of 2 target(s) to change with 2 request(s): 1 to add, 2 to change, 1 to remove. 1 stale key(s) stay.**

### config page `harbour-hotels/live` (2 requests)

- warning `stale_keys`: Only the target has legacy; it stays.

```diff
~ hours.monday  "9-17" → "10-17"
~ api_key       (sensitive), changed
- old           1
+ crm           {{"url": "https://crm.example"}}
= use_mock_api  the target keeps its own value
! legacy  only the target has it; no request can remove it
```

Digest: `{PLAN.digest}`"""


def test_a_plan_shows_values_by_default_and_ends_with_its_digest() -> None:
    assert render_plan_markdown(PLAN) == render_plan_markdown(PLAN, Display()) == SHOWN


def test_values_can_be_hidden() -> None:
    text = render_plan_markdown(PLAN, Display(show_values=False))
    assert not [value for value in ("9-17", "10-17", "crm.example", '"new"') if value in text]
    assert "~ hours.monday  (hidden)\n" in text
    assert text.endswith(f"\n\nDigest: `{PLAN.digest}`")


def test_a_change_that_many_targets_share_is_shown_once_on_one_screen() -> None:
    plan = Plan("promote config", tuple(replace(RAISED, resource=each.resource) for each in items(25)))
    text = render_plan_markdown(plan)
    whole = render_plan_markdown(PLAN)
    assert len(text.splitlines()) == len(whole.splitlines()) <= 30
    assert text.split("\n\n")[1:3] == [
        (
            "**25 of 25 target(s) to change with 50 request(s): 25 to add, 50 to change, 25 to remove. 25 stale key(s) "
            "stay.**"
        ),
        (
            "### config page, the same change in 25 targets: `hotel-0/live`, `hotel-1/live`, `hotel-2/live` … and 22 "
            "more (2 requests each)"
        ),
    ]
    assert text.split("\n\n")[3:-1] == whole.split("\n\n")[3:-1]
    assert_only_text(text)


def test_equal_targets_with_errors_are_shown_once_and_first() -> None:
    refused = tuple(replace(REFUSED, resource=each.resource) for each in items(5))
    parts = render_plan_markdown(Plan("promote", (RAISED, *refused))).split("\n\n")
    assert parts[2].startswith("### config page, the same change in 5 targets: `hotel-0/live`, ")
    assert parts[2].endswith("`hotel-2/live` … and 2 more (1 request each)")
    assert parts[3].count("✗") == 1


def test_errors_come_first_among_the_targets_and_within_each() -> None:
    plan = Plan("promote", (RAISED, REFUSED, SAME))
    text = render_plan_markdown(plan)
    assert text.split("\n\n")[1:5] == [
        "**1 of 3 resource(s) have errors (✗): nothing is written.**",
        "### connector `rosa/CONN-1` (1 request)",
        (
            "- ✗ **error** `confirm_live`: This writes into live, where callers are. Pass `confirm_live=True` if "
            "meant.\n- warning `note`: First of all."
        ),
        "### config page `harbour-hotels/live` (2 requests)",
    ]


def test_a_plan_without_changes_says_so() -> None:
    plan = Plan("promote", (SAME,))
    assert render_plan_markdown(plan).split("\n\n") == [
        "## Plan: promote",
        "**Nothing to change: 1 target(s) are as asked for.**",
        f"Digest: `{plan.digest}`",
    ]


def test_the_counts_are_bold_and_read_as_they_are_in_the_log() -> None:
    for plan in (PLAN, Plan("p", (REFUSED,)), Plan("p", (SAME,))):
        line = render_plan_markdown(plan).split("\n\n")[1]
        assert [token.type for token in tokens(line)][2:] == [
            *("text", "strong_open", "text", "strong_close", "text", "paragraph_close")
        ]
        assert read(line) == line.strip("*")


def test_a_block_names_a_language_without_which_airflow_joins_its_lines() -> None:
    (block,) = [token for token in tokens(SHOWN) if token.type == "fence"]
    assert block.info == "diff"
    assert [line[0] for line in block.content.splitlines()] == list("~~-+=!")


# ------------------------------------------------------------------------------------------ limit


def items(count: int, name: str = "hotel", keys: int = 5) -> tuple[PlannedItem, ...]:
    """Targets of which each changes in its own way."""
    before = {f"key_{number}": 1 for number in range(keys)}
    return tuple(
        PlannedItem(
            Resource("config page", f"{name}-{number}", "live"),
            "b",
            "a",
            changes=tuple(diff(before, {"new": number, "key_0": 2})),
            writes=1,
        )
        for number in range(count)
    )


def test_a_text_of_exactly_the_limit_is_whole_and_one_more_collapses() -> None:
    whole = render_plan_markdown(PLAN)
    assert render_plan_markdown(PLAN, limit=len(whole)) == whole
    short = render_plan_markdown(PLAN, limit=len(whole) - 1)
    assert short.split("\n\n")[2:] == [
        "What changes in each is too long to be shown here; the log has it all.",
        (
            "- 2 requests: config page `harbour-hotels/live`, 1 to add, 2 to change, 1 to remove, 1 kept key(s), "
            "1 stale key(s), 1 warning(s)"
        ),
        f"Digest: `{PLAN.digest}`",
    ]


def test_a_collapsed_plan_still_has_its_digest_its_counts_and_the_errors_first() -> None:
    plan = Plan("promote", (*items(200), REFUSED))
    parts = render_plan_markdown(plan).split("\n\n")
    whole = render_plan_markdown(plan, limit=10**6).split("\n\n")
    assert [*parts[:2], parts[-1]] == [*whole[:2], whole[-1]]
    assert parts[3].splitlines()[:3] == [
        "- 1 request: connector `rosa/CONN-1`, 1 error(s), 1 warning(s)",
        (
            "  - ✗ **error** `confirm_live`: This writes into live, where callers are. Pass `confirm_live=True` if "
            "meant."
        ),
        "- 1 request: config page `hotel-0/live`, 1 to add, 1 to change, 4 to remove",
    ]
    assert len(parts[3].splitlines()) == 202
    assert len(parts) == 5


def test_many_different_changes_get_a_line_each_and_not_a_section() -> None:
    plan = Plan("promote", items(BLOCKS_SHOWN + 1))
    text = render_plan_markdown(plan, limit=10**6)
    assert "###" not in text
    assert text.count("\n- 1 request: ") == BLOCKS_SHOWN + 1
    assert "###" in render_plan_markdown(Plan("promote", items(BLOCKS_SHOWN)), limit=10**6)


def test_what_is_not_compared_is_counted_and_errors_are_compared_first() -> None:
    same = tuple(replace(RAISED, resource=each.resource) for each in items(LOOKED_AT + 5))
    text = render_plan_markdown(Plan("promote", (*same, REFUSED)))
    assert text.index("`rosa/CONN-1`") < text.index(f"the same change in {LOOKED_AT - 1} targets: ")
    assert "… and 6 more target(s) that are not shown." in text


def test_equal_targets_share_a_line_of_a_collapsed_plan_and_all_are_accounted_for() -> None:
    calm = tuple(replace(RAISED, resource=each.resource) for each in items(30, "calm"))
    plan = Plan("promote", (*calm, *items(10)))
    whole = collapsed(plan)
    assert (
        "- 2 requests each: config page, the same change in 30 targets: `calm-0/live`, `calm-1/live`, `calm-2/live` … "
        "and 27 more, 1 to add, 2 to change, 1 to remove, 1 kept key(s), 1 stale key(s), 1 warning(s)\n"
    ) in whole
    assert len(whole.split("\n\n")[3].splitlines()) == 11
    assert "… and 40 more target(s) that are not shown." in render_plan_markdown(plan, limit=1)


@bounded(100)
@given(st.integers(0, 60), st.integers(700, 6000), st.sampled_from(["h", "hotel", "x" * 300, "``"]))
def test_the_limit_holds_lines_are_whole_and_all_targets_are_accounted_for(
    count: int, limit: int, name: str
) -> None:
    text = render_plan_markdown(Plan("promote", items(count, name)), limit=limit)
    assert len(text) <= limit
    assert_only_text(text)
    lines = [line for line in text.splitlines() if line.startswith(("- 1 request", "###"))]
    assert all(line.endswith((", 4 to remove", "(1 request)")) for line in lines)
    missing = re.search(r"^… and (\d+) more target\(s\) that are not shown\.$", text, re.MULTILINE)
    assert len(lines) + (int(missing[1]) if missing else 0) == count
    assert not (missing and missing[1] == "0")


def test_one_key_longer_than_the_limit_does_not_break_it() -> None:
    item = PlannedItem(RAISED.resource, "b", "a", stale_keys=("k" * 2 * LIMIT,), writes=1)
    text = render_plan_markdown(Plan("promote", (item,)))
    assert len(text) < 1000
    assert "- 1 request: config page `harbour-hotels/live`, 1 stale key(s)" in text


def test_however_small_the_limit_digest_and_counts_are_shown() -> None:
    text = render_plan_markdown(PLAN, limit=1)
    assert PLAN.digest in text
    assert "**1 of 2 target(s) to change" in text
    assert "\n\n… and 1 more target(s) that are not shown.\n\n" in text


# ---------------------------------------------------------------------------------------- hostile


@bounded(400)
@given(HOSTILE, st.booleans())
def test_no_text_changes_what_a_plan_is_made_of(text: str, show: bool) -> None:
    """The same headings, lists and blocks as with a harmless text, and no span beyond text and code."""
    rendered = render_plan_markdown(full_of(text), Display(show_values=show), limit=10**6)
    assert blocks(rendered) == blocks(render_plan_markdown(full_of("k"), limit=10**6))
    assert_only_text(rendered)
    assert_visible(rendered)


def collapsed(plan: Plan) -> str:
    return render_plan_markdown(plan, limit=len(render_plan_markdown(plan, limit=10**6)) - 1)


@bounded(200)
@given(HOSTILE)
def test_no_text_changes_what_a_collapsed_plan_is_made_of(text: str) -> None:
    rendered = collapsed(Plan("promote", (*full_of(text).items, *items(20))))
    plain = collapsed(Plan("promote", (*full_of("k").items, *items(20))))
    assert blocks(rendered) == blocks(plain)
    assert_only_text(rendered)
    assert_visible(rendered)


@bounded(200)
@given(HOSTILE)
def test_kinds_and_operations_are_text_too(text: str) -> None:
    hostile = Plan(text, (*full_of("k", kind=text).items, *items(5)))
    plain = Plan("promote", (*full_of("k").items, *items(5)))
    for render in (render_plan_markdown, collapsed):
        assert blocks(render(hostile)) == blocks(render(plain))
        assert_only_text(render(hostile))


@bounded(400)
@given(HOSTILE)
def test_a_key_and_a_name_can_be_read_back(text: str) -> None:
    rendered = render_plan_markdown(full_of(text), limit=10**6)
    (block,) = [token for token in tokens(rendered) if token.type == "fence"]
    (line,) = [each for each in block.content.split("\n") if each.startswith("! ")]
    shown = line.removeprefix("! ").removesuffix("  only the target has it; no request can remove it")
    assert (json.loads(shown) if shown.startswith('"') else shown) == mask_credentials(text)
    names = [token.content for token in tokens(rendered) if token.type == "code_inline"]
    assert visible(f"agent {text}/{text}") in names


@bounded(500)
@given(HOSTILE | st.text(max_size=30))
def test_a_code_span_is_one_span_of_exactly_the_text(text: str) -> None:
    (_, inline, _) = PARSER.parse(f"say {code(text)}.")
    assert [(each.type, each.content) for each in inline.children or ()] == [
        ("text", "say "),
        ("code_inline", visible(text) or '""'),
        ("text", "."),
    ]


@bounded(500)
@given(HOSTILE | st.text(max_size=30))
def test_a_sentence_reads_as_it_was_written_but_for_runs_of_blanks(text: str) -> None:
    words = [word for word in visible(text).split(" ") if word]
    assert read(f"x {prose(text)}") == " ".join(["x", *words])
    assert_only_text(f"x {prose(text)}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2 target(s) stay, don't they?", "2 target(s) stay, don't they?"),
        ("Pass confirm_live=True.", "Pass `confirm_live=True`."),
        ("see https://e.example/x, please", "see `https://e.example/x`, please"),
        ("at www.e.example", "at `www.e.example`"),
        ("at www.", "at `www`."),
        ("at (WWW.)", "at `(WWW`.)"),
        ("ask a@b.example!", "ask `a@b.example`!"),
        ("*so* _so_ [x](y) <b> a|b", "`*so*` `_so_` `[x](y`) `<b>` `a|b`"),
        ("a ` b", "a `` ` `` b"),
        ("Grüße – 東京", "Grüße – 東京"),
        ("one\ntwo  three", r"`one\u000atwo` three"),
        ("", ""),
    ],
)
def test_words_with_signs_in_them_become_code(text: str, shown: str) -> None:
    assert prose(text) == shown


@bounded(100)
@given(st.dictionaries(st.sampled_from(["password", "x"]), st.just("hunter2"), min_size=1))
def test_a_sensitive_value_is_never_shown(config: dict[str, Any]) -> None:
    item = PlannedItem(
        RAISED.resource,
        "b",
        "a",
        changes=tuple(diff({}, {"deep": [config]})),
        sensitive=(("deep", "*", "x"),),
    )
    for display in (None, Display(), Display(show_values=False)):
        assert "hunter2" not in render_plan_markdown(Plan("p", (item,)), display)
