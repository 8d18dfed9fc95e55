"""Corrections: somebody knows better what flowed, and the totals of a meter and of all it goes into move by that.

A correction is a difference, never a new total, so that a part and its sums stay equal and a correction of yesterday
does not undo what was counted since. Every total that moves has a new discontinuity-time, since the difference of two
readings on both sides of it has no meaning; what is kept over time gets the difference at its place.

The statistics of the power states have to add up to the total, and nobody knows any more which state was in force for
how long in a stretch of the past: each state takes a share of the correction in proportion to the energy it has.
"""

from __future__ import annotations

from collections.abc import Iterator

from eman_netconf.energy.canonical import thousandths
from eman_netconf.energy.effects import Audit, Changed, Effect, Record
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.groups import Groups, Total
from eman_netconf.energy.interfaces import Interface
from eman_netconf.energy.measurements import Meter
from eman_netconf.energy.plans import Refusal
from eman_netconf.energy.quantities import MOST
from eman_netconf.energy.samples import Mark, Stretch
from eman_netconf.energy.site import Site
from eman_netconf.energy.values import Now
from eman_netconf.errors import ErrorTag
from eman_netconf.yang.stamps import stamp

_INTERFACE = "interface:"
_MOST = round(MOST * 1000)  # milliwatt-hours


def correct(
    site: Site,
    groups: Groups,
    owner: str,
    part: str,
    received: int,
    provided: int,
    start: float,
    end: float,
    by: str,
    reason: str,
    now: Now,
) -> list[Effect]:
    """Move the totals of a meter, and of each sum it goes into, by milliwatt-hours that may be negative.

    ``owner`` and ``part`` name the meter as a Channel does; from ``start`` to ``end`` (wall-clock seconds) is where
    the difference lies. Sums that began only after ``end`` never had that energy and stay as they are. Raises Refusal,
    before anything has moved: there is no such meter, it counts no such energy, or a total would fall below 0 or rise
    beyond what it can hold.
    """
    groups.arrange()
    meter = _find(site, groups, owner, part)
    if meter is None:
        what = f"{owner} {part}" if part else owner
        raise Refusal(f"There is no meter {what} whose energy could be corrected.", (), ErrorTag.DATA_MISSING)
    moved = [(one, turned) for one, turned in _reached(meter) if one is meter or (one.energy.start or now.wall) < end]
    for one, turned in moved:
        _judge(one, *((provided, received) if turned else (received, provided)), owner)
    out: list[Effect] = []
    told = f"received {_signed(received)} Wh, provided {_signed(provided)} Wh from {stamp(start)} to {stamp(end)}"
    out.append(Audit(now.wall, by, owner, f"energy of {_name(meter)} corrected: {told}; {reason or 'no reason given'}"))
    for one, turned in moved:
        inward, outward = (provided, received) if turned else (received, provided)
        one.correct(inward, outward, now.wall)
        record_key, place = _whose(one)
        out.append(
            Record(Stretch(record_key, place, start, end, inward, outward, Mark.ESTIMATED, now.wall, by, reason))
        )
        if isinstance(one.owner, Entity):
            out.append(Changed(one.owner.id, "energy"))
        elif isinstance(one.owner, Interface):
            out.append(Changed(one.owner.end.entity, "power-interface"))
    return out


def _find(site: Site, groups: Groups, owner: str, part: str) -> Meter | None:
    entity = site.entities.get(owner)
    if entity is None:
        total = next((total for total in groups.totals if total.record_key == owner), None)
        return total.meter if total is not None and not part else None
    if not part:
        return entity.meter
    interface = entity.interfaces.get(part.removeprefix(_INTERFACE)) if part.startswith(_INTERFACE) else None
    return interface.meter if interface is not None else None


def _reached(meter: Meter) -> Iterator[tuple[Meter, bool]]:
    """The meter and every sum that it goes into, each once, and whether they see it turned."""
    reached = {meter}
    waiting = [(meter, False)]
    while waiting:
        here, turned = waiting.pop()
        yield here, turned
        for dependent, other_way in here.dependents:
            if not dependent.metered and dependent not in reached:
                reached.add(dependent)
                waiting.append((dependent, turned is not other_way))


def _judge(meter: Meter, received: int, provided: int, owner: str) -> None:
    for what, total, difference in (
        ("received", meter.energy.received, received),
        ("provided", meter.energy.provided, provided),
    ):
        if not difference:
            continue
        if total is None:
            sentence = f"{_name(meter)} counts no {what} energy, so that there is none to correct."
        elif total + difference < 0:
            sentence = (
                f"The energy that {_name(meter)} {what} is {thousandths(total)} Wh in all; "
                f"{thousandths(-difference)} Wh cannot be taken off."
            )
        elif total + difference > _MOST:
            sentence = f"{thousandths(difference)} Wh more is more than the total of {_name(meter)} can hold."
        else:
            continue
        raise Refusal(sentence, (owner,), ErrorTag.INVALID_VALUE)


def _whose(meter: Meter) -> tuple[str, str]:
    """By which owner and part the energy of a meter is kept."""
    owner = meter.owner
    if isinstance(owner, Interface):
        return owner.end.entity, f"{_INTERFACE}{owner.name}"
    assert isinstance(owner, Entity | Total)
    return owner.record_key, ""


def _name(meter: Meter) -> str:
    """A meter in words."""
    owner = meter.owner
    if isinstance(owner, Interface):
        return f"{owner.end.entity} power-interface {owner.name}"
    assert isinstance(owner, Entity | Total)
    if isinstance(owner, Entity):
        return owner.id
    kind, _, name = owner.record_key.partition(":")
    return f"{kind.removesuffix('s')} {name}"


def _signed(milliwatt_hours: int) -> str:
    return f"{'+' if milliwatt_hours > 0 else ''}{thousandths(milliwatt_hours)}"
