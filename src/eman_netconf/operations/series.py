"""What clients ask about the past: samples, energy between two instants, and the correction of energy.

Whoever may not read a quantity now may not read its past either: each question is judged by the rules for the leaf
that shows the present value. The total of a domain or group is judged by its own leaf, as it is when it is read,
whatever the rules for its members are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Protocol

from eman_netconf.energy.canonical import decimal64, in_thousandths, instant, thousandths
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Effect
from eman_netconf.energy.places import place
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.quantities import SelectorNodes, selector
from eman_netconf.energy.samples import Channel, Energy, Sample, trusted, worst
from eman_netconf.energy.taps import Selector
from eman_netconf.energy.values import Now, Quantity
from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError
from eman_netconf.messages.rpc import Output, SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.operations.sample_xml import printed
from eman_netconf.operations.samples_port import Samples
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.stamps import stamp
from eman_netconf.yang.tree import Data, Inner, Path, Step, inner_at, make_inner, path_text

#: Seconds; what is corrected at once is looked at sample by sample.
LONGEST_CORRECTION: Final = 31 * 86_400.0

#: Of one meter, those of what goes into it among them; as many are gone through when it is asked for its energy.
MOST_CORRECTIONS: Final = 1000

_MODULE: Final = "eman-series"
_PAGE: Final = 10_000  # samples
_ATTEMPTS: Final = 5
_ROUNDED: Final = 0.001  # seconds to which instants are told
_FLOWS: Final = {"received": Quantity.ENERGY_RECEIVED, "provided": Quantity.ENERGY_PROVIDED}
_QUALITY: Final = ("method", "accuracy", "accuracy-class", "reporter", "missing")
_percent = decimal64(2)


class Recording(Protocol):
    """The energy core, and what carries out what it asks for."""

    @property
    def domain(self) -> Domain: ...

    def now(self) -> Now: ...

    def perform(self, effects: Iterable[Effect]) -> None: ...


def actions(recording: Recording, samples: Samples) -> Mapping[tuple[str, str], ActionHandler]:
    """The handlers by module and action, for ``Server.actions``."""
    handlers = _Handlers(recording, samples)
    return {
        (_MODULE, "query"): handlers.query,
        (_MODULE, "query-history"): handlers.query_history,
        (_MODULE, "energy-between"): handlers.energy_between,
        (_MODULE, "corrections"): handlers.corrections,
        (_MODULE, "correct-energy"): handlers.correct_energy,
    }


class _Handlers:
    def __init__(self, recording: Recording, samples: Samples) -> None:
        self._recording = recording
        self._samples = samples
        self._in_correction: set[tuple[str, str]] = set()  # owner and part

    # --- samples

    async def query(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Output:
        """Values of a configured series."""
        entry = inner_at(server.datastores.running, path)
        if entry is None:
            raise RpcError(ErrorTag.DATA_MISSING, "The series was taken out meanwhile.", path=path_text(path))
        selected = selector(entry, SelectorNodes(entry.schema))
        name = path[-1].key[0] if path[-1].key else ""
        return await self._query(server, session, path, given, selected, name)

    async def query_history(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Output:
        """Values that are kept without a series."""
        selected = selector(given, SelectorNodes(given.schema))
        return await self._query(server, session, path, given, selected, "")

    async def _query(
        self, server: Server, session: SessionInfo, path: Path, given: Inner, selected: Selector | None, series: str
    ) -> Output:
        output = _output(given)
        if selected is None:  # only its vendor knows the quantity, so nobody has any of it
            return Output(b"")
        owner = path[:3]
        server.judge.read(session, place(owner, selected))
        start, end = _instant(given, "start-time"), _instant(given, "end-time")
        start = 0.0 if start is None else start
        end = self._recording.now().wall if end is None else end
        if end < start:
            raise _reversed(path, given)
        channel = _channel(owner, selected, series)
        resolution = float(given.leaf("resolution") or 0) or None
        found, more_from = await self._samples.samples(channel, start, end, resolution, int(_said(given, "limit")))
        if not found and not series:
            await self._explain(channel, path)
        return printed(output, selected.quantity, found, more_from)

    async def _explain(self, channel: Channel, path: Path) -> None:
        """Raises RpcError where an answer is empty since there is nothing at all."""
        something, _ = await self._samples.samples(channel, 0.0, self._recording.now().wall, None, 1)
        if something:
            return
        raise RpcError(
            ErrorTag.DATA_MISSING,
            self._nowhere(channel.owner, channel.part)
            or f"Nothing is kept of {channel.quantity} here yet. Energy and real power are kept wherever they are "
            "known, other quantities once they are named in the history's leaf-list quantity.",
            path=path_text(path),
        )

    # --- energy

    async def energy_between(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        """What flowed between two instants, up to the last reading."""
        start, end = self._stretch(path, given)
        flows = _readable(server, session, path[:3], given)
        owner, part = _meter(path, given)
        found = await self._energy(owner, part, start, end)
        if found is None or found.start > start + _ROUNDED:
            raise await self._not_kept(owner, part, found, path)
        values: dict[str, Any] = {
            flow: None if amount is None else thousandths(amount)
            for flow, amount in (("received", found.received), ("provided", found.provided))
            if flow in flows
        }
        return make_inner(
            _output(given),
            values
            | _quality(server, session, path[:3], given)
            | {
                "start-time": stamp(found.start),
                "end-time": stamp(found.end),
                "coverage": _percent(found.coverage),
                "mark": trusted(found.mark, found.coverage, energy=True),
            },
        )

    async def _energy(self, owner: str, part: str, start: float, end: float) -> Energy | None:
        """From the store what is over, and from the core the rest."""
        recorder = self._recording.domain.recorder
        for _ in range(_ATTEMPTS):
            closed, rest = recorder.closed(owner, part), recorder.open(owner, part, start, end)
            until = end if closed is None else min(end, closed)
            kept = await self._samples.energy(owner, part, start, until) if until > start else None
            if closed == recorder.closed(owner, part) and rest == recorder.open(owner, part, start, end):
                break  # nothing went from the core to the store meanwhile
        found = _joined(kept, rest)
        if found is None:
            return None
        # shares of ticks and of corrections are rounded each by itself, and many may come to less than nothing
        return replace(found, received=_least(found.received), provided=_least(found.provided))

    async def _not_kept(self, owner: str, part: str, found: Energy | None, path: Path) -> RpcError:
        found = found or await self._energy(owner, part, 0.0, self._recording.now().wall)
        if found is None:
            text = self._nowhere(owner, part) or "The energy of that time is not kept. There is none of it yet."
        else:
            text = f"The energy of that time is not kept. It is kept from {stamp(found.start)} on."
        return RpcError(ErrorTag.DATA_MISSING, text, path=path_text(path))

    def _nowhere(self, owner: str, part: str) -> str | None:
        """What is said of an interface that its entity does not have."""
        entity = self._recording.domain.site.entities.get(owner)
        kind, _, name = part.partition(":")
        if entity is None or kind != "interface" or name in entity.interfaces:
            return None
        return f"{owner} has no power interface {name}."

    # --- corrections

    async def corrections(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        """The corrections that were made of a stretch."""
        start, end = self._stretch(path, given)
        flows = _readable(server, session, path[:3], given)
        owner, part = _meter(path, given)
        made = await self._samples.corrections(owner, part, start, end)
        return make_inner(
            _output(given),
            {
                "correction": [
                    {
                        "number": number,
                        "start-time": stamp(each.start),
                        "end-time": stamp(each.end),
                        **{flow: thousandths(getattr(each, flow)) for flow in flows},
                        "time": stamp(each.at),
                        "by": each.by,
                        "reason": each.reason,
                    }
                    for number, each in enumerate(made, 1)
                ]
            },
        )

    async def correct_energy(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        """State what the energy of a stretch was; the totals and what is kept move by the difference."""
        start, end = self._stretch(path, given)
        wanted = {flow: _milliwatt_hours(given.leaf(flow)) for flow in _FLOWS}
        if end - start > LONGEST_CORRECTION:
            raise _bad(path, given, "end-time", f"At most {LONGEST_CORRECTION / 86_400:g} days are corrected at once.")
        if not any(amount is not None for amount in wanted.values()):
            raise RpcError(
                ErrorTag.MISSING_ELEMENT,
                "Say what was received, provided or both.",
                path=path_text((*path, Step(_action(given)))),
                info=(ErrorInfo("bad-element", "received"),),
            )
        for quantity in _FLOWS.values():
            server.judge.read(session, place(path[:3], Selector(quantity, interface=_interface(given))))
        meter = _meter(path, given)
        if meter in self._in_correction:
            raise _elsewhere()
        self._in_correction.add(meter)
        try:
            return await self._correct(session, path, given, meter, wanted, start, end)
        finally:
            self._in_correction.discard(meter)

    async def _correct(
        self,
        session: SessionInfo,
        path: Path,
        given: Inner,
        meter: tuple[str, str],
        wanted: Mapping[str, int | None],
        start: float,
        end: float,
    ) -> Inner:
        kept = await self._energy(*meter, start, end)
        if kept is None or kept.start > start + _ROUNDED:
            raise await self._not_kept(*meter, kept, path)
        closed = self._recording.domain.recorder.closed(*meter)
        if end > (kept.end if closed is None else closed) + _ROUNDED:
            raise RpcError(
                ErrorTag.DATA_MISSING,
                f"Energy can be corrected up to {stamp(closed or kept.end)}; what is newer can be in a minute or so.",
                path=path_text(path),
            )
        before = {"received": kept.received, "provided": kept.provided}
        after = {flow: amount if wanted[flow] is None else wanted[flow] for flow, amount in before.items()}
        received, provided = ((after[flow] or 0) - (before[flow] or 0) for flow in ("received", "provided"))
        if received or provided:
            await self._check_count(*meter, path)
            for (flow, quantity), difference in zip(_FLOWS.items(), (received, provided), strict=True):
                low = await self._too_low(Channel(*meter, quantity), difference, start, end) if difference < 0 else None
                if low is not None:
                    raise _bad(path, given, flow, _too_little(low, difference))
            if await self._energy(*meter, start, end) != kept:
                raise _elsewhere()
            reason = given.leaf("reason") or ""
            recording, domain = self._recording, self._recording.domain
            try:
                effects = domain.correct(*meter, received, provided, start, end, session.user, reason, recording.now())
            except Refusal as refusal:
                raise RpcError(refusal.tag, refusal.reason, path=path_text(path)) from None
            recording.perform(effects)
        return make_inner(
            _output(given),
            {
                "start-time": stamp(start),
                "end-time": stamp(end),
                "changed": bool(received or provided),
                "before": {flow: _watt_hours(amount) for flow, amount in before.items()},
                "after": {flow: _watt_hours(amount) for flow, amount in after.items()},
            },
        )

    async def _check_count(self, owner: str, part: str, path: Path) -> None:
        """All corrections of a meter are looked at whenever its energy is."""
        made = await self._samples.corrections(owner, part, 0.0, self._recording.now().wall)
        if len(made) >= MOST_CORRECTIONS:
            raise RpcError(
                ErrorTag.RESOURCE_DENIED,
                f"{len(made)} corrections were made of this and what is in it; more are not taken.",
                path=path_text(path),
            )

    async def _too_low(self, channel: Channel, difference: int, start: float, end: float) -> Sample | None:
        """An interval that would be left with less than nothing when energy is taken off evenly."""
        at: float | None = start
        while at is not None:
            found, at = await self._samples.samples(channel, at, end, None, _PAGE)
            for sample in found:
                share = (min(sample.end, end) - max(sample.start, start)) / (end - start)
                if (sample.value or 0) + difference * share < -1:
                    return sample
        return None

    def _stretch(self, path: Path, given: Inner) -> tuple[float, float]:
        """The instants a question is about. Raises RpcError invalid-value."""
        now = self._recording.now().wall
        start, end = _instant(given, "start-time"), _instant(given, "end-time")
        assert start is not None, "mandatory"
        if start > now + _ROUNDED or (end or 0.0) > now + _ROUNDED:
            late = "start-time" if start > now + _ROUNDED else "end-time"
            raise _bad(path, given, late, f"{late} is in the future; here it is {stamp(now)}.")
        end = now if end is None else end
        if end <= start:
            raise _reversed(path, given)
        return start, end


# --- energies --------------------------------------------------------------------------------------------------------


def _joined(kept: Energy | None, rest: Energy | None) -> Energy | None:
    """What is kept, and what flowed after it or, known late, within it."""
    if kept is None or rest is None:
        return kept or rest
    start, end = min(kept.start, rest.start), max(kept.end, rest.end)
    covered = kept.coverage * (kept.end - kept.start) + rest.coverage * (rest.end - rest.start)
    return Energy(
        _sum(kept.received, rest.received),
        _sum(kept.provided, rest.provided),
        start,
        end,
        min(covered / (end - start), 100.0) if end > start else kept.coverage,
        worst(kept.mark, rest.mark),
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else first + second


def _least(amount: int | None) -> int | None:
    return None if amount is None else max(amount, 0)


def _milliwatt_hours(text: str | None) -> int | None:
    return None if text is None else in_thousandths(Decimal(text))


def _watt_hours(amount: int | None) -> str | None:
    return None if amount is None else thousandths(amount)


def _quality(server: Server, session: SessionInfo, owner: Path, given: Inner) -> dict[str, Data]:
    """How the energy comes about: what stands beside the present totals, as far as the user may read it."""
    selected = Selector(Quantity.ENERGY_RECEIVED, interface=_interface(given))
    shown = inner_at(server.judge.readable(session, server.datastores.operational()), place(owner, selected)[:-1])
    found = {name: shown.at(name) for name in _QUALITY} if shown is not None else {}
    return {name: value for name, value in found.items() if value is not None}


# --- whose -----------------------------------------------------------------------------------------------------------


def _meter(path: Path, given: Inner) -> tuple[str, str]:
    """Owner and part whose energy is meant."""
    interface = _interface(given)
    return _owner(path), f"interface:{interface}" if interface else ""


def _interface(given: Inner) -> str:
    """The interface that is asked about; "" = the owner itself, as of domains and groups always."""
    return (given.leaf("interface") if "interface" in given.schema.by_name else None) or ""


def _channel(owner: Path, selected: Selector, series: str) -> Channel:
    return Channel(_owner(owner), selected.part, selected.quantity, selected.phase, series)


def _owner(path: Path) -> str:
    """The record key of the entity, domain or group that a path leads through."""
    _, container, entry = path[:3]
    assert entry.key is not None
    return entry.key[0] if container.schema.name == "entities" else f"{container.schema.name}:{entry.key[0]}"


def _readable(server: Server, session: SessionInfo, owner: Path, given: Inner) -> list[str]:
    """The directions of energy that the user may read, at least one. Raises RpcError access-denied."""
    places = {flow: place(owner, Selector(quantity, interface=_interface(given))) for flow, quantity in _FLOWS.items()}
    readable = server.judge.read(session, *places.values())
    return [flow for flow, where in places.items() if where in readable]


# --- input and output ------------------------------------------------------------------------------------------------


def _instant(given: Inner, name: str) -> float | None:
    """A date-and-time in seconds since the epoch."""
    text = given.leaf(name)
    return None if text is None else instant(text)


def _said(given: Inner, name: str) -> str:
    """The value of a parameter that has a default."""
    value = given.leaf(name)
    return value if value is not None else given.schema.child(name).default or ""


def _output(given: Inner) -> Any:
    """The node of the output that belongs to an input."""
    return _action(given).child("output")


def _action(given: Inner) -> SchemaNode:
    """The node of the action that an input belongs to."""
    action = given.schema.parent
    assert action is not None
    return action


def _reversed(path: Path, given: Inner) -> RpcError:
    return _bad(path, given, "end-time", "end-time has to be after start-time.")


def _bad(path: Path, given: Inner, name: str, message: str) -> RpcError:
    """A parameter of the action at ``path`` cannot be so."""
    where = path_text((*path, Step(_action(given)), Step(given.schema.child(name))))
    return RpcError(ErrorTag.INVALID_VALUE, message, path=where, info=(ErrorInfo("bad-element", name),))


def _elsewhere() -> RpcError:
    return RpcError(ErrorTag.IN_USE, "Another correction of this is being made; look at it, then try again.")


def _too_little(sample: Sample, difference: int) -> str:
    return (
        f"Taken off evenly, {thousandths(-difference)} Wh would leave less than nothing from {stamp(sample.start)} to "
        f"{stamp(sample.end)}; state the energy of a shorter stretch, where it was counted too high."
    )
