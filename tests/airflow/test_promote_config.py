"""Promotions through the real task runner: what the server holds afterwards, and what it was asked."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_voice_agents.emulator.fleet_seed import FLEET_KEY, fleet_seed
from airflow_voice_agents.polyai.assets import config_uri
from airflow_voice_agents.polyai.operators.configs import PolyAIPromoteConfigOperator
from airflow_voice_agents.transport.errors import (
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    RateLimited,
    ServerError,
    StateMoved,
    Unauthorized,
)
from support.airflow_runner import make
from support.airflow_versions import NATIVE
from support.emulated import (
    BANK,
    HOTELS,
    LIVE,
    PAGES,
    PRE_RELEASE,
    ROSA,
    SANDBOX,
    SCHEMA,
    VALUES,
    Emulated,
    counts,
    items,
    kept_text,
    place,
)

GREETING = {
    "type": "object",
    "properties": {"greeting": {"type": "string"}},
    "required": ["greeting"],
}


def promote(**arguments: Any) -> PolyAIPromoteConfigOperator:
    usual = {"source": place(HOTELS, SANDBOX), "targets": place(HOTELS, PRE_RELEASE)}
    return make(PolyAIPromoteConfigOperator, task_id="promote", **{**usual, **arguments})


def to_live(**arguments: Any) -> PolyAIPromoteConfigOperator:
    usual = {"source": place(HOTELS, PRE_RELEASE), "targets": place(HOTELS, LIVE), "confirm_live": True}
    return promote(**{**usual, **arguments})


def plans_stored(polyai: Emulated) -> list[str]:
    return [key for key in polyai.runner.stored("promote") if key.startswith("plan-")]


def site(number: int) -> str:
    return f"site-{number:04}"


@pytest.fixture
def fleet(polyai: Emulated) -> Emulated:
    """Twelve similar sites."""
    polyai.server.reset(fleet_seed(12))
    polyai.connect(key=FLEET_KEY)
    return polyai


def to_sites(*numbers: int, environment: str = SANDBOX, **arguments: Any) -> PolyAIPromoteConfigOperator:
    """From the first site to others."""
    targets = [place(site(number), environment) for number in numbers]
    return promote(**{"source": place(site(1), SANDBOX), "targets": targets, **arguments})


# ---------------------------------------------------------------------------------- requests


def test_a_page_that_is_as_its_source_costs_one_read(polyai: Emulated) -> None:
    for environment in (SANDBOX, PRE_RELEASE):
        polyai.put_page(HOTELS, environment, {"greeting": "hello"}, GREETING)
    before = polyai.state()

    outcome = polyai.run(promote())

    assert (outcome.state, counts(outcome)) == ("success", {"unchanged": 1})
    assert polyai.requests() == {PAGES: 1}
    assert polyai.state() == before


@pytest.mark.parametrize(("verify", "reads"), [(False, 1), (True, 2)])
def test_new_values_cost_a_read_and_a_write_and_verification_one_read_more(
    polyai: Emulated, verify: bool, reads: int
) -> None:
    outcome = polyai.run(promote(verify=verify))

    assert (outcome.state, counts(outcome)) == ("success", {"changed": 1})
    assert polyai.requests() == {PAGES: reads, VALUES: 1}
    wanted, got = polyai.values(HOTELS, SANDBOX), polyai.values(HOTELS, PRE_RELEASE)
    assert {**got, "settings": None} == {**wanted, "settings": None}


@pytest.mark.parametrize(("verify", "reads"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("agent_id", [ROSA, BANK])
def test_a_new_schema_costs_one_write_more(polyai: Emulated, agent_id: str, verify: bool, reads: int) -> None:
    outcome = polyai.run(
        promote(source=place(agent_id, SANDBOX), targets=place(agent_id, PRE_RELEASE), verify=verify)
    )

    assert counts(outcome) == {"changed": 1}
    assert polyai.requests() == {PAGES: reads, SCHEMA: 1, VALUES: 1}
    assert polyai.schema(agent_id, PRE_RELEASE) == polyai.schema(agent_id, SANDBOX)


def test_a_schema_alone_costs_one_write(polyai: Emulated) -> None:
    polyai.put_page(HOTELS, SANDBOX, {"greeting": "hello"}, GREETING)
    polyai.put_page(HOTELS, PRE_RELEASE, {"greeting": "hello"})

    outcome = polyai.run(promote(verify=False))

    assert counts(outcome) == {"changed": 1}
    assert polyai.requests() == {PAGES: 1, SCHEMA: 1}
    assert polyai.schema(HOTELS, PRE_RELEASE) == GREETING


def test_two_environments_of_one_project_are_read_at_once(polyai: Emulated) -> None:
    targets = [place(HOTELS, SANDBOX), place(HOTELS, PRE_RELEASE)]

    outcome = polyai.run(
        promote(source=place(HOTELS, LIVE), targets=targets, verify=False, promote_schema=False)
    )

    assert counts(outcome) == {"changed": 2}
    assert polyai.requests() == {PAGES: 1, VALUES: 2}
    for environment in (SANDBOX, PRE_RELEASE):
        assert polyai.values(HOTELS, environment)["winter_notice"].startswith("Snow")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_template_for_many_projects_is_read_once(fleet: Emulated, concurrency: int) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    sites = range(2, 13)

    outcome = fleet.run(to_sites(*sites, verify=False, concurrency=concurrency, exclude_keys=["site_name"]))

    assert counts(outcome) == {"changed": 11}
    assert fleet.requests() == {PAGES: 12, VALUES: 11}
    for number in sites:
        values = fleet.values(site(number), SANDBOX)
        assert (values["holiday_message"], values["site_name"]) == ("Closed on Monday", f"Site {number}")


def test_a_template_for_many_projects_is_verified_with_one_read_each(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")

    outcome = fleet.run(to_sites(*range(2, 13)))

    assert counts(outcome) == {"changed": 11}
    assert fleet.requests() == {PAGES: 23, VALUES: 11}


@pytest.mark.parametrize(
    "task",
    [
        promote(),
        to_live(stale_keys="keep"),
        to_live(stale_keys="null"),
        promote(source=place(ROSA, SANDBOX), targets=place(ROSA, PRE_RELEASE)),
        promote(source=place(BANK, SANDBOX), targets=place(BANK, PRE_RELEASE)),
        promote(overrides={"flags": {"late_checkout": False}}, exclude_keys=["pms_api_key"]),
        promote(targets=[place(HOTELS, PRE_RELEASE), place(ROSA, SANDBOX)]),
    ],
    ids=["values", "keep", "null", "values then schema", "schema then values", "overrides", "two targets"],
)
def test_a_second_run_writes_nothing(polyai: Emulated, task: PolyAIPromoteConfigOperator) -> None:
    first = polyai.run(task)
    after = polyai.state()
    second, requests = polyai.again(task)

    assert (first.state, second.state) == ("success", "success")
    assert set(counts(second)) == {"unchanged"}
    assert set(requests) == {PAGES}
    assert polyai.state() == after
    assert second.asset_events == []


# ------------------------------------------------------------- what is refused before any request


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"source": place(HOTELS, PRE_RELEASE), "targets": place(HOTELS, LIVE)}, "confirm_live=True"),
        ({"targets": place(HOTELS, LIVE), "confirm_live": True}, "allow_skip_pre_release=True"),
        ({"targets": [place(HOTELS, PRE_RELEASE), place(ROSA, LIVE)]}, "confirm_live=True"),
    ],
    ids=["unconfirmed", "skips pre-release", "one of two is live"],
)
def test_a_guard_stops_the_run_before_any_request(
    polyai: Emulated, arguments: dict[str, Any], said: str
) -> None:
    outcome = polyai.run(promote(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert said in str(outcome.error)
    assert "Nothing was read or written" in str(outcome.error)
    assert polyai.requests() == {}


def test_a_backfill_into_live_is_refused_before_any_request(polyai: Emulated) -> None:
    polyai.runner.run_type = "backfill"

    outcome = polyai.run(to_live(stale_keys="keep", retries=3))

    assert outcome.state == "failed"
    assert "allow_backfill=True" in str(outcome.error)
    assert polyai.requests() == {}


def test_a_backfill_into_live_runs_where_it_is_meant(polyai: Emulated) -> None:
    polyai.runner.run_type = "backfill"

    outcome = polyai.run(to_live(stale_keys="keep", allow_backfill=True))

    assert counts(outcome) == {"changed": 1}
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}


def test_a_backfill_into_sandbox_and_pre_release_is_no_matter(polyai: Emulated) -> None:
    polyai.runner.run_type = "backfill"

    assert counts(polyai.run(promote())) == {"changed": 1}
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_skipping_pre_release_runs_where_it_is_meant(polyai: Emulated) -> None:
    outcome = polyai.run(
        promote(
            targets=place(HOTELS, LIVE), confirm_live=True, allow_skip_pre_release=True, stale_keys="keep"
        )
    )

    assert counts(outcome) == {"changed": 1}
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}
    assert polyai.values(HOTELS, LIVE)["late_arrival_cutoff"] == "22:30"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"source": {"agent_id": HOTELS}}, "source lacks environment"),
        ({"targets": {"agent_id": HOTELS}}, "targets lacks environment"),
        ({"targets": place(HOTELS, "production")}, "not 'production'"),
        ({"targets": place(HOTELS, "LIVE")}, "not 'LIVE'"),
        ({"targets": place("a/b", PRE_RELEASE)}, "targets[0].agent_id must not hold a slash"),
        ({"targets": place("..", PRE_RELEASE)}, "targets[0].agent_id"),
        ({"targets": place("a\0b", PRE_RELEASE)}, "control character"),
        ({"targets": place("", PRE_RELEASE)}, "must not be empty"),
        ({"source": place(7, SANDBOX)}, "source.agent_id must be a text, not 7"),
        ({"source": "harbour-hotels"}, "source is a text that is not JSON"),
        ({"source": ["harbour-hotels", "sandbox"]}, "source must be a mapping or a text, not list"),
        ({"targets": []}, "targets is empty"),
        ({"targets": "[]"}, "targets is empty"),
        ({"targets": None}, "targets must be a mapping or a list or a text, not NoneType"),
        ({"targets": place(HOTELS, SANDBOX)}, "targets names the source itself, harbour-hotels/sandbox"),
        (
            {"source": {"environment": PRE_RELEASE}},
            "targets names the source itself, harbour-hotels/pre-release",
        ),
        ({"source": {"agent_id": None, "environment": SANDBOX}}, "source.agent_id"),
        ({"source": {"environment": "staging"}}, "source.environment must be"),
        (
            {"targets": [place(HOTELS, "pre_release"), place(HOTELS, PRE_RELEASE)]},
            "targets names harbour-hotels/pre-release twice",
        ),
        ({"targets": place(HOTELS, PRE_RELEASE, values={})}, "unknown keys values"),
        ({"overrides": ["flags"]}, "overrides must be a"),
        ({"overrides": {"rate": float("nan")}}, "overrides"),
        ({"overrides": {"holiday_message": "a\0b"}}, "overrides.holiday_message must not hold a null byte"),
        ({"targets": place(HOTELS, PRE_RELEASE, overrides={"x": {1, 2}})}, "targets[0].overrides"),
        ({"concurrency": 0}, "concurrency must be a whole number of at least 1"),
        ({"stale_keys": "drop"}, "stale_keys must be 'fail', 'keep' or 'null'"),
        ({"include_keys": "flags"}, "include_keys"),
        ({"exclude_keys": "flags"}, "exclude_keys"),
        ({"never_promote": "**.mock_*"}, "never_promote must be a list, not '**.mock_*'"),
        ({"exclude_keys": ["flags..late"]}, "exclude_keys[0] must be a dotted path"),
    ],
)
def test_bad_input_is_told_before_any_request(polyai: Emulated, arguments: dict[str, Any], said: str) -> None:
    outcome = polyai.run(promote(**arguments, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, InputError)
    assert said in str(outcome.error)
    assert polyai.requests() == {}


def test_a_key_that_is_not_a_text_is_refused_before_any_request(polyai: Emulated) -> None:
    outcome = polyai.run(promote(overrides={"flags": {1: True}}, retries=3))

    if isinstance(outcome.error, InputError):
        assert outcome.state == "failed"
        assert "overrides" in str(outcome.error)
    else:
        assert not NATIVE, (
            "an older Airflow cannot store the rendered argument, and fails before the task begins"
        )
        assert outcome.state == "up_for_retry"
    assert polyai.requests() == {}


def test_an_unknown_connection_is_named(polyai: Emulated) -> None:
    outcome = polyai.run(promote(polyai_conn_id="no_such_connection"))

    assert outcome.state == "failed"
    assert "no_such_connection" in str(outcome.error)
    assert polyai.requests() == {}


@pytest.mark.parametrize("name", ["pre-release", "pre_release", "prerelease"])
def test_other_spellings_of_an_environment_mean_the_same_page(polyai: Emulated, name: str) -> None:
    outcome = polyai.run(promote(targets=place(HOTELS, name)))

    assert list(items(outcome)) == ["harbour-hotels/pre-release"]
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# ------------------------------------------------------------------- what stops a plan, after reads


def test_an_empty_source_is_refused_after_the_one_read(polyai: Emulated) -> None:
    polyai.server.switches.simplified = [HOTELS]
    before = polyai.state()

    outcome = polyai.run(promote(retries=3))

    assert outcome.state == "failed"
    assert "allow_empty_source=True" in str(outcome.error)
    assert counts(outcome) == {"failed": 1}
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_an_empty_source_may_be_meant(polyai: Emulated) -> None:
    polyai.put_page(HOTELS, SANDBOX, {})
    polyai.put_page(HOTELS, PRE_RELEASE, {"greeting": "hello"})

    outcome = polyai.run(promote(allow_empty_source=True, stale_keys="null"))

    assert counts(outcome) == {"changed": 1}
    assert polyai.values(HOTELS, PRE_RELEASE) == {"greeting": None}
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_one_target_with_an_invalid_plan_stops_all_before_the_first_write(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    before = fleet.state()
    broken = place(site(3), SANDBOX, overrides={"fallback_number": "no number"})

    outcome = fleet.run(
        to_sites(
            targets=[place(site(2), SANDBOX), broken, place(site(4), SANDBOX)], retries=3, show_values=False
        )
    )

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert "nothing was written" in str(outcome.error)
    assert "site-0003/sandbox" in str(outcome.error)
    assert "fallback_number" in str(outcome.error)
    assert "no number" not in kept_text(outcome)
    assert counts(outcome) == {"failed": 1, "skipped": 2}
    assert (fleet.requests(), fleet.state()) == ({PAGES: 4}, before)


def test_a_target_that_does_not_exist_stops_all_before_the_first_write(polyai: Emulated) -> None:
    before = polyai.state()
    targets = [place(HOTELS, PRE_RELEASE), place("no-such-agent", PRE_RELEASE)]

    outcome = polyai.run(promote(targets=targets, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 1}
    assert "could not be read" in items(outcome)["no-such-agent/pre-release"]["reason"]
    assert (polyai.requests(), polyai.state()) == ({PAGES: 2}, before)


def test_a_platform_that_is_down_for_a_moment_is_tried_again_by_the_task(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=PAGES, status=503, times=5)
    task = promote(retries=1)

    first = polyai.run(task)
    second, requests = polyai.again(task, try_number=2)

    assert first.state == "up_for_retry"
    assert isinstance(first.error, ServerError)
    assert (second.state, requests) == ("success", {PAGES: 2, VALUES: 1})


def test_a_rate_limit_while_planning_is_waited_out_by_the_task(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=PAGES, status=429, headers={"Retry-After": "120"}, times=None)
    before = polyai.state()

    outcome = polyai.run(promote(retries=1, retry_delay=timedelta(seconds=30)))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 120)
    assert isinstance(outcome.error, RateLimited)
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_a_target_that_the_key_has_no_right_to_stops_all_before_the_first_write(polyai: Emulated) -> None:
    polyai.connect(key="demo-key-hotels")
    before = polyai.state()

    outcome = polyai.run(promote(targets=[place(HOTELS, PRE_RELEASE), place(ROSA, SANDBOX)], retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, GuardRefused)
    assert counts(outcome) == {"failed": 1, "skipped": 1}
    assert items(outcome)["rosa-restaurants/sandbox"]["status"] == "failed"
    assert (polyai.requests(), polyai.state()) == ({PAGES: 2}, before)


def test_a_key_that_is_revoked_on_the_way_is_not_used_again(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    fleet.server.fault("answer", operation=VALUES, status=401, nth=2, times=None)

    outcome = fleet.run(to_sites(2, 3, 4, 5, concurrency=1, verify=False, retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert counts(outcome) == {"changed": 1, "failed": 1, "skipped": 2}
    assert fleet.requests() == {PAGES: 5, VALUES: 2}
    assert fleet.values(site(2), SANDBOX)["holiday_message"] == "Closed on Monday"


def test_a_key_that_is_refused_ends_the_run_at_once(polyai: Emulated) -> None:
    polyai.connect(key="demo-key-expired")

    outcome = polyai.run(promote(targets=[place(HOTELS, PRE_RELEASE), place(ROSA, SANDBOX)], retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, Unauthorized)
    assert polyai.writes() == 0


# ------------------------------------------------------------------------- what is taken and kept


def test_test_switches_never_reach_live(polyai: Emulated) -> None:
    mocked = {
        "use_mock_api": True,
        "mock_dnis": True,
        "use_dev_api": True,
        "mock_caller_number": "+447700900123",
    }
    polyai.put(
        HOTELS, PRE_RELEASE, settings={**mocked, "routing_enabled": False, "booking_timeout_seconds": 9}
    )
    own = polyai.values(HOTELS, LIVE)["settings"]

    outcome = polyai.run(to_live(stale_keys="keep"))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}
    assert polyai.values(HOTELS, LIVE)["settings"] == {
        **own,
        "routing_enabled": False,
        "booking_timeout_seconds": 9,
    }
    assert items(outcome)["harbour-hotels/live"]["kept_keys"] == [
        "settings.use_mock_api",
        "settings.mock_dnis",
        "settings.use_dev_api",
        "settings.mock_caller_number",
    ]


def test_test_switches_go_along_where_never_promote_is_empty(polyai: Emulated) -> None:
    outcome = polyai.run(promote(never_promote=()))

    assert outcome.state == "success"
    assert polyai.values(HOTELS, PRE_RELEASE) == polyai.values(HOTELS, SANDBOX)
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_only_included_keys_are_taken(polyai: Emulated) -> None:
    before = polyai.values(HOTELS, PRE_RELEASE)

    outcome = polyai.run(promote(include_keys=["holiday_message", "flags.sms_*"]))

    assert outcome.state == "success"
    assert polyai.values(HOTELS, PRE_RELEASE) == {
        **before,
        "holiday_message": polyai.values(HOTELS, SANDBOX)["holiday_message"],
        "flags": {**before["flags"], "sms_confirmations": True},
    }
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_an_included_key_that_the_source_lacks_is_refused(polyai: Emulated) -> None:
    outcome = polyai.run(promote(include_keys=["holiday_message", "holyday_mesage"]))

    assert "what the source does not have: holyday_mesage" in str(outcome.error)
    assert polyai.requests() == {PAGES: 1}


def test_excluded_keys_stay_as_the_target_has_them(polyai: Emulated) -> None:
    before = polyai.values(HOTELS, PRE_RELEASE)

    outcome = polyai.run(promote(exclude_keys=["pms_api_key", "flags.sms_confirmations"]))

    after = polyai.values(HOTELS, PRE_RELEASE)
    assert outcome.state == "success"
    assert (after["pms_api_key"], after["flags"]) == (before["pms_api_key"], before["flags"])
    assert after["late_arrival_cutoff"] == "22:30"
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_selectors_may_come_from_a_template(polyai: Emulated) -> None:
    polyai.runner.push("decide", {"take": ["holiday_message"], "leave": ["flags"]})

    outcome = polyai.run(
        promote(
            include_keys="{{ ti.xcom_pull('decide')['take'] | tojson }}",
            exclude_keys="{{ ti.xcom_pull('decide')['leave'] | tojson }}",
        )
    )

    assert items(outcome)["harbour-hotels/pre-release"]["changed_keys"] == ["holiday_message"]
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_overrides_are_merged_for_all_and_per_target_and_whole_values_are_sent(fleet: Emulated) -> None:
    fleet.server.switches.record_bodies = True
    both = {"flags": {"callback": False}, "holiday_message": None}
    own = {"flags": {"sms_confirmations": True}, "site_name": "Own name"}
    targets = [place(site(2), SANDBOX), place(site(3), SANDBOX, overrides=own)]

    outcome = fleet.run(to_sites(targets=targets, overrides=both, concurrency=1, verify=False))

    assert counts(outcome) == {"changed": 2}
    second, third = fleet.values(site(2), SANDBOX), fleet.values(site(3), SANDBOX)
    assert (second["flags"], third["flags"]) == (
        {"callback": False, "sms_confirmations": False},
        {"callback": False, "sms_confirmations": True},
    )
    assert (second["site_name"], third["site_name"]) == ("Site 1", "Own name")
    assert (second["holiday_message"], third["holiday_message"]) == (None, None)
    assert fleet.requests() == {PAGES: 3, VALUES: 2}
    sent = [body["variables"]["flags"] for body in fleet.bodies(VALUES)]
    assert sent == [second["flags"], third["flags"]]


def test_only_keys_that_differ_are_sent(polyai: Emulated) -> None:
    polyai.server.switches.record_bodies = True

    polyai.run(promote())

    (body,) = polyai.bodies(VALUES)
    assert sorted(body["variables"]) == ["flags", "holiday_message", "late_arrival_cutoff", "pms_api_key"]
    assert body["variables"]["flags"] == polyai.values(HOTELS, SANDBOX)["flags"]


@pytest.mark.parametrize(("source", "target"), [(1, True), (1, 1.0), (0, False), (None, ""), ("1", 1)])
def test_values_that_only_look_alike_are_written(polyai: Emulated, source: Any, target: Any) -> None:
    polyai.put_page(HOTELS, SANDBOX, {"x": source})
    polyai.put_page(HOTELS, PRE_RELEASE, {"x": target})

    assert counts(polyai.run(promote())) == {"changed": 1}
    assert json.dumps(polyai.values(HOTELS, PRE_RELEASE)) == json.dumps({"x": source})
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_promote_schema_false_leaves_the_schema(polyai: Emulated) -> None:
    before = polyai.schema(ROSA, PRE_RELEASE)

    outcome = polyai.run(
        promote(source=place(ROSA, SANDBOX), targets=place(ROSA, PRE_RELEASE), promote_schema=False)
    )

    assert counts(outcome) == {"changed": 1}
    assert polyai.schema(ROSA, PRE_RELEASE) == before
    assert polyai.values(ROSA, PRE_RELEASE)["allergen_notice"].startswith("Please ask")
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# ------------------------------------------------------------------------------------- stale keys


def test_a_key_that_only_live_has_stops_the_run_by_default(polyai: Emulated) -> None:
    before = polyai.state()

    outcome = polyai.run(to_live(retries=3))

    assert outcome.state == "failed"
    assert "Only the target has winter_notice" in str(outcome.error)
    assert items(outcome)["harbour-hotels/live"]["stale_keys"] == ["winter_notice"]
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_a_key_that_only_the_target_has_stays_by_default_below_live(polyai: Emulated) -> None:
    polyai.put(HOTELS, PRE_RELEASE, summer_notice="Heat wave")

    outcome = polyai.run(promote())

    assert outcome.state == "success"
    assert polyai.values(HOTELS, PRE_RELEASE)["summer_notice"] == "Heat wave"
    assert items(outcome)["harbour-hotels/pre-release"]["stale_keys"] == ["summer_notice"]
    assert "only it has summer_notice" in items(outcome)["harbour-hotels/pre-release"]["reason"]
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_a_report_claims_no_equality_while_a_stale_key_stays(polyai: Emulated) -> None:
    polyai.put_page(HOTELS, SANDBOX, {"a": 1})
    polyai.put_page(HOTELS, PRE_RELEASE, {"a": 1, "b": 2})

    outcome = polyai.run(promote())

    assert counts(outcome) == {"unchanged": 1}
    assert "not equal to its source" in items(outcome)["harbour-hotels/pre-release"]["reason"]
    assert polyai.requests() == {PAGES: 1}


def test_stale_keys_keep_leaves_them(polyai: Emulated) -> None:
    outcome = polyai.run(to_live(stale_keys="keep"))

    assert counts(outcome) == {"changed": 1}
    assert polyai.values(HOTELS, LIVE)["winter_notice"].startswith("Snow")
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}


@pytest.mark.parametrize(("stored", "left"), [("store", {"winter_notice": None}), ("delete", {})])
def test_stale_keys_null_sets_them_to_null(polyai: Emulated, stored: str, left: dict[str, None]) -> None:
    polyai.server.switches.null_variable = stored  # type: ignore[assignment]

    outcome = polyai.run(to_live(stale_keys="null"))

    values = polyai.values(HOTELS, LIVE)
    assert counts(outcome) == {"changed": 1}
    assert {key: values[key] for key in values if key == "winter_notice"} == left
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}


def test_a_key_that_an_override_gives_to_the_target_is_not_stale(polyai: Emulated) -> None:
    targets = place(HOTELS, LIVE, overrides={"winter_notice": "Thaw"})

    outcome = polyai.run(to_live(targets=targets))

    assert counts(outcome) == {"changed": 1}
    assert polyai.values(HOTELS, LIVE)["winter_notice"] == "Thaw"
    assert polyai.requests() == {PAGES: 2, SCHEMA: 1, VALUES: 1}


# -------------------------------------------------------------------------------- order of writes


@pytest.mark.parametrize(
    ("agent_id", "order"),
    [(ROSA, [PAGES, VALUES, SCHEMA]), (BANK, [PAGES, SCHEMA, VALUES])],
    ids=["a newly required key", "a newly allowed key"],
)
def test_the_order_of_writes_satisfies_the_strictest_server(
    polyai: Emulated, agent_id: str, order: list[str]
) -> None:
    polyai.server.switches.schema_checks_data = True

    outcome = polyai.run(
        promote(source=place(agent_id, SANDBOX), targets=place(agent_id, PRE_RELEASE), verify=False)
    )

    assert counts(outcome) == {"changed": 1}
    assert polyai.order() == order


def opposites(polyai: Emulated) -> None:
    """Pages of which neither order of writes is valid."""
    for environment, kind, value in ((SANDBOX, "string", "one"), (PRE_RELEASE, "integer", 1)):
        schema = {"type": "object", "properties": {"x": {"type": kind}}}
        polyai.put_page(HOTELS, environment, {"x": value}, schema)


def test_pages_that_no_order_keeps_valid_are_refused(polyai: Emulated) -> None:
    opposites(polyai)
    before = polyai.state()

    outcome = polyai.run(promote())

    assert isinstance(outcome.error, GuardRefused)
    assert "bridge_schema=True" in str(outcome.error)
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_a_bridge_brings_over_what_no_order_can(polyai: Emulated) -> None:
    polyai.server.switches.schema_checks_data = True
    opposites(polyai)

    outcome = polyai.run(promote(bridge_schema=True))

    assert counts(outcome) == {"changed": 1}
    assert polyai.order() == [PAGES, SCHEMA, VALUES, SCHEMA, PAGES]
    assert polyai.values(HOTELS, PRE_RELEASE) == {"x": "one"}
    assert polyai.schema(HOTELS, PRE_RELEASE) == polyai.schema(HOTELS, SANDBOX)


# ------------------------------------------------------------------------ plans and their digests


def test_a_dry_run_writes_nothing_and_needs_no_confirmation(polyai: Emulated) -> None:
    before = polyai.state()

    outcome = polyai.run(to_live(dry_run=True, confirm_live=False, stale_keys="keep"))

    assert outcome.state == "success"
    assert outcome.result["dry_run"] is True
    assert len(outcome.result["plan_digest"]) == 64
    assert counts(outcome) == {"changed": 1}
    assert items(outcome)["harbour-hotels/live"]["reason"].startswith("would change with 2 request(s)")
    assert "A run that writes would be refused" in outcome.log
    assert "Dry run: nothing was written." in outcome.log
    assert outcome.asset_events == []
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1}, before)


def test_a_dry_run_of_an_invalid_plan_fails(polyai: Emulated) -> None:
    outcome = polyai.run(to_live(dry_run=True))

    assert outcome.state == "failed"
    assert "winter_notice" in str(outcome.error)
    assert polyai.requests() == {PAGES: 1}


def test_an_approved_plan_is_carried_out(polyai: Emulated) -> None:
    planned = polyai.run(promote(dry_run=True))
    polyai.runner.push("plan", planned.result)

    outcome = polyai.run(promote(expected_digest="{{ ti.xcom_pull('plan')['plan_digest'] }}"))

    assert counts(outcome) == {"changed": 1}
    assert outcome.result["plan_digest"] == planned.result["plan_digest"]
    assert polyai.requests() == {PAGES: 3, VALUES: 1}
    assert plans_stored(polyai) == [f"plan-{planned.result['plan_digest']}"]


@pytest.mark.parametrize("environment", [SANDBOX, PRE_RELEASE])
def test_a_plan_of_which_either_side_moved_is_refused(polyai: Emulated, environment: str) -> None:
    planned = polyai.run(promote(dry_run=True))
    polyai.put(HOTELS, environment, holiday_message="Moved")
    before = polyai.state()

    outcome, requests = polyai.again(promote(expected_digest=planned.result["plan_digest"], retries=3))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, StateMoved)
    assert "Nothing was written" in str(outcome.error)
    assert (requests, polyai.state()) == ({PAGES: 1}, before)


def half_applied(fleet: Emulated) -> tuple[PolyAIPromoteConfigOperator, str]:
    """An approved plan for two sites, of which the first try could write only one."""
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    digest = fleet.run(to_sites(2, 3, dry_run=True)).result["plan_digest"]
    task = to_sites(2, 3, expected_digest=digest, retries=2, concurrency=1)
    fleet.server.fault("answer", operation=VALUES, route=site(3), status=503, times=None)
    first = fleet.run(task)
    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 1, "failed": 1})
    fleet.server.clear_faults()
    return task, digest


def test_a_half_applied_plan_is_finished_by_a_retry_under_the_same_digest(fleet: Emulated) -> None:
    task, digest = half_applied(fleet)
    assert plans_stored(fleet) == [f"plan-{digest}"]
    assert "Closed on Monday" not in repr(fleet.runner.state_store)

    second, requests = fleet.again(task, try_number=2)

    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 1})
    assert requests == {PAGES: 4, VALUES: 1}
    assert fleet.values(site(3), SANDBOX)["holiday_message"] == "Closed on Monday"
    assert plans_stored(fleet) == [f"plan-{digest}"]


@pytest.mark.parametrize("moved", [2, 3])
def test_a_half_applied_plan_is_given_up_when_a_target_moved_meanwhile(fleet: Emulated, moved: int) -> None:
    task, _ = half_applied(fleet)
    fleet.put(site(moved), SANDBOX, holiday_message="A colleague's")
    before = fleet.state()

    second, requests = fleet.again(task, try_number=2)

    assert second.state == "failed"
    assert isinstance(second.error, StateMoved)
    assert f"{site(moved)}/sandbox" in str(second.error)
    assert (requests, fleet.state()) == ({PAGES: 3}, before)


def test_a_half_applied_plan_is_given_up_when_its_source_moved_meanwhile(fleet: Emulated) -> None:
    task, _ = half_applied(fleet)
    fleet.put(site(1), SANDBOX, holiday_message="Another")
    before = fleet.state()

    second, requests = fleet.again(task, try_number=2)

    assert isinstance(second.error, StateMoved)
    assert (requests, fleet.state()) == ({PAGES: 3}, before)


# ------------------------------------------------------------------------------ concurrent edits


def test_a_target_that_moves_between_plan_and_write_is_not_overwritten(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    fleet.meanwhile(lambda: fleet.put(site(3), SANDBOX, holiday_message="A colleague's"), operation=VALUES)

    outcome = fleet.run(to_sites(2, 3, 4, concurrency=1, max_snapshot_age=0, verify=False))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailed)
    assert counts(outcome) == {"changed": 2, "failed": 1}
    assert (
        "it changed after it was planned (holiday_message)" in items(outcome)["site-0003/sandbox"]["reason"]
    )
    assert [fleet.values(site(number), SANDBOX)["holiday_message"] for number in (2, 3, 4)] == [
        "Closed on Monday",
        "A colleague's",
        "Closed on Monday",
    ]
    assert fleet.requests() == {PAGES: 7, VALUES: 2}


def test_a_target_that_became_as_planned_meanwhile_is_left(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    for number in (2, 3):
        fleet.put(site(number), SANDBOX, site_name="Site 1", fallback_number="+442079400001")
    fleet.meanwhile(lambda: fleet.put(site(3), SANDBOX, holiday_message="Closed on Monday"), operation=VALUES)

    outcome = fleet.run(to_sites(2, 3, concurrency=1, max_snapshot_age=0, verify=False))

    assert counts(outcome) == {"changed": 1, "unchanged": 1}
    assert fleet.requests() == {PAGES: 5, VALUES: 1}


def test_an_edit_right_after_the_write_is_told_by_verification(polyai: Emulated) -> None:
    polyai.meanwhile(lambda: polyai.put(HOTELS, PRE_RELEASE, holiday_message="Mine"), operation=PAGES, nth=2)

    outcome = polyai.run(promote())

    assert counts(outcome) == {"failed": 1}
    assert "reading it back differs in: holiday_message" in str(outcome.error)
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# ------------------------------------------------------------------------------- partial failures


def test_what_failed_for_good_is_not_tried_again_and_the_rest_stays_done(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    fleet.server.fault("answer", operation=VALUES, route=site(3), status=403, times=None)

    outcome = fleet.run(to_sites(2, 3, 4, retries=3, verify=False))

    assert outcome.state == "failed"
    assert isinstance(outcome.error, ItemsFailedPermanently)
    assert "No retry can mend this" in outcome.log
    assert counts(outcome) == {"changed": 2, "failed": 1}
    assert "return_value" not in outcome.xcoms
    assert outcome.asset_events == []
    assert fleet.requests() == {PAGES: 4, VALUES: 3}
    assert fleet.values(site(4), SANDBOX)["holiday_message"] == "Closed on Monday"


def test_what_failed_for_a_moment_is_tried_again_and_only_that(fleet: Emulated) -> None:
    fleet.put(site(1), SANDBOX, holiday_message="Closed on Monday")
    fleet.server.fault("answer", operation=VALUES, route=site(3), status=503, times=None)
    task = to_sites(2, 3, 4, retries=1, verify=False)

    first = fleet.run(task)
    fleet.server.clear_faults()
    second, requests = fleet.again(task, try_number=2)

    assert (first.state, counts(first)) == ("up_for_retry", {"changed": 2, "failed": 1})
    assert (second.state, counts(second)) == ("success", {"changed": 1, "unchanged": 2})
    assert requests == {PAGES: 4, VALUES: 1}


@pytest.mark.parametrize("action", ["reset", "truncate", "not_json"])
def test_a_write_that_was_applied_but_not_answered_is_seen_to_be_done(polyai: Emulated, action: Any) -> None:
    polyai.server.fault(action, operation=VALUES, apply=True)

    outcome = polyai.run(promote())

    assert counts(outcome) == {"changed": 1}
    assert polyai.values(HOTELS, PRE_RELEASE)["late_arrival_cutoff"] == "22:30"
    assert polyai.requests() == {PAGES: 2, VALUES: 1}
    assert len(polyai.server.journal.changes()) == 1


def test_a_schema_that_is_refused_leaves_the_values_alone(polyai: Emulated) -> None:
    polyai.server.fault("answer", operation=SCHEMA, status=400, times=None)
    before = polyai.state()

    outcome = polyai.run(promote(source=place(BANK, SANDBOX), targets=place(BANK, PRE_RELEASE), retries=3))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert (polyai.requests(), polyai.state()) == ({PAGES: 1, SCHEMA: 1}, before)


# ---------------------------------------------------------------------------------- asset events


def test_a_change_emits_an_event_with_digest_and_run(polyai: Emulated) -> None:
    outcome = polyai.run(promote(targets=[place(HOTELS, PRE_RELEASE), place(ROSA, SANDBOX)]))

    events = {event["dest_asset_key"]["uri"]: event["extra"] for event in outcome.asset_events}
    assert set(events) == {config_uri(HOTELS, PRE_RELEASE), config_uri(ROSA, SANDBOX)}
    extra = events[config_uri(HOTELS, PRE_RELEASE)]
    assert extra == {
        "digest": polyai.digest(HOTELS, PRE_RELEASE)[:12],
        "changed_keys": ["flags", "holiday_message", "late_arrival_cutoff", "pms_api_key"],
        "plan_digest": outcome.result["plan_digest"],
        "run": {"dag_id": "harness", "run_id": "test-run", "task_id": "promote"},
    }
    assert polyai.requests() == {PAGES: 4, VALUES: 2, SCHEMA: 1}


def test_only_what_changed_emits_an_event(fleet: Emulated) -> None:
    fleet.run(to_sites(2))

    outcome, requests = fleet.again(to_sites(2, 3))

    assert [event["dest_asset_key"]["uri"] for event in outcome.asset_events] == [
        config_uri(site(3), SANDBOX)
    ]
    assert requests == {PAGES: 4, VALUES: 1}


def test_an_asset_of_the_author_gets_the_summary(polyai: Emulated) -> None:
    asset = Asset(name="hotels", uri="x-hotels://pages")
    task = promote(outlets=[asset])

    outcome = polyai.run(task)

    (event,) = [each for each in outcome.asset_events if each["dest_asset_key"]["name"] == "hotels"]
    assert event["extra"] == {
        **outcome.result,
        "run": {"dag_id": "harness", "run_id": "test-run", "task_id": "promote"},
    }
    again, requests = polyai.again(promote(outlets=[asset]))
    (event,) = again.asset_events
    assert (event["extra"]["changed"], requests) == (False, {PAGES: 1})


# ---------------------------------------------------------------------------------------- secrecy

MARKERS = ("sourcemarker", "targetmarker", "allmarker", "ownmarker", "secretmarker", "demo-key-uk")


def marked(polyai: Emulated, **arguments: Any) -> PolyAIPromoteConfigOperator:
    polyai.put(
        HOTELS, SANDBOX, holiday_message="sourcemarker", pms_api_key="secretmarker-1", motto="secretmarker-2"
    )
    polyai.put(HOTELS, PRE_RELEASE, holiday_message="targetmarker", pms_api_key="secretmarker-3")
    return promote(
        targets=place(HOTELS, PRE_RELEASE, overrides={"own": ["ownmarker"]}),
        overrides={"all": {"deep": "allmarker"}},
        **arguments,
    )


@pytest.mark.parametrize("deployment", [True, False])
def test_no_value_and_no_key_is_kept_or_logged_where_values_are_hidden(
    polyai: Emulated, monkeypatch: pytest.MonkeyPatch, deployment: bool
) -> None:
    """By the operator, or by a deployment whatever the operator asks for."""
    if deployment:
        monkeypatch.setenv("AIRFLOW__VOICE_AGENTS__SHOW_VALUES", "False")
    outcome = polyai.run(marked(polyai, show_values=deployment))

    assert outcome.state == "success"
    assert polyai.requests() == {PAGES: 2, VALUES: 1}
    assert polyai.values(HOTELS, PRE_RELEASE)["all"] == {"deep": "allmarker"}
    text = kept_text(outcome)
    assert [marker for marker in MARKERS if marker in text] == []
    assert outcome.rendered["targets"] == {
        "agent_id": HOTELS,
        "environment": PRE_RELEASE,
        "overrides": {"own": ["(hidden)"]},
    }
    assert outcome.rendered["overrides"] == {"all": {"deep": "(hidden)"}}


@pytest.mark.parametrize("status", [400, 403, 409, 500])
def test_no_value_and_no_key_is_kept_or_logged_when_a_write_fails(polyai: Emulated, status: int) -> None:
    said = "the value 'sourcemarker' of key demo-key-uk and [\"ownmarker\"] is wrong, allmarker too"
    polyai.server.fault(
        "answer", operation=VALUES, status=status, times=None, body={"error_code": "X", "error_message": said}
    )

    outcome = polyai.run(marked(polyai, show_values=False))

    assert (outcome.state, counts(outcome)) == ("failed", {"failed": 1})
    assert polyai.server.journal.changes() == []
    text = kept_text(outcome)
    assert [marker for marker in MARKERS if marker in text] == []


@pytest.mark.parametrize("arguments", [{}, {"show_values": None}, {"show_values": True}])
def test_a_plan_shows_values_in_the_log_only_and_masks_the_sensitive_ones(
    polyai: Emulated, arguments: dict[str, Any]
) -> None:
    outcome = polyai.run(marked(polyai, sensitive_keys=["motto"], **arguments))

    assert outcome.state == "success"
    assert '"targetmarker" → "sourcemarker"' in outcome.log
    assert "allmarker" in outcome.log
    assert "secretmarker" not in kept_text(outcome)
    assert "demo-key-uk" not in kept_text(outcome)
    stored = repr((outcome.xcoms, outcome.rendered, outcome.asset_events))
    assert [marker for marker in MARKERS if marker in stored] == []
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


# --------------------------------------------------------------------------- Airflow's own ways


def test_a_source_without_an_agent_takes_from_each_targets_own(polyai: Emulated) -> None:
    for agent in (HOTELS, ROSA):
        polyai.put_page(agent, SANDBOX, {"greeting": f"of {agent}"})
    targets = [place(agent, PRE_RELEASE) for agent in (HOTELS, ROSA)]
    task = promote(source={"environment": SANDBOX}, targets=targets, promote_schema=False)
    outcome = polyai.run(task)
    assert outcome.state == "success", outcome.error
    for agent in (HOTELS, ROSA):
        assert polyai.values(agent, PRE_RELEASE)["greeting"] == f"of {agent}"
    assert polyai.requests()["list real-time configs"] == 4  # one per agent, one more to verify each


def test_templates_render_in_source_and_targets(polyai: Emulated) -> None:
    polyai.runner.conf = {"agent": HOTELS}
    polyai.connect("elsewhere")
    task = promote(
        source={"agent_id": "{{ dag_run.conf['agent'] }}", "environment": SANDBOX},
        targets='{{ [{"agent_id": dag_run.conf["agent"], "environment": "pre-release"}] | tojson }}',
        polyai_conn_id="{{ 'elsewhere' }}",
    )

    outcome = polyai.run(task)

    assert list(items(outcome)) == ["harbour-hotels/pre-release"]
    assert outcome.rendered["source"] == place(HOTELS, SANDBOX)
    assert polyai.requests() == {PAGES: 2, VALUES: 1}


def test_targets_come_from_an_upstream_task(fleet: Emulated) -> None:
    from airflow.sdk import task

    with DAG("fleet", schedule=None):

        @task
        def sites() -> list[dict[str, str]]:
            return [place(site(2), SANDBOX), place(site(3), SANDBOX)]

        operator = promote(source=place(site(1), SANDBOX), targets=sites())
    fleet.runner.push("sites", [place(site(2), SANDBOX), place(site(3), SANDBOX)])

    outcome = fleet.run(operator)

    assert counts(outcome) == {"changed": 2}
    assert fleet.requests() == {PAGES: 5, VALUES: 2}


def test_a_mapped_promotion_runs_each_of_its_chunks(fleet: Emulated) -> None:
    with DAG("fleet", schedule=None):
        mapped = PolyAIPromoteConfigOperator.partial(
            task_id="promote", source=place(site(1), SANDBOX), verify=False
        ).expand(targets=[[place(site(2), SANDBOX)], [place(site(3), SANDBOX), place(site(4), SANDBOX)]])

    first, second = fleet.run(mapped, map_index=0), fleet.run(mapped, map_index=1)

    assert (counts(first), counts(second)) == ({"changed": 1}, {"changed": 2})
    assert fleet.requests() == {PAGES: 5, VALUES: 3}


def test_a_mapped_promotion_emits_events_beside_outlets_of_the_author(fleet: Emulated) -> None:
    with DAG("fleet", schedule=None):
        mapped = PolyAIPromoteConfigOperator.partial(
            task_id="promote", source=place(site(1), SANDBOX), outlets=[Asset("x-hotels://pages")]
        ).expand(targets=[[place(site(2), SANDBOX)]])

    outcome = fleet.run(mapped, map_index=0)

    assert {event["dest_asset_key"]["uri"] for event in outcome.asset_events} == {
        "x-hotels://pages",
        config_uri(site(2), SANDBOX),
    }
    assert fleet.requests() == {PAGES: 3, VALUES: 1}


def test_a_run_uses_one_connection_to_the_server(fleet: Emulated) -> None:
    outcome = fleet.run(to_sites(*range(2, 8), concurrency=1))

    assert counts(outcome) == {"changed": 6}
    assert fleet.requests() == {PAGES: 13, VALUES: 6}
    assert outcome.log.count("connect_tcp.complete") == 1
    assert outcome.log.count("close.complete") == 1
