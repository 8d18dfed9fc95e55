"""RFC 6988 section 5.3 asked over NETCONF: power, its quality, and how much its figures are worth."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import ENTITIES, NS, entity, one, texts, until
from tests.conformance.site import DRIFT, interface, leaves, local, name_of, number, numbers, read, the

PHASES = ["l1", "l2", "l3"]
LIBRARY = {"yanglib": "urn:ietf:params:xml:ns:yang:ietf-yang-library"}


def triangle(element: etree._Element) -> None:
    """Active, reactive and apparent power below an element are sides of one triangle."""
    active, reactive, apparent, factor = (
        float(number(element, f"emm:{name}")) for name in ("active", "reactive", "apparent", "power-factor")
    )
    assert math.isclose(math.hypot(active, reactive), apparent, rel_tol=1e-3, abs_tol=0.01)
    assert math.isclose(active / apparent, factor, abs_tol=1e-3)


@pytest.mark.req("d5.3.1", "r5.3.1")
def test_power_has_a_direction_and_adds_up(client: manager.Manager) -> None:
    """What an entity takes is the sum of its inlets; outlets give, so they are negative, and a strip keeps little."""
    server = read(client, "srv-09")
    inlets = numbers(server.findall("empi:power-interface", NS), "emm:power/emm:active")
    assert len(inlets) == 2
    assert all(watts > 0 for watts in inlets)
    assert abs(sum(inlets) - number(server, "emm:power/emm:active")) < DRIFT
    strip = read(client, "pdu-a")
    flows = {name_of(each): number(each, "emm:power/emm:active") for each in strip.findall("empi:power-interface", NS)}
    assert flows["outlet-9"] < 0
    assert 0 < sum(flows.values()) < 20
    taken = flows.pop("input")
    assert abs(taken - number(strip, "emm:power/emm:active")) < DRIFT
    assert all(watts <= 0 for watts in flows.values())


@pytest.mark.req("d5.3.1", "r5.3.1")
def test_a_producer_provides(summer_client: manager.Manager) -> None:
    """In the sun the power of the solar roof is negative: it provides."""
    assert number(read(summer_client, "pv-1"), "emm:power/emm:active") < -100


@pytest.mark.req("d5.3.2", "r5.3.2")
def test_a_value_tells_when_it_was_so(client: manager.Manager) -> None:
    """Power tells the time of its reading, that of the last contact, which moves on; and whether it is a mean."""
    for id_, backend in (("srv-09", "srv-09"), ("feed-a", "feed-a"), ("lamp-02", "gw-1")):
        first = leaves(read(client, id_).find("emm:power", NS))
        path = f"/eman:energy-management/embe:backends/embe:backend[embe:name='{backend}']/embe:link/embe:last-contact"
        answer = client.get(filter=("xpath", (NS, f"{entity(id_, '/emm:power')} | {path}"))).data_ele
        time = datetime.fromisoformat(answer.findtext(".//emm:power/emm:time", namespaces=NS))
        contact = datetime.fromisoformat(answer.findtext(".//embe:last-contact", namespaces=NS))
        assert timedelta(0) <= contact - time < timedelta(minutes=1), id_
        assert Decimal(first["interval"]) == 0, "the simulated meters tell momentary values"
        now = entity(id_, "/emm:power/emm:time")
        until(lambda path=now, old=first["time"]: (one(client, path) or "") > old, f"{id_} is read again")


@pytest.mark.req("d5.3.3", "r5.3.3")
def test_a_value_tells_its_method(client: manager.Manager) -> None:
    """Metered here, metered at the other end, or estimated from the state; sums have the weakest of their parts'."""
    methods = {
        id_: local(read(client, id_).findtext("emm:power/emm:method", namespaces=NS))
        for id_ in ("srv-09", "phone-01", "lamp-01")
    }
    assert methods == {"srv-09": "direct-meter", "phone-01": "remote-meter", "lamp-01": "state-model"}
    lamps = "/eman:energy-management/emgrp:groups/emgrp:group[emgrp:name='lighting']"
    assert local(one(client, f"{lamps}/emgrp:power/emgrp:method")) == "state-model"
    assert local(read(client, "lamp-01").findtext("emm:energy/emm:method", namespaces=NS)) == "integrated"


@pytest.mark.req("d5.3.4", "r5.3.4")
def test_accuracy_is_told_where_it_is_known(client: manager.Manager) -> None:
    """The meter tells accuracy and class, of power and of energy; what nobody knows is absent, not zero."""
    meter = read(client, "meter-1")
    for kind in ("power", "energy"):
        assert number(meter, f"emm:{kind}/emm:accuracy") == Decimal("0.5")
        said = meter.findtext(f"emm:{kind}/emm:accuracy-class", namespaces=NS)
        assert local(said) == "iec-62053-22-class-0-5s"
    assert number(read(client, "srv-09"), "emm:power/emm:accuracy") == 2
    assert all(Decimal(text) > 0 for text in texts(client, f"{ENTITIES}/emm:power/emm:accuracy"))


