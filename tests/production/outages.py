"""Scenarios in which something fails while a promotion is under way."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from deployment import Deployment, Run
from services import RunError, Service, wait_until
from stage import LAST, WAITED, Found, Scenario, Stage

LATENCY = 0.25
BEGUN = 12
"""Writes after which something fails; two per site."""
DOWN = 30.0
"""Seconds for which the API server is away."""
SKEW = "+2m"
DONE = 600
"""Seconds that a run has to come to its end."""
VALUES = "update real-time config variables"
API_SERVER = "api-server"
READ_ONLY = (
    'mount --bind "$AIRFLOW_HOME" "$AIRFLOW_HOME" && mount -o remount,ro,bind "$AIRFLOW_HOME" && exec "$@"'
)


def kill_worker(stage: Stage) -> Found:
    """The machine of a worker fails in the middle of an apply."""
    run = stage.begin("default", LATENCY)
    stage.wait_for_writes(BEGUN)
    first = run.workers()["apply"]
    killed = stage.airflow.services[first]
    killed.kill()
    at_kill, started = stage.writes(), time.monotonic()
    run.succeed(seconds=DONE)
    recovery = time.monotonic() - started
    killed.start()
    found = _promoted(stage, run, recovery)
    if run.workers()["apply"] == first or run.tries()["apply"] < 2:
        found.wrong.append(f"the retry did not run on the other worker: {run.workers()}")
    if not 0 < at_kill < stage.writes():
        found.wrong.append("the worker was not killed in the middle")
    found.note = f"killed after {at_kill} of {stage.writes()} writes; the other worker did the rest"
    return found


def api_down(stage: Stage) -> Found:
    """The API server is away for a while in the middle of an apply."""
    run = stage.begin("default", LATENCY)
    stage.wait_for_writes(BEGUN)
    return _api_server_away(stage, run, "away while sites were written")


def api_down_at_report(stage: Stage) -> Found:
    """The API server is away when the task has done its work and pushes its report."""
    last = stage.server.fault("delay", operation=VALUES, nth=LAST - 1, seconds=4.0)
    run = stage.begin("default", 0.05)
    while not last.fired:
        time.sleep(0.05)
    return _api_server_away(stage, run, "away from the last write on")


def _api_server_away(stage: Stage, run: Run, note: str) -> Found:
    server = stage.airflow.services[API_SERVER]
    server.kill()
    time.sleep(DOWN)
    server.start()
    started = time.monotonic()
    run.succeed(seconds=DONE)
    found = _promoted(stage, run, time.monotonic() - started)
    found.note = f"{note} for {DOWN:.0f} s; tries of the task: {run.tries()['apply']}"
    return found


def redis_restart(stage: Stage) -> Found:
    """Redis, which is broker and rate limit store, is restarted in the middle of an apply."""
    return _restarted(stage, lambda airflow: airflow.redis.restart())


def postgres_restart(stage: Stage) -> Found:
    """The metadata database cuts all connections off in the middle of an apply."""
    return _restarted(stage, lambda airflow: airflow.postgres.restart())


def _restarted(stage: Stage, restart: Callable[[Deployment], None]) -> Found:
    run = stage.begin("default", LATENCY)
    stage.wait_for_writes(BEGUN)
    restart(stage.airflow)
    started = time.monotonic()
    revived: set[str] = set()

    def ended() -> bool:
        revived.update(stage.airflow.revive())
        return run.state() in ("success", "failed")

    wait_until(ended, DONE, "the run to end", said=run.told, every=1)
    run.succeed()
    found = _promoted(stage, run, time.monotonic() - started)
    after = stage.airflow.trigger("production_on_default")
    after.succeed(seconds=DONE)
    told = (
        f"ended and started again by their supervisor: {', '.join(sorted(revived))}"
        if revived
        else "nothing ended"
    )
    found.note = f"tries of the task: {run.tries()['apply']}; {told}; the next run went well"
    return found


def read_only_home(stage: Stage) -> Found:
    """A worker whose Airflow home cannot be written."""
    if shutil.which("unshare") is None:
        return Found(["unshare is not there"])
    worker = stage.airflow.worker(
        "worker-r", queues="read-only", before=("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")
    )
    (stage.airflow.folder.path / "homes" / worker.name / "airflow.cfg").touch()  # Airflow would write one
    return _with_worker(stage, worker, "read-only", "home mounted read-only; logs elsewhere")


def clock_skew(stage: Stage) -> Found:
    """A worker whose clock is two minutes ahead, against one whose clock is right."""
    if shutil.which("faketime") is None:
        return Found(["faketime is not there: apt-get install faketime"])
    worker = stage.airflow.worker("worker-s", queues="skewed", before=("faketime", "-f", SKEW))
    return _with_worker(stage, worker, "skewed", f"one worker's clock {SKEW}", rival="worker-a")


def _with_worker(stage: Stage, worker: Service, queue: str, note: str, rival: str = "") -> Found:
    """Promote on a further worker; a rival tries the same sites meanwhile, and has to wait for the lock."""
    worker.start()
    try:
        run = stage.begin(queue, LATENCY)
        stage.wait_for_writes(BEGUN, seconds=240)
        others = [stage.begin(rival, LATENCY)] if rival else []
        for each in (run, *others):
            each.succeed(seconds=DONE)
        found = _promoted(stage, run, None)
        if run.workers()["apply"] != worker.name:
            found.wrong.append(f"apply ran on {run.workers()['apply']}")
        waited = WAITED in stage.airflow.task_logs(f"production_on_{rival}", "apply")
        if rival and not waited:
            found.wrong.append("nobody waited for the lock")
    except RunError as error:
        raise RunError(f"{error}\n{worker.tail()}") from None
    finally:
        worker.end()
    found.note = note + ("; the other worker waited for the lock" if rival else "")
    return found


def _promoted(stage: Stage, run: Run, recovery: float | None) -> Found:
    wrong = [*stage.unlike_template(LAST), *stage.left_locks()]
    counts = run.xcom("apply", "report")["counts"]
    if counts["total"] != LAST - 1 or counts["changed"] + counts["unchanged"] != LAST - 1:
        wrong.append(f"the report has {counts}")
    return Found(wrong, recovery)


SCENARIOS = (
    Scenario("A worker is killed in mid-apply", kill_worker),
    Scenario("API server away in mid-apply", api_down),
    Scenario("API server away when the report is pushed", api_down_at_report),
    Scenario("Redis restarts in mid-apply", redis_restart),
    Scenario("Postgres restarts in mid-apply", postgres_restart),
    Scenario("A worker with a read-only home", read_only_home),
    Scenario("A worker's clock is two minutes ahead", clock_skew),
)
