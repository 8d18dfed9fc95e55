"""What the server counts and tells of its sessions and schemas (RFC 6022), asked over SSH."""

from __future__ import annotations

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import ServerProcess, until
from tests.conformance.site import leaves
from tests.conformance.talking import BASE, BASE_1_1, MONITORING, Asyncssh

COUNTERS = ("in-rpcs", "in-bad-rpcs", "out-rpc-errors", "out-notifications")


def state(client: manager.Manager, part: str) -> etree._Element:
    asked = f'<netconf-state xmlns="{MONITORING}"><{part}/></netconf-state>'
    found = client.get(filter=("subtree", asked)).data_ele.find(f".//{{{MONITORING}}}{part}")
    assert found is not None
    return found


def counted(element: etree._Element) -> list[int]:
    said = leaves(element)
    return [int(said[name]) for name in COUNTERS]


def of_session(client: manager.Manager, number: str) -> list[int]:
    """The counters of one session."""
    each = state(client, "sessions").iter(f"{{{MONITORING}}}session")
    (mine,) = (session for session in each if leaves(session)["session-id"] == number)
    return counted(mine)


@pytest.mark.req("rfc6022-2.1.4", "rfc6022-2.1.5")
def test_what_a_session_sends_is_counted(demo: ServerProcess, client: manager.Manager) -> None:
    """Requests that are done, that are no requests, and that end in errors: for the session and for all together."""
    before = counted(state(client, "statistics"))
    other = Asyncssh(demo)
    try:
        mine = "/m:netconf-state/m:sessions/m:session/m:session-id"
        asked = f'<filter type="xpath" xmlns:m="{MONITORING}" select="{mine}"/>'
        listed = other.rpc(f"<get>{asked}</get>").iter(f"{{{MONITORING}}}session-id")
        number = max((node.text or "" for node in listed), key=int)
        start = of_session(client, number)
        other.rpc("<get-config><source><running/></source><filter/></get-config>")
        other.rpc("<unlock><target><running/></target></unlock>")
        other.tell(f'<rpc xmlns="{BASE}"><get/></rpc>')
        other.hear()
        now = of_session(client, number)
        assert [new - old for new, old in zip(now, start, strict=True)] == [2, 1, 2, 0]
        after = counted(state(client, "statistics"))
        assert all(new - old >= more for new, old, more in zip(after, before, (3, 1, 2, 0), strict=True))
    finally:
        other.close()


@pytest.mark.req("rfc6022-2.1.5")
def test_sessions_that_fail_are_counted(demo: ServerProcess, client: manager.Manager) -> None:
    """A hello that is none and a session that just goes away."""
    before = leaves(state(client, "statistics"))
    bad = Asyncssh(demo, ("urn:nothing",))
    bad.close()
    gone = Asyncssh(demo)
    gone.close()

    def told(name: str) -> int:
        return int(leaves(state(client, "statistics"))[name]) - int(before[name])

    until(lambda: told("in-bad-hellos") >= 1, "the bad hello is counted")
    until(lambda: told("dropped-sessions") >= 1, "the session that went away is counted")
    assert told("in-sessions") >= 1


@pytest.mark.req("rfc6022-2.1.3", "rfc6022-3.1")
def test_get_schema_refuses(client: manager.Manager) -> None:
    """A name, version or format there is not is an invalid value; a name with several versions needs one of them."""
    for parameters in (("nobody", None, None), ("eman-entity", "1999-01-01", None), ("eman-entity", None, "yin")):
        with pytest.raises(RPCError) as refused:
            client.get_schema(*parameters)
        assert refused.value.tag == "invalid-value"
    listed = [leaves(schema) for schema in state(client, "schemas").iter(f"{{{MONITORING}}}schema")]
    assert all(schema["format"].endswith("yang") and schema["location"] == "NETCONF" for schema in listed)
    assert BASE_1_1 in {node.text for node in state(client, "capabilities")}
