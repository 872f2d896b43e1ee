"""Type checkers find mistakes in DAGs before anything runs, and accept what is right."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

import airflow_voice_agents
from support.operators import public_operators

ROOT = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).resolve().parent / "dags"
MISTAKES, RIGHT = DAGS / "mistakes.py", DAGS / "right.py"
EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
PACKAGE = Path(airflow_voice_agents.__file__).parent
Found = dict[Path, set[int]]
"""Lines with an error by file."""
Checked = Callable[[Callable[[Path], Found]], Found]


def tasks(file: Path) -> list[range]:
    """Return the lines of each call in the DAG's body; in the file of mistakes each holds exactly one."""
    dag = next(each for each in ast.parse(file.read_text()).body if isinstance(each, ast.With))
    return [range(each.lineno, each.end_lineno + 1) for each in dag.body if each.end_lineno]


def mypy(folder: Path) -> Found:
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
        *("--cache-dir", str(folder), "--config-file", str(folder / "none.ini")),
        *map(str, (MISTAKES, RIGHT, *EXAMPLES)),
    ]
    (folder / "none.ini").write_text(f"[mypy]\nmypy_path = {ROOT / 'provider'}\n")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert not done.stderr, done.stderr
    found = re.findall(r"^(.+?):(\d+): error:", done.stdout, re.MULTILINE)
    return by_file((folder / file, int(line)) for file, line in found)


def pyright(folder: Path) -> Found:
    """Return the lines where pyright reports an error, with its strict checks of untyped Airflow left out."""
    settings = {
        "typeCheckingMode": "standard",
        "extraPaths": [str(ROOT / "provider")],
        "include": [str(MISTAKES), str(RIGHT)],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--project", str(folder)], capture_output=True, text=True, cwd=folder, check=False
    )
    errors = [each for each in json.loads(done.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    return by_file((Path(each["file"]), each["range"]["start"]["line"] + 1) for each in errors)


def by_file(places: Iterable[tuple[Path, int]]) -> Found:
    """Return the lines by file."""
    found: Found = {}
    for file, line in places:
        found.setdefault(file.resolve(), set()).add(line)
    return found


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Run a checker over all files at once, the first time; it spends its time on Airflow."""
    return cache(lambda check: check(tmp_path_factory.mktemp(check.__name__)))


CHECKERS = pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])


@CHECKERS
def test_every_seeded_mistake_is_found(check: Callable[[Path], Found], checked: Checked) -> None:
    found = checked(check)[MISTAKES]

    lines = MISTAKES.read_text().splitlines()
    assert [lines[task[0] - 1 : task[-1]] for task in tasks(MISTAKES) if not found & set(task)] == []
    assert len(tasks(MISTAKES)) >= 19


@CHECKERS
def test_what_is_right_is_accepted(check: Callable[[Path], Found], checked: Checked) -> None:
    assert checked(check).keys() - {MISTAKES, *EXAMPLES} == set()


def test_the_example_dags_are_right(checked: Checked) -> None:
    assert {file: lines for file, lines in checked(mypy).items() if file in EXAMPLES} == {}


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
