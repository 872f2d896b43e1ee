"""Plans that are too large for an XCom, as files in the state folder; an XCom has address and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_voice_agents.plans.document import PlanDocument
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.report import ItemReport, Report, Status
from airflow_voice_agents.state.files import StateFiles, from_bytes, to_bytes
from airflow_voice_agents.state.folder import state_folder
from airflow_voice_agents.transport.errors import InputError

KEPT = timedelta(days=30)
"""Age at which files of a plan are removed by a later plan."""
NO_REPORT = (
    "its chunk did not run to its end, so what was written of it is open; see the log of its apply task. A retry goes "
    "on where it stopped"
)
_STAMP = "%Y%m%dT%H%M%S%fZ"
_WORDS = {"address": str, "sha256": str, "digest": str, "number": int, "chunks": int, "to_change": int}


class PlanReference(msgspec.Struct, frozen=True):
    """Where a plan lies, or one chunk of it.

    :param address: URL of the file.
    :param sha256: digest of the file.
    :param digest: digest of the whole plan, which an approval is bound to.
    :param number: number of the chunk, from 1; 0 for the whole plan.
    :param chunks: number of chunks.
    :param to_change: number of targets that the whole plan changes.
    """

    address: str
    sha256: str
    digest: str
    number: int
    chunks: int
    to_change: int

    @classmethod
    def read(cls, value: object) -> PlanReference | None:
        """Return the reference that an XCom holds, or ``None`` where it holds something else.

        :param value: decoded JSON.
        """
        if not isinstance(value, Mapping) or value.keys() != _WORDS.keys():
            return None
        if not all(type(value[word]) is kind for word, kind in _WORDS.items()):
            return None
        return cls(**value)

    def document(self) -> dict[str, Any]:
        """Return the reference as JSON."""
        return {word: getattr(self, word) for word in _WORDS}

    def load(self) -> PlanDocument:
        """Read the plan, or the chunk, under the digest of the whole plan.

        :raises InputError: when the file is not there, or is not the one that was saved.
        """
        files, name = self._files()
        content = files.read(name)
        if content is None:
            raise InputError(
                f"plan {self.address} is not there. Nothing was written. Plan again; all workers must reach the state "
                "folder"
            )
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(
                f"plan {self.address} was changed after it was made. Nothing was written. Plan again"
            )
        saved = from_bytes(content)
        if (saved["plan_digest"], saved["number"]) != (self.digest, self.number):
            raise InputError(f"plan {self.address} is part of another plan. Nothing was written. Plan again")
        return replace(PlanDocument.read(saved["document"]), digest=self.digest)

    def progress(self) -> ChunkProgress:
        """Return the files through which the chunks of the plan know of each other."""
        files, name = self._files()
        return ChunkProgress(files, name.rpartition("-")[0], self)

    def _files(self) -> tuple[StateFiles, str]:
        folder, _, name = self.address.rpartition("/")
        return StateFiles(folder), name


def save_plan(
    base: str | None, whole: Mapping[str, Any], chunks: Sequence[Mapping[str, Any]], *, to_change: int
) -> tuple[PlanReference, list[PlanReference]]:
    """Keep a plan and its chunks, and remove plans that are past their time.

    :param base: URL of the state folder, as :func:`.state_folder` takes it.
    :param whole: the plan, as :func:`.plans.document.save` returned it.
    :param chunks: its chunks, likewise.
    :param to_change: number of targets that it changes.
    :returns: where the plan lies, and where its chunks lie.
    """
    files, now = StateFiles(state_folder(base, "plans")), datetime.now(UTC)
    _remove_old(files, now)
    stem, digest = f"{now:{_STAMP}}-{whole['digest'][:12]}", whole["digest"]
    found = []
    for number, document in enumerate((whole, *chunks)):
        content = to_bytes({"plan_digest": digest, "number": number, "document": document})
        name = f"{stem}-{number:05}.plan"
        files.write(name, content)
        sha256 = hashlib.sha256(content).hexdigest()
        found.append(PlanReference(files.url(name), sha256, digest, number, len(chunks), to_change))
    return found[0], found[1:]


def open_plan(value: object) -> PlanDocument:
    """Return a saved plan: the XCom itself, or the file that the XCom names.

    :param value: decoded JSON.
    :raises InputError: when it is neither, or was changed.
    """
    reference = PlanReference.read(value)
    return PlanDocument.read(value) if reference is None else reference.load()


class ChunkProgress(msgspec.Struct, frozen=True):
    """The failures and the report of each chunk, in files that all chunks of a plan see.

    :param files: the folder.
    :param stem: what the names of the plan's files begin with.
    :param reference: the chunk, or the whole plan.
    """

    files: StateFiles
    stem: str
    reference: PlanReference

    @property
    def total(self) -> int:
        """Targets that the whole plan changes."""
        return self.reference.to_change

    def begin(self) -> None:
        """Forget the failures and the report of an earlier try of this chunk."""
        for what in ("failed", "report"):
            self.files.remove(self._name(what, self.reference.number))

    def note(self, failed: int) -> int:
        """Note how many targets of this chunk failed, and return how many failed in all chunks.

        :param failed: the number.
        """
        own = self._name("failed", self.reference.number)
        if failed:
            self.files.write(own, to_bytes(failed))
        start = f"{self.stem}-failed-"
        others = [name for name in self.files.names() if name.startswith(start) and name != own]
        return failed + sum(map(self._count, others))

    def save(self, report: Report) -> None:
        """Keep this chunk's report, every item of it.

        :param report: the report.
        """
        items = [
            {
                "resource": [item.resource.kind, item.resource.owner, item.resource.name],
                "status": item.status.value,
                "reason": item.reason,
                "permanent": item.permanent,
                "details": dict(item.details),
            }
            for item in report.items
        ]
        document = {"items": items, "stopped": report.stopped, "notes": list(report.notes)}
        self.files.write(self._name("report", self.reference.number), to_bytes(document))

    def report(self, number: int) -> tuple[list[ItemReport], str, list[str]] | None:
        """Return items, reason of a stop and notes of a chunk's report; ``None`` where it left none.

        :param number: number of the chunk.
        """
        content = self.files.read(self._name("report", number))
        if content is None:
            return None
        document = from_bytes(content)
        items = [
            ItemReport(
                Resource(*each["resource"]),
                Status(each["status"]),
                each["reason"],
                each["permanent"],
                each["details"],
            )
            for each in document["items"]
        ]
        return items, document["stopped"], document["notes"]

    def _count(self, name: str) -> int:
        content = self.files.read(name)
        return 0 if content is None else int(from_bytes(content))

    def _name(self, what: str, number: int) -> str:
        return f"{self.stem}-{what}-{number:05}.json"


def merge_reports(
    operation: str, references: Sequence[PlanReference]
) -> tuple[Report, list[tuple[PlanDocument, Report]]]:
    """Return one report of all chunks, and the plan and report of each.

    :param operation: the operation's name.
    :param references: the chunks, in their order.
    :raises InputError: when a chunk cannot be read.
    """
    parts: list[tuple[PlanDocument, Report]] = []
    for reference in references:
        document = reference.load()
        found = reference.progress().report(reference.number)
        items, stopped, notes = found or (
            [ItemReport(resource, Status.UNKNOWN, NO_REPORT) for resource in document.pins],
            "",
            [],
        )
        parts.append((document, Report(operation, tuple(items), stopped=stopped, notes=tuple(notes))))
    whole = Report(
        operation,
        tuple(item for _, part in parts for item in part.items),
        plan_digest=references[0].digest,
        stopped=next((part.stopped for _, part in parts if part.stopped), ""),
        notes=tuple(dict.fromkeys(note for _, part in parts for note in part.notes)),
    )
    return whole, parts


def begun(references: Sequence[PlanReference]) -> bool:
    """Tell whether any chunk left a report.

    :param references: the chunks.
    """
    return any(each.progress().report(each.number) is not None for each in references)


def _remove_old(files: StateFiles, now: datetime) -> None:
    before = f"{now - KEPT:{_STAMP}}"
    for name in files.names():
        if name[:1].isdigit() and name.partition("-")[0] < before:
            files.remove(name)
