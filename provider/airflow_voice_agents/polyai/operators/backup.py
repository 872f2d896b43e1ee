"""Operators that export environments as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.bases.operator import as_list
from airflow_voice_agents.polyai.operators.base import PolyAIOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.polyai.types import EnvironmentArgument, PartName, PolyAIArguments

FOLDER_KEY = "folder"
"""XCom under which an export leaves the folder that it wrote into."""


class PolyAIExportOperator(PolyAIOperator):
    """Export environments as files, for backup, review and restore; nothing is written to the platform.

    The operator writes ``config.json``, ``connectors.json`` and ``routing.json`` to
    ``<agent>/<environment>/`` in the folder. Equal states give the same bytes: connectors and variants are
    identified by name, and generated ids and timestamps are left out. A file is written only if its text
    changes, so a second export writes nothing. Every agent is read once, no matter how many environments it
    has. To restore, run a promotion with the folder as its source.

    The files contain config values in plain text: choose a folder that only people who may see the values can
    read.

    Vendor operations: list real-time configs, list connectors, list variants, list numbers.

    :param targets: mapping of ``agent_id`` and ``environment``, or a list of them. (templated)
    :param folder: local path, or a URL that Airflow's object storage supports, such as
        ``s3://aws_default@backups/fleet``. (templated)
    :param include: parts to export: ``config``, ``connectors``, ``routing``. Files of other parts stay
        unchanged.
    :param concurrency: maximum number of agents that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises ItemsFailed: if an environment could not be read or written; the others are exported, and the XCom
        ``report`` lists all.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` (of environments), ``plan_digest`` (``None``) and
        ``files_changed``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "targets", "folder")
    template_fields_renderers: ClassVar[dict[str, str]] = {"targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("targets",)
    open_keys: ClassVar[Sequence[str]] = ("agent_id", "environment")

    def __init__(
        self,
        *,
        targets: EnvironmentArgument | Sequence[EnvironmentArgument] | Templated,
        folder: str,
        include: Sequence[PartName] = ("config", "connectors", "routing"),
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.targets = targets
        self.folder = folder
        self.include = include

    def execute(self, context: Context) -> dict[str, Any]:
        """Read every agent once, write the files that differ, and report each environment."""
        from functools import partial

        from airflow_voice_agents.polyai.actions import export
        from airflow_voice_agents.polyai.export_files import keep
        from airflow_voice_agents.state.export_files import checked

        folder = checked(self.folder)
        wanted = export.parse_export(as_list(self.argument("targets")), self.include, partial(keep, folder))
        context["ti"].xcom_push(key=FOLDER_KEY, value=folder)
        report = self.work(context, wanted.run)
        changed = sum(len(item.details.get(export.FILES, ())) for item in report.items)
        return {**self.finish(context, report, changes={}), "files_changed": changed}
