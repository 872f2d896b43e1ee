"""Match connectors of two projects by name, and map variants by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import asdict, replace

from airflow_voice_agents.plans.canonical import digest
from airflow_voice_agents.plans.kind import Resource
from airflow_voice_agents.plans.plan import Finding, PlannedItem, change, error, no_change, warning
from airflow_voice_agents.plans.selection import Unmatched, reached_names
from airflow_voice_agents.polyai.resources.connector import SETTINGS, ConnectorKind, ConnectorState, connector
from airflow_voice_agents.transport.errors import InputError
from airflow_voice_agents.transport.suggestions import did_you_mean, hints

NAMES_SHOWN = 10
VARIANT = "variant_id"
EVERY = ("*",)
"""Names of connectors that take all."""


class NamedSettings(msgspec.Struct, frozen=True):
    """A connector's settings without anything that belongs to one project only.

    :param name: the connector's name.
    :param variant: name of the assigned variant, or ``None``.
    :param asr_lang_code: speech recognition language.
    :param voice_name: text-to-speech voice.
    """

    name: str
    variant: str | None = None
    asr_lang_code: str | None = None
    voice_name: str | None = None


def named(states: Iterable[ConnectorState], variants: Mapping[str, str]) -> list[NamedSettings]:
    """Return connectors by name, sorted; a variant without a name is identified by its id in angle brackets.

    :param states: connectors of one project.
    :param variants: variant id -> name, of that project's main branch.
    """
    settings = [
        NamedSettings(
            name=state.name or "",
            variant=None
            if state.variant_id is None
            else variants.get(state.variant_id, f"<{state.variant_id}>"),
            asr_lang_code=state.asr_lang_code,
            voice_name=state.voice_name,
        )
        for state in states
    ]
    return sorted(settings, key=lambda each: each.name)


class ConnectorRules(msgspec.Struct, frozen=True):
    """What connectors take from those of another project, and what is called differently there.

    :param names: shell patterns of the source's connector names that are taken from.
    :param settings: which settings are taken.
    :param renamed: source connector name -> target connector name, where they differ.
    :param variants: source variant name -> target variant name, or ``None`` for none, where they differ.
    :param unmatched: what to do about names that reach no connector or variant of the source.
    :raises InputError: for a setting that there is not.
    """

    names: tuple[str, ...] = EVERY
    settings: tuple[str, ...] = SETTINGS
    renamed: Mapping[str, str] = msgspec.field(default_factory=dict)
    variants: Mapping[str, str | None] = msgspec.field(default_factory=dict)
    unmatched: Unmatched = Unmatched.FAIL

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.settings) - set(SETTINGS)):
            raise InputError(
                f"settings must be of {', '.join(SETTINGS)}, not {', '.join(unknown)}{hints(unknown, SETTINGS)}"
            )

    def chosen(self, wanted: Sequence[NamedSettings]) -> list[NamedSettings]:
        """Return the source connectors that are taken from.

        :param wanted: all of the source.
        """
        reached = reached_names(self.names, {each.name for each in wanted})
        names = {name for mine in reached.values() for name in mine}
        return [each for each in wanted if each.name in names]

    def unreached(self, wanted: Sequence[NamedSettings]) -> Iterator[Finding]:
        """Name what reaches no connector or variant of the source.

        A renaming that reaches nothing would let a connector be matched by its old name, so it is an error in
        every environment, and so are names that reach nothing at all.

        :param wanted: all connectors of the source.
        """
        if self.unmatched is Unmatched.IGNORE:
            return
        names = {each.name for each in wanted}
        reached = reached_names(self.names, names)
        is_chosen = self.names != EVERY
        none_left = is_chosen and not any(reached.values())
        say = error if self.unmatched is Unmatched.FAIL or none_left else warning
        for pattern in (each for each, found in reached.items() if not found):
            yield say("connectors.names", _reaches_nothing(f"connectors.names: {pattern!r}", pattern, names))
        taken = {name for found in reached.values() for name in found}
        for name in (each for each in self.renamed if each not in taken):
            yield error("connectors.renamed", _reaches_nothing(f"connectors.renamed: {name!r}", name, taken))
        variants = {each.variant for each in wanted if each.variant is not None}
        for name in (each for each in self.variants if each not in variants and VARIANT in self.settings):
            near = did_you_mean(name, variants)
            mapping = f"connectors.variants: {name!r}"
            hint = error if near and self.unmatched is Unmatched.FAIL else warning
            yield hint("connectors.variants", _reaches_nothing(mapping, name, variants, what="variant"))

    def target_of(self, name: str) -> str:
        """Return what a source connector is called in the target."""
        return self.renamed.get(name, name)

    def variant_of(self, name: str) -> str | None:
        """Return what a source variant is called in the target, or ``None`` for none."""
        return self.variants.get(name, name)


class PendingMoves(msgspec.Struct, frozen=True):
    """The connectors that moves of the same run bring to the target.

    :param variants: connector under the target, arrived or not -> name of the target's variant that it gets,
        or ``None`` for none.
    :param arriving: those that are not there yet -> what they are where they are now.
    """

    variants: Mapping[Resource, str | None] = msgspec.field(default_factory=dict)
    arriving: Mapping[Resource, ConnectorState] = msgspec.field(default_factory=dict)


def plan_connectors(
    kind: ConnectorKind,
    agent_id: str,
    wanted: Sequence[NamedSettings],
    *,
    present: Mapping[Resource, ConnectorState],
    variants: Mapping[str, str],
    rules: ConnectorRules,
    moving: PendingMoves | None = None,
) -> tuple[PlannedItem, ...]:
    """Plan that connectors have the settings of their namesakes in another project.

    What cannot be matched becomes an item with an error under the source's name. Connectors that only the
    target has are left alone. A connector that a move of the same run brings gets the variant that its move
    names, whatever its namesake has, and no source digest: so it is planned the same before and after it
    has arrived.

    :param kind: the kind of the connectors.
    :param agent_id: the target.
    :param wanted: the source's connectors, of one environment.
    :param present: the target's connectors, of one environment.
    :param variants: name -> id of the variants of the target's main branch.
    :param rules: what is taken, and what is called differently.
    :param moving: the connectors that moves of the same run bring.
    """
    desk = _ConnectorMatcher(kind, agent_id, present, variants, rules, moving or PendingMoves())
    items = list(desk.items(rules.chosen(wanted)))
    if findings := tuple(rules.unreached(wanted)):
        if not items:
            items.append(no_change(kind, connector(agent_id, "*"), None))
        items[0] = replace(items[0], findings=(*findings, *items[0].findings))
    return tuple(items)


def plan_arrival(
    kind: ConnectorKind,
    resource: Resource,
    seen: ConnectorState,
    after: ConnectorState,
    *findings: Finding,
) -> PlannedItem:
    """Plan the settings of a connector that a move brings first; restoring one after a move back is the same.

    It is planned as absent. Its waypoints are what the platform may make of it by the move: all as it was,
    or without its variant. Whoever carries it out has to read it again before writing.

    :param kind: the kind of the connector.
    :param resource: the connector under the agent that it comes to.
    :param seen: what it is where it is now.
    :param after: the desired state.
    :param findings: what there is to say about it.
    """
    item = change(kind, resource, None, after, findings=findings, identifiers=True)
    ways = (kind.digest(seen), kind.digest(replace(seen, variant_id=None)))
    return replace(item, waypoints=tuple(dict.fromkeys(ways)))


class _ConnectorMatcher(msgspec.Struct, dict=True):
    kind: ConnectorKind
    agent_id: str
    present: Mapping[Resource, ConnectorState]
    variants: Mapping[str, str]
    rules: ConnectorRules
    moving: PendingMoves

    def __post_init__(self) -> None:
        self._states = {**self.moving.arriving, **self.present}
        self._called: dict[str, list[Resource]] = {}
        for resource, state in self._states.items():
            self._called.setdefault(state.name or "", []).append(resource)

    def items(self, wanted: Sequence[NamedSettings]) -> Iterator[PlannedItem]:
        by_name = {each.name: each for each in wanted}
        times = Counter(each.name for each in wanted)
        meant = Counter(self.rules.target_of(name) for name in by_name)
        matched: set[Resource] = set()
        for name, each in by_name.items():
            candidates = self._called.get(self.rules.target_of(name), [])
            finding = self._mismatch(each, times[name], meant, candidates)
            if finding is not None:
                yield self._refused(each, finding)
            else:
                matched.add(candidates[0])
                yield self._item(candidates[0], each)
        for resource in self.moving.variants:
            if resource not in matched and resource in self._states:
                yield self._item(resource, None)

    def _mismatch(
        self, each: NamedSettings, times: int, meant: Mapping[str, int], candidates: Sequence[Resource]
    ) -> Finding | None:
        target = self.rules.target_of(each.name)
        if times > 1:
            return _ambiguous(f"The source has {times} connectors named {each.name!r}. Rename one there")
        if meant[target] > 1:
            return _ambiguous(f"Several source connectors are for {target!r} of the target. Correct renamed")
        if len(candidates) > 1:
            return _ambiguous(
                f"{self.agent_id} has {len(candidates)} connectors named {target!r}: "
                f"{', '.join(each.name for each in candidates)}. Rename one there"
            )
        if not candidates or not each.name:
            return error(
                "unmatched_connector",
                f"{self.agent_id} has no connector named {target!r} in this environment (it has: "
                f"{shown(self._called)}).{did_you_mean(target, self._called)} Write "
                f"connectors.renamed: {{{each.name!r}: <its name in the target>}}, or leave it out with "
                "connectors.names.",
            )
        return None

    def _item(self, resource: Resource, each: NamedSettings | None) -> PlannedItem:
        now, is_moved = self._states[resource], resource in self.moving.variants
        variant = self.moving.variants[resource] if is_moved else self._wanted_variant(each)
        takes_variant = is_moved or VARIANT in self.rules.settings
        if takes_variant and variant is not None and variant not in self.variants:
            named = each or NamedSettings(now.name or resource.name)
            return self._refused(named, self._unmapped(variant, is_moved))
        given = {name: getattr(each, name) for name in self.rules.settings if name != VARIANT} if each else {}
        taken = {name: value for name, value in given.items() if value is not None}
        if takes_variant:
            taken[VARIANT] = None if variant is None else self.variants[variant]
        after, findings = replace(now, **taken), tuple(_unset(given, now))
        if resource not in self.present:
            return plan_arrival(self.kind, resource, now, after, *findings)
        source = _source(each) if each and not is_moved else None
        return change(self.kind, resource, now, after, findings=findings, source=source, identifiers=True)

    def _wanted_variant(self, each: NamedSettings | None) -> str | None:
        return None if each is None or each.variant is None else self.rules.variant_of(each.variant)

    def _unmapped(self, variant: str, is_moved: bool) -> Finding:
        remedy = (
            "Name one of them in the move"
            if is_moved
            else f"Write connectors.variants: {{{variant!r}: <its name in the target, or null for none>}}"
        )
        return error(
            "unmapped_variant",
            f"{self.agent_id} has no variant {variant!r} on its main branch (it has: "
            f"{shown(self.variants)}).{did_you_mean(variant, self.variants)} {remedy}.",
        )

    def _refused(self, each: NamedSettings, finding: Finding) -> PlannedItem:
        return no_change(self.kind, connector(self.agent_id, each.name), None, finding, source=_source(each))


def _reaches_nothing(place: str, name: str, known: Iterable[str], *, what: str = "connector") -> str:
    known = sorted(known)
    return (
        f"{place} reaches no {what} of the source (it has: {shown(known)}).{did_you_mean(name, known)} Correct it, "
        "or write unmatched: ignore if that is meant."
    )


def _source(each: NamedSettings) -> str:
    return digest(asdict(each))


def _ambiguous(what: str) -> Finding:
    return error("ambiguous_connector", f"{what}, or leave it out with connectors.names.")


def _unset(given: Mapping[str, str | None], now: ConnectorState) -> Iterator[Finding]:
    """Tell of settings that the source shows none for: only a variant can be taken away."""
    kept = [name for name, value in given.items() if value is None and getattr(now, name) is not None]
    if kept:
        yield warning("unset_setting", f"The source shows no {', '.join(kept)}; the target keeps its own.")


def shown(names: Iterable[str]) -> str:
    """Return names for a message, not too many, or ``none``.

    :param names: what there is; what has no name is left out.
    """
    known = sorted(filter(None, names))
    more = ", …" if len(known) > NAMES_SHOWN else ""
    return ", ".join(known[:NAMES_SHOWN]) + more or "none"
