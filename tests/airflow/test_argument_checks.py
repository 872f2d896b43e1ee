"""Mistakes that are written into a DAG are import errors of its file; templates are left to the task."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_voice_agents.bases.argument_checks import RENAMED
from airflow_voice_agents.polyai import TYPE_ALIASES, types
from airflow_voice_agents.polyai.operators.configs import (
    PolyAIPromoteConfigOperator,
    PolyAIUpdateConfigOperator,
)
from airflow_voice_agents.polyai.operators.deployments import PolyAIPromoteDeploymentOperator
from airflow_voice_agents.polyai.operators.drift import PolyAIDriftOperator
from airflow_voice_agents.polyai.operators.promotion import PolyAIPlanPromotionOperator
from airflow_voice_agents.transport.errors import InputError
from support.airflow_versions import DagBag
from support.emulated import Emulated
from support.operators import public_operators, right_arguments

HOTELS = {"agent_id": "harbour-hotels", "environment": "pre-release"}
LIVE = {"agent_id": "harbour-hotels", "environment": "live"}
SPEC = {"source": HOTELS, "targets": [LIVE], "config": {}}


def annotations(operator: type[BaseOperator]) -> dict[str, str]:
    """Return the annotation of each argument of ours, the subclass's first."""
    found: dict[str, str] = {}
    for base in operator.__mro__:
        constructor = base.__dict__.get("__init__")
        if constructor is None or not base.__module__.startswith("airflow_voice_agents"):
            continue
        for name, parameter in inspect.signature(constructor).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(name, str(parameter.annotation))
    return found


def wrong(operator: type[BaseOperator]) -> list[tuple[str, Any]]:
    """Return each argument that takes only booleans, choices or numbers, with a value that it does not take."""
    found = []
    for name, annotation in annotations(operator).items():
        kinds = {each.strip() for each in annotation.split("|")} - {"None", "Template"}
        if kinds <= {"bool", "Flag"}:
            found.append((name, "yes"))
        elif kinds <= {"int", "float"} and name != "poke_interval":  # which Airflow checks itself
            found.append((name, "5 minutes"))
        elif kinds <= set(TYPE_ALIASES) or annotation.startswith("Literal["):
            found.append((name, "no such choice"))
    return found


CASES = [(each, name, value) for each in public_operators() for name, value in wrong(each)]


@pytest.mark.parametrize(
    ("operator", "name", "value"), CASES, ids=[f"{each.__name__}-{name}" for each, name, _ in CASES]
)
def test_a_wrong_value_is_refused_when_the_operator_is_made(
    operator: type[BaseOperator], name: str, value: Any
) -> None:
    operator(**right_arguments(operator))

    with pytest.raises(InputError, match=rf"{operator.__name__} 'task': .*\b{name} must be "):
        operator(**{**right_arguments(operator), name: value})


def choices_of(operator: Any) -> list[tuple[bool, list[list[str]]]]:
    """Return the alternatives of an operator, each a list of names, and whether one of them is needed."""
    required = [(True, each) for each in operator.exactly_one_of]
    optional = [(False, each) for each in operator.at_most_one_of]
    return [
        (needed, [[group] if isinstance(group, str) else list(group) for group in groups])
        for needed, groups in (*required, *optional)
    ]


ALTERNATIVES = [
    pytest.param(each, needed, groups, id=f"{each.__name__}-{groups[-1][0]}")
    for each in public_operators()
    for needed, groups in choices_of(each)
]


@pytest.mark.parametrize(("operator", "needed", "groups"), ALTERNATIVES)
def test_one_alternative_is_right_and_two_are_refused_when_the_operator_is_made(
    operator: Any, needed: bool, groups: list[list[str]]
) -> None:
    sentence = re.compile(rf"give [^.]*\b{groups[0][0]}\b[^.]*\b{groups[-1][0]}\b")
    others = {
        name: value
        for name, value in right_arguments(operator).items()
        if not any(name in group for group in groups)
    }

    for group in groups:
        assert not sentence.search(problem(operator, others, group))
        assert bool(sentence.search(problem(operator, others, group[1:]))) is needed
    for one, other in combinations(groups, 2):
        assert sentence.search(problem(operator, others, [one[0], other[0]]))
    assert bool(sentence.search(problem(operator, others, []))) is needed


