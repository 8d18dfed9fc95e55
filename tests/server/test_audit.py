"""The audit log tells who came, who changed and controlled what, and never a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from eman_netconf.server import audit, plugins
from eman_netconf.server.config import Bootstrap
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.log import Json
from eman_netconf.server.secrets import MASK
from eman_netconf.yang.diff import diff, invert
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.peer import connect
from tests.server.running import (
    EMAN,
    NC,
    PASSWORD,
    backends,
    edit,
    edited,
    entity,
    link_until,
    running_config,
    serving,
    silent_device,
    simulated,
    snmp,
    users,
)

COMMUNITY = "mystery"


class Told(logging.Handler):
    """The lines of the audit log, as a file of JSON has them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Json())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    audit.log.addHandler(handler)
    before = audit.log.level
    audit.log.setLevel(logging.INFO)
    yield handler
    audit.log.removeHandler(handler)
    audit.log.setLevel(before)


async def test_sessions(tmp_path: Path, schema: Schema, told: Told) -> None:
    """A login, the start and the end of its session, and a login that failed, with user, address and reason."""
    async with serving(tmp_path / "state", schema) as server:
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(server.port, user="mallory", password="guess")
        async with server.peer() as peer:
            number = peer.session_id
            await peer.rpc("<close-session/>")
            await peer.closed()
    (refused,) = told.events("refused")
    assert (refused["user"], refused["address"], refused["transport"]) == ("mallory", "127.0.0.1", "netconf-ssh")
    (login,) = told.events("login")
    assert (login["user"], login["address"], login["by"]) == ("admin", "127.0.0.1", "password")
    (start,), (end,) = told.events("session-start"), told.events("session-end")
    assert (start["session"], end["session"], end["reason"]) == (number, number, "closed")
    assert PASSWORD not in str(told.lines)
    assert "guess" not in str(told.lines)


async def test_configuration(tmp_path: Path, schema: Schema, told: Told) -> None:
    """A change is told with the edit that made it and the one that undoes it, by whom and as which generation."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, entity("a", "<name>Old</name>"))
        await edited(peer, entity("a", "<name>New</name>"))
        line = told.events("configuration")[-1]
        assert (line["user"], line["session"]) == ("admin", peer.session_id)
        assert line["generation"] == server.daemon.datastores.generation
        assert "<name>New</name>" in line["edit"]
        assert "<name>Old</name>" in line["undo"]
        assert line["message"].count("<name>New</name>") == 1


async def test_confirmed_commits(tmp_path: Path, schema: Schema, told: Told) -> None:
    """What becomes of a confirmed commit is told with who did it: the client, or the server itself."""
    trial = f'<commit xmlns="{NC}"><confirmed/><confirm-timeout>60</confirm-timeout></commit>'
    async with serving(tmp_path / "state", schema) as server:
        async with server.peer() as peer:
            number = peer.session_id
            for operation in (trial, trial, f'<commit xmlns="{NC}"/>', trial):
                assert (await peer.rpc(operation)).ok
            await peer.rpc("<close-session/>")
            await peer.closed()
        async with server.peer() as other:
            await edited(other, entity("a"))
    lines = [(line["confirm"], line["timeout"], line["session"]) for line in told.events("confirmed-commit")]
    assert lines == [
        ("start", 60, number),
        ("extend", 60, number),
        ("complete", None, number),
        ("start", 60, number),
        ("cancel", None, 0),
    ]


async def test_startup(tmp_path: Path, schema: Schema, told: Told) -> None:
    """A change of startup is told with its edit, apart from those of running."""
    save = f'<copy-config xmlns="{NC}"><target><startup/></target><source><running/></source></copy-config>'
    starting = load_schema(plugins.find(), Bootstrap(tmp_path, startup=True))
    async with serving(tmp_path / "state", starting, startup=True) as server, server.peer() as peer:
        await edited(peer, entity("a"))
        assert "<id>a</id>" not in str(told.events("startup"))
        assert (await peer.rpc(save)).ok
        line = told.events("startup")[-1]
        assert (line["user"], line["session"]) == ("admin", peer.session_id)
        assert "<id>a</id>" in line["edit"]


async def test_no_secret(tmp_path: Path, schema: Schema, told: Told) -> None:
    """Neither clear text nor hash nor ciphertext of a secret is told, when it is set, replaced or removed."""
    with silent_device() as port:
        async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
            for community, password in ((COMMUNITY, "first one"), ("another", "second one")):
                await edited(peer, backends(snmp("d", port, community=f"$0${community}")))
                await edited(peer, users(f"<user><name>bob</name><password>$0${password}</password></user>"))
            stored = (await running_config(peer)).decode()
            removed = f'xmlns:nc="{NC}" nc:operation="remove"'
            await edited(peer, backends(f"<backend {removed}><name>d</name></backend>"))
            await edited(peer, users(f"<user {removed}><name>bob</name></user>"))
    text = str(told.lines)
    assert len(told.events("configuration")) >= 6
    assert text.count(f"<community>{MASK}</community>") >= 3
    for secret in (COMMUNITY, "another", "first one", "second one", "$6$", "$aes$"):
        assert secret not in text
    assert "$6$" in stored


async def test_control(tmp_path: Path, schema: Schema, told: Told) -> None:
    """An action is told with what was asked, the state before and after, and how it went."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, backends(simulated("pdu", "pdu-a")))
        await link_until(peer, "pdu", state="up")
        assert (await peer.rpc(acting(SWITCH))).ok
        assert not (await peer.rpc(acting(SET))).ok
        number = peer.session_id
    done, failed = told.events("control")
    assert (done["action"], done["user"], done["session"]) == ("switch-supply", "admin", number)
    assert (done["before"], done["outcome"]) == ("on", "done")
    assert done["at"].endswith("[empi:name='outlet-1']/empi:control")
    assert ">a test</reason>" in done["input"]
    assert failed["action"] == "set-power-state"
    assert failed["outcome"] not in {"done", "cancelled"}
    assert {line["entity"] for line in told.events("energy")} == {"pdu-a"}


