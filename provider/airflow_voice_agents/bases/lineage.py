"""OpenLineage: the inputs and outputs of a run as datasets, named by asset URIs, with the plan's digest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

FACET = "voiceAgents_plan"
"""Name of the facet that holds the plan's digest."""


class Lineage(msgspec.Struct, frozen=True):
    """The facts of a run that lineage shows; no values.

    :param sources: asset URIs of what was taken.
    :param targets: asset URIs of what was changed.
    :param digest: digest of the plan, where there was one.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    digest: str | None

    def openlineage(self) -> Any:
        """Return OpenLineage's facts of an operator, or ``None`` where its Airflow provider is not installed."""
        try:
            from airflow.providers.common.compat.openlineage.facet import Dataset
            from airflow.providers.openlineage.extractors import OperatorLineage
        except ImportError:
            return None

        def datasets(uris: Iterable[str]) -> list[Any]:
            return [Dataset(**_dataset(uri)) for uri in dict.fromkeys(uris)]

        facets = {} if self.digest is None else {FACET: _plan_facet()(planDigest=self.digest)}
        return OperatorLineage(
            inputs=datasets(self.sources), outputs=datasets(self.targets), run_facets=facets
        )


def _dataset(uri: str) -> dict[str, str]:
    """Split an asset URI as OpenLineage names datasets: namespace with authority, and name below it."""
    scheme, _, rest = uri.partition("://")
    authority, _, name = rest.partition("/")
    return {"namespace": f"{scheme}://{authority}", "name": name or "/"}


@cache
def _plan_facet() -> Any:
    import attrs
    from airflow.providers.common.compat.openlineage.facet import RunFacet

    @attrs.define(kw_only=True)
    class PlanFacet(RunFacet):  # type: ignore[misc]
        """The plan that a run carried out."""

        planDigest: str  # noqa: N815  as facets write their names

    return PlanFacet
