"""The list of features that run with several Airflow versions, and the packages that they run with."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from matrix import run as matrix

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PINS = sorted((ROOT / "constraints").glob("airflow-*.txt"))


NAMED = {*(path for paths in matrix.FEATURES.values() for path in paths), *matrix.LEFT_OUT}


def test_features_name_tests_that_exist() -> None:
    assert [path for path in NAMED if not (TESTS / path).exists()] == []


def test_every_test_that_faces_airflow_is_run_or_left_out_for_a_reason() -> None:
    files = [path.relative_to(TESTS).as_posix() for path in TESTS.glob("airflow/**/test_*.py")]
    folders = tuple(f"{path}/" for path in NAMED if (TESTS / path).is_dir())

    assert len(files) > 60
    assert [path for path in files if path not in NAMED and not path.startswith(folders)] == []


def test_each_version_has_its_packages() -> None:
    assert {f"airflow-{airflow}.txt" for airflow, _ in matrix.MATRIX} == {path.name for path in PINS}


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.stem)
def test_the_packages_of_each_airflow_allow_the_provider(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(line.split("==") for line in path.read_text(encoding="utf-8").splitlines())
    needs = [Requirement(text) for text in project["dependencies"]]

    held = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    refused = [
        str(need) for need in needs if not need.specifier.contains(held[need.name.lower()], prereleases=True)
    ]

    assert refused == []


def test_the_table_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{matrix.BEGIN}\n{matrix.END}\nafter", encoding="utf-8")
    monkeypatch.setattr(matrix, "PAGE", page)
    feature = next(iter(matrix.FEATURES))
    figures = {
        "3.1.8-py3.11": {feature: str(matrix.Count(2, 1, 3)), "SignalWire": matrix.DID_NOT_END},
        "3.3.2-py3.13": {feature: str(matrix.Count(6, 0, 0))},
    }

    matrix.write(figures)
    matrix.write(matrix.read())

    assert matrix.read() == figures
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before\n")
    assert text.endswith("\nafter")
    assert f"| {feature} | 2 passed, **1 failed**, 3 skipped | 6 passed |" in text


@pytest.mark.parametrize("environment", ["None", "{}"], ids=["inherited", "overwritten"])
def test_a_run_that_hangs_is_stopped_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    left = tmp_path / "left"
    (tests / "test_hangs.py").write_text(
        "import pathlib, subprocess, sys, time\n"
        "def test_hangs():\n"
        "    code = 'import time; time.sleep(600)'\n"
        "    command = [sys.executable, '-c', code]\n"
        f"    child = subprocess.Popen(command, start_new_session=True, env={environment})\n"
        f"    pathlib.Path({str(left)!r}).write_text(str(child.pid))\n"
        "    time.sleep(600)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    wait = subprocess.Popen.wait

    def until_it_hangs(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        """Wait as long as it takes to begin, whatever the limit."""
        if timeout is None:
            return wait(process)
        while not left.exists() or not left.read_text(encoding="utf-8"):
            assert process.poll() is None, "it ended"
            time.sleep(0.05)
        raise subprocess.TimeoutExpired("pytest", timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", until_it_hangs)

    assert matrix.run(Path(sys.executable), ["test_hangs.py"], 0, 1) is None

    give_up = time.monotonic() + 60
    while running(
        int(left.read_text(encoding="utf-8"))
    ):  # a signal takes effect when its process is next scheduled
        assert time.monotonic() < give_up
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return False


def test_the_slice_for_the_oldest_airflow_fails_where_no_test_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "interpreter", lambda _version: sys.executable)
    monkeypatch.setattr(matrix, "environment", lambda *_: Path(sys.executable))
    for count, code in [
        (matrix.Count(9, 0, 1), 0),
        (matrix.Count(9, 1, 0), 1),
        (matrix.Count(0, 0, 9), 1),
        (None, 1),
    ]:
        monkeypatch.setattr(matrix, "run", lambda *_, count=count: count)
        assert matrix.main(["--oldest"]) == code
    monkeypatch.setattr(matrix, "interpreter", lambda _version: None)
    with pytest.raises(SystemExit, match=r"3\.1\.8 needs Python 3\.11 or 3\.12"):
        matrix.main(["--oldest"])
