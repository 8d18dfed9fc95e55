"""RFC 6988 sections 5.4 and 5.5 asked over NETCONF: power states, and the energy that goes by."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import ENTITIES, NS, act, edit, entity, found, one, set_state, texts, until
from tests.conformance.site import (
    DRIFT,
    interface,
    leaves,
    local,
    number,
    numbers,
    read,
    state_set,
    the,
)


def states(session: manager.Manager, id_: str, set_: str) -> dict[str, etree._Element]:
    """The supported states of a set by name, once the entity was read."""
    read(session, id_)
    return {local(leaves(row)["state"]): row for row in found(session, state_set(id_, set_, "/emps:supported-state"))}


def oper_state(session: manager.Manager, id_: str, set_: str) -> str:
    return local(one(session, state_set(id_, set_, "/emps:oper-state")))


def standing(session: manager.Manager, id_: str, state: str) -> None:
    """Configure the state an entity is to have."""
    wish = f'<admin-state xmlns:s="{NS["emss"]}">s:{state}</admin-state>'
    edit(session, f'<entity><id>{id_}</id><power-state xmlns="{NS["emps"]}">{wish}</power-state></entity>')


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.req("d5.4.1", "r5.4.1")
def test_the_actual_state_of_what_has_states(client: manager.Manager) -> None:
    """Servers and lamps tell the state that was read, and since when."""
    for id_, set_ in (("srv-11", "redfish"), ("srv-08", "dmtf"), ("lamp-03", "ieee1621")):
        read(client, id_)
        said = leaves(the(client, state_set(id_, set_)))
        assert local(said["oper-state"]) == f"{set_}-on"
        assert datetime.fromisoformat(said["oper-state-since"]).tzinfo is not None


@pytest.mark.req("d5.4.2", "r5.4.2")
@pytest.mark.req("d5.4.5", "r5.4.5")
def test_all_states_of_each_set_are_listed(client: manager.Manager) -> None:
    """Each set lists the states the entity has, and their order by power; another state is refused."""
    rows = states(client, "srv-08", "dmtf")
    assert sorted(rows, key=lambda name: -int(leaves(rows[name])["rank"])) == [
        *("dmtf-on", "dmtf-sleep-light", "dmtf-sleep-deep", "dmtf-off-soft", "dmtf-off-hard")
    ]
    assert set(states(client, "srv-11", "redfish")) == {"redfish-on", "redfish-paused", "redfish-off"}
    assert set(states(client, "lamp-03", "ieee1621")) == {"ieee1621-on", "ieee1621-off"}
    with pytest.raises(RPCError) as refused:
        set_state(client, "lamp-03", "ieee1621-sleep")
    assert (refused.value.tag, refused.value.app_tag) == ("invalid-value", "state-not-supported")
    with pytest.raises(RPCError) as refused:
        standing(client, "lamp-03", "ieee1621-sleep")
    assert refused.value.app_tag == "state-not-supported"
    with pytest.raises(RPCError) as refused:
        set_state(client, "lamp-03", "no-such-state")
    assert refused.value.tag == "invalid-value"


@pytest.mark.req("d5.4.3", "r5.4.3")
def test_several_sets_tell_of_one_state(summer_client: manager.Manager) -> None:
    """A command in one set is seen in all: in the device's own, in IEEE 1621, and in one the operator asks for."""
    client = summer_client
    edit(
        client,
        f'<entity><id>lamp-03</id><power-state xmlns="{NS["emps"]}"><set><name xmlns:s="{NS["emss"]}">s:dmtf</name>'
        "</set></power-state></entity>",
    )
    until(lambda: oper_state(client, "lamp-03", "dmtf") == "dmtf-on", "the lamp is on in DMTF's words")
    set_state(client, "lamp-03", "dmtf-off-soft")
    until(lambda: oper_state(client, "lamp-03", "ieee1621") == "ieee1621-off", "the lamp is off")
    assert oper_state(client, "lamp-03", "dmtf").startswith("dmtf-off-")
    set_state(client, "lamp-03", "ieee1621-on")
    until(lambda: oper_state(client, "lamp-03", "dmtf") == "dmtf-on", "the lamp is on in DMTF's words again")


@pytest.mark.req("d5.4.4", "r5.4.4")
def test_the_sets_of_an_entity_are_listed(client: manager.Manager) -> None:
    """The names of the sets are a list of their own, which one filter asks for."""
    read(client, "srv-11")
    names = f"{ENTITIES}[eman:id='srv-11' or eman:id='srv-08']/emps:power-state/emps:set/emps:name"
    assert {local(name) for name in texts(client, names)} == {"redfish", "dmtf", "ieee1621"}
    lamp = texts(client, entity("lamp-03", "/emps:power-state/emps:set/emps:name"))
    assert [local(name) for name in lamp] == ["ieee1621"]


