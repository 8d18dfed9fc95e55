"""what-if over a session, and what users who may not read everything see of the wiring and of the hardware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from eman_netconf.energy.values import LinkState, Quantity, Reading
from eman_netconf.energy.values import Point as Place
from eman_netconf.errors import ErrorTag
from eman_netconf.operations.topology import actions
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner
from tests.operations.bench import NAMESPACES, START, Bench, bare, bench, body, edit, error
from tests.operations.test_energy import SITE, Shell
from tests.peer import Peer

E = "urn:eman:yang:eman-entity"
ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
ENTITY = "/em:energy-management/em:entities/em:entity"
READINGS = [Reading(Place("", name), Quantity.ACTIVE_POWER, watts, START) for name, watts in (("o1", -20), ("o2", -30))]


class Mirrored(Shell):
    """A site that is served as hardware, too."""

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        hardware = self.domain.hardware(running)
        return [*super().operational(running), (hardware.schema, hardware)]


@pytest.fixture
async def server(tmp_path: Path, schema: Schema) -> AsyncIterator[Bench]:
    """A strip with a lamp and a fan, on a server."""
    shell = Mirrored(schema)
    shell.perform(shell.domain.link("pdu", LinkState.UP, shell.now()))
    shell.perform(shell.domain.inventory("pdu", SITE, shell.now()))
    shell.perform(shell.domain.ingest("pdu", READINGS, shell.now()))
    async with bench(tmp_path, schema, participants=[shell], sources=[shell]) as made:
        made.actions.update(actions(shell.domain))
        yield made


def what_if(*assumed: str) -> str:
    told = "".join(f"<assume>{each}</assume>" for each in assumed)
    return (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{E}">'
        f'<topology xmlns="urn:eman:yang:eman-topology"><what-if>{told}</what-if></topology>'
        "</energy-management></action>"
    )


def rules(*each: tuple[str, str, str]) -> str:
    """The user monitor may call what-if; rules of action, accesses and path besides."""
    listed = "".join(
        f'<rule><name>r{place}</name><path xmlns:em="{E}" xmlns:empi="urn:eman:yang:eman-power-interface" '
        f'xmlns:emm="urn:eman:yang:eman-measurement">{path}</path>'
        f"<access-operations>{accesses}</access-operations><action>{action}</action></rule>"
        for place, (action, accesses, path) in enumerate(each)
    )
    return edit(
        f'<nacm xmlns="{ACM}"><exec-default>permit</exec-default><groups><group><name>g</name>'
        "<user-name>monitor</user-name></group></groups>"
        f"<rule-list><name>l</name><group>g</group>{listed}</rule-list></nacm>"
    )


async def asked(peer: Peer, *assumed: str) -> str:
    """The answer to what-if, as XML without namespaces."""
    reply = await peer.rpc(what_if(*assumed))
    assert reply.ok, reply.errors
    return "".join(map(bare, reply.element))


async def shown(peer: Peer, what: str) -> str:
    return body(await peer.rpc(f"<get {NAMESPACES}><filter>{what}</filter></get>"))


NODES = (
    f'<energy-management xmlns="{E}"><topology xmlns="urn:eman:yang:eman-topology"><node><entity/></node></topology>'
    "</energy-management>"
)
COMPONENTS = '<hardware xmlns="urn:ietf:params:xml:ns:yang:ietf-hardware"><component><name/></component></hardware>'


async def test_what_if_tells_who_goes_dark(server: Bench) -> None:
    """The lamp hangs on one outlet, the fan on two: with one of them off it has a feed less."""
    peer = await server.peer()
    told = await asked(peer, "<entity>pdu</entity><interface>o1</interface>")
    assert "<lost><entity>lamp</entity><feeds-before>1</feeds-before><feeds-left>0</feeds-left>" in told
    assert "<power-shed>20.0</power-shed>" in told
    told = await asked(peer, "<entity>pdu</entity><interface>o2</interface>")
    assert "<weakened><entity>fan</entity><feeds-before>2</feeds-before><feeds-left>1</feeds-left>" in told
    assert "<lost>" not in told


@pytest.mark.parametrize(
    ("assumed", "tag"),
    [
        ("<entity>nobody</entity>", ErrorTag.DATA_MISSING),
        ("<entity>pdu</entity><interface>o9</interface>", ErrorTag.DATA_MISSING),
        ("<interface>o1</interface>", ErrorTag.MISSING_ELEMENT),
        ("<entity>pdu</entity><state>perhaps</state>", ErrorTag.INVALID_VALUE),
    ],
)
async def test_assumptions_are_checked(server: Bench, assumed: str, tag: ErrorTag) -> None:
    """What is assumed must be said in full, and of what there is."""
    peer = await server.peer()
    assert error(await peer.rpc(what_if(assumed))).tag is tag


async def test_more_assumptions_than_there_is_room_for(server: Bench) -> None:
    """A thousand assumptions are answered, one more is refused."""
    peer = await server.peer()
    assert (await peer.rpc(what_if(*["<entity>pdu</entity>"] * 1000))).ok
    assert not (await peer.rpc(what_if(*["<entity>pdu</entity>"] * 1001))).ok


async def test_without_a_rule_nobody_asks(server: Bench) -> None:
    """what-if is an action like others: where exec-default denies it takes a rule."""
    admin, monitor = await server.peer(), await server.peer("monitor")
    assert (await admin.rpc(edit(f'<nacm xmlns="{ACM}"><exec-default>deny</exec-default></nacm>'))).ok
    assert error(await monitor.rpc(what_if("<entity>pdu</entity>"))).tag is ErrorTag.ACCESS_DENIED


async def test_the_answer_speaks_of_what_may_be_read(server: Bench) -> None:
    """Of an entity that he may not read a user hears nothing: not among the lost, not in the sum, not by asking."""
    admin, monitor = await server.peer(), await server.peer("monitor")
    whole = await asked(monitor, "<entity>pdu</entity>")
    assert whole.index("<entity>fan</entity>") < whole.index("<entity>lamp</entity>")
    assert (await admin.rpc(rules(("deny", "read", f"{ENTITY}[em:id='lamp']")))).ok
    seen = await asked(monitor, "<entity>pdu</entity>")
    assert "fan" in seen
    assert "lamp" not in seen
    hidden = error(await monitor.rpc(what_if("<entity>lamp</entity>")))
    absent = error(await monitor.rpc(what_if("<entity>nobody</entity>")))
    assert (hidden.tag, hidden.message.replace("lamp", "nobody")) == (absent.tag, absent.message)


async def test_mirrors_show_no_more_than_the_entities(server: Bench) -> None:
    """Who may not read an entity finds it neither in the wiring nor among the components, by whatever filter."""
    admin, monitor = await server.peer(), await server.peer("monitor")
    for what in (NODES, COMPONENTS):
        assert "lamp" in await shown(monitor, what)
    assert (await admin.rpc(rules(("deny", "read", f"{ENTITY}[em:id='lamp']")))).ok
    for what in (NODES, COMPONENTS):
        assert "lamp" in await shown(admin, what)
        seen = await shown(monitor, what)
        assert "fan" in seen
        assert "lamp" not in seen
    keyed = COMPONENTS.replace("<name/>", "<name>lamp</name>")
    assert await shown(monitor, keyed) == ""
    assert await shown(monitor, keyed.replace("lamp", "lamp/in")) == ""
    assert "fan/in" in await shown(monitor, keyed.replace("lamp", "fan/in"))


async def test_sensors_follow_the_values_they_show(server: Bench) -> None:
    """Who may not read the power at interfaces sees no sensors of it; the interfaces he sees."""
    admin, monitor = await server.peer(), await server.peer("monitor")
    assert "<name>pdu/o1:active-power</name>" in await shown(monitor, COMPONENTS)
    assert (await admin.rpc(rules(("deny", "read", f"{ENTITY}/empi:power-interface/emm:power")))).ok
    seen = await shown(monitor, COMPONENTS)
    assert "<name>pdu/o1</name>" in seen
    assert "pdu/o1:active-power" not in seen
    assert (await admin.rpc(rules(("deny", "read", f"{ENTITY}/empi:power-interface")))).ok
    seen = await shown(monitor, COMPONENTS)
    assert "<name>pdu</name>" in seen
    assert "pdu/o1" not in seen
