"""Promotions as people write them: every mistake told by its place, and a target's own words laid over the rest."""

from __future__ import annotations

import json
import sys
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_voice_agents.bases.template_inputs import from_yaml
from airflow_voice_agents.plans.canonical import same
from airflow_voice_agents.polyai import NEVER_PROMOTE
from airflow_voice_agents.polyai.models import Environment
from airflow_voice_agents.polyai.resources.config_plan import StaleKeys
from airflow_voice_agents.polyai.resources.connector import SETTINGS
from airflow_voice_agents.polyai.spec import PromotionSpec, SourceSpec
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.model_errors import PROBLEMS_SHOWN
from support.json_values import bounded, objects

SECRET = "hunter2"
NUMBER = "+441632960001"
SANDBOX = {"agent_id": "hotel", "environment": "sandbox"}
LIVE = {"agent_id": "hotel", "environment": "live"}
OTHER = {"agent_id": "spa", "environment": "live"}

WHOLE = f"""
source: {{agent_id: hotel, environment: pre-release}}
targets:
  - {{agent_id: hotel, environment: live}}
  - agent_id: spa
    environment: prerelease
    source: {{folder: "s3://bucket/export"}}
    overrides: {{settings: {{opens: 17:30, pin: {SECRET}}}}}
    connectors: {{names: ["main*"], renamed: {{main: spa main}}, variants: {{day: null}}}}
    routing: {{numbers: {{"{NUMBER}": spa main}}}}
    moves: [{{connector_id: CONN-1, from_agent_id: hotel, variant: day, allow_live: true}}]
config:
  include_keys: [settings.*, hours]
  exclude_keys: ["**.test_*"]
  overrides: {{settings: {{currency: EUR}}}}
  stale_keys: keep
  promote_schema: false
connectors: {{settings: [voice_name], renamed: {{side: other side}}}}
routing: {{}}
never_promote: ["**.mock_*"]
allow_skip_pre_release: true
"""


def parse(text: str) -> PromotionSpec:
    return PromotionSpec.parse(from_yaml(text, name="spec"))


def spec(*targets: dict[str, Any], **sections: Any) -> PromotionSpec:
    return PromotionSpec.parse(
        {"source": SANDBOX, "config": {}, **sections, "targets": list(targets) or [LIVE]}
    )


def refusal(value: Any) -> str:
    with pytest.raises(InputError) as caught:
        PromotionSpec.parse(value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def promotion(*targets: Any, **sections: Any) -> dict[str, Any]:
    return {"source": SANDBOX, "config": {}, **sections, "targets": list(targets) or [LIVE]}


# --------------------------------------------------------------------------------------- what is read


OWN = {"environment": "pre-release"}
FLEET = [LIVE, OTHER]


def test_a_source_without_an_agent_means_each_targets_own() -> None:
    asked = spec(*FLEET, source=OWN)
    found = [asked.source_of(target) for target in asked.targets]
    assert [(each.agent_id, each.environment) for each in found if each] == [
        ("hotel", Environment.PRE_RELEASE),
        ("spa", Environment.PRE_RELEASE),
    ]
    assert asked.plain()["source"] == OWN
    assert PromotionSpec.parse(asked.plain()) == asked


def test_a_targets_own_source_may_leave_the_agent_out() -> None:
    asked = spec({**OTHER, "source": OWN})
    source = asked.source_of(asked.targets[0])
    assert source is not None
    assert (source.agent_id, source.environment) == ("spa", Environment.PRE_RELEASE)


def test_a_deployment_may_come_from_each_targets_own_agent() -> None:
    assert len(spec(*FLEET, source=OWN, deployment={}).targets) == 2
    assert "takes a deployment from elsewhere" in refusal(promotion(*FLEET, deployment={}))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"environment": "live"}, "hotel/live is its own source; spa/live is its own source"),
        ({"environment": "staging"}, "source.environment: it must be"),
        ({"agent_id": None, "environment": "sandbox"}, "leave it out to take from each target's own agent"),
        ({}, "environment alone for each target's own agent"),
        ({"agent_id": "hotel"}, "environment alone for each target's own agent"),
    ],
)
def test_a_source_without_an_agent_is_checked_like_any_other(source: Any, told: str) -> None:
    assert told in refusal(promotion(*FLEET, source=source))


