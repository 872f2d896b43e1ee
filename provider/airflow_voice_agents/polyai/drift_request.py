"""From what an operator, sensor or trigger is asked to compare to the job that does so."""

from __future__ import annotations

from typing import Any

from airflow_voice_agents.polyai.actions.drift import BaselineDriftJob, DriftJob
from airflow_voice_agents.polyai.export_files import read_spec, shelf
from airflow_voice_agents.state import baselines
from airflow_voice_agents.transport.errors import InputError


def drift_job(
    *,
    spec: Any = None,
    spec_file: str | None = None,
    targets: Any = None,
    baseline: str | None = None,
    state_folder: str | None = None,
) -> DriftJob | BaselineDriftJob:
    """Read what is named, and return the job that compares. It blocks; nothing is asked of the platform.

    :param spec: the promotion; a text is read as YAML or JSON.
    :param spec_file: file that holds it.
    :param targets: targets instead of those of the promotion.
    :param baseline: name under which promotions have noted what they applied.
    :param state_folder: URL of the folder that it is in; ``None`` takes the configured one.
    :raises InputError: for arguments that are wrong or do not go together, and for files that cannot be read.
    """
    noted = baselines.load(state_folder, baseline) if baseline else None
    if spec is not None or spec_file is not None:
        return DriftJob(read_spec(spec, spec_file, targets), shelf(), noted)
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
    return BaselineDriftJob(noted)