SWITCH = (
    '<power-interface xmlns="urn:eman:yang:eman-power-interface"><name>outlet-1</name><control>'
    "<switch-supply><state>on</state><reason>a test</reason></switch-supply></control></power-interface>"
)
SET = (
    '<control><set-power-state xmlns="urn:eman:yang:eman-power-state" xmlns:s="urn:eman:yang:eman-power-state-set">'
    "<state>s:dmtf-on</state></set-power-state></control>"
)


def acting(below: str) -> str:
    """An action on pdu-a or on a part of it."""
    return (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}"><entities><entity>'
        f"<id>pdu-a</id>{below}</entity></entities></energy-management></action>"
    )


async def test_what_is_denied(tmp_path: Path, schema: Schema, told: Told) -> None:
    """A request for which a right was lacking is told with its operation; one that was wrong is not."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, users("<user><name>bob</name><password>$0$bob's own</password></user>"))
        async with server.peer(user="bob", password="bob's own") as bob:
            assert not (await edit(bob, entity("a"))).ok
            assert not (await bob.rpc("<no-such-operation/>")).ok
    (denied,) = told.events("denied")
    assert (denied["user"], denied["operation"]) == ("bob", "edit-config")


async def test_a_backend_that_is_lost(tmp_path: Path, schema: Schema, told: Told) -> None:
    """What is told of a backend names it, in the line for people and in its fields."""
    with silent_device() as port:
        async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
            await edited(peer, backends(snmp("d", port, timeout=0.2)))
            await link_until(peer, "d", state="backing-off")
    (line,) = told.events("notification")
    assert (line["backend"], line["notification"]) == ("d", "backend-unreachable")
    assert line["message"] == "backend d: backend-unreachable"


async def test_a_killed_subscription(tmp_path: Path, schema: Schema, told: Told) -> None:
    """Who ends a subscription is told, with its number and whose it was; one that is not there is not told."""
    sn = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
    kill = f'<kill-subscription xmlns="{sn}"><id>%d</id></kill-subscription>'
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, users(f"<user><name>bob</name><password>$0${PASSWORD}</password></user>"))
        async with server.peer(user="bob") as bob:
            reply = await bob.rpc(
                f'<establish-subscription xmlns="{sn}"><stream>NETCONF</stream></establish-subscription>'
            )
            number = int(reply.element.findtext(f"{{{sn}}}id"))
            assert (await admin.rpc(kill % number)).ok
            assert not (await admin.rpc(kill % number)).ok
            (line,) = told.events("kill-subscription")
            who = admin.session_id, bob.session_id
    assert (line["user"], line["session"], line["address"]) == ("admin", who[0], "127.0.0.1")
    assert (line["subscription"], line["owner"], line["owner_session"]) == (number, "bob", who[1])


async def test_a_large_change(tmp_path: Path, schema: Schema, told: Told) -> None:
    """Of a change without measure the line holds the beginning, and says that there is more."""
    many = "".join(f"<entity><id>e-{number}</id><name>{'x' * 50}</name></entity>" for number in range(2000))
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, f'<energy-management xmlns="{EMAN}"><entities>{many}</entities></energy-management>')
    line = told.events("configuration")[-1]
    assert "e-0<" in line["edit"]
    assert line["edit"].endswith("…")
    assert len(line["edit"].encode()) <= audit.LONGEST + 10


def test_the_text_of_a_change(schema: Schema) -> None:
    """The text of a change tells what it is, to and fro."""
    empty = Inner(schema.root)
    node = schema.find("eman-server:eman-server")
    limits = node.child("session-limits")
    full = empty.replace(node, Inner(node, {limits: Inner(limits, {limits.child("max-sessions"): "7"})}))
    change = diff(empty, full)
    assert change is not None
    assert "<max-sessions>7</max-sessions>" in audit.change_text(change)
    assert 'nc:operation="remove"' in audit.change_text(invert(change))


def test_names_that_forge_nothing(told: Told) -> None:
    """A name that a stranger gives is quoted and cut."""
    audit.refused("a\nb" * 1000, "192.0.2.1", "netconf-ssh", "it is nobody's")
    (line,) = told.events("refused")
    assert "\n" not in line["message"]
    assert len(line["message"]) < 200
