"""Operators for phone numbers and for SIP trunks, an API that the vendor has in beta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_voice_agents.polyai.operators.base import (
    PolyAIOperator,
    PolyAIWritingOperator,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import PhoneNumbers, Templated
    from airflow_voice_agents.polyai.actions.phone_numbers import ImportPhoneNumbers
    from airflow_voice_agents.polyai.types import (
        DeploymentModelName,
        EnvironmentName,
        ItemwiseArguments,
        NumbersTargetArgument,
        PolyAIArguments,
        SipBindingArgument,
    )


class PolyAIImportPhoneNumbersOperator(PolyAIWritingOperator):
    """Register phone numbers with one or many agents, and route them to connectors.

    The numbers are read first and only absent ones are imported. A number that is in another environment
    is a failed item, never a silent move. When the platform refuses a batch, the batch is cut down to the
    numbers that it refuses. Afterwards every number is read back. A second run writes nothing.

    Many agents take one task: give ``targets``, or leave ``agent_id`` out and let each row say its agent. They are read
    and written side by side, in one plan with one digest. What is wrong at one agent (it cannot be read, or its
    connector belongs to another environment) fails its numbers alone; XCom ``report`` counts by agent.

    Vendor operations: batch get numbers, import numbers, get connector, assign number.

    :param agent_id: the agent; ``None`` where ``targets``, or the rows of ``phone_numbers`` or ``source_file``, name
        one each. (templated)
    :param client_env: ``sandbox``, ``pre-release`` or ``live``. There is no default, because the platform's is
        live; ``None`` where targets or rows name one each. (templated)
    :param phone_numbers: list of numbers with ``+`` or ``00``, an upstream task's output, or a text with one per line
        or separated by commas; repeats are left out. Blanks, dots, hyphens and parentheses are taken; letters,
        extensions, decimals and dates are refused. Without ``agent_id`` and ``targets``, a list of records: a number
        under ``phone_number`` or ``number``, its ``agent_id``, and ``client_env`` and ``connector_id`` where
        no argument says them. (templated)
    :param targets: instead, a list of mappings, one per agent, environment and connector: ``agent_id``,
        ``phone_numbers``, and ``client_env`` and ``connector_id`` where they are not those of the arguments.
        (templated)
    :param source_file: instead, a file: a table (``.csv``, ``.tsv``) with a header, a list of numbers or of records in
        JSON or YAML, or one number per line; a local path, or a URL that Airflow's object storage knows. A column
        ``agent_id``, ``client_env`` or ``connector_id`` must agree with the argument; without ``agent_id`` it says who
        gets each number. (templated)
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
        "targets",
        "source_file",
        "connector_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "targets": "json"}
    exactly_one_of = (("phone_numbers", "source_file", "targets"),)
    at_most_one_of = (("agent_id", "targets"),)

    def __init__(
        self,
        *,
        client_env: EnvironmentName | None,
        agent_id: str | None = None,
        phone_numbers: PhoneNumbers | None = None,
        targets: Sequence[NumbersTargetArgument] | Templated | None = None,
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
        self.targets = targets
        self.source_file = source_file
        self.column = column
        self.connector_id = connector_id
        self.default_region = default_region
        self.batch_size = batch_size
        self.deployment_model = deployment_model
        self.allow_sandbox_numbers = allow_sandbox_numbers

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, import what is absent, route, read back and report."""
        from airflow_voice_agents.polyai.assets import phone_numbers_uri

        action = self._action()
        environments = {
            each: (group.agent_id, group.client_env) for group in action.groups for each in [group.target]
        }
        report = self.apply(context, action)
        changed = action.changed_by_target(report)
        changes = {
            phone_numbers_uri(*environments[target]): {"changed": count} for target, count in changed.items()
        }
        return self.finish(context, report, changes=changes)

    def _action(self) -> ImportPhoneNumbers:
        from airflow_voice_agents.polyai.actions import phone_numbers

        shared: dict[str, Any] = {
            "default_region": self.default_region,
            "batch_size": self.batch_size,
            "deployment_model": self.deployment_model,
            "allow_sandbox_numbers": self.allow_sandbox_numbers,
        }
        usual: dict[str, Any] = {
            "client_env": self.client_env or None,
            "connector_id": self.connector_id or None,
        }
        if self.uncovered("targets") is not None:
            return phone_numbers.parse_imports(self.argument("targets"), **usual, **shared)
        if not self.agent_id:
            columns: dict[str, Any] = {} if self.source_file is None else {"columns": (self.column,)}
            return phone_numbers.parse_rows(self._rows(), **columns, **usual, **shared)
        return phone_numbers.parse_import(
            self.agent_id,
            self.client_env,
            self.phone_numbers,
            self.connector_id or None,
            places=self._cells(),
            **shared,
        )

    def _rows(self) -> list[tuple[str, Any]]:
        """Return the records that name an agent each, with their places."""
        from airflow_voice_agents.bases.template_inputs import read_records
        from airflow_voice_agents.polyai.number_files import number_rows

        if self.source_file is None:
            return number_rows(self.phone_numbers, name="phone_numbers")
        wanted = ("agent_id", self.column, *(() if self.client_env else ("client_env",)))
        optional = ("connector_id", *(("client_env",) if self.client_env else ()))
        return read_records(self.source_file, name="source_file", wanted=wanted, optional=optional)

    def _cells(self) -> list[tuple[str, Any]] | None:
        """Return the numbers of the file with their places; ``None`` without a file."""
        from airflow_voice_agents.bases.template_inputs import read_cells

        if self.source_file is None:
            return None
        same = {
            "agent_id": self.agent_id,
            "client_env": self.client_env,
            "connector_id": self.connector_id or None,
        }
        return read_cells(self.source_file, self.column, name="source_file", same=same)


class PolyAIListSipTrunksOperator(PolyAIOperator):
    """List the SIP trunks of an account (beta): host name for inbound calls, transport and extensions.

    With ``trunk``, the XComs ``hostname``, ``port``, ``transport`` and ``trunk_id`` hold what a carrier needs to lead
    calls there, so that nobody types them. Nothing secret is read: the API never answers passwords or tokens, and
    addresses and user names are left out.

    The key must belong to a telephony admin of the account.

    Vendor operations: list SIP trunks, list extensions.

    :param account_id: the account; ``None`` takes the connection's ``account_id``. (templated)
    :param trunk: id or name of one trunk; ``None`` lists all. (templated)
    :param extensions: whether the extensions of each trunk are read as well, one request per trunk.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when no trunk, or more than one, has the id or name, or when it shows no host name.
    :returns: list of ``trunk_id``, ``name``, ``account_id``, ``hostname``, ``port``, ``transport``, ``encrypted``,
        ``authentication`` (``none``, ``digest`` or ``token``) and ``extensions``.
    """

    template_fields: Sequence[str] = ("polyai_conn_id", "account_id", "trunk")

    def __init__(
        self,
        *,
        account_id: str | None = None,
        trunk: str | None = None,
        extensions: bool = True,
        **kwargs: Unpack[PolyAIArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.account_id = account_id
        self.trunk = trunk
        self.extensions = extensions

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the trunks and leave what a carrier needs of the one asked for."""
        from airflow_voice_agents.polyai.actions import sip_trunks

        hook = self.hook()
        account_id = self.account_id or hook.account_id
        action = sip_trunks.parse_list(account_id, self.trunk or None, extensions=self.extensions)
        trunks = self.work(context, action.run, hook)
        if self.trunk:
            for key in ("trunk_id", "hostname", "port", "transport"):
                context["ti"].xcom_push(key=key, value=trunks[0][key])
        self.write_log(f"{len(trunks)} SIP trunk(s) listed")
        return trunks


class PolyAIUpdateSipExtensionsOperator(PolyAIWritingOperator):
    """Bind dialled numbers on a SIP trunk to an agent, environment and variant (beta).

    The trunk is listed first. An extension that differs is rebound, one that the trunk does not have is created, and
    one that is as asked for is left alone: a second run writes nothing. An extension that another agent answers stops
    the run before its first write, unless ``rebind`` is set; so do an agent that the key cannot read and a variant
    that the agent does not have. No extension is deleted, except by a rollback of its creation.

    Whatever environment answers a dialled number, callers dial it: every extension counts as live.

    Vendor operations: get SIP trunk, list extensions, get active deployments and list variants (per
    agent), create, update extension.

    :param trunk_id: the trunk, such as XCom ``trunk_id`` of :class:`PolyAIListSipTrunksOperator`. (templated)
    :param extensions: the dialled numbers: a list of texts, or of records with ``extension``, ``phone_number`` or
        ``number``, such as an upstream task's output; or a text with one per line or separated by commas. They are
        sent as written, because how the platform compares them is not documented. (templated)
    :param agent_id: the agent that answers them. (templated)
    :param client_env: ``sandbox``, ``pre-release`` or ``live``. (templated)
    :param variant_id: the variant that answers them; ``None`` keeps the present one where the agent stays the same, and
        else takes the default variant of the agent's main branch. It is always sent, because what a request without
        one means is not documented. (templated)
    :param bindings: instead of these four, dialled number -> mapping of ``agent_id``, ``client_env`` and
        ``variant_id``. (templated)
    :param account_id: the account; ``None`` takes the connection's ``account_id``. (templated)
    :param rebind: whether an extension may be taken from another agent.
    :param beta: must be true, because the vendor's API is in beta.
    :param verify: whether an independent read follows the writes; their responses are checked in any case.
    :param max_snapshot_age: seconds after which the trunk is read again right before an extension is written; ``None``
        never.
    :param confirm_live: must be true.
    :param allow_backfill: a backfill run may write.
    :param concurrency: maximum number of extensions in flight.
    :param kwargs: the arguments of every writing operator (:class:`.WritingOperator`); ``waves``, ``max_failures`` and
        ``max_changed`` count extensions.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or the plan refuses, before any write.
    :raises ItemsFailed: when an extension is not as asked for; XCom ``report`` names it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "trunk_id",
        "extensions",
        "agent_id",
        "client_env",
        "variant_id",
        "bindings",
        "account_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"extensions": "json", "bindings": "json"}
    exactly_one_of = ((("extensions", "agent_id", "client_env"), "bindings"),)

    def __init__(
        self,
        *,
        trunk_id: str,
        extensions: PhoneNumbers | None = None,
        agent_id: str | None = None,
        client_env: EnvironmentName | None = None,
        variant_id: str | None = None,
        bindings: Mapping[str, SipBindingArgument] | Templated | None = None,
        account_id: str | None = None,
        rebind: bool = False,
        beta: bool = False,
        verify: bool = True,
        max_snapshot_age: float | None = None,
        **kwargs: Unpack[ItemwiseArguments],
    ) -> None:
        super().__init__(verify=verify, max_snapshot_age=max_snapshot_age, **kwargs)
        self.trunk_id = trunk_id
        self.extensions = extensions
        self.agent_id = agent_id
        self.client_env = client_env
        self.variant_id = variant_id
        self.bindings = bindings
        self.account_id = account_id
        self.rebind = rebind
        self.beta = beta

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, plan, write what differs, read back and report."""
        from airflow_voice_agents.polyai.actions import sip_trunks
        from airflow_voice_agents.polyai.assets import sip_extensions_uri

        hook = self.hook()
        action = sip_trunks.parse_update(
            self.account_id or hook.account_id,
            self.trunk_id,
            self.extensions,
            {"agent_id": self.agent_id, "client_env": self.client_env, "variant_id": self.variant_id or None},
            self.argument("bindings"),
            rebind=self.rebind,
            beta=self.beta,
        )
        report = self.apply(context, action, hook)
        changed = report.counts()["changed"]
        changes = {sip_extensions_uri(action.trunk_id): {"changed": changed}} if changed else {}
        return self.finish(context, report, changes=changes)
