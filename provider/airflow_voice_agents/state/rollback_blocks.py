"""Rollback blocks: one plain-text file per target in Airflow's object storage, without values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from airflow_voice_agents.engine.target_names import TargetNames
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.rollback_blocks import RollbackBlock
from airflow_voice_agents.state.files import StateFiles, file_name, from_bytes, spelled_name, to_bytes
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import GuardRefused, InputError


def place(base: str | None, hold: RollbackBlock) -> str:
    """Put a target on hold.

    Where it is on hold already, the new hold takes the old one's place, but what it does not name stays held. To
    be called under the target's lock, for it reads before it writes.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param hold: the hold.
    :returns: URL of its file.
    :raises InputError: for a target without a name.
    :raises GuardRefused: when the old hold cannot be read.
    """
    files = _files(base)
    name = _file_of(hold.target)
    content = files.read(name)
    if content is not None:
        old = _read(files, name, hold.target, content)
        hold = replace(hold, digests={**old.digests, **hold.digests})
    files.write(name, to_bytes(hold.document()))
    return files.url(name)


def block_placer(
    base: str | None, ti: Any, reason: str, log: Callable[[str], None]
) -> Callable[[Mapping[str, Mapping[Resource, str]]], None]:
    """Return what puts targets on hold for a task: target -> resource -> digest that was rolled back.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param ti: Airflow's task instance.
    :param reason: why, for people; no values.
    :param log: receives lines for people.
    """
    placed_by = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}

    def put(digests: Mapping[str, Mapping[Resource, str]]) -> None:
        for target, of in digests.items():
            held = {resource.key: digest for resource, digest in of.items()}
            url = place(base, RollbackBlock(target, held, reason, placed_by, datetime.now(UTC).isoformat()))
            log(f"{target} is on hold from now on ({url})")

    return put


def read(
    base: str | None, targets: Iterable[str], names: TargetNames | None = None
) -> dict[str, RollbackBlock]:
    """Return the rollback blocks of some targets. The folder is listed once, and only their files are read.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param targets: the targets.
    :param names: known spellings of the targets; ``None`` takes every name as it is.
    :returns: target -> block, for blocked targets.
    :raises GuardRefused: when a block exists and cannot be read.
    :raises AmbiguousTargets: when a blocked name may mean one of the targets.
    """
    files = _files(base)
    held = {}
    for target, spelled, name in _found(files, list(targets), names):
        content = files.read(name)
        if content is not None:
            held[target] = _read(files, name, spelled, content)
    return held


def release(base: str | None, targets: Iterable[str], names: TargetNames | None = None) -> list[str]:
    """Remove the rollback blocks of some targets.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param targets: the targets.
    :param names: known spellings of the targets; ``None`` takes every name as it is.
    :returns: those that were on hold.
    :raises AmbiguousTargets: when a blocked name may mean one of the targets.
    """
    files = _files(base)
    held = _found(files, list(targets), names)
    for _, _, name in held:
        files.remove(name)
    return [target for target, _, _ in held]


def held(base: str | None) -> list[str]:
    """Return the names of all targets on hold, as far as the names of their files show them.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    """
    return sorted(map(spelled_name, _files(base).names()))


def _files(base: str | None) -> StateFiles:
    return StateFiles(state_folder(base, "holds"))


def _file_of(target: str) -> str:
    if not target:
        raise InputError("a target on hold needs a name")
    return file_name(target)


def _found(files: StateFiles, targets: list[str], names: TargetNames | None) -> list[tuple[str, str, str]]:
    """Return target, the block's spelling of it, and the file's name, for each target with a block."""
    there = dict.fromkeys(files.names() if targets else ())
    by_file = {_file_of(target): target for target in targets}
    found = [(target, target, name) for name, target in by_file.items() if name in there]
    if names is None:
        return found
    others = {spelled_name(name): name for name in there if name not in by_file}
    return [*found, *((mine, other, others[other]) for other, mine in names.same(targets, others).items())]


def _read(files: StateFiles, name: str, target: str, content: bytes) -> RollbackBlock:
    try:
        hold = RollbackBlock.from_document(from_bytes(content))
        if hold.target == target:
            return hold
        reason = "it is of another target"
    except ValueError as error:
        reason = str(error) if isinstance(error, InputError) else "it is not JSON"
    raise GuardRefused(
        f"{target} may be on hold, but the file {files.url(name)} cannot be read: {reason}. Release the target if "
        "it is to be promoted, or put the file right."
    )
