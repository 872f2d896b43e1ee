"""The table of guarantees: its rows, and what a row cannot mean for an operator.

The tests in this folder assert every row for every writing operator, and ``docs/guarantees.md`` is made from the same
data by ``python tests/guarantees/table.py``.
"""

from __future__ import annotations

from pathlib import Path

ROWS: dict[str, tuple[str, str]] = {
    "dry_run": ("Plans before it writes. A dry run plans only and says what would be refused.", "`dry_run`"),
    "expected_digest": (
        "Carries out exactly the plan that was seen, or names what moved; a half-applied plan stays appliable.",
        "`expected_digest`",
    ),
    "lock": ("One run per target at a time; a second one waits or fails.", "`lock_wait`"),
    "spelling": ("An agent is one target, by slug or by id.", "–"),
    "hold": ("What was rolled back stays back until it is released.", "`hold` of the restoring operators"),
    "snapshot": ("Keeps what it is about to change, and a restore brings it back.", "`take_snapshot`"),
    "consent": (
        "Writing where callers are needs consent.",
        "`confirm_live`, for purchases `confirm_purchase`",
    ),
    "backfill": ("A backfill does not write.", "`allow_backfill`"),
    "waves": ("Reaches its targets or items wave by wave.", "`waves`"),
    "failures": ("Stops when too many failed.", "`max_failures`"),
    "changes": ("Refuses to change more than allowed.", "`max_changed`"),
    "stop": ("A stop switch ends the run before its next wave.", "`stop_variable`"),
    "freeze": ("Begins nothing in a freeze window, unless somebody overrides it on record.", "`freeze`"),
    "unknown": ("Reads an unknown outcome back, and never blindly sends the write again.", "–"),
    "kill": ("Killed and started again: the same end, and no write twice.", "–"),
    "again": (
        "A second run writes nothing. (Only a publication asks again: the platform refuses to publish a draft twice.)",
        "–",
    ),
    "totals": ("Reports every item; the totals add up.", "`on_partial` for connectors"),
}
"""Row -> what it promises, and its argument."""

ONE_TARGET = "It has one target, so there is nothing to divide."
NOT_AN_AGENT = "Numbers have one spelling."
A_TRUNK = "Its target is a SIP trunk, whose id has one spelling; the agent's two spellings count as one."
MERGE = (
    "It goes to sandbox, where no callers are; in the branches model it goes live and needs both arguments."
)

GONE = "A merged branch is gone, so the same merge cannot come back."
SAVED = "It carries out a saved plan, whose digest it is held to; `approved_digest` binds an approval to it."
TESTS = "Tests run on a branch outside of live, where no callers are."

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
    ): "It publishes the draft as it is now, so there is no state to come back to.",
    (
        "PolyAIPublishOperator",
        "snapshot",
    ): "No request takes a publication back; roll the deployment back instead.",
    ("PolyAIPublishOperator", "consent"): "It goes to sandbox, where no callers are.",
    ("PolyAIPublishOperator", "backfill"): "It goes to sandbox, where no callers are.",
    ("PolyAIRunTestsOperator", "hold"): "It deploys nothing, so there is no state to come back to.",
    ("PolyAIRunTestsOperator", "snapshot"): "A test run changes nothing that could be taken back.",
    ("PolyAIRunTestsOperator", "consent"): TESTS,
    ("PolyAIRunTestsOperator", "backfill"): TESTS,
    ("PolyAIMergeBranchOperator", "consent"): MERGE,
    ("PolyAIMergeBranchOperator", "backfill"): MERGE,
    ("PolyAIMergeBranchOperator", "hold"): GONE,
    ("PolyAIReleaseBranchOperator", "hold"): GONE,
    (
        "PolyAIReleaseBranchOperator",
        "snapshot",
    ): "No request takes a merge back; roll the deployment back instead.",
    ("PolyAIReleaseBranchOperator", "expected_digest"): SAVED,
    (
        "PolyAIMergeBranchOperator",
        "snapshot",
    ): "No request takes a merge back; roll the deployment back instead.",
    ("PolyAIRollbackDeploymentOperator", "hold"): "It is a rollback itself, and places the hold.",
    ("PolyAIRollbackOperator", "hold"): "It is a rollback itself, and places the hold.",
    (
        "PolyAIRollbackOperator",
        "spelling",
    ): "It takes its targets from the snapshot, in the spelling of the promotion.",
    ("SignalWireRestoreRoutingOperator", "hold"): "It is a restore itself, and places the hold.",
    ("OmniaVoiceRestoreAssignmentsOperator", "hold"): "It is a restore itself, and places the hold.",
    ("PolyAIImportPhoneNumbersOperator", "snapshot"): (
        "An import cannot be taken back: numbers are never deleted. The routing of numbers that were there is kept."
    ),
    (
        "SignalWireSearchAndPurchaseOperator",
        "snapshot",
    ): "A purchase cannot be undone; a release does not refund it.",
    ("SignalWireSearchAndPurchaseOperator", "hold"): "Nothing rolls a purchase back.",
    ("SignalWireReleasePhoneNumbersOperator", "snapshot"): "A released number cannot be brought back.",
    ("SignalWireReleasePhoneNumbersOperator", "hold"): "Nothing rolls a release back.",
    ("OmniaVoiceDeleteNumbersOperator", "snapshot"): "A deleted number cannot be brought back.",
    ("OmniaVoiceDeleteNumbersOperator", "hold"): "Nothing rolls a deletion back.",
    ("PolyAIApplyPromotionOperator", "expected_digest"): SAVED,
}
"""(operator, row) -> why the row does not apply."""


HEADER = """# Guarantees

Every operator that writes, of every system, goes through one engine. These guarantees hold for each of them; a test
asserts every row of this page for every operator, and this page is made from the data of that test.

| Guarantee | Argument |
|---|---|
"""


INTRODUCTION = """A dot means that the guarantee holds and is tested; a number refers to the notes.
`PolyAIWatchPromotionOperator` writes only by rolling back, as `PolyAIRollbackOperator` does, and
`PolyAIWatchReleaseOperator` as `PolyAIRollbackDeploymentOperator` does.

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
