"""The history of commits, read and reverted over NETCONF."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.messages.rpc import RpcReply
from eman_netconf.yang.schema import Schema
from tests.peer import Peer
from tests.server.running import edit, edited, entity, get, running_config, serving

EMSV = "urn:eman:yang:eman-server"
COMMITS = f'<eman-server xmlns="{EMSV}"><commits/></eman-server>'


async def commits(peer: Peer) -> list[etree._Element]:
    """The commits that are told of, oldest first."""
    found = await get(peer, COMMITS)
    return list(found.iter(f"{{{EMSV}}}commit"))


def text(element: etree._Element, name: str) -> str:
    return element.findtext(f"{{{EMSV}}}{name}") or ""


async def revert(peer: Peer, to: int, more: str = "") -> RpcReply:
    return await peer.rpc(f'<revert xmlns="{EMSV}"><to>{to}</to>{more}</revert>')


async def show(peer: Peer, number: int) -> RpcReply:
    at = f"<commits><commit><id>{number}</id><show/></commit></commits>"
    return await peer.rpc(
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><eman-server xmlns="{EMSV}">{at}</eman-server></action>'
    )


def named(id_: str, name: str) -> str:
    return entity(id_, f"<name>{name}</name>")


def only(reply: RpcReply) -> RpcError:
    (error,) = reply.errors
    return error


async def test_commits_are_told_shown_and_undone(tmp_path: Path, schema: Schema) -> None:
    """Who changed what and when is read, one commit is shown as edits, and what came after a commit is undone."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, named("a", "one"))
        (*_, first) = await commits(peer)
        number = int(text(first, "id"))
        before = await running_config(peer)
        await edited(peer, named("a", "two"))
        await edited(peer, named("b", "other"))
        told = await commits(peer)
        assert [int(text(each, "id")) for each in told[-3:]] == [number, number + 1, number + 2]
        assert text(told[-1], "user") == "admin"
        assert text(told[-1], "session") == str(peer.session_id)
        changes = [(text(each, "operation"), text(each, "target")) for each in told[-2].iter(f"{{{EMSV}}}change")]
        assert changes == [("modify", "/eman-entity:energy-management/entities/entity[id='a']/name")]

        shown = etree.tostring((await show(peer, number + 1)).element).decode()
        assert "two" in shown.partition("undo")[0]
        assert "one" in shown.partition("undo")[2]
        assert only(await show(peer, number + 9)).tag == ErrorTag.DATA_MISSING

        assert (await revert(peer, number)).ok
        assert await running_config(peer) == before
        assert int(text((await commits(peer))[-1], "id")) == number + 3
        assert (await revert(peer, number + 2)).ok
        assert b"two" in await running_config(peer)
        assert (await revert(peer, number + 4)).ok  # nothing is to be undone


async def test_the_history_survives(tmp_path: Path, schema: Schema) -> None:
    """After a restart the commits of before are told, and can be undone."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, named("a", "one"))
        before = await running_config(peer)
        await edited(peer, named("a", "two"))
        told = [text(each, "id") for each in await commits(peer)]
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        assert [text(each, "id") for each in await commits(peer)] == told
        assert (await revert(peer, int(told[-2]))).ok
        assert await running_config(peer) == before


async def test_into_the_candidate(tmp_path: Path, schema: Schema) -> None:
    """A configuration of before may be put into the candidate, to be looked at and committed or not."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, named("a", "one"))
        number = int(text((await commits(peer))[-1], "id"))
        await edited(peer, named("a", "two"))
        assert (await revert(peer, number, "<datastore>candidate</datastore>")).ok
        assert b"two" in await running_config(peer)
        commit = '<commit xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'
        assert (await peer.rpc(commit)).ok
        assert b"one" in await running_config(peer)


@pytest.mark.parametrize("to", [10_000, 2**64 - 1])
async def test_no_such_commit(tmp_path: Path, schema: Schema, to: int) -> None:
    """A number that no commit has is refused, with the newest there is."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        before = await running_config(peer)
        found = only(await revert(peer, to))
        assert found.tag == ErrorTag.INVALID_VALUE
        assert "newest" in found.message
        assert await running_config(peer) == before


async def test_the_administrator_is_not_undone(tmp_path: Path, schema: Schema) -> None:
    """Going back to where there was no administrator is refused like any change that would lock everybody out."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, named("a", "one"))
        before = await running_config(peer)
        reply = await revert(peer, 0)
        assert not reply.ok
        assert await running_config(peer) == before
        assert (await edit(peer, named("a", "three"))).ok
