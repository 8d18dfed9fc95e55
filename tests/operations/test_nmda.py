"""get-data, edit-data and the datastores of NMDA over a session (RFC 8526, RFC 8342)."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.energy.values import (
    BatteryInfo,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Inventory,
    LinkState,
    Peer,
    StateInfo,
    StateSetInfo,
)
from eman_netconf.errors import BASE_NS, ErrorTag
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.operations.nmda import NMDA_NS
from eman_netconf.yang.annotated import DEFAULT_NS, ORIGIN_NS
from eman_netconf.yang.schema import Schema
from tests.operations.bench import NAMESPACES, Bench, bench, edit, error
from tests.operations.test_energy import Shell

DS = 'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores" xmlns:or="urn:ietf:params:xml:ns:yang:ietf-origin"'
E = "urn:eman:yang:eman-entity"
PREFIXES = {
    "d": NMDA_NS,
    "e": E,
    "emps": "urn:eman:yang:eman-power-state",
    "empi": "urn:eman:yang:eman-power-interface",
    "emrel": "urn:eman:yang:eman-relationship",
    "emgrp": "urn:eman:yang:eman-group",
    "embat": "urn:eman:yang:eman-battery",
    "embe": "urn:eman:yang:eman-backend",
    "m": "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring",
    "nacm": "urn:ietf:params:xml:ns:yang:ietf-netconf-acm",
}
XMLNS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())

SITE = Inventory(
    (
        EntityInfo("", interfaces=(InterfaceInfo("o1", Direction.OUTLET, connected_to=(Peer("lamp", "in"),)),)),
        EntityInfo("srv", id="srv", name="Server", model="S1", nameplate_power=Decimal(400), state_sets=(
            StateSetInfo("dmtf", (StateInfo("dmtf-on"), StateInfo("dmtf-off-soft")), (), settable=True),
        )),
        EntityInfo("lamp", id="lamp", batteries=(BatteryInfo("b1", "x"),)),
    )
)  # fmt: skip

CONFIGURED = (
    f'<energy-management xmlns="{E}"><entities>'
    "<entity><id>srv</id><role>web</role><vital>false</vital><keyword>k</keyword>"
    '<relationship xmlns="urn:eman:yang:eman-relationship"><type>powered-by</type><peer>pdu</peer></relationship>'
    "</entity><entity><id>spare</id><role>none yet</role></entity>"
    '</entities><groups xmlns="urn:eman:yang:eman-group"><group><name>web</name><match><keyword>k</keyword></match>'
    "</group></groups></energy-management>"
)


def get_data(datastore: str, *parameters: str) -> str:
    asked = f"<datastore>ds:{datastore}</datastore>{''.join(parameters)}"
    return f'<get-data xmlns="{NMDA_NS}" {DS} {XMLNS}>{asked}</get-data>'


def edit_data(datastore: str, config: str, more: str = "") -> str:
    asked = f"<datastore>ds:{datastore}</datastore>{more}<config>{config}</config>"
    return f'<edit-data xmlns="{NMDA_NS}" {DS} xmlns:nc="{BASE_NS}">{asked}</edit-data>'


def by_xpath(path: str) -> str:
    return f"<xpath-filter>{path}</xpath-filter>"


def entities(inside: str = "") -> str:
    entity = f"<entities><entity>{inside}</entity></entities>"
    return f'<subtree-filter><energy-management xmlns="{E}">{entity}</energy-management></subtree-filter>'


def data(reply: RpcReply) -> etree._Element:
    assert reply.ok, reply.errors
    (found,) = reply.element
    assert found.tag == f"{{{NMDA_NS}}}data"
    return found


def texts(reply: RpcReply, path: str) -> list[str]:
    return [node.text or "" for node in data(reply).iterfind(path, PREFIXES)]


def origins(reply: RpcReply, path: str) -> list[str]:
    """The origins of the nodes at a path, their own or from above."""
    found: list[str] = []
    for node in data(reply).iterfind(path, PREFIXES):
        at: etree._Element | None = node
        while at is not None and at.get(f"{{{ORIGIN_NS}}}origin") is None:
            at = at.getparent()
        said = "none" if at is None else str(at.get(f"{{{ORIGIN_NS}}}origin"))
        assert at is None or at.nsmap[said.partition(":")[0]] == ORIGIN_NS
        found.append(said.partition(":")[2] or said)
    return found


IDS = "e:energy-management/e:entities/e:entity/e:id"
ENTITY = "e:energy-management/e:entities/e:entity[e:id='{}']/"


@pytest.fixture
async def site(tmp_path: Path, schema: Schema) -> AsyncIterator[Bench]:
    """A server with a power strip, a server and a lamp, some configuration, and an entity nobody has seen."""
    shell = Shell(schema)
    shell.perform(shell.domain.link("pdu", LinkState.UP, shell.now()))
    shell.perform(shell.domain.inventory("pdu", SITE, shell.now()))
    async with bench(tmp_path / "state", schema, participants=[shell], sources=[shell]) as made:
        assert (await (await made.peer()).rpc(edit(CONFIGURED))).ok
        yield made


async def test_datastores(site: Bench) -> None:
    """Running is what was configured, operational what is there; what was never seen is in the first alone."""
    peer = await site.peer()
    ids = by_xpath("/e:energy-management/e:entities/e:entity/e:id")
    assert texts(await peer.rpc(get_data("running", ids)), IDS) == ["srv", "spare"]
    assert sorted(texts(await peer.rpc(get_data("operational", ids)), IDS)) == ["lamp", "pdu", "srv"]
    assert (await peer.rpc(edit_data("candidate", CONFIGURED.replace("web", "db")))).ok
    role = by_xpath("//e:role")
    assert texts(await peer.rpc(get_data("candidate", role)), ENTITY.format("srv") + "e:role") == ["db"]
    assert texts(await peer.rpc(get_data("running", role)), ENTITY.format("srv") + "e:role") == ["web"]
    assert texts(await peer.rpc(get_data("operational", role)), ENTITY.format("srv") + "e:role") == ["web"]


@pytest.mark.parametrize("datastore", ["startup", "intended", "dynamic", "conventional"])
async def test_datastores_that_are_not_offered(site: Bench, datastore: str) -> None:
    """Naming one is an invalid value, to read and to write (module ietf-netconf-nmda)."""
    peer = await site.peer()
    refused = error(await peer.rpc(get_data(datastore)))
    assert (refused.tag, "operational" in refused.message) == (ErrorTag.INVALID_VALUE, True)
    refused = error(await peer.rpc(edit_data(datastore, CONFIGURED)))
    assert (refused.tag, "operational" in refused.message) == (ErrorTag.INVALID_VALUE, False)


async def test_operational_is_not_written(site: Bench) -> None:
    """edit-data and lock of operational are refused, and so is with-origin of running, as invalid values."""
    peer = await site.peer()
    assert error(await peer.rpc(edit_data("operational", CONFIGURED))).tag == ErrorTag.INVALID_VALUE
    for operation in ("lock", "unlock"):
        target = f'<target><datastore xmlns="{NMDA_NS}">ds:operational</datastore></target>'
        refused = error(await peer.rpc(f"<{operation} {NAMESPACES} {DS}>{target}</{operation}>"))
        assert refused.tag == ErrorTag.INVALID_VALUE
    assert error(await peer.rpc(get_data("running", "<with-origin/>"))).tag == ErrorTag.INVALID_VALUE


async def test_locks_by_the_names_of_nmda(site: Bench) -> None:
    """lock, unlock and validate take a datastore by its identity; it is the lock of the datastore itself."""
    peer, other = await site.peer(), await site.peer()

    def ask(operation: str, parameter: str) -> str:
        named = f'<{parameter}><datastore xmlns="{NMDA_NS}">ds:running</datastore></{parameter}>'
        return f"<{operation} {NAMESPACES} {DS}>{named}</{operation}>"

    assert (await peer.rpc(ask("lock", "target"))).ok
    assert error(await other.rpc(edit(CONFIGURED))).tag == ErrorTag.IN_USE
    assert (await peer.rpc(ask("validate", "source"))).ok
    assert (await peer.rpc(ask("unlock", "target"))).ok
    assert (await other.rpc(edit(CONFIGURED))).ok


async def test_edit_data(site: Bench) -> None:
    """Operations and default operations are those of edit-config; an edit with an error changes nothing."""
    peer = await site.peer()
    spare = f'<energy-management xmlns="{E}"><entities>{{}}</entities></energy-management>'
    role = "<entity><id>spare</id><role>{}</role></entity>"
    assert (await peer.rpc(edit_data("running", spare.format(role.format("stand-by"))))).ok
    bad = spare.format(role.format("no") + "<entity><id>x</id><importance>1000</importance></entity>")
    assert error(await peer.rpc(edit_data("running", bad))).tag == ErrorTag.INVALID_VALUE
    none = "<default-operation>none</default-operation>"
    gone = spare.format('<entity nc:operation="delete"><id>nobody</id></entity>')
    assert error(await peer.rpc(edit_data("running", gone, none))).tag == ErrorTag.DATA_MISSING
    roles = ENTITY.format("spare") + "e:role"
    assert texts(await peer.rpc(get_data("running")), roles) == ["stand-by"]
    replace = "<default-operation>replace</default-operation>"
    assert (await peer.rpc(edit_data("running", spare.format("<entity><id>one</id></entity>"), replace))).ok
    assert texts(await peer.rpc(get_data("running")), IDS) == ["one"]


async def test_origins(site: Bench) -> None:
    """Configured is intended, told by devices is learned, made here is system, not set at all is default."""
    peer = await site.peer()
    reply = await peer.rpc(get_data("operational", "<with-origin/>"))
    srv, lamp, pdu = (ENTITY.format(name) for name in ("srv", "lamp", "pdu"))
    assert origins(reply, "e:energy-management") == ["intended"]
    assert origins(reply, srv + "e:id") == ["intended"]
    assert origins(reply, srv + "e:role") == ["intended"]
    assert origins(reply, srv + "e:vital") == ["intended"]
    assert origins(reply, srv + "e:name") == ["learned"]
    assert origins(reply, srv + "e:nameplate-power") == ["learned"]
    relations = {"powered-by": "intended", "proxied-by": "system"}  # the pdu tells of it, and so speaks for it
    for kind, origin in relations.items():
        assert origins(reply, f"{srv}emrel:relationship[emrel:type='emrel:{kind}']") == [origin]
    assert origins(reply, pdu + "emrel:relationship[emrel:peer='srv']") == ["system", "system"]
    sets = srv + "emps:power-state/emps:set"
    names = [name.rpartition(":")[2] for name in texts(reply, f"{sets}/emps:name")]
    assert dict(zip(names, origins(reply, sets), strict=True)) == {"dmtf": "learned", "ieee1621": "system"}
    assert origins(reply, lamp + "e:id") == ["learned"]
    assert origins(reply, lamp + "e:vital") == ["default"]
    assert origins(reply, lamp + "embat:battery") == ["learned"]
    assert origins(reply, lamp + "empi:power-interface[empi:name='in']") == ["system"]
    assert origins(reply, pdu + "empi:power-interface[empi:name='o1']") == ["learned"]
    assert origins(reply, "e:energy-management/emgrp:groups/emgrp:group/emgrp:member") == ["system"]
    assert origins(reply, "e:energy-management/emgrp:groups/emgrp:group/emgrp:match") == ["intended"]
    assert origins(reply, "nacm:nacm/nacm:enable-nacm") == ["default"]
    assert not [node for node in data(reply).iterfind("m:netconf-state", PREFIXES) if node.attrib]
    for state in ("e:uuid", "embe:backend"):
        assert not [node for node in data(reply).iterfind(srv + state, PREFIXES) if node.attrib]


async def test_filters_by_origin(site: Bench) -> None:
    """Nodes of other origins go; state is not touched by it; both ways to say it select opposite parts."""
    peer = await site.peer()
    wanted = await peer.rpc(get_data("operational", entities(), "<origin-filter>or:intended</origin-filter>"))
    assert texts(wanted, ENTITY.format("srv") + "e:role") == ["web"]
    assert texts(wanted, ENTITY.format("srv") + "e:name") == []
    assert texts(wanted, ENTITY.format("srv") + "embe:backend") == ["pdu"]
    both = "<origin-filter>or:learned</origin-filter><origin-filter>or:system</origin-filter>"
    wanted = await peer.rpc(get_data("operational", entities(), both, "<config-filter>true</config-filter>"))
    assert texts(wanted, ENTITY.format("srv") + "e:role") == []
    assert texts(wanted, ENTITY.format("srv") + "e:name") == ["Server"]
    others = "<negated-origin-filter>or:intended</negated-origin-filter>"
    wanted = await peer.rpc(get_data("operational", entities(), others, "<config-filter>true</config-filter>"))
    assert texts(wanted, ENTITY.format("srv") + "e:role") == []
    assert texts(wanted, ENTITY.format("srv") + "e:name") == ["Server"]
    neither = others + "<origin-filter>or:learned</origin-filter>"
    assert not (await peer.rpc(get_data("operational", neither))).ok
    assert not (await peer.rpc(get_data("running", others))).ok


async def test_configuration_or_state(site: Bench) -> None:
    """config-filter selects one of the two, of the filter's selection."""
    peer = await site.peer()
    state = await peer.rpc(get_data("operational", entities("<id>srv</id>"), "<config-filter>false</config-filter>"))
    assert texts(state, ENTITY.format("srv") + "embe:backend") == ["pdu"]
    assert texts(state, ENTITY.format("srv") + "e:role") == []
    configuration = await peer.rpc(get_data("operational", "<config-filter>true</config-filter>"))
    assert texts(configuration, ENTITY.format("srv") + "embe:backend") == []
    assert texts(configuration, ENTITY.format("srv") + "e:role") == ["web"]
    assert data(configuration).find("m:netconf-state", PREFIXES) is None
    assert len(data(await peer.rpc(get_data("running", "<config-filter>false</config-filter>")))) == 0


