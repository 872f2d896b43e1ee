"""Cut-overs that end at any moment, and are started again: the snapshot still leads back to the start."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_voice_agents.engine.apply import SNAPSHOT_NOTE
from airflow_voice_agents.engine.policy import Policy, Protections
from airflow_voice_agents.engine.snapshot_recorder import SnapshotRecorder
from airflow_voice_agents.plans.guards import GuardContext, Overrides
from airflow_voice_agents.plans.kind import Kinds
from airflow_voice_agents.plans.report import Report
from airflow_voice_agents.signalwire.actions.routing import parse_route
from airflow_voice_agents.signalwire.actions.snapshots import parse_restore
from airflow_voice_agents.signalwire.models import Page, PhoneNumber
from airflow_voice_agents.signalwire.resources.inventory import Space
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.errors import InputError
from support.actions import carry_out
from support.kill_switch import Fuse, FusedStore, Killed

SPACE = Space("acme", "https://acme.signalwire.com")
NUMBERS = [f"+1206555{number:04}" for number in range(4)]
OLD, NEW = "https://old.example/", "https://new.example/"


def number_id(number: str) -> str:
    return f"00000000-0000-4000-8000-{number[1:]:0>12}"


@dataclass
class Platform:
    """Numbers that lead somewhere."""

    fuse: Fuse
    urls: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NUMBERS, OLD))
    in_flight: int = 0
    most_in_flight: int = 0
    puts: list[str] = field(default_factory=list)
    first_alone: bool | None = None

    async def __call__(self, call: ApiRequest[Any]) -> Any:
        self.fuse.burn()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        answer = self.handle(call)
        await asyncio.sleep(0)
        self.in_flight -= 1
        self.fuse.burn()
        return answer

    def handle(self, call: ApiRequest[Any]) -> Any:
        if call.method == "PUT":
            if not self.puts:
                self.first_alone = self.in_flight == 1
            (number,) = [each for each in NUMBERS if number_id(each) in call.path]
            self.puts.append(number)
            assert call.body is not None
            self.urls[number] = call.body["call_relay_script_url"]
            return self.record(number)
        return Page(tuple(map(self.record, NUMBERS)))

    def record(self, number: str) -> PhoneNumber:
        return PhoneNumber(
            id=number_id(number),
            number=number,
            capabilities=("voice",),
            call_handler="relay_script",
            call_receive_mode="voice",
            call_relay_script_url=self.urls[number],
        )


@dataclass
class Shelf:
    """Where snapshots are kept, and what was announced."""

    fuse: Fuse
    documents: dict[str, str] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)

    def save(self, document: dict[str, Any]) -> str:
        self.fuse.burn()
        url = f"memory://{len(self.documents)}"
        self.documents[url] = json.dumps(document)
        self.fuse.burn()
        return url

    def load(self, url: str) -> Any:
        if url not in self.documents:
            raise InputError(f"snapshot {url} cannot be read")
        return json.loads(self.documents[url])

    def publish(self, url: str) -> None:
        self.fuse.burn()
        self.published.append(url)

    def protections(self) -> Protections:
        def recorder(kinds: Kinds, live: bool) -> SnapshotRecorder:
            return SnapshotRecorder(self.save, self.load, self.publish, SNAPSHOT_NOTE, kinds)

        return Protections(recorder=recorder)


ANSWERS_COMPARED = Policy(verify=False, max_snapshot_age=600.0)
CONFIRMED = GuardContext(Overrides(confirm_live=True))


def cut_over(platform: Platform, store: FusedStore, shelf: Shelf, *, concurrency: int = 1) -> Report:
    return carry_out(
        parse_route(SPACE, NUMBERS, {"to": "swml", "url": NEW}, None, {}),
        platform,
        policy=ANSWERS_COMPARED,
        protections=shelf.protections(),
        guard_context=CONFIRMED,
        concurrency=concurrency,
        task_state=store,
    )


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_cut_over_killed_at_any_moment_and_started_again_can_be_undone_as_a_whole(concurrency: int) -> None:
    calm = Fuse()
    cut_over(Platform(calm), FusedStore(calm), Shelf(calm), concurrency=concurrency)

    for moment in range(1, calm.burnt + 1):
        fuse = Fuse(moment)
        platform, store, shelf = Platform(fuse), FusedStore(fuse), Shelf(fuse)
        with pytest.raises(Killed):
            cut_over(platform, store, shelf, concurrency=concurrency)
        changed_before = [number for number, url in platform.urls.items() if url == NEW]
        fuse.renew()
        report = cut_over(platform, store, shelf, concurrency=concurrency)

        where = f"killed at moment {moment} of {calm.burnt}"
        assert report.complete, where
        assert set(platform.urls.values()) == {NEW}, where
        assert sorted(platform.puts) == NUMBERS, where
        assert not changed_before or shelf.published, where
        back = parse_restore(SPACE, shelf.load(shelf.published[-1]), None, None)
        carry_out(back, platform, policy=ANSWERS_COMPARED, guard_context=CONFIRMED)
        assert set(platform.urls.values()) == {OLD}, where


def test_the_first_update_goes_alone_and_the_others_side_by_side() -> None:
    fuse = Fuse()
    platform = Platform(fuse)

    cut_over(platform, FusedStore(fuse), Shelf(fuse), concurrency=3)

    assert platform.first_alone is True
    assert platform.most_in_flight == 3