@pytest.mark.req("d5.3.5", "r5.3.5")
def test_voltage_and_current_of_each_phase(client: manager.Manager) -> None:
    """Interfaces and the meter tell volts and amperes: of one phase once, of three each, in as many rows as phases."""
    plug = the(client, interface("srv-09", "psu-1"))
    volts, amperes = (number(plug, f"emm:electrical/emm:{name}") for name in ("voltage", "current"))
    assert 200 < volts < 260
    assert abs(volts * amperes - number(plug, "emm:power/emm:apparent")) < 2
    port = the(client, interface("sw-1", "port-1"))
    volts, amperes = (number(port, f"emm:electrical/emm:{name}") for name in ("voltage", "current"))
    assert 50 < volts < 57
    assert abs(volts * amperes - number(port, "emm:power/emm:active")) < Decimal("0.1")
    read(client, "meter-1")
    grid, meter = the(client, interface("feed-a", "grid")), the(client, entity("meter-1"))
    for element in (grid, meter):
        phases = element.findall("emm:electrical/emm:phase", NS)
        assert [name_of(phase) for phase in phases] == PHASES
        for phase in phases:
            assert 200 < number(phase, "emm:voltage") < 260
            assert 350 < number(phase, "emm:voltage-to-next") < 450
            assert number(phase, "emm:current") >= 0
    assert leaves(grid)["ac-phases"] == "3"


@pytest.mark.req("d5.3.7", "r5.3.7")
def test_complex_power_of_interfaces_and_phases(client: manager.Manager) -> None:
    """Active, reactive and apparent power and the power factor belong together, as a whole and in each phase."""
    read(client, "srv-09")
    triangle(the(client, interface("srv-09", "psu-1", "/emm:power")))
    grid = the(client, interface("feed-a", "grid"))
    triangle(grid.find("emm:power", NS))
    phases = grid.findall("emm:electrical/emm:phase", NS)
    assert len(phases) == 3
    for phase in phases:
        triangle(phase)
    whole = number(grid, "emm:power/emm:active")
    assert abs(sum(numbers(phases, "emm:active")) - whole) < DRIFT
    meter = the(client, entity("meter-1", "/emm:power"))
    angle = math.radians(float(number(meter, "emm:phase-angle")))
    assert math.isclose(math.cos(angle), float(number(meter, "emm:power-factor")), abs_tol=1e-3)


@pytest.mark.req("d5.3.8", "r5.3.8")
def test_actual_frequency(client: manager.Manager) -> None:
    """AC interfaces tell the frequency of the grid; DC interfaces tell none."""
    read(client, "srv-09")
    assert 49 < number(the(client, interface("srv-09", "psu-1")), "emm:electrical/emm:frequency") < 51
    assert the(client, interface("sw-1", "port-1")).find("emm:electrical/emm:frequency", NS) is None


@pytest.mark.req("d5.3.9", "r5.3.9")
def test_harmonic_distortion_of_each_phase(client: manager.Manager) -> None:
    """The main meter and the feed's interfaces tell the distortion of voltage and of current, of each phase."""
    read(client, "feed-a")
    for element in (read(client, "meter-1"), the(client, interface("feed-a", "grid"))):
        phases = element.findall("emm:electrical/emm:phase", NS)
        assert [name_of(phase) for phase in phases] == PHASES
        for phase in phases:
            assert 0 < number(phase, "emm:thd-voltage") < 20
            assert 0 < number(phase, "emm:thd-current") < 100
    single = the(client, interface("feed-a", "lighting", "/emm:electrical"))
    assert 0 < number(single, "emm:thd-voltage") < 20
    assert 0 < number(single, "emm:thd-current") < 100


@pytest.mark.req("d5.3.10", "r5.3.10")
def test_the_impedance_of_the_supply(client: manager.Manager) -> None:
    """The feature is announced, and who measures it tells resistance and reactance, of each phase or of the one."""
    module = "/yanglib:yang-library/yanglib:module-set/yanglib:module[yanglib:name='eman-measurement']"
    data = client.get(filter=("xpath", (LIBRARY, f"{module}/yanglib:feature"))).data_ele
    features = {node.text for node in data.iter(f"{{{LIBRARY['yanglib']}}}feature")}
    assert "supply-impedance" in features
    read(client, "feed-a")
    phases = the(client, interface("feed-a", "grid")).findall("emm:electrical/emm:phase", NS)
    assert [name_of(phase) for phase in phases] == PHASES
    for element in (*phases, the(client, interface("feed-a", "lighting", "/emm:electrical"))):
        assert 0 < number(element, "emm:impedance/emm:resistance") < 2
        assert 0 < number(element, "emm:impedance/emm:reactance") < 2
