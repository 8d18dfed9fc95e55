"""Looking for devices: only those addresses, gently, for one at a time, and telling no secret."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_netconf.errors import YANG_NS, ErrorTag, RpcError
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.server import plugins
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.plugins import Installed
from eman_netconf.yang.schema import Schema
from tests.peer import PATIENCE
from tests.server.rack import COMMUNITY, Asker, Rack
from tests.server.running import BACKEND, backends, edited, running_config, serving, snmp

SNMP = "urn:eman:yang:eman-backend-snmp"
FOREVER = 60.0


def using(port: int, *, community: str = f"$0${COMMUNITY}", more: str = "") -> str:
    return (
        f'<using><snmp xmlns="{SNMP}"><port>{port}</port><v2c><community>{community}</community></v2c></snmp>{more}'
        "</using>"
    )


def discover(inside: str, timeout: float = FOREVER) -> str:
    call = f"<control><discover>{inside}<timeout>{timeout}</timeout><rate>1000</rate></discover></control>"
    return f'<action xmlns="{YANG_NS}">{backends(call)}</action>'


def texts(reply: RpcReply, path: str) -> list[str | None]:
    assert reply.ok or not reply.errors, reply.errors
    return [each.text for each in reply.element.iterfind(f".//{{{BACKEND}}}{path.replace('/', f'/{{{BACKEND}}}')}")]


def error(reply: RpcReply) -> RpcError:
    (found,) = reply.errors
    return found


def found_at(reply: RpcReply, address: str) -> dict[str, str | None]:
    """The leaves of one finding."""
    (entry,) = (
        each
        for each in reply.element.iterfind(f"{{{BACKEND}}}found")
        if each.findtext(f"{{{BACKEND}}}address") == address
    )
    return {etree.QName(leaf).localname: leaf.text for leaf in entry}


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


async def test_finds_what_answers(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed], said: pytest.LogCaptureFixture
) -> None:
    """Of a range, those that answer are told with what they are; nobody outside is asked, and nothing is configured."""
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        before = await running_config(peer)
        asked = "<range><first>127.0.7.3</first><last>127.0.7.4</last></range><address>127.0.7.3</address>"
        reply = await peer.rpc(discover(asked + using(rack.port)))
        after = await running_config(peer)
    assert texts(reply, "addresses") == texts(reply, "asked") == texts(reply, "answered") == ["2"]
    left, right = found_at(reply, "127.0.7.3"), found_at(reply, "127.0.7.4")
    assert (left["protocol"], left["title"], left["name"]) == ("snmp", "something called left", "left")
    assert right["name"] == "right"
    assert texts(reply, "found/foreign-id/value") == ["left-1", "right-1"]
    assert rack.questions() == {f"127.0.7.{last}": int(last in (3, 4)) for last in range(2, 7)}
    assert before == after
    assert COMMUNITY not in said.text
    assert COMMUNITY not in etree.tostring(reply.element).decode()


async def test_what_is_found_can_be_configured(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed]
) -> None:
    """The configuration of a finding is that of a backend with a name of its own and its secrets encrypted; once
    it is there, it is told as that backend.
    """
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        await edited(peer, backends(snmp("left", rack.port, community=f"$0${COMMUNITY}")))
        question = discover("<prefix>127.0.7.0/29</prefix>" + using(rack.port), timeout=1)
        reply = await peer.rpc(question)
        assert (texts(reply, "addresses"), texts(reply, "answered")) == (["6"], ["3"])
        proposed = [
            b"".join(etree.tostring(each) for each in entry)
            for entry in reply.element.iter(f"{{{BACKEND}}}configuration")
        ]
        assert texts(reply, "found/configuration/name") == []
        for entry in proposed:
            await edited(peer, entry.decode())
        stored = (await running_config(peer)).decode()
        again = await peer.rpc(question)
    names = [each.findtext(f".//{{{BACKEND}}}name") for each in map(etree.fromstring, proposed)]
    assert names == ["left-2", "right", "left-3"]
    assert all(b"$aes$" in entry and b"<retries>" not in entry for entry in proposed)
    assert stored.count("127.0.7.") == 3
    assert texts(again, "already") == ["left-2", "right", "left-3"]
    assert not list(again.element.iter(f"{{{BACKEND}}}configuration"))


async def test_silence_and_refusal(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed], said: pytest.LogCaptureFixture
) -> None:
    """An address that is silent is asked and not told; one that refuses is told with its reason, without the secret."""
    await rack.add("127.0.7.9", "broken")
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        asked = "<address>127.0.7.2</address><address>127.0.7.3</address>"
        reply = await peer.rpc(discover(asked + using(rack.port, community="$0$wrong guess"), timeout=1))
        broken = await peer.rpc(discover("<address>127.0.7.9</address>" + using(rack.port)))
    assert (texts(reply, "asked"), texts(reply, "answered")) == (["2"], ["1"])
    assert texts(reply, "failed/address") == ["127.0.7.3"]
    assert texts(reply, "failed/reason") == ["'***' is not its word"]
    assert texts(broken, "failed/reason") == ["the backend failed unexpectedly: ZeroDivisionError"]
    assert "wrong guess" not in "".join(record.getMessage() for record in said.records)


async def test_all_of_it_has_an_end(
    tmp_path: Path, schema: Schema, rack: Rack, asker: Asker, installed: Mapping[str, Installed]
) -> None:
    """When the time is over, what was found by then is told; of many addresses only some are asked at a time."""
    search = f"<prefix>127.0.8.0/24</prefix>{using(rack.port)}<time-limit>1</time-limit>"
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        await rack.add("127.0.8.1", "first")
        for last in range(2, 120):
            await rack.add(f"127.0.8.{last}", None)
        reply = await peer.rpc(discover(search))
    assert texts(reply, "addresses") == ["254"]
    assert int(texts(reply, "asked")[0] or 0) < 254
    assert texts(reply, "found/name") == ["first"]
    assert asker.most == 64
    assert asker.under_way == 0


async def test_one_at_a_time_until_its_client_goes(
    tmp_path: Path, schema: Schema, rack: Rack, asker: Asker, installed: Mapping[str, Installed]
) -> None:
    """A second search is refused while one is on, which ends at once when its client goes away."""
    search = discover("<address>127.0.7.2</address>" + using(rack.port))
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        async with server.peer() as other:
            other.ask(search)
            async with asyncio.timeout(PATIENCE):
                await asker.asking.wait()
            refused = error(await peer.rpc(search))
        async with asyncio.timeout(PATIENCE):
            await asker.idle.wait()
            found = discover("<address>127.0.7.3</address>" + using(rack.port))
            while not (reply := await peer.rpc(found)).ok and reply.errors:
                assert error(reply).tag == ErrorTag.RESOURCE_DENIED
    assert refused.tag == ErrorTag.RESOURCE_DENIED
    assert texts(reply, "found/name") == ["left"]


NOWHERE = "<address>127.0.7.3</address>"
V3 = f'<using><snmp xmlns="{SNMP}"><v3><user-name>bob</user-name></v3></snmp></using>'


@pytest.mark.parametrize(
    ("inside", "tag", "words"),
    [
        ("<prefix>10.0.0.0/16</prefix>{using}", ErrorTag.TOO_BIG, "more than 4096"),
        ("<prefix>10.0.0.0/20</prefix><prefix>10.1.0.0/28</prefix>{using}", ErrorTag.TOO_BIG, "more than 4096"),
        ("<range><first>10.0.0.1</first><last>11.0.0.1</last></range>{using}", ErrorTag.TOO_BIG, "more than 4096"),
        ("<range><first>10.0.0.9</first><last>10.0.0.1</last></range>{using}", ErrorTag.INVALID_VALUE, "no range"),
        ("<range><first>10.0.0.1</first><last>2001:db8::1</last></range>{using}", ErrorTag.INVALID_VALUE, "no range"),
        ("<address>224.0.0.1</address>{using}", ErrorTag.INVALID_VALUE, "one device"),
        ("<address>255.255.255.255</address>{using}", ErrorTag.INVALID_VALUE, "one device"),
        ("<address>0.0.0.0</address>{using}", ErrorTag.INVALID_VALUE, "one device"),
        ("<address>nobody.invalid</address>{using}", ErrorTag.INVALID_VALUE, "nobody.invalid"),
        (NOWHERE + "{cipher}", ErrorTag.INVALID_VALUE, "in clear text"),
        (NOWHERE + V3, ErrorTag.INVALID_VALUE, "know no users"),
        ("{using}", ErrorTag.OPERATION_FAILED, "where to look"),
        (NOWHERE, ErrorTag.OPERATION_FAILED, "which protocols"),
    ],
)
async def test_what_cannot_be_asked(
    tmp_path: Path,
    schema: Schema,
    rack: Rack,
    installed: Mapping[str, Installed],
    inside: str,
    tag: ErrorTag,
    words: str,
) -> None:
    """A search for too much, for nothing, for what is no device or with unusable settings is refused in a sentence."""
    inside = inside.format(using=using(rack.port), cipher=using(rack.port, community="$aes$QUJD"))
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        refusal = error(await peer.rpc(discover(inside)))
    assert refusal.tag == tag
    assert words in refusal.message
    assert not any(rack.questions().values())


async def test_a_backend_that_cannot_look(tmp_path: Path, schema: Schema, rack: Rack) -> None:
    """Where a backend gives no way to look, the answer says so."""
    found = dict(plugins.find())
    found["snmp"] = replace(found["snmp"], plugin=replace(found["snmp"].plugin, probe=None))
    async with serving(tmp_path / "state", schema, installed=found) as server, server.peer() as peer:
        refusal = error(await peer.rpc(discover(NOWHERE + using(rack.port))))
    assert refusal.tag == ErrorTag.OPERATION_NOT_SUPPORTED
    assert "snmp cannot look" in refusal.message


async def test_names_are_resolved_once(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed]
) -> None:
    """A name stands for the addresses it has."""
    await rack.add("127.0.0.1", "here")
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        reply = await peer.rpc(discover("<address>localhost</address>" + using(rack.port), timeout=1))
    assert "127.0.0.1" in texts(reply, "found/address")


async def test_dead_names_take_no_threads_from_others(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody answers for the names of a search, threads are free for others."""
    over, asked, loop = threading.Event(), asyncio.Semaphore(0), asyncio.get_running_loop()
    real = socket.getaddrinfo

    def silent(host: Any, *rest: Any, **more: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, *rest, **more)
        loop.call_soon_threadsafe(asked.release)
        over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    names = "".join(f"<address>{number}.example</address>" for number in range(100))
    try:
        async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
            peer.ask(discover(names + using(rack.port)))
            async with asyncio.timeout(PATIENCE):
                for _ in range(16):
                    await asked.acquire()
                assert await asyncio.to_thread(lambda: "free") == "free"
    finally:
        over.set()