@pytest.mark.req("d5.4.6", "r5.4.6")
def test_typical_power_of_each_state(client: manager.Manager) -> None:
    """Each state tells its typical and highest power; what the operator measured goes before."""
    rows = states(client, "srv-08", "dmtf")
    assert number(rows["dmtf-on"], "emps:typical-power") == 270
    assert number(rows["dmtf-on"], "emps:max-power") == 550
    assert number(rows["dmtf-sleep-deep"], "emps:typical-power") == 16
    edit(
        client,
        f'<entity><id>srv-08</id><power-state xmlns="{NS["emps"]}" xmlns:s="{NS["emss"]}"><set><name>s:dmtf</name>'
        "<supported-state><state>s:dmtf-sleep-deep</state><typical-power>14.5</typical-power></supported-state>"
        "</set></power-state></entity>",
    )
    assert number(states(client, "srv-08", "dmtf")["dmtf-sleep-deep"], "emps:typical-power") == Decimal("14.5")


@pytest.mark.req("d5.4.7", "r5.4.7")
def test_states_are_counted_and_timed(summer_client: manager.Manager) -> None:
    """Off and on again: each counts one more, was entered between the commands, and the times add up to the whole."""
    client = summer_client

    def statistics() -> dict[str, dict[str, str]]:
        rows = states(client, "lamp-05", "ieee1621")
        return {name: leaves(row.find("emps:statistics", NS)) for name, row in rows.items()}

    before = statistics()
    set_state(client, "lamp-05", "ieee1621-off")
    until(lambda: oper_state(client, "lamp-05", "ieee1621") == "ieee1621-off", "the lamp is off")
    set_state(client, "lamp-05", "ieee1621-on")
    until(lambda: oper_state(client, "lamp-05", "ieee1621") == "ieee1621-on", "the lamp is on")
    after = statistics()
    for state in ("ieee1621-on", "ieee1621-off"):
        assert int(after[state]["entered"]) == int(before[state]["entered"]) + 1
        assert seconds(before[state]["end-time"]) <= seconds(after[state]["last-entered"])
        assert seconds(after[state]["last-entered"]) <= seconds(after[state]["end-time"])
    assert seconds(after["ieee1621-off"]["last-entered"]) < seconds(after["ieee1621-on"]["last-entered"])
    on = after["ieee1621-on"]
    whole = seconds(on["end-time"]) - seconds(on["start-time"])
    assert abs(sum(float(row["total-time"]) for row in after.values()) - whole) < 1


@pytest.mark.req("d5.4.text", "r5.4.text")
def test_on_and_off_are_common_ground(client: manager.Manager) -> None:
    """Whatever sets an entity has of its own, it tells on, sleep or off in IEEE 1621; and whether it acts by itself."""
    read(client, "srv-11")
    for id_ in ("srv-08", "srv-11", "lamp-03"):
        assert oper_state(client, id_, "ieee1621") == "ieee1621-on"
        assert one(client, entity(id_, "/emps:power-state/emps:local-control")) == "false"


@pytest.mark.req("d5.4.text", "r5.4.text")
def test_a_state_that_nobody_asked_for_is_told_as_it_is(client: manager.Manager) -> None:
    """Through a power cycle the server goes off and comes back by itself: oper-state follows it, no wish remains."""

    def went_off() -> int:
        return int(states(client, "srv-12", "redfish")["redfish-off"].findtext("emps:statistics/emps:entered", "", NS))

    before = went_off()
    act(
        client,
        "srv-12",
        f'<set-power-state xmlns="{NS["emps"]}" xmlns:s="{NS["emss"]}"><transition>s:redfish-power-cycle</transition>'
        "</set-power-state>",
    )
    until(lambda: went_off() == before + 1, "the server was seen off")
    assert one(client, entity("srv-12", "/emps:power-state/emps:admin-state")) is None
    assert one(client, state_set("srv-12", "redfish", "/emps:requested-state")) is None
    until(lambda: oper_state(client, "srv-12", "redfish") == "redfish-on", "the server is on again")


