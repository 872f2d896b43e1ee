"""What Airflow's versions lack is done by older means; seen on every version."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from airflow_voice_agents import airflow_compat
from airflow_voice_agents.get_provider_info import get_provider_info


class Comms:
    """Takes messages as the supervisor of a triggerer does: asynchronously only."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> Any:
        raise AssertionError("this blocks the event loop")

    async def asend(self, message: Any) -> None:
        self.sent.append(message)


@pytest.fixture
def comms(monkeypatch: pytest.MonkeyPatch) -> Comms:
    from airflow.sdk.execution_time import task_runner

    found = Comms()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
    return found


async def test_an_extra_is_masked_without_blocking_where_airflow_cannot(comms: Comms) -> None:
    connection: Any = SimpleNamespace(extra='{"runtime_api_key": "k-1"}')

    assert await airflow_compat.connection_extra_async(connection) == {"runtime_api_key": "k-1"}
    assert [message.value for message in comms.sent] == [{"runtime_api_key": "k-1"}]


@pytest.mark.parametrize("extra", [None, "", "{broken"])
async def test_an_extra_that_holds_nothing_is_empty(extra: str | None, comms: Comms) -> None:
    connection: Any = SimpleNamespace(extra=extra)

    assert await airflow_compat.connection_extra_async(connection) == {}


class _Field:
    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments


def _wtforms() -> dict[str, ModuleType]:
    forms, validators = ModuleType("wtforms"), ModuleType("wtforms.validators")
    for name in ("StringField", "IntegerField", "PasswordField"):
        setattr(forms, name, type(name, (_Field,), {}))
    validators.Optional = lambda: "optional"  # type: ignore[attr-defined]
    validators.any_of = list  # type: ignore[attr-defined]
    return {"wtforms": forms, "wtforms.validators": validators}


def test_a_hook_describes_the_form_of_the_metadata_where_airflow_asks_the_hook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, module in _wtforms().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(airflow_compat, "FORMS_IN_METADATA", False)
    hook: Any = type("Hook", (), {"conn_type": "polyai"})

    airflow_compat.add_connection_form(hook)

    types: Any = get_provider_info()["connection-types"]
    (stated,) = (each for each in types if each["connection-type"] == "polyai")
    widgets = hook.get_connection_form_widgets()
    assert list(widgets) == list(stated["conn-fields"])
    assert type(widgets["runtime_api_key"]).__name__ == "PasswordField"
    assert type(widgets["max_concurrency"]).__name__ == "IntegerField"
    assert widgets["max_concurrency"].arguments["default"] == 4
    assert widgets["region"].arguments["validators"] == ["optional", ["us", "eu", "uk", "studio"]]
    assert hook.get_ui_field_behaviour()["hidden_fields"] == ["login", "port", "schema"]


def test_a_hook_describes_no_form_where_airflow_reads_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_compat, "FORMS_IN_METADATA", True)
    hook: Any = type("Hook", (), {"conn_type": "polyai"})

    airflow_compat.add_connection_form(hook)

    assert "get_connection_form_widgets" not in vars(hook)


def test_a_question_is_deferred_to_the_triggerer_where_airflow_cannot_park_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.providers.standard.operators import hitl

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: asked.append(detail))
    monkeypatch.delattr(hitl, "TaskAwaitingInput", raising=False)
    deferred: list[dict[str, Any]] = []

    class Deferred(BaseException):
        pass

    def defer(**arguments: Any) -> None:
        deferred.append(arguments)
        raise Deferred

    context: Any = {"ti": SimpleNamespace(id="8a6e"), "task": SimpleNamespace(defer=defer)}
    with pytest.raises(Deferred):
        airflow_compat.ask_a_person(
            context, subject="Keep it?", body="**why**", options=["Keep", "Roll back"], method_name="answered"
        )

    assert asked[0]["options"] == ["Keep", "Roll back"]
    assert deferred[0]["method_name"] == "answered"
    path, arguments = deferred[0]["trigger"].serialize()
    assert path == "airflow.providers.standard.triggers.hitl.HITLTrigger"
    assert (arguments["ti_id"], arguments["options"], arguments["defaults"]) == (
        "8a6e",
        ["Keep", "Roll back"],
        None,
    )
