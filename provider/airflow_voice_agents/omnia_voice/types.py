"""Types of Omnia Voice's arguments, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypedDict

from airflow_voice_agents.bases.types import (
    CommonRestoringArguments,
    CommonSensorArguments,
    LockWait,
    MaxFailures,
    MaxSnapshotAge,
    OperatorArguments,
    Templated,
    TemplatedText,
    Verify,
    WritingArguments,
)


class NumberChanges(TypedDict, total=False):
    """Settings of a number; ``None`` for ``agent_id`` unassigns it."""

    agent_id: str | None
    friendly_name: str
    status: str


class _Connection(TypedDict, total=False):
    omniavoice_conn_id: str


class OmniaVoiceArguments(_Connection, OperatorArguments, total=False):
    """Shared arguments of an Omnia Voice operator that only reads."""


class OmniaVoiceSensorArguments(CommonSensorArguments, total=False):
    """Shared arguments of an Omnia Voice sensor."""


class OmniaVoiceWritingArguments(_Connection, WritingArguments, total=False):
    """Shared arguments of an Omnia Voice operator that writes."""


class OmniaVoiceRestoringArguments(
    _Connection,
    CommonRestoringArguments,
    LockWait,
    MaxFailures,
    Verify,
    MaxSnapshotAge,
    total=False,
):
    """Shared arguments of the Omnia Voice operator that restores assignments."""

    snapshot: Required[TemplatedText]


class OmniaVoiceHoldArguments(OmniaVoiceArguments, total=False):
    """Shared arguments of the operator that releases holds."""

    targets: Sequence[str] | Templated | None
    state_folder: str | None
