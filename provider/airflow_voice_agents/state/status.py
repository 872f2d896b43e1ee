"""Status records: the state of targets when a task last read or wrote them, without values.

Each task keeps one file, so that no two tasks write the same one. A record has sections (``compared``, ``applied``,
``versions``, ``checks``), each with its own time and the run that wrote it; readers take the newest section of each
target. Approvals are kept by the digest of their plan. A record is a picture and guards nothing: a task that cannot
keep it says so and goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_voice_agents.plans.diff import Op
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import DESTINATIONS
from airflow_voice_agents.plans.report import MARKS, ItemReport, Report, Status
from airflow_voice_agents.state.files import StateFiles, file_name, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_voice_agents.plans.drift import DriftReport
    from airflow_voice_agents.plans.plan import PlannedItem, TargetPlan

STATUS_VERSION = 1
ITEMS_KEPT = 100
"""Most items of a target that a record lists, those that change first."""
KEYS_KEPT = 100
"""Most keys of an item that a record names; the counts are always complete."""
TARGETS_KEPT = 20_000
"""Most targets of one file; the oldest are dropped first."""
APPROVALS_KEPT = 50
"""Most approvals of one task, the newest."""
DESTINATIONS_KEPT = 20
"""Most destinations of numbers that a record names, those of most numbers."""
DIGITS = 12
RUNNING = "running"
_WORST = (Status.FAILED, Status.UNKNOWN, Status.SKIPPED, Status.CHANGED, Status.UNCHANGED)

Record = dict[str, Any]
Encoded = dict[str, bytes]
"""The sections of a target as JSON: thousands of them would take ten times as much memory as objects."""


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass
class StatusRecorder:
    """Keeps the status record of one task.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param run: ``dag_id``, ``run_id``, ``task_id`` and ``map_index`` of the task.
    :param log: receives lines for people.
    :param freeze: freeze windows of the task, as its operator takes them.
    :param stop_variable: Airflow Variable that stops the task, or ``None``.
    :param system: the system that the task works on, as its asset alias spells it.
    :param clock: the present moment.
    """

    base: str | None
    run: Mapping[str, Any]
    log: Callable[[str], None]
    freeze: Sequence[Mapping[str, Any]] = ()
    stop_variable: str | None = None
    system: str = "polyai"
    clock: Callable[[], datetime] = now
    _owners: dict[Resource, str] = field(default_factory=dict, init=False)
    _applying: Record = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, ti: Any, base: str | None, log: Callable[[str], None], **settings: Any) -> StatusRecorder:
        """Return the recorder of a task instance of Airflow.

        :param ti: the task instance.
        :param base: URL of the state folder.
        :param log: receives lines for people.
        :param settings: ``freeze``, ``stop_variable`` and ``system``.
        """
        names = ("dag_id", "run_id", "task_id", "map_index")
        return cls(base, {name: getattr(ti, name) for name in names}, log, **settings)

    # ------------------------------------------------------------------------------ a run of the engine

    def planned(self, operation: str, targets: Sequence[TargetPlan], *, digest: str, writes: bool) -> None:
        """Keep a plan, and that its writes are about to begin.

        :param operation: the operation's name.
        :param targets: the planned targets.
        :param digest: the plan's digest.
        :param writes: whether the plan is being applied.
        """
        with self._optional():
            if writes:
                self._applying = {"operation": operation, "plan_digest": digest[:DIGITS]}
            for target in targets:
                self._owners |= {item.resource: target.name for item in target.items}
                begun = writes and target.changed
                self._put(
                    target.name,
                    compared=self._compared(operation, target, digest),
                    **self._facts(target.items),
                    **({"applied": self._stamp(outcome=RUNNING, **self._applying)} if begun else {}),
                )
            if targets:
                self._write()

    def reached(self, wave: int, waves: int, reached: int, total: int) -> None:
        """Keep how far a rollout has come; only targets that are still running say so.

        :param wave: the wave that has ended, from 1.
        :param waves: how many there are.
        :param reached: targets reached so far.
        :param total: targets in all.
        """
        with self._optional():
            progress = {"wave": [wave, waves], "reached": [reached, total]}
            section = self._stamp(outcome=RUNNING, **self._applying, **progress)
            self._merge({name: {"applied": section} for name in self._running & {*self._owners.values()}})

    def ended(self, report: Report) -> None:
        """Keep how a run that wrote has ended.

        :param report: its report.
        """
        with self._optional():
            by_target: dict[str, list[ItemReport]] = {}
            for item in report.items:
                name = self._owners.get(item.resource, str(item.resource))
                if name in self._running:
                    by_target.setdefault(name, []).append(item)
            for name, items in by_target.items():
                self._put(name, applied=self._ended(items))
            deployed = self._deployed(report)
            for name, versions in deployed.items():
                self._put(name, versions=versions)
            if by_target or deployed:
                self._write()

    # ----------------------------------------------------------------------------- looks at the platform

    def drift(self, report: DriftReport) -> None:
        """Keep what a search for drift has found.

        :param report: its report.
        """
        with self._optional():
            sections: dict[str, Record] = {}
            items: dict[str, list[Record]] = {}
            for finding in report.findings:
                known = {"kind": finding.resource.kind, "name": finding.resource.name}
                items.setdefault(finding.target, []).append(
                    {**known, "drift": finding.drift.value, **_keys(dict.fromkeys(finding.keys, "~"))}
                )
                sections.setdefault(finding.target, {}).update(self._facts([finding]))
            worst = report.targets
            for name, found in items.items():
                drift = worst[name].value if name in worst else "in_sync"
                source = sections[name].pop("source", None)
                sections[name]["compared"] = self._stamp(
                    operation="drift",
                    drift=drift,
                    items=found[:ITEMS_KEPT],
                    item_count=len(found),
                    source=source,
                )
            self._merge(sections)

    def checks(self, found: Mapping[str, Any], targets: Iterable[str]) -> None:
        """Keep the verdict of the checks of a promotion.

        :param found: the verdict and its checks, as the operators leave it in an XCom.
        :param targets: the targets that were looked at.
        """
        with self._optional():
            checks = [{"name": each["name"], "verdict": each["verdict"]} for each in found["checks"]]
            section = self._stamp(verdict=found["verdict"], checks=checks[:ITEMS_KEPT])
            self._merge({name: {"checks": section} for name in targets})

    def approval(self, state: str, digest: str, until: datetime | None = None) -> None:
        """Keep that a person is asked about a plan, or has answered.

        :param state: ``waiting``, ``approved`` or ``rejected``.
        :param digest: the plan's digest.
        :param until: when the question ends, or ``None``.
        """
        with self._optional():
            section = self._stamp(state=state, until=until and until.isoformat())
            others = {each: kept for each, kept in self._kept["approvals"].items() if each != digest[:DIGITS]}
            newest = sorted(others, key=lambda each: others[each]["at"])[-(APPROVALS_KEPT - 1) :]
            self._kept["approvals"] = {each: others[each] for each in newest} | {digest[:DIGITS]: section}
            self._write()

    # ------------------------------------------------------------------------------------------ sections

    def _stamp(self, **section: Any) -> Record:
        return {"at": self.clock().isoformat(), "run": dict(self.run), **section}

    def _compared(self, operation: str, target: TargetPlan, digest: str) -> Record:
        return self._stamp(
            operation=operation,
            plan_digest=digest[:DIGITS],
            live=target.live,
            source=next((item.facts["source"] for item in target.items if "source" in item.facts), None),
            items=[_planned(item) for item in sorted(target.items, key=_worth_less)[:ITEMS_KEPT]],
            item_count=len(target.items),
            changed_count=sum(item.changed for item in target.items),
            **_destinations(target.items),
        )

    def _facts(self, items: Iterable[Any]) -> Record:
        """Return the versions and the source that reads of the platform have shown."""
        found: Record = {}
        for item in items:
            if versions := item.facts.get("versions"):
                behind = {"behind": item.facts["behind"]} if "behind" in item.facts else {}
                found["versions"] = self._stamp(environments=versions, **behind)
            if isinstance(source := item.facts.get("source"), str) and not hasattr(item, "writes"):
                found["source"] = source
        return found

    def _ended(self, items: Sequence[ItemReport]) -> Record:
        worst = min((item.status for item in items), key=_WORST.index)
        return self._stamp(
            outcome=worst.value,
            **self._applying,
            items=[
                {"kind": item.resource.kind, "name": item.resource.name, "status": item.status.value}
                for item in items[:ITEMS_KEPT]
            ],
            marks=sorted({str(mark) for item in items for mark in item.details.get(MARKS, ())}),
        )

    def _deployed(self, report: Report) -> dict[str, Record]:
        """Return what environments run after a run, for every target that shows versions of the same agents."""
        made: dict[str, Record] = {}
        for item in report.items:
            if item.status is Status.CHANGED and isinstance(version := item.details.get("version"), str):
                record = {"version": version, "deployment_id": item.details.get("deployment_id")}
                made.setdefault(item.resource.owner, {})[item.resource.name] = record
        return {
            name: self._stamp(environments={**json.loads(record["versions"])["environments"], **made[agent]})
            for name, record in self._targets.items()
            if "versions" in record and (agent := name.rpartition("/")[0]) in made
        }

    # ---------------------------------------------------------------------------------------------- file

    @cached_property
    def _files(self) -> StateFiles:
        return StateFiles(state_folder(self.base, "status"))

    @cached_property
    def _name(self) -> str:
        return file_name("/".join(str(self.run[name]) for name in ("dag_id", "task_id", "map_index")))

    @cached_property
    def _kept(self) -> Record:
        """The file of this task, read once; one that cannot be read is replaced."""
        content = self._files.read(self._name)
        try:
            return empty() if content is None else read_status(content)
        except ValueError:
            return empty()

    @cached_property
    def _targets(self) -> dict[str, Encoded]:
        return {
            name: {section: to_bytes(content) for section, content in record.items()}
            for name, record in self._kept.pop("targets").items()
        }

    @cached_property
    def _running(self) -> set[str]:
        """Targets whose writes have begun, in this try or in one that was killed."""
        return {name for name, record in self._targets.items() if _is_running(record)}

    def _put(self, name: str, **sections: Any) -> None:
        """Keep sections of one target, each in place of the former one."""
        found = self._targets.setdefault(name, {})
        found |= {section: to_bytes(content) for section, content in sections.items()}
        if _is_running(found):
            self._running.add(name)
        else:
            self._running.discard(name)

    def _merge(self, sections: Mapping[str, Record]) -> None:
        for name, section in sections.items():
            self._put(name, **section)
        if sections:
            self._write()

    def _drop_oldest(self) -> None:
        if (surplus := len(self._targets) - TARGETS_KEPT) > 0:
            touched = {
                name: latest({section: json.loads(content) for section, content in record.items()})
                for name, record in self._targets.items()
            }
            for name in sorted(touched, key=touched.__getitem__)[:surplus]:
                del self._targets[name]

    def _write(self) -> None:
        self._drop_oldest()
        document = {
            "version": STATUS_VERSION,
            "run": dict(self.run),
            "at": self.clock().isoformat(),
            "freeze": [dict(window) for window in self.freeze],
            "stop_variable": self.stop_variable,
            "system": self.system,
            "approvals": self._kept["approvals"],
        }
        targets = _joined(
            (name, _joined(sorted(self._targets[name].items()))) for name in sorted(self._targets)
        )
        self._files.write(self._name, b"".join([to_bytes(document)[:-1], b', "targets": ', *targets, b"}"]))

    @contextmanager
    def _optional(self) -> Iterator[None]:
        try:
            yield
        except Exception as trouble:  # noqa: BLE001  a picture for people must not stop a run
            self.log(
                f"The status page was not told about this run ({type(trouble).__name__}); the run goes on"
            )


def empty() -> Record:
    """Return what a file holds before anything was kept."""
    return {"targets": {}, "approvals": {}}


def read_status(content: bytes) -> Record:
    """Return a status file.

    :param content: its content.
    :raises ValueError: when it is not a status file of this version.
    """
    match from_bytes(content):
        case {"version": 1, "run": dict(), "at": str(), "targets": dict(), "approvals": dict()} as document:
            records = [*document["targets"].values(), document["approvals"]]
            if all(isinstance(record, dict) and all(map(_is_section, record.values())) for record in records):
                return dict(document)
    raise ValueError(f"not a status file of version {STATUS_VERSION}")


def latest(record: Mapping[str, Any]) -> str:
    """Return when a record was last touched, in ISO 8601.

    :param record: the sections of one target.
    """
    return max((section["at"] for section in record.values()), default="")


def _is_section(section: Any) -> bool:
    match section:
        case {"at": str(), "run": {"dag_id": str(), "run_id": str(), "task_id": str()}}:
            items = section.get("items", [])
            return isinstance(items, list) and all(map(_is_item, items)) and _has_shapes(section)
    return False


def _is_item(item: Any) -> bool:
    match item:
        case {"kind": str(), "name": str()}:
            pairs = [*item.get("keys", ()), *item.get("codes", ())]
            pairs += [item[DESTINATIONS]] if DESTINATIONS in item else []
            return all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    return False


def _has_shapes(section: Mapping[str, Any]) -> bool:
    """Return whether destinations, marks and environments, where a section has them, are as they are written."""
    for each in section.get("destinations", ()):
        match each:
            case [str(), int(), int()]:
                continue
        return False
    environments = section.get("environments", {})
    return (
        isinstance(section.get("marks", []), list)
        and isinstance(environments, dict)
        and all(isinstance(version, dict) for version in environments.values())
    )


def _is_running(record: Encoded) -> bool:
    return RUNNING.encode() in record.get("applied", b"") and _outcome(record) == RUNNING


def _outcome(record: Encoded) -> Any:
    return json.loads(record["applied"]).get("outcome")


def _joined(members: Iterable[tuple[str, bytes | list[bytes]]]) -> list[bytes]:
    """Return the pieces of a JSON object whose values are JSON already, without a copy of any."""
    pieces = [b"{"]
    for name, value in members:
        pieces += [b", " if len(pieces) > 1 else b"", to_bytes(name), b": "]
        pieces += [value] if isinstance(value, bytes) else value
    return [*pieces, b"}"]


def _worth_less(item: PlannedItem) -> bool:
    return not (item.changed or item.findings)


def _planned(item: PlannedItem) -> Record:
    signs = [change.op.name.lower() for change in item.changes]
    return {
        "kind": item.resource.kind,
        "name": item.resource.name,
        "before": item.before[:DIGITS],
        "after": item.after[:DIGITS],
        "changed": item.changed,
        **{sign: signs.count(sign) for sign in ("add", "change", "remove") if sign in signs},
        **_keys(_signs(item)),
        **({DESTINATIONS: item.facts[DESTINATIONS]} if DESTINATIONS in item.facts else {}),
        "kept_keys": list(item.kept_keys)[:KEYS_KEPT],
        "codes": [[finding.severity.value, finding.code] for finding in item.findings],
    }


def _destinations(items: Iterable[PlannedItem]) -> Record:
    """Return where the calls of numbers go: how many go there now, and how many as planned."""
    pairs = [item.facts[DESTINATIONS] for item in items if DESTINATIONS in item.facts]
    now, then = (Counter(pair[place] for pair in pairs) for place in (0, 1))
    named = [name for name, _ in (now + then).most_common() if name][:DESTINATIONS_KEPT]
    return (
        {"numbers": len(pairs), "destinations": [[name, now[name], then[name]] for name in named]}
        if pairs
        else {}
    )


def _signs(item: PlannedItem) -> dict[str, str]:
    """Return the top-level keys that change, each with its sign; a change inside a key changes the key."""
    signs: dict[str, str] = {}
    for change in item.changes:
        if change.path:
            sign = change.op.value if len(change.path) == 1 else Op.CHANGE.value
            signs.setdefault(str(change.path[0]), sign)
    return dict(sorted(signs.items()))


def _keys(signs: Mapping[str, str]) -> Record:
    """Return keys as pairs of sign and key, and how many there are."""
    return {"keys": [[sign, key] for key, sign in signs.items()][:KEYS_KEPT], "key_count": len(signs)}
