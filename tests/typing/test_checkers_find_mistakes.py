"""Type checkers find mistakes in DAGs before anything runs, and accept what is right."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import airflow_voice_agents
from support.operators import public_operators

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "dags"
PACKAGE = Path(airflow_voice_agents.__file__).parent


def tasks(file: Path) -> list[range]:
    """Return the lines of each call in the DAG's body; in the file of mistakes each holds exactly one."""
    dag = next(each for each in ast.parse(file.read_text()).body if isinstance(each, ast.With))
    return [range(each.lineno, each.end_lineno + 1) for each in dag.body if each.end_lineno]


def mypy(*files: Path, folder: Path) -> set[int]:
    """Return the lines where mypy --strict reports an error."""
    command = [
        *(
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--untyped-calls-exclude",
            "airflow",
        ),
        *("--cache-dir", str(folder), "--config-file", str(folder / "none.ini"), *map(str, files)),
    ]
    (folder / "none.ini").write_text(f"[mypy]\nmypy_path = {ROOT / 'provider'}\n")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert not done.stderr, done.stderr
    return {int(line) for line in re.findall(r":(\d+): error:", done.stdout)}


def pyright(*files: Path, folder: Path) -> set[int]:
    """Return the lines where pyright reports an error, with its strict checks of untyped Airflow left out."""
    settings = {
        "typeCheckingMode": "standard",
        "extraPaths": [str(ROOT / "provider")],
        "include": list(map(str, files)),
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--project", str(folder)], capture_output=True, text=True, cwd=folder, check=False
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}


CHECKERS = pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])


@CHECKERS
def test_every_seeded_mistake_is_found(check: Callable[..., set[int]], tmp_path: Path) -> None:
    file = DAGS / "mistakes.py"
    found = check(file, folder=tmp_path)

    lines = file.read_text().splitlines()
    assert [lines[task[0] - 1 : task[-1]] for task in tasks(file) if not found & set(task)] == []
    assert len(tasks(file)) >= 19


@CHECKERS
def test_what_is_right_is_accepted(check: Callable[..., set[int]], tmp_path: Path) -> None:
    assert check(DAGS / "right.py", folder=tmp_path) == set()


def test_the_example_dags_are_right(tmp_path: Path) -> None:
    assert mypy(*sorted((ROOT / "example_dags").glob("*.py")), folder=tmp_path) == set()


def keys(shared: type) -> set[str]:
    """Return the keys of a typed dictionary, those of its bases included."""
    return set(shared.__annotations__)


@pytest.mark.parametrize("operator", public_operators(), ids=lambda each: each.__name__)
def test_shared_arguments_are_typed_as_the_bases_have_them(operator: type) -> None:
    signature = inspect.signature(operator.__init__)  # type: ignore[misc]
    shared = next(each for each in signature.parameters.values() if each.kind is each.VAR_KEYWORD)
    match = re.fullmatch(r"Unpack\[(\w+)\]", str(shared.annotation))
    assert match, f"{operator.__name__} takes **kwargs: {shared.annotation}"
    system = operator.__module__.split(".")[1]
    types = importlib.import_module(f"{PACKAGE.name}.{system}.types")
    typed = keys(getattr(types, match[1]))
    own = {name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY}
    taken = set().union(*(inspect.signature(base.__init__).parameters for base in operator.__mro__))
    taken -= {"self", "args", "kwargs", *own}
    assert typed - set(taken) == set(), "typed, but no base takes it"
    assert {name for name in taken - typed if name not in NOT_OURS} == set(), "taken, but not typed"


NOT_OURS = {"snapshot", "targets", "plan", "body", "fail_on_reject"}
