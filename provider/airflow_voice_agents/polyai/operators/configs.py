"""Operators for real-time config pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from msgspec.structs import replace

from airflow_voice_agents.bases.operator import as_list
from airflow_voice_agents.polyai import NEVER_PROMOTE
from airflow_voice_agents.polyai.operators.base import PolyAIWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Templated
    from airflow_voice_agents.plans.guards import Overrides
    from airflow_voice_agents.plans.report import Report
    from airflow_voice_agents.polyai.actions.configs import ConfigAction
    from airflow_voice_agents.polyai.resources.config_plan import Rules
    from airflow_voice_agents.polyai.types import (
        ConfigTargetArgument,
        EnvironmentSourceArgument,
        PolyAIWritingArguments,
        UpdateTargetArgument,
    )


class _ConfigOperator(PolyAIWritingOperator):
    """Base of both operators."""

    open_keys: ClassVar[Sequence[str]] = ("agent_id", "environment")

    def write_pages(
        self, context: Context, action: ConfigAction, sources: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Run an action and push its report.

        :param context: the task's context.
        :param action: a promotion or an update.
        :param sources: asset URIs of what is taken.
        """
        report = self.apply(context, action)
        return self.finish(context, report, changes=_changes(report), sources=sources)


class PolyAIPromoteConfigOperator(_ConfigOperator):
    """Promote the config page of one environment to others, inside a project or across projects.

    The operator reads, plans and checks every target before the first write. It compares values with their
    types and sends only the top-level keys that differ, each as a whole. It writes schema and values in an
    order that keeps each page valid. A second run writes nothing. The report lists keys that no request can
    remove.

    Vendor operations: list real-time configs, update schema, update variables.

    :param source: mapping of ``agent_id`` and ``environment``: the source page; ``environment`` alone means the
        page of each target's own agent. (templated)
    :param targets: one such mapping, or a list of them; each can have its own ``overrides``. (templated)
    :param include_keys: selectors of the keys to promote; ``None`` promotes all keys that are not excluded. A
        selector is a dotted path of shell patterns; a leading ``**.`` matches at any depth. (templated)
    :param exclude_keys: selectors of the keys that each target keeps. (templated)
    :param never_promote: selectors of test switches that each target keeps.
    :param overrides: values that replace those of the source, for all targets; objects are merged.
        (templated)
    :param stale_keys: handling of keys that only a target has and that no request can remove: ``fail`` before
        any write, ``keep`` them, or set them to ``null``. Default: ``fail`` if any target is live, else
        ``keep``.
    :param unmatched: handling of a selector that matches nothing: ``fail`` before any write, ``warn``, or
        ``ignore``. Default: ``fail`` for live targets, else ``warn``; a key in ``include_keys`` that the
        source does not have fails unless ignored.
    :param promote_schema: promote the schema of the source as well.
    :param allow_empty_source: allow a source page that is unset or empty.
    :param bridge_schema: allow a permissive schema between the two writes, if no order of writes keeps a page
        valid.
    :param dry_run: only plan, without a write; live needs no confirmation.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that writes to live.
    :param allow_skip_pre_release: allow a promotion from sandbox to live without pre-release.
    :param allow_backfill: allow a backfill run to write to live.
    :param verify: read each target once more after its writes.
    :param max_snapshot_age: seconds after which a target is read again right before its write.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``.
        Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param concurrency: maximum number of targets that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard or a plan refuses, before any write.
    :raises ItemsFailed: if a target does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "source",
        "targets",
        "include_keys",
        "exclude_keys",
        "overrides",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"source": "json", "targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("targets", "overrides")

    def __init__(
        self,
        *,
        source: EnvironmentSourceArgument | Templated,
        targets: ConfigTargetArgument | Sequence[ConfigTargetArgument] | Templated,
        include_keys: Sequence[str] | Templated | None = None,
        exclude_keys: Sequence[str] | Templated = (),
        never_promote: Sequence[str] = NEVER_PROMOTE,
        overrides: Mapping[str, Any] | Templated | None = None,
        stale_keys: Literal["fail", "keep", "null"] | None = None,
        unmatched: Literal["fail", "warn", "ignore"] | None = None,
        promote_schema: bool = True,
        allow_empty_source: bool = False,
        allow_skip_pre_release: bool = False,
        bridge_schema: bool = False,
        **kwargs: Unpack[PolyAIWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.targets = targets
        self.include_keys = include_keys
        self.exclude_keys = exclude_keys
        self.never_promote = never_promote
        self.overrides = overrides
        self.stale_keys = stale_keys
        self.unmatched = unmatched
        self.promote_schema = promote_schema
        self.allow_empty_source = allow_empty_source
        self.allow_skip_pre_release = allow_skip_pre_release
        self.bridge_schema = bridge_schema

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, guard, write, verify and report."""
        from airflow_voice_agents.polyai.actions import configs
        from airflow_voice_agents.polyai.assets import config_uri

        source, targets = self.argument("source"), as_list(self.argument("targets"))
        action = configs.parse_promotion(
            source, targets, self._rules(targets), bridge_schema=self.bridge_schema
        )
        sources = [config_uri(each.owner, each.name) for each in action.sources()]
        return self.write_pages(context, action, sources)

    def guard_overrides(self) -> Overrides:
        """Return the guards that the operator's arguments override."""
        from airflow_voice_agents.polyai.ladder import SKIP_PRE_RELEASE

        allowed = frozenset({SKIP_PRE_RELEASE} if self.allow_skip_pre_release else ())
        return replace(super().guard_overrides(), allowed=allowed)

    def _rules(self, targets: Sequence[Any]) -> Rules:
        from airflow_voice_agents.polyai.actions.configs import rules

        return rules(
            include_keys=self.argument("include_keys"),
            exclude_keys=self.argument("exclude_keys"),
            never_promote=self.never_promote,
            overrides=self.argument("overrides"),
            stale_keys=self.stale_keys,
            unmatched=self.unmatched,
            promote_schema=self.promote_schema,
            allow_empty_source=self.allow_empty_source,
            targets=targets,
        )