async def test_max_depth(site: Bench) -> None:
    """Levels count from what the filter selects; 1 is that alone, and unbounded is all."""
    peer = await site.peer()
    tops = data(await peer.rpc(get_data("running", "<max-depth>1</max-depth>")))
    assert [(node.tag, len(node)) for node in tops] == [(f"{{{E}}}energy-management", 0)]
    asked = "/e:energy-management/e:entities/e:entity[e:id='srv']"
    one = data(await peer.rpc(get_data("running", by_xpath(asked), "<max-depth>1</max-depth>")))
    assert [etree.QName(node).localname for node in one.iter()][1:] == ["energy-management", "entities", "entity", "id"]
    two = await peer.rpc(get_data("running", by_xpath(asked), "<max-depth>2</max-depth>"))
    assert texts(two, ENTITY.format("srv") + "e:role") == ["web"]
    unbounded = await peer.rpc(get_data("running", "<max-depth>unbounded</max-depth>"))
    assert etree.tostring(data(unbounded)) == etree.tostring(data(await peer.rpc(get_data("running"))))
    for wrong in ("0", "65536", "-1", "deep"):
        assert error(await peer.rpc(get_data("running", f"<max-depth>{wrong}</max-depth>"))).tag == "invalid-value"


async def test_defaults_of_operational(site: Bench) -> None:
    """Operational tells the defaults in use unless asked otherwise; running tells them when asked."""
    peer = await site.peer()
    vital = ENTITY.format("lamp") + "e:vital"
    assert texts(await peer.rpc(get_data("operational")), vital) == ["false"]
    for mode, shown in (("report-all", ["false"]), ("report-all-tagged", ["false"]), ("trim", []), ("explicit", [])):
        reply = await peer.rpc(get_data("operational", f"<with-defaults>{mode}</with-defaults>"))
        assert texts(reply, vital) == shown
        tags = [node.get(f"{{{DEFAULT_NS}}}default") for node in data(reply).iterfind(vital, PREFIXES)]
        assert tags == (["true"] if mode == "report-all-tagged" else [None] * len(shown))
    spare = ENTITY.format("spare") + "e:vital"
    assert texts(await peer.rpc(get_data("running")), spare) == []
    everything = "<with-defaults>report-all</with-defaults>"
    assert texts(await peer.rpc(get_data("running", everything)), spare) == ["false"]


