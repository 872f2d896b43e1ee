"""Operators for phone numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.polyai.operators.base import PolyAIWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import PhoneNumbers
    from airflow_voice_agents.polyai.types import DeploymentModelName, EnvironmentName, ItemwiseArguments


class PolyAIImportPhoneNumbersOperator(PolyAIWritingOperator):
    """Register phone numbers with an agent for one environment, and route them to a connector.

    The numbers are read first and only absent ones are imported. A number that is in another environment
    is a failed item, never a silent move. When the platform refuses a batch, the batch is cut down to the
    numbers that it refuses. Afterwards every number is read back. A second run writes nothing.

    Vendor operations: batch get numbers, import numbers, get connector, assign number.

    :param agent_id: the agent. (templated)
    :param client_env: ``sandbox``, ``pre-release`` or ``live``. There is no default, because the platform's is
        live. (templated)
    :param phone_numbers: list of numbers with ``+`` or ``00``, an upstream task's output, or a text with one per line
        or separated by commas; repeats are left out. Blanks, dots, hyphens and parentheses are taken; letters,
        extensions, decimals and dates are refused. (templated)
    :param source_file: instead, a file: a table (``.csv``, ``.tsv``) with a header, a list of numbers or of records in
        JSON or YAML, or one number per line; a local path, or a URL that Airflow's object storage knows. A column
        ``agent_id``, ``client_env`` or ``connector_id`` must agree with the argument. (templated)
    :param column: name of the column, or of the records' field.
    :param connector_id: connector that answers the numbers; it must belong to the same environment.
        ``None`` leaves the routing to the platform. (templated)
    :param default_region: two-letter region (``GB``) for numbers in national form; needs the extra
        ``phonenumbers``.
    :param batch_size: maximum number of numbers per request.
    :param deployment_model: ``ladder``, ``branches`` or ``auto``: in the branches model sandbox has no telephony, and
        an import for it is refused. ``None`` does not look.
    :param allow_sandbox_numbers: numbers may be imported for such a sandbox.
    :param verify: whether an independent read follows the assignments; imports are read back in any case.
    :param max_snapshot_age: seconds after which numbers are read again right before they are written; ``None`` never.
    :param confirm_live: must be true for ``client_env="live"``.
    :param allow_backfill: a backfill run may import into live.
    :param concurrency: maximum number of batches in flight.
    :param kwargs: the arguments of every writing operator (:class:`.WritingOperator`); ``waves``, ``max_failures`` and
        ``max_changed`` count numbers. A snapshot keeps only numbers that were there: an import cannot be taken back.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, naming every malformed number, before any request.
    :raises GuardRefused: when a guard refuses, before any write.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` names it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "agent_id",
        "client_env",
        "phone_numbers",
        "source_file",
        "connector_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json"}

    def __init__(
        self,
        *,
        agent_id: str,
        client_env: EnvironmentName,
        phone_numbers: PhoneNumbers | None = None,
        source_file: str | None = None,
        column: str = "phone_number",
        connector_id: str | None = None,
        default_region: str | None = None,
        batch_size: int = 50,
        verify: bool = False,
        max_snapshot_age: float | None = None,
        deployment_model: DeploymentModelName | None = None,
        allow_sandbox_numbers: bool = False,
        **kwargs: Unpack[ItemwiseArguments],
    ) -> None:
        super().__init__(verify=verify, max_snapshot_age=max_snapshot_age, **kwargs)
        self.agent_id = agent_id
        self.client_env = client_env
        self.phone_numbers = phone_numbers
        self.source_file = source_file
        self.column = column
        self.connector_id = connector_id
        self.default_region = default_region
        self.batch_size = batch_size
        self.deployment_model = deployment_model
        self.allow_sandbox_numbers = allow_sandbox_numbers

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, import what is absent, route, read back and report."""
        from airflow_voice_agents.polyai.actions import phone_numbers
        from airflow_voice_agents.polyai.assets import phone_numbers_uri

        action = phone_numbers.parse_import(
            self.agent_id,
            self.client_env,
            self.phone_numbers,
            self.connector_id or None,
            default_region=self.default_region,
            batch_size=self.batch_size,
            places=self._cells(),
            deployment_model=self.deployment_model,
            allow_sandbox_numbers=self.allow_sandbox_numbers,
        )
        report = self.apply(context, action)
        changed = report.counts()["changed"]
        changes = (
            {phone_numbers_uri(action.agent_id, action.client_env): {"changed": changed}} if changed else {}
        )
        return self.finish(context, report, changes=changes)

    def _cells(self) -> list[tuple[str, Any]] | None:
        """Return the numbers of the file with their places; ``None`` without a file."""
        from airflow_voice_agents.bases.template_inputs import read_cells
        from airflow_voice_agents.transport.errors import InputError

        if (self.phone_numbers is None) == (self.source_file is None):
            raise InputError("give either phone_numbers or source_file")
        if self.source_file is None:
            return None
        same = {
            "agent_id": self.agent_id,
            "client_env": self.client_env,
            "connector_id": self.connector_id or None,
        }
        return read_cells(self.source_file, self.column, name="source_file", same=same)
