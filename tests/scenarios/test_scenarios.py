"""Whole dialogues: each folder holds requests NN-in-<user>-<what>.xml and the replies NN-out-<user>-<what>.xml.

A user has one session in a case, opened at the first request; ``admin`` and ``admin2`` are the administrator.
With UPDATE_SCENARIOS=1 the replies are written anew, for a person to read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.messages.rpc import RpcReply
from eman_netconf.yang.schema import Schema
from tests.operations.bench import bench
from tests.peer import Peer

HERE = Path(__file__).parent
CASES = sorted(path.name for path in HERE.iterdir() if path.is_dir() and any(path.glob("*-in-*.xml")))


def written(reply: RpcReply) -> str:
    """A reply as it stands in a file: indented, without its message-id."""
    element = etree.fromstring(etree.tostring(reply.element))
    del element.attrib["message-id"]
    etree.indent(element)
    return etree.tostring(element, encoding="unicode") + "\n"


@pytest.mark.parametrize("case", CASES)
async def test_scenario(case: str, tmp_path: Path, schema: Schema) -> None:
    """Every request of the dialogue is answered as it was before."""
    peers: dict[str, Peer] = {}
    async with bench(tmp_path / "state", schema) as site:
        for request in sorted((HERE / case).glob("*-in-*.xml")):
            name = request.name.split("-")[2]
            if name not in peers:
                peers[name] = await site.peer("admin" if name.startswith("admin") else name)
            answer = written(await peers[name].rpc(request.read_bytes()))
            expected = request.with_name(request.name.replace("-in-", "-out-"))
            if os.environ.get("UPDATE_SCENARIOS"):
                expected.write_text(answer, encoding="utf-8")
            assert answer == expected.read_text(encoding="utf-8"), f"{case}/{request.name}"
            if request.name.endswith("-close.xml"):
                await peers.pop(name).closed()
