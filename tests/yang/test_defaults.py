"""Defaults in use, filled in and marked (RFC 6243, RFC 7950 sections 7.5 to 7.9)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf import safexml
from eman_netconf.errors import RpcError
from eman_netconf.yang.annotated import DEFAULT_NS, Annotated
from eman_netconf.yang.defaults import Default, Implied, reported
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, ListNode
from eman_netconf.yang.validate import validate
from tests.yang.conftest import Compile
from tests.yang.trees import Grower, probe_schema

SCHEMA = probe_schema()
BODY = """
  container top {
    leaf plain { type string; }
    leaf level { type uint8; default 5; }
    leaf-list colour { type string; default red; default blue; }
    leaf only-high { when "../level > 5"; type string; default high; }
    container inside {
      leaf depth { type uint8; default 1; }
      container deeper { leaf x { type string; } }
    }
    container lid { presence "there is a lid"; leaf shade { type string; default dark; } }
    list item {
      key id;
      leaf id { type string; }
      leaf value { type uint8; default 7; }
    }
    choice way {
      default a;
      case a { leaf slow { type uint8; default 1; } }
      case b { leaf fast { type uint8; default 2; } leaf fuel { type string; } }
    }
    leaf seen { config false; type uint8; default 3; }
  }
"""


@st.composite
def trees(draw: st.DrawFn) -> Inner:
    """A configuration of the probe modules, valid or not."""
    return Grower(draw(st.randoms(use_true_random=False)), density=draw(st.sampled_from((0.2, 0.5)))).inner(SCHEMA.root)


def explicit(inner: Inner) -> Inner:
    """A view without what is there by default."""
    children: dict[SchemaNode, Data] = {}
    for node, data in inner.children.items():
        if isinstance(data, Implied | Default) or (isinstance(data, tuple) and isinstance(data[0], Default)):
            continue
        if isinstance(data, Inner):
            children[node] = explicit(data)
        elif isinstance(data, ListNode):
            children[node] = ListNode(node, {key: explicit(entry) for key, entry in data.entries.items()})
        else:
            children[node] = data
    return Inner(inner.schema, children)


@pytest.mark.parametrize(
    ("given_", "expected"),
    {
        "nothing": (
            "",
            (
                "<level>5</level><colour>red</colour><colour>blue</colour><inside><depth>1</depth></inside>"
                "<slow>1</slow>"
            ),
        ),
        "a value of its own": (
            "<level>4</level>",
            (
                "<level>4</level><colour>red</colour><colour>blue</colour>"
                "<inside><depth>1</depth></inside><slow>1</slow>"
            ),
        ),
        "a condition that holds": (
            "<level>6</level>",
            (
                "<level>6</level><colour>red</colour><colour>blue</colour>"
                "<only-high>high</only-high><inside><depth>1</depth></inside><slow>1</slow>"
            ),
        ),
        "one value of a leaf-list": (
            "<colour>x</colour>",
            ("<level>5</level><colour>x</colour><inside><depth>1</depth></inside><slow>1</slow>"),
        ),
        "presence": (
            "<lid/>",
            (
                "<level>5</level><colour>red</colour><colour>blue</colour>"
                "<inside><depth>1</depth></inside><lid><shade>dark</shade></lid><slow>1</slow>"
            ),
        ),
        "entries": (
            "<item><id>a</id></item><item><id>b</id><value>1</value></item>",
            (
                "<level>5</level><colour>red</colour><colour>blue</colour><inside><depth>1</depth></inside>"
                "<item><id>a</id><value>7</value></item><item><id>b</id><value>1</value></item><slow>1</slow>"
            ),
        ),
        "another case": (
            "<fuel>f</fuel>",
            (
                "<level>5</level><colour>red</colour><colour>blue</colour>"
                "<inside><depth>1</depth></inside><fast>2</fast><fuel>f</fuel>"
            ),
        ),
    }.values(),
)
def test_defaults_in_use(compile_text: Compile, given_: str, expected: str) -> None:
    """Leafs, leaf-lists, the default case or the one chosen, containers without presence, where whens allow."""
    schema = compile_text(BODY)
    errors: list[RpcError] = []
    config = safexml.parse(f'<config xmlns:m="urn:m"><top xmlns="urn:m">{given_}</top></config>'.encode())
    root = read_inner(config, schema.root, schema, errors=errors)
    assert not errors
    shown = Annotated(tagged=False, origins=False).slices(reported(schema, root, state=False))
    assert b"".join(shown).decode() == f'<top xmlns="urn:m">{expected}</top>'
    with_state = reported(schema, root, state=True).at("top")
    assert isinstance(with_state, Inner)
    assert with_state.leaf("seen") == "3"


@given(trees())
@settings(max_examples=150, deadline=None)
def test_report_all_adds_defaults_alone(root: Inner) -> None:
    """What was set is all there; taking the defaults away gives it back; filling in once more adds nothing."""
    full = reported(SCHEMA, root, state=False)
    assert explicit(full) == root
    assert reported(SCHEMA, full, state=False) == full


@given(trees())
@settings(max_examples=150, deadline=None)
def test_defaults_change_no_verdict(root: Inner) -> None:
    """A tree and the same tree with its defaults written are valid, or wrong, alike."""
    full = reported(SCHEMA, root, state=False)
    assert bool(validate(SCHEMA, full)) == bool(validate(SCHEMA, root))


@given(trees())
@settings(max_examples=100, deadline=None)
def test_tags_tell_defaults(root: Inner) -> None:
    """Read back without what is tagged, a tagged answer is what was set; with it, all that is reported."""
    full = reported(SCHEMA, root, state=False)
    text = b"".join(Annotated(tagged=True, origins=False).slices(full))
    document = safexml.parse(b"<config>%b</config>" % text)
    for element in document.iter():
        element.attrib.pop(f"{{{DEFAULT_NS}}}default", None)
    assert parsed(document) == reread(full)
    document = safexml.parse(b"<config>%b</config>" % text)
    for element in list(document.iter()):
        parent = element.getparent()
        if parent is not None and element.get(f"{{{DEFAULT_NS}}}default") == "true":
            parent.remove(element)
    bare = reread(root)
    assert without_empty(parsed(document)) == without_empty(bare)


def parsed(document: etree._Element) -> Inner:
    errors: list[RpcError] = []
    root = read_inner(document, SCHEMA.root, SCHEMA, errors=errors)
    assert not errors, errors
    return root


def reread(root: Inner) -> Inner:
    """A tree as it is read from its bytes."""
    return parsed(safexml.parse(b"<config>%b</config>" % Inner(root.schema, root.children).xml()))


def without_empty(inner: Inner) -> Inner:
    """A tree without containers that are there for nothing."""
    children: dict[SchemaNode, Data] = {}
    for node, data in inner.children.items():
        if isinstance(data, Inner):
            bare = without_empty(data)
            if bare.children or node.presence:
                children[node] = bare
        elif isinstance(data, ListNode):
            children[node] = ListNode(node, {key: without_empty(entry) for key, entry in data.entries.items()})
        else:
            children[node] = data
    return Inner(inner.schema, children)


def test_what_has_no_defaults_is_the_same(compile_text: Compile) -> None:
    """Nodes that gain nothing are the very same nodes, with the bytes they remember; nothing is made unasked."""
    schema = compile_text(
        "container a { leaf x { type string; default d; } container same { leaf y { type string; } } }"
        "container b { leaf z { type string; default e; } }"
    )
    node = schema.find("/m:a")
    same = Inner(node.child("same"), {node.child("same").child("y"): "1"})
    made: list[str] = []

    def make() -> dict[SchemaNode, Data]:
        made.append("b")
        return {}

    late = schema.find("/m:b")
    root = Inner(schema.root, {node: Inner(node, {node.child("same"): same}), late: Late(late, make)})
    full = reported(schema, root, state=False)
    inner = full.children[node]
    assert isinstance(inner, Inner)
    assert inner.children[node.child("same")] is same
    assert made == []
