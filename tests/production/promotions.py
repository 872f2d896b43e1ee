"""Scenarios across workers: a release and its way back, contenders for a lock, chunks, a failover of triggerers."""

from __future__ import annotations

import time
from collections import Counter

from deployment import TRIGGERERS, Run
from services import wait_until
from stage import LAST, ROSA, RULE, WAITED, Found, Scenario, Stage, written_twice

LIVE = "live"
MESSAGE = "holiday_message"
CONTENDERS = 4
FLEET = 101
LARGE_FLEET = 5001
LARGE_FLEET_LATENCY = 0.05
"""Seconds that the platform takes for each answer."""
RATE = 20.0
"""Requests per second that the platform takes."""
WAITS, WAITED_FOR = 500, 20
"""Sensors, and the pages that they wait for."""
PAGES = "list real-time configs"


def release(stage: Stage) -> Found:
    """A plan on one worker is approved, applied on another one, watched, rolled back and held."""
    before, wanted = stage.values(ROSA, LIVE), stage.values(ROSA, "pre-release")[MESSAGE]
    stage.server.polyai.set_alert(RULE, "ok", lastEvaluatedAt=0)
    run = stage.airflow.trigger("production_release")
    run.answer("promotion.approval", "Approve")
    run.reach("watch", "deferred")
    wrong = [] if stage.values(ROSA, LIVE)[MESSAGE] == wanted else ["live was not promoted"]
    time.sleep(3)  # for the scheduler has to hear that the watch has left its worker
    stage.server.polyai.set_alert(RULE, "alert")
    started = time.monotonic()
    wait_until(lambda: stage.values(ROSA, LIVE) == before, 120, "the rollback", said=run.told, every=0.1)
    recovery = time.monotonic() - started
    if run.end() != "failed" or run.states()["watch"] != "failed":
        wrong.append("a release that did not hold did not fail")
    workers = run.workers()
    if workers["promotion.plan"] == workers["promotion.apply"]:
        wrong.append("plan and apply ran on one worker")
    stage.server.polyai.set_alert(RULE, "ok", lastEvaluatedAt=0)
    wrong += _held_until_released(stage)
    return Found(
        wrong, recovery, "from the alert to live as it was; a second release was refused until the hold ended"
    )


def _held_until_released(stage: Stage) -> list[str]:
    wrong = []
    held = stage.airflow.trigger("production_release")
    if held.end() != "failed" or held.states()["promotion.plan"] != "failed":
        wrong.append("what was rolled back was planned again")
    if not stage.airflow.storage.names("voice-agents/holds/"):
        wrong.append("there is no hold in the state folder")
    stage.airflow.trigger("production_release_hold").succeed()
    freed = stage.airflow.trigger("production_release")
    freed.reach("promotion.plan", "success")  # what follows was seen above
    freed.give_up()
    return wrong


def contenders(stage: Stage) -> Found:
    """Runs on both workers want the same sites at the same time."""
    queues = [f"worker-{'ab'[number % 2]}" for number in range(CONTENDERS)]
    runs = [stage.begin(queue, 0.3) for queue in queues]
    for run in runs:
        run.succeed(seconds=600)
    wrong = [*stage.unlike_template(LAST), *stage.left_locks()]
    changed = Counter(run.xcom("apply", "report")["counts"]["changed"] for run in runs)
    if changed != {LAST - 1: 1, 0: CONTENDERS - 1}:
        wrong.append(f"sites changed by the runs: {changed}")
    logs = "".join(stage.airflow.task_logs(f"production_on_{queue}", "apply") for queue in set(queues))
    waited = logs.count(WAITED)
    if not waited:
        wrong.append("nobody waited for the lock")
    return Found(
        wrong, None, f"{CONTENDERS} runs; one wrote, {waited} waited for its lock and found nothing to do"
    )


def chunks(stage: Stage) -> Found:
    """Four chunks on two workers share one rate limit through Redis, which nobody has told them."""
    stage.server.switches.rate_limit = RATE
    started = time.monotonic()
    run = stage.airflow.trigger("production_chunks")
    run.succeed(seconds=600)
    seconds = time.monotonic() - started
    entries = stage.server.journal.entries()
    refused = sum(entry.status == 429 for entry in entries)
    wrong = [*stage.unlike_template(FLEET), *stage.left_locks()]
    if later := {name: count for name, count in run.tries().items() if count > 1}:
        wrong.append(f"tried more than once: {later}")
    applied = {worker for name, worker in run.workers().items() if ".apply[" in name}
    if len(applied) < 2:
        wrong.append(f"all chunks ran on {applied}")
    share = refused / len(entries)
    if share >= 0.02:
        wrong.append(f"{refused} of {len(entries)} requests were refused")
    note = (
        f"{len(entries)} requests at {RATE:.0f}/s, {share:.1%} refused, all on first tries; {seconds:.0f} s of "
        f"{len(entries) / RATE:.0f} s that the limit asks for"
    )
    return Found(wrong, None, note)


