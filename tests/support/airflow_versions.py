"""The only module of the tests that knows what differs between Airflow versions inside the task runner."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.execution_time.supervisor import set_supervisor_comms

from airflow_voice_agents import airflow_compat
from airflow_voice_agents.airflow_compat import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    get_fernet,
)

__all__ = [
    "MAPPED_TASKS_HAVE_DEFAULTS",
    "MASKS_WITHOUT_BLOCKING",
    "NATIVE",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "DagBag",
    "DagSerialization",
    "ErrorType",
    "ParamValidationError",
    "TaskDeferralTimeout",
    "comms",
    "decode_trigger_kwargs",
    "deserialize",
    "forget_fernet",
    "get_fernet",
    "give_task_state",
    "read_kwargs",
    "serialize",
    "set_supervisor_comms",
    "stored_kwargs",
    "task_runner",
]


def _first(*places: str) -> Any:
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"none of {places}")


DagBag = _first("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
DagSerialization = _first(
    "airflow.serialization.serialized_objects:DagSerialization",
    "airflow.serialization.serialized_objects:SerializedDAG",
)
MASKS_WITHOUT_BLOCKING = hasattr(
    importlib.import_module("airflow.sdk.definitions.connection").Connection, "aget_uri"
)
"""Before 3.3.2 Airflow masks a trigger's connection synchronously, which its triggerer refuses, and goes on."""


def forget_fernet() -> None:
    """Have the next call read the key again, in tasks and in what Airflow stores."""
    for name in ("airflow.models.crypto", "airflow.sdk.crypto"):
        try:
            module: Any = importlib.import_module(name)
        except ImportError:  # tasks have none of their own before 3.2
            continue
        if hasattr(module.get_fernet, "cache_clear"):
            module.get_fernet.cache_clear()
        else:
            module._fernet = None


NATIVE = airflow_compat.RETRY_POLICIES
"""Whether Airflow has retry policies, a task state store and parked questions itself (since 3.3)."""

MAPPED_TASKS_HAVE_DEFAULTS = hasattr(
    importlib.import_module("airflow.sdk.bases.operator"), "_get_operator_defaults"
)
"""Since 3.3.2 a mapped task has the defaults of its operator's class before it runs, its outlets among them."""

serialize = _first("airflow.sdk.serde:serialize", "airflow.serialization.serde:serialize")
deserialize = _first("airflow.sdk.serde:deserialize", "airflow.serialization.serde:deserialize")
decode_trigger_kwargs = _first(
    "airflow.serialization.decoders:smart_decode_trigger_kwargs",
    "airflow.serialization.serialized_objects:smart_decode_trigger_kwargs",
)
TaskDeferralTimeout = _first(
    "airflow.sdk.exceptions:TaskDeferralTimeout", "airflow.exceptions:TaskDeferralTimeout"
)
ParamValidationError = _first(
    "airflow.sdk.exceptions:ParamValidationError", "airflow.exceptions:ParamValidationError"
)


def give_task_state(context: Any, store: Any) -> None:
    """Put a task state store where Airflow has its own, in a version that has none."""
    context["task_state_store"] = store


@functools.cache
def message(name: str) -> Any:
    """Return a class of messages to the supervisor, or a stand-in with any fields, where Airflow lacks it.

    :param name: name of the class.
    """
    return getattr(comms, name, type(name, (SimpleNamespace,), {}))


KWARGS_ARE_ENCODED_BY_THE_MESSAGE = not hasattr(importlib.import_module("airflow.sdk"), "conf")
"""Before 3.2 the message to the supervisor encodes the arguments of triggers and of methods that go on."""


def stored_kwargs(kwargs: Mapping[str, Any]) -> Any:
    """Return arguments of a method that goes on as the server keeps them, as plain JSON."""
    if KWARGS_ARE_ENCODED_BY_THE_MESSAGE:
        from airflow.serialization.serialized_objects import BaseSerialization

        return BaseSerialization.serialize(dict(kwargs))
    return serialize(dict(kwargs))


def read_kwargs(stored: Any) -> dict[str, Any]:
    """Return arguments of a deferral's message, decoded."""
    if KWARGS_ARE_ENCODED_BY_THE_MESSAGE:
        return dict(stored or {})
    return dict(deserialize(stored or {}))
