"""The energy actions over a session: what is wished, what devices answer, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from lxml import etree

from eman_netconf.energy.domain import Domain
from eman_netconf.energy.effects import Answered, Effect, Send
from eman_netconf.energy.values import (
    Command,
    Direction,
    EntityInfo,
    InterfaceInfo,
    Inventory,
    LinkState,
    Now,
    Outcome,
    StateInfo,
    StateSetInfo,
)
from eman_netconf.energy.values import (
    Peer as Load,
)
from eman_netconf.errors import YANG_NS, ErrorTag
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.operations.energy import actions
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner
from tests.operations.bench import START, Bench, bench, body, edit, error
from tests.peer import Peer

E = "urn:eman:yang:eman-entity"
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
S = 'xmlns:s="urn:eman:yang:eman-power-state-set"'


class Shell:
    """Carries out what the energy core asks for; each device answers as told, accepting unless told otherwise."""

    def __init__(self, schema: Schema) -> None:
        self.domain = Domain(schema, new_uuid=lambda name: str(uuid5(NAMESPACE_URL, name)))
        self.sent: list[tuple[str, str, object]] = []
        self.answers: dict[str, tuple[Outcome, str | None]] = {}
        self.known = {"pdu"}
        self._waiting: dict[int, asyncio.Future[Answered]] = {}

    def now(self) -> Now:
        return Now(START, 1000.0)

    def answer(self, request: int) -> Awaitable[Answered]:
        return self._waiting.setdefault(request, asyncio.get_running_loop().create_future())

    def rediscover(self, backend: str) -> bool:
        return backend in self.known

    def perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                asyncio.get_running_loop().call_soon(self._act, effect.command)
            elif isinstance(effect, Answered) and effect.request in self._waiting:
                self._waiting.pop(effect.request).set_result(effect)

    def _act(self, command: Command) -> None:
        place = command.point.interface or command.point.entity
        self.sent.append((command.backend, place, command.value))
        outcome, reason = self.answers.get(place, (Outcome.ACCEPTED, None))
        self.perform(self.domain.outcome(command.id, outcome, self.now(), reason))

    def prepare(self, change: Change, new: Inner) -> None:
        self.domain.prepare(change, new)

    def apply(self, change: Change, new: Inner) -> None:
        self.perform(self.domain.configure(change, new, self.now()))

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        merged = self.domain.operational(running, self.now())
        return [(merged.schema, merged)]


DMTF = StateSetInfo(
    "dmtf", (StateInfo("dmtf-on"), StateInfo("dmtf-off-soft")), ("dmtf-power-cycle-off-soft",), settable=True
)


def outlet(name: str, load: str) -> InterfaceInfo:
    return InterfaceInfo(name, Direction.OUTLET, switchable=True, connected_to=(Load(load, "in"),))


SITE = Inventory(
    (
        EntityInfo("", interfaces=(outlet("o1", "lamp"), outlet("o2", "fan"), outlet("o3", "fan"))),
        EntityInfo("srv", id="srv", state_sets=(DMTF,)),
        EntityInfo("lamp", id="lamp", interfaces=(InterfaceInfo("in", Direction.INLET),)),
        EntityInfo("fan", id="fan", interfaces=(InterfaceInfo("in", Direction.INLET),)),
    )
)


@pytest.fixture
async def shell(schema: Schema) -> Shell:
    made = Shell(schema)
    made.perform(made.domain.link("pdu", LinkState.UP, made.now()))
    made.perform(made.domain.inventory("pdu", SITE, made.now()))
    return made


@pytest.fixture
async def site(tmp_path: Path, schema: Schema, shell: Shell) -> AsyncIterator[Bench]:
    """A server with a power strip, a server that takes states, and two loads."""
    async with bench(tmp_path / "state", schema, participants=[shell], sources=[shell]) as made:
        made.actions.update(actions(shell))
        yield made


def managed(inside: str) -> str:
    return f'<energy-management xmlns="{E}">{inside}</energy-management>'


async def act(peer: Peer, inside: str) -> RpcReply:
    return await peer.rpc(f'<action xmlns="{YANG_NS}">{managed(inside)}</action>')


def leaves(element: Any) -> dict[str, str | None]:
    """The leaves of an output by name."""
    return {etree.QName(child).localname: child.text for child in element}


def state(entity: str, wish: str) -> str:
    call = f'<set-power-state xmlns="urn:eman:yang:eman-power-state">{wish}</set-power-state>'
    return f"<entities><entity><id>{entity}</id><control>{call}</control></entity></entities>"


def supply(name: str, call: str) -> str:
    interface = f'<power-interface xmlns="urn:eman:yang:eman-power-interface"><name>{name}</name>'
    return f"<entities><entity><id>pdu</id>{interface}<control>{call}</control></power-interface></entity></entities>"


OFF = f"<state {S}>s:dmtf-off-soft</state>"


async def test_set_power_state(site: Bench, shell: Shell) -> None:
    """A state is sent to the device, and the reply tells the request and what is wanted; running stays as it is."""
    reply = await act(await site.peer(), state("srv", OFF + "<reason>night</reason>"))
    assert shell.sent == [("pdu", "srv", "dmtf-off-soft")]
    assert leaves(reply.element) == {"request-id": "1", "admin-state": "emss:dmtf-off-soft"}
    assert site.datastores.generation == 0
    request = shell.domain.request(1)
    assert request is not None
    assert request.state == "eman-power-state-set:dmtf-off-soft"


async def test_release(site: Bench, shell: Shell) -> None:
    """A momentary wish is given back; nothing is wanted then."""
    peer = await site.peer()
    await act(peer, state("srv", OFF))
    reply = await act(peer, state("srv", "<release/>"))
    assert body(reply) == "<request-id>2</request-id>"
    await act(peer, supply("o1", "<switch-supply><state>off</state></switch-supply>"))
    reply = await act(peer, supply("o1", "<switch-supply><release/></switch-supply>"))
    assert body(reply) == "<request-id>4</request-id>"
    assert len(shell.sent) == 2


async def test_transition(site: Bench, shell: Shell) -> None:
    """A transition is sent as such and leaves no wish behind."""
    reply = await act(await site.peer(), state("srv", f"<transition {S}>s:dmtf-power-cycle-off-soft</transition>"))
    assert body(reply) == "<request-id>1</request-id>"
    assert shell.sent == [("pdu", "srv", "dmtf-power-cycle-off-soft")]


async def test_switch_supply(site: Bench, shell: Shell) -> None:
    """An outlet is switched, and the reply names whose supply changes."""
    call = "<switch-supply><state>off</state></switch-supply>"
    reply = await act(await site.peer(), supply("o1", call))
    assert [child.text for child in reply.element] == ["1", "lamp"]
    assert shell.sent == [("pdu", "o1", "off")]


async def test_cycle_supply(site: Bench, shell: Shell) -> None:
    """An outlet is cycled: off at once, on when its time has come."""
    reply = await act(await site.peer(), supply("o1", "<cycle-supply/>"))
    assert reply.ok
    assert shell.sent == [("pdu", "o1", "off")]
    shell.perform(shell.domain.timer(Now(START + 11, 1011.0)))
    await asyncio.sleep(0)
    assert shell.sent[1:] == [("pdu", "o1", "on")]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [(Outcome.REFUSED, "too hot"), (Outcome.UNAVAILABLE, "not accepted"), (Outcome.UNKNOWN, "nobody knows")],
)
async def test_device_that_does_not_accept(site: Bench, shell: Shell, outcome: Outcome, words: str) -> None:
    """When a device refuses, is away or does not answer, the reply is an error that says so with the request."""
    shell.answers["srv"] = (outcome, "too hot")
    found = error(await act(await site.peer(), state("srv", OFF)))
    assert found.tag == ErrorTag.OPERATION_FAILED
    assert words in found.message
    assert "Request 1" in found.message


async def test_refusals(site: Bench, shell: Shell) -> None:
    """What cannot be or must not be is refused before anything is sent, with the reason and its tag."""
    peer = await site.peer()
    refused = {
        state("srv", f"<state {S}>s:acpi-s3</state>"): (ErrorTag.INVALID_VALUE, "state-not-supported"),
        state("srv", "<power-limit>10</power-limit>"): (ErrorTag.OPERATION_NOT_SUPPORTED, None),
        state("srv", "<nameplate-percent>10</nameplate-percent>"): (ErrorTag.OPERATION_FAILED, None),
        state("nobody", OFF): (ErrorTag.DATA_MISSING, None),
        state("srv", ""): (ErrorTag.MISSING_ELEMENT, "missing-choice"),
        state("srv", OFF + "<release/>"): (ErrorTag.BAD_ELEMENT, None),
        state("srv", f"<state {S}>s:dmtf-power-cycle-off-soft</state>"): (ErrorTag.INVALID_VALUE, None),
        supply("o9", "<switch-supply><state>off</state></switch-supply>"): (ErrorTag.DATA_MISSING, None),
        supply("o1", "<switch-supply><state>half</state></switch-supply>"): (ErrorTag.INVALID_VALUE, None),
        supply("o1", "<switch-supply/>"): (ErrorTag.MISSING_ELEMENT, "missing-choice"),
        supply("o1", "<switch-supply><state>on</state><release/></switch-supply>"): (ErrorTag.BAD_ELEMENT, None),
    }
    for inside, expected in refused.items():
        found = error(await act(peer, inside))
        assert (found.tag, found.app_tag) == expected, inside
    assert shell.sent == []


async def test_vital_entities_are_guarded(site: Bench, shell: Shell) -> None:
    """The supply of a vital entity is not cut, whoever asks."""
    peer = await site.peer()
    mark = managed("<entities><entity><id>lamp</id><vital>true</vital></entity></entities>")
    assert (await peer.rpc(edit(mark))).ok
    call = "<switch-supply><state>off</state><accept-collateral>true</accept-collateral></switch-supply>"
    found = error(await act(peer, supply("o1", call)))
    assert found.tag == ErrorTag.OPERATION_FAILED
    assert "lamp" in found.message
    assert shell.sent == []


GROUP = '<groups xmlns="urn:eman:yang:eman-group"><group><name>all</name>{}</group></groups>'


async def test_group(site: Bench, shell: Shell) -> None:
    """Each member of a group answers for itself."""
    peer = await site.peer()
    members = "<member>srv</member><member>lamp</member><member>fan</member>"
    assert (await peer.rpc(edit(managed(GROUP.format(members))))).ok
    shell.answers["o1"] = (Outcome.REFUSED, "the outlet is locked")
    call = f"<control><set-power-state><state {S}>s:ieee1621-off</state></set-power-state></control>"
    reply = await act(peer, GROUP.format(call))
    found = {result[0].text: leaves(result) for result in reply.element}
    assert {name: result["outcome"] for name, result in found.items()} == {
        "srv": "accepted",
        "lamp": "refused",
        "fan": "accepted",
    }
    assert "locked" in found["lamp"]["reason"]
    assert {result["request-id"] for result in found.values()} == {"1", "2", "3"}
    assert sorted(shell.sent) == [
        ("pdu", "o1", "off"),
        ("pdu", "o2", "off"),
        ("pdu", "o3", "off"),
        ("pdu", "srv", "dmtf-off-soft"),
    ]


async def test_group_member_that_cannot(site: Bench, shell: Shell) -> None:
    """A member that cannot go into the state is refused by name and reason, and nothing is sent to it."""
    peer = await site.peer()
    members = "<member>srv</member><member>lamp</member>"
    assert (await peer.rpc(edit(managed(GROUP.format(members))))).ok
    call = f"<control><set-power-state><state {S}>s:dmtf-sleep-light</state></set-power-state></control>"
    reply = await act(peer, GROUP.format(call))
    found = {result[0].text: leaves(result) for result in reply.element}
    assert {name: result["outcome"] for name, result in found.items()} == {"srv": "refused", "lamp": "refused"}
    assert all("request-id" not in result and result["reason"] for result in found.values())
    assert shell.sent == []


async def test_rediscover(site: Bench, shell: Shell) -> None:
    """A backend at work takes its inventory anew; one that is not says so."""
    peer = await site.peer()
    backend = '<backends xmlns="urn:eman:yang:eman-backend"><backend><name>{}</name>{}</backend></backends>'
    simulated = (
        '<simulated xmlns="urn:eman:yang:eman-backend-simulated"><scenario>demo</scenario><box>x</box></simulated>'
    )
    for name in ("pdu", "idle"):
        config = backend.format(name, simulated)
        assert (await peer.rpc(edit(managed(config)))).ok
    call = "<control><rediscover/></control>"
    assert body(await act(peer, backend.format("pdu", call))) == "<ok/>"
    assert error(await act(peer, backend.format("idle", call))).tag == ErrorTag.OPERATION_FAILED
    assert error(await act(peer, backend.format("none", call))).tag == ErrorTag.DATA_MISSING


async def test_others_may_not_control(site: Bench, shell: Shell) -> None:
    """Whom no rule permits it may not act on anything."""
    assert error(await act(await site.peer("somebody"), state("srv", OFF))).tag == ErrorTag.ACCESS_DENIED
    assert shell.sent == []


def rule(name: str, below: str) -> str:
    """A rule that lets the group ops read and call what is below an entity's path."""
    place = f"/e:energy-management/e:entities/e:entity{below}"
    return (
        f"<rule><name>{name}</name><access-operations>read exec</access-operations><action>permit</action>"
        f'<path xmlns:e="{E}" xmlns:p="urn:eman:yang:eman-power-interface">{place}</path></rule>'
    )


