"""SIP trunks and their extensions (beta): reads of trunks, reads and writes of extensions."""

from __future__ import annotations

from typing import Any, Final

from airflow_voice_agents.polyai import readers
from airflow_voice_agents.polyai.api.requests import get, send
from airflow_voice_agents.polyai.models import SipExtension, SipTrunk, parse_environment
from airflow_voice_agents.transport.api_request import ApiRequest
from airflow_voice_agents.transport.validation import parse_identifier

EXTENSION_LIMIT: Final = 128
"""Characters that a dialled number or extension may have."""

_TRUNKS = "/v1/accounts/{accountId}/telephony/sip-trunks"
_TRUNK = f"{_TRUNKS}/{{trunkId}}"
_EXTENSIONS = f"{_TRUNK}/extensions"
_EXTENSION = f"{_EXTENSIONS}/{{extension}}"
_SHOWN = frozenset({"extension", "agent", "agent_id", "client_env", "variant_id"})


def list_sip_trunks(account_id: str) -> ApiRequest[list[SipTrunk]]:
    """Read the trunks of an account (``GET /v1/accounts/{accountId}/telephony/sip-trunks``)."""
    read = readers.list_of(SipTrunk, "sip_trunks")
    return get("list sip trunks", _TRUNKS, read, account_id=account_id)


def get_sip_trunk(account_id: str, *, trunk_id: str) -> ApiRequest[SipTrunk]:
    """Read one trunk (``GET …/sip-trunks/{trunkId}``)."""
    return get("get sip trunk", _TRUNK, SipTrunk.model_validate, account_id=account_id, trunk_id=trunk_id)


def list_sip_extensions(account_id: str, *, trunk_id: str) -> ApiRequest[list[SipExtension]]:
    """Read all extensions of a trunk (``GET …/sip-trunks/{trunkId}/extensions``)."""
    read = readers.list_of(SipExtension, "extensions")
    return get("list sip extensions", _EXTENSIONS, read, account_id=account_id, trunk_id=trunk_id)


def get_sip_extension(account_id: str, *, trunk_id: str, extension: str) -> ApiRequest[SipExtension]:
    """Read one extension (``GET …/extensions/{extension}``)."""
    return get(
        "get sip extension",
        _EXTENSION,
        SipExtension.model_validate,
        account_id=account_id,
        trunk_id=trunk_id,
        extension=extension,
    )


def create_sip_extension(
    account_id: str,
    *,
    trunk_id: str,
    extension: str,
    agent_id: str,
    client_env: str,
    variant_id: str | None = None,
) -> ApiRequest[SipExtension]:
    """Bind a dialled number to an agent (``POST …/sip-trunks/{trunkId}/extensions``).

    :param extension: the dialled number or extension.
    :param variant_id: the variant that answers; ``None`` leaves the choice to the platform.
    """
    return send(
        "create sip extension",
        "POST",
        _EXTENSIONS,
        SipExtension.model_validate,
        body={
            "extension": parse_identifier(extension, name="extension"),
            "agent": _agent(agent_id, client_env, variant_id),
        },
        shown=_SHOWN,
        account_id=account_id,
        trunk_id=trunk_id,
    )


def update_sip_extension(
    account_id: str,
    *,
    trunk_id: str,
    extension: str,
    agent_id: str,
    client_env: str,
    variant_id: str | None = None,
) -> ApiRequest[SipExtension]:
    """Bind an extension to another agent, environment or variant (``PATCH …/extensions/{extension}``).

    :param extension: the dialled number or extension.
    :param variant_id: the variant that answers; ``None`` leaves it out, and what then answers is not documented.
    """
    return send(
        "update sip extension",
        "PATCH",
        _EXTENSION,
        SipExtension.model_validate,
        body={"agent": _agent(agent_id, client_env, variant_id)},
        shown=_SHOWN,
        account_id=account_id,
        trunk_id=trunk_id,
        extension=extension,
    )


def delete_sip_extension(account_id: str, *, trunk_id: str, extension: str) -> ApiRequest[None]:
    """Delete an extension; the trunk no longer knows the dialled number (``DELETE …/extensions/{extension}``)."""
    return send(
        "delete sip extension",
        "DELETE",
        _EXTENSION,
        readers.nothing,
        account_id=account_id,
        trunk_id=trunk_id,
        extension=extension,
    )


def _agent(agent_id: str, client_env: str, variant_id: str | None) -> dict[str, Any]:
    body = {
        "agent_id": parse_identifier(agent_id, name="agent_id"),
        "client_env": parse_environment(client_env, name="client_env").value,
    }
    if variant_id is None:
        return body
    return body | {"variant_id": parse_identifier(variant_id, name="variant_id")}
