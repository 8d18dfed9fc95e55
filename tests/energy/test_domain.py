"""The domain as a whole: what it serves is valid, what it keeps lets it go on, and bytes are those of the tree."""

from __future__ import annotations

import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_netconf.energy.effects import Changed, Notify, Warn
from eman_netconf.energy.values import (
    BatteryInfo,
    Direction,
    EntityInfo,
    ForeignId,
    InterfaceInfo,
    LinkState,
    Method,
    Now,
    Outcome,
    Point,
    Quantity,
    RelationInfo,
    StateSetInfo,
    Supply,
)
from eman_netconf.yang.render import to_bytes
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.sources import model_path
from eman_netconf.yang.tree import Inner, ListNode
from eman_netconf.yang.validate import validate_notification, validate_state
from tests.energy.bench import DMTF, START, Bench, canonical, inlet, outlet, saved

Q = Quantity


def furnished(bench: Bench) -> Bench:
    """A site in which nearly everything that can be said is said."""
    bench.commit(
        {
            "id": "srv",
            "name": "Server <1> & co",
            "keyword": ["web", "a&b"],
            "vital": True,
            "domain": "hall",
            "foreign-id": [{"kind": "eman-entity:serial-number", "value": "S1"}],
            "power-interface": [{"name": "psu1", "supply": {"admin-state": "on"}}],
            "power-state": {
                "admin-state": canonical("dmtf-on"),
                "power-limit": {"admin-limit": "400.0"},
                "set": [{"name": canonical("eman")}],
            },
            "relationship": [{"type": "eman-relationship:proxied-by", "peer": "gw", "endpoint": "urn:x"}],
        },
        {"id": "lamp", "contained-in": "hall-1"},
        domains={"domain": [{"name": "hall", "boundary-meter": ["ups"]}]},
        groups={"group": [{"name": "it", "match": {"keyword": ["web"]}, "member": ["pdu"]}]},
        backends={"backend": [{"name": "pdu", "eman-backend-simulated:simulated": {"box": "pdu"}}]},
    )
    outlets = (outlet("o1", ("srv", "psu1")), outlet("o2", ("srv", "psu2")), outlet("o3", ("lamp", "in")))
    bench.discover("pdu", EntityInfo(interfaces=(inlet("in", ("ups", "out")), *outlets), category="distributor"))
    full = InterfaceInfo(
        "psu1",
        Direction.INLET,
        "PSU <1>",
        foreign_ids=(ForeignId("if-name", "ps/1", "agent"), ForeignId("no-such-kind", "x")),
        current_type="ac",
        nominal_voltage=(Decimal(100), Decimal(240)),
        nominal_frequency=Decimal(50),
        ac_phases=1,
        ac_configuration="single",
        rated_current=Decimal(10),
        rated_power=Decimal(2300),
    )
    bench.discover(
        "bmc",
        EntityInfo(
            id="bmc-host",
            foreign_ids=(ForeignId("serial-number", "S1", "maker"),),
            manufacturer="M",
            nameplate_power=Decimal(800),
            power_limits=(Decimal(50), Decimal(700)),
            interfaces=(full, inlet("psu2")),
            state_sets=(DMTF, StateSetInfo("no-such-set", ())),
            relationships=(RelationInfo("aggregated-by", "rack", reports=frozenset({"power"})),),
        ),
    )
    battery = BatteryInfo("b1", "B7", "1.0", "rechargeable", "lithium-ion", 9000, Decimal(48), 16)
    bench.discover("ups", EntityInfo(interfaces=(outlet("out"),), batteries=(battery,)))
    for step in range(3):
        bench.wait(10)
        bench.read(
            "pdu",
            *(bench.reading(Q.SUPPLY_STATE, "on" if step else "off", "", f"o{number}") for number in (1, 2, 3)),
            bench.reading(Q.ACTIVE_POWER, Decimal(-90 - step), "", "o1", accuracy=Decimal("0.5")),
            bench.reading(Q.ENERGY_PROVIDED, Decimal(7) + step, "", "o2"),
            bench.reading(Q.IN_USE, value=True, interface="o3"),
        )
        bench.read(
            "bmc",
            bench.reading(Q.POWER_STATE, "dmtf-on" if step else "dmtf-sleep-deep"),
            bench.reading(Q.POWER_LIMIT, 400),
            bench.reading(Q.LOCAL_CONTROL, value=True),
            bench.reading(Q.THD_CURRENT, 3, "", "psu1", phase=1),
            bench.reading(Q.VOLTAGE, 231.5, "", "psu1", accuracy_class="iec-62053-22-class-0-2s", interval=1.0),
            bench.reading(Q.REACTANCE, 0.02, "", "psu1"),
        )
        bench.read(
            "ups",
            *(
                bench.reading(quantity, value, battery="b1")
                for quantity, value in (
                    (Q.CHARGE, 4000),
                    (Q.CHARGING_STATE, "charging"),
                    (Q.CYCLE_COUNT, 5 + step),
                    (Q.RUNTIME_REMAINING, 600),
                    (Q.ALARM, frozenset({"low", "temperature"})),
                    (Q.TEMPERATURE, 55),
                )
            ),
            bench.reading(Q.ACTIVE_POWER, 5, method=Method.LOAD_MODEL),
        )
    for name in ("pdu", "ups"):
        bench.link(name, LinkState.UP, duration=0.01)
    bench.link("ups", LinkState.STALE, error="no <answer>")
    while bench.commands():
        bench.answer(Outcome.UNKNOWN, "who & knows")
    bench.wish(entity="pdu", interface="o3", supply=Supply.OFF, hold_time=50.0, reason="<test>")
    bench.answer(Outcome.REFUSED, "no")
    return bench