def test_everything_that_can_be_said_is_read() -> None:
    found = parse(WHOLE)
    first, second = found.targets
    assert (first.name, second.name) == ("hotel/live", "spa/pre-release")
    assert second.environment is Environment.PRE_RELEASE
    assert second.overrides == {"settings": {"opens": "17:30", "pin": SECRET}}
    assert second.connectors is not None
    assert second.connectors.variants == {"day": None}
    (move,) = second.moves
    assert (move.connector_id, move.from_agent_id, move.variant, move.allow_live) == (
        *("CONN-1", "hotel", "day"),
        True,
    )
    assert found.config is not None
    assert found.config.include_keys == ("settings.*", "hours")
    assert found.config.stale_keys is StaleKeys.KEEP
    assert (found.config.promote_schema, found.config.bridge_schema) == (False, False)
    assert found.never_promote == ("**.mock_*",)
    assert found.allow_skip_pre_release
    assert found.deployment is None


def test_json_says_the_same() -> None:
    assert parse(json.dumps(yaml.safe_load(WHOLE.replace("17:30", '"17:30"')))) == parse(WHOLE)


def test_what_is_not_said_is_careful() -> None:
    found = spec(LIVE, connectors={}, deployment={}, routing={})
    assert found.never_promote == NEVER_PROMOTE
    assert not found.allow_skip_pre_release
    assert found.config is not None
    assert found.config.promote_schema
    assert not found.config.bridge_schema
    assert not found.config.allow_empty_source
    assert found.config.stale_keys is None
    assert found.connectors is not None
    assert (found.connectors.names, found.connectors.settings) == (("*",), SETTINGS)
    assert found.deployment is not None
    assert not found.deployment.allow_downgrade
    assert found.deployment.deployment_model is None


def test_any_mapping_is_read_and_no_other_value() -> None:
    assert PromotionSpec.parse(MappingProxyType(promotion())) == spec()
    for value in (None, [], "x", 5):
        assert refusal(value) == f"spec must be a mapping, not {type(value).__name__}"
    with pytest.raises(InputError, match=r"^the plan's promotion must be a mapping"):
        PromotionSpec.parse(None, name="the plan's promotion")


def test_what_was_read_stays_as_it_is() -> None:
    overrides = {"settings": {"a": [1]}}
    found = spec(config={"overrides": overrides})
    overrides["settings"]["a"].append(2)
    assert found.overrides_of(found.targets[0]) == {"settings": {"a": [1]}}
    with pytest.raises(ValueError, match="frozen"):
        found.allow_skip_pre_release = True  # type: ignore[misc]


def test_values_are_not_shown() -> None:
    assert SECRET not in repr(parse(WHOLE))


# ---------------------------------------------------------------------------------------- mistakes

