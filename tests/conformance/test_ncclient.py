"""ncclient's own calls for the candidate, commits on trial, defaults and notifications, on a server of this file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import EMAN, SharedSite, demo_process, entity, one, shared, until
from tests.conformance.talking import BASE

DEFAULTS = "urn:ietf:params:xml:ns:netconf:default:1.0"
CHANGED = "{urn:ietf:params:xml:ns:yang:ietf-netconf-notifications}netconf-config-change"
ROLE = entity("srv-05", "/eman:role")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    yield from shared(demo_process(tmp_path_factory.mktemp("ncclient") / "state"))


@pytest.fixture
def client(site: SharedSite) -> Iterator[manager.Manager]:
    """A session that in the end puts the configuration back."""
    with site.client() as session:
        yield session
        session.discard_changes()


@pytest.fixture
def other(site: SharedSite) -> Iterator[manager.Manager]:
    with site.server.connect() as session:
        yield session


def role(text: str) -> str:
    """A <config> that gives srv-05 a role."""
    return (
        f'<config xmlns="{BASE}"><energy-management xmlns="{EMAN}"><entities><entity><id>srv-05</id>'
        f"<role>{text}</role></entity></entities></energy-management></config>"
    )


@pytest.mark.req("rfc6241-8.3.4.1", "rfc6241-8.3.4.2", "rfc6241-8.3.5.1")
@pytest.mark.req("rfc6241-8.3")
def test_candidate(client: manager.Manager, other: manager.Manager) -> None:
    """What is edited under the lock is seen by nobody in running until it is committed; discarded it is gone."""
    text = uuid.uuid4().hex
    with client.locked("candidate"):
        client.edit_config(target="candidate", config=role(text))
        client.validate("candidate")
        assert one(other, ROLE) != text
        with pytest.raises(RPCError) as refused:
            other.edit_config(target="candidate", config=role("in between"))
        assert refused.value.tag == "in-use"
        client.commit()
        assert one(other, ROLE) == text
        client.edit_config(target="candidate", config=role("discarded"))
        client.discard_changes()
        client.commit()
        assert one(other, ROLE) == text


@pytest.mark.req("rfc6241-8.3.5.2")
@pytest.mark.req("rfc6241-8.3")
def test_unlocking_forgets(client: manager.Manager, other: manager.Manager) -> None:
    """What was edited and not committed when the lock is given back is not there for the next one."""
    with client.locked("candidate"):
        client.edit_config(target="candidate", config=role("forgotten"))
    assert other.get_config("candidate").data_xml == other.get_config("running").data_xml


@pytest.mark.req("rfc6241-8.4.4.1", "rfc6241-8.4.5.1")
@pytest.mark.req("rfc6241-8.4")
def test_commit_on_trial(client: manager.Manager, other: manager.Manager) -> None:
    """A confirmed commit is in force at once; canceled it is undone, confirmed by a second commit it stays."""
    before, text = one(client, ROLE), uuid.uuid4().hex
    client.edit_config(target="candidate", config=role(text))
    client.commit(confirmed=True, timeout="3600")
    assert one(other, ROLE) == text
    client.cancel_commit()
    assert one(other, ROLE) == before
    client.edit_config(target="candidate", config=role(text))
    client.commit(confirmed=True, timeout="3600")
    client.commit()
    with pytest.raises(RPCError):
        client.cancel_commit()
    assert one(other, ROLE) == text


@pytest.mark.req("rfc6241-8.4.5.1")
@pytest.mark.req("rfc6241-8.4")
def test_trial_that_nobody_confirms(client: manager.Manager, other: manager.Manager) -> None:
    """Without confirmation the configuration from before is back, when the time is over or the session has ended."""
    before = one(other, ROLE)
    client.edit_config(target="candidate", config=role("for a second"))
    client.commit(confirmed=True, timeout="1")
    until(lambda: one(other, ROLE) == before, "the commit is undone")


@pytest.mark.req("rfc6241-8.4.5.1")
@pytest.mark.req("rfc6241-8.4")
def test_trial_of_a_session_that_ends(site: SharedSite, client: manager.Manager) -> None:
    """A session that ends takes its trial with it; one that persists is confirmed by whoever has its name."""
    before, text = one(client, ROLE), uuid.uuid4().hex
    with site.server.connect() as passing:
        passing.edit_config(target="candidate", config=role("passing"))
        passing.commit(confirmed=True, timeout="3600")
    until(lambda: one(client, ROLE) == before, "the commit is undone")
    client.discard_changes()
    with site.server.connect() as passing:
        passing.edit_config(target="candidate", config=role(text))
        passing.commit(confirmed=True, timeout="3600", persist="by name")
    with pytest.raises(RPCError):
        client.commit(persist_id="another name")
    client.commit(persist_id="by name")
    assert one(client, ROLE) == text


@pytest.mark.req("rfc6243-4.5.1", "rfc6243-3.1", "rfc6243-3.2", "rfc6243-3.4")
def test_defaults(client: manager.Manager) -> None:
    """with-defaults is offered and heeded: all, none, or all with those marked that are defaults."""
    told = {mode: client.get_config("running", with_defaults=mode).data_ele for mode in ("report-all", "trim")}
    assert len(list(told["report-all"].iter())) > len(list(told["trim"].iter()))
    tagged = client.get_config("running", with_defaults="report-all-tagged").data_ele
    marked = [node for node in tagged.iter() if node.get(f"{{{DEFAULTS}}}default") == "true"]
    assert marked
    assert len(list(tagged.iter())) == len(list(told["report-all"].iter()))


@pytest.mark.req("rfc5277-3.6", "rfc5277-3.7", "rfc5277-6")
@pytest.mark.req("rfc5277-2.1", "rfc6470-2")
def test_notifications(client: manager.Manager, other: manager.Manager) -> None:
    """A session that subscribed is told of another's commit, filtered as it asked, and can go on with requests."""
    client.create_subscription(
        filter=("subtree", f'<{etree.QName(CHANGED).localname} xmlns="{etree.QName(CHANGED).namespace}"/>')
    )
    other.edit_config(target="candidate", config=role(uuid.uuid4().hex))
    other.commit()
    heard = client.take_notification(timeout=120)
    assert heard is not None
    (change,) = heard.notification_ele.iter(CHANGED)
    assert change.findtext(".//{*}changed-by/{*}session-id") == other.session_id
    assert one(client, ROLE)
