"""RFC 6988 section 9.3 asked over NETCONF: what nobody shall control is not there to be asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import NS, edit, one, set_state, switch, texts, try_battery, until
from tests.conformance.installed import Installed, configure_backends, first_read, prepare
from tests.conformance.site import interface, state_set

BOXES = ("feed-b", "pdu-b", "srv-09", "ups-1")
SIMULATED = "urn:eman:yang:eman-backend-simulated"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A server whose bootstrap file leaves out all control."""
    server = prepare(tmp_path_factory.mktemp("read-only"))
    with server.config.open("a") as file:
        file.write("\n[control]\npower-state = false\nsupply = false\nbattery = false\n")
    try:
        server.start()
        with server.connect() as session:
            boxes = (f'<simulated xmlns="{SIMULATED}"><box>{box}</box></simulated>' for box in BOXES)
            entries = (f"<backend><name>{name}</name>{box}</backend>" for name, box in zip(BOXES, boxes, strict=True))
            configure_backends(session, *entries)
            for name in BOXES:
                first_read(session, name)
        yield server
        assert server.end() == 0, server.log.read_text()[-2000:]
    finally:
        server.end(signal.SIGKILL)


@pytest.fixture
def session(read_only: Installed) -> Iterator[manager.Manager]:
    with read_only.connect() as session:
        yield session


@pytest.mark.req("r9.3")
def test_states_and_supply_can_be_read(session: manager.Manager) -> None:
    """Without control a server still observes."""
    supply = interface("pdu-b", "outlet-9", "/empi:supply/empi:oper-state")
    until(lambda: one(session, supply) == "on", "the outlet is on")
    until(lambda: one(session, state_set("srv-09", "ieee1621", "/emps:oper-state")), "the state is known")


@pytest.mark.req("r9.3")
def test_the_actions_are_not_there(session: manager.Manager) -> None:
    """Actions on states, supply and batteries are elements that the schema does not have."""
    for ask in (
        lambda: set_state(session, "srv-09", "ieee1621-off"),
        lambda: switch(session, "pdu-b", "outlet-9", "off"),
        lambda: try_battery(session, "ups-1", "string-1"),
    ):
        with pytest.raises(RPCError) as refused:
            ask()
        assert refused.value.tag == "unknown-element"


@pytest.mark.req("r9.3")
@pytest.mark.parametrize(
    "below",
    [
        '<power-state xmlns="{emps}"><admin-state xmlns:s="{emss}">s:ieee1621-off</admin-state></power-state>',
        '<power-state xmlns="{emps}"><power-limit><admin-limit>100</admin-limit></power-limit></power-state>',
        (
            '<power-interface xmlns="{empi}"><name>outlet-9</name><supply><admin-state>off</admin-state></supply>'
            "</power-interface>"
        ),
    ],
    ids=["state", "limit", "supply"],
)
def test_standing_wishes_are_not_there(session: manager.Manager, below: str) -> None:
    """Nor can configuration wish for anything."""
    with pytest.raises(RPCError) as refused:
        edit(session, f"<entity><id>pdu-b</id>{below.format(**NS)}</entity>")
    assert refused.value.tag == "unknown-element"
    assert "admin-" in refused.value.message


@pytest.mark.req("r9.3")
def test_the_library_tells(session: manager.Manager, client: manager.Manager) -> None:
    """The YANG library of such a server does not list the features; that of any other does."""
    path = "/yl:yang-library/yl:module-set/yl:module/yl:feature"
    sensitive = {"control-power-state", "control-supply", "control-battery"}

    def features(asked: manager.Manager) -> set[str]:
        data = asked.get(filter=("xpath", ({"yl": LIBRARY}, path))).data_ele
        return {leaf.text for leaf in data.iter(f"{{{LIBRARY}}}feature")}

    assert not sensitive & features(session)
    assert sensitive <= features(client)
    assert texts(session, "/eman:energy-management/eman:entities/eman:entity/eman:control") == []
