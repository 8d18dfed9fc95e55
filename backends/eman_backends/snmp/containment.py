"""What contains what in ENTITY-MIB (RFC 6933), and which of it are entities here: pure functions over its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from .words import LONGEST_NAME, name

DEEPEST = 16  # levels of containment


class Kind(IntEnum):
    """IANAPhysicalClass."""

    OTHER = 1
    UNKNOWN = 2
    CHASSIS = 3
    BACKPLANE = 4
    CONTAINER = 5
    POWER_SUPPLY = 6
    FAN = 7
    SENSOR = 8
    MODULE = 9
    PORT = 10
    STACK = 11
    CPU = 12
    ENERGY_OBJECT = 13
    BATTERY = 14
    STORAGE = 15


#: What is in one of these is in what has it.
THROUGH = {
    Kind.OTHER,
    Kind.UNKNOWN,
    Kind.BACKPLANE,
    Kind.CONTAINER,
    Kind.SENSOR,
}
ALWAYS = {Kind.CHASSIS, Kind.STACK, Kind.POWER_SUPPLY, Kind.BATTERY}  # are entities, whatever is known of them
FRAMES = {Kind.CHASSIS, Kind.STACK}


@dataclass(frozen=True, slots=True)
class Part:
    """Something physical that is an entity. ``local`` is "" for what is the device as a whole."""

    index: int
    kind: Kind
    local: str
    inside: str | None  # local name of the entity it is a part of; None for the device


def ancestors(index: int, parents: Mapping[int, int]) -> Iterator[int]:
    """What contains ``index``, the nearest first; loops and depths that cannot be end it."""
    seen = {index}
    for _ in range(DEEPEST):
        index = parents.get(index, 0)
        if index <= 0 or index in seen:
            return
        seen.add(index)
        yield index


def owner(index: int, kinds: Mapping[int, Kind], parents: Mapping[int, int]) -> int | None:
    """What a sensor at ``index`` measures: the nearest thing around it that is more than a place."""
    return next((one for one in (index, *ancestors(index, parents)) if kinds.get(one, Kind.PORT) not in THROUGH), None)


def root(kinds: Mapping[int, Kind], parents: Mapping[int, int]) -> int | None:
    """What is the device as a whole: the stack, or the only chassis that is in nothing."""
    tops = [
        index
        for index, kind in sorted(kinds.items())
        if kind in FRAMES and not any(kinds.get(one) in FRAMES for one in ancestors(index, parents))
    ]
    stacks = [index for index in tops if kinds[index] is Kind.STACK]
    return stacks[0] if stacks else tops[0] if len(tops) == 1 else None


def arrange(
    kinds: Mapping[int, Kind],
    parents: Mapping[int, int],
    chosen: Iterable[int],
    said: Mapping[int, str],
    positions: Mapping[int, int],
) -> dict[int, Part]:
    """The chosen ones by index, each in the nearest one around it, named after what they are called (``said``).

    Where several are called the same, the name of what is around them goes before, or their position there behind.
    """
    whole = root(kinds, parents)
    chosen = sorted(set(chosen), key=lambda one: (sum(1 for _ in ancestors(one, parents)), one))
    wanted = frozenset(chosen)
    called = {index: _called(kinds[index], said.get(index, ""), index) for index in chosen}
    alike = Counter(called.values())
    parts: dict[int, Part] = {}
    taken = {""}
    for index in chosen:  # the outer ones first
        around = next((one for one in ancestors(index, parents) if one in wanted and one != whole), None)
        inside = parts[around].local if around is not None and around in parts else ""
        plain, place = called[index], positions.get(index, -1)
        tries = [plain] if alike[plain] == 1 else []
        tries += [f"{inside}.{plain}"] if inside and alike[plain] > 1 else []
        tries += [f"{plain}-{place}"] if place >= 0 else []
        fitting = [one for one in tries if len(one) <= LONGEST_NAME and one not in taken]
        local = "" if index == whole else [*fitting, f"{plain[:50]}-{index}"][0]
        taken.add(local)
        parts[index] = Part(index, kinds[index], local, None if index == whole else inside)
    return parts


def _called(kind: Kind, said: str, index: int) -> str:
    """A name for an entity that stays when its index does not."""
    what = kind.name.lower().replace("_", "-")
    own = name(said)
    return (own if re.search("[A-Za-z]", own) else f"{what}-{own}") if own else f"{what}-{index}"
