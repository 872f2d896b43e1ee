"""Environments as files: the same bytes for the same state, read back as they were, strict with people."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.polyai.files import (
    NAMES,
    EnvironmentFiles,
    documents,
    from_documents,
    place,
    refuse_twins,
    shelf_of,
)
from airflow_voice_agents.polyai.resources.config_page import PageState
from airflow_voice_agents.polyai.resources.connector_matching import NamedSettings
from airflow_voice_agents.transport.api_request import path_segment
from airflow_voice_agents.transport.errors import InputError
from support.json_values import bounded, objects

SECRET = "hunter2"
WHERE = "s3://backups/hotel/live"
PAGE = {"schema": {"type": "object"}, "variables": {"b": [1, 1.0, True], "a": "Grüß Gott", "none": None}}
DESK = NamedSettings("Front desk", "Brighton", "en-GB", "en-GB-Neural2-A")
BAR = NamedSettings("Bar")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
pages = st.builds(PageState, st.none() | objects(), st.none() | objects(), st.none() | texts)
connectors = st.builds(
    NamedSettings, texts.filter(bool), st.none() | texts, st.none() | texts, st.none() | texts
)
connector_lists = st.lists(connectors, max_size=4, unique_by=lambda each: each.name).map(
    lambda found: tuple(sorted(found, key=lambda each: each.name))
)
numbers = st.dictionaries(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), texts.filter(bool), max_size=4
)
environments = st.builds(
    EnvironmentFiles, st.none() | pages, st.none() | connector_lists, st.none() | numbers
)


def plain(files: EnvironmentFiles) -> Any:
    page = files.page and [files.page.schema, files.page.variables]
    rows = files.connectors and [[c.name, c.variant, c.asr_lang_code, c.voice_name] for c in files.connectors]
    return [page, rows, files.numbers and dict(files.numbers)]


def backwards(value: Any) -> Any:
    """The same JSON with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in value] if isinstance(value, list) else value


@bounded(300)
@given(environments)
def test_what_is_written_is_read_back_with_its_types(files: EnvironmentFiles) -> None:
    found = from_documents(documents(files), WHERE)

    assert found == files
    assert same(plain(found), plain(files))


@bounded(200)
@given(environments)
def test_what_is_read_is_written_as_it_was(files: EnvironmentFiles) -> None:
    written = documents(files)

    assert documents(from_documents(written, WHERE)) == written
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in written.values())


@bounded(200)
@given(environments)
def test_the_order_of_keys_and_connectors_makes_no_difference(files: EnvironmentFiles) -> None:
    page = files.page and PageState(backwards(files.page.schema), backwards(files.page.variables))
    rows = files.connectors and files.connectors[::-1]
    turned = EnvironmentFiles(page, rows, None if files.numbers is None else backwards(dict(files.numbers)))

    assert documents(turned) == documents(files)


def test_the_files_are_for_people_and_version_control() -> None:
    files = EnvironmentFiles(PageState(PAGE["schema"], PAGE["variables"], "stamp"), (DESK, BAR), {})
    assert documents(files) == {
        "config.json": '{\n  "schema": {\n    "type": "object"\n  },\n  "variables": {\n    "a": "Grüß Gott",\n'
        '    "b": [\n      1,\n      1.0,\n      true\n    ],\n    "none": null\n  }\n}\n',
        "connectors.json": '[\n  {\n    "asr_lang_code": null,\n    "name": "Bar",\n    "variant": null,\n'
        '    "voice_name": null\n  },\n  {\n    "asr_lang_code": "en-GB",\n    "name": "Front desk",\n'
        '    "variant": "Brighton",\n    "voice_name": "en-GB-Neural2-A"\n  }\n]\n',
        "routing.json": "{}\n",
    }


