"""Arguments of drift operators, sensors and triggers: parse them into a comparison, or wait for its result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from airflow_voice_agents.engine.run_context import RunContext
from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.condition import Found, Read, Reader
from airflow_voice_agents.plans.drift import DriftReport
from airflow_voice_agents.polyai.actions.drift import BaselineDrift, SpecDrift
from airflow_voice_agents.polyai.conditions import DriftCondition
from airflow_voice_agents.polyai.export_files import read_spec, shelf
from airflow_voice_agents.state import baselines
from airflow_voice_agents.transport.errors import InputError

_log = logging.getLogger(__name__)


class DriftWait(msgspec.Struct, frozen=True):
    """A drift condition with its comparison; all requests of the comparison are one read.

    :param condition: the result to wait for, and what is compared.
    """

    condition: DriftCondition

    def reads(self) -> list[Read[DriftReport]]:
        """Return the read that compares; it reads spec and baseline files each time."""
        return [Read(("drift", digest(repr(self.condition.request()))), self._compare)]

    def holds(self, answers: Sequence[DriftReport]) -> Found:
        """Decide whether the result is the one to wait for.

        :param answers: responses to the requests of :meth:`reads`, in order.
        :raises ItemsFailedPermanently: when something cannot be compared.
        """
        return self.condition.holds(answers[0])

    def serialize(self) -> dict[str, Any]:
        """Return plain JSON, for the trigger.

        :raises InputError: when the condition contains config values.
        """
        return self.condition.serialize()

    @classmethod
    def deserialize(cls, plain: Mapping[str, Any]) -> DriftWait:
        """Return the wait whose :meth:`serialize` returned this plain JSON."""
        return cls(DriftCondition.deserialize(plain))

    async def _compare(self, reader: Reader) -> DriftReport:
        comparison = await asyncio.to_thread(parse_drift, **self.condition.request())
        run = RunContext(reader.asend, _log.info, redact=(await reader.aclient()).redact)
        return await comparison.run(run)


def parse_drift(
    *,
    spec: Any = None,
    spec_file: str | None = None,
    targets: Any = None,
    baseline: str | None = None,
    state_folder: str | None = None,
) -> SpecDrift | BaselineDrift:
    """Read the named files and return the comparison. Blocks on files; sends no request.

    :param spec: the promotion; a text is read as YAML or JSON.
    :param spec_file: file that holds the promotion.
    :param targets: targets instead of those of the promotion.
    :param baseline: name under which promotions noted what they applied.
    :param state_folder: URL of the folder for baselines; ``None`` takes the configured one.
    :raises InputError: for arguments that are wrong or do not go together, and for files that cannot be read.
    """
    noted = baselines.load(state_folder, baseline) if baseline else None
    if spec is not None or spec_file is not None:
        return SpecDrift(read_spec(spec, spec_file, targets), shelf(), noted)
    if not baseline:
        raise InputError("give spec or spec_file to compare with the source, or baseline, or both")
    if targets is not None:
        raise InputError(
            "targets go with spec or spec_file; without, all that the baseline holds is compared"
        )
    if not noted:
        raise InputError(
            f"nothing was noted under the name {baseline} yet: no promotion with that baseline ran"
        )
    return BaselineDrift(noted)
