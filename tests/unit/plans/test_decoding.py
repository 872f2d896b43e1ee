"""JSON and YAML from people's hands: read as meant, refused without showing what they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.plans.decoding import YAML_LIMITS, decode_json, decode_text, decode_yaml
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.strict_json import Limits
from support.json_values import JSON, bounded

SECRET = "hunter2"


@bounded(200)
@given(JSON)
def test_json_is_read_with_its_types(value: Any) -> None:
    assert same(decode_json(json.dumps(value), where="it"), value)


@bounded(200)
@given(JSON)
def test_what_a_yaml_library_writes_means_the_same(value: Any) -> None:
    assert same(decode_yaml(yaml.safe_dump(value, allow_unicode=True), where="it"), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"a": "{SECRET}"', "is not JSON \\(line 1, column"),
        (f'{{"b": {{"a": "{SECRET}", "a": 1}}}}', "has the key 'a' twice"),
        ('{"a": NaN}', "NaN and infinities"),
        ('{"a": -Infinity}', "NaN and infinities"),
        ("", "is not JSON"),
        ("1" * 5000, "cannot be read|can be read"),
        ("[" * 100_000, "can be read"),
    ],
)
def test_bad_json_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^a/config.json.*({message})") as caught:
        decode_json(text, where="a/config.json")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("open: 17:30", {"open": "17:30"}),
        ("country: no", {"country": "no"}),
        ("day: 2026-12-24", {"day": "2026-12-24"}),
        ("code: 0123", {"code": "0123"}),
        ("size: 1_000", {"size": "1_000"}),
        ("+441632000001: Front desk", {"+441632000001": "Front desk"}),
        ("a: 1\nb: 1.0\nc: 1e3\nd: -2\ne: true\nf: null\ng: ~\nh:", None),
        ("'a': '1'", {"a": "1"}),
        ("text: Grüß Gott", {"text": "Grüß Gott"}),
    ],
)
def test_plain_scalars_of_yaml_mean_what_they_mean_in_json(text: str, value: Any) -> None:
    named = {"a": 1, "b": 1.0, "c": 1000.0, "d": -2, "e": True, "f": None, "g": None, "h": None}

    assert same(decode_yaml(text, where="it"), named if value is None else value)


def test_anchors_and_merges_of_yaml_work_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 1}\nb: {deep: {deeper: &b {<<: *a, y: 2}}}\nc: {<<: *b, y: 3}"

    found = decode_yaml(text, where="it")

    assert (found["b"]["deep"]["deeper"], found["c"]) == ({"x": 1, "y": 2}, {"x": 1, "y": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {SECRET}\nb: 1\na: 2", "has a key twice \\(line 3, column 1\\)"),
        (f"a: [{SECRET}", "is not YAML that can be read \\(line"),
        (f"a: !!python/object/apply:os.system [{SECRET}]", "is not YAML that can be read"),
        (f"a: !{SECRET} 1", "is not YAML that can be read"),
        (f"a: *{SECRET}", "is not YAML that can be read"),
        ("a: 1\n---\nb: 2", "is not YAML that can be read"),
        ("a: \x01", "is not YAML that can be read"),
        ("? [a]\n: 1", "is not YAML that can be read"),
        ("[" * 5000, "is not YAML that can be read"),
        ("a: " + "1" * 5000, "is not YAML that can be read"),
    ],
)
def test_bad_yaml_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^a/config.yaml.*{message}") as caught:
        decode_yaml(text, where="a/config.yaml")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


# ------------------------------------------------------------------------------------------- limits


def chain(error: BaseException | None) -> list[BaseException]:
    """An error with everything that hangs on it."""
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize(
    ("decode", "text"),
    [
        (decode_json, f'{{"a": "{SECRET}"'),
        (decode_json, f'{{"a": "{SECRET}", "a": 1}}'),
        (decode_json, f'["{SECRET}", NaN]'),
        (decode_json, f'["{SECRET}", 1e999]'),
        (decode_yaml, f"a: [{SECRET}"),
        (decode_yaml, f"a: {SECRET}\na: 1"),
        (decode_yaml, f"a: !!int {SECRET}"),
        (decode_yaml, f"a: \x07{SECRET}"),
        (decode_yaml, f"{SECRET}: *{SECRET}"),
    ],
)
def test_nothing_that_hangs_on_an_error_holds_the_text(decode: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        decode(text, where="it")
    for error in chain(caught.value):
        assert SECRET not in f"{error} {error.args} {vars(error)}"
        assert isinstance(error, InputError)


SMALL = Limits(size=2_000, nodes=50, depth=10, aliases=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" + "1," * 60 + "1]", "more than 50 values"),
        (json.dumps({str(key): [] for key in range(60)}), "more than 50 values"),
        ("[" * 11 + "]" * 11, "more than 10 levels"),
        ('{"a":' * 11 + "1" + "}" * 11, "more than 10 levels"),
        (json.dumps("x" * 2_000), "more than 2,000 bytes"),
        (json.dumps("ü" * 1_500, ensure_ascii=False), "more than 2,000 bytes"),
    ],
)
def test_json_beyond_a_limit_is_refused_before_it_is_built(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(json, "loads", lambda text, **_: built.append(text))
    with pytest.raises(InputError, match=f"^a.json is not JSON that can be read: it has {message}"):
        decode_json(text, where="a.json", limits=SMALL)
    assert not built


def test_signs_inside_of_strings_are_no_values() -> None:
    assert decode_json(json.dumps(['[[[[[[[[[[[[,,\\"' * 20]), where="it", limits=SMALL)


def test_as_much_as_a_limit_allows_is_read() -> None:
    assert decode_json("[" * 10 + "]" * 10, where="it", limits=SMALL)
    assert len(decode_json(json.dumps(list(range(50))), where="it", limits=SMALL)) == 50
    assert decode_yaml("[" * 10 + "]" * 10, where="it", limits=SMALL)
    assert len(decode_yaml(str(list(range(49))), where="it", limits=SMALL)) == 49


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{{name}: 1, <<: [*{before}, *{before}, *{before}, *{before}]}}\n"
    for before, name in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)


@pytest.mark.parametrize(
    ("text", "limits", "message"),
    [
        (LAUGHS, YAML_LIMITS, "more than 200,000 values, those that aliases repeat included"),
        (MERGES, YAML_LIMITS, "more than 200,000 values"),
        (str(list(range(60))), SMALL, "more than 50 values"),
        ("[" * 11 + "]" * 11, SMALL, "more than 10 levels"),
        ("".join(f"{' ' * place}a:\n" for place in range(12)), SMALL, "more than 10 levels"),
        ("a: &a 1\nb: [*a, *a, *a, *a, *a, *a]", SMALL, "more than 5 aliases"),
        ("a: " + "x" * 2_000, SMALL, "more than 2,000 bytes"),
        ("[" * 4_000_000, YAML_LIMITS, "more than 100 levels"),
    ],
)
def test_yaml_beyond_a_limit_is_refused_as_such(text: str, limits: Limits, message: str) -> None:
    with pytest.raises(InputError, match=f"^a.yaml is not YAML that can be read: it has {message}"):
        decode_yaml(text, where="a.yaml", limits=limits)


def test_of_a_bomb_no_more_nodes_are_composed_than_its_text_has(monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    compose = yaml.composer.Composer.compose_node

    def counted(self: Any, parent: Any, index: Any) -> Any:
        composed.append(1)
        return compose(self, parent, index)

    monkeypatch.setattr(yaml.composer.Composer, "compose_node", counted)
    with pytest.raises(InputError, match="aliases repeat"):
        decode_yaml(LAUGHS, where="it")
    assert len(composed) < 100


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: [1, *a]}", "&a {<<: *a}"])
def test_a_value_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not YAML that can be read"):
        decode_yaml(text, where="it")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1, "a": 2}', r"\(line 1, column 10\)"),
        ('{\n  "b": {"a": 1},\n  "c": [{"a": 1}, {"a": 1,\n  "\\u0061": 2}]\n}', r"\(line 4, column 3\)"),
        ('{"a,{": "]", "b": "\\"", "b": 1}', r"\(line 1, column 25\)"),
    ],
)
def test_a_repeated_key_of_json_is_found(text: str, place: str) -> None:
    with pytest.raises(InputError, match=f"twice {place}$"):
        decode_json(text, where="it")


def test_quotes_without_an_end_are_searched_once() -> None:
    text = '"' + '\\"' * 300_000
    with pytest.raises(InputError, match="is not JSON"):
        decode_json(text, where="it")


# ------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_text_is_read_in_every_unicode_encoding(encoding: str) -> None:
    assert decode_text("a: Grüß – €".encode(encoding), where="it") == "a: Grüß – €"


def test_windows_1252_is_read_in_tables_only() -> None:
    content = "09:00–18:00, Zürich".encode("cp1252")
    assert decode_text(content, where="it", legacy=True) == "09:00–18:00, Zürich"
    with pytest.raises(
        InputError, match=r"^a.yaml is not UTF-8 \(byte 5\), line 1; save it as UTF-8$"
    ) as caught:
        decode_text(content, where="a.yaml")
    assert len(chain(caught.value)) == 1


@pytest.mark.parametrize("content", [b"\x81\x8d", b"\xff\xfe\x00", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^a.csv .*save it as"):
        decode_text(content, where="a.csv", legacy=True)