async def test_only_whom_a_rule_permits(
    tmp_path: Path, schema: Schema, rack: Rack, installed: Mapping[str, Installed], said: pytest.LogCaptureFixture
) -> None:
    """Nobody looks for devices without a rule; who did, for what, is in the audit log without the secret."""
    bob = (
        '<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication><user><name>bob</name>'
        "<password>$0$bob's own</password></user></authentication></system>"
    )
    search = discover(NOWHERE + using(rack.port))
    async with serving(tmp_path / "state", schema, installed=installed) as server, server.peer() as peer:
        await edited(peer, bob)
        async with server.peer(user="bob", password="bob's own") as other:
            denied = error(await other.rpc(search))
        assert not any(rack.questions().values())
        assert (await peer.rpc(search)).element is not None
    assert denied.tag == ErrorTag.ACCESS_DENIED
    told = [record.getMessage() for record in said.records if record.name == "eman_netconf.audit"]
    (line,) = (text for text in told if "discover at" in text)
    assert "admin" in line
    assert "127.0.7.3" in line
    assert "***" in line
    assert COMMUNITY not in said.text


def test_who_can_look_is_told_with_what() -> None:
    """Each installed backend that can look for devices has its settings in the input, and no other has."""
    control = load_schema(plugins.find()).find("eman-entity:energy-management/eman-backend:backends/control")
    (discover,) = control.actions.values()
    known = {node.name for node in discover.child("input").child("using").children.values()}
    assert known == {name for name, found in plugins.find().items() if found.plugin.probe is not None}
