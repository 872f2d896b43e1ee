"""Stop a run from outside: the stop variable and freeze windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_voice_agents.plans.freeze import FreezeWindow
    from airflow_voice_agents.plans.plan import Finding

OFF = frozenset({"", "0", "false", "no", "off", "null", "none", "{}", "[]"})
"""Values of the stop switch, in lower case, that let runs go on."""


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def stop_switch(name: str | None) -> str | None:
    """Return why nothing further may be begun, or ``None``.

    :param name: name of the Airflow Variable that is the switch; ``None`` has none.
    """
    from airflow.sdk import Variable

    if name is None:
        return None
    value = Variable.get(name, default=None)
    if value is None or str(value).strip().lower() in OFF:
        return None
    return (
        f"The Airflow Variable {name} is set, which stops all promotions between waves. Delete it, or set it to "
        "'off', then clear this task: what is done is not done twice."
    )


def freeze_findings(
    windows: Iterable[FreezeWindow], override: str | None, at: Callable[[], datetime] = now
) -> tuple[Finding, ...]:
    """Return what freeze windows say of the present moment.

    :param windows: when nothing may be written.
    :param override: why it may be written even so, or ``None``.
    :param at: the present moment.
    """
    from airflow_voice_agents.plans.freeze import check_freeze

    return tuple(check_freeze(windows, at(), override or None))


def stop_check(
    variable: str | None,
    windows: Iterable[FreezeWindow],
    override: str | None,
    at: Callable[[], datetime] = now,
) -> Callable[[], str | None]:
    """Return what a rollout asks before each wave.

    :param variable: name of the Airflow Variable that stops it.
    :param windows: when nothing may be written.
    :param override: why it may be written even so, or ``None``.
    :param at: the present moment.
    """
    from airflow_voice_agents.plans.plan import Severity

    frozen = tuple(windows)

    def ask() -> str | None:
        findings = freeze_findings(frozen, override, at)
        said = " ".join(each.message for each in findings if each.severity is Severity.ERROR)
        return stop_switch(variable) or said or None

    return ask