def test_what_was_not_exported_has_no_file_and_an_unset_page_has_one() -> None:
    assert documents(EnvironmentFiles()) == {}
    unset = {"config.json": '{\n  "schema": null,\n  "variables": null\n}\n'}
    assert documents(EnvironmentFiles(PageState())) == unset
    assert from_documents({}, WHERE) == EnvironmentFiles()
    assert from_documents(unset, WHERE) == EnvironmentFiles(PageState())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (EnvironmentFiles(PageState(None, {"a": [math.nan]})), r"^config.json: variables.a\[0\] .*NaN"),
        (EnvironmentFiles(PageState({"x": math.inf}, {})), r"^config.json: schema.x .*infinity"),
        (EnvironmentFiles(PageState(None, {"a": {1: SECRET}})), "^a key of config.json: variables.a must be"),
        (EnvironmentFiles(PageState(None, {"a": "\ud83d"})), "^config.json: variables.a .*surrogate"),
        (
            EnvironmentFiles(connectors=(DESK, BAR, DESK)),
            "^connectors.json: connectors 1 and 3 have the same",
        ),
        (
            EnvironmentFiles(connectors=(NamedSettings(""),)),
            "^connectors.json: connector 1: name must not be",
        ),
        (EnvironmentFiles(numbers={"0800": "Bar"}), "^routing.json: key 1 must be an E.164"),
        (EnvironmentFiles(numbers={"+441632000001": ""}), "^routing.json: connector of .* must not be empty"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(files: EnvironmentFiles, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        documents(files)
    assert SECRET not in str(caught.value)


# -------------------------------------------------------------------------------- read strictly


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("config", [SECRET], "must be a mapping of schema, variables, not list"),
        ("config", {**PAGE, "lastUpdated": SECRET}, "has unknown fields lastUpdated"),
        ("config", {"variables": {}}, "lacks schema; write null"),
        ("config", {**PAGE, "variables": [SECRET]}, ": variables must be a JSON object, not list"),
        ("config", {**PAGE, "schema": SECRET}, ": schema must be a JSON object, not str"),
        ("connectors", {"name": SECRET}, "must be a list of connectors, not dict"),
        (
            "connectors",
            [SECRET],
            ": connector 1 must be a mapping of name, variant, asr_lang_code, voice_name",
        ),
        ("connectors", [{"name": SECRET}], ": connector 1 lacks variant, asr_lang_code, voice_name; write"),
        ("routing", [SECRET], "must be a mapping of numbers to names of connectors, not list"),
        ("routing", {SECRET: "Bar"}, ": key 1 must be an E.164 number"),
        ("routing", {"+441632000001": [SECRET]}, r": connector of \+441632000001 must be a string, not list"),
        ("routing", {"+441632000001": ""}, r": connector of \+441632000001 must not be empty"),
    ],
)
@pytest.mark.parametrize(("ending", "spell"), [("json", json.dumps), ("yaml", yaml.safe_dump)])
def test_a_wrong_file_is_refused_with_its_place_and_without_its_values(
    name: str, value: Any, message: str, ending: str, spell: Any
) -> None:
    with pytest.raises(InputError, match=f"^{WHERE}/{name}.{ending}.*{message}") as caught:
        from_documents({f"{name}.{ending}": spell(value)}, WHERE)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": SECRET}, ": connector 2 has unknown fields id; allowed are name"),
        ({"variant": 5}, ": connector 2: variant must be a string, not int"),
        ({"name": ""}, ": connector 2: name must not be empty"),
        ({"name": None}, ": connector 2: name must be a string, not NoneType"),
        ({"name": "Bar"}, ": connectors 1 and 2 have the same name"),
    ],
)
def test_a_wrong_connector_is_named_by_its_place(change: dict[str, Any], message: str) -> None:
    others = {"variant": None, "asr_lang_code": None, "voice_name": SECRET}
    rows = [{"name": "Bar", **others}, {"name": "Front desk", **others, **change}]

    with pytest.raises(InputError, match=f"^{WHERE}/connectors.json{message}") as caught:
        from_documents({"connectors.json": json.dumps(rows)}, WHERE)
    assert SECRET not in str(caught.value)


def test_a_number_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"routing.json: an object has the key '\+441632000001' twice"):
        from_documents({"routing.json": '{"+441632000001": "A", "+441632000001": "B"}'}, WHERE)


@pytest.mark.parametrize("ending", [".yaml", ".yml"])
def test_people_may_keep_files_as_yaml(ending: str) -> None:
    files = EnvironmentFiles(
        PageState(PAGE["schema"], PAGE["variables"]), (BAR, DESK), {"+441632000001": "Bar"}
    )
    kept = {
        name.replace(".json", ending): yaml.safe_dump(json.loads(text), allow_unicode=True)
        for name, text in documents(files).items()
    }

    assert same(plain(from_documents(kept, WHERE)), plain(files))


@pytest.mark.parametrize("other", ["config.yaml", "config.yml"])
def test_two_formats_of_one_file_are_refused(other: str) -> None:
    twins = f"^{WHERE} would have config.json and {other}: which one counts"
    with pytest.raises(InputError, match=twins):
        from_documents({"config.json": json.dumps(PAGE), other: json.dumps(PAGE)}, WHERE)
    with pytest.raises(InputError, match=twins):
        refuse_twins(["README.md", other, "config.json", "config.json", "routing.json"], WHERE)
    refuse_twins(["config.json", "config.json", "config.md", "routing.yml"], WHERE)


def test_a_file_of_another_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"belong to no export: conifg\.json"):
        from_documents({"conifg.json": "{}"}, WHERE)


# --------------------------------------------------------------------------------------- places


@bounded(300)
@given(
    st.text(max_size=8)
    | st.sampled_from(["..", ".", "../x", "a/b", "a\\b", "%2F", "a%2Fb", "~", "PROJECT-1A"])
)
def test_no_id_leads_out_of_the_folder_or_into_the_place_of_another(agent_id: str) -> None:
    try:
        path_segment("agent_id", agent_id)
    except InputError:
        return
    found = PurePosixPath(place(agent_id, "live"))

    assert len(found.parts) == 2
    assert ".." not in found.parts
    assert place(agent_id, "live") == found.as_posix()
    assert (found.parts[0] == agent_id) is (path_segment("agent_id", agent_id) == agent_id)


@pytest.mark.parametrize(
    ("agent_id", "folder"), [("..", "%2E%2E"), ("a/b", "a%2Fb"), ("a%2Fb", "a%252Fb"), ("hotel-1", "hotel-1")]
)
def test_what_could_be_a_path_is_encoded(agent_id: str, folder: str) -> None:
    assert place(agent_id, "pre-release") == f"{folder}/pre-release"


def test_a_shelf_asks_for_the_files_of_one_place_and_reads_them() -> None:
    asked = []

    def read(folder: str, where: str, names: Any) -> dict[str, str]:
        asked.append((folder, where, set(names)))
        return {
            "routing.json": '{"+441632000001": 5}' if where.startswith("bad") else '{"+441632000001": "Bar"}'
        }

    take = shelf_of(read)

    assert take("s3://backups/", "a b", "live") == EnvironmentFiles(numbers={"+441632000001": "Bar"})
    assert asked == [("s3://backups/", "a%20b/live", set(NAMES))]
    with pytest.raises(InputError, match=r"^s3://backups/bad/live/routing\.json"):
        take("s3://backups/", "bad", "live")