@pytest.mark.req("d5.5.1", "r5.5.1")
def test_energy_is_the_power_over_time(summer_client: manager.Manager) -> None:
    """What feed B received between two readings is its power times the time; received and provided never shrink."""
    client = summer_client
    read(client, "feed-b")

    def sample() -> tuple[float, float, float]:
        feed = the(client, entity("feed-b"))
        energy = feed.find("emm:energy", NS)
        power = float(number(feed, "emm:power/emm:active"))
        grid = the(client, interface("feed-b", "grid", "/emm:energy"))
        assert number(grid, "emm:provided") >= 0
        return seconds(leaves(energy)["end-time"]), float(number(energy, "emm:received")), power

    samples = [sample()]

    def long_enough() -> bool:
        samples.append(sample())
        return samples[-1][0] - samples[0][0] > 120

    until(long_enough, "two minutes of the site have passed")
    received = [each[1] for each in samples]
    assert received == sorted(received)
    hours = (samples[-1][0] - samples[0][0]) / 3600
    watts = [each[2] for each in samples]
    assert 0.8 * min(watts) * hours <= received[-1] - received[0] <= 1.2 * max(watts) * hours
    assert number(the(client, entity("pv-1", "/emm:energy")), "emm:provided") > 0


@pytest.mark.req("d5.5.1", "r5.5.1")
def test_energy_of_a_known_load(summer_client: manager.Manager) -> None:
    """A lamp draws what it draws without noise: its energy is that power times the time to a thousandth of it, and the
    milliwatt-hours that rounding takes."""
    client = summer_client
    read(client, "lamp-07")
    samples = []

    def long_enough() -> bool:
        lamp = the(client, entity("lamp-07"))
        energy = lamp.find("emm:energy", NS)
        watts = float(number(lamp, "emm:power/emm:active"))
        samples.append((seconds(leaves(energy)["end-time"]), float(number(energy, "emm:received")), watts))
        return samples[-1][0] - samples[0][0] > 300

    until(long_enough, "five minutes of the site have passed")
    (begin, before, _), (end, after, _) = samples[0], samples[-1]
    watts = [each[2] for each in samples]  # more than one value only where the sun sets meanwhile
    hours = (end - begin) / 3600
    assert 0.999 * min(watts) * hours - 0.002 <= after - before <= 1.001 * max(watts) * hours + 0.002


@pytest.mark.req("d5.5.1", "r5.5.1")
def test_energy_of_interfaces_has_both_directions(client: manager.Manager) -> None:
    """Inlets tell what they received, outlets what they provided, reversible ones both; nothing is netted."""
    read(client, "pdu-a")
    kinds = {
        end: {"received", "provided"} & leaves(the(client, interface(*end, "/emm:energy"))).keys()
        for end in (("pdu-a", "input"), ("pdu-a", "outlet-1"), ("feed-a", "grid"))
    }
    assert list(kinds.values()) == [{"received"}, {"provided"}, {"received", "provided"}]


@pytest.mark.req("d5.5.2", "r5.5.2")
def test_energy_tells_its_interval(client: manager.Manager) -> None:
    """Every value of energy, of entities, interfaces, groups and domains, has the times it is between."""
    read(client, "lamp-03")
    everything = client.get().data_ele
    intervals = [leaves(energy) for energy in everything.iter("{*}energy")]
    assert len(intervals) > 100
    for said in intervals:
        assert seconds(said["start-time"]) <= seconds(said["end-time"])
        assert said.keys() & {"received", "provided"}


@pytest.mark.req("d5.5.3", "r5.5.3")
def test_energy_of_each_state_adds_up(summer_client: manager.Manager) -> None:
    """While a lamp goes off and on, the energy of its states grows by what its whole energy grows."""
    client = summer_client

    def energies() -> tuple[Decimal, Decimal]:
        lamp = the(client, entity("lamp-02"))
        rows = lamp.findall(".//emps:statistics", NS)
        return number(lamp, "emm:energy/emm:received"), sum(numbers(rows, "emps:energy-received"), Decimal())

    read(client, "lamp-02")
    whole, parts = energies()
    set_state(client, "lamp-02", "ieee1621-off")
    until(lambda: oper_state(client, "lamp-02", "ieee1621") == "ieee1621-off", "the lamp is off")
    set_state(client, "lamp-02", "ieee1621-on")
    until(lambda: oper_state(client, "lamp-02", "ieee1621") == "ieee1621-on", "the lamp is on")
    later = until(lambda: energies() if energies()[0] > whole else None, "the lamp has received something")
    assert abs((later[0] - whole) - (later[1] - parts)) < DRIFT
    rows = states(client, "lamp-02", "ieee1621")
    assert number(rows["ieee1621-on"], "emps:statistics/emps:energy-received") > number(
        rows["ieee1621-off"], "emps:statistics/emps:energy-received"
    )
