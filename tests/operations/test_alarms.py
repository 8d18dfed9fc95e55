"""What operators do with alarms over a session, and the container as they read it (RFC 8632)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eman_netconf.alarms.register import Register
from eman_netconf.energy.conditions import Kind, Severity, Sort, Subject
from eman_netconf.errors import YANG_NS, ErrorTag
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.operations.alarms import AlarmsShown, actions
from eman_netconf.yang.schema import Schema
from tests.alarms.conditions import START as MORNING
from tests.alarms.conditions import UPS, condition
from tests.operations.bench import Bench, bench, body, edit, error
from tests.peer import Peer

AL = "urn:ietf:params:xml:ns:yang:ietf-alarms"
E = "urn:eman:yang:eman-entity"
PREFIXES = f'xmlns:e="{E}" xmlns:b="urn:eman:yang:eman-battery" xmlns:t="urn:eman:yang:eman-alarm"'
BATTERY = "/e:energy-management/e:entities/e:entity[e:id='ups']/b:battery[b:name='b']"
NAS = Subject(Sort.ENTITY, "nas")


@pytest.fixture
def register(schema: Schema) -> Register:
    """A battery that ran low, worse, and is well again; and another one that is old."""
    made = Register(schema)
    for at, severity in enumerate((Severity.MINOR, Severity.CRITICAL)):
        made.judge(UPS, [condition(severity=severity)], lambda _kind, _part: False, MORNING + at)
    made.judge(UPS, [], lambda _kind, _part: False, MORNING + 2)
    old = [condition(Kind.BATTERY_AGING, Severity.WARNING, text, subject=NAS) for text in ("It is old", "Very old")]
    for at, holding in enumerate(old):
        made.judge(NAS, [holding], lambda _kind, _part: False, MORNING + at)
    return made


@pytest.fixture
async def site(tmp_path: Path, schema: Schema, register: Register) -> AsyncIterator[Bench]:
    """A server with the two alarms, and one of the two batteries in its configuration."""
    shown = AlarmsShown(register)
    async with bench(tmp_path / "state", schema, participants=[shown], sources=[shown]) as made:
        made.actions.update(actions(register))
        battery = '<battery xmlns="urn:eman:yang:eman-battery"><name>b</name></battery>'
        entity = f"<entities><entity><id>nas</id>{battery}</entity></entities>"
        reply = await (await made.peer()).rpc(edit(f'<energy-management xmlns="{E}">{entity}</energy-management>'))
        assert reply.ok
        yield made


async def act(peer: Peer, inside: str) -> RpcReply:
    alarms = f'<alarms xmlns="{AL}" {PREFIXES}><alarm-list>{inside}</alarm-list></alarms>'
    return await peer.rpc(f'<action xmlns="{YANG_NS}">{alarms}</action>')


def on(resource: str, kind: Kind, call: str, qualifier: str = "") -> str:
    return (
        f"<alarm><resource>{resource}</resource><alarm-type-id>t:{kind}</alarm-type-id>"
        f"<alarm-type-qualifier>{qualifier}</alarm-type-qualifier>{call}</alarm>"
    )


async def get(peer: Peer, inside: str) -> str:
    return body(await peer.rpc(f'<get><filter type="subtree"><alarms xmlns="{AL}">{inside}</alarms></filter></get>'))


ACK = "<set-operator-state><state>ack</state><text>seen</text></set-operator-state>"


async def test_acknowledge(site: Bench) -> None:
    """Who acknowledges is noted with the words, the resource written with prefixes of his own, and all are told."""
    peer = await site.peer("anna")
    heard = []
    site.server.streams.listeners.append(heard.append)
    reply = await act(peer, on(BATTERY, Kind.BATTERY_LOW, ACK))
    assert reply.ok
    noted = await get(peer, "<alarm-list><alarm><operator-state-change/></alarm></alarm-list>")
    assert "<operator>anna</operator><state>ack</state><text>seen</text>" in noted
    (event,) = heard
    assert event.entity == "ups"
    assert b"<operator-action>" in event.message


@pytest.mark.parametrize(
    ("call", "tag"),
    [
        (on(BATTERY, Kind.BATTERY_TEMPERATURE, ACK), ErrorTag.DATA_MISSING),
        (on(BATTERY, Kind.BATTERY_LOW, ACK, "x"), ErrorTag.DATA_MISSING),
        (on(BATTERY, Kind.BATTERY_LOW, ACK.replace("ack", "shelved")), ErrorTag.INVALID_VALUE),
        (on(BATTERY, Kind.BATTERY_LOW, ACK.replace("seen", "x" * 1025)), ErrorTag.INVALID_VALUE),
        (on(BATTERY, Kind.BATTERY_LOW, "<set-operator-state/>"), ErrorTag.MISSING_ELEMENT),
        ("<purge-alarms/>", ErrorTag.MISSING_ELEMENT),
        ("<compress-alarms><resource>rack1.*</resource></compress-alarms>", ErrorTag.INVALID_VALUE),
        ("<compress-alarms><resource>/none:sense</resource></compress-alarms>", ErrorTag.INVALID_VALUE),
        ("<compress-alarms><resource>1 + 1</resource></compress-alarms>", ErrorTag.INVALID_VALUE),
    ],
)
async def test_refusals(site: Bench, call: str, tag: ErrorTag) -> None:
    """Alarms that are not there, states only a server gives, words without end: each is refused, nothing happens."""
    before = await get(await site.peer(), "")
    assert error(await act(await site.peer(), call)).tag == tag
    assert await get(await site.peer(), "") == before


async def test_purge(site: Bench) -> None:
    """A purge tells how many it took, and they are gone."""
    peer = await site.peer()
    cleared = "<purge-alarms><alarm-clearance-status>cleared</alarm-clearance-status>{}</purge-alarms>"
    young = "<older-than><weeks>1</weeks></older-than>"
    assert body(await act(peer, cleared.format(young))) == "<purged-alarms>0</purged-alarms>"
    closed = "<operator-state-filter><state>closed</state></operator-state-filter>"
    assert body(await act(peer, cleared.format(closed))) == "<purged-alarms>0</purged-alarms>"
    worse = "<severity><above>major</above></severity>"
    assert body(await act(peer, cleared.format(worse))) == "<purged-alarms>1</purged-alarms>"
    assert "<number-of-alarms>1</number-of-alarms>" in await get(peer, "<alarm-list><number-of-alarms/></alarm-list>")


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        ("", 2),
        (f"<resource>{BATTERY}</resource>", 1),
        ("<resource>/e:energy-management/e:entities/e:entity[e:id='nas']//b:battery</resource>", 1),
        ("<resource>/e:energy-management/e:entities/e:entity</resource>", 0),
        ("<alarm-type-id>t:battery-aging</alarm-type-id>", 1),
        ("<alarm-type-id>t:battery-aging</alarm-type-id><alarm-type-qualifier>x</alarm-type-qualifier>", 0),
    ],
)
async def test_compress(site: Bench, register: Register, criteria: str, count: int) -> None:
    """Resources are instances that an XPath selects, or one that is named, which need not be there any more."""
    peer = await site.peer()
    reply = await act(peer, f"<compress-alarms>{criteria}</compress-alarms>")
    assert body(reply) == f"<compressed-alarms>{count}</compressed-alarms>"
    again = await act(peer, f"<compress-alarms>{criteria}</compress-alarms>")
    assert body(again) == "<compressed-alarms>0</compressed-alarms>"


async def test_control(site: Bench, register: Register) -> None:
    """What is configured is in force at once, stands beside the state, and its limits are those of the model."""
    peer = await site.peer()

    def control(inside: str) -> str:
        return edit(f'<alarms xmlns="{AL}"><control>{inside}</control></alarms>')

    assert (await peer.rpc(control("<max-alarm-status-changes>1</max-alarm-status-changes>"))).ok
    assert (await get(peer, "<alarm-list/>")).count("<status-change>") == 2
    told = await get(peer, "<control/>")
    assert "<max-alarm-status-changes>1</max-alarm-status-changes>" in told
    for wrong in ("infinite", "0", "257"):
        reply = await peer.rpc(control(f"<max-alarm-status-changes>{wrong}</max-alarm-status-changes>"))
        assert error(reply).tag == ErrorTag.INVALID_VALUE
    told = "<notify-status-changes>severity-level</notify-status-changes>"
    assert error(await peer.rpc(control(told))).app_tag == "must-violation"
    assert (await peer.rpc(control(f"{told}<notify-severity-level>major</notify-severity-level>"))).ok
    assert register.policy.level is Severity.MAJOR
