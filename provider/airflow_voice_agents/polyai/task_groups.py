"""Whole promotions as one piece of a DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from airflow_voice_agents.polyai.operators.fleet import STOP_VARIABLE
from airflow_voice_agents.polyai.operators.promotion import (
    MARKDOWN_KEY,
    NOT_ASKED_FOR,
    PolyAIApplyPromotionOperator,
    PolyAIPlanPromotionOperator,
    PolyAIVerifyPromotionOperator,
)

if TYPE_CHECKING:
    from airflow_voice_agents.edge.approval import PromotionApprovalOperator


def promotion(
    *,
    group_id: str = "promotion",
    spec: Mapping[str, Any] | str | None = None,
    spec_file: str | None = None,
    targets: Sequence[Any] | str | None = None,
    approval: bool | Mapping[str, Any] = True,
    show_values: bool = False,
    sensitive_keys: Sequence[str] = (),
    max_changed: int | str | None = None,
    baseline: str | None = None,
    waves: Sequence[int | str] | None = None,
    max_failures: int | str | Mapping[str, Any] = 0,
    stop_variable: str | None = STOP_VARIABLE,
    freeze: Sequence[Mapping[str, Any]] = (),
    override_freeze: str | None = None,
    take_snapshot: bool = True,
    snapshot_retention: timedelta | None = None,
    allow_unencrypted: bool = False,
    state_folder: str | None = None,
    lock_wait: float = 0.0,
    max_snapshot_age: float = 60.0,
    confirm_live: bool = False,
    allow_backfill: bool = False,
    concurrency: int = 4,
    polyai_conn_id: str = "polyai_default",
    default_args: Mapping[str, Any] | None = None,
) -> TaskGroup:
    pass
