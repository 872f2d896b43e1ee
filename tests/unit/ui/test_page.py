"""The page: what it reads, what it shows, and that no string of a run becomes markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient
from fsspec.implementations.local import LocalFileSystem

from airflow_voice_agents.plans.drift import Drift
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state import rollback_blocks
from airflow_voice_agents.ui import app as page_app
from airflow_voice_agents.ui.app import create_app

from .conftest import NOW, Record

Look = Callable[..., None]
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TURNED = "safe\u202egnp.exe\u2066\x1b[31m\x00"


class Outline(HTMLParser):
    """Elements and their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rows(text: str) -> int:
    return text.count('<th scope="row">')


def test_an_empty_state_folder_says_what_to_do(reader: TestClient) -> None:
    page = reader.get("").text

    assert "Nothing is on record yet" in page
    assert "PolyAIDriftOperator" in page


def test_a_row_shows_version_label_author_difference_and_age(reader: TestClient, look: Look) -> None:
    created = (NOW - timedelta(days=3)).isoformat()
    version = {"version": "1d6710c69efd", "label": "Winter menu", "author": "Anna", "created_at": created}
    facts = {"versions": {"live": version, "sandbox": version}, "source": "hotel-1/pre-release"}
    look(Drift.NOT_PROMOTED, keys=("a", "b"), facts=facts, minutes=5)

    page = reader.get("").text
    for shown in ("1d6710c6", "Winter menu", "Anna", "3 d ago", "2 keys", "5 min ago", "ready to promote"):
        assert shown in page


@pytest.mark.parametrize("text", [MARKUP, TURNED])
def test_no_text_of_a_run_becomes_markup_or_turns_the_page_around(
    reader: TestClient, look: Look, base: str, recorder: Record, text: str
) -> None:
    """Every place where a text from outside is shown holds the same hostile one."""
    agent = text.replace("/", "|")
    version = {"version": text, "label": text, "author": text, "created_at": text}
    facts = {"versions": {"live": version}, "source": text}
    look(Drift.DIVERGED, f"{agent}/live", keys=(text,), facts=facts, task_id=text)
    checks = {"verdict": text, "checks": [{"name": text, "verdict": text}]}
    recorder(task_id="c", stop_variable=text).checks(checks, [f"{agent}/live"])
    placed_by = {"dag_id": "watch", "run_id": text, "task_id": text}
    rollback_blocks.place(base, RollbackBlock(f"{agent}/live", {}, text, placed_by, text))
    clean = Outline(reader.get("?q=none").text)

    page = reader.get("", params={"project": agent, "q": text[:4], "group": "none"}).text
    outline = Outline(page)
    assert rows(page) == 1
    assert "<aside" in page
    assert len(outline.named("script")) == len(clean.named("script")) == 1
    assert not outline.named("img")
    assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page)


def test_the_page_is_one_that_a_screen_reader_can_read(reader: TestClient, look: Look) -> None:
    look(Drift.DIVERGED)
    outline = Outline(reader.get("?project=hotel-1").text)

    assert outline.named("html")[0]["lang"] == "en"
    assert {each.get("scope") for each in outline.named("th")} == {"col", "row"}
    assert outline.named("caption")
    assert outline.named("main")
    assert [tag for tag, _ in outline.elements if tag in ("h1", "h2", "h3")][:2] == ["h1", "h2"]
    fields = [*outline.named("input"), *outline.named("select")]
    assert len(outline.named("label")) == len([each for each in fields if each.get("type") != "hidden"])
    assert all(each.get("aria-label") or each.get("type") == "submit" for each in outline.named("button"))


def test_counters_filter_and_the_filter_lives_in_the_address(reader: TestClient, look: Look) -> None:
    for place in range(3):
        look(Drift.EDITED, f"edited-{place}/live", task_id=f"e{place}", keys=(f"key_{place}",))
    look(Drift.IN_SYNC, "calm/live", task_id="calm")

    page = reader.get("").text
    assert re.search(r'href="\?state=edited\+by\+hand"[^>]*><b[^>]*>3</b>', page)
    filtered = reader.get("?state=edited+by+hand&group=none").text
    assert (rows(filtered), "calm" in filtered) == (3, False)
    assert rows(reader.get("?q=CAL").text) == 1


