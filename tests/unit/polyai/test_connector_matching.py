"""Settings go from project to project by name, and what has no name there stops the run and says what to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_voice_agents.emulator.server import EmulatorServer
from airflow_voice_agents.engine.applier import Applier, ApplierSettings
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Resource, Transition
from airflow_voice_agents.plans.plan import PlannedItem
from airflow_voice_agents.plans.report import ItemReport, Status
from airflow_voice_agents.plans.selection import Unmatched
from airflow_voice_agents.polyai import api
from airflow_voice_agents.polyai.models import ConnectorUpdate
from airflow_voice_agents.polyai.resources.connector import (
    SETTINGS,
    ConnectorKind,
    ConnectorState,
    connector,
    states,
)
from airflow_voice_agents.polyai.resources.connector_matching import (
    ConnectorRules,
    NamedSettings,
    PendingMoves,
    named,
    plan_arrival,
    plan_connectors,
    shown,
)
from airflow_voice_agents.transport.client import Client
from airflow_voice_agents.transport.errors import InputError
from support.actions import run_context
from support.json_values import bounded
from support.transport import make_settings

KIND = ConnectorKind(batch_size=50)
MAIN = ConnectorState("v-soho", "en-GB", "voice-a", "en-GB", "live", "Main line")
NIGHT = replace(MAIN, name="Night line", variant_id=None)
PRESENT = {connector("rosa", "c1"): MAIN, connector("rosa", "c2"): NIGHT}
VARIANTS = {"Soho": "v-soho", "Leith": "v-leith"}
WANTED = NamedSettings("Main line", "Leith", "en-US", "voice-b")


def plan(
    *wanted: NamedSettings,
    present: Mapping[Resource, ConnectorState] = PRESENT,
    variants: Mapping[str, str] = VARIANTS,
    moving: PendingMoves | None = None,
    unmatched: Unmatched = Unmatched.IGNORE,
    **rules: Any,
) -> tuple[PlannedItem, ...]:
    return plan_connectors(
        KIND,
        "rosa",
        wanted,
        present=present,
        variants=variants,
        rules=ConnectorRules(**rules, unmatched=unmatched),
        moving=moving,
    )


def codes(item: PlannedItem) -> list[str]:
    return [finding.code for finding in item.findings]


def after(item: PlannedItem) -> ConnectorState:
    assert item.transition is not None
    state: ConnectorState = item.transition.after
    return state


def refused(item: PlannedItem, code: str, *words: str) -> None:
    (finding,) = item.errors
    assert finding.code == code
    assert all(word in finding.message for word in words), finding.message
    assert item.transition is None
    assert (item.writes, item.changed) == (0, False)


# ----------------------------------------------------------------------------------------- matching


def test_a_connector_takes_the_settings_of_its_namesake_and_the_target_s_variant() -> None:
    (item,) = plan(WANTED)
    assert item.resource == connector("rosa", "c1")
    assert after(item) == ConnectorState("v-leith", "en-US", "voice-b")
    assert after(item).name == "Main line"
    assert item.source == digest(
        {"name": "Main line", "variant": "Leith", "asr_lang_code": "en-US", "voice_name": "voice-b"}
    )
    assert (item.writes, item.findings, item.waypoints) == (1, (), ())
    assert item.before == KIND.digest(MAIN)


def test_a_connector_that_is_as_its_namesake_stays() -> None:
    (item,) = plan(NamedSettings("Main line", "Soho", "en-GB", "voice-a"))
    assert not item.changed
    assert item.transition is None
    assert item.source is not None


def test_connectors_that_only_the_target_has_are_left_alone() -> None:
    assert [item.resource.name for item in plan(WANTED)] == ["c1"]
    assert plan() == ()


def test_only_the_settings_and_names_asked_for_are_taken() -> None:
    (item,) = plan(WANTED, settings=("voice_name",))
    assert after(item) == replace(MAIN, voice_name="voice-b")
    both = [WANTED, NamedSettings("Night line", None, "en-US", None)]
    assert [item.resource.name for item in plan(*both, names=("Night*",))] == ["c2"]
    assert [item.resource.name for item in plan(*both, names=("Night*", "?ain line"))] == ["c1", "c2"]
    assert plan(WANTED, names=("main*",)) == ()


def test_names_that_differ_are_mapped() -> None:
    (item,) = plan(replace(WANTED, name="Front desk"), renamed={"Front desk": "Main line"})
    assert item.resource.name == "c1"
    (item,) = plan(replace(WANTED, variant="Edinburgh"), variants=VARIANTS, renamed={})
    refused(item, "unmapped_variant", "connectors.variants: {'Edinburgh':", "Leith, Soho")
    rules = ConnectorRules(variants={"Edinburgh": "Leith", "Nowhere": None, "<v-9>": "Soho"})
    for variant, expected in (("Edinburgh", "v-leith"), ("Nowhere", None), ("<v-9>", "v-soho"), (None, None)):
        (item,) = plan_connectors(
            KIND, "rosa", [replace(WANTED, variant=variant)], present=PRESENT, variants=VARIANTS, rules=rules
        )
        assert after(item).variant_id == expected


def test_a_connector_without_namesake_stops_the_run() -> None:
    (item,) = plan(replace(WANTED, name="Front desk"))
    assert item.resource == connector("rosa", "Front desk")
    refused(item, "unmatched_connector", "'Front desk'", "connectors.renamed", "Main line, Night line")
    (item,) = plan(WANTED, present={})
    refused(item, "unmatched_connector", "it has: none")


def test_a_connector_without_a_name_is_matched_with_none() -> None:
    nameless = {connector("rosa", "c9"): replace(MAIN, name=None)}
    (item,) = plan(NamedSettings("", "Soho"), present=nameless)
    refused(item, "unmatched_connector")
    assert plan(NamedSettings("", "Soho"), present=nameless, names=("?*",)) == ()


def test_a_name_that_does_not_tell_which_stops_the_run() -> None:
    (twice,) = plan(WANTED, replace(WANTED, voice_name="other"))
    refused(twice, "ambiguous_connector", "The source has 2 connectors named 'Main line'")
    (item,) = plan(WANTED, present={**PRESENT, connector("rosa", "c3"): MAIN})
    refused(item, "ambiguous_connector", "rosa has 2 connectors named 'Main line': c1, c3")
    two = plan(WANTED, replace(WANTED, name="Front"), renamed={"Front": "Main line"})
    assert [item.resource.name for item in two] == ["Main line", "Front"]
    for item in two:
        refused(item, "ambiguous_connector", "Several source connectors are for 'Main line'")


def test_a_variant_that_has_no_name_in_its_own_project_is_unmapped() -> None:
    (wanted,) = named([replace(MAIN, variant_id="v-9")], {})
    (item,) = plan(wanted)
    refused(item, "unmapped_variant", "'<v-9>'")
    assert (
        after(
            plan(
                wanted,
                settings=("voice_name",),
                present={connector("rosa", "c1"): replace(MAIN, voice_name="x")},
            )[0]
        ).voice_name
        == "voice-a"
    )


def test_a_setting_that_the_source_does_not_show_stays_and_is_told() -> None:
    (item,) = plan(NamedSettings("Main line", "Soho", None, "voice-b"))
    assert after(item) == replace(MAIN, voice_name="voice-b")
    assert codes(item) == ["unset_setting"]
    assert "asr_lang_code" in item.findings[0].message
    assert item.errors == ()
    (item,) = plan(NamedSettings("Night line", None, "en-GB", "voice-a"))
    assert codes(item) == []


def test_one_that_cannot_be_matched_does_not_hide_the_others() -> None:
    items = plan(replace(WANTED, name="Front desk"), WANTED)
    assert [bool(item.errors) for item in items] == [True, False]
    assert items[1].transition is not None


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=r"settings must be of variant_id, .* not name"):
        ConnectorRules(settings=("name", "voice_name"))


def test_lists_in_messages_are_short() -> None:
    assert shown([]) == shown([""]) == "none"
    assert shown(["b", "", "a"]) == "a, b"
    assert shown(f"{place:02}" for place in range(11)).endswith("09, …")


NAMES = st.sampled_from(["Main line", "Night line", "Front desk", ""])
SETTINGS_OF = st.builds(
    NamedSettings,
    NAMES,
    st.none() | st.sampled_from(["Soho", "Leith", "Edinburgh", "<v-9>"]),
    st.none() | st.sampled_from(["en-GB", "en-US"]),
    st.none() | st.sampled_from(["voice-a", "voice-b"]),
)
THERE = st.dictionaries(
    st.sampled_from([connector("rosa", f"c{place}") for place in range(4)]),
    st.builds(
        ConnectorState,
        st.sampled_from([None, "v-soho"]),
        st.sampled_from([None, "en-GB"]),
        st.sampled_from([None, "voice-a"]),
        name=NAMES,
    ),
)
RULES = st.builds(
    ConnectorRules,
    st.sampled_from([("*",), ("Main*",), ("Front desk", "Night*")]),
    st.lists(st.sampled_from(SETTINGS), unique=True).map(tuple),
    st.sampled_from([{}, {"Front desk": "Main line"}]),
    st.sampled_from([{}, {"Edinburgh": "Leith", "<v-9>": None}]),
    st.just(Unmatched.IGNORE),
)


@bounded(400)
@given(st.lists(SETTINGS_OF, max_size=4), THERE, RULES)
def test_every_wanted_name_has_one_item_and_carrying_all_out_leaves_nothing_to_do(
    wanted: list[NamedSettings], present: dict[Resource, ConnectorState], rules: ConnectorRules
) -> None:
    def planned(there: Mapping[Resource, ConnectorState]) -> tuple[PlannedItem, ...]:
        return plan_connectors(KIND, "rosa", wanted, present=there, variants=VARIANTS, rules=rules)

    items = planned(present)
    assert len(items) == len({each.name for each in rules.chosen(wanted)})
    assert len({item.resource for item in items}) == len(items)
    done = dict(present)
    for item in items:
        if item.transition is not None:
            assert KIND.mismatches(item.transition, item.transition.after) == []
            (lane,) = KIND.write_sequences([item.transition])
            (update,) = lane[0].request.body["updates"]  # type: ignore[index]
            done[item.resource] = present[item.resource].with_changes(ConnectorUpdate.parse(update))
            assert set(update) - {"connectorId"} <= {
                {"variant_id": "variantId", "asr_lang_code": "asrLangCode", "voice_name": "voiceName"}[name]
                for name in rules.settings
            }
    again = planned(done)
    assert not any(item.changed for item in again)
    assert [(item.resource, item.after, item.source) for item in again] == [
        (item.resource, item.after, item.source) for item in items
    ]


# ------------------------------------------------------------------------------------ moved connectors

COMING = connector("rosa", "c7")
SEEN = ConnectorState("v-of-hotels", "en-GB", "voice-a", "en-GB", "live", "Groups")


def test_a_connector_that_a_move_brings_is_planned_as_absent_with_what_may_become_of_it() -> None:
    (item,) = plan(moving=PendingMoves({COMING: "Leith"}, {COMING: SEEN}))
    assert item.resource == COMING
    assert item.before == KIND.digest(None)
    assert item.after == KIND.digest(replace(SEEN, variant_id="v-leith"))
    assert item.waypoints == (KIND.digest(SEEN), KIND.digest(replace(SEEN, variant_id=None)))
    assert item.source is None
    assert item.transition == Transition(COMING, None, replace(SEEN, variant_id="v-leith"))
    assert item.writes == 1


@pytest.mark.parametrize("variant", ["Leith", None])
@pytest.mark.parametrize("wanted", [(), (NamedSettings("Groups", "Soho", "en-US", None),)])
@pytest.mark.parametrize("settings", [SETTINGS, ("asr_lang_code",)])
def test_a_moved_connector_is_planned_the_same_before_and_after_it_has_arrived(
    variant: str | None, wanted: tuple[NamedSettings, ...], settings: tuple[str, ...]
) -> None:
    (first,) = plan(*wanted, moving=PendingMoves({COMING: variant}, {COMING: SEEN}), settings=settings)
    assert after(first).asr_lang_code == ("en-US" if wanted else "en-GB")
    for arrived in (SEEN, replace(SEEN, variant_id=None), after(first)):
        there = {**PRESENT, COMING: arrived}
        (again,) = plan(*wanted, present=there, moving=PendingMoves({COMING: variant}), settings=settings)
        assert (again.resource, again.after, again.source) == (first.resource, first.after, first.source)
        assert again.before in (first.before, first.after, *first.waypoints)


def test_a_move_to_a_variant_that_there_is_not_stops_the_run() -> None:
    (item,) = plan(moving=PendingMoves({COMING: "Whitby"}, {COMING: SEEN}))
    assert item.resource == connector("rosa", "Groups")
    refused(item, "unmapped_variant", "'Whitby'", "in the move")


def test_a_moved_connector_that_is_nowhere_is_no_matter_of_settings() -> None:
    assert plan(moving=PendingMoves({COMING: "Leith"})) == ()


def test_a_moved_connector_may_be_one_too_many_of_its_name() -> None:
    (first, second) = plan(
        WANTED, moving=PendingMoves({COMING: None}, {COMING: replace(SEEN, name="Main line")})
    )
    refused(first, "ambiguous_connector", "c1", "c7")
    assert second.resource == COMING


def test_without_knowledge_of_what_is_there_every_setting_counts() -> None:
    unassigned = replace(SEEN, variant_id=None)
    transition = plan_arrival(KIND, COMING, SEEN, unassigned).transition
    assert transition is not None
    assert KIND.mismatches(transition, SEEN) == ["variant_id"]
    assert KIND.mismatches(transition, unassigned) == []
    ((step,),) = KIND.write_sequences([transition])
    (update,) = step.request.body["updates"]  # type: ignore[index]
    assert update == {
        "connectorId": "c7",
        "variantId": None,
        "asrLangCode": "en-GB",
        "voiceName": "voice-a",
    }
    blank = Transition(COMING, None, ConnectorState(None, None, None))
    assert KIND.mismatches(blank, ConnectorState(None, "en-GB", "voice-a")) == []


# ----------------------------------------------------------------------- carried out, over a server

HOTELS, ROSA, MOVED = "harbour-hotels", "rosa-restaurants", "conn_hh_live_main"


async def settings_after_move(
    server: EmulatorServer, variant: str | None, between: dict[str, Any] | None = None
) -> ItemReport:
    """Plan before the move, move, and carry the settings out."""
    target = connector(ROSA, MOVED)
    async with Client(make_settings(server.url, "demo-key-uk")) as client:
        seen = states(HOTELS, await client.asend(api.list_connectors(HOTELS)))[connector(HOTELS, MOVED)]
        found = await client.asend(api.list_variants(ROSA, branch_id="main"))
        (item,) = plan_connectors(
            KIND,
            ROSA,
            [],
            present=states(ROSA, await client.asend(api.list_connectors(ROSA))),
            variants={str(each.name): each.id for each in found},
            rules=ConnectorRules(),
            moving=PendingMoves({target: variant}, {target: seen}),
        )
        move = ConnectorUpdate(connector_id=MOVED, project_id=ROSA)
        await client.asend(api.update_connector(HOTELS, update=move))
        if between:
            server.polyai.agents[ROSA]["connectors"][MOVED].update(between)
        server.journal.clear()
        applier = Applier(
            run_context(client.asend),
            KIND,
            ApplierSettings(max_snapshot_age=0.0),
            waypoints={target: item.waypoints},
        )
        assert item.transition is not None
        (report,) = await applier.apply([item.transition])
    return report


@pytest.mark.parametrize("mode", ["clear", "keep"])
@pytest.mark.parametrize("variant", ["Leith", None])
async def test_a_connector_that_arrived_gets_its_variant_and_nothing_else_is_sent(
    server: EmulatorServer, mode: Any, variant: str | None
) -> None:
    server.switches.move_variant = mode
    server.switches.record_bodies = True
    before = dict(server.polyai.agents[HOTELS]["connectors"][MOVED])
    report = await settings_after_move(server, variant)
    wanted = "VARIANT-010EEAD9" if variant else None
    assert server.polyai.agents[ROSA]["connectors"][MOVED] == {**before, "variantId": wanted}
    sent = [entry.body for entry in server.journal.entries() if entry.operation == "update connectors"]
    if variant is None and mode == "clear":
        assert (report.status, sent) == (Status.UNCHANGED, [])
    else:
        assert report.status is Status.CHANGED
        assert sent == [{"updates": [{"connectorId": MOVED, "variantId": wanted}]}]


async def test_a_connector_that_somebody_set_otherwise_meanwhile_is_let_be(server: EmulatorServer) -> None:
    report = await settings_after_move(server, "Leith", {"asrLangCode": "fr-FR"})
    assert report.status is Status.FAILED
    assert "it changed after it was planned" in report.reason
    assert server.polyai.agents[ROSA]["connectors"][MOVED]["asrLangCode"] == "fr-FR"


# ------------------------------------------------------------------------- names that reach nothing


def findings(items: tuple[PlannedItem, ...], code: str) -> list[tuple[str, str]]:
    found = [each for item in items for each in item.findings if each.code == code]
    return [(each.severity.value, each.message) for each in found]


@pytest.mark.parametrize("policy", [Unmatched.FAIL, Unmatched.WARN])
def test_names_that_reach_no_connector_are_an_error_wherever_they_are(policy: Unmatched) -> None:
    items = plan(WANTED, names=("Main lime",), unmatched=policy)
    ((severity, message),) = findings(items, "connectors.names")
    assert severity == "error"
    assert "Did you mean 'Main line'?" in message
    assert not any(item.changed for item in items)


def test_one_of_several_names_that_reaches_nothing_stops_live_and_is_told_elsewhere() -> None:
    for policy, severity in ((Unmatched.FAIL, "error"), (Unmatched.WARN, "warning")):
        items = plan(WANTED, names=("Main line", "Nigth*"), unmatched=policy)
        assert [said[0] for said in findings(items, "connectors.names")] == [severity]
    assert not findings(plan(WANTED, names=("Main line", "Nigth*")), "connectors.names")


def test_a_source_without_connectors_is_never_silent() -> None:
    for policy, severity in ((Unmatched.FAIL, "error"), (Unmatched.WARN, "warning")):
        ((said, message),) = findings(plan(unmatched=policy), "connectors.names")
        assert said == severity
        assert "it has: none" in message


def test_a_typo_in_renamed_changes_no_other_connector() -> None:
    for policy in (Unmatched.FAIL, Unmatched.WARN):
        items = plan(WANTED, renamed={"Main lime": "Night line"}, unmatched=policy)
        ((severity, message),) = findings(items, "connectors.renamed")
        assert severity == "error"
        assert "Did you mean 'Main line'?" in message
    items = plan(WANTED, names=("Main*",), renamed={"Night line": "Main line"}, unmatched=Unmatched.WARN)
    assert findings(items, "connectors.renamed")


def test_a_variant_that_no_source_connector_has_is_told_with_the_nearest() -> None:
    for policy, severity in ((Unmatched.FAIL, "error"), (Unmatched.WARN, "warning")):
        rules = ConnectorRules(variants={"Lieth": "Soho"}, unmatched=policy)
        (finding,) = rules.unreached([WANTED])
        assert (finding.code, finding.severity.value) == ("connectors.variants", severity)
        assert "Did you mean 'Leith'?" in finding.message


def test_a_name_that_is_spelled_like_a_pattern_wins_over_the_pattern() -> None:
    literal, other = replace(WANTED, name="Main [EN]"), replace(WANTED, name="Main E")
    rules = ConnectorRules(names=("Main [EN]",))
    assert rules.chosen([literal, other]) == [literal]
    assert rules.chosen([other]) == [other]


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("Caf\u00e9", "Cafe\u0301"),
        ("Main line", "Main line "),
        ("Main line", "Main\u00a0line"),
        ("A\u200bB", "AB"),
    ],
)
def test_names_that_differ_invisibly_are_said_to(given: str, there: str) -> None:
    present = {connector("rosa", "c1"): replace(MAIN, name=there)}
    (item,) = plan(replace(WANTED, name=given), present=present)
    refused(item, "unmatched_connector", "only in white space or invisible characters", ascii(there))
