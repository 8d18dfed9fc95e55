"""Quantities are watched: each reading is told at once, sums once a second, and what is no longer known as such."""

from __future__ import annotations

from typing import Any

import pytest

from eman_netconf.energy.effects import Effect
from eman_netconf.energy.taps import Observed, Selector
from eman_netconf.energy.values import EntityInfo, LinkState, Now, Quantity
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data
from tests.energy.bench import Bench, inlet

Q = Quantity


class Watcher:
    """Follows everything and notes what it is told, in thousandths."""

    def __init__(self, *selectors: Selector) -> None:
        self._selectors = selectors
        self.told: list[tuple[str, int | None]] = []
        self.known: dict[str, Observed] = {}
        self.gone: list[str] = []
        self.renames: list[tuple[str, str]] = []

    def bind(self, observed: Observed, now: Now, out: list[Effect]) -> None:
        name = observed.record_key
        self.known[name] = observed
        observed.tapped["watcher"] = tuple((selector, _Note(name, self.told)) for selector in self._selectors)

    def leave(self, record_key: str, now: Now, out: list[Effect]) -> None:
        self.gone.append(record_key)

    def renamed(self, before: str, after: str, now: Now, out: list[Effect]) -> None:
        self.renames.append((before, after))


class _Note:
    def __init__(self, name: str, told: list[tuple[str, int | None]]) -> None:
        self._name, self._told = name, told

    def observe(self, value: int | None, method: str, wall: float, mono: float, out: list[Effect]) -> None:
        self._told.append((self._name, None if value is None else value // 1000))


def watched(schema: Schema, *selectors: Selector) -> tuple[Bench, Watcher]:
    bench = Bench(schema)
    watcher = Watcher(*selectors)
    bench.domain.follow(watcher)
    return bench.boot(), watcher


def test_a_reading_is_told_at_once_and_once(schema: Schema) -> None:
    """Each value of the watched quantity arrives with its reading, others and duplicates do not, nor again later."""
    bench, watcher = watched(schema, Selector(Q.ACTIVE_POWER), Selector(Q.VOLTAGE, 2))
    bench.discover("a", EntityInfo())
    watcher.told.clear()
    bench.tell("a", Q.ACTIVE_POWER, 5)
    bench.tell("a", Q.ACTIVE_POWER, 6)
    bench.wait(1)
    bench.tell("a", Q.VOLTAGE, 230, phase=2)
    bench.tell("a", Q.VOLTAGE, 231, phase=1)
    bench.tell("a", Q.FREQUENCY, 50)
    bench.wait(5)
    assert watcher.told == [("a", 5000), ("a", 230000)]


def test_a_sum_is_told_once_a_second(schema: Schema) -> None:
    """However often its parts changed, and only then."""
    bench, watcher = watched(schema, Selector(Q.ACTIVE_POWER))
    bench.commit({"id": "a"}, {"id": "b"}, groups={"group": [{"name": "g", "member": ["a", "b"]}]})
    bench.discover("gw", EntityInfo("a", "a"), EntityInfo("b", "b"))
    bench.wait(3)
    watcher.told.clear()
    for watts in (10, 20, 30):
        bench.tell("gw", Q.ACTIVE_POWER, watts, "a")
        bench.tell("gw", Q.ACTIVE_POWER, watts + 1, "b")
        bench.wait(0.2)
    bench.wait(10)
    assert [value for name, value in watcher.told if name == "groups:g"] == [61000]


def test_energy_is_told_as_the_total(schema: Schema) -> None:
    """Of a counter its total so far, of a sum the same."""
    bench, watcher = watched(schema, Selector(Q.ENERGY_RECEIVED))
    bench.commit({"id": "a"}, groups={"group": [{"name": "g", "member": ["a"]}]})
    bench.discover("gw", EntityInfo("a", "a"))
    for count in (100, 107):
        bench.tell("gw", Q.ENERGY_RECEIVED, count, "a")
        bench.wait(10)
    assert [item for item in watcher.told if item[1] is not None][-2:] == [("a", 7000), ("groups:g", 7000)]


def test_what_is_not_known_any_more_is_told(schema: Schema) -> None:
    """An entity that cannot be reached has no power, of itself and of its interfaces."""
    bench, watcher = watched(schema, Selector(Q.ACTIVE_POWER), Selector(Q.VOLTAGE, 0, "in"))
    bench.discover("a", EntityInfo(interfaces=(inlet("in"),)))
    bench.tell("a", Q.ACTIVE_POWER, 5)
    bench.tell("a", Q.VOLTAGE, 230, interface="in")
    bench.wait(2)
    watcher.told.clear()
    bench.link("a", LinkState.BACKING_OFF, error="gone")
    bench.wait(2)
    assert watcher.told == [("a", None), ("a", None)]


@pytest.mark.parametrize("part", ["interface", "battery"])
def test_a_part_that_is_not_there_tells_nothing(schema: Schema, part: str) -> None:
    """A tap on a part that the entity does not have waits until it has one."""
    bench, watcher = watched(schema, Selector(Q.ACTIVE_POWER, 0, **{part: "x"}))
    bench.discover("a", EntityInfo())
    bench.tell("a", Q.ACTIVE_POWER, 5)
    bench.wait(2)
    assert watcher.told == []
    if part == "interface":
        bench.discover("a", EntityInfo(interfaces=(inlet("x"),)))
        bench.tell("a", Q.ACTIVE_POWER, 7, interface="x")
        assert watcher.told[-1] == ("a", 7000)


def test_followers_hear_of_names(schema: Schema) -> None:
    """A discovered entity that gets another id is renamed, not gone; one that is forgotten is gone."""
    bench, watcher = watched(schema)
    bench.discover("a", EntityInfo("x", "x"), EntityInfo("y", "y"))
    bench.discover("a", EntityInfo("x", "z"), EntityInfo("y", "y"))
    assert watcher.renames == [("x", "z")]
    assert watcher.gone == []
    bench.discover("a", EntityInfo("x", "z"))
    assert watcher.gone == ["y"]


def test_what_a_follower_lays_is_served(schema: Schema) -> None:
    """An extra stands in the entry, and is asked again when it stirs."""
    bench, watcher = watched(schema)
    bench.discover("a", EntityInfo())
    observed: Any = watcher.known["a"]
    role = observed.node_of_list.child("role")

    class Role:
        text = "one"

        def lay(self, children: dict[SchemaNode, Data]) -> None:
            children[role] = self.text

    extra = observed.extras["watcher"] = Role()
    observed.stir()
    assert bench.at("a", "role") == "one"
    extra.text = "two"
    assert bench.at("a", "role") == "one"
    observed.stir()
    assert bench.at("a", "role") == "two"
