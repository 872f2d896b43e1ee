"""Assets of changes, on which other DAGs can be scheduled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

GROUPS = {"polyai": "PolyAI", "signalwire": "SignalWire", "omniavoice": "Omnia Voice"}
"""URI scheme -> group of its assets in Airflow's list."""


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check an asset URI of ours: a host and a path, and nothing that could hold a secret.

    :param uri: the URI, split.
    :raises ValueError: for a URI without host, or with user info, query or fragment.
    """
    if not uri.netloc or "@" in uri.netloc or uri.query or uri.fragment:
        raise ValueError(
            f"an asset URI of this provider looks like {uri.scheme}://agents/…, with nothing secret in it"
        )
    return uri


def asset_of(uri: str) -> Asset:
    """Return the asset of a URI in the group of its system, for a schedule, inlets or outlets.

    Its name is the URI: Airflow triggers a DAG only by an event of the same name and URI, and operators emit with the
    URI as the name. The group shows in Airflow's list of assets once a DAG names the asset.

    :param uri: the URI, as the functions ``*_uri`` of each system's ``assets`` return it.
    """
    from airflow.sdk import Asset

    return Asset(name=uri, uri=uri, group=GROUPS[uri.partition(":")[0]])


def emit(context: Context, changes: Mapping[str, Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    """Emit one event per changed asset through the task's alias outlets.

    Assets that the author listed among the outlets are emitted by Airflow whenever the task succeeds;
    they get the summary, so that a consumer can tell whether anything changed.

    :param context: the task's context.
    :param changes: asset URI -> facts (digests, counts), never values.
    :param summary: the report's summary.
    """
    from airflow.sdk import Asset, AssetAlias

    run: dict[str, Any] = {
        "dag_id": context["ti"].dag_id,
        "run_id": context["ti"].run_id,
        "task_id": context["ti"].task_id,
    }
    for outlet in context["task"].outlets:
        events = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            for uri, facts in changes.items():
                events.add(asset_of(uri), extra={**facts, "run": run})
        elif isinstance(outlet, Asset):
            events.extra.update({**summary, "run": run})
