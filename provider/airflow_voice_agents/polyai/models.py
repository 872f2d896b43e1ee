"""Models of the PolyAI Agents API: requests are validated strictly, responses are read leniently.

Answers may hold unknown fields (dropped), nulls where the vendor's contract says string or object,
and values outside its enums; only the field that identifies a record is required. ``null``, ``""``
and absent all read as ``None`` for ``variant_id``, ``connector_id``, ``version``, ``json_schema``,
``variables`` and ``metadata``; an empty object stays an empty object. A body that cannot be read
raises ``ValueError`` naming the field, never the value. Values that may be confidential are left
out of every ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from reprlib import repr as shorten
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from airflow_voice_agents.polyai import ALSO_PRE_RELEASE
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, hints
from airflow_voice_agents.transport.validation import parse_identifier, parse_text

# ---------------------------------------------------------------------------------------- inputs


class Environment(StrEnum):
    """The three stages of an agent, in the order of promotion."""

    SANDBOX = "sandbox"
    PRE_RELEASE = "pre-release"
    LIVE = "live"


_ENVIRONMENTS = {str(environment): environment for environment in Environment} | dict.fromkeys(
    ALSO_PRE_RELEASE, Environment.PRE_RELEASE
)


def parse_environment(value: object, *, name: str = "environment") -> Environment:
    """Read the name of an environment; ``pre_release`` and ``prerelease`` mean ``pre-release``.

    :param value: the name, in lower case.
    :param name: what to call the argument in the error.
    :raises InputError: for anything else.
    """
    if isinstance(value, str) and value in _ENVIRONMENTS:
        return _ENVIRONMENTS[value]
    hint = did_you_mean(value, _ENVIRONMENTS) if isinstance(value, str) else ""
    raise InputError(
        f"{name} must be 'sandbox', 'pre-release' or 'live', not {shorten(value)}.{hint}".rstrip(".")
    )


def _line(name: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_text(value, name=name))


def _identifier(name: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_identifier(value, name=name))


def _variant_id(value: object) -> str | None:
    if value == "":
        raise InputError("variant_id must not be empty: give None (null) to unassign the variant")
    return None if value is None else parse_identifier(value, name="variant_id")


class ConnectorUpdate(BaseModel):
    """Desired settings of one connector; an absent field stays unchanged.

    Accepts snake_case and the API's camelCase names. ``model_fields_set`` distinguishes absent fields from
    ``None``.

    :param connector_id: the connector.
    :param variant_id: variant to assign; ``None`` unassigns it.
    :param asr_lang_code: speech recognition language, such as ``en-GB``.
    :param voice_name: Google text-to-speech voice; the platform tries it out, which takes seconds.
    :param project_id: agent to move the connector to.
    :raises InputError: for an unknown field, an empty or malformed value, and ``None`` for any field but
        ``variant_id``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        loc_by_alias=False,
        hide_input_in_errors=True,
        defer_build=True,
    )

    connector_id: Annotated[str, _identifier("connector_id")]
    variant_id: Annotated[str | None, BeforeValidator(_variant_id)] = None
    asr_lang_code: Annotated[str | None, _line("asr_lang_code")] = None
    voice_name: Annotated[str | None, _line("voice_name")] = None
    project_id: Annotated[str | None, _identifier("project_id")] = None

    if not TYPE_CHECKING:  # type checkers keep the signature that the fields give

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise InputError(_explain(error, values)) from None

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read an update from a mapping, as a DAG, an XCom or a file gives it.

        :param value: a mapping of field names to values, or an update.
        :raises InputError: as the class does.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise InputError(f"connector update must be a mapping of field names, not {type(value).__name__}")
        return cls(**value)

    @property
    def moves(self) -> bool:
        """Whether the update moves the connector to another agent."""
        return "project_id" in self.model_fields_set

    @property
    def changes_voice(self) -> bool:
        """Whether the platform will try out a voice."""
        return "voice_name" in self.model_fields_set

    def for_connector(self, connector_id: str) -> Self:
        """Return the same update of another connector; nothing but the id is checked again.

        :param connector_id: the other connector.
        :raises InputError: for an id that could not be one segment of a path.
        """
        if connector_id == self.connector_id:
            return self
        checked = parse_identifier(connector_id, name="connector_id")
        return self.model_copy(update={"connector_id": checked})

    def body(self) -> dict[str, Any]:
        """The JSON object to send: absent fields left out, nulls kept."""
        present = self.model_fields_set
        return {alias: getattr(self, name) for name, alias in _UPDATE_ALIASES.items() if name in present}

    def changes(self) -> dict[str, str | None]:
        """The fields that are present, by attribute name, without ``connector_id``."""
        present = self.model_fields_set
        return {
            name: getattr(self, name)
            for name in _UPDATE_ALIASES
            if name in present and name != "connector_id"
        }


