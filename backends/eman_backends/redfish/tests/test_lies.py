"""Services that tell nonsense in the right places: what comes of it is well formed, and ends."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from eman_netconf.backend import Unavailable
from tests.well_formed import check_inventory, check_pass

from . import mockups
from .bmc import Bmc, serving
from .conftest import Make
from .mockups import V1, Tree

NONSENSE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, -1e308, 10**40, 1e-320, "", "0", "On", "NaN", "x" * 5000, "a\nb\x00c"),
    *([], {}, [[[[]]]], [None, 7, {}], {"Reading": {"Reading": []}}, {"@odata.id": 7}, {"@odata.id": f"{V1}/Chassis"}),
    *({"@odata.id": V1}, [{"@odata.id": f"{V1}/Systems"}] * 50, {"Reading": 1e300}, {"target": "//x/redfish"}),
)


def spoiled(tree: Tree, chance: random.Random, count: int) -> Tree:
    """The tree with nonsense at so many places, the root's version and links excepted."""
    places = [place for path, document in tree.items() for place in _places(document) if path != V1]
    for inside, name in chance.sample(places, min(count, len(places))):
        inside[name] = copy.deepcopy(chance.choice(NONSENSE))
    return tree


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in steps:
        found += [(value, name), *_places(item)]
    return found


@pytest.mark.parametrize("expanding", [False, True], ids=["singly", "together"])
@pytest.mark.parametrize("tree", [mockups.new_server, mockups.old_server, mockups.rack_pdu])
async def test_nonsense_becomes_nothing_or_something_well_formed(
    tree: Callable[[], Tree], expanding: bool, make: Make
) -> None:
    """A service is spoiled before it is opened and while it is read: names are legal, values of their kind."""
    opened = readings = 0
    for seed in range(25):
        chance = random.Random(seed)
        found = spoiled(tree(), chance, chance.choice((1, 3, 10, 40)))
        if expanding:
            found[V1]["ProtocolFeaturesSupported"] = {"ExpandQuery": {"NoLinks": True, "Levels": True, "MaxLevels": 9}}
        async with serving(Bmc(found)) as bmc, asyncio.timeout(120):
            backend = make(bmc)
            try:
                inventory = await backend.open()
            except Unavailable:
                continue
            check_inventory(inventory)
            opened += 1
            for _ in range(3):
                try:
                    result = await backend.read()
                except Unavailable:
                    break
                check_pass(inventory, result)
                readings += len(result.readings)
                spoiled(bmc.tree, chance, 10)
            await backend.close()
            assert bmc.sessions == {}
    assert opened > 10
    assert readings > 100
