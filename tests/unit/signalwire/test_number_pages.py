"""Pages are followed to the end, each number comes once, and nothing goes round in circles."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_voice_agents.signalwire.models import PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import all_phone_numbers, find_phone_number, pages
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError, ResponseError

ROUTE = "/api/relay/rest/phone_numbers"
BASE = "https://acme.signalwire.com"


class Pages:
    """Sends back prepared pages, by path."""

    def __init__(self, *answers: tuple[list[str], str | None]) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.queries: list[dict[str, str]] = []

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.paths.append(call.path)
        self.queries.append(dict(call.query))
        numbers, following = self.answers[min(len(self.paths), len(self.answers)) - 1]
        data = [{"id": f"id{number}", "number": number} for number in numbers]
        links = {"self": "s", "first": "f"} | ({"next": following} if following else {})
        return call.read({"data": data, "links": links})


def link(token: str) -> str:
    return f"{ROUTE}?page_number=1&page_token={token}"


async def numbers(send: Any, **arguments: Any) -> list[str]:
    return [found.number async for found in all_phone_numbers(send, **arguments)]


async def test_pages_are_followed_by_their_links_and_in_their_order() -> None:
    send = Pages((["+3"], link("a")), (["+2"], link("b")), (["+1"], None))
    assert await numbers(send, filter_name="desk", page_size=1) == ["+3", "+2", "+1"]
    assert send.paths == [ROUTE, link("a"), link("b")]
    assert send.queries == [{"filter_name": "desk", "page_size": "1"}, {}, {}]


async def test_one_page_is_one_request() -> None:
    send = Pages((["+2", "+1"], None))
    assert await numbers(send) == ["+2", "+1"]
    assert len(send.paths) == 1


async def test_empty_page_with_a_next_one_is_not_the_end() -> None:
    assert await numbers(Pages(([], link("a")), ([], link("b")), (["+1"], None))) == ["+1"]


async def test_number_that_comes_again_because_others_were_bought_is_left_out() -> None:
    assert await numbers(Pages((["+3", "+2"], link("a")), (["+2", "+1"], None))) == ["+3", "+2", "+1"]


async def test_repeated_link_is_an_error_and_not_an_end() -> None:
    send = Pages((["+3"], link("a")), (["+2"], link("b")), (["+1"], link("a")))
    with pytest.raises(ResponseError, match="one that was read before"):
        await numbers(send)
    assert len(send.paths) == 3


async def test_more_pages_than_allowed_are_an_error() -> None:
    send = Pages((["+3"], link("a")), (["+2"], link("b")), (["+1"], link("c")))
    with pytest.raises(ResponseError, match="there are more than 2 pages"):
        await numbers(send, max_pages=2)
    assert len(send.paths) == 2


async def test_as_many_pages_as_allowed_are_none() -> None:
    assert await numbers(Pages((["+2"], link("a")), (["+1"], None)), max_pages=2) == ["+2", "+1"]


async def test_link_to_another_host_is_not_followed() -> None:
    send = Pages((["+1"], f"https://evil.example{link('a')}"))
    with pytest.raises(ResponseError, match="another host") as caught:
        await numbers(send, base_url=BASE)
    assert caught.value.route == ROUTE
    assert len(send.paths) == 1


async def test_absolute_link_of_the_own_host_is_followed() -> None:
    send = Pages((["+2"], f"{BASE}{link('a')}"), (["+1"], None))
    assert await numbers(send, base_url=BASE) == ["+2", "+1"]
    assert send.paths == [ROUTE, link("a")]


async def test_nothing_more_is_read_than_is_taken() -> None:
    send = Pages((["+2"], link("a")), (["+1"], None))
    async for _ in pages(send):
        break
    assert len(send.paths) == 1


@pytest.mark.parametrize("arguments", [{"max_pages": 0}, {"page_size": 0}, {"filter_number": "x"}])
async def test_malformed_argument_is_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    send = Pages((["+1"], None))
    with pytest.raises(InputError, match=next(iter(arguments))):
        await numbers(send, **arguments)
    assert not send.paths


async def test_found_number_is_exactly_the_one_and_not_one_with_the_same_digits() -> None:
    send = Pages((["+120255501234", "+912025550123"], link("a")), (["+12025550123"], None))
    found = await find_phone_number(send, "+12025550123")
    assert isinstance(found, PhoneNumber)
    assert found.number == "+12025550123"
    assert send.queries[0]["filter_number"] == "+12025550123"


async def test_number_that_only_others_contain_is_not_found() -> None:
    assert await find_phone_number(Pages((["+120255501234"], None)), "+12025550123") is None
