"""What the server answers as documents: valid by foreign validators and by our own, in order, and complete."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from yangson import DataModel
from yangson.enumerations import ContentType

from eman_netconf.errors import RpcError
from eman_netconf.safexml import parse
from eman_netconf.yang.annotated import DEFAULT_NS
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.validate import validate, validate_state
from tests.conformance.conftest import (
    NS,
    ServerProcess,
    edit,
    entity,
    one,
    run,
    set_state,
    summer_process,
    switch,
    texts,
    try_battery,
    until,
)
from tests.conformance.site import interface, local, state_set
from tests.programs import program
from tests.test_examples import Reader, let_yangson_validate

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
STREAMS = "urn:ietf:params:xml:ns:netmod:notification"

ENTITY = "/eman-entity:energy-management/entities/entity"
INTERFACE = f"{ENTITY}/eman-power-interface:power-interface"
STATISTICS = f"{ENTITY}/eman-power-state:power-state/set/supported-state/statistics"
TOTALS = (
    "/eman-entity:energy-management/eman-group:domains/domain",
    "/eman-entity:energy-management/eman-group:groups/group",
)

FOREIGN = ("kind", "value", "authority", "persistence")

#: State leaves that the demo site does not fill, and why.
ABSENT = {
    **{f"{total}/{kind}/accuracy-class": "a sum is of no class" for total in TOTALS for kind in ("power", "energy")},
    **{f"{total}/energy/missing": "what is missing now is told beside the power" for total in TOTALS},
    f"{TOTALS[0]}/power/reporter": "what contributes to the domains of the demo has reporters of its own, or several",
    f"{TOTALS[0]}/energy/reporter": "as at the power",
    f"{ENTITY}/eman-measurement:energy/missing": "what is missing now is told beside the power",
    f"{INTERFACE}/eman-measurement:power/missing": "all interfaces of the demo have meters of their own",
    f"{INTERFACE}/eman-measurement:energy/missing": "as at the power",
    f"{INTERFACE}/eman-measurement:electrical/missing": "voltages are never sums",
    f"{ENTITY}/eman-measurement:electrical/missing": "voltages are never sums",
    **{
        f"{ENTITY}/eman-measurement:electrical/{leaf}": "the one meter without interfaces tells it of each phase"
        for leaf in ("current", "thd-voltage", "thd-current", "impedance/resistance", "impedance/reactance")
    },
    f"{ENTITY}/eman-measurement:electrical/reporter": "who is reported on by others has interfaces",
    f"{ENTITY}/eman-measurement:energy/discontinuity-time": "simulated counters do not start again",
    f"{INTERFACE}/eman-measurement:energy/discontinuity-time": "simulated counters do not start again",
    **{
        f"{INTERFACE}/neighbour/{leaf}": "simulated boxes know what their cables lead to"
        for leaf in ("name", "description", "interface", *(f"foreign-id/{part}" for part in FOREIGN))
    },
    f"{ENTITY}/foreign-id/authority": "the identifiers of simulated boxes need none",
    f"{INTERFACE}/foreign-id/authority": "the identifiers of simulated boxes need none",
    **{
        f"{ENTITY}/eman-measurement:anomaly/{leaf}": "simulated instruments tell no nonsense"
        for leaf in ("kind", "quantity", "place", "state", "first-time", "last-time", "count", "last-value")
    },
    "/eman-entity:energy-management/eman-backend:backends/backend/link/unknown-point": "boxes know themselves",
    f"{INTERFACE}/eman-measurement:power/accuracy-bound": "no interface of the demo is a sum of several",
    f"{INTERFACE}/eman-measurement:energy/accuracy-bound": "as at the power",
    f"{ENTITY}/eman-measurement:electrical/accuracy-bound": "voltages are never sums",
    f"{INTERFACE}/eman-measurement:electrical/accuracy-bound": "voltages are never sums",
    f"{STATISTICS}/energy-provided": "what has states in the demo only receives",
    "/eman-entity:energy-management/eman-topology:topology/node/feed/component": "no part of the demo has feeds",
}
#: State leaves that may be filled or not, and what it depends on.
SOMETIMES = {
    "/eman-entity:energy-management/clock/estimated-error": "told where the kernel's clock is disciplined",
    f"{TOTALS[0]}/energy/discontinuity-time": "told after a long gap",
    f"{TOTALS[1]}/energy/discontinuity-time": "told after a long gap",
    f"{STATISTICS}/discontinuity-time": "told after a long gap",
    f"{ENTITY}/eman-battery:battery/statistics/discontinuity-time": "told after a long gap",
    f"{ENTITY}/eman-battery:battery/last-full-cycle": "told when a battery was emptied and charged again",
    "/eman-server:eman-server/statistics/last-checkpoint": "told once the journal has grown long",
}


@dataclass(frozen=True, slots=True)
class Served:
    """What the server tells of its models: the folder its get-schema filled, and its ietf-yang-library."""

    folder: Path
    library: etree._Element  # modules-state

    def modules(self, conformance: str) -> Iterator[etree._Element]:
        for module in self.library.findall(f"{{{LIBRARY}}}module"):
            if module.findtext(f"{{{LIBRARY}}}conformance-type") == conformance:
                yield module

    def implemented(self) -> dict[str, list[str]]:
        """The names of the implemented modules with their features."""
        return {
            module.findtext(f"{{{LIBRARY}}}name"): [node.text for node in module.findall(f"{{{LIBRARY}}}feature")]
            for module in self.modules("implement")
        }

    def yanglint(self, kind: str, document: Path) -> subprocess.CompletedProcess[str]:
        """Let libyang validate a document with the served models alone, with the features in force."""
        features = [part for name, names in self.implemented().items() for part in ("-F", f"{name}:{','.join(names)}")]
        files = [str(self.folder / f"{name}.yang") for name in self.implemented()]
        return subprocess.run(
            [
                program("yanglint", "libyang2-tools"),
                "-D",
                "-p",
                str(self.folder),
                *features,
                "-t",
                kind,
                *files,
                str(document),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def yangson(self) -> DataModel:
        """yangson's model of what the library says, from the served files."""
        modules = [
            {
                etree.QName(leaf).localname: leaf.text
                for leaf in module
                if etree.QName(leaf).localname in {"name", "revision", "namespace", "conformance-type"}
            }
            | {"feature": [node.text for node in module.findall(f"{{{LIBRARY}}}feature")]}
            | {
                "deviation": [
                    {"name": node.findtext(f"{{{LIBRARY}}}name"), "revision": node.findtext(f"{{{LIBRARY}}}revision")}
                    for node in module.findall(f"{{{LIBRARY}}}deviation")
                ]
            }
            for module in self.library.findall(f"{{{LIBRARY}}}module")
        ]
        said = {"ietf-yang-library:modules-state": {"module-set-id": "served", "module": modules}}
        return DataModel(json.dumps(said), (str(self.folder),))


