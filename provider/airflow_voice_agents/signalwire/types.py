"""Types of SignalWire's arguments, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from airflow_voice_agents.bases.types import (
    CommonRestoringArguments,
    CommonWritingArguments,
    LockWait,
    MaxFailures,
    MaxSnapshotAge,
    OperatorArguments,
    SensorArguments,
    StopVariable,
    TakeSnapshot,
    Templated,
)

if TYPE_CHECKING:
    from airflow_voice_agents.signalwire.routes import Route

RouteArgument: TypeAlias = "Route | Mapping[str, Any] | Templated"
"""A route, or a mapping with its fields and its kind under ``to``."""

RoutesArgument: TypeAlias = "Mapping[str, Route | Mapping[str, Any]] | Mapping[str, Route] | Templated"
"""E.164 number -> route."""


class _Connection(TypedDict, total=False):
    signalwire_conn_id: str


class _Verify(TypedDict, total=False):
    verify: bool | Literal["response", "read"]


class SignalWireArguments(_Connection, OperatorArguments, total=False):
    """Shared arguments of a SignalWire operator that only reads."""


class SignalWireSensorArguments(_Connection, SensorArguments, total=False):
    """Shared arguments of a SignalWire sensor."""


class SignalWireWritingArguments(
    _Connection,
    _Verify,
    CommonWritingArguments,
    LockWait,
    TakeSnapshot,
    MaxFailures,
    MaxSnapshotAge,
    StopVariable,
    total=False,
):
    """Shared arguments of a SignalWire operator that writes."""


class SignalWireRestoringArguments(
    _Connection, _Verify, CommonRestoringArguments, LockWait, MaxFailures, MaxSnapshotAge, total=False
):
    """Shared arguments of the SignalWire operator that restores routing."""


class SignalWireHoldArguments(SignalWireArguments, total=False):
    """Shared arguments of the operator that releases holds."""

    targets: Sequence[str] | Templated | None
    state_folder: str | None