def document(bench: Bench) -> Inner:
    """The whole of what a get returns of energy management."""
    top = bench.schema.find("/eman-entity:energy-management")
    return Inner(bench.schema.root, {top: bench.served()})


def test_what_is_served_is_valid(bench: Bench) -> None:
    """Our own validator finds nothing wrong with the operational data."""
    errors = validate_state(bench.schema, document(furnished(bench)))
    assert [str(error) for error in errors if "energy-management" in str(error.path)] == []


def test_every_notification_is_valid(bench: Bench) -> None:
    """Each one that was sent on the way has what its model demands, in the words of its types."""
    furnished(bench)
    kinds = set()
    for effect in bench.effects:
        if isinstance(effect, Notify):
            kinds.add(effect.notification.schema.name)
            assert validate_notification(bench.schema, effect.notification, document(bench)) == []
            for node, value in effect.notification.children.items():
                values = value if isinstance(value, tuple) else (value,)
                assert node.type is not None
                assert [node.type.parse_canonical(str(item)) for item in values] == list(values)
    assert kinds >= {
        "entity-added",
        "supply-switched",
        "power-state-changed",
        "control-failed",
        "backend-unreachable",
        "battery-low",
        "battery-temperature",
    }


def test_yanglint_agrees(bench: Bench, tmp_path: Path) -> None:
    """libyang reads the served bytes as operational data without complaint."""
    file = tmp_path / "data.xml"
    file.write_bytes(furnished(bench).served().xml())
    names = [name for name, module in bench.schema.modules.items() if module.implemented and name.startswith("eman-")]
    paths = [argument for path in model_path() for argument in ("-p", str(path))]
    backends = Path(__file__).parents[2] / "backends" / "eman_backends"
    paths += [argument for name in ("simulated", "snmp") for argument in ("-p", str(backends / name))]
    models = [bench.schema.modules[name].path for name in names if "deviations" not in name]
    command = ["yanglint", *paths, "-t", "get", *map(str, models), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_value_is_canonical(bench: Bench) -> None:
    """Whatever is served of any leaf is what its type makes of it."""
    from eman_netconf.yang.tree import walk

    checked = 0
    for path, data in walk(document(furnished(bench))):
        kind = path[-1].schema.type
        if kind is None:
            continue
        for value in data if isinstance(data, tuple) else (data,):
            assert kind.parse_canonical(value) == value, path  # type: ignore[arg-type]
            checked += 1
    assert checked > 400


def plain(data: Any) -> Any:
    """A tree as sorted plain values, however it is put together."""
    if isinstance(data, Inner):
        return {node.qualified_name: plain(value) for node, value in data.children.items()}
    if isinstance(data, ListNode):
        return {key: plain(entry) for key, entry in data.entries.items()}
    return data


def test_bytes_are_those_of_the_tree(bench: Bench) -> None:
    """Templates and remembered parts print what the plain printer prints of a plain copy, but for the order."""

    def copy(data: Any) -> Any:
        if isinstance(data, Inner):
            return Inner(data.schema, {node: copy(value) for node, value in data.children.items()})
        if isinstance(data, ListNode):
            return ListNode(data.schema, {key: copy(entry) for key, entry in data.entries.items()})
        return data

    def shape(element: etree._Element) -> Any:
        below = [shape(child) for child in element]
        return element.tag, (element.text or "").strip(), sorted(below, key=repr)

    served = furnished(bench).served()
    printed, expected = etree.fromstring(served.xml()), etree.fromstring(to_bytes(copy(served)))
    assert shape(printed) == shape(expected)
    for entry in printed.iter("{*}entity"):
        if len(entry):
            assert entry[0].tag == "{urn:eman:yang:eman-entity}id"


@pytest.mark.parametrize("clean", [True, False])
def test_a_restart_goes_on_where_it_stopped(schema: Schema, clean: bool) -> None:
    """Counters, statistics and the first reading after it: nothing lost that was counted by a device."""
    first = Bench(schema).boot()

    def site(bench: Bench) -> None:
        bench.commit(groups={"group": [{"name": "g", "member": ["m"]}]})
        bench.discover("m", EntityInfo(interfaces=(inlet("in"),), state_sets=(DMTF,)))

    def tell(bench: Bench, counted: int) -> None:
        bench.read(
            "m",
            bench.reading(Q.ENERGY_RECEIVED, Decimal(counted)),
            bench.reading(Q.ACTIVE_POWER, 3600, "", "in"),
            bench.reading(Q.POWER_STATE, "dmtf-on"),
        )

    site(first)
    for counted in (1000, 1010, 1020):
        tell(first, counted)
        first.wait(10)
    kept = saved(first)
    second = Bench(schema, start=first.now.wall + 60)
    second.now = Now(second.now.wall, 5.0)
    second.running = first.running
    second.boot(kept, clean=clean)
    site(second)
    assert second.notices("entity-added") == []
    assert (second.at("m", "energy") is None) is not clean
    tell(second, 1500)
    assert second.at("m", "energy", "received") == "500.0"
    assert second.at("m", "energy", "discontinuity-time") is None
    inlet_energy = second.at("m", "power-interface", ("in",), "energy")
    assert inlet_energy.leaf("received") == "20.0"
    assert inlet_energy.leaf("discontinuity-time") is not None
    rows = second.at("m", "power-state", "set", (canonical("dmtf"),), "supported-state").entries
    on = rows[canonical("dmtf-on"),].at("statistics")
    assert (on.leaf("total-time"), on.leaf("energy-received")) == ("20.0", "500.0")
    group = second.served().at("groups", "group").entries["g",]  # type: ignore[union-attr]
    assert group.at("energy", "received") == "500.0"
    assert (group.at("energy", "discontinuity-time") is None) is clean


def test_a_device_that_is_dead_after_a_restart_is_still_known(schema: Schema) -> None:
    """What a device told in an earlier life is there at once, out of reach, with its identity and its counters."""
    configuration = {"backends": {"backend": [{"name": "gw"}]}, "entities": {"entity": [{"id": "mine"}]}}
    first = Bench(schema).boot()
    first.commit(**configuration)
    told = (
        EntityInfo(name="gateway", interfaces=(inlet("in", ("mine", "out")),), state_sets=(DMTF,)),
        EntityInfo("b", manufacturer="m", nameplate_power=Decimal("1.5")),
        EntityInfo("a", contained_in=""),
    )
    first.discover("gw", *told)
    for counted in (1000, 1010):
        first.read("gw", first.reading(Q.ENERGY_RECEIVED, Decimal(counted)))
        first.wait(10)
    kept = saved(first)

    second = Bench(schema, start=first.now.wall + 60)
    second.running = first.running
    second.boot(kept)
    assert not [effect for effect in second.effects if not isinstance(effect, Changed)]
    assert list(second.domain.site.entities) == list(first.domain.site.entities)
    assert second.at("gw", "energy", "received") == "10.0"
    assert second.at("gw.b", "manufacturer") == "m"
    assert second.at("gw", "reachability") != "reachable"
    (peer,) = second.at("mine", "power-interface", ("out",), "connected-to").entries
    assert peer == ("gw", "in")
    uuids = [bench.at("gw", "power-interface", ("in",), "uuid") for bench in (first, second)]
    assert uuids[0] == uuids[1]

    second.link("gw", LinkState.BACKING_OFF, error="no answer")
    assert [said["entity-count"] for said in second.notices("backend-unreachable")] == ["3"]
    second.discover("gw", *told)
    assert second.notices("entity-added") == second.notices("entity-removed") == []
    assert not [key for key in saved(second) if key.startswith("backends:")]
    second.discover("gw", told[0])
    gone = ["backends:gw:a", "backends:gw:b", "gw.a", "gw.b"]
    assert sorted(key for key, record in second.domain.dirty() if record is None) == gone


def test_what_an_unknown_backend_told_is_dropped(schema: Schema) -> None:
    """A backend that is configured no longer, and a record nobody can read, leave nothing behind."""
    record = {"place": 0, "info": {"local": ""}}
    bench = Bench(schema).boot({"backends:gone:": record, "backends:odd:x": {"place": 0, "info": {"colour": "red"}}})
    assert not bench.domain.site.entities
    assert sorted(bench.domain.dirty()) == [("backends:gone:", None), ("backends:odd:x", None)]


def test_only_what_changed_is_kept_again(bench: Bench) -> None:
    """The second call brings the record that changed since the first, and the end of an entity once."""
    bench.discover("gw", EntityInfo("a", "a"), EntityInfo("b", "b"))
    assert {key for key, _ in bench.domain.dirty()} == {"a", "b", "backends:gw:a", "backends:gw:b"}
    assert bench.domain.dirty() == []
    bench.tell("gw", Q.ENERGY_RECEIVED, 5, "b")
    assert [key for key, _ in bench.domain.dirty()] == ["b"]
    bench.discover("gw", EntityInfo("a", "a"))
    assert bench.domain.dirty() == [("b", None), ("backends:gw:b", None)]


def test_records_can_be_taken_in_portions(bench: Bench) -> None:
    """With a limit every record comes, a few at a time."""
    bench.discover("gw", *(EntityInfo(f"e{number}", f"e{number}") for number in range(10)))
    portions = [bench.domain.dirty(6) for _ in range(5)]
    assert [len(portion) for portion in portions] == [6, 6, 6, 2, 0]
    assert len({key for portion in portions for key, _ in portion}) == 20


def test_a_keyed_read_makes_one_entry(bench: Bench) -> None:
    """Among many entities nothing but the one asked for is rendered, and asking who is there renders nobody."""
    bench.discover("gw", *(EntityInfo(f"e{number}") for number in range(100)))
    entities = bench.domain.site.entities
    data = bench.served().at("entities", "entity")
    assert isinstance(data, ListNode)
    assert (len(data.entries), len(list(data.entries))) == (100, 100)
    assert ("gw.e5",) in data.entries
    assert ("nobody",) not in data.entries
    assert [id_ for id_, entity in entities.items() if entity.node is not None] == []
    assert data.entries["gw.e5",].leaf("id") == "gw.e5"
    assert [id_ for id_, entity in entities.items() if entity.node is not None] == ["gw.e5"]
    with pytest.raises(KeyError):
        data.entries["nobody",]


def test_readings_of_nobody_change_nothing(bench: Bench) -> None:
    """Unknown backends and points, impossible stamps: nothing is taken, nothing falls over, and one warning each."""
    bench.discover("m", EntityInfo())
    odd = [bench.reading(Q.ACTIVE_POWER, 1, at=at) for at in (float("nan"), float("inf"), -1.0, 1e15)]
    assert [type(effect) for effect in bench.read("m", *odd)] == [Changed, Warn]
    assert bench.read("nobody", bench.reading(Q.ACTIVE_POWER, 1)) == []
    stray = bench.reading(Q.ACTIVE_POWER, 1, "x")
    assert [type(effect) for effect in bench.read("m", stray, missing={Point("y"): "?"})] == [Warn]
    assert bench.read("m", stray) == []
    assert bench.at("m", "power") is None
    assert bench.now.wall == START
