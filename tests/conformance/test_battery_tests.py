"""Over NETCONF: a battery is told to test itself, what comes of it is shown and told, and who may do it is a rule's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    NS,
    ServerProcess,
    all_read,
    edit,
    entity,
    one,
    run,
    summer_process,
    try_battery,
    until,
)

TEST = entity("ups-1", "/embat:battery[embat:name='string-1']/embat:test")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this file's own, twenty times as fast as time."""
    with run(summer_process(tmp_path_factory.mktemp("battery-tests"))) as server:
        yield server


@pytest.fixture
def client(site: ServerProcess) -> Iterator[manager.Manager]:
    with site.connect() as session:
        all_read(session)
        yield session


def test_a_battery_is_tested(client: manager.Manager) -> None:
    """The reply has a number; the wish is reached when the test is seen, and its result is shown and told."""
    assert one(client, f"{TEST}/embat:testable") == "true"
    client.create_subscription()
    reply = try_battery(client, "ups-1", "string-1", "<reason>monthly</reason>")
    number = reply.findtext(f"{{{NS['embat']}}}request-id")
    told = None
    while told is None:
        notification = client.take_notification(timeout=60)
        assert notification is not None, "no battery-tested came"
        told = notification.notification_ele.find(f"{{{NS['embat']}}}battery-tested")
    assert told.findtext(f"{{{NS['embat']}}}result") == "passed"
    assert told.findtext(f"{{{NS['embat']}}}requested-by") == "admin"
    assert one(client, f"{TEST}/embat:result") == "passed"
    assert one(client, f"{TEST}/embat:request/embat:id") == number
    until(lambda: one(client, f"{TEST}/embat:request/embat:status") == "reached", "the wish is reached")


def test_maintenance_keeps_it(client: manager.Manager) -> None:
    """Where people are at work nothing is tested."""
    edit(client, "<entity><id>ups-1</id><maintenance><enabled>true</enabled></maintenance></entity>")
    with pytest.raises(RPCError) as refused:
        try_battery(client, "ups-1", "string-2")
    assert refused.value.app_tag == "in-maintenance"
    edit(client, "<entity><id>ups-1</id><maintenance><enabled>false</enabled></maintenance></entity>")


@pytest.mark.parametrize(("battery", "tag"), [("string-9", "data-missing"), ("string-1", "operation-not-supported")])
def test_what_cannot_be_tested(client: manager.Manager, battery: str, tag: str) -> None:
    """A battery that is not there, or that takes no such order, is refused in a sentence."""
    holder = "ups-1" if tag == "data-missing" else "pdu-a"
    edit(client, f'<entity><id>pdu-a</id><battery xmlns="{NS["embat"]}"><name>string-1</name></battery></entity>')
    with pytest.raises(RPCError) as refused:
        try_battery(client, holder, battery)
    assert refused.value.tag == tag