PLACES: list[tuple[str, dict[str, Any]]] = [
    ("targets[0].agent_id", promotion({**LIVE, "agent_id": f"{SECRET}/"})),
    ("targets[0].agent_id", promotion({**LIVE, "agent_id": 73})),
    ("targets[0].agent_id", promotion({"environment": "live"})),
    ("targets[0].environment", promotion({**LIVE, "environment": SECRET})),
    ("targets[1].environment", promotion(LIVE, {**OTHER, "environment": ["live"]})),
    ("targets[0]", promotion(SECRET)),
    ("targets", {**promotion(), "targets": SECRET}),
    ("targets", {**promotion(), "targets": []}),
    ("targets", {"config": {}}),
    ("targets[0].overrides", promotion({**LIVE, "overrides": SECRET})),
    ("targets[0].overrides: it.a[1]", promotion({**LIVE, "overrides": {"a": [SECRET, {1}]}})),
    ("targets[0].overrides: it.a", promotion({**LIVE, "overrides": {"a": float("nan")}})),
    ("targets[0].moves[0].connector_id", promotion({**LIVE, "moves": [{"from_agent_id": SECRET}]})),
    ("targets[0].moves[0].allow_live", promotion({**LIVE, "moves": [{"allow_live": SECRET}]})),
    ("targets[0].routing.numbers", promotion({**LIVE, "routing": {"numbers": [SECRET]}})),
    (f"routing.numbers.{NUMBER}", promotion(routing={"numbers": {NUMBER: [SECRET]}})),
    ("routing.numbers.0800", promotion(routing={"numbers": {"0800": SECRET}})),
    ("routing.numbers[441632960001]", promotion(routing={"numbers": {441632960001: SECRET}})),
    ("source", promotion(source=SECRET)),
    ("source", promotion(source={"agent_id": "hotel"})),
    ("source.folder", promotion(source={"folder": ""})),
    ("source.environment", promotion(source={"folder": "x", "environment": SECRET})),
    ("config", promotion(config=SECRET)),
    ("config.include_keys", promotion(config={"include_keys": SECRET})),
    ("config.exclude_keys[1]", promotion(config={"exclude_keys": ["a", f"{SECRET}..b"]})),
    ("config.stale_keys", promotion(config={"stale_keys": SECRET})),
    ("config.promote_schema", promotion(config={"promote_schema": SECRET})),
    ("config.promote_schema", promotion(config={"promote_schema": 1})),
    ("config.overrides", promotion(config={"overrides": [SECRET]})),
    ("config.overrides: it.deep", promotion(config={"overrides": {"deep": object()}})),
    ("config.ovverides", promotion(config={"ovverides": SECRET})),
    ("connectors.names", promotion(connectors={"names": SECRET})),
    ("connectors.names[0]", promotion(connectors={"names": [""]})),
    ("connectors.settings[0]", promotion(connectors={"settings": [SECRET]})),
    ("connectors.renamed.main", promotion(connectors={"renamed": {"main": 73}})),
    ("connectors.variants.day", promotion(connectors={"variants": {"day": [SECRET]}})),
    ("deployment.deployment_model", promotion(deployment={"deployment_model": SECRET})),
    ("deployment.expected_version", promotion(deployment={"expected_version": 7.3})),
    ("never_promote", promotion(never_promote=SECRET)),
    ("allow_skip_pre_release", promotion(allow_skip_pre_release=SECRET)),
    ("configs", promotion(configs=SECRET)),
    ("[5]", {**promotion(), 5: SECRET}),
]


@pytest.mark.parametrize(
    ("place", "value"), PLACES, ids=[f"{n} {place}" for n, (place, _) in enumerate(PLACES)]
)
def test_every_mistake_is_told_by_its_place_and_shows_no_value(place: str, value: dict[str, Any]) -> None:
    said = refusal(value)
    assert said.startswith("spec is not a promotion: ")
    assert any(part.startswith(place) for part in said.removeprefix("spec is not a promotion: ").split("; "))
    assert SECRET not in said
    assert "73" not in said
    assert "7.3" not in said


def test_all_mistakes_are_told_at_once_and_nothing_that_follows_from_them() -> None:
    said = refusal(promotion({**LIVE, "agent_id": ""}, {**LIVE, "environment": "x"}, never_promote=["a.."]))
    assert said.count("; ") == 2
    assert said.count("targets") == 2


def test_of_many_mistakes_the_first_are_told_and_the_rest_counted() -> None:
    wrong = [{"agent_id": f"a{number}", "environment": "x"} for number in range(PROBLEMS_SHOWN + 4)]
    said = refusal(promotion(*wrong))
    assert said.count("environment: it must be") == PROBLEMS_SHOWN
    assert said.endswith("; and 4 more")


def test_what_is_no_number_is_named_as_its_place_and_not_again() -> None:
    assert refusal(promotion(routing={"numbers": {"0800": "main"}})).count("0800") == 1


def test_a_number_without_quotes_is_explained() -> None:
    with pytest.raises(InputError, match=r"routing\.numbers\[441632960001\].*put it in quotes"):
        parse("targets: [{agent_id: a, environment: live}]\nrouting: {numbers: {441632960001: main}}")


# -------------------------------------------------------------------------- what does not go together

