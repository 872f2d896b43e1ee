"""Reads before plans: as few as possible, sources first, and no state kept longer than it is needed."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from airflow_voice_agents.engine.planning import PlanRequest, plan_resources
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Kind, Known, Observation, Resource, Transition, by_owner
from airflow_voice_agents.plans.plan import Plan, PlannedItem
from airflow_voice_agents.transport.api_request import ApiRequest, Replay
from airflow_voice_agents.transport.errors import (
    CallError,
    Forbidden,
    NotFound,
    ResponseError,
    ServerError,
    Unauthorized,
)
from support.actions import run_context


class PageState:
    """A state that can be watched for being dropped."""

    def __init__(self, value: str) -> None:
        self.value = value


class PageKind(Kind[PageState]):
    """Pages, of which one read returns all of an owner."""

    name = "page"

    def observe(self, resources: Sequence[Resource], known: Known) -> Iterator[Observation[PageState]]:
        """One read per owner."""
        for owner, mine in by_owner(resources).items():
            call = ApiRequest("list pages", "GET", "/pages", f"/{owner}", dict, Replay.SAFE)
            yield Observation(call, tuple(mine), _states_of(mine))

    def digest(self, state: PageState | None) -> str:
        """Digest of the value."""
        return digest(state and state.value)

    def diff(self, before: Any, after: Any) -> Iterable[Any]:
        """Nothing here looks at differences."""
        return ()

    write_sequences = mismatches = plan = diff  # type: ignore[assignment]


def _states_of(mine: Sequence[Resource]) -> Callable[[Any], dict[Resource, Any]]:
    """A list of an owner's pages is complete, so a page that it lacks is absent."""
    return lambda found: {each: found.get(each) for each in mine}


class Site:
    """Answers reads of pages; ``broken`` maps owners to errors."""

    def __init__(self, pages: dict[Resource, str], broken: dict[str, CallError] | None = None) -> None:
        self.pages = pages
        self.broken = broken or {}
        self.read: list[str] = []
        self.alive: list[weakref.ref[PageState]] = []
        self.most_alive = 0
        self.most_in_flight = self.in_flight = 0

    async def send(self, call: ApiRequest[Any]) -> Any:
        owner = call.path[1:]
        self.read.append(owner)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        if owner in self.broken:
            raise self.broken[owner]
        found = {each: PageState(value) for each, value in self.pages.items() if each.owner == owner}
        self.alive += map(weakref.ref, found.values())
        self.most_alive = max(self.most_alive, self.living())
        return found

    def living(self) -> int:
        return sum(state() is not None for state in self.alive)


def page(owner: str, name: str = "live") -> Resource:
    return Resource("page", owner, name)


def compose(resource: Resource) -> Callable[[PageState | None, PageState | None], PlannedItem]:
    """Plan a copy of the source, keeping nothing of the states but digests."""

    def composed(source: PageState | None, now: PageState | None) -> PlannedItem:
        return PlannedItem(resource, digest(now and now.value), digest(source and source.value))

    return composed


def target(owner: str, source: Resource | None = None, name: str = "live") -> PlanRequest:
    return PlanRequest(page(owner, name), source, compose(page(owner, name)))


def plan(
    site: Site, targets: Sequence[PlanRequest], *, limit: int = 4, log: Any = None, **fields: Any
) -> Plan:
    """Plan the targets."""
    ticks = itertools.count(0, 10)
    fields = {"clock": lambda: next(ticks), **fields}
    run = run_context(site.send, log=log or (lambda _: None), concurrency=limit, **fields)
    return Plan("copy", tuple(asyncio.run(plan_resources(run, PageKind(), "copy", targets))))


def test_source_and_target_of_one_owner_are_read_with_one_call() -> None:
    site = Site({page("a", "sandbox"): "new", page("a"): "old"})
    planned = plan(site, [target("a", page("a", "sandbox"))])
    assert site.read == ["a"]
    (item,) = planned.items
    assert (item.before, item.after) == (digest("old"), digest("new"))


def test_a_source_of_many_targets_is_read_once_and_first() -> None:
    owners = [f"t{number}" for number in range(50)]
    site = Site({page("template"): "new"} | {page(owner): "old" for owner in owners})
    planned = plan(site, [target(owner, page("template")) for owner in owners])
    assert site.read[0] == "template"
    assert sorted(site.read) == sorted(["template", *owners])
    assert all(item.changed for item in planned.items)


def test_a_source_is_read_before_targets_that_come_first_and_need_none() -> None:
    site = Site({page("template"): "new"})
    plan(site, [target("a"), target("b"), target("c", page("template"))], limit=1)
    assert site.read == ["template", "a", "b", "c"]


