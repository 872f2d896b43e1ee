"""The public operators and sensors of the package, found by walking it."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

import airflow_voice_agents

PACKAGE = Path(airflow_voice_agents.__file__).parent
BASE = re.compile(r"^(PolyAI|SignalWire|OmniaVoice)(Writing|Restoring)?(Operator|Sensor)$")


@cache
def public_operators() -> tuple[type[BaseOperator], ...]:
    """Return every operator and sensor that a DAG can use, of all systems."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "emulator" in path.parts or not {"operators", "sensors"} & {*path.parts, path.stem}:
            continue
        module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        found += [
            each
            for name, each in vars(module).items()
            if inspect.isclass(each) and each.__module__ == module.__name__ and not name.startswith("_")
        ]
    return tuple(each for each in found if issubclass(each, BaseOperator) and not BASE.match(each.__name__))


REQUIRED: dict[str, Any] = {
    **dict.fromkeys(("source_environment", "environment"), "pre-release"),
    **dict.fromkeys(("target_environment", "client_env"), "live"),
    **dict.fromkeys(("max_numbers", "count"), 1),
    "until": "drift",
}


def right_arguments(operator: type[BaseOperator], chosen: str = "") -> dict[str, Any]:
    """Return right values of the arguments that have no default, and a task id.

    :param operator: its class.
    :param chosen: argument that is to be given; of alternatives it is taken in place of the first one.
    """
    first: dict[str, inspect.Parameter] = {}
    for base in operator.__mro__:
        for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
            if parameter.kind is parameter.KEYWORD_ONLY:
                first.setdefault(name, parameter)  # a subclass can have a default for what its base needs
    found = {name: REQUIRED.get(name, "x") for name, each in first.items() if each.default is each.empty}
    for choices in operator.exactly_one_of:  # type: ignore[attr-defined]
        groups = [(each,) if isinstance(each, str) else each for each in choices]
        taken = next((group for group in groups if chosen in group), groups[0])
        found |= {name: REQUIRED.get(name, "x") for name in taken}
    return {**found, "task_id": "task"}


def arguments_of(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """Return the arguments of ours that an operator takes, the subclass's first."""
    found: dict[str, inspect.Parameter] = {}
    for base in operator.__mro__:
        constructor = base.__dict__.get("__init__")
        if constructor is not None and base.__module__.startswith(airflow_voice_agents.__name__):
            for name, parameter in inspect.signature(constructor).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    found.setdefault(name, parameter)
    return found
