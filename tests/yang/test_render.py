"""Trees to XML: exact, complete by itself, and read back as what it was."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.errors import RpcError
from eman_netconf.safexml import parse
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.render import data_bytes, escape, escape_attribute, to_bytes
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, ListNode, Opaque, make_inner
from tests.strategies import _values as values
from tests.strategies import instances

ENTITIES = "/eman-entity:energy-management/entities/entity"


def read(inner: Inner, schema: Schema) -> Inner:
    """What a reader makes of the bytes of ``inner``."""
    parent = b'<parent xmlns="%b">%b</parent>' % (inner.schema.namespace.encode(), to_bytes(inner))
    element = parse(parent)
    if inner.schema.kind not in {Kind.ROOT, Kind.INPUT, Kind.OUTPUT}:
        element = element[0]
    errors: list[RpcError] = []
    back = read_inner(element, inner.schema, schema, errors=errors)
    assert not errors, errors
    return back


def nodes(schema: Schema) -> list[SchemaNode]:
    """Everything that can be printed by itself."""
    found = [schema.root, *schema.notifications.values()]
    for operation in schema.rpcs.values():
        found += operation.children.values()
    for node in schema.root.descendants():
        found += [child for action in node.actions.values() for child in action.children.values()]
    return found


def test_values_of_every_type_can_be_made(schema: Schema) -> None:
    """No test with generated data misses a leaf for want of a sample of its type."""
    leaves = [leaf for node in nodes(schema) for leaf in (node, *node.descendants()) if leaf.type is not None]
    assert len(leaves) > 300
    for leaf in leaves:
        assert leaf.type is not None
        values(leaf.type).validate()


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None, max_examples=200)
@given(data=st.data())
def test_read_what_was_printed(schema: Schema, data: st.DataObject) -> None:
    """Printing and reading gives the same tree: of the datastore, of inputs, outputs and notifications."""
    inner = data.draw(instances(data.draw(st.sampled_from(nodes(schema)))))

    back = read(inner, schema)

    assert back == inner
    assert to_bytes(back) == to_bytes(inner)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None, max_examples=100)
@given(data=st.data())
def test_read_what_was_printed_of_one_entity(schema: Schema, data: st.DataObject) -> None:
    """The same for many nodes of an entity at once."""
    inner = data.draw(instances(schema.find(ENTITIES), width=12, entries=2))

    assert read(inner, schema) == inner


def test_exact_bytes(schema: Schema) -> None:
    """Namespaces stand where the module changes, children in schema order, keys first, values escaped."""
    root = make_inner(
        schema.root,
        {
            "energy-management": {
                "entities": {
                    "entity": [
                        {
                            "importance": 50,
                            "vital": True,
                            "name": "a <b> & \r",
                            "keyword": ["x", "y"],
                            "id": "pdu",
                            "relationship": [{"type": "eman-relationship:powering", "peer": "srv", "reports": ""}],
                        },
                        {"id": "srv"},
                    ]
                }
            },
            "system": {},
        },
    )

    assert to_bytes(root) == (
        b'<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"/>'
        b'<energy-management xmlns="urn:eman:yang:eman-entity"><entities><entity><id>pdu</id>'
        b"<name>a &lt;b&gt; &amp; &#13;</name><keyword>x</keyword><keyword>y</keyword><importance>50</importance>"
        b"<vital>true</vital>"
        b'<relationship xmlns="urn:eman:yang:eman-relationship">'
        b'<type xmlns:emrel="urn:eman:yang:eman-relationship">emrel:powering</type><peer>srv</peer><reports/>'
        b"</relationship></entity><entity><id>srv</id></entity></entities></energy-management>"
    )


def test_data_of_any_kind(schema: Schema) -> None:
    """A leaf, the items of a leaf-list, the entries of a list and opaque content are printed as elements."""
    entity = schema.find(ENTITIES)
    rows = ListNode(entity, {("a",): make_inner(entity, {"id": "a"}), ("b",): make_inner(entity, {"id": "b"})})
    rpc = schema.rpcs["urn:ietf:params:xml:ns:netconf:base:1.0", "get"]

    assert data_bytes(entity.child("name"), "x") == b"<name>x</name>"
    assert data_bytes(entity.child("name"), "") == b"<name/>"
    assert data_bytes(entity.child("keyword"), ("x", "")) == b"<keyword>x</keyword><keyword/>"
    assert data_bytes(entity, rows) == b"<entity><id>a</id></entity><entity><id>b</id></entity>"
    assert data_bytes(entity, ListNode(entity)) == b""
    reply = rpc.child("output").child("data")
    base = b' xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"'
    assert data_bytes(reply, Opaque(b"<x/>")) == b"<data" + base + b"><x/></data>"
    assert data_bytes(reply, Opaque(b"")) == b"<data" + base + b"/>"
    assert to_bytes(Inner(rpc.child("input"))) == b""


def test_bytes_are_remembered(schema: Schema) -> None:
    """A node is printed once; a changed copy prints anew what changed and reuses the rest."""
    root = make_inner(schema.root, {"energy-management": {"entities": {"entity": [{"id": "a"}, {"id": "b"}]}}})
    management = root.at("energy-management")
    assert isinstance(management, Inner)
    rows = root.at("energy-management", "entities", "entity")
    assert isinstance(rows, ListNode)
    assert management.xml() is management.xml()
    first = rows.entries["a",].xml()
    changed = rows.replace(("b",), make_inner(rows.schema, {"id": "b", "name": "n"}))
    assert changed.entries["a",].xml() is first
    assert changed.entries["b",].xml() == b"<entity><id>b</id><name>n</name></entity>"


@pytest.mark.parametrize("text", ["\x00", "\x1b[1m", "\ud800", "\ufffe", "a\x0bb"])
def test_text_that_xml_cannot_hold(schema: Schema, text: str) -> None:
    """A character that XML has no way to write becomes a replacement character; the document stays readable."""
    xml = data_bytes(schema.find(ENTITIES).child("name"), text)

    assert "\ufffd" in parse(xml).text


@given(text=st.text())
def test_escaping(text: str) -> None:
    """Escaped text is read back unchanged, in content and in attributes, where XML can hold it."""
    element = etree.fromstring(b'<a b="%b">%b</a>' % (escape_attribute(text), escape(text)))
    expected = escape(text).decode().replace("&#13;", "\r").replace("&lt;", "<").replace("&gt;", ">")

    assert (element.text or "") == element.get("b") == expected.replace("&amp;", "&")