@pytest.fixture(scope="module")
def served(demo: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Every schema the server offers, as files."""
    folder = tmp_path_factory.mktemp("served")
    with demo.connect() as session:
        state = session.get(
            filter=("xpath", ({"l": LIBRARY, "m": MONITORING}, "/l:modules-state | /m:netconf-state/m:schemas"))
        ).data_ele
        for schema in state.iter(f"{{{MONITORING}}}schema"):
            name = schema.findtext(f"{{{MONITORING}}}identifier")
            version = schema.findtext(f"{{{MONITORING}}}version")
            (folder / f"{name}.yang").write_text(session.get_schema(name, version=version).data)
        return Served(folder, state.find(f"{{{LIBRARY}}}modules-state"))


@pytest.fixture(scope="module")
def whole(demo: ServerProcess) -> etree._Element:
    """The <data> of a <get> without filter."""
    with demo.connect() as session:
        return etree.fromstring(session.get().data_xml.encode())


@pytest.fixture(scope="module")
def running(demo: ServerProcess) -> etree._Element:
    """The <data> of a <get-config> without filter."""
    with demo.connect() as session:
        return etree.fromstring(session.get_config("running").data_xml.encode())


def document(data: etree._Element, path: Path) -> Path:
    """The content of <data> as a file, sibling by sibling, as validators read it: without the streams of RFC 5277,
    whose module the server does not list, since that RFC has none."""
    path.write_bytes(b"".join(etree.tostring(child) for child in data if etree.QName(child).namespace != STREAMS))
    return path


def our_schema(served: Served, schema: Schema) -> Schema:
    """The tests' schema, which must be the server's."""
    assert served.library.findtext(f"{{{LIBRARY}}}module-set-id") == schema.content_id
    return schema


def test_libyang_takes_a_whole_get(served: Served, whole: etree._Element, tmp_path: Path) -> None:
    """Everything the server tells of the site is valid by the schemas that it offers itself."""
    done = served.yanglint("data", document(whole, tmp_path / "whole.xml"))
    assert done.returncode == 0, done.stderr[-3000:]


def test_libyang_takes_the_configuration(served: Served, running: etree._Element, tmp_path: Path) -> None:
    """The whole running configuration is valid, and holds no state."""
    done = served.yanglint("config", document(running, tmp_path / "running.xml"))
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("mode", ["report-all", "report-all-tagged", "trim"])
def test_libyang_takes_defaults(served: Served, demo: ServerProcess, tmp_path: Path, mode: str) -> None:
    """The whole configuration, and all the server tells, are valid with defaults filled in, marked, or left out."""
    with demo.connect() as session:
        for kind, reply in (
            ("config", session.get_config("running", with_defaults=mode)),
            ("data", session.get(with_defaults=mode)),
        ):
            # libyang knows the attribute in the namespace of the module, not in that of RFC 6243 section 6
            text = reply.data_xml.replace(DEFAULT_NS, "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults")
            told = document(etree.fromstring(text.encode()), tmp_path / f"{kind}.xml")
            done = served.yanglint(kind, told)
            assert done.returncode == 0, done.stderr[-3000:]


def test_libyang_takes_operational(served: Served, demo: ServerProcess, tmp_path: Path) -> None:
    """All of the operational datastore is valid with its defaults and origins."""
    asked = (
        '<get-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" '
        'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">'
        "<datastore>ds:operational</datastore><with-origin/></get-data>"
    )
    with demo.connect() as session:
        reply = etree.fromstring(session.dispatch(etree.fromstring(asked)).xml.encode())
    done = served.yanglint("data", document(reply[0], tmp_path / "operational.xml"))
    assert done.returncode == 0, done.stderr[-3000:]


def test_libyang_refuses_what_is_wrong(served: Served, running: etree._Element, tmp_path: Path) -> None:
    """The same check does find a fault: a domain that does not exist."""
    wrong = document(running, tmp_path / "wrong.xml")
    text = wrong.read_text().replace(">lab-power</domain>", ">nowhere</domain>")
    assert "nowhere" in text
    wrong.write_text(text)
    assert served.yanglint("config", wrong).returncode != 0


def test_yangson_takes_the_configuration(served: Served, running: etree._Element) -> None:
    """yangson, with the library and the schemas the server serves, takes the whole running configuration."""
    model = served.yangson()
    let_yangson_validate(model, model.schema, Reader(model).members(running, model.schema), ContentType.config)


def test_our_validator_takes_both(
    served: Served, whole: etree._Element, running: etree._Element, schema: Schema
) -> None:
    """What libyang and yangson take, our own reading and validation take, too."""
    ours = our_schema(served, schema)
    for data, state in ((whole, True), (running, False)):
        errors: list[RpcError] = []
        root = read_inner(parse(etree.tostring(data)), ours.root, ours, state=state, errors=errors)
        assert not errors
        assert not (validate_state if state else validate)(ours, root)


def out_of_order(element: etree._Element, node: SchemaNode) -> Iterator[str]:
    """Where children do not come in the order of the schema, keys first; and entries not side by side."""
    last = -1
    for child in element:
        below = node.by_tag[child.tag]
        if below.order < last:
            yield f"{below.path} after {element[element.index(child) - 1].tag}"
        last = below.order
        if below.kind in {Kind.CONTAINER, Kind.LIST}:
            yield from out_of_order(child, below)
    for key, first in zip(node.keys, element, strict=False):
        if first.tag != key.tag:
            yield f"{key.path} is not the first"


def test_answers_come_in_the_order_of_the_schema(
    served: Served, whole: etree._Element, running: etree._Element, schema: Schema
) -> None:
    """In <get> and <get-config> every node stands where the schema has it, keys first, entries together."""
    ours = our_schema(served, schema)
    assert sorted(set(out_of_order(whole, ours.root))) == []
    assert sorted(set(out_of_order(running, ours.root))) == []


def filled(element: etree._Element, node: SchemaNode) -> Iterator[SchemaNode]:
    """The schema nodes of all leaves below an element."""
    for child in element:
        below = node.by_tag[child.tag]
        if below.kind in {Kind.LEAF, Kind.LEAF_LIST}:
            yield below
        yield from filled(child, below)


@pytest.fixture
def lived_in(tmp_path: Path) -> Iterator[list[etree._Element]]:
    """The <data> of <get> at a site where an operator is at work and a box loses its supply: before, then, after."""
    with run(summer_process(tmp_path / "state")) as server, server.connect() as session:
        yield life(session)


def collect(client: manager.Manager) -> None:
    """Begin a series of each kind of thing, and wait for values."""
    top = "/eman:energy-management"
    hall = one(client, f"{top}/emgrp:domains/emgrp:domain[1]/emgrp:name")
    series = (
        f"<series xmlns='{NS['emser']}' xmlns:t='urn:eman:yang:eman-types'><name>demand</name>"
        "<quantity>t:active-power</quantity><length>5</length></series>"
    )
    edit(client, f"<entity><id>srv-07</id>{series}</entity>")
    for kind, name in (("domain", hall), ("group", "mixed")):
        put(client, f"{kind}s", f"<{kind}><name>{name}</name>{series}</{kind}>")
    for owner in (entity("srv-07"), f"{top}/emgrp:domains/emgrp:domain", f"{top}/emgrp:groups/emgrp:group"):
        newest = f"{owner}/emser:series[emser:name='demand']/emser:newest"
        until(lambda newest=newest: one(client, newest), f"{newest} is there")
    until(lambda: one(client, f"{top}/emser:history/emser:newest"), "the history has begun")


def work(client: manager.Manager) -> None:
    """Announce maintenance of a server with a part and of a group, replace a shelf, and wish for what was just switched
    off to be on, which has to wait; have a battery tested."""
    announced = "<enabled>true</enabled><until>2026-06-24T00:00:00Z</until><reason>new fan</reason>"
    maintenance = f"<maintenance>{announced}<responsible>Ann</responsible></maintenance>"
    slow = "<pacing><min-off-time>3600</min-off-time></pacing>"
    edit(
        client,
        f"<entity><id>srv-12</id>{maintenance}</entity>"
        "<entity><id>srv-12.fan</id><contained-in>srv-12</contained-in></entity>"
        "<entity><id>shelf-2</id><replaces>shelf-1</replaces></entity>" + wishes("off", slow),
    )
    put(client, "groups", f"<group><name>repair</name><member>lamp-07</member>{maintenance}</group>")
    outlet = interface("pdu-b", "outlet-16", "/empi:supply")
    until(lambda: one(client, f"{outlet}/empi:oper-state") == "off", "the outlet is off")
    lamp = state_set("lamp-05", "ieee1621", "/emps:oper-state")
    until(lambda: local(one(client, lamp)) == "ieee1621-off", "the lamp is off")
    edit(client, wishes("on", slow))
    waiting = entity("lamp-05", "/emps:power-state/emps:request/emps:not-before")
    for path in (f"{outlet}/empi:request/empi:not-before", waiting):
        until(lambda path=path: one(client, path), "the wish has to wait")
    try_battery(client, "ups-1", "string-1", "<reason>monthly</reason>")


def wishes(state: str, pacing: str) -> str:
    """Configuration of what a lamp and an outlet are to be, and how often they may change."""
    lamp = f'<admin-state xmlns:s="{NS["emss"]}">s:ieee1621-{state}</admin-state>{pacing}'
    outlet = f"<name>outlet-16</name><supply><admin-state>{state}</admin-state>{pacing}</supply>"
    return (
        f'<entity><id>lamp-05</id><power-state xmlns="{NS["emps"]}">{lamp}</power-state></entity>'
        f'<entity><id>pdu-b</id><power-interface xmlns="{NS["empi"]}">{outlet}</power-interface></entity>'
    )


def put(client: manager.Manager, kinds: str, inside: str) -> None:
    """edit-config of running with domains or groups."""
    client.edit_config(
        target="running",
        config=f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{NS["eman"]}"><{kinds} xmlns="{NS["emgrp"]}">'
        f"{inside}</{kinds}></energy-management></config>",
    )


def life(client: manager.Manager) -> list[etree._Element]:
    answers = []

    def note() -> None:
        answers.append(etree.fromstring(client.get().data_xml.encode()))

    shelf = "".join(
        f"<relationship xmlns='{NS['emrel']}'><type>aggregating</type><peer>{peer}</peer></relationship>"
        for peer in ("lamp-04", "srv-07")
    )
    edit(client, f"<entity><id>shelf-1</id>{shelf}</entity>")
    put(client, "groups", "<group><name>mixed</name><member>lamp-04</member><member>srv-07</member></group>")
    collect(client)
    work(client)
    set_state(client, "srv-07", "dmtf-on", "<hold-time>86400</hold-time><reason>a test</reason>")
    switch(client, "pdu-b", "outlet-15", "on", "<hold-time>86400</hold-time><reason>a test</reason>")
    standing = f'<admin-state xmlns:s="{NS["emss"]}">s:dmtf-on</admin-state>'
    supply = "<name>outlet-15</name><supply><admin-state>on</admin-state></supply>"
    edit(
        client,
        f'<entity><id>pdu-b</id><power-interface xmlns="{NS["empi"]}">{supply}</power-interface></entity>'
        f'<entity><id>srv-07</id><power-state xmlns="{NS["emps"]}">{standing}<power-limit>'
        "<admin-limit>400</admin-limit></power-limit></power-state></entity>",
    )
    until(lambda: one(client, entity("srv-07", "/emps:power-state/emps:power-limit/emps:oper-limit")), "a limit holds")
    lamp = state_set("lamp-04", "ieee1621", "/emps:oper-state")
    for state in ("ieee1621-off", "ieee1621-on"):
        set_state(client, "lamp-04", state)
        until(lambda state=state: local(one(client, lamp)) == state, f"the lamp is {state}")
    note()
    link = "/eman:energy-management/embe:backends/embe:backend[embe:name='gw-1']/embe:link/embe:state"
    missing = "/eman:energy-management/emgrp:groups/emgrp:group[emgrp:name='mixed']/emgrp:power/emgrp:missing"
    switch(client, "pdu-a", "outlet-14", "off", "<accept-collateral>true</accept-collateral>")
    until(lambda: one(client, link) == "backing-off", "the gateway is lost")
    note()
    until(lambda: texts(client, missing), "the lamps are missing from the sum")
    note()
    switch(client, "pdu-a", "outlet-14", "on")
    until(lambda: one(client, link) == "up", "the gateway is back")
    until(lambda: not texts(client, missing), "the lamps are read again")
    note()
    return answers


def test_instrumented(served: Served, whole: etree._Element, lived_in: list[etree._Element], schema: Schema) -> None:
    """Every leaf of state in our models is filled by somebody at the demo site, but for those listed with a reason."""
    ours = our_schema(served, schema)
    met = {node.path for data in (whole, *lived_in) for node in filled(data, ours.root)}
    state = {
        node.path
        for node in ours.root.descendants()
        if not node.config and node.kind in {Kind.LEAF, Kind.LEAF_LIST} and node.module.name.startswith("eman-")
    }
    assert len(state) > 150
    assert sorted(state - met - ABSENT.keys() - SOMETIMES.keys()) == []
    assert sorted((ABSENT.keys() | SOMETIMES.keys()) - state) == [], "no such leaves"
    assert sorted(ABSENT.keys() & met) == [], "filled after all"
