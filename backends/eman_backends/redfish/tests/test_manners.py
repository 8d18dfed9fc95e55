"""How a service is asked, and what of its answers is believed: bounds, other hosts, members sent together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from eman_backends.redfish import library as library_module
from eman_backends.redfish.documents import MOST_PARTS, links, number, parsed, path_of, text
from eman_backends.redfish.library import MOST_MEMBERS, gathered, levels
from eman_netconf.backend import Point, Quantity, Supply, Unavailable
from tests.well_formed import check_inventory, check_pass

from . import mockups
from .bmc import Bmc, serving
from .conftest import Make
from .mockups import V1, collection, ref, resource, sensed

EXPANDS = {"ExpandQuery": {"NoLinks": True, "Levels": True, "MaxLevels": 6}}
OUTLETS = f"{V1}/PowerEquipment/RackPDUs/1/Outlets"
SYSTEM = f"{V1}/Systems/437XR"


def expanding(tree: mockups.Tree) -> mockups.Tree:
    tree[V1]["ProtocolFeaturesSupported"] = EXPANDS
    return tree


async def test_members_come_together_where_the_service_can(make: Make) -> None:
    """With $expand the outlets of a PDU are one request instead of one each, and tell the same."""
    async with serving(Bmc(mockups.rack_pdu(24))) as bmc:
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        singly = await backend.read()
        assert len(bmc.requests) - before == 3 + 24
    async with serving(Bmc(expanding(mockups.rack_pdu(24)))) as bmc:
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        together = await backend.read()
        assert [path for _, path in bmc.requests[before:]] == [
            f"{OUTLETS}?$expand=.($levels=1)",
            f"{V1}/PowerEquipment/RackPDUs/1/Metrics",
            f"{V1}/PowerEquipment/RackPDUs/1/Mains/AC1",
            f"{V1}/PowerEquipment/RackPDUs/1/Branches/A",
        ]
    assert _values(singly) == _values(together)


async def test_what_hangs_on_members_comes_along(make: Make) -> None:
    """Power supplies are sent with their metrics: two levels in one request."""
    async with serving(Bmc(expanding(mockups.new_server()))) as bmc:
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        result = await backend.read()
        asked = [path for _, path in bmc.requests[before:]]
        supplies = f"{V1}/Chassis/1U/PowerSubsystem/PowerSupplies?$expand=.($levels=2)"
        assert asked.count(supplies) == 1
        assert len(asked) == 4
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        assert _values(result) == _values(await backend.read())


@pytest.mark.parametrize("how", ["setting", "links only", "refused"])
async def test_members_are_asked_singly_where_expanding_does_not_work(how: str, make: Make) -> None:
    """By setting, or where the service promises more than it does, everything is read all the same."""
    async with serving(Bmc(expanding(mockups.rack_pdu(4)))) as bmc:
        if how == "links only":
            bmc.expands = False
        if how == "refused":
            bmc.answers["GET", OUTLETS] = [web.Response(status=400)]
        backend = make(bmc, expand=how != "setting")
        inventory = await backend.open()
        result = await backend.read()
        check_pass(inventory, result)
        assert len([it for it in inventory.entities[0].interfaces if it.name.startswith("outlet-")]) == 4
        assert (Point("", "outlet-A4"), "supply-state", "on") in _values(result)


def _values(result: Any) -> set[tuple[Point, str, Any]]:
    return {(it.point, it.quantity.value, it.value) for it in result.readings if it.phase is None}


async def test_pages_of_a_collection_are_followed(make: Make) -> None:
    """A collection that comes in pages has the members of all, up to a bound, and a circle of pages ends."""
    tree = mockups.rack_pdu(6)
    members = tree[OUTLETS]["Members"]
    tree[OUTLETS]["Members"], tree[f"{OUTLETS}/Page"] = members[:3], collection(OUTLETS, "Outlet", [])
    tree[OUTLETS]["Members@odata.nextLink"] = f"{OUTLETS}/Page?$skip=3"
    tree[f"{OUTLETS}/Page"] |= {"Members": members[3:], "Members@odata.nextLink": f"{OUTLETS}/Page"}
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc)
        inventory = await backend.open()
        assert len(inventory.entities[0].interfaces) == 1 + 6
        assert f"{OUTLETS}/Page?$skip=3" in bmc.gets()


async def test_a_service_without_end_is_cut_off(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a collection with more members than anybody has, the first are taken; the whole survey is bounded as well."""
    monkeypatch.setattr(library_module, "MOST_RESOURCES", 100)
    tree = mockups.rack_pdu(1)
    tree[OUTLETS]["Members"] = [ref(f"{OUTLETS}/A1"), *(ref(f"{OUTLETS}/Z{number}") for number in range(10_000))]
    async with serving(Bmc(tree)) as bmc:
        inventory = await make(bmc).open()
        check_inventory(inventory)
        assert len(bmc.requests) <= 110
    assert len(links({"Members": tree[OUTLETS]["Members"]}, "Members", most=MOST_MEMBERS)) == MOST_MEMBERS


