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
    """List the project's numbers, for tasks downstream.

    Vendor operation: list phone numbers, 1,000 per request.

    :param filter_name: part of the numbers' name. (templated)
    :param filter_number: part of the number; where a number is exactly that, it alone is meant, because the
        platform's filter finds parts as well. (templated)
    :param voice_only: whether a number must be able to take calls.
    :param country_code: ISO 3166-1 alpha-2 code of the numbers; one whose record has none is left
        out. (templated)
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :returns: the E.164 numbers, sorted; an empty list when none fits.
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
    """Search numbers that are available, and buy as many as are asked for. Every number is billed.

    A purchase of unknown outcome is never sent again: the project's numbers are polled, and if they do not show it,
    it is reported as unknown and counted as bought. The next try looks it up before it buys anything. A candidate
    that is refused is replaced by another one. Bought numbers are kept in the task's state store, so that a retry
    buys only what is missing. A task that was cleared returns the numbers that it bought, and buys none; start a
    new DAG run to buy further ones.

    A dry run lists the candidates; its digest is in the XCom ``report``. With that ``expected_digest`` a run buys
    exactly these, at most 100, or fails and names what moved; it replaces no candidate.

    Vendor operations: search available phone numbers, purchase phone number, list phone numbers.

    :param count: how many numbers. (templated)
    :param max_numbers: how many numbers may be billed at most; a larger ``count`` is refused. There is no
        default.
    :param confirm_purchase: must be true; a template must render to ``true`` or ``false``. (templated)
    :param areacode: digits of the area code. (templated)
    :param number_type: ``local`` or ``toll-free``; the platform's default is local.
    :param starts_with: 3 to 7 digits; at most one of ``starts_with``, ``contains``, ``ends_with``. (templated)
    :param contains: 3 to 7 digits. (templated)
    :param ends_with: 3 to 7 digits. (templated)
    :param region: two letters, such as ``TX``; local numbers only. (templated)
    :param city: name of a city in ``region``. (templated)
    :param voice_only: whether only numbers that can take calls are bought.
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param allow_backfill: a backfill run may buy, once per past date.
    :param lock_wait: seconds to wait for another run on the space's numbers; 0 fails at once.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: whether live is written although ``state_folder`` is not set and the executor can run
        tasks on several machines, which then do not see each other's locks.
    :param waves: how many numbers are bought wave by wave: numbers and percentages, counted from the first; the
        last must be ``"100%"``. ``None`` is one wave.
    :param max_failures: how many numbers may fail before no further one is begun: a number, a percentage, or a
        mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: how many numbers may be bought, as a number or a percentage; ``None`` is no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: the reason why a freeze window does not count. (templated)
    :param verify: whether an independent read follows the writes; the answers are compared in any case.
    :param max_snapshot_age: seconds after which a number is read again right before it is bought; ``None`` never.
    :param show_values: whether the plan in the log shows values; ``None`` uses ``[voice_agents] show_values``.
        Secrets in URLs are masked in any case.
    :param concurrency: maximum number of purchases in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises StateMoved: when the candidates are not those of the expected digest.
    :raises TargetLocked: when another run works on the space's numbers.
    :raises ItemsFailed: when not all could be bought; XCom ``report`` names those that were.
    :returns: the numbers that the task bought, sorted.
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
    """Release numbers. That cannot be undone: somebody else may have them minutes later.

    SignalWire refuses to release a number before 14 days have passed since its purchase, 30 days in a trial project;
    such a number is a failed item, and stays. Every release is read back. A number that the project does not have
    needs no release, so a second run writes nothing.

    Vendor operations: list phone numbers, release phone number.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas. (templated)
    :param expected: the very same numbers, in any order, from whoever decided; a run in which the two differ
        is refused before any request. (templated)
    :param dry_run: plan only; nothing is written, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on with the
        same plan. ``None`` accepts any plan. (templated)
    :param confirm_live: must be true for a run that releases: callers are on these numbers.
    :param allow_backfill: a backfill run may write.
    :param lock_wait: seconds to wait for another run on one of the numbers; 0 fails at once.
    :param state_folder: URL of the folder for snapshots, holds and locks; ``None`` uses
        ``[voice_agents] state_folder``. (templated)
    :param allow_local_state: whether live is written although ``state_folder`` is not set and the executor can run
        tasks on several machines, which then do not see each other's locks.
    :param waves: how many numbers are written wave by wave: numbers and percentages, counted from the first; the
        last must be ``"100%"``. ``None`` is one wave.
    :param max_failures: how many numbers may fail before no further one is begun: a number, a percentage, or a
        mapping of ``count`` and ``percent``; ``None`` tries all.
    :param max_changed: how many numbers may be released, as a number or a percentage; ``None`` is no limit.
    :param stop_variable: Airflow Variable that stops the run before its next wave; ``None`` has none.
    :param freeze: freeze windows, in which nothing is begun: mappings of ``start``, ``end`` or ``duration``,
        ``timezone``, and ``rrule`` (RFC 5545) for recurring ones.
    :param override_freeze: the reason why a freeze window does not count. (templated)
    :param verify: whether an independent read follows the writes; the answers are compared in any case.
    :param max_snapshot_age: seconds after which a number is read again right before it is written; ``None`` never.
    :param show_values: whether the plan in the log shows values; ``None`` uses ``[voice_agents] show_values``.
        Secrets in URLs are masked in any case.
    :param concurrency: maximum number of numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard or a plan refuses, before any write.
    :raises StateMoved: when the plan is not the expected one.
    :raises TargetLocked: when another run works on one of the numbers.
    :raises ItemsFailed: when a number is not as asked for; XCom ``report`` names it.
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
