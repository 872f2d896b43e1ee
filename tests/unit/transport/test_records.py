"""Values that keep a field out of their text form or out of comparisons."""

from __future__ import annotations

import copy
import pickle
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import TypeVar

import msgspec
import pytest
from rich.pretty import pretty_repr

import airflow_voice_agents
from airflow_voice_agents.transport.records import Record

T = TypeVar("T")


class Call(Record, frozen=True):
    not_shown = ("key",)
    not_compared = ("at",)

    name: str
    key: str = ""
    at: float = 0.0


class LongCall(Call, frozen=True):
    seconds: int = 0


def test_the_text_form_leaves_hidden_fields_out() -> None:
    assert repr(Call("one", key="secret")) == "Call(name='one', at=0.0)"
    assert "secret" not in f"{LongCall('one', 'secret')} {[LongCall('one', 'secret')]}"
    assert pretty_repr([Call("one", key="secret")]) == "[Call(name='one', at=0.0)]"


def test_a_field_that_is_not_compared_counts_neither_in_comparisons_nor_in_hashes() -> None:
    assert Call("one", at=1.0) == Call("one", at=2.0)
    assert len({Call("one", at=1.0), Call("one", at=2.0), Call("one", key="k")}) == 2
    assert Call("one") != Call("two")
    assert Call("one") != LongCall("one")
    assert Call("one") != "one"


def test_a_record_is_copied_whole_and_not_changed() -> None:
    call = Call("one", "secret", 3.0)
    for each in (copy.copy(call), copy.deepcopy(call), pickle.loads(pickle.dumps(call))):  # noqa: S301
        assert (each.name, each.key, each.at) == ("one", "secret", 3.0)
    with pytest.raises(AttributeError):
        call.name = "two"  # type: ignore[misc]


def below(kind: type[T]) -> Iterator[type[T]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


@pytest.fixture(scope="module")
def structs() -> list[type[msgspec.Struct]]:
    """All structs of the provider."""
    for module in pkgutil.walk_packages(airflow_voice_agents.__path__, "airflow_voice_agents."):
        if not any(
            part in module.name for part in (".emulator", "__main__", ".fast_connection")
        ):  # the latter's extra
            import_module(module.name)
    return [each for each in below(msgspec.Struct) if each.__module__.startswith("airflow_voice_agents.")]


def test_every_record_names_fields_that_it_has_and_hides_what_its_base_hides(
    structs: list[type[msgspec.Struct]],
) -> None:
    own = [each for each in structs if issubclass(each, Record) and each is not Record]
    assert len(own) > 40
    for each in own:
        assert {*each.not_shown, *each.not_compared} <= {*each.__struct_fields__}, each
        base = each.__mro__[1]
        if issubclass(base, Record):
            assert {*base.not_shown} <= {*each.not_shown}, each
            assert {*base.not_compared} <= {*each.not_compared}, each


def test_a_struct_with_a_text_form_of_its_own_shows_no_more_to_rich(
    structs: list[type[msgspec.Struct]],
) -> None:
    plain = msgspec.Struct.__repr__, msgspec.Struct.__rich_repr__
    own = [each for each in structs if each.__repr__ is not plain[0]]
    assert own
    assert [each for each in own if each.__rich_repr__ is plain[1]] == []