INCOHERENT: list[tuple[str, dict[str, Any]]] = [
    ("targets names hotel/live twice", promotion(LIVE, OTHER, LIVE)),
    (
        "targets names hotel/pre-release twice",
        promotion(*({**LIVE, "environment": word} for word in ("prerelease", "pre-release"))),
    ),
    ("nothing is promoted to hotel/live: add a section, for instance config: {}", promotion(config=None)),
    ("hotel/live has no source to take config from", promotion(source=None)),
    (
        "hotel/live has no source to take connectors, deployment from",
        promotion({**LIVE, "connectors": {}}, source=None, config=None, deployment={}),
    ),
    (
        "hotel/live has overrides, but no config is promoted: add config: {}",
        promotion({**LIVE, "overrides": {"a": SECRET}}, config=None, routing={}),
    ),
    ("hotel/sandbox is its own source", promotion(SANDBOX)),
    ("hotel/live is its own source", promotion({**LIVE, "source": LIVE})),
    ("spa/live takes a deployment from elsewhere", promotion(OTHER, deployment={})),
    ("spa/live takes a deployment from elsewhere", promotion({**OTHER, "deployment": {}})),
    ("hotel/live takes a deployment from elsewhere", promotion(deployment={}, source={"folder": "f"})),
]


@pytest.mark.parametrize(("said", "value"), INCOHERENT)
def test_what_does_not_go_together_is_told(said: str, value: dict[str, Any]) -> None:
    assert refusal(value).startswith(f"spec is not a promotion: {said}")
    assert SECRET not in refusal(value)


def test_everything_that_does_not_go_together_is_told_at_once() -> None:
    said = refusal(promotion(SANDBOX, OTHER, OTHER, deployment={}))
    assert "targets names spa/live twice" in said
    assert "hotel/sandbox is its own source" in said
    assert "spa/live takes a deployment" in said
    many = [{"agent_id": f"a{number}", "environment": "live"} for number in range(PROBLEMS_SHOWN + 2)]
    assert refusal(promotion(*many, deployment={})).endswith("; and 2 more")


@pytest.mark.parametrize(
    "value",
    [
        promotion(source=None, config=None, routing={"numbers": {NUMBER: "main"}}),
        promotion(
            {**LIVE, "moves": [{"connector_id": "c", "from_agent_id": "spa"}]}, source=None, config=None
        ),
        promotion({**LIVE, "source": SANDBOX}, source=None),
        promotion({**LIVE, "connectors": {}}, config=None),
        promotion(LIVE, source={"folder": "f", **LIVE}),
        promotion(LIVE, {**LIVE, "environment": "pre-release"}),
        promotion(deployment={}),
    ],
)
def test_what_goes_together_is_let_through(value: dict[str, Any]) -> None:
    assert PromotionSpec.parse(value).targets[0].name == "hotel/live"


# --------------------------------------------------------------------------------------- laying over


def test_a_targets_values_are_laid_over_those_for_all_object_by_object() -> None:
    own = {"settings": {"b": [2], "c": None}, "hours": "9-5"}
    found = spec(
        {**LIVE, "overrides": own}, OTHER, config={"overrides": {"settings": {"a": 1, "b": [1]}, "x": 1}}
    )
    assert found.overrides_of(found.targets[0]) == {
        "settings": {"a": 1, "b": [2], "c": None},
        "x": 1,
        "hours": "9-5",
    }
    assert found.overrides_of(found.targets[1]) == {"settings": {"a": 1, "b": [1]}, "x": 1}
    assert spec(config=None, routing={}).overrides_of(found.targets[1]) == {}


def test_a_targets_connectors_are_laid_over_those_for_all() -> None:
    shared = {
        "names": ["main*"],
        "settings": ["voice_name"],
        "renamed": {"a": "b", "c": "d"},
        "variants": {"x": "y", "q": "r"},
    }
    own = {"settings": ["variant_id"], "renamed": {"a": "z"}, "variants": {"x": None, "v": "w"}}
    found = spec({**LIVE, "connectors": own}, OTHER, connectors=shared)
    mine = found.connectors_of(found.targets[0])
    assert mine is not None
    assert (mine.names, mine.settings) == (("main*",), ("variant_id",))
    assert mine.renamed == {"a": "z", "c": "d"}
    assert mine.variants == {"x": None, "q": "r", "v": "w"}
    assert found.connectors_of(found.targets[1]) == found.connectors
    assert spec().connectors_of(found.targets[1]) is None
    alone = spec({**LIVE, "connectors": own}, OTHER)
    assert alone.connectors_of(alone.targets[0]) == alone.targets[0].connectors