async def test_filters_need_nodes(site: Bench) -> None:
    """An expression that selects no nodes fails, and so do two kinds of filter at once."""
    peer = await site.peer()
    assert error(await peer.rpc(get_data("running", by_xpath("count(/*)")))).tag == ErrorTag.INVALID_VALUE
    assert error(await peer.rpc(get_data("running", by_xpath("/e:[")))).tag == ErrorTag.INVALID_VALUE
    assert not (await peer.rpc(get_data("running", by_xpath("/*"), entities()))).ok


async def test_only_what_may_be_read(site: Bench) -> None:
    """What is hidden from a user is not there for the filters of get-data either."""
    peer = await site.peer("somebody")
    nacm = by_xpath("/nacm:nacm")
    assert len(data(await peer.rpc(get_data("operational", nacm, "<with-origin/>")))) == 0


async def test_a_hidden_value_does_not_look_like_a_default(site: Bench) -> None:
    """A leaf that may not be read is not told with its default either, set or not, whatever is asked for."""
    rule = (
        '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups><group><name>g</name>'
        "<user-name>guest</user-name></group></groups><rule-list><name>l</name><group>g</group><rule><name>r</name>"
        f'<path xmlns:e="{E}">/e:energy-management/e:entities/e:entity/e:vital</path>'
        "<access-operations>read</access-operations><action>deny</action></rule></rule-list></nacm>"
    )
    assert (await (await site.peer()).rpc(edit(rule))).ok
    peer = await site.peer("guest")
    for mode in ("report-all", "report-all-tagged", "trim", "explicit"):
        for datastore in ("running", "operational"):
            reply = await peer.rpc(get_data(datastore, f"<with-defaults>{mode}</with-defaults>"))
            assert texts(reply, ENTITY.format("srv") + "e:role") == ["web"]
            assert texts(reply, "e:energy-management/e:entities/e:entity/e:vital") == []


