"""Encrypts the request stored in a plan, so that XComs never contain its values."""

from __future__ import annotations

import json
import zlib
from typing import Any

from airflow_voice_agents.transport.errors import GuardRefused, InputError

PLAIN, SEALED = "plain", "sealed"


def seal(asked: Any, *, holds_values: bool, allow_unencrypted: bool) -> dict[str, Any]:
    """Return what was asked for as JSON that may lie in an XCom.

    :param asked: JSON.
    :param holds_values: whether config values are in it; then it is encrypted with Airflow's Fernet key.
    :param allow_unencrypted: whether it may stay in the clear where Airflow has no Fernet key.
    :raises GuardRefused: when it could only be kept in the clear, and that was not allowed.
    """
    from airflow_voice_agents.state.snapshots import fernet

    if not holds_values:
        return {"form": PLAIN, "asked": asked}
    key = fernet()
    if not key.is_encrypted:
        if not allow_unencrypted:
            raise GuardRefused(
                "The plan would hold config values (overrides) in the clear, because this Airflow has no [core] "
                "fernet_key. Nothing was written. Set one, or pass allow_unencrypted=True if that is acceptable."
            )
        return {"form": PLAIN, "asked": asked}
    packed = zlib.compress(json.dumps(asked, ensure_ascii=False).encode())
    return {"form": SEALED, "asked": key.encrypt(packed).decode()}


def unseal(request: Any) -> Any:
    """Return what :func:`seal` was given.

    :param request: what it returned.
    :raises InputError: for anything else, and when this Airflow's key is another one.
    """
    from airflow_voice_agents.state.snapshots import fernet

    if not isinstance(request, dict) or request.get("form") not in (PLAIN, SEALED) or "asked" not in request:
        raise InputError("plan does not say how it was made; make it with the plan operator of its system")
    if request["form"] == PLAIN:
        return request["asked"]
    try:
        return json.loads(zlib.decompress(fernet().decrypt(request["asked"].encode())))
    except Exception as error:  # noqa: BLE001  whatever the key's library raises
        raise InputError(
            f"plan cannot be opened with this Airflow's Fernet key ({type(error).__name__}). Plan again"
        ) from None
