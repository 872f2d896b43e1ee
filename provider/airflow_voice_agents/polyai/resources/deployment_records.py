"""The history of an environment's deployments: selection of a record, and order of versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from airflow_voice_agents.plans.plan import Finding, error
from airflow_voice_agents.polyai.models import Deployment

PREVIOUS = "previous"
"""Targets of a rollback that need no record."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def moment(record: Deployment) -> datetime | None:
    """Return when a record was made, or ``None`` where that cannot be read."""
    try:
        made = datetime.fromisoformat(record.created_at or "")
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def newest_first(records: Iterable[Deployment]) -> list[Deployment]:
    """Sort records by when they were made, because the platform's order is not to be relied on.

    :param records: in any order; those without a readable time come last.
    """
    return sorted(records, key=lambda record: (moment(record) or _NEVER, record.id), reverse=True)


def first_made(records: Iterable[Deployment]) -> dict[str, datetime | None]:
    """Return when each version first appears; ``None`` where a record of it has no readable time.

    :param records: in any order; records without a version are left out.
    """
    times: dict[str, datetime | None] = {}
    for record in records:
        if record.version is None:
            continue
        made = moment(record)
        known = times.get(record.version, made)
        times[record.version] = None if made is None or known is None else min(made, known)
    return times


def overtakes(records: Iterable[Deployment], there: str | None, candidate: str) -> str | None:
    """Say why a candidate may be older than the version that it would replace; ``None`` if it is not.

    :param records: the history of the sandbox, through which every version comes on the ladder.
    :param there: version that would be replaced.
    :param candidate: version that would replace it.
    """
    made = first_made(records)
    if there is None or there not in made:
        return (
            f"version {there or '(empty)'}, which it would replace, does not occur in the sandbox history that the "
            "platform shows"
        )
    old, new = made[there], made.get(candidate)
    if old is None or new is None:
        return f"the sandbox history does not show which of {there} and {candidate} is the newer one"
    return f"{there}, which it would replace, was made after {candidate}" if old > new else None


def versions_between(records: Iterable[Deployment], there: str | None, candidate: str | None) -> int | None:
    """Count the versions that came after one and up to another; ``None`` where the history cannot tell.

    :param records: the history of the sandbox, through which every version comes on the ladder.
    :param there: the older version.
    :param candidate: the newer version.
    """
    made = first_made(records)
    old, new = made.get(there or ""), made.get(candidate or "")
    times = [each for each in made.values() if each is not None]
    if old is None or new is None or old >= new or len(times) < len(made):
        return None
    return sum(old < each <= new for each in times)


def choose(
    records: Sequence[Deployment], to: str, environment: str, *, now: str | None
) -> Deployment | Finding:
    """Return the record to roll back to, or say why no record qualifies.

    :param records: history of the environment that the record must be of, in any order.
    :param to: id of a record, a version (its newest record is taken), or ``previous``.
    :param environment: whose history it is.
    :param now: version that runs now, which ``previous`` is counted from.
    """
    ordered = newest_first(records)
    if to == PREVIOUS:
        return _previous(ordered, environment, now)
    found = next((record for record in ordered if to in (record.id, record.version)), None)
    if found is None:
        return error(
            "not_in_environment",
            f"{to} is neither the id nor the version of one of the {len(ordered)} deployment(s) that the platform "
            f"lists for {environment}. A deployment of another environment is not taken, because a rollback acts on "
            "the environment that the deployment belongs to.",
        )
    if found.version is None:
        return error("empty_version", f"Deployment {found.id} of {environment} has no version.")
    return found


def _previous(ordered: Sequence[Deployment], environment: str, now: str | None) -> Deployment | Finding:
    found = next((record for record in ordered if record.version not in (None, now)), None)
    if found is None or found.version is None:
        return error("no_previous", f"{environment} has had no other version than {now or 'none'}.")
    made = first_made(ordered)
    then, since = made[found.version], made.get(now or "")
    if since is not None and then is not None and then > since:
        return error(
            "previous_is_newer",
            f"The latest other version of {environment} is {found.version}, which is newer than {now}, the one that "
            "runs: it seems to have been rolled back from. Name the version or the deployment to go back to.",
        )
    return found
