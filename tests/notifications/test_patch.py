"""Differences as edits of a YANG patch."""

from __future__ import annotations

from hypothesis import given, settings
from lxml import etree

from eman_netconf.notifications.patch import edits, encoded, written
from eman_netconf.yang.diff import diff
from eman_netconf.yang.render import data_bytes
from eman_netconf.yang.tree import Inner
from tests.notifications.subscriber import YP, Subscriber, meaning
from tests.yang.test_diff import SCHEMA, pairs


def parsed(inner: Inner) -> etree._Element:
    content = b"".join(data_bytes(node, data) for node, data in inner.ordered())
    return etree.fromstring(
        b'<push-update xmlns="%b"><datastore-contents>%b</datastore-contents></push-update>' % (YP.encode(), content)
    )


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_who_makes_the_edits_gets_the_new_tree(pair: tuple[Inner, Inner]) -> None:
    """A receiver that holds the one tree and makes the edits of the difference holds the other."""
    old, new = pair
    subscriber = Subscriber(SCHEMA)
    subscriber.take(parsed(old))
    assert subscriber.tree == old
    change = diff(old, new)
    if change is None:
        return
    patch = encoded(7, b"".join(written(edits(change))))
    update = b'<push-change-update xmlns="%b">%b</push-change-update>' % (YP.encode(), patch)
    subscriber.take(etree.fromstring(update))

    assert meaning(subscriber.tree) == meaning(new)
    assert subscriber.patches == ["7"]