def test_an_intent_says_when_its_target_was_read() -> None:
    def composed(_: PageState | None, now: PageState | None) -> PlannedItem:
        here = page("b")
        return PlannedItem(here, "old", "new", transition=Transition(here, now, PageState("new")))

    site = Site({page("a"): "new", page("b"): "old"})
    ticks = iter([0.0, 10.0, 20.0, 20.0, 20.0])
    targets = [PlanRequest(page("b"), page("a"), composed)]
    (item,) = plan(site, targets, limit=1, clock=lambda: next(ticks)).items
    assert item.transition is not None
    assert (site.read, item.transition.read_at) == (["a", "b"], 20.0)


def test_items_come_in_the_order_of_the_targets() -> None:
    owners = ["c", "a", "b"]
    site = Site({page(owner): owner for owner in owners})
    planned = plan(site, [target(owner) for owner in owners])
    assert [item.resource.owner for item in planned.items] == owners


def test_a_target_without_a_source_is_composed_from_itself_alone() -> None:
    got = []
    wanted = PlanRequest(page("a"), None, lambda source, now: got.append((source, now)) or _blank(page("a")))
    plan(Site({}), [wanted])
    assert got == [(None, None)]


def test_no_more_reads_than_the_limit_are_in_flight() -> None:
    owners = [f"t{number}" for number in range(20)]
    site = Site({page(owner): "" for owner in owners})
    plan(site, [target(owner) for owner in owners], limit=3)
    assert site.most_in_flight == 3


def test_states_are_dropped_as_soon_as_the_last_target_that_needs_them_is_planned() -> None:
    owners = [f"t{number}" for number in range(100)]
    site = Site({page("template"): "new"} | {page(owner): "old" for owner in owners})
    plan(site, [target(owner, page("template")) for owner in owners], limit=2)
    assert site.most_alive <= 5  # the template's, and what is in flight
    assert site.living() == 0


def test_a_state_that_arrives_after_its_target_was_given_up_is_dropped_as_well() -> None:
    owners = [f"t{number}" for number in range(100)]
    broken: dict[str, CallError] = {"template": NotFound("unknown agent", status=404)}
    site = Site({page(owner): "old" for owner in owners}, broken)
    planned = plan(site, [target(owner, page("template")) for owner in owners], limit=2)
    assert len(planned.errors()) == 100
    assert site.most_alive <= 4


@pytest.mark.parametrize(
    "failure", [NotFound("unknown agent", status=404), Forbidden("no right", status=403)]
)
def test_a_target_that_cannot_be_read_becomes_an_item_with_an_error(failure: CallError) -> None:
    site = Site({page("template"): "new", page("a"): "old"}, {"b": failure})
    planned = plan(site, [target("a", page("template")), target("b", page("template"))])
    ((resource, finding),) = planned.errors()
    assert resource == page("b")
    assert finding.code == "unreadable"
    assert finding.message.startswith(f"b/live could not be read: {failure.reason}")
    assert planned.items[0].changed
    assert not planned.items[1].changed


def test_a_target_whose_source_and_self_cannot_be_read_is_one_item() -> None:
    missing = NotFound("unknown agent", status=404)
    told: list[str] = []
    planned = plan(Site({}, {"a": missing, "b": missing}), [target("a", page("b"))], log=told.append)
    assert len(planned.items) == 1
    assert len(planned.items[0].findings) == 1
    assert told == ["copy: plan: 1 of 1 done (1 planned)"]


@pytest.mark.parametrize("failure", [Unauthorized("bad key", status=401), ServerError("down", status=503)])
def test_a_refused_key_and_what_a_retry_may_mend_abort_the_plan(failure: CallError) -> None:
    site = Site({page("a"): "old"}, {"b": failure})
    with pytest.raises(type(failure)) as caught:
        plan(site, [target(owner) for owner in ("b", *"acdefgh")], limit=1)
    assert caught.value is failure
    assert site.read == ["b"]


def test_each_planned_target_is_told_once() -> None:
    owners = [f"t{number}" for number in range(5)]
    told: list[str] = []
    plan(Site({}), [target(owner) for owner in owners], log=told.append)
    assert told[-1] == "copy: plan: 5 of 5 done (5 planned)"
    assert len(told) == 5


def test_an_error_while_composing_is_not_swallowed() -> None:
    def broken(_: Any, __: Any) -> PlannedItem:
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        plan(Site({}), [PlanRequest(page("a"), None, broken)])


def _blank(resource: Resource) -> PlannedItem:
    return PlannedItem(resource, digest(None), digest(None))


def test_a_page_that_the_answer_leaves_out_is_unread_and_not_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site({page("a"): "old"})
    monkeypatch.setitem(globals(), "_states_of", lambda _: dict)
    plan(site, [target("a")])
    with pytest.raises(ResponseError, match="does not mention b/live") as caught:
        plan(site, [target("b")])
    assert not caught.value.permanent