WISHES = {
    "filter": ["", "<subtree-filter/>", entities("<vital>false</vital>"), by_xpath("/"), by_xpath("//*"),
               by_xpath("//e:entity[e:vital='false']"), by_xpath("//emgrp:member | //e:keyword[.='k']")],
    "config": ["", "<config-filter>true</config-filter>", "<config-filter>false</config-filter>"],
    "origin": ["", "<origin-filter>or:system</origin-filter>",
               "<negated-origin-filter>or:default</negated-origin-filter>"],
    "depth": ["", "<max-depth>1</max-depth>", "<max-depth>4</max-depth>"],
    "mode": [f"<with-defaults>{mode}</with-defaults>" for mode in ("report-all-tagged", "trim", "explicit")],
}  # fmt: skip


@pytest.mark.parametrize("filter_", WISHES["filter"])
async def test_all_wishes_at_once(site: Bench, filter_: str) -> None:
    """Every combination of parameters is answered, each with no more than the filter alone selects."""
    peer = await site.peer()

    def kinds(root: etree._Element) -> set[tuple[str, ...]]:
        """The leafs, each as the names on the way to it."""
        return {
            (*(up.tag for up in leaf.iterancestors()), leaf.tag) for leaf in root.iter() if len(leaf) == 0 and leaf.text
        }

    assert (await peer.rpc(get_data("operational"))).ok  # groups find their members when they are first read
    everything = kinds(data(await peer.rpc(get_data("operational", filter_))))
    for config, origin, depth, mode in itertools.product(*list(WISHES.values())[1:]):
        reply = await peer.rpc(get_data("operational", filter_, config, origin, depth, mode, "<with-origin/>"))
        assert kinds(data(reply)) <= everything
