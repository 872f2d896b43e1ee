"""The table of guards per deployment model in ``docs/deployment-models.md``, each with the test that shows it.

``python tests/support/model_guards.py`` writes the table into the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deployment-models.md"
BEGIN, END = "<!-- guards: begin -->", "<!-- guards: end -->"
MODELS = "tests/airflow/test_deployment_models.py"
TESTED = "tests/airflow/test_tested_promotions.py"
RELEASE = "tests/airflow/test_release.py"
DEPLOYMENTS = "tests/airflow/test_deployments.py"


class Guard(NamedTuple):
    """One row: in which model, what is guarded, what happens, and the argument that overrides it."""

    model: str
    guarded: str
    outcome: str
    override: str
    test: str
    file: str = MODELS


GUARDS = [
    Guard(
        "ladder",
        "Promotion of a version that is older than what the target runs, or whose age is unknown (stale promote)",
        "refused",
        "`allow_downgrade`",
        "test_live_is_not_overwritten_by_what_is_older_than_it",
        DEPLOYMENTS,
    ),
    Guard(
        "ladder",
        "Promotion from sandbox to live without pre-release",
        "refused",
        "`allow_skip_pre_release`",
        "test_guards_refuse_before_any_request",
        DEPLOYMENTS,
    ),
    Guard(
        "ladder",
        "Promotion whose tests ran on another version, failed, are too old, or did not run",
        "refused, if `tests` are required",
        "`required: false` if none ran",
        "test_tests_that_do_not_count_stop_a_promotion",
        TESTED,
    ),
    Guard(
        "ladder",
        "A tag in the history of sandbox, which only the branches model has",
        "promotion refused",
        "–",
        "test_a_tag_in_the_history_contradicts_the_ladder",
    ),
    Guard(
        "ladder",
        "A merge to sandbox that also changed live",
        "fails without retries, and says how to roll back",
        "–",
        "test_a_merge_that_went_live_unasked_is_told_loudly",
        DEPLOYMENTS,
    ),
    Guard(
        "not given",
        "The provider assumes the ladder",
        "a line in the log",
        "–",
        "test_the_ladder_is_assumed_aloud",
    ),
    Guard(
        "branches",
        "Promotion (stale promote: the platform would accept it)",
        "refused before any request",
        "–",
        "test_nothing_is_promoted_in_the_branches_model",
    ),
    Guard(
        "branches",
        "Promotion in a saved plan",
        "refused",
        "–",
        "test_a_plan_promotes_nothing_in_the_branches_model",
    ),
    Guard(
        "branches",
        "Publication",
        "refused before any request",
        "–",
        "test_nothing_is_published_in_the_branches_model",
    ),
    Guard(
        "branches",
        "Merge straight to live",
        "needs consent",
        "`confirm_live`",
        "test_a_merge_to_live_needs_consent",
    ),
    Guard(
        "branches",
        "Merge straight to live",
        "needs an approved digest (`expected_digest`)",
        "`allow_unapproved`",
        "test_a_merge_to_live_needs_an_approval",
    ),
    Guard(
        "branches",
        "Merge of a branch that has diverged from main, if the list of branches says so",
        "refused",
        "`allow_diverged`",
        "test_a_merge_of_a_diverged_branch_to_live_is_refused",
    ),
    Guard(
        "branches",
        "Merge while Staging holds another branch, if the list of branches says so",
        "refused",
        "`allow_staging_held`",
        "test_a_merge_while_staging_holds_another_branch_is_refused",
    ),
    Guard(
        "branches",
        "Release whose tests did not pass on exactly this branch state",
        "refused",
        "–",
        "test_tests_of_another_state_of_the_branch_stop_the_plan",
        RELEASE,
    ),
    Guard(
        "branches",
        "Release whose tests did not run",
        "refused",
        "`required: false`",
        "test_tests_that_did_not_run_stop_the_plan",
        RELEASE,
    ),
    Guard(
        "branches",
        "Release after branch, main, live or test results changed since the approval",
        "refused",
        "–",
        "test_what_moved_since_the_approval_stops_the_merge",
        RELEASE,
    ),
    Guard(
        "branches",
        "Release that is not in live after the merge",
        "fails without retries, with the question",
        "–",
        "test_a_merge_that_did_not_reach_live_fails",
        RELEASE,
    ),
    Guard(
        "branches",
        "Automatic rollback after somebody deployed to live since the release",
        "refused",
        "–",
        "test_newer_work_in_live_is_not_rolled_back",
        RELEASE,
    ),
    Guard(
        "branches",
        "Numbers imported for sandbox, which has no telephony",
        "refused before any request",
        "`allow_sandbox_numbers`",
        "test_no_numbers_for_a_sandbox_without_telephony",
    ),
    Guard(
        "branches",
        "Rollback of sandbox or pre-release",
        "refused before any request",
        "–",
        "test_only_live_is_rolled_back_in_the_branches_model",
    ),
    Guard(
        "branches",
        "Rollback by promotion (`strategy='promote'`)",
        "refused before any request",
        "–",
        "test_the_way_back_of_the_branches_model_is_no_promotion",
    ),
    Guard(
        "auto, unknown",
        "Promotion to live, and to pre-release, which can be Staging",
        "refused with the question",
        "name the model",
        "test_auto_without_a_conclusion_promotes_nothing",
    ),
    Guard(
        "auto, unknown",
        "Promotion in a saved plan",
        "refused with the question",
        "name the model",
        "test_auto_without_a_conclusion_plans_nothing_for_live",
    ),
    Guard(
        "auto, unknown",
        "Merge, which can go live",
        "refused with the question",
        "name the model",
        "test_auto_without_a_conclusion_merges_nothing",
    ),
    Guard(
        "auto, unknown",
        "Rollback of live by promotion",
        "refused with the question",
        "name the model",
        "test_auto_without_a_conclusion_goes_not_back_by_promotion",
    ),
    Guard(
        "auto, unknown",
        "Rollback of sandbox or pre-release",
        "refused with the question",
        "name the model",
        "test_auto_without_a_conclusion_rolls_no_sandbox_back",
    ),
    Guard(
        "auto, unknown",
        "Rollback of live, which is the same request in both models",
        "allowed, with the question as a warning",
        "–",
        "test_auto_without_a_conclusion_still_rolls_live_back",
    ),
    Guard(
        "auto, unknown",
        "Publication to sandbox",
        "allowed, with the question as a warning",
        "–",
        "test_auto_publishes_to_sandbox_where_it_came_to_no_conclusion",
    ),
    Guard(
        "auto, branches",
        "Promotion",
        "refused, with the evidence",
        "–",
        "test_auto_concludes_branches_from_a_tag",
    ),
    Guard(
        "auto, branches",
        "Merge straight to live",
        "needs consent and an approved digest",
        "`confirm_live`, `allow_unapproved`",
        "test_auto_guards_a_merge_that_it_finds_to_go_live",
    ),
    Guard(
        "auto, branches",
        "Publication",
        "refused",
        "–",
        "test_auto_publishes_nothing_in_the_branches_model",
    ),
    Guard(
        "auto, branches",
        "Numbers imported for sandbox",
        "refused",
        "`allow_sandbox_numbers`",
        "test_auto_imports_no_numbers_for_a_sandbox_without_telephony",
    ),
]


def render() -> str:
    """Return the table."""
    lines = ["| Model | What | Outcome | Override | Test |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.model} | {each.guarded} | {each.outcome} | {each.override} | "
        f"[`{each.test}`](../{each.file}) |"
        for each in GUARDS
    ]
    return "\n".join(lines)


def written() -> str:
    """Return the table as the page has it."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def is_there(guard: Guard) -> bool:
    """Return whether the test of a guard exists."""
    return bool(
        re.search(rf"^def {guard.test}\(", (ROOT / guard.file).read_text(encoding="utf-8"), re.MULTILINE)
    )


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
