"""Operators for the numbers themselves: which there are, buying and giving back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_voice_agents.signalwire.operators.base import SignalWireOperator, SignalWirePlanningOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


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
        **kwargs: Any,
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
        found = self.work(context, lambda run: chosen.read(run.send, base_url, lambda record: None), hook)
        self.log.info("%s number(s) found", len(found))
        return list(found)


class SignalWireSearchAndPurchaseOperator(SignalWireOperator):
    """Search numbers that are available, and buy as many as are asked for. Every number is billed.

    A purchase is never sent again blind: where its outcome is unknown, the project's numbers are read, and only
    then the same number is asked for once more. What was bought is kept in the task's state store, so that a
    retry buys only what is missing. A task that was cleared returns the numbers that it bought, and buys none;
    start a new DAG run to buy further ones.

    Vendor operations: search available phone numbers, purchase phone number, list phone numbers.

    :param count: how many numbers. (templated)
    :param max_numbers: how many numbers may be billed at most; a larger ``count`` is refused. There is no
        default.
    :param confirm_purchase: must be true.
    :param areacode: digits of the area code. (templated)
    :param number_type: ``local`` or ``toll-free``; the platform's default is local.
    :param starts_with: 3 to 7 digits; at most one of ``starts_with``, ``contains``, ``ends_with``. (templated)
    :param contains: 3 to 7 digits. (templated)
    :param ends_with: 3 to 7 digits. (templated)
    :param region: two letters, such as ``TX``; local numbers only. (templated)
    :param city: name of a city in ``region``. (templated)
    :param voice_only: whether only numbers that say that they can take calls are bought.
    :param allow_backfill: a backfill run may buy, once per past date.
    :param concurrency: most purchases in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
    :raises ItemsFailed: when not all could be bought; XCom ``report`` tells which were.
    :returns: the numbers that the task bought, sorted.
    """

    template_fields: Sequence[str] = (
        "signalwire_conn_id",
        "count",
        "areacode",
        "starts_with",
        "contains",
        "ends_with",
        "region",
        "city",
    )

    def __init__(
        self,
        *,
        count: int | str,
        max_numbers: int,
        confirm_purchase: bool = False,
        areacode: str | None = None,
        number_type: Literal["local", "toll-free"] | None = None,
        starts_with: str | None = None,
        contains: str | None = None,
        ends_with: str | None = None,
        region: str | None = None,
        city: str | None = None,
        voice_only: bool = True,
        **kwargs: Any,
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
        from airflow_voice_agents.signalwire.actions import purchase
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        space = self.space(hook)
        job = purchase.job(
            space,
            count=self.count,
            max_numbers=self.max_numbers,
            search=self._search(),
            voice_only=self.voice_only,
            confirmed=self.confirm_purchase,
        )
        bought = self.work(context, job.run, hook)
        changed = bought.report.counts()["changed"]
        changes = {phone_numbers_uri(space.label): {"bought": changed}} if changed else {}
        self.conclude(context, bought.report, changes=changes)
        return list(bought.numbers)

    def _search(self) -> dict[str, str | None]:
        names = (
            *("areacode", "number_type", "starts_with", "contains", "ends_with"),
            *("region", "city"),
        )
        return {name: getattr(self, name) for name in names}


class SignalWireReleasePhoneNumbersOperator(SignalWirePlanningOperator):
    """Give numbers back. That cannot be undone: somebody else may have them minutes later.

    SignalWire refuses to let go of a number before 14 days have passed since its purchase, 30 days in a trial
    project; such a number is a failed item, and stays. A number that the project does not have needs no
    release, so a second run writes nothing.

    Vendor operations: list phone numbers, release phone number.

    :param phone_numbers: E.164 numbers: a list, an upstream task's output, or a text with one per line or
        separated by commas. (templated)
    :param expected: the very same numbers, in any order, from whoever decided; a run in which the two differ
        is refused before any request. (templated)
    :param dry_run: plan only; nothing is released, and no confirmation is needed.
    :param expected_digest: digest that the plan must have (``plan_digest`` of a dry run); a retry goes on
        with the same plan. ``None`` takes any plan. (templated)
    :param confirm_live: must be true for a run that releases: callers are on these numbers.
    :param allow_backfill: a backfill run may release.
    :param concurrency: most numbers in flight.
    :param signalwire_conn_id: id of a connection of type ``signalwire``. (templated)
    :raises InputError: for wrong arguments, before any request.
    :raises GuardRefused: when a guard refuses, before any request.
    :raises ItemsFailed: when a number was not released; XCom ``report`` tells which.
    :returns: ``operation``, ``dry_run``, ``changed``, ``counts`` and ``plan_digest``.
    """

    template_fields: Sequence[str] = (
        *SignalWirePlanningOperator.template_fields,
        "phone_numbers",
        "expected",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"phone_numbers": "json", "expected": "json"}

    def __init__(
        self, *, phone_numbers: Sequence[str] | str, expected: Sequence[str] | str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.phone_numbers = phone_numbers
        self.expected = expected

    def execute(self, context: Context) -> dict[str, Any]:
        """List, plan, guard, release and report."""
        from airflow_voice_agents.signalwire.actions import release
        from airflow_voice_agents.signalwire.assets import phone_numbers_uri

        hook = self.hook()
        space = self.space(hook)
        job = release.job(space, self.phone_numbers, self.expected, manner=self.manner())
        report = self.work(context, job.run, hook)
        return self.conclude(context, report, changes=self.changes(report, phone_numbers_uri(space.label)))
