"""The table of guarantees: its rows, and what a row cannot mean for an operator.

The tests in this folder assert every row for every writing operator, and ``docs/guarantees.md`` is made from the same
data by ``python tests/guarantees/table.py``.
"""

from __future__ import annotations

from pathlib import Path

ROWS: dict[str, tuple[str, str]] = {
    "dry_run": (
        "It plans before it writes. A dry run only plans, and reports what would be refused.",
        "`dry_run`",
    ),
    "expected_digest": (
        "It applies exactly the plan that was shown, or names what changed. A partly applied plan stays applicable.",
        "`expected_digest`",
    ),
    "lock": ("Only one run writes a target at a time; a second run waits or fails.", "`lock_wait`"),
    "spelling": ("An agent is one target, whether it is named by slug or by id.", "–"),
    "hold": (
        "No run writes a rolled back change again until the hold is released.",
        "`hold` of the restoring operators",
    ),
    "snapshot": (
        "It saves the state before its changes, and a restore brings that state back.",
        "`take_snapshot`",
    ),
    "consent": (
        "A write that affects callers needs consent.",
        "`confirm_live`, for purchases `confirm_purchase`",
    ),
    "backfill": ("A backfill does not write.", "`allow_backfill`"),
    "waves": ("It writes its targets or items wave by wave.", "`waves`"),
    "failures": ("It stops after too many failures.", "`max_failures`"),
    "changes": ("It refuses a plan with too many changes.", "`max_changed`"),
    "stop": ("A stop switch ends the run before its next wave.", "`stop_variable`"),
    "freeze": (
        "It starts nothing in a freeze window, unless an override gives a reason, which is logged.",
        "`freeze`",
    ),
    "unknown": (
        "If the outcome of a write is unknown, it reads the state before it sends the write again.",
        "–",
    ),
    "kill": ("A killed run can be started again: the result is the same, and no write happens twice.", "–"),
    "again": (
        "A second run writes nothing. (A publication is sent again; the platform refuses to publish a draft twice.)",
        "–",
    ),
    "totals": ("It reports every item, and the totals add up.", "`on_partial` for connectors"),
}
"""Row -> what it promises, and its argument."""

ONE_TARGET = "It has one target only."
NOT_AN_AGENT = "Numbers have one spelling."
A_TRUNK = "Its target is a SIP trunk, whose id has one spelling; the agent's two spellings count as one."
MERGE = "It writes to sandbox, which has no callers; in the branches model it writes to live and needs both arguments."

GONE = "A merged branch is gone, so the same merge cannot run again."
SAVED = "It applies a saved plan and checks its digest; `approved_digest` binds an approval to it."
TESTS = "Tests run on a branch outside of live, which has no callers."

