"""One running Airflow for all tests of a process that need a whole one; starting it costs more than most of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from airflow_voice_agents.emulator.core import default_seed
from airflow_voice_agents.emulator.server import EmulatorServer
from support.airflow_home import AirflowHome, AirflowServices
from support.emulated import KEY, Emulated

EXAMPLES = Path(__file__).parents[2] / "example_dags"
DAGS = (
    "promote_each_with_its_own_approval",
    "promote_fleet_in_waves",
    "promote_with_approval",
    "release_by_merge",
    "release_pipeline",
    "roll_back_a_promotion",
)
"""Examples that the tests run."""

VARIANTS = {
    "promote_impatiently": ("promote_with_approval", "timedelta(hours=12)", "timedelta(seconds=1)"),
    "promote_leniently": (
        "promote_with_approval",
        '"response_timeout": timedelta(hours=12)',
        '"fail_on_reject": False',
    ),
    "promote_soon": ("promote_config_in_one_project", "poke_interval=60,", "poke_interval=1,"),
}
"""Examples under another name, with a text replaced by another one."""


@dataclass
class WholeAirflow:
    """A running Airflow, and the local server that the connection ``polyai_default`` leads to."""

    airflow: AirflowServices
    polyai: Emulated

    def reset(self) -> None:
        """The shipped seed, no request, and no target on hold or with a baseline."""
        self.polyai.server.reset(default_seed())
        for kept in ("holds", "baselines"):
            for path in (self.airflow.home.path / "voice-agents" / kept).glob("*"):
                path.unlink()


@dataclass
class Keeper:
    """Starts an Airflow with the examples when a test needs it, and keeps it for the next one.

    :param template: a migrated database.
    :param folders: makes an empty folder.
    """

    template: Path
    folders: Callable[[], Path]
    _kept: contextlib.ExitStack | None = None
    _running: WholeAirflow | None = None

    def running(self) -> WholeAirflow:
        """Return the running Airflow."""
        if self._running is None:
            with contextlib.ExitStack() as stack:
                self._running = self._start(stack)
                self._kept = stack.pop_all()
        return self._running

    def end(self) -> None:
        """End it; nothing of it is left. An Airflow that nobody uses would keep computing."""
        kept, running = self._kept, self._running
        self._kept = self._running = None
        if kept is not None and running is not None:
            kept.close()
            assert running.airflow.home.processes() == []

    def _start(self, stack: contextlib.ExitStack) -> WholeAirflow:
        home = AirflowHome.create(self.folders() / "airflow-home", self.template)
        home.settings |= {
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        }
        for name in DAGS:
            home.add_dag(EXAMPLES / f"{name}.py")
        for name, (example, old, new) in VARIANTS.items():
            _add_variant(home, name, example, old, new)
        server = stack.enter_context(EmulatorServer())
        home.connect("polyai_default", conn_type="polyai", host=server.url, password=KEY)
        airflow = stack.enter_context(AirflowServices(home))
        known = len(DAGS) + len(VARIANTS)  # no test competes with the parsing of the others' DAGs
        wait_until(
            lambda: airflow.request("GET", "/api/v2/dags")["total_entries"] == known, said=airflow.logs
        )
        return WholeAirflow(airflow, Emulated(server))


def wait_until(
    condition: Callable[[], bool], seconds: float = 180, *, said: Callable[[], str] = lambda: ""
) -> None:
    """Wait for a condition, which must come true in time; an Airflow that does not know the run yet is no answer.

    :param said: what the failure shows.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, KeyError):
            if condition():
                return
        assert time.monotonic() < deadline, f"the condition did not come true\n{said()}"
        time.sleep(0.1)


def _add_variant(home: AirflowHome, dag_id: str, example: str, old: str, new: str) -> None:
    text = (EXAMPLES / f"{example}.py").read_text()
    assert text.count(old) == text.count(f'dag_id="{example}"') == 1
    path = home.path / "dags" / f"{dag_id}.py"
    path.write_text(text.replace(old, new).replace(f'dag_id="{example}"', f'dag_id="{dag_id}"'))