def test_a_targets_numbers_are_laid_over_those_for_all() -> None:
    second = "+441632960002"
    own = {"numbers": {NUMBER: "night", second: "day"}}
    found = spec({**LIVE, "routing": own}, OTHER, routing={"numbers": {NUMBER: "main"}})
    first, other = (found.routing_of(target) for target in found.targets)
    assert first is not None
    assert first.numbers == {NUMBER: "night", second: "day"}
    assert other == found.routing
    assert spec().routing_of(found.targets[1]) is None


def test_a_targets_pins_are_laid_over_those_for_all_even_where_they_say_what_holds_anyway() -> None:
    shared = {"expected_version": "v1", "allow_downgrade": True, "message": "for all"}
    found = spec(
        {**LIVE, "deployment": {"allow_downgrade": False, "expected_target_version": "v0"}},
        {**LIVE, "environment": "pre-release"},
        deployment=shared,
    )
    mine, other = (found.deployment_of(target) for target in found.targets)
    assert mine is not None
    assert mine.model_dump() == {
        "expected_version": "v1",
        "expected_target_version": "v0",
        "allow_downgrade": False,
        "deployment_model": None,
        "message": "for all",
        "tests": None,
    }
    assert other == found.deployment
    assert spec().deployment_of(found.targets[0]) == found.targets[0].deployment


# ------------------------------------------------------------------------------------------- sources


def test_a_target_takes_from_its_own_source_or_from_that_of_all() -> None:
    found = spec(LIVE, {**OTHER, "source": {"agent_id": "pool", "environment": "live"}})
    assert found.source_of(found.targets[0]) == SourceSpec(agent_id="hotel", environment=Environment.SANDBOX)
    assert found.source_of(found.targets[1]) == SourceSpec(agent_id="pool", environment=Environment.LIVE)
    moved = spec({**LIVE, "routing": {}}, source=None, config=None)
    assert moved.source_of(moved.targets[0]) is None
    assert found.folders == set()


@pytest.mark.parametrize(
    ("named", "agent", "environment"),
    [
        ({}, "hotel", "live"),
        ({"agent_id": "spa"}, "spa", "live"),
        ({"environment": "sandbox"}, "hotel", "sandbox"),
        ({"agent_id": "spa", "environment": "sandbox"}, "spa", "sandbox"),
    ],
)
def test_files_are_the_targets_own_unless_others_are_named(
    named: dict[str, str], agent: str, environment: str
) -> None:
    found = spec(LIVE, source={"folder": "s3://bucket/x", **named})
    source = found.source_of(found.targets[0])
    assert source == SourceSpec(folder="s3://bucket/x", agent_id=agent, environment=Environment(environment))
    assert found.folders == {"s3://bucket/x"}


# ------------------------------------------------------------------------------- what it says of itself


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (promotion(), False),
        (promotion(config={"overrides": {}}), False),
        (promotion({**LIVE, "overrides": {}}), False),
        (promotion(config={"overrides": {"a": None}}), True),
        (promotion(OTHER, {**LIVE, "overrides": {"a": 1}}), True),
        (promotion(connectors={"renamed": {"a": "b"}}, routing={"numbers": {NUMBER: "x"}}), False),
    ],
)
def test_a_promotion_knows_whether_values_are_written_down_in_it(
    value: dict[str, Any], *, holds: bool
) -> None:
    found = PromotionSpec.parse(value)
    assert found.holds_values is holds
    assert holds == ("overrides" in json.dumps(found.plain()).replace('"overrides": {}', ""))


def test_a_promotion_knows_whether_it_writes_live() -> None:
    assert spec(LIVE).writes_live
    assert not spec({**LIVE, "environment": "pre_release"}).writes_live


# ---------------------------------------------------------------------------------- there and back

NAMES = st.sampled_from(["hotel", "spa", "pool"])
TEXTS = st.sampled_from(["main", "day", "v1", "*"])


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=fields)