async def test_nothing_is_asked_of_other_hosts(make: Make) -> None:
    """Links and redirections that lead elsewhere are not followed, and credentials do not go there."""
    async with serving(Bmc(mockups.new_server())) as elsewhere, serving(Bmc(mockups.new_server())) as bmc:
        other = f"http://127.0.0.1:{elsewhere.port}"
        bmc.tree[f"{V1}/Chassis"]["Members"] += [ref(f"{other}{V1}/Chassis/1U"), ref("//example.net/redfish/v1/x")]
        bmc.tree[f"{V1}/Chassis"]["Members"] += [ref("/redfish/../admin"), ref("/secret"), {"@odata.id": 7}]
        backend = make(bmc)
        await backend.open()
        assert all(path.startswith("/redfish/v1") for _, path in bmc.requests)
        for target in (f"{other}{SYSTEM}", "//example.net/redfish/v1", "/admin", "ftp://x", "http://["):
            bmc.answers["GET", SYSTEM] = [web.Response(status=307, headers={"Location": target})]
            assert "elsewhere" in (await backend.read()).missing[Point()]
        assert elsewhere.requests == []


async def test_a_redirection_on_the_same_service_is_followed(make: Make) -> None:
    """A resource that moved is read where it is; one that moves in a circle is given up."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.tree[f"{V1}/Systems/new"] = bmc.tree.pop(SYSTEM)
        for _ in range(2):
            moved = web.Response(status=307, headers={"Location": f"{V1}/Systems/new/"})
            bmc.answers["GET", SYSTEM] = [moved]
            assert (Point(), "power-state", "redfish-on") in _values(await backend.read())
        bmc.answers["GET", SYSTEM] = [web.Response(status=307, headers={"Location": SYSTEM}) for _ in range(9)]
        assert "elsewhere" in (await backend.read()).missing[Point()]


async def test_a_service_that_wants_slashes_gets_them(make: Make) -> None:
    """Where every path without a last slash is redirected, that is learnt once for each, for orders and logins too."""
    async with serving(Bmc(mockups.rack_pdu())) as bmc:
        bmc.slashes = True
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        assert (Point("", "outlet-A1"), "supply-state", "on") in _values(await backend.read())
        assert len(bmc.requests) - before == 6
        await backend.switch_supply(Point("", "outlet-A1"), Supply.OFF)
        assert len(bmc.orders) == 1
        assert (Point("", "outlet-A1"), "supply-state", "off") in _values(await backend.read())
        await backend.close()
        assert bmc.sessions == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" * 100_000,
        b'{"PowerWatts": {"Reading": ' + b"9" * 4_000 + b"}}",
        b'{"PowerWatts": "' + b"x" * (1 << 20) + b'"}',
        b"{",
        b"[1]",
        b"\xff",
    ],
    ids=["deep", "lists", "long number", "long", "cut", "no object", "no text"],
)
async def test_an_answer_that_is_none_costs_its_own_values_only(body: bytes, make: Make) -> None:
    """Too deep, too long or no JSON: the resource is missing with a reason, and the others are read."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        inventory = await backend.open()
        bmc.answers["GET", f"{V1}/Chassis/1U/EnvironmentMetrics"] = [web.Response(body=body)]
        result = await backend.read()
        check_pass(inventory, result)
        assert Point() in result.missing
        assert (Point(), "power-state", "redfish-on") in _values(result)
        assert (await backend.read()).missing == {}