_UPDATE_ALIASES = {name: to_camel(name) for name in ConnectorUpdate.model_fields}
"""Fields of an update -> their names in JSON."""


def _explain(error: ValidationError, values: Mapping[str, object]) -> str:
    connector = values.get("connector_id", values.get("connectorId"))
    complaints = [
        _complaint(str(detail["loc"][0]), detail["type"], detail.get("ctx", {}).get("error"))
        for detail in error.errors(include_url=False, include_input=False)
    ]
    return f"update of connector {shorten(connector)}: {'; '.join(complaints)}"


def _complaint(field: str, kind: str, cause: object) -> str:
    if kind == "extra_forbidden":
        known = ConnectorUpdate.model_fields
        return f"unknown or repeated field {field!r}, allowed are {', '.join(known)}{hints([field], known)}"
    return f"{field} is required" if kind == "missing" else str(cause)


# --------------------------------------------------------------------------------------- answers


class Answer(BaseModel):
    """Base of what the API answers: immutable, lenient, camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


def blank_to_none(value: object) -> object:
    """Read ``""`` as ``None``.

    :param value: what came.
    """
    return None if value == "" else value


def _empty_to_none(value: object) -> object:
    return value or None


def null_to_empty(value: object) -> object:
    """Read ``None`` as no items.

    :param value: what came.
    """
    return () if value is None else value


def null_to_object(value: object) -> object:
    """Read ``None`` as an empty object.

    :param value: what came.
    """
    return {} if value is None else value


OptionalText = Annotated[str | None, BeforeValidator(blank_to_none)]
"""A text; ``None`` for null and ``""``."""
Texts = Annotated[tuple[str, ...], BeforeValidator(null_to_empty)]
"""Texts; none for null."""
_OptionalObject = Annotated[dict[str, Any] | None, BeforeValidator(blank_to_none)]


class ConfigPage(Answer):
    """Real-time configuration of one environment.

    An environment without a page has ``None`` for both ``variables`` and ``json_schema``;
    ``last_updated`` is an opaque stamp, good for equality only.
    """

    client_env: str
    variables: _OptionalObject = Field(default=None, repr=False)
    json_schema: _OptionalObject = Field(default=None, alias="schema", repr=False)
    last_updated: str | None = Field(default=None, coerce_numbers_to_str=True)


class Connector(Answer):
    """Telephony connector: one environment's voice, languages and variant, shared by its numbers."""

    connector_id: str
    name: str | None = None
    account_id: str | None = None
    project_id: str | None = None
    client_env: str | None = None
    variant_id: OptionalText = None
    asr_lang_code: str | None = None
    tts_lang_code: str | None = None
    voice_name: str | None = None
    disable_handoff: StrictBool | None = None


class BatchConnectors(Answer):
    """Answer to a batch read of connectors."""

    found: tuple[Connector, ...]
    not_found: Texts = ()


class ConnectorUpdateResult(Answer):
    """Result of one update of a batch; ``error`` is a text without a code."""

    connector_id: str
    success: StrictBool
    data: Annotated[Connector | None, BeforeValidator(_empty_to_none)] = None
    error: str | None = None


class DeletedConnector(Answer):
    """Answer to the deletion of a connector, which releases its numbers as well."""

    deleted_connector: str
    deleted_phone_numbers: tuple[str, ...]


class PhoneNumber(Answer):
    """Phone number registered with an agent for one environment."""

    number: str
    project_id: str | None = None
    account_id: str | None = None
    client_env: str | None = None
    connector_id: OptionalText = None


class BatchPhoneNumbers(Answer):
    """Answer to a batch read of phone numbers."""

    found: tuple[PhoneNumber, ...]
    not_found: Texts = ()


class PhoneNumberError(Answer):
    """Why one number of a batch was not deleted."""

    phone_number: str
    error: str | None = None


class DeletedPhoneNumbers(Answer):
    """Answer to a batch deletion of numbers."""

    deleted: tuple[str, ...]
    errors: Annotated[tuple[PhoneNumberError, ...], BeforeValidator(null_to_empty)] = ()