SOURCES = st.one_of(
    st.fixed_dictionaries(
        {"agent_id": st.just("elsewhere"), "environment": st.sampled_from(list(Environment))}
    ),
    st.builds(lambda more: {"folder": "s3://bucket/x", **more}, section(agent_id=NAMES)),
)
CONNECTORS = section(
    names=st.lists(TEXTS, max_size=2),
    settings=st.lists(st.sampled_from(SETTINGS), max_size=3),
    renamed=st.dictionaries(TEXTS, TEXTS, max_size=2),
    variants=st.dictionaries(TEXTS, st.none() | TEXTS, max_size=2),
)
ROUTING = section(numbers=st.dictionaries(st.sampled_from([NUMBER, "+441632960002"]), TEXTS))
DEPLOYMENT = section(
    expected_version=st.none() | TEXTS,
    allow_downgrade=st.booleans(),
    deployment_model=st.sampled_from(["ladder", "branches", "auto", "simplified", None]),
    message=st.text(max_size=3),
)
TARGETS = st.lists(
    st.fixed_dictionaries(
        {"agent_id": NAMES, "environment": st.sampled_from(["sandbox", "pre_release", "live"])},
        optional={
            "source": SOURCES,
            "overrides": objects(),
            "connectors": st.none() | CONNECTORS,
            "routing": ROUTING,
            "moves": st.lists(
                st.fixed_dictionaries(
                    {"connector_id": TEXTS, "from_agent_id": NAMES},
                    optional={"variant": st.none() | TEXTS, "allow_live": st.booleans()},
                ),
                max_size=1,
            ),
        },
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: (each["agent_id"], each["environment"]),
)
SPECS = st.fixed_dictionaries(
    {
        "source": SOURCES,
        "targets": TARGETS,
        "config": section(overrides=objects(), bridge_schema=st.booleans()),
    },
    optional={
        "connectors": CONNECTORS,
        "routing": st.none() | ROUTING,
        "never_promote": st.sampled_from([[], list(NEVER_PROMOTE), ["a.*"]]),
        "allow_skip_pre_release": st.booleans(),
    },
)
DEPLOYMENTS = st.fixed_dictionaries(
    {
        "source": st.just(SANDBOX),
        "targets": st.lists(
            st.fixed_dictionaries(
                {"agent_id": st.just("hotel"), "environment": st.sampled_from(["pre-release", "live"])},
                optional={"deployment": DEPLOYMENT},
            ),
            min_size=1,
            unique_by=lambda each: each["environment"],
        ),
        "deployment": DEPLOYMENT,
    }
)


@bounded(250)
@given(SPECS | DEPLOYMENTS)
def test_a_promotion_that_was_kept_as_json_promotes_the_same(value: dict[str, Any]) -> None:
    found = PromotionSpec.parse(value)
    kept = json.loads(json.dumps(found.plain()))
    back = PromotionSpec.parse(kept)
    assert back == found
    assert same(back.plain(), found.plain())
    assert back.holds_values is found.holds_values
    for one, other in zip(found.targets, back.targets, strict=True):
        assert found.source_of(one) == back.source_of(other)
        assert same(found.overrides_of(one), back.overrides_of(other))
        assert found.connectors_of(one) == back.connectors_of(other)
        assert found.routing_of(one) == back.routing_of(other)
        assert found.deployment_of(one) == back.deployment_of(other)


@bounded(100)
@given(SPECS | DEPLOYMENTS)
def test_yaml_and_json_text_mean_what_the_mapping_means(value: dict[str, Any]) -> None:
    found = PromotionSpec.parse(value)
    assert parse(json.dumps(found.plain())) == found
    assert same(parse(json.dumps(found.plain(), indent="\t")).plain(), found.plain())


# ------------------------------------------------------------------------------------------- size


def test_twice_as_many_targets_are_twice_the_work_and_no_more() -> None:
    def steps(count: int) -> int:
        """Calls of Python functions that parsing makes and that asking for every target makes."""
        targets = [{"agent_id": f"a{number}", "environment": "live"} for number in range(count)]
        value = promotion(*targets, connectors={"renamed": {"a": "b"}}, routing={"numbers": {NUMBER: "main"}})
        calls = 0

        def count_call(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count_call)
        try:
            found = PromotionSpec.parse(value)
            for target in found.targets:
                found.source_of(target), found.overrides_of(target), found.connectors_of(target)
        finally:
            sys.setprofile(None)
        assert len(found.targets) == count
        return calls

    steps(10)  # whatever is made on first use
    assert steps(5000) <= 2.05 * steps(2500)