def problem(operator: Any, others: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return why an operator cannot be made with templates in some arguments, or nothing."""
    try:
        operator(**others, **dict.fromkeys(names, "{{ params.x }}"))
    except InputError as error:
        return str(error)
    return ""


def test_every_operator_with_alternatives_is_covered() -> None:
    assert len(ALTERNATIVES) >= 13


def test_every_kind_of_argument_is_covered() -> None:
    assert len(CASES) > 300
    assert {"confirm_live", "dry_run", "merge", "stale_keys", "lock_wait", "environment"} <= {
        name for _, name, _ in CASES
    }


def test_the_texts_of_types_are_those_that_checkers_know() -> None:
    for name, texts in TYPE_ALIASES.items():
        declared = getattr(types, name)
        choices = (
            ast.literal_eval(declared.split("|")[0].strip().removeprefix("Literal"))
            if isinstance(declared, str)
            else get_args(declared)
        )
        assert set(choices) <= set(texts)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"waves": ["10%"]}, "waves"),
        ({"waves": 0.1}, "waves"),
        ({"max_failures": "many"}, "max_failures"),
        ({"max_changed": -1}, "max_changed"),
        ({"freeze": [{"begin": "2026-12-20"}]}, "freeze"),
        (
            {"targets": {**LIVE, "environment": "prod"}},
            "targets.environment must be 'sandbox', 'pre-release' or 'live'",
        ),
        ({"targets": [{**LIVE, "value": {}}]}, "targets\\[0\\] has unknown keys value; allowed are"),
        ({"source": {"agent": "a", "environment": "sandbox"}}, "source has unknown keys agent"),
    ],
    ids=str,
)
def test_limits_and_environments_are_checked_when_the_operator_is_made(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        PolyAIPromoteConfigOperator(**{"task_id": "a", "source": HOTELS, "targets": LIVE, **given})


@pytest.mark.parametrize("operator", [PolyAIPlanPromotionOperator, PolyAIDriftOperator])
def test_a_spec_in_a_dag_is_checked_when_the_operator_is_made(operator: Any) -> None:
    operator(task_id="right", spec=SPEC)
    operator(task_id="template", spec={**SPEC, "source": {**HOTELS, "environment": "{{ params.env }}"}})

    with pytest.raises(InputError, match="configs"):
        operator(task_id="wrong", spec={**SPEC, "configs": {}})


@pytest.mark.parametrize("text", ["{{ params.env }}", "{% if x %}live{% endif %}"])
def test_a_template_is_left_to_the_task(text: str) -> None:
    PolyAIPromoteDeploymentOperator(
        task_id="a", agent_id="rosa", source_environment=text, target_environment=text
    )
    PolyAIPromoteConfigOperator(task_id="b", source={**HOTELS, "environment": text}, targets=[LIVE])


def test_an_argument_that_is_no_template_field_cannot_be_a_template() -> None:
    field = next(name for name in ("merge",) if name not in PolyAIUpdateConfigOperator.template_fields)

    with pytest.raises(InputError, match="merge must be 'deep' or 'replace'"):
        PolyAIUpdateConfigOperator(task_id="a", values={"a": 1}, **{field: "{{ params.merge }}"})


def test_airflow_shows_it_as_an_import_error(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_voice_agents.polyai.operators.configs import PolyAIUpdateConfigOperator\n"
        "with DAG('wrong', schedule=None):\n"
        "    PolyAIUpdateConfigOperator(task_id='update', values={'a': 1}, merge='deeply')\n"
    )

    errors = DagBag(file).import_errors

    assert "merge must be 'deep' or 'replace', not 'deeply'. Did you mean 'deep'?" in errors[str(file)]


@pytest.mark.parametrize(
    ("name", "value"),
    [("dry_run", "yes"), ("dry_run", 1), ("verify", "no"), ("merge", "deeply"), ("allow_backfill", "no")],
)
@pytest.mark.parametrize("expanded", [False, True], ids=["partial", "expanded"])
def test_a_mapped_operator_is_checked_by_its_task_before_any_request(
    polyai: Emulated, name: str, value: Any, expanded: bool
) -> None:
    usual = {"values": {"holiday_message": "Closed"}, "targets": HOTELS}
    mapped = {name: [value]} if expanded else {"targets": [usual.pop("targets")]}
    with DAG("mapped", schedule=None):
        task = PolyAIUpdateConfigOperator.partial(
            task_id="a", retries=3, **usual, **({} if expanded else {name: value})
        ).expand(**mapped)

    outcome = polyai.run(task, map_index=0)

    assert (outcome.state, type(outcome.error)) == ("failed", InputError)
    assert f"PolyAIUpdateConfigOperator 'a': {name} must be " in str(outcome.error)
    assert polyai.requests() == {}


def test_a_mapped_operator_with_right_arguments_is_made() -> None:
    with DAG("mapped", schedule=None):
        mapped = PolyAIUpdateConfigOperator.partial(task_id="a", values={"a": 1}, merge="replace").expand(
            targets=[[LIVE]]
        )

    assert mapped.partial_kwargs["merge"] == "replace"


def test_renamed_attributes_exist() -> None:
    made = PolyAIUpdateConfigOperator(task_id="a", values={"a": 1}, dry_run=True)

    assert {name: getattr(made, attribute) for name, attribute in RENAMED.items()} == {"dry_run": True}


@pytest.mark.parametrize("contents", ["values", "targets"])
def test_an_argument_whose_walk_does_not_end_is_named(contents: str) -> None:
    deep: Any = "end"
    for _ in range(700):
        deep = {"a": deep}
    arguments = {"values": {"a": 1}, "targets": [{"agent_id": "a", "environment": "sandbox"}], contents: deep}

    with pytest.raises(InputError, match=f"{contents} is nested too deeply|unknown keys a"):
        PolyAIUpdateConfigOperator(task_id="t", **arguments).render_template_fields({})
