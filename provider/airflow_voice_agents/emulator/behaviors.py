"""Every behaviour that the vendors leave open, as a named switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints


class SwitchError(ValueError):
    """An unknown switch, or a value that the switch does not take."""


def _switch(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(slots=True)
class Behaviors:
    """How the server behaves where the vendors' documents are silent or contradict each other.

    Assigning a value checks it, so that a mistyped switch fails at once.

    :raises SwitchError: for an unknown name or a value of the wrong kind.
    """

    variables_validation: Literal["merged", "patch", "patch_required"] = _switch(
        "merged",
        "PATCH variables checks the merged page, the patch alone without 'required', or the bare patch",
    )
    schema_checks_data: bool = _switch(False, "PUT schema refuses a schema that the stored values break")
    null_variable: Literal["store", "delete"] = _switch("store", "what PATCH makes of a null value")
    unset_page: Literal["null", "not_found"] = _switch("null", "how GET answers for a page never written")
    publish_invalid_page: Literal["refuse", "allow"] = _switch(
        "refuse", "publishing while a stored page breaks its own schema"
    )
    response_nulls: Literal["emit", "omit"] = _switch(
        "emit", "absent things appear as null (as the platform does) or not at all (as its document says)"
    )
    response_ids: Literal["slug", "prefixed"] = _switch(
        "slug", "form of account and project ids in replies; requests take both"
    )
    node_errors: Literal["fields", "envelope"] = _switch(
        "fields", "error body of agents, branches, variants, promote and rollback"
    )
    import_existing: Literal["conflict", "partial"] = _switch(
        "conflict", "importing a known number: 409 for all, or left out of 'imported'"
    )
    import_invalid: Literal["reject", "skip"] = _switch(
        "reject", "one malformed number in a batch: 400 for all, or left out of 'imported'"
    )
    import_connector: Literal["default", "none"] = _switch(
        "default", "imported numbers get the environment's first connector, or none"
    )
    reassign_environment: Literal["follow", "keep", "refuse"] = _switch(
        "follow", "a number given a connector of another environment: moves there, stays, or 400"
    )
    move_numbers: Literal["follow", "stay"] = _switch(
        "follow", "numbers of a connector that moves to another project"
    )
    move_variant: Literal["clear", "keep"] = _switch(
        "clear", "variant of a connector that moves to another project"
    )
    sandbox_to_live: Literal["allow", "precondition"] = _switch(
        "allow", "promoting sandbox straight to live: done, or 412"
    )
    publish_again: Literal["conflict", "already"] = _switch(
        "conflict", "publishing with nothing new: 409, or 200 with an error envelope"
    )
    simplified: list[str] = field(
        default_factory=list,
        metadata={"meaning": "slugs of projects on the branches model: merges go straight to live"},
    )
    branch_divergence: Literal["absent", "shown"] = _switch(
        "absent", "whether branches tell that main was changed since they were made (isDiverged)"
    )
    diverged_merge: Literal["merge", "refuse"] = _switch(
        "merge", "merging a branch that has diverged: merged where nothing conflicts, or 409"
    )
    staging_environment: Literal["sandbox", "pre-release"] = _switch(
        "sandbox", "environment that a branch is deployed to when Staging gets it"
    )
    staging_tag: Literal["shown", "absent"] = _switch(
        "shown", "whether branches and deployments tell that Staging holds them (tag)"
    )
    ab_test: list[str] = field(
        default_factory=list,
        metadata={
            "meaning": "slugs of projects with a running A/B test: promotions, merges and rollbacks of live are refused"
        },
    )
    duplicate_configs: bool = _switch(False, "duplicating an agent copies its config pages")
    call_outcome: Literal["SUCCESS", "FAILURE"] = _switch("SUCCESS", "how outbound calls end")
    tested: list[str] = field(
        default_factory=list,
        metadata={"meaning": "slugs of projects without test suites whose deployments start a test run too"},
    )
    test_run_outcome: Literal[
        "passed",
        "failed",
        "error",
        "errored",
        "timed_out",
        "completed",
        "completed_failed",
        "cancelled",
        "never",
    ] = _switch(
        "passed",
        "how test runs end; completed leaves it to the counts, cancelled is undocumented, never: under way",
    )
    test_trigger: Literal["both", "select", "flat"] = _switch(
        "both",
        "forms in which tests to run are taken: the current select, the deprecated list of ids, or both",
    )
    test_run_reads: float = _switch(2.0, "reads that show a test run as under way before it ends")
    test_run_errors: float = _switch(0.0, "reads of each test run that are answered 500 before others")
    sip_existing: Literal["conflict", "replace"] = _switch(
        "conflict", "creating an extension that the SIP trunk has: 409, or it is rebound"
    )
    sip_omitted_variant: Literal["default", "keep"] = _switch(
        "default", "variant of an extension's update without one: the agent's default, or as it was"
    )
    sip_agent_ids: Literal["platform", "as_sent"] = _switch(
        "platform", "ids of agents in extensions: in the form of other replies, or as the request wrote them"
    )
    sip_unknown_agent: Literal["refuse", "take"] = _switch(
        "refuse", "binding an extension to an agent that does not exist: 400, or taken"
    )
    sip_hostname: Literal["shown", "absent"] = _switch(
        "shown", "whether SIP trunks show their host name for inbound calls"
    )
    conversation_deployments: Literal["shown", "absent"] = _switch(
        "shown", "whether conversations tell the deployment that they were held with"
    )
    concurrency_lag: float = _switch(0.0, "seconds for which concurrency does not tell the latest intervals")
    wall_clock: bool = _switch(
        False,
        "time stamps are this machine's time, instead of one second per change from the seed's clock on",
    )
    latency: float = _switch(0.0, "seconds before each request is handled")
    latency_p99: float = _switch(
        0.0, "99th percentile of log-normal waits whose median is latency, in seconds; 0: all are alike"
    )
    latency_seed: float = _switch(0.0, "start of the random draw of such waits")
    rate_limit: float = _switch(
        0.0, "requests per second and key that PolyAI's gateway takes before 429; 0 sets no limit"
    )
    retry_after: Literal["seconds", "date", "none"] = _switch(
        "seconds", "form of Retry-After on that gateway's 429"
    )
    record_bodies: bool = _switch(False, "the journal keeps request bodies")

    signalwire_update: Literal["merge", "replace"] = _switch(
        "merge", "PUT phone number leaves absent fields as they are, or clears them"
    )
    signalwire_companion: Literal["request", "merged", "off"] = _switch(
        "request",
        "a handler's companion field: in the same request, in request or record, or not asked for (else 422)",
    )
    signalwire_old_companion: Literal["keep", "clear"] = _switch(
        "keep", "companion fields of the former handler when the handler changes"
    )
    signalwire_fabric_handlers: Literal["refuse", "sdk"] = _switch(
        "refuse",
        "call handlers ai_agent and call_flow in requests: 422, or taken as the vendor's SDK sends them",
    )
    signalwire_null: Literal["refuse", "clear"] = _switch(
        "refuse", "null for a field in PUT phone number: 422, or the field is cleared"
    )
    signalwire_purchase: Literal[
        "ok", "could_not_purchase", "insufficient_balance", "account_limit_exceeded"
    ] = _switch("ok", "what becomes of purchases: done, or 422 with this code")
    signalwire_e911: Literal["active", "failed", "pending"] = _switch(
        "active", "how E911 registrations end; pending: never"
    )
    signalwire_e911_reads: float = _switch(
        2.0, "reads that show an E911 registration or removal as under way before it ends"
    )
    signalwire_e911_status: Literal["shown", "absent"] = _switch(
        "shown", "whether phone numbers have the field e911_status, which is young"
    )
    signalwire_missing_scope: Literal["403", "401"] = _switch(
        "403", "status for a token without the scope Numbers"
    )
    signalwire_codes: Literal["symbolic", "status"] = _switch(
        "symbolic", "code of the items in 422 bodies: a word, or the status"
    )
    signalwire_page_errors: Literal["422", "400"] = _switch(
        "422", "a missing or wrong page_token: 422 with a code, or 400 without"
    )
    signalwire_links: Literal["relative", "absolute", "foreign"] = _switch(
        "relative", "links between pages: path only, this server's address, or another host's"
    )
    signalwire_paging: Literal["exact", "gap", "repeat"] = _switch(
        "exact", "pages one after the other, an empty one in second place, or a last one that links to itself"
    )
    signalwire_empty_search: Literal["empty", "absent"] = _switch(
        "empty", "data of a search that finds nothing: an empty list, or no such key"
    )
    signalwire_rate_limit: float = _switch(
        13_800.0, "writes per project and window before 429; 0 sets no limit"
    )
    signalwire_rate_window: float = _switch(10.0, "seconds of such a window")
    signalwire_retry_after: Literal["none", "seconds", "date"] = _switch(
        "none", "form of Retry-After on SignalWire's 429"
    )

    omnia_update_verb: Literal["PATCH", "PUT", "both"] = _switch(
        "PATCH", "verb that updates a number; the other is answered 405"
    )
    omnia_assign: Literal["create", "imported"] = _switch(
        "create", "POST of an unknown number: creates it, or 404 until it was imported in the dashboard"
    )
    omnia_duplicate: Literal["conflict", "bad_request", "upsert"] = _switch(
        "conflict", "POST of a number that the workspace has: 409, 400, or it is assigned"
    )
    omnia_unassign: Literal["null", "refuse"] = _switch(
        "null", "agentId null in an update: the number is unassigned, or 400"
    )
    omnia_statuses: Literal["activity", "assignment"] = _switch(
        "activity", "statuses of numbers: ACTIVE and INACTIVE, or assigned and unassigned"
    )
    omnia_pagination: Literal["total_pages", "has_more", "absent", "bare"] = _switch(
        "total_pages", "lists tell totalPages, hasMore, nothing, or are bare lists"
    )
    omnia_page_limit: float = _switch(100.0, "most records per page; a larger limit is lowered to it")
    omnia_agent_filter: bool = _switch(False, "the list takes the filter agentId")
    omnia_agent_object: Literal["full", "absent"] = _switch(
        "full", "whether numbers hold their agent, prompt included"
    )
    omnia_write_body: Literal["number", "empty"] = _switch(
        "number", "body of the answers to POST and updates"
    )
    omnia_delete_status: Literal["200", "204"] = _switch("200", "status of a deletion, which has no body")
    omnia_errors: Literal["object", "text"] = _switch(
        "object", "error is an object with message and code, or a text beside details"
    )
    omnia_rate_limit: float = _switch(1000.0, "requests per key and window before 429; 0 sets no limit")
    omnia_rate_window: float = _switch(3600.0, "seconds of such a window")

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _checked(name, value))

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several switches, or none of them when one is wrong.

        :raises SwitchError: as assigning does.
        """
        checked = {name: _checked(name, value) for name, value in values.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """All switches by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read ``name=value`` as given on a command line.

    :raises SwitchError: without an equals sign, or as assigning the switch does.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise SwitchError(f"switch {text!r} must be written name=value")
    return name.strip(), _from_text(name.strip(), value.strip())


def describe() -> list[str]:
    """One line per switch: name, values and meaning, the default first."""
    return [f"{each.name}={_values(each)}: {each.metadata['meaning']}" for each in fields(Behaviors)]


def _values(switch: Field[Any]) -> str:
    return f"{switch.default:g}" if _kind(switch.name) is float else _choices(switch.name)


def _choices(name: str) -> str:
    kind = _kind(name)
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {bool: "false|true", float: "0", list: "agent,agent"}[get_origin(kind) or kind]


def _checked(name: str, value: Any) -> Any:
    kind = _kind(name)
    if get_origin(kind) is Literal:
        accepted = value in get_args(kind)
    elif kind is bool:
        accepted = isinstance(value, bool)
    elif kind is float:
        accepted = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6
    else:
        accepted = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if not accepted:
        raise SwitchError(f"switch {name} takes {_choices(name)}, not {value!r}")
    return list(value) if isinstance(value, tuple) else value


def _from_text(name: str, text: str) -> Any:
    kind = _kind(name)
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is float:
        try:
            return _checked(name, float(text))
        except ValueError:
            raise SwitchError(f"switch {name} takes a number from 0, not {text!r}") from None
    if get_origin(kind) is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return _checked(name, text)


def _kind(name: str) -> Any:
    if not _KINDS:
        _KINDS.update(get_type_hints(Behaviors))
    if name not in _KINDS:
        raise SwitchError(f"unknown switch {name!r}; known are {', '.join(sorted(_KINDS))}")
    return cast("Any", _KINDS[name])


_KINDS: dict[str, Any] = {}