class Deployment(Answer):
    """One record of an environment's history; ``version`` is shared across environments."""

    id: str
    account_id: str | None = None
    agent_id: str | None = None
    environment: str | None = None
    artifact_version: str | None = None
    version: OptionalText = None
    created_by: str | None = None
    created_at: str | None = None
    metadata: _OptionalObject = Field(default=None, repr=False)


class DeploymentResult(Answer):
    """Answer to publish, promote and rollback: the new record, and the test runs that it started."""

    deployment: Deployment
    test_run_ids: Texts = ()


class Branch(Answer):
    """Branch of an agent's content; the vendor declares no fields, so all that come are kept."""

    model_config = ConfigDict(extra="allow")

    branch_id: str | None = Field(default=None, validation_alias=AliasChoices("branchId", "id"))
    name: str | None = Field(default=None, validation_alias=AliasChoices("branchName", "name"))
    sequence_id: str | None = Field(
        default=None, validation_alias=AliasChoices("sequenceId", "sequence_id"), coerce_numbers_to_str=True
    )
    diverged: bool | None = Field(
        default=None, validation_alias=AliasChoices("isDiverged", "is_diverged", "diverged")
    )
    tag: OptionalText = None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [("branch_id", self.branch_id), ("name", self.name)]


class CreatedBranch(Answer):
    """Answer to the creation of a branch."""

    branch_id: str
    sequence_id: str | None = None


class DeletedBranch(Answer):
    """Answer to the deletion of a branch."""

    sequence: str | None = None
    message: str | None = None


class MergeResult(Answer):
    """Answer to a merge, which deploys as well, and the test runs that it started."""

    sequence: str | None = None
    message: str | None = None
    test_run_ids: Texts = ()


class Attribute(Answer):
    """Attribute that the variants of a branch give values to."""

    id: str
    name: str | None = None


class Variant(Answer):
    """Variant of an agent; ``attribute_values`` maps attribute ids to texts."""

    id: str
    name: str | None = None
    is_default: StrictBool | None = None
    attribute_values: Annotated[dict[str, str | None], BeforeValidator(null_to_object)] = Field(
        default_factory=dict, validation_alias=AliasPath("attributeValues", "values"), repr=False
    )


class Topic(Answer):
    """Topic of a branch's knowledge base; its texts are what the agent may say, so no log shows them."""

    id: str
    name: str | None = None
    content: str | None = Field(default=None, repr=False)
    actions: str | None = Field(default=None, repr=False)
    example_queries: Texts = Field(
        default=(), validation_alias=AliasPath("exampleQueries", "queries"), repr=False
    )
    is_active: StrictBool | None = None


class Agent(Answer):
    """Agent, which other answers call project."""

    agent_id: str
    account_id: str | None = None
    agent_name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    branch_count: int | float | None = None


class OutboundCall(Answer):
    """Answer to an outbound call that was accepted."""

    call_sid: str | None = None
    status: str | None = None


class OutboundCallStatus(Answer):
    """State of an outbound call; ``SUCCESS`` and ``FAILURE`` are final."""

    call_sid: str | None = None
    status: str | None = None
    reason: str | None = Field(default=None, repr=False)


class SipTrunk(Answer):
    """SIP trunk of an account; nothing secret of it is ever answered.

    :param hostname: the trunk's own host for inbound calls, unique to the trunk.
    :param encrypted: true for TLS with SRTP on port 5061, false for UDP on port 5060.
    """

    id: str
    account_id: OptionalText = None
    name: str | None = None
    encrypted: StrictBool | None = None
    hostname: OptionalText = Field(default=None, validation_alias=AliasPath("inbound", "hostname"))
    digest_auth: StrictBool | None = Field(
        default=None, validation_alias=AliasPath("inbound", "sip_auth", "enabled")
    )
    token_auth: StrictBool | None = Field(
        default=None, validation_alias=AliasPath("inbound", "sip_token_auth", "enabled")
    )


class SipExtension(Answer):
    """Extension of a SIP trunk: the dialed number, and the agent that answers it."""

    extension: str
    agent_id: OptionalText = Field(default=None, validation_alias=AliasPath("agent", "agent_id"))
    client_env: OptionalText = Field(default=None, validation_alias=AliasPath("agent", "client_env"))
    variant_id: OptionalText = Field(default=None, validation_alias=AliasPath("agent", "variant_id"))
