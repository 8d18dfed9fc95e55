"""The notifications of RFC 6470: what they hold, and that they are valid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.datastore.edit import apply_edit
from eman_netconf.errors import BASE_NS
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.notifications.base import MOST_EDITS, BaseNotifications, Confirming, edits_of
from eman_netconf.yang.diff import Change, diff
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from eman_netconf.yang.validate import validate_notification
from tests.operations.bench import bare

ANN = SessionInfo(7, "ann", "192.0.2.1", 0.0)
EMAN = "urn:eman:yang:eman-entity"


@pytest.fixture
def notes(schema: Schema) -> BaseNotifications:
    return BaseNotifications(schema)


def shown(schema: Schema, made: Inner | None, root: Inner | None = None) -> str:
    """A notification as XML without namespaces, once it has been read and found valid beside the data of ``root``."""
    assert made is not None
    element = etree.fromstring(made.xml())
    errors: list = []
    again = read_inner(element, made.schema, schema, errors=errors)
    assert not errors
    assert again == made
    assert not validate_notification(schema, made, root or Inner(schema.root))
    return bare(element).partition(">")[2].rpartition("</")[0]


def tree(schema: Schema, old: Inner, content: str) -> Inner:
    """``old`` merged with entities."""
    config = etree.fromstring(
        f'<config xmlns="{BASE_NS}" xmlns:nc="{BASE_NS}"><energy-management xmlns="{EMAN}"><entities>{content}'
        "</entities></energy-management></config>"
    )
    return apply_edit(old, config, schema).root


def changed(schema: Schema, before: str, after: str) -> Change:
    old = tree(schema, Inner(schema.root), before)
    change = diff(old, tree(schema, old, after))
    assert change is not None
    return change


def test_sessions(schema: Schema, notes: BaseNotifications) -> None:
    """A session is told with its user, number and address; its end with the reason and who killed it."""
    who = "<username>ann</username><session-id>7</session-id><source-host>192.0.2.1</source-host>"
    assert shown(schema, notes.session_start(ANN)) == who
    assert shown(schema, notes.session_end(ANN, "killed", 3)) == (
        f"{who}<killed-by>3</killed-by><termination-reason>killed</termination-reason>"
    )
    assert shown(schema, notes.session_end(ANN, "dropped", 3)) == (
        f"{who}<termination-reason>dropped</termination-reason>"
    )


@pytest.mark.parametrize(
    ("host", "told"), [("2001:db8::1", "2001:db8::1"), ("", None), ("pipe", None), ("fe80::1%eth0", "fe80::1%eth0")]
)
def test_source_host(schema: Schema, notes: BaseNotifications, host: str, told: str | None) -> None:
    """Only an IP address is told: a session over a Unix socket has none."""
    made = notes.session_start(SessionInfo(7, "ann", host, 0.0))
    assert shown(schema, made)
    assert made.leaf("source-host") == told


def test_config_change(schema: Schema, notes: BaseNotifications) -> None:
    """A commit is told with its author and each edit."""
    change = changed(
        schema,
        "<entity><id>a</id><name>old</name></entity><entity><id>b</id></entity>",
        '<entity><id>a</id><name>new</name></entity><entity nc:operation="delete"><id>b</id></entity>'
        "<entity><id>c</id><name>c</name></entity>",
    )
    named = tree(schema, Inner(schema.root), "".join(f"<entity><id>{id_}</id><name>n</name></entity>" for id_ in "abc"))
    told = shown(schema, notes.config_change(ANN, "running", change), named)
    assert told.startswith("<changed-by><username>ann</username><session-id>7</session-id>")
    assert "<datastore>running</datastore>" in told
    assert edits_of(change) == [
        ("/eman-entity:energy-management/entities/entity[id='a']/name", "merge"),
        ("/eman-entity:energy-management/entities/entity[id='c']", "create"),
        ("/eman-entity:energy-management/entities/entity[id='b']", "delete"),
    ]


def test_change_by_the_server(schema: Schema, notes: BaseNotifications) -> None:
    """What the server does by itself is told as such, and edits that nobody knows are left out."""
    assert shown(schema, notes.config_change(None, "startup", None)) == (
        "<changed-by><server/></changed-by><datastore>startup</datastore>"
    )


@given(count=st.integers(1, 400))
def test_edits_are_bounded(schema: Schema, count: int) -> None:
    """However much changes, the edits are few, and every change is at or below a target."""
    change = changed(
        schema,
        "".join(f"<entity><id>e{number}</id><name>old</name></entity>" for number in range(count)),
        "".join(f"<entity><id>e{number}</id><name>new</name></entity>" for number in range(count)),
    )
    edits = edits_of(change)
    assert len(edits) <= MOST_EDITS
    assert (
        len(edits) == count if count <= MOST_EDITS else edits == [("/eman-entity:energy-management/entities", "merge")]
    )


def test_capability_change(schema: Schema, notes: BaseNotifications) -> None:
    """What is announced anew, no more, or with other parameters is told; nothing is told of nothing."""
    made = notes.capability_change(None, ["urn:a", "urn:b?x=1", "urn:c"], ["urn:b?x=2", "urn:c", "urn:d"])
    assert shown(schema, made) == (
        "<changed-by><server/></changed-by><added-capability>urn:d</added-capability>"
        "<deleted-capability>urn:a</deleted-capability><modified-capability>urn:b?x=2</modified-capability>"
    )
    assert notes.capability_change(ANN, ["urn:a", "urn:b"], ["urn:b", "urn:a"]) is None


@pytest.mark.parametrize("event", Confirming)
def test_confirmed_commit(schema: Schema, notes: BaseNotifications, event: Confirming) -> None:
    """What becomes of a confirmed commit is told; at a timeout nobody did it, and only a wait has seconds."""
    timed = event in (Confirming.START, Confirming.EXTEND)
    told = shown(schema, notes.confirmed_commit(ANN, event, 600 if timed else None))
    assert told.endswith(f"<confirm-event>{event}</confirm-event>{'<timeout>600</timeout>' if timed else ''}")
    assert ("ann" in told) == (event is not Confirming.TIMEOUT)
    assert shown(schema, notes.confirmed_commit(None, event))