REASONS: dict[tuple[str, str], str] = {
    **{
        (operator, row): ONE_TARGET
        for operator in (
            "PolyAIPublishOperator",
            "PolyAIPromoteDeploymentOperator",
            "PolyAIRollbackDeploymentOperator",
            "PolyAIMergeBranchOperator",
            "PolyAIRunTestsOperator",
            "PolyAIReleaseBranchOperator",
        )
        for row in ("waves", "failures")
    },
    **{
        (operator, "spelling"): NOT_AN_AGENT
        for operator in (
            "SignalWireRoutePhoneNumbersOperator",
            "SignalWireRestoreRoutingOperator",
            "SignalWireSearchAndPurchaseOperator",
            "SignalWireReleasePhoneNumbersOperator",
            "SignalWireAssignE911Operator",
            "OmniaVoiceAssignNumbersOperator",
            "OmniaVoiceUpdateNumbersOperator",
            "OmniaVoiceDeleteNumbersOperator",
            "OmniaVoiceRestoreAssignmentsOperator",
        )
    },
    ("PolyAIUpdateSipExtensionsOperator", "spelling"): A_TRUNK,
    (
        "PolyAIPublishOperator",
        "hold",
    ): "It publishes the current draft, so no earlier state can return.",
    (
        "PolyAIPublishOperator",
        "snapshot",
    ): "No request undoes a publication; roll back the deployment instead.",
    ("PolyAIPublishOperator", "consent"): "It writes to sandbox, which has no callers.",
    ("PolyAIPublishOperator", "backfill"): "It writes to sandbox, which has no callers.",
    ("PolyAIRunTestsOperator", "hold"): "It deploys nothing, so no earlier state can return.",
    ("PolyAIRunTestsOperator", "snapshot"): "A test run changes nothing that could be undone.",
    ("PolyAIRunTestsOperator", "consent"): TESTS,
    ("PolyAIRunTestsOperator", "backfill"): TESTS,
    ("PolyAIMergeBranchOperator", "consent"): MERGE,
    ("PolyAIMergeBranchOperator", "backfill"): MERGE,
    ("PolyAIMergeBranchOperator", "hold"): GONE,
    ("PolyAIReleaseBranchOperator", "hold"): GONE,
    (
        "PolyAIReleaseBranchOperator",
        "snapshot",
    ): "No request undoes a merge; roll back the deployment instead.",
    ("PolyAIReleaseBranchOperator", "expected_digest"): SAVED,
    (
        "PolyAIMergeBranchOperator",
        "snapshot",
    ): "No request undoes a merge; roll back the deployment instead.",
    ("PolyAIRollbackDeploymentOperator", "hold"): "It is a rollback itself and places the hold.",
    ("PolyAIRollbackOperator", "hold"): "It is a rollback itself and places the hold.",
    (
        "PolyAIRollbackOperator",
        "spelling",
    ): "Its targets come from the snapshot, in the spelling of the promotion.",
    ("SignalWireRestoreRoutingOperator", "hold"): "It is a restore itself and places the hold.",
    ("OmniaVoiceRestoreAssignmentsOperator", "hold"): "It is a restore itself and places the hold.",
    ("PolyAIImportPhoneNumbersOperator", "snapshot"): (
        "An import cannot be undone, because numbers are never deleted. The routing of existing numbers is saved."
    ),
    (
        "SignalWireSearchAndPurchaseOperator",
        "snapshot",
    ): "A purchase cannot be undone; a release does not refund it.",
    ("SignalWireSearchAndPurchaseOperator", "hold"): "A purchase has no rollback.",
    ("SignalWireReleasePhoneNumbersOperator", "snapshot"): "A released number cannot be restored.",
    ("SignalWireReleasePhoneNumbersOperator", "hold"): "A release has no rollback.",
    ("OmniaVoiceDeleteNumbersOperator", "snapshot"): "A deleted number cannot be restored.",
    ("OmniaVoiceDeleteNumbersOperator", "hold"): "A deletion has no rollback.",
    ("PolyAIApplyPromotionOperator", "expected_digest"): SAVED,
}
"""(operator, row) -> why the row does not apply."""


HEADER = """# Guarantees

This page lists the guarantees of every operator that writes. All of them use one engine. A test asserts every row for
every operator, and this page is generated from the data of that test.

| Guarantee | Argument |
|---|---|
"""


INTRODUCTION = """A dot means that the guarantee holds and is tested. A number refers to the notes.
`PolyAIWatchPromotionOperator` writes only when it rolls back, like `PolyAIRollbackOperator`, and
`PolyAIWatchReleaseOperator` like `PolyAIRollbackDeploymentOperator`.

"""


def render(operators: list[str]) -> str:
    """Return the page.

    :param operators: names of all writing operators.
    """
    lines = [f"| {promise} | {argument} |" for promise, argument in ROWS.values()]
    text = HEADER + "\n".join(lines)
    text += "\n\n## Operators\n\n" + INTRODUCTION
    text += "| Operator | " + " | ".join(f"`{row}`" for row in ROWS) + " |\n"
    text += "|---" * (len(ROWS) + 1) + "|\n"
    notes = list(
        dict.fromkeys(REASONS[name, row] for name in operators for row in ROWS if (name, row) in REASONS)
    )
    for name in operators:
        cells = [str(notes.index(REASONS[name, row]) + 1) if (name, row) in REASONS else "●" for row in ROWS]
        text += f"| `{name}` | " + " | ".join(cells) + " |\n"
    text += (
        "\n## Notes\n\n" + "\n".join(f"{place}. {note}" for place, note in enumerate(notes, start=1)) + "\n"
    )
    return text


PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"

if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from guarantees.cases import CASES

    PAGE.write_text(render(list(dict.fromkeys(case.name for case in CASES))), encoding="utf-8")
