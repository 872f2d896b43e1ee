"""Display settings of plans: an operator's arguments under the deployment's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_voice_agents.plans.render import Display

SECTION, OPTION = "voice_agents", "show_values"
"""Option of Airflow's configuration that hides all config values of a deployment when it is false."""


def display(show_values: bool | None, sensitive_keys: Sequence[str] = ()) -> Display:
    """Return what plans show of values.

    A deployment that hides values hides them whatever an operator asks for. Airflow's own
    ``[core] sensitive_var_conn_names`` are sensitive in plans too.

    :param show_values: the operator's argument; ``None`` takes the deployment's setting.
    :param sensitive_keys: selectors of further values that are masked.
    :raises AirflowConfigException: when the setting is not a boolean.
    """
    from airflow.sdk import conf

    from airflow_voice_agents.plans.render import Display

    selectors = (sensitive_keys,) if isinstance(sensitive_keys, str) else tuple(sensitive_keys)
    allowed = conf.getboolean(SECTION, OPTION, fallback=True)
    names = str(conf.get("core", "sensitive_var_conn_names", fallback="") or "").split(",")
    return Display(
        show_values=allowed and show_values is not False,
        sensitive_keys=selectors,
        sensitive_names=tuple(filter(None, map(str.strip, names))),
    )
