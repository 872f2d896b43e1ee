"""Text from outside in front of people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.transport.text import one_line, unmarked, visible

UNSEEN = [
    "\r",
    "\n",
    "\x1b",
    "\x7f",
    "\x85",
    "\u200b",
    "\u200f",
    "\u202e",
    "\u2028",
    "\u2066",
    "\ufeff",
    "\u00ad",
]
FILLERS = ["\u034f", "\u115f", "\u3164", "\uffa0", "\ufe0f", "\U000e0041"]


@pytest.mark.parametrize("character", [*UNSEEN, *FILLERS], ids=ascii)
def test_what_has_no_shape_is_shown_or_removed(character: str) -> None:
    assert character not in visible(f"a{character}b")
    assert one_line(f"a{character}b") == "a b"
    assert character not in unmarked(f"a{character}b")


def test_a_line_is_cut_to_its_limit() -> None:
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("a" * 400) == "a" * 299 + "…"
    assert one_line("a" * 400, None) == "a" * 400


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> *now*", "‹!channel› ∗now∗"),
        ("<https://a.example|click>", "‹https[:]//a.example¦click›"),
        ("_it_ is my_agent_id", "＿it＿ is my_agent_id"),
        ("[a](http://b) ~c~ `d`", "❲a❳(http[:]//b) ∼c∼ ˋdˋ"),
        ("config page harbour-hotels/live: failed, 09:30", "config page harbour-hotels/live: failed, 09:30"),
    ],
)
def test_markup_becomes_text(text: str, shown: str) -> None:
    assert unmarked(text) == shown


@given(st.text())
def test_an_unmarked_text_stays_as_it_is(text: str) -> None:
    once = unmarked(text)
    assert unmarked(once) == once
    assert one_line(text, None).isprintable()
