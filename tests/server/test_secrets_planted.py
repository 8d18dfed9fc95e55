"""Whatever the server says or writes, no secret of any installed backend is in it: planted, used, and looked for."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_netconf.errors import YANG_NS
from eman_netconf.server import plugins
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.settings import is_secret
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from tests.peer import Peer
from tests.server.running import BACKEND, NC, SERVER, Process, backends, command, edit_config

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"


def examples(kind: str) -> Iterator[etree._Element]:
    """The valid documents of this kind of the modules of backends."""
    for folder in sorted(EXAMPLES.glob("eman-backend-*")):
        for name, said in tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8")).items():
            if name.startswith("valid") and said["kind"] == kind:
                yield etree.parse(folder / f"{name}.xml").getroot()


class Planted:
    """Secrets that nobody else knows, put in place of those of the examples."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.clear: list[str] = []
        self.met: set[SchemaNode] = set()

    def new(self) -> str:
        self.clear.append(f"planted-{len(self.clear)}-{secrets.token_hex(8)}")
        return self.clear[-1]

    def into(self, element: Any, node: SchemaNode) -> None:
        """Every secret below is another, and every address is this machine's."""
        for child in element.iterchildren(tag=etree.Element):
            known = node.by_tag.get(child.tag) or next(
                (each for each in node.actions.values() if each.tag == child.tag), None
            )
            if known is None:
                continue
            if known.kind is Kind.ACTION:
                known = known.child("input")
            if is_secret(known):
                self.met.add(known)
                child.text = f"$0${self.new()}"
            elif known.name in ("address", "prefix") and known.kind in (Kind.LEAF, Kind.LEAF_LIST):
                child.text = "127.0.0.1" if known.name == "address" else "127.0.0.1/32"
            self.into(child, known)


def of_backends(schema: Schema) -> set[SchemaNode]:
    """Every secret there is in the configuration of a backend."""

    def below(node: SchemaNode) -> Iterator[SchemaNode]:
        for child in node.children.values():
            yield child
            yield from below(child)

    return {
        node for node in below(schema.find("eman-entity:energy-management/eman-backend:backends")) if is_secret(node)
    }


@pytest.fixture(scope="module")
def whole() -> Schema:
    """The schema with all installed backends."""
    return load_schema(plugins.find())


@pytest.fixture
def planted(whole: Schema) -> Planted:
    return Planted(whole)


def configurations(planted: Planted) -> list[str]:
    """One backend of each example, with names and secrets of its own."""
    made = []
    for root in examples("config"):
        planted.into(root, planted.schema.find("eman-entity:energy-management"))
        for entry in root.iter(f"{{{BACKEND}}}backend"):
            entry.find(f"{{{BACKEND}}}name").text = f"b{len(made)}"
            for name in ("timeout", "poll-interval"):
                for leaf in entry.iterfind(f"{{{BACKEND}}}{name}"):
                    leaf.text = "1.0"
            made.append(etree.tostring(entry, with_tail=False).decode())
    return made


def listen(peer: Peer, heard: list[bytes]) -> None:
    """Keep all that comes."""
    receive = peer.receive

    def both(data: bytes) -> None:
        heard.append(data)
        receive(data)

    peer.receive = both  # type: ignore[method-assign]  # a tap on this one session


def written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All files but the one whose business it is."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "secret.key":
            yield path, path.read_bytes()


@pytest.mark.parametrize("startup", [False, True], ids=["history", "startup"])
async def test_no_secret_is_told_or_written(process: Process, planted: Planted, startup: bool) -> None:
    """Edits, reads, copies, errors, notifications, the history of commits, discover, the log at debug level, check, and
    every file of the state: no secret of any backend is in any of it, in clear.
    """
    datastores = f'[datastores]\nstartup = {str(startup).lower()}\nurl-folder = "copies"\n'
    process.configure(more=f'{datastores}[log]\nlevel = "debug"\n')
    (process.folder / "copies").mkdir()
    entries = configurations(planted)
    assert of_backends(planted.schema) == planted.met, "every secret of a backend stands in an example"
    heard: list[bytes] = []
    said: list[str] = []
    await process.start()
    async with process.peer() as ears, process.peer() as peer:
        listen(ears, heard)
        listen(peer, heard)
        await subscribed(ears)
        for entry in entries:
            reply = await peer.rpc(edit_config(backends(entry)))
            assert reply.ok, (entry, reply.errors)
        await mistaken(peer, entries, planted)
        await read_and_copied(peer, startup=startup)
        if not startup:
            await history_read(peer)
        for root in examples("action"):
            planted.into(root, planted.schema.find("eman-entity:energy-management"))
            for name, value in (("timeout", "0.5"), ("time-limit", "5")):
                for leaf in root.iter(f"{{{BACKEND}}}{name}"):
                    leaf.text = value
            await peer.rpc(f'<action xmlns="{YANG_NS}">{etree.tostring(root).decode()}</action>')
        assert ears.wire.peer is not None
        await ears.rpc(f'<get xmlns="{NC}"><filter>{backends("")}</filter></get>')
    assert await process.end() == 0
    checked = command("check", "--config", process.config)
    said += [checked.stdout, checked.stderr, process.stderr, process.rest]
    for clear in planted.clear:
        assert not [data for data in heard if clear.encode() in data]
        assert not [text[:200] for text in said if clear in text]
        assert not [path for path, content in written(process.folder) if clear.encode() in content]
    everything = b"".join(heard)
    assert b"$aes$" in everything, "what is stored was told"
    assert len(planted.clear) > 2 * len(planted.met)