async def test_a_host_that_is_no_redfish_service_says_so(make: Make) -> None:
    """A web server that answers everything with a page is no device."""
    async with serving(Bmc({V1: {"hello": "world"}})) as bmc:
        with pytest.raises(Unavailable, match="does not answer like a Redfish service"):
            await make(bmc).open()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just({"@odata.id": V1}),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=30,
    )
)
def test_any_json_is_looked_at_without_harm(value: Any) -> None:
    """Whatever is where a number, a text or a link should be: it is one, or None."""
    document = parsed(json.dumps({"it": value}).encode())
    found = number(document, "it")
    assert found is None or found.is_finite()
    words = text(document, "it")
    assert words is None or (words == words.strip() and len(words) <= 255 and "\n" not in words)
    assert all(path.startswith("/redfish") for path in links(document, "it"))
    assert all(path.startswith("/redfish") for path in gathered(document))
    assert levels({"ProtocolFeaturesSupported": document["it"]}) in {0, 1, 2}


@pytest.mark.parametrize("part", [b"{},", b"[],", b"1.5,", b'"",', b"[" * 8])
def test_a_document_of_too_many_parts_is_none(part: bytes) -> None:
    """What is short and takes long to read is not read."""
    with pytest.raises(ValueError, match="too many parts"):
        parsed(b'{"it":[' + part * MOST_PARTS + b"null]}")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("/redfish/v1/Chassis/1/", "/redfish/v1/Chassis/1"),
        ("/redfish/v1/Chassis/1/Power#/PowerControl/0", "/redfish/v1/Chassis/1/Power"),
        ("/redfish/v1/Systems/1(a)", "/redfish/v1/Systems/1(a)"),
        ("/redfish/v1/Systems/a b", None),
        ("/redfish/v1/Systems\r\nHost: x", None),
        ("/redfish/v1/../../etc", None),
        ("/redfish/v1/%2e%2e/etc", None),
        ("/redfishy/v1", None),
        ("https://example.net/redfish/v1", None),
        ("//example.net/redfish/v1", None),
        ("/redfish/v1/" + "x" * 1024, None),
        (None, None),
    ],
)
def test_a_link_is_a_path_on_the_same_service_or_none(link: Any, path: str | None) -> None:
    """Only paths below /redfish are links; fragments and last slashes do not count."""
    assert path_of(link) == path


async def test_a_collection_of_three_hundred_sensors_is_read_for_one(make: Make) -> None:
    """Where a Sensor alone tells power, the pass asks for that one and not for its three hundred neighbours."""
    tree = mockups.new_server()
    chassis = f"{V1}/Chassis/1U"
    del tree[chassis]["EnvironmentMetrics"]
    names = [f"{chassis}/Sensors/T{number}" for number in range(300)]
    for name in names:
        tree[name] = resource(name, "Sensor.v1_10_0", ReadingType="Temperature", **sensed(31.5))
    tree[f"{chassis}/Sensors/TotalPower"]["PhysicalContext"] = "Chassis"
    tree[f"{chassis}/Sensors"]["Members"] += [ref(name) for name in names]
    async with serving(Bmc(expanding(tree))) as bmc:
        backend = make(bmc)
        await backend.open()
        before = len(bmc.requests)
        result = await backend.read()
        assert (Point(), Quantity.ACTIVE_POWER.value, 374) in _values(result)
        assert f"{chassis}/Sensors/TotalPower" in [path for _, path in bmc.requests[before:]]
        assert len(bmc.requests) - before == 4
