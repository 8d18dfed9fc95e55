"""What stands behind an entity is another device than before, acts by itself, or tells nonsense; asked over NETCONF."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from eman_backends.simulated.backend import site_of
from eman_backends.simulated.lies import STRANGER
from eman_backends.simulated.site import Fault, Site
from eman_netconf.messages.rpc import NOTIFICATION_NS
from eman_netconf.yang.schema import Schema
from tests.peer import Peer
from tests.server.running import BACKEND, EMAN, PATIENCE, backends, edited, entity, get, link_until, serving

MEASUREMENT = "urn:eman:yang:eman-measurement"
ENERGY = f'<energy xmlns="{MEASUREMENT}"/>'
ANOMALY = f'<anomaly xmlns="{MEASUREMENT}"/>'
BATTERY = '<battery xmlns="urn:eman:yang:eman-battery"><name>string-1</name>{}</battery>'
Said = dict[str, str]


@asynccontextmanager
async def reading(state: Path, schema: Schema, box: str) -> AsyncIterator[tuple[Peer, Peer, Site]]:
    """A server that reads a box of the demo site often: a session, one that hears of all, and the site itself."""
    async with serving(state, schema) as server, server.peer() as admin, server.peer() as listener:
        protocol = f'<simulated xmlns="{BACKEND}-simulated"><box>{box}</box></simulated>'
        await edited(
            admin, backends(f"<backend><name>{box}</name><poll-interval>0.1</poll-interval>{protocol}</backend>")
        )
        await link_until(admin, box, state="up")
        assert (await listener.rpc(f'<create-subscription xmlns="{NOTIFICATION_NS}"/>')).ok
        yield admin, listener, site_of(state / "backends" / "simulated")


def leaves(element: etree._Element) -> Said:
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in element if not len(leaf)}


async def told(listener: Peer, name: str) -> Said:
    """The leaves of the next notification of that name."""
    while True:
        event = (await listener.notification()).content
        if etree.QName(event).localname == name:
            return leaves(event)


async def shown(peer: Peer, id_: str, inside: str) -> list[Said]:
    """The leaves of the nodes that a filter selects directly below an entity."""
    answer = await get(peer, entity(id_, inside))
    wanted = etree.fromstring(inside).tag
    return [leaves(each) for each in answer.iterfind(f".//{{{EMAN}}}entity/{wanted}")]


async def until(peer: Peer, id_: str, inside: str, true: Callable[[list[Said]], object]) -> list[Said]:
    """Ask until it is so; each question is a round trip, so nothing spins."""
    async with asyncio.timeout(PATIENCE):
        while not true(found := await shown(peer, id_, inside)):
            pass
    return found


async def counted(peer: Peer, id_: str) -> Said:
    """The energy of an entity, once some was counted."""
    (energy,) = await until(peer, id_, ENERGY, lambda all_: any(Decimal(each.get("received", 0)) > 0 for each in all_))
    return energy


@pytest.mark.req("r4.3", "d5.5.2", "r5.5.2")
async def test_another_device_behind_an_entity(tmp_path: Path, schema: Schema) -> None:
    """Its identifiers are told as changed; the energy goes on from where it was, and tells that and why it broke."""
    async with reading(tmp_path / "state", schema, "srv-03") as (admin, listener, site):
        before = await counted(admin, "srv-03")
        assert "discontinuity-time" not in before
        site.swap(site.scenario.entity("srv-03"))
        changes = [await told(listener, "identifier-changed") for _ in range(3)]
        new = {local(each["kind"]): each["new-value"] for each in changes}
        assert new.keys() == {"uuid", "serial-number", "mac-address"}
        assert all(each["entity"] == "srv-03" and each["old-value"] != each["new-value"] for each in changes)
        assert await identifiers(admin) == new
        (after,) = await until(admin, "srv-03", ENERGY, lambda found: "discontinuity-time" in found[0])
        assert Decimal(after["received"]) >= Decimal(before["received"])
        assert before["end-time"] <= after["discontinuity-time"]
        assert after["start-time"] == before["start-time"]
        kinds = {each["kind"] for each in await shown(admin, "srv-03", ANOMALY)}
        assert "meter-replaced" in kinds


def local(identity: str) -> str:
    return identity.rpartition(":")[2]


async def identifiers(peer: Peer) -> Said:
    """The uuid and the foreign identifiers of srv-03 by kind."""
    answer = await get(peer, entity("srv-03", "<uuid/><foreign-id/>"))
    foreign = [leaves(each) for each in answer.iter(f"{{{EMAN}}}foreign-id")]
    return {
        "uuid": answer.findtext(f".//{{{EMAN}}}uuid") or "",
        **{local(each["kind"]): each["value"] for each in foreign},
    }


@pytest.mark.req("r4.3")
async def test_another_network_card(tmp_path: Path, schema: Schema) -> None:
    """A foreign identifier that changes alone is told with its kind and both values, and no energy is in doubt."""
    async with reading(tmp_path / "state", schema, "srv-03") as (admin, listener, site):
        await counted(admin, "srv-03")
        site.swap(site.scenario.entity("srv-03"), "mac-address")
        change = await told(listener, "identifier-changed")
        assert local(change["kind"]) == "mac-address"
        assert change["new-value"] == (await identifiers(admin))["mac-address"] != change["old-value"]
        await link_until(admin, "srv-03", state="up")
        assert "discontinuity-time" not in await counted(admin, "srv-03")


@pytest.mark.req("d5.6.8", "r5.6.9")
async def test_another_battery(tmp_path: Path, schema: Schema) -> None:
    """The old one is told as gone and the new one as come, which has its own identifier, cycles and statistics."""
    async with reading(tmp_path / "state", schema, "ups-1") as (admin, listener, site):
        (before,) = await until(admin, "ups-1", BATTERY.format(""), lambda found: found and "cycle-count" in found[0])
        site.swap(site.scenario.entity("ups-1"), "string-1")
        assert (await told(listener, "battery-disconnected"))["battery"] == "string-1"
        come = await told(listener, "battery-connected")
        assert (come["battery"], come["identifier"] != before["identifier"]) == ("string-1", True)
        (after,) = await until(admin, "ups-1", BATTERY.format(""), lambda found: "cycle-count" in found[0])
        assert (before["cycle-count"], after["cycle-count"]) == ("31", "0")
        assert after["identifier"] == come["identifier"]
        changes = [await told(listener, "identifier-changed") for _ in range(2)]
        assert {each["entity"] for each in changes} == {"ups-1.string-1"}
        new = {local(each["kind"]): each["new-value"] for each in changes}
        assert new["serial-number"] == come["identifier"]


@pytest.mark.req("d5.3.4", "r5.3.4")
async def test_what_cannot_be_is_shown(tmp_path: Path, schema: Schema) -> None:
    """Nonsense is listed with what was told, takes nothing from a counter that does not say so, and is past at last."""
    async with reading(tmp_path / "state", schema, "srv-03") as (admin, _, site):
        last = await counted(admin, "srv-03")
        site.faults["srv-03"] = Fault.LYING
        found = await until(admin, "srv-03", ANOMALY, lambda found: len(found) >= 3)
        for each in found:
            assert each["first-time"] <= each["last-time"]
            assert int(each["count"]) >= 1
            assert each["last-value"]
        for _ in range(20):
            energy = await counted(admin, "srv-03")
            kept = Decimal(energy["received"]) >= Decimal(last["received"])
            assert kept or energy.get("discontinuity-time") != last.get("discontinuity-time")
            last = energy
        del site.faults["srv-03"]
        await until(admin, "srv-03", ANOMALY, lambda found: {each["state"] for each in found} == {"past"})


async def test_what_belongs_to_nobody_is_counted(tmp_path: Path, schema: Schema) -> None:
    """Readings of what is not in the inventory are left out, counted and named at the link."""
    async with reading(tmp_path / "state", schema, "srv-03") as (admin, _, site):
        site.faults["srv-03"] = Fault.CONFUSED
        said = await link_until(admin, "srv-03", **{"unknown-point": f"entity {STRANGER}"})
        assert int(said["unknown-readings"] or 0) >= 1
        assert said["state"] == "up"


@pytest.mark.req("d5.4.text", "r5.4.text")
async def test_somebody_at_the_device(tmp_path: Path, schema: Schema) -> None:
    """Who presses the button of a server changes its state: it is told without a wish, and the standing one remains."""
    power = 'xmlns="urn:eman:yang:eman-power-state" xmlns:s="urn:eman:yang:eman-power-state-set"'
    async with reading(tmp_path / "state", schema, "srv-03") as (admin, listener, site):
        await counted(admin, "srv-03")
        wish = f"<power-state {power}><admin-state>s:dmtf-on</admin-state></power-state>"
        await edited(admin, entity("srv-03", wish))
        site.set_state(site.scenario.entity("srv-03"), "dmtf-sleep-light")
        change = await told(listener, "power-state-changed")
        assert (change["entity"], local(change["to"])) == ("srv-03", "dmtf-sleep-light")
        assert "requested-by" not in change
        answer = await get(admin, entity("srv-03", f"<power-state {power}/>"))
        said = {etree.QName(leaf).localname: local(leaf.text or "") for leaf in answer.iter() if not len(leaf)}
        assert said["admin-state"] == "dmtf-on"