def large_fleet(stage: Stage) -> Found:
    """5,000 sites are promoted in one task, and then in two chunks on two workers; state is in the object storage."""
    wrong, seconds = [], {}
    for name in ("one_task", "two_workers"):
        stage.reset(sites=LARGE_FLEET)
        stage.server.switches.latency = LARGE_FLEET_LATENCY
        run = stage.airflow.trigger(f"production_fleet_{name}")
        run.succeed(seconds=1200)
        seconds[name] = run.seconds()
        wrong += [*stage.unlike_template(LARGE_FLEET), *stage.left_locks()]
        applied = {worker for task, worker in run.workers().items() if ".apply" in task}
        if len(applied) != (1 if name == "one_task" else 2):
            wrong.append(f"{name} ran on {applied}")
        if twice := written_twice(stage.server.journal.entries()):
            wrong.append(f"{name}: written twice: {len(twice)}")
    one, two = seconds["one_task"], seconds["two_workers"]
    note = (
        f"{LARGE_FLEET - 1:,} changed sites at {1000 * LARGE_FLEET_LATENCY:.0f} ms: {two:.0f} s over two workers, "
        f"{one:.0f} s in one task, plan and report included"
    )
    return Found(wrong, None, note)


def triggerer_failover(stage: Stage) -> Found:
    """One of two triggerers fails while hundreds of sensors wait."""
    runs = [stage.airflow.trigger(f"production_waits_{site}") for site in range(1, WAITED_FOR + 1)]
    try:
        wait_until(lambda: sum(_shares(stage).values()) == WAITS, 240, "all to be with a triggerer", every=1)
        shares = _shares(stage)
        victim = max(shares, key=lambda name: shares[name])
        (other,) = set(TRIGGERERS) - {victim}
        stage.airflow.services[victim].kill()
        started = time.monotonic()
        wait_until(lambda: _shares(stage) == {other: WAITS}, 240, "the other to take over", every=1)
        _see_all_asked(stage)
        recovery = time.monotonic() - started
        stage.airflow.services[victim].start()
        wrong = _end_some(stage, runs)
    finally:
        for run in runs:
            run.give_up()
    note = f"{shares[victim]} of {WAITS} waits moved to the other; those that came true then ended"
    return Found(wrong, recovery, note)


def _shares(stage: Stage) -> dict[str, int]:
    """Return how many triggers each triggerer has, by its machine."""
    rows = stage.airflow.postgres.query(
        "SELECT job.hostname, count(*) FROM trigger JOIN job ON job.id = trigger.triggerer_id GROUP BY 1"
    )
    return {str(host): int(count) for host, count in rows}


def _see_all_asked(stage: Stage) -> None:
    """Wait until every page that is waited for has been asked for once more."""
    sites = {f"site-{number:04}" for number in range(1, WAITED_FOR + 1)}
    stage.server.journal.clear()
    wait_until(
        lambda: sites <= {entry.agent for entry in stage.server.journal.entries()}, 120, "all to be asked"
    )


def _end_some(stage: Stage, runs: list[Run]) -> list[str]:
    """Let the waits for one page come true, and see that these end and no other one."""
    values = stage.values("site-0001", "sandbox")
    stage.server.polyai.write_page("site-0001", "sandbox", variables={**values, "wait": "over"})
    runs[0].succeed(seconds=400)
    others = Counter(state for run in runs[1:] for state in run.states().values())
    return [] if set(others) == {"deferred"} else [f"the states of the others are {others}"]


SCENARIOS = (
    Scenario("Approval, apply, watch, rollback and hold across workers", release),
    Scenario("Contenders for one lock on two workers", contenders),
    Scenario("Four chunks under a rate limit shared through Redis", chunks),
    Scenario("5,000 sites over two workers and in one task", large_fleet, long=True),
    Scenario("A triggerer is killed while 500 sensors wait", triggerer_failover),
)
