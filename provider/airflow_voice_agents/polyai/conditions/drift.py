"""Conditions on drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_voice_agents.plans.condition import Found
from airflow_voice_agents.plans.drift import Drift, DriftReport, counts_sentence
from airflow_voice_agents.plans.render import visible
from airflow_voice_agents.polyai.spec import PromotionSpec
from airflow_voice_agents.transport.errors import InputError, ItemsFailedPermanently
from airflow_voice_agents.transport.validation import (
    parse_choice,
    summarize_list,
)

UNTIL_DRIFT, UNTIL_IN_SYNC = "drift", "in_sync"


UNTIL = (UNTIL_DRIFT, UNTIL_IN_SYNC)


TARGETS_NAMED = 20
"""Maximum number of targets listed in the result; counts are always complete."""


@dataclass(frozen=True, slots=True)
class DriftCondition:
    """Targets have drifted, or have not; the condition contains only names.

    :param until: ``drift`` or ``in_sync``.
    :param spec: the promotion as JSON, or ``None``.
    :param spec_file: file of the spec, or ``None``.
    :param targets: targets instead of those of the promotion, or ``None``.
    :param baseline: name under which promotions have noted what they applied, or ``None``.
    :param state_folder: URL of the folder that it is in, or ``None`` for the configured one.
    """

    until: str
    spec: Any = field(default=None, repr=False)
    spec_file: str | None = None
    targets: Any = field(default=None, repr=False)
    baseline: str | None = None
    state_folder: str | None = None

    @classmethod
    def parse(
        cls,
        until: object,
        *,
        spec: Any = None,
        spec_file: str | None = None,
        targets: Any = None,
        baseline: str | None = None,
        state_folder: str | None = None,
    ) -> DriftCondition:
        """Check a sensor's arguments as far as that needs no file.

        :raises InputError: for an invalid argument; the message names it.
        """
        parse_choice(until, name="until", choices=UNTIL)
        if spec is not None and spec_file is None:
            given = {**spec, "targets": targets} if targets and isinstance(spec, Mapping) else spec
            spec, targets = PromotionSpec.parse(given).plain(), None
        return cls(str(until), spec, spec_file, targets, baseline, state_folder)

    @property
    def holds_values(self) -> bool:
        """Whether config values are written down in it."""
        if self.spec is not None and self.spec_file is None:
            return PromotionSpec.parse(self.spec).holds_values
        return any(isinstance(each, Mapping) and each.get("overrides") for each in self.targets or ())

    def request(self) -> dict[str, Any]:
        """Return the arguments of the comparison."""
        return {name: value for name, value in asdict(self).items() if name != "until"}

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger.

        :raises InputError: if the spec contains config values, which a trigger must not contain.
        """
        if self.holds_values:
            raise InputError(
                "the spec gives config values (overrides), and Airflow would keep them in its database while the "
                "sensor is deferred. Put the spec into a file and pass spec_file, or wait with "
                "deferrable=False and mode='reschedule'"
            )
        return asdict(self)

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> DriftCondition:
        """Return the condition that :meth:`serialize` returned as plain JSON."""
        return cls(**plain)

    def holds(self, report: DriftReport) -> Found:
        """Decide whether there is the drift that is waited for.

        :param report: what was found.
        :raises ItemsFailedPermanently: when something cannot be compared, so that nobody can say.
        """
        named = [name for name, drift in report.targets.items() if drift is not Drift.UNKNOWN]
        found = {
            "drifted": report.drifted,
            "counts": report.counts(),
            "targets": named[:TARGETS_NAMED],
            "targets_omitted": max(0, len(named) - TARGETS_NAMED),
        }
        if self.until == UNTIL_DRIFT and report.drifted:
            return True, found
        if unknown := report.having(Drift.UNKNOWN):
            listed = summarize_list(
                [f"{each.resource.kind} {each.resource}: {each.reason}" for each in unknown]
            )
            raise ItemsFailedPermanently(
                f"{len(unknown)} resource(s) cannot be compared, so there is no telling whether they drift "
                f"({counts_sentence(report)}) {visible(listed)}"
            )
        return report.settled and self.until == UNTIL_IN_SYNC, found
