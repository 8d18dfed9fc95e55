"""What costs the same in a site of a hundred entities and in one of ten thousand: work done is counted, not time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest

from bench import site
from eman_netconf import safexml
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.energy.conditions import Sort, Subject
from eman_netconf.energy.domain import Domain
from eman_netconf.energy.entities import Entity
from eman_netconf.energy.values import LinkState, Now, Point, Quantity, Reading
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode
from tests.work import calls

_WALL = 1_795_000_000.0
_SMALL, _LARGE = 100, 10_000


class _Entities(dict[str, Entity]):
    """Counts who walks over all of them."""

    walked = 0

    def __iter__(self) -> Iterator[str]:
        self.walked += 1
        return super().__iter__()

    def values(self) -> Any:
        self.walked += 1
        return super().values()

    def items(self) -> Any:
        self.walked += 1
        return super().items()


class _Site:
    """A generated site in operation: read once, and all that is new about it asked for."""

    def __init__(self, schema: Schema, entities: int) -> None:
        self.schema = schema
        self.count = entities
        self.running = apply_edit(Inner(schema.root), safexml.parse(site.configuration(entities)), schema).root
        self.domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_DNS, name)))
        self.entities = self.domain.site.entities = _Entities()
        self.seconds = 0.0
        self.domain.configure(None, self.running, self.now)
        for box in range(site.boxes(entities)):
            name, members = site.box_id(box), site.members(box, entities)
            self.domain.link(name, LinkState.OPENING, self.now)
            self.domain.inventory(name, site.inventory(members), self.now)
            self.domain.link(name, LinkState.UP, self.now)
            self.domain.ingest(name, list(site.readings(members, 1, self.now.wall)), self.now)
        self.one = site.entity_id(entities // 2)
        self.box = site.box_id(entities // 2 // site.BOX)
        for act in (self.second, self.edit, self.second):
            act()

    @property
    def now(self) -> Now:
        return Now(_WALL + self.seconds, self.seconds)

    def reading(self) -> None:
        """One value of one entity."""
        self.seconds += 1
        reading = Reading(Point(self.one), Quantity.ACTIVE_POWER, Decimal(200 + self.seconds % 50), self.now.wall)
        self.domain.ingest(self.box, [reading], self.now)

    def second(self) -> None:
        """What the server does each second after a reading: timers, alarms, and records to be stored."""
        self.reading()
        while (due := self.domain.next_timer()) is not None and due <= self.now.mono:
            self.domain.timer(self.now)
        self.judge()
        while self.domain.dirty(500):
            pass

    def judge(self) -> None:
        """What alarms ask after every turn."""
        stirred, conditions = self.domain.stirred(), self.domain.conditions
        self.domain.turned()
        for id_ in stirred | conditions.dependent(stirred):
            conditions.holding(Subject(Sort.ENTITY, id_))

    def edit(self) -> None:
        """One leaf of one entity, as far as the energy core and the trees are concerned."""
        self.seconds += 1
        described = f"<entity><id>{self.one}</id><description>at {self.seconds}</description></entity>"
        config = safexml.parse(site.config(f"<entities>{described}</entities>").encode())
        edited = apply_edit(self.running, config, self.schema)
        change = diff(self.running, edited.root, edited.touched)
        self.domain.prepare(change, edited.root)
        self.domain.configure(change, edited.root, self.now)
        self.running = edited.root
        self.judge()

    def keyed_read(self) -> None:
        """The bytes of one entity, found by its key after a reading."""
        self.reading()
        nodes = self.domain.site.nodes
        shown = self.domain.operational(self.running, self.now).get(nodes.entities)
        assert isinstance(shown, Inner)
        listed = shown.get(nodes.entity)
        assert isinstance(listed, ListNode)
        assert self.one.encode() in listed.entries[self.one,].xml()


@pytest.fixture(scope="module")
def sites(schema: Schema) -> tuple[_Site, _Site]:
    """A small one and a large one."""
    return _Site(schema, _SMALL), _Site(schema, _LARGE)


@pytest.mark.parametrize(
    "act",
    [_Site.reading, _Site.second, _Site.edit, _Site.keyed_read],
    ids=lambda act: act.__name__,
)
def test_the_work_does_not_grow_with_the_site(sites: tuple[_Site, _Site], act: Callable[[_Site], None]) -> None:
    """A reading, a second of the server, an edit of one leaf and a keyed read take as many steps in either site."""
    small, large = (_steps(each, act) for each in sites)
    assert large <= small + 40  # a long list is changed in layers


def _steps(site: _Site, act: Callable[[_Site], None]) -> int:
    """The fewest of three, since the clock brings other work with it now and then."""
    return min(calls(lambda: act(site)) for _ in range(3))


@pytest.mark.parametrize(
    "act",
    [_Site.reading, _Site.second, _Site.edit, _Site.keyed_read],
    ids=lambda act: act.__name__,
)
def test_nobody_walks_over_all_entities(sites: tuple[_Site, _Site], act: Callable[[_Site], None]) -> None:
    """What concerns one entity looks at no list of all of them."""
    _small, large = sites
    before = large.entities.walked
    act(large)
    assert large.entities.walked == before