class PolyAIUpdateConfigOperator(_ConfigOperator):
    """Write values from elsewhere (a warehouse, a calendar, a file) to config pages.

    Plan, guards, checks and report are those of a promotion. Keys that are not given stay unchanged.

    Vendor operations: list real-time configs, update variables.

    :param values: with ``targets``, one mapping for all of them; without, a mapping of
        ``"agent_id/environment"`` to values, for instance an upstream task's output. (templated)
    :param values_file: JSON or YAML file with the same content: a local path, or a URL that Airflow's object
        storage supports. (templated)
    :param targets: mapping of ``agent_id`` and ``environment``, or a list of them; each can have its own
        ``values``, which win over ``values``. (templated)
    :param merge: handling of objects: ``deep`` merges member by member, ``replace`` replaces the whole
        top-level value.
    :param dry_run: only plan, without a write; live needs no confirmation.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that writes to live.
    :param allow_backfill: allow a backfill run to write to live.
    :param verify: read each target once more after its writes.
    :param max_snapshot_age: seconds after which a target is read again right before its write.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``.
        Sensitive values are always masked.
    :param sensitive_keys: selectors of additional values to mask.
    :param concurrency: maximum number of targets that are processed at a time.
    :param polyai_conn_id: id of a connection of type ``polyai``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard refuses, before any request.
    :raises ItemsFailed: if a target does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *PolyAIWritingOperator.template_fields,
        "values",
        "values_file",
        "targets",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"targets": "json"}
    confidential_fields: ClassVar[Sequence[str]] = ("targets", "values")

    at_most_one_of = (("values", "values_file"),)

    def __init__(
        self,
        *,
        values: Mapping[str, Any] | Templated | None = None,
        values_file: str | None = None,
        targets: UpdateTargetArgument | Sequence[UpdateTargetArgument] | Templated | None = None,
        merge: Literal["deep", "replace"] = "deep",
        **kwargs: Unpack[PolyAIWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.values = values
        self.values_file = values_file
        self.targets = targets
        self.merge = merge

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, guard, write, verify and report."""
        from airflow_voice_agents.bases.template_inputs import read_document
        from airflow_voice_agents.polyai.actions import configs

        values = self.argument("values")
        if self.values_file:
            values = read_document(self.values_file, name="values_file")
        targets = self.argument("targets")
        places = configs.places_with(values, None if targets is None else as_list(targets))
        return self.write_pages(context, configs.parse_update(places, self.merge))


def _changes(report: Report) -> dict[str, dict[str, Any]]:
    """Asset URI -> facts, of every page that changed."""
    from airflow_voice_agents.plans.report import Status
    from airflow_voice_agents.polyai.assets import config_uri

    return {
        config_uri(item.resource.owner, item.resource.name): {
            "digest": item.details["after"],
            "changed_keys": item.details.get("changed_keys", []),
            "plan_digest": report.plan_digest,
        }
        for item in report.having(Status.CHANGED)
    }
