"""Records of commits: the edit that is written down makes the new tree of the old one, to the byte."""

from __future__ import annotations

from hypothesis import given, settings
from lxml import etree

from eman_netconf import safexml
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.record import STORAGE_NS, record
from eman_netconf.datastore.sharing import share_inner
from eman_netconf.errors import BASE_NS
from eman_netconf.yang.diff import Change, diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.toy import config, tree
from tests.strategies import instances


def replay(schema: Schema, old: Inner, change: Change) -> Inner:
    """What a change makes of a tree after it was written down."""
    text = b"".join(record(change, generation=1, wall=0.0, user="u", session=1))
    found = safexml.parse(text).find(f"{{{BASE_NS}}}config")
    assert found is not None
    return apply_edit(old, found, schema).root


def test_record_is_readable(toy: Schema) -> None:
    """A record says who did what and when, in XML a person can read."""
    old = tree(toy, "<box><name>x</name><sand>1</sand></box>")
    new = apply_edit(old, config('<box><name nc:operation="delete"/><size>2</size></box>'), toy).root
    change = diff(old, new)
    assert change is not None
    text = b"".join(record(change, generation=7, wall=1_700_000_000.25, user='o"p', session=3))
    element = etree.fromstring(text)
    assert element.tag == f"{{{STORAGE_NS}}}commit"
    assert dict(element.attrib) == {
        "generation": "7",
        "time": "2023-11-14T22:13:20.250Z",
        "user": 'o"p',
        "session": "3",
        "changes": "2",
    }
    assert b'<box xmlns="urn:toy"><name nc:operation="remove"/><size>2.0</size></box>' in text


def test_replay_gives_the_new_tree(toy: Schema) -> None:
    """For any two configurations the recorded difference leads from one to the other, orders included."""
    shapes = instances(toy.root, config=True, width=6).map(lambda inner: settled(toy, inner))

    @settings(max_examples=150, deadline=None)
    @given(shapes, shapes)
    def leads(old: Inner, drawn: Inner) -> None:
        new = share_inner(old, drawn)
        change = diff(old, new)
        if change is None:
            assert new.xml() == old.xml()
        else:
            assert replay(toy, old, change).xml() == new.xml()

    leads()


def settled(schema: Schema, inner: Inner) -> Inner:
    """A tree as an edit leaves it: without empty containers that mean nothing."""
    return apply_edit(Inner(schema.root), config(inner.xml().decode()), schema).root
