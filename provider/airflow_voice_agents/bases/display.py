"""The display of plans in this deployment."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_voice_agents.airflow_compat import conf
from airflow_voice_agents.plans.render import Display
from airflow_voice_agents.state.folder import SECTION

OPTION = "show_values"
"""Option of Airflow's configuration that hides all values of a deployment."""


def display(show_values: bool | None, sensitive_keys: Sequence[str] = ()) -> Display:
    """Return how plans show values.

    A deployment that hides values (``[voice_agents] show_values = False``) hides them whatever a DAG says.

    :param show_values: the operator's argument; ``None`` uses the deployment's setting.
    :param sensitive_keys: selectors of values that are masked in any case.
    :raises AirflowConfigException: when the setting is not a boolean; then no value is shown.
    """
    selectors = (sensitive_keys,) if isinstance(sensitive_keys, str) else tuple(sensitive_keys)
    allowed = conf.getboolean(SECTION, OPTION, fallback=True)
    names = conf.get("core", "sensitive_var_conn_names", fallback="") or ""
    words = tuple(word.strip().lower() for word in names.split(",") if word.strip())
    shown = allowed and show_values is not False
    return Display(shown, selectors, words)