def test_projects_with_the_same_change_share_a_row(reader: TestClient, look: Look) -> None:
    for place in range(4):
        look(Drift.NOT_PROMOTED, f"site-{place}/live", task_id=f"s{place}", minutes=place)
    look(Drift.NOT_PROMOTED, "site-9/live", task_id="s9", keys=("another",))

    page = reader.get("").text
    assert rows(page) == 2
    assert "site-0 … site-3" in page
    assert "4 projects, same change" in page
    (link,) = re.findall(
        r'href="(\?group=none&amp;change=[0-9a-f]+|\?change=[0-9a-f]+&amp;group=none)">site', page
    )
    assert rows(reader.get(link.replace("&amp;", "&")).text) == 4


def test_results_come_in_pages(reader: TestClient, look: Look) -> None:
    for place in range(30):
        look(Drift.EDITED, f"site-{place:02}/live", task_id=f"s{place}", keys=(f"key_{place}",))

    first, second = (reader.get(f"?per=25&page={page}").text for page in (1, 2))
    assert (rows(first), rows(second)) == (25, 5)
    assert 'rel="next"' in first
    assert 'rel="prev"' in second
    assert "Page 2 of 2" in reader.get("?per=25&page=99").text


@pytest.mark.parametrize(
    "query",
    ["page=-1", "page=x", "page=9" * 50, "per=7", "sort=x", "state=x", "group=", "change=%00", "q=%ff"],
)
def test_an_address_that_makes_no_sense_is_no_error(reader: TestClient, look: Look, query: str) -> None:
    look(Drift.EDITED)

    assert reader.get(f"?{query}").status_code == 200


def test_freeze_windows_and_the_stop_switch_are_shown(reader: TestClient, recorder: Record) -> None:
    freeze = {"start": "2026-11-27T12:00", "duration": "PT9H", "timezone": "UTC", "reason": "Black Friday"}
    recorder(freeze=[freeze], stop_variable="stop_all").checks(
        {"verdict": "passed", "checks": []}, ["a/live"]
    )

    page = reader.get("").text
    assert "on until 27 Nov 21:00 UTC (Black Friday)" in page
    assert re.search(r"stop_all</code>: on", page)


def test_each_file_is_read_once_until_it_changes(
    reader: TestClient, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(20):
        look(Drift.EDITED, f"site-{place}/live", task_id=f"s{place}")
    reads: Counter[str] = Counter()
    read = LocalFileSystem.cat_file

    def counting(self: Any, path: str, *given: Any, **options: Any) -> Any:
        reads[path] += 1
        return read(self, path, *given, **options)

    monkeypatch.setattr(LocalFileSystem, "cat_file", counting)
    for query in ("", "?page=1&group=none", "?q=site", "?project=site-3"):
        assert reader.get(query).status_code == 200
    assert len(reads) == reads.total() == 20
    look(Drift.IN_SYNC, "site-3/live", task_id="s3")
    reads.clear()
    reader.get("")
    assert reads.total() == 1


def test_the_board_is_put_together_once_for_all_pages_of_a_minute(
    reader: TestClient, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(Drift.EDITED)
    built = []
    build = page_app.build
    monkeypatch.setattr(page_app, "build", lambda *given: built.append(1) or build(*given))  # type: ignore[func-returns-value]

    for query in ("", "?page=2", "?sort=age", "?q=x"):
        reader.get(query)
    assert len(built) == 1


def test_a_damaged_file_is_told_and_hides_nothing_else(reader: TestClient, look: Look, tmp_path: Any) -> None:
    look(Drift.EDITED)
    (tmp_path / "state" / "status" / "other.json").write_text('{"version": 1, "targets": {"a/live": 3}}')
    (tmp_path / "state" / "status" / "text.json").write_text("no JSON")

    page = reader.get("").text
    assert "2 file(s) of the state folder cannot be read" in page
    assert "hotel-1" in page


def test_the_page_never_asks_a_platform(
    reader: TestClient, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(Drift.EDITED)
    monkeypatch.setattr("airflow_voice_agents.transport.client.Client.__init__", None)

    assert reader.get("").status_code == 200


def test_the_app_describes_itself_to_nobody(base: str) -> None:
    assert {getattr(route, "path", "") for route in create_app().routes} == {"/", "/static/{name}"}
