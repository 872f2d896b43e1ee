"""The page in a real browser: keyboard, focus, what a screen reader is told, and contrast in both themes."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from airflow.api_fastapi.core_api import security

from airflow_voice_agents.ui import app as ui
from support.chromium import Page, browser, executable

pytestmark = pytest.mark.skipif(executable() is None, reason="Chromium is not on the path")

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots.py"
TAB, ENTER = ("Tab", 9), ("Enter", 13)
FOCUSABLE = "a[href], button:not([hidden]), input:not([type=hidden]), select"
FOCUSED = """(() => {
  const all = [...document.querySelectorAll(FOCUSABLE)];
  const style = getComputedStyle(document.activeElement);
  const box = document.activeElement.getBoundingClientRect();
  return {
    place: all.indexOf(document.activeElement),
    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    visible: box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
  };
})()""".replace("FOCUSABLE", repr(FOCUSABLE))
CONTRASTS = """(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue]
    .map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parts(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest(".skip")) continue;
    const values = [parts(getComputedStyle(element).color), behind(element)].map(light);
    const ratio = (Math.max(...values) + 0.05) / (Math.min(...values) + 0.05);
    if (ratio < 4.5) low.push(`${element.className} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return low;
})()"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with the records of the documentation, on this machine."""
    spec = importlib.util.spec_from_file_location("screenshots", SCREENSHOTS)
    assert spec is not None
    assert spec.loader is not None
    screenshots: Any = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        for module in (security, ui):
            patch.setattr(module, "get_auth_manager", module.get_auth_manager)  # put back afterwards
        spec.loader.exec_module(screenshots)
        app = screenshots.page(tmp_path_factory.mktemp("page") / "state", more=2)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as page:
        yield page


def test_tab_reaches_everything_in_the_order_of_the_page_with_a_visible_focus(
    chromium: Page, address: str
) -> None:
    chromium.show(f"{address}?state=diverged&project=kestrel-clinics")
    count = chromium.evaluate(f"document.querySelectorAll({FOCUSABLE!r}).length")
    seen: list[dict[str, Any]] = []
    while len(seen) < 2 * count and (not seen or seen[-1]["place"] < count - 1):
        chromium.press(*TAB)
        seen.append(chromium.evaluate(FOCUSED))

    scrolled = [each for each in seen if each["place"] < 0]  # what scrolls can be scrolled by keys
    assert [each["place"] for each in seen if each not in scrolled] == list(range(count))
    assert all(each["outline"] and each["visible"] for each in seen)


def test_the_first_tab_leads_past_the_filters_to_the_projects(chromium: Page, address: str) -> None:
    chromium.show(address)
    chromium.press(*TAB)
    assert chromium.evaluate("document.activeElement.innerText") == "Skip to the projects"
    chromium.press(*ENTER)
    chromium.press(*TAB)

    assert chromium.evaluate("document.activeElement.closest('#projects') !== null")


@pytest.mark.parametrize("size", [(1280, 800), (480, 900)], ids=["wide", "narrow"])
def test_a_project_that_is_opened_by_key_shows_its_panel(
    chromium: Page, address: str, size: tuple[int, int]
) -> None:
    chromium.show(address, size=size)
    chromium.evaluate("document.querySelector('tbody th a').focus()")
    chromium.press(*ENTER)
    chromium.wait_for("document.querySelector('aside h2') && document.readyState === 'complete'")

    box = chromium.evaluate("document.querySelector('#panel').getBoundingClientRect().top")
    assert 0 <= box < size[1] / 2
    chromium.press(*TAB)
    assert chromium.evaluate("document.activeElement.innerText") == "Close"


def test_everything_that_acts_has_a_name_and_the_table_its_headers(chromium: Page, address: str) -> None:
    chromium.show(f"{address}?project=harbour-hotels")
    spoken = chromium.spoken()

    acting = [(role, name) for role, name in spoken if role in ("link", "button", "combobox", "searchbox")]
    assert len(acting) > 20
    assert [role for role, name in acting if not name.strip()] == []
    assert ("link", "Review and approve: harbour-hotels") in acting
    assert ("heading", "Voice agents") in spoken
    assert ("complementary", "harbour-hotels") in spoken
    roles = {role for role, _ in spoken}
    assert {"banner", "main", "search", "navigation", "table", "rowheader", "columnheader"} <= roles
    assert {name for role, name in spoken if role == "columnheader"} >= {"Project", "sandbox", "live", "Next"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?project=harbour-hotels", "?group=system&system=signalwire"])
def test_every_text_stands_out_from_what_is_behind_it(
    chromium: Page, address: str, theme: str, query: str
) -> None:
    """By WCAG's measure for normal text, 4.5 to 1."""
    chromium.show(f"{address}{query}", theme=theme)

    assert chromium.evaluate(CONTRASTS) == []


def test_the_theme_is_changed_by_a_button_and_remembered(chromium: Page, address: str) -> None:
    chromium.show(address, theme="light")
    shown = "getComputedStyle(document.body).backgroundColor"
    light = chromium.evaluate(shown)
    chromium.evaluate("document.getElementById('theme').click()")
    dark = chromium.evaluate(shown)
    chromium.show(address, theme="light")

    assert light != dark == chromium.evaluate(shown)
    chromium.evaluate("localStorage.clear()")


def test_nothing_is_wider_than_the_window(chromium: Page, address: str) -> None:
    for size in ((1280, 800), (480, 900)):
        chromium.show(f"{address}?project=harbour-hotels", size=size)
        assert chromium.evaluate("document.documentElement.scrollWidth") <= size[0]
