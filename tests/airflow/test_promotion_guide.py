"""The guide to promotions: its examples are read by what they are examples of."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from airflow.sdk import DAG

from airflow_voice_agents.plans.decoding import decode_yaml
from airflow_voice_agents.plans.freeze import windows
from airflow_voice_agents.polyai import NEVER_PROMOTE
from airflow_voice_agents.polyai.spec import (
    ConfigSpec,
    ConnectorsSpec,
    DeploymentSpec,
    MoveSpec,
    PromotionSpec,
    TargetSpec,
)
from airflow_voice_agents.polyai.task_groups import promotion
from support.airflow_versions import DagBag

GUIDE = (Path(__file__).parents[2] / "docs" / "promotion.md").read_text(encoding="utf-8")
DAG_BLOCK, FREEZE_BLOCK, CHUNKS_BLOCK = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
SPEC_BLOCK, EDITOR_BLOCK = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def test_the_spec_shows_every_word_that_a_spec_knows() -> None:
    written = decode_yaml(SPEC_BLOCK, where="guide")
    spec = PromotionSpec.parse(written)
    target = written["targets"][1]

    assert written.keys() == PromotionSpec.model_fields.keys()
    assert target.keys() | {"connectors"} == TargetSpec.model_fields.keys()
    assert target["moves"][0].keys() == MoveSpec.model_fields.keys()
    assert written["config"].keys() == ConfigSpec.model_fields.keys()
    assert written["connectors"].keys() == ConnectorsSpec.model_fields.keys()
    assert written["deployment"].keys() == DeploymentSpec.model_fields.keys()
    assert spec.never_promote == NEVER_PROMOTE
    PromotionSpec.parse(decode_yaml(EDITOR_BLOCK, where="guide"))


def test_its_dag_parses(tmp_path: Path) -> None:
    path = tmp_path / "from_guide.py"
    path.write_text(DAG_BLOCK)

    bag = DagBag(path)

    assert bag.import_errors == {}
    assert list(bag.dags) == ["to_live"]


def test_its_freeze_windows_are_windows() -> None:
    (assigned,) = ast.parse(FREEZE_BLOCK).body
    assert isinstance(assigned, ast.Assign)

    assert len(windows(ast.literal_eval(assigned.value))) == 2


def test_its_chunks_are_arguments_of_the_task_group() -> None:
    (called,) = ast.parse(CHUNKS_BLOCK).body
    assert isinstance(called, ast.Expr)
    assert isinstance(called.value, ast.Call)
    given = {each.arg: ast.literal_eval(each.value) for each in called.value.keywords}

    with DAG("from_guide", schedule=None):
        group = promotion(**given, state_folder="file:///tmp/unused")

    assert "apply" in {name.rpartition(".")[2] for name in group.children}