def rules(*each: str) -> str:
    return (
        f'<nacm xmlns="{ACM}"><groups><group><name>ops</name><user-name>bob</user-name></group></groups>'
        f"<rule-list><name>ops</name><group>ops</group>{''.join(each)}</rule-list></nacm>"
    )


async def test_outlets_are_judged_for_themselves(site: Bench, shell: Shell) -> None:
    """Who may control a lamp, but not the outlet it hangs on, cannot have it switched; with a rule for both he can."""
    admin, bob = await site.peer(), await site.peer("bob")
    off = state("lamp", f"<state {S}>s:ieee1621-off</state>")
    lamp = rule("lamp", "[e:id='lamp']/e:control")
    assert (await admin.rpc(edit(rules(lamp)))).ok
    denied = error(await act(bob, off))
    assert denied.tag == ErrorTag.ACCESS_DENIED
    assert "power-interface" in str(denied.path)
    assert shell.sent == []
    outlet = rule("outlet", "[e:id='pdu']/p:power-interface[p:name='o1']/p:control")
    assert (await admin.rpc(edit(rules(outlet)))).ok
    assert (await act(bob, off)).ok
    assert shell.sent == [("pdu", "o1", "off")]


async def test_too_early_says_when(site: Bench, shell: Shell) -> None:
    """The error holds the seconds to wait, for machines, and the time, for people; of a group each member's."""
    peer = await site.peer()
    pacing = "<pacing><min-off-time>300</min-off-time></pacing>"
    limited = (
        '<entities><entity><id>pdu</id><power-interface xmlns="urn:eman:yang:eman-power-interface"><name>o1</name>'
        f"<supply>{pacing}</supply></power-interface></entity></entities>"
    )
    members = "<member>srv</member><member>lamp</member>"
    assert (await peer.rpc(edit(managed(limited + GROUP.format(members))))).ok
    assert (await act(peer, supply("o1", "<switch-supply><state>off</state></switch-supply>"))).ok
    refused = error(await act(peer, supply("o1", "<switch-supply><state>on</state></switch-supply>")))
    assert (refused.tag, refused.app_tag) == (ErrorTag.OPERATION_FAILED, "too-early")
    assert [(info.name, info.value, info.namespace) for info in refused.info] == [("retry-after", "300.0", E)]
    assert "may be switched on again from" in refused.message
    call = f"<control><set-power-state><state {S}>s:ieee1621-on</state></set-power-state></control>"
    reply = await act(peer, GROUP.format(call))
    found = {result[0].text: leaves(result) for result in reply.element}
    assert (found["lamp"]["outcome"], found["lamp"]["retry-after"]) == ("refused", "300.0")
    assert found["srv"]["outcome"] == "accepted"


async def test_maintenance_refuses_everybody(site: Bench, shell: Shell) -> None:
    """Also the administrator, with a tag and who is at work; a commit ends it."""
    peer = await site.peer()
    entity = (
        "<entities><entity><id>lamp</id><maintenance><enabled>{}</enabled><responsible>Ann</responsible></maintenance>"
    )
    assert (await peer.rpc(edit(managed(f"{entity.format('true')}</entity></entities>")))).ok
    off = supply("o1", "<switch-supply><state>off</state></switch-supply>")
    refused = error(await act(peer, off))
    assert (refused.tag, refused.app_tag) == (ErrorTag.OPERATION_FAILED, "in-maintenance")
    assert "responsible is Ann" in refused.message
    assert (await peer.rpc(edit(managed(f"{entity.format('false')}</entity></entities>")))).ok
    assert (await act(peer, off)).ok
    assert shell.sent == [("pdu", "o1", "off")]
