"""Operators that list, buy and release numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_voice_agents.bases.operator import is_true
from airflow_voice_agents.signalwire.operators.base import SignalWireOperator, SignalWireWritingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.bases.types import Flag, PhoneNumbers
    from airflow_voice_agents.engine.run_context import RunContext
    from airflow_voice_agents.signalwire.resources.inventory import NumberSelection
    from airflow_voice_agents.signalwire.types import SignalWireArguments, SignalWireWritingArguments


class SignalWireListPhoneNumbersOperator(SignalWireOperator):
    """List the numbers of the project, for downstream tasks.

    Vendor operation: list phone numbers, 1,000 per request.

    :param filter_name: part of the numbers' name. (templated)
    :param filter_number: part of the number; an exact match selects only that number, because the platform's
        filter also matches parts. (templated)
    :param voice_only: only numbers that can take calls.
    :param country_code: ISO 3166-1 alpha-2 code of the numbers; numbers without a code are left out.
        (templated)
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :returns: the E.164 numbers, sorted; an empty list if none matches.
    """

    template_fields: Sequence[str] = ("signalwire_conn_id", "filter_name", "filter_number", "country_code")

    def __init__(
        self,
        *,
        filter_name: str | None = None,
        filter_number: str | None = None,
        voice_only: bool = True,
        country_code: str | None = None,
        **kwargs: Unpack[SignalWireArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.filter_name = filter_name
        self.filter_number = filter_number
        self.voice_only = voice_only
        self.country_code = country_code

    def execute(self, context: Context) -> list[str]:
        """List the numbers."""
        from airflow_voice_agents.signalwire.resources.inventory import select_numbers

        chosen = select_numbers(
            filter_name=self.filter_name,
            filter_number=self.filter_number,
            country_code=self.country_code,
            voice_only=self.voice_only,
        )
        hook = self.hook()
        base_url = self.space(hook).base_url
        found = self.work(context, lambda run: self._read(run, chosen, base_url), hook)
        self.log.info("%s number(s) found", len(found))
        return found

    async def _read(self, run: RunContext, chosen: NumberSelection, base_url: str) -> list[str]:
        found = list(await chosen.read(run.send, base_url, lambda record: None))
        if chosen.any_filter and not found:
            self.log.warning("%s", await chosen.why_none(run.send, base_url))
        return found


class SignalWireSearchAndPurchaseOperator(SignalWireWritingOperator):
    """Search available numbers and buy them. Every number is billed.

    A purchase with an unknown outcome is never sent again: the operator polls the project's numbers, and if
    the number does not appear, reports it as unknown and counts it as bought. The next try looks it up before
    it buys anything. A refused candidate is replaced by another one. The task's state store remembers bought
    numbers, so a retry buys only the missing ones. A cleared task returns the numbers that it bought and buys
    none; start a new DAG run to buy more.

    A dry run lists the candidates, and the XCom ``report`` has its digest. With this ``expected_digest``, a
    run buys exactly these numbers, at most 100, or fails and names the changes; it replaces no candidate.

    Vendor operations: search available phone numbers, purchase phone number, list phone numbers.

    :param count: number of phone numbers to buy. (templated)
    :param max_numbers: maximum number of phone numbers to be billed; a larger ``count`` is refused. There is
        no default.
    :param confirm_purchase: must be true; a template must render to ``true`` or ``false``. (templated)
    :param areacode: digits of the area code. (templated)
    :param number_type: ``local`` or ``toll-free``; the platform's default is local.
    :param starts_with: 3 to 7 digits; at most one of ``starts_with``, ``contains``, ``ends_with``. (templated)
    :param contains: 3 to 7 digits. (templated)
    :param ends_with: 3 to 7 digits. (templated)
    :param region: two letters, such as ``TX``; local numbers only. (templated)
    :param city: name of a city in ``region``. (templated)
    :param voice_only: buy only numbers that can take calls.
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param allow_backfill: allow a backfill run to buy, once per past date.
    :param lock_wait: seconds to wait for another run on the numbers of the space; 0 fails at once.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param waves: cumulative number of purchases at the end of each wave: counts and percentages, the last
        ``"100%"``. ``None`` buys all in one wave.
    :param max_failures: number of failures to tolerate; after one more, no further number starts: a count, a
        percentage, or a mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: maximum number of purchases, as a count or a percentage; ``None`` sets no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: reason to write in a freeze window; it is logged. (templated)
    :param verify: read everything that was written once more; responses are always compared.
    :param max_snapshot_age: seconds after which a number is read again right before its purchase; ``None``
        never reads again.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``. Secrets
        in URLs are always masked.
    :param concurrency: maximum number of parallel purchases.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard or a plan refuses, before any write.
    :raises StateMoved: if the candidates do not have the expected digest.
    :raises TargetLocked: if another run holds the lock of the space.
    :raises ItemsFailed: if not all numbers could be bought; the XCom ``report`` lists the bought ones.
    :returns: the bought numbers, sorted.
    """

    template_fields: Sequence[str] = (
        *SignalWireWritingOperator.template_fields,
        "count",
        "areacode",
        "starts_with",
        "contains",
        "ends_with",
        "region",
        "city",
        "confirm_purchase",
    )
    keeps_snapshots: ClassVar[bool] = False

    at_most_one_of = (("starts_with", "contains", "ends_with"),)

    def __init__(
        self,
        *,
        count: int | str,
        max_numbers: int,
        confirm_purchase: Flag = False,
        areacode: str | None = None,
        number_type: Literal["local", "toll-free"] | None = None,
        starts_with: str | None = None,
        contains: str | None = None,
        ends_with: str | None = None,
        region: str | None = None,
        city: str | None = None,
        voice_only: bool = True,
        **kwargs: Unpack[SignalWireWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.count = count
        self.max_numbers = max_numbers
        self.confirm_purchase = confirm_purchase
        self.areacode = areacode
        self.number_type = number_type
        self.starts_with = starts_with
        self.contains = contains
        self.ends_with = ends_with
        self.region = region
        self.city = city
        self.voice_only = voice_only

    def execute(self, context: Context) -> list[str]:
        """Search, buy what is missing and report."""
        from airflow_voice_agents.signalwire.actions.purchase import buy, parse_purchase
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        order = parse_purchase(
            self.space(hook),
            count=self.count,
            max_numbers=self.max_numbers,
            search=self._search(),
            voice_only=self.voice_only,
            confirmed=is_true(self.confirm_purchase),
        )
        policy, protections = self.policy(), self.protections(context)
        report, bought = self.work(context, lambda run: buy(run, order, policy, protections), hook)
        changed = report.counts()["changed"]
        changes = {phone_numbers_uri(order.space.label): {"bought": changed}} if changed else {}
        self.finish(context, report, changes=changes)
        return bought

    def _search(self) -> dict[str, str | None]:
        names = (
            *("areacode", "number_type", "starts_with", "contains", "ends_with"),
            *("region", "city"),
        )
        return {name: getattr(self, name) for name in names}


class SignalWireReleasePhoneNumbersOperator(SignalWireWritingOperator):
    """Release numbers. A release cannot be undone: somebody else can get the number minutes later.

    SignalWire refuses to release a number within 14 days of its purchase, 30 days in a trial project; such a
    number is a failed item. The operator verifies every release. It ignores numbers that the project does not
    have, so a second run writes nothing.

    Vendor operations: list phone numbers, release phone number.

    :param phone_numbers: E.164 numbers: a list, the output of an upstream task, or a string with one number
        per line or separated by commas. (templated)
    :param expected: the same numbers, in any order, from the person who decided; any difference stops the run
        before any request. (templated)
    :param dry_run: only plan, without a write; no confirmation is needed.
    :param expected_digest: required digest of the plan (``plan_digest`` of a dry run); a retry continues the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that releases, because the numbers have callers.
    :param allow_backfill: allow a backfill run to write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: allow writes to live although ``state_folder`` is not set and the executor can
        run tasks on several machines, which do not see each other's locks.
    :param waves: cumulative number of phone numbers at the end of each wave: counts and percentages, the last
        ``"100%"``. ``None`` writes all in one wave.
    :param max_failures: number of failures to tolerate; after one more, no further number starts: a count, a
        percentage, or a mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: maximum number of releases, as a count or a percentage; ``None`` sets no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` disables it.
    :param freeze: freeze windows, in which no wave starts: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: reason to write in a freeze window; it is logged. (templated)
    :param verify: read everything that was written once more; responses are always compared.
    :param max_snapshot_age: seconds after which a number is read again right before its write; ``None`` never
        reads again.
    :param show_values: show values in the logged plan; ``None`` uses ``[voice_agents] show_values``. Secrets
        in URLs are always masked.
    :param concurrency: maximum number of phone numbers that are processed at a time.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for invalid arguments, before any request.
    :raises GuardRefused: if a guard or a plan refuses, before any write.
    :raises StateMoved: if the plan does not have the expected digest.
    :raises TargetLocked: if another run holds the lock of a number.
    :raises ItemsFailed: if a number does not match the plan; the XCom ``report`` lists it.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWireWritingOperator.template_fields,
        "phone_numbers",
        "expected",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "expected": "json"}
    keeps_snapshots: ClassVar[bool] = False

    def __init__(
        self,
        *,
        phone_numbers: PhoneNumbers,
        expected: PhoneNumbers,
        **kwargs: Unpack[SignalWireWritingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.expected = expected

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, release and report."""
        from airflow_voice_agents.signalwire.actions.release import parse_release
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        action = parse_release(self.space(hook), self.phone_numbers, self.expected)
        report = self.apply(context, action, hook)
        changes = self.changes(report, phone_numbers_uri(action.space.label))
        return self.finish(context, report, changes=changes)