async def subscribed(peer: Peer) -> None:
    """All there is to be told: the stream, and the configuration as it changes."""
    push = (
        f'<establish-subscription xmlns="{SN}" xmlns:yp="{YP}" xmlns:ds="{DS}"><yp:datastore>ds:running</yp:datastore>'
        "<yp:on-change/></establish-subscription>"
    )
    stream = f'<establish-subscription xmlns="{SN}"><stream>NETCONF</stream></establish-subscription>'
    for request in (push, stream):
        assert not (await peer.rpc(request)).errors


async def mistaken(peer: Peer, entries: list[str], planted: Planted) -> None:
    """Secrets that are refused: bare ones, at wrong places, twice, in a candidate that is thrown away."""
    candidate = edit_config("").replace("<running/>", "<candidate/>")
    for entry in entries:
        for clear in [clear for clear in planted.clear if clear in entry]:
            bare = planted.new()
            reply = await peer.rpc(edit_config(backends(entry.replace(f"$0${clear}", bare))))
            assert reply.errors
            broken = entry.replace(f"$0${clear}", f"$0${planted.new()}").replace("</backend>", "<none/></backend>")
            assert (await peer.rpc(edit_config(backends(broken)))).errors
            other = entry.replace(f"$0${clear}", f"$0${planted.new()}")
            config = edit_config(backends(other)).partition("<config")[2]
            edit = f"{candidate.partition('<config')[0]}<config{config}"
            assert (await peer.rpc(edit)).ok
    for request in (
        "<get-config><source><candidate/></source></get-config>",
        "<validate><source><candidate/></source></validate>",
    ):
        await peer.rpc(request.replace(">", f' xmlns="{NC}">', 1))
    assert (await peer.rpc(f'<discard-changes xmlns="{NC}"/>')).ok


async def read_and_copied(peer: Peer, *, startup: bool) -> None:
    """Everything, from every datastore, and to every place."""
    for name in ("running", "candidate", *(["startup"] if startup else [])):
        await peer.rpc(f'<get-config xmlns="{NC}"><source><{name}/></source></get-config>')
    for name in ("running", "operational"):
        request = f'<get-data xmlns="{NMDA}" xmlns:ds="{DS}"><datastore>ds:{name}</datastore></get-data>'
        assert not (await peer.rpc(request)).errors
    await peer.rpc(f'<get xmlns="{NC}"/>')
    for target in ("<url>file:///copy.xml</url>", *(["<startup/>"] if startup else [])):
        copy = f'<copy-config xmlns="{NC}"><target>{target}</target><source><running/></source></copy-config>'
        reply = await peer.rpc(copy)
        assert reply.ok, reply.errors


async def history_read(peer: Peer) -> None:
    """What each commit did, and how it would be undone; and one that is."""
    data = await peer.rpc(
        f'<get xmlns="{NC}"><filter><eman-server xmlns="{SERVER}"><commits/></eman-server></filter></get>'
    )
    numbers = [each.text for each in data.element.iter(f"{{{SERVER}}}id")]
    assert numbers
    for number in numbers:
        inside = f"<commits><commit><id>{number}</id><show/></commit></commits>"
        reply = await peer.rpc(
            f'<action xmlns="{YANG_NS}"><eman-server xmlns="{SERVER}">{inside}</eman-server></action>'
        )
        assert not reply.errors
    revert = f'<revert xmlns="{SERVER}"><to>{int(numbers[-1] or 0) - 1}</to></revert>'
    await peer.rpc(revert)


def test_the_server_keeps_them_out_of_its_records(whole: Schema) -> None:
    """Each secret of a backend is kept from readers by the model itself."""
    assert of_backends(whole)
    for node in of_backends(whole):
        assert "ietf-netconf-acm:default-deny-all" in node.extensions or any(
            "ietf-netconf-acm:default-deny-all" in above.extensions for above in node.ancestors()
        ), node.path
