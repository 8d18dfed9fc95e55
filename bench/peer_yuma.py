"""The peer yuma123: Debian's netconfd behind OpenSSH, with the same site in one module of plain strings.

Both programs run on the loopback, on configuration and sockets in the folder of the run. netconfd has no module of
ours: what our server answers is rewritten to one namespace, every leaf a string, and given to it as configuration.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from bench.client import ENTITY_NS

NAME = "yuma123"
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_KEYS = {"entity": "id", "domain": "name", "power-interface": "name", "set": "name", "supported-state": "state"}
_DOMAIN = "/e:energy-management/e:domains/e:domain/e:name"
_PATIENCE = 240.0


def missing() -> str | None:
    """What has to be installed before it can be measured."""
    absent = [name for name in ("netconfd", "netconf-subsystem", "sshd") if shutil.which(name, path=_SBIN) is None]
    return " and ".join(absent) or None


@dataclass(slots=True)
class _Shape:
    """What stands below one element, anywhere in the data."""

    inner: bool = False
    many: bool = False
    children: dict[str, _Shape] = field(default_factory=dict)

    def learn(self, element: etree._Element) -> None:
        seen: set[str] = set()
        for child in element:
            below = self.children.setdefault(child.tag, _Shape())
            below.inner = below.inner or len(child) > 0
            below.many = below.many or child.tag in seen
            seen.add(child.tag)
            below.learn(child)

    def statements(self, above: str) -> str:
        parts = []
        for name, below in self.children.items():
            kind = "leafref { path '" + _DOMAIN + "'; }" if (above, name) == ("entity", "domain") else "string;"
            if not below.inner:
                parts.append(f"{'leaf-list' if below.many else 'leaf'} {name} {{ type {kind} }}")
            elif name in _KEYS:
                parts.append(f"list {name} {{ key {_KEYS[name]}; {below.statements(name)} }}")
            else:
                parts.append(f"container {name} {{ {below.statements(name)} }}")
        return "\n".join(parts)


def rewrite(data: bytes) -> tuple[str, bytes]:
    """A module and a <config> that hold the entities and domains of what stands in <data>."""
    parser = etree.XMLParser(huge_tree=True)
    read = etree.fromstring(b"<data>%b</data>" % data, parser)
    tree = etree.Element("energy-management")
    for name, namespace in (("entities", ENTITY_NS.decode()), ("domains", "urn:eman:yang:eman-group")):
        found = read.find(f"{{{ENTITY_NS.decode()}}}energy-management/{{{namespace}}}{name}")
        if found is not None:
            tree.append(_local(found))
    shape = _Shape()
    shape.learn(tree)
    module = (
        f'module bench-site {{ namespace "{ENTITY_NS.decode()}"; prefix e; revision 2026-11-20 {{ description "."; }}\n'
        f"container energy-management {{ {shape.statements('')} }} }}"
    )
    tree.set("xmlns", ENTITY_NS.decode())
    config = b'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">%b</config>' % etree.tostring(tree)
    return module, config


def _local(element: etree._Element) -> etree._Element:
    """A copy without namespaces."""
    copy = etree.Element(etree.QName(element).localname)
    copy.text = element.text
    copy.extend([_local(child) for child in element])
    return copy


@asynccontextmanager
async def serving(
    folder: Path, data: bytes, host_key: Path, public_key: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int, str]]:
    """netconfd with these data: its process, the port of sshd on the loopback, and the user to log in as."""
    module, config = rewrite(data)
    (folder / "bench-site.yang").write_text(module, encoding="utf-8")
    (folder / "startup.xml").write_bytes(config)
    port = _free_port()
    path = folder / "ncxserver.sock"
    log = folder / "netconfd.log"
    netconfd = [
        str(shutil.which("netconfd", path=_SBIN)),
        f"--ncxserver-sockname={path}",
        f"--modpath={folder}:{os.environ.get('YUMA_MODPATH', '/usr/share/yuma/modules')}",
        "--module=bench-site",
        f"--startup={folder / 'startup.xml'}",
        "--access-control=off",
        "--target=running",
        "--with-startup=false",
        f"--port={port}",
        "--max-sessions=1024",
        "--log-level=error",
        f"--log={log}",
    ]
    settings = folder / "sshd_config"
    keys = folder / "authorized_keys"
    shutil.copy(public_key, keys)
    subsystem = shutil.which("netconf-subsystem", path=_SBIN)
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {keys}\nStrictModes no\n"
        # SHLVL keeps bash from reading the user's own ~/.bashrc for every session
        f"UsePAM no\nUseDNS no\nSetEnv SHLVL=2\nPidFile none\n"
        f"PermitRootLogin prohibit-password\nMaxStartups 1000\nMaxSessions 1000\n"
        f"Subsystem netconf {subsystem} --ncxserver-sockname={port}@{path}\n",
        encoding="utf-8",
    )
    sshd = [str(shutil.which("sshd", path=_SBIN)), "-D", "-e", "-f", str(settings)]
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(_running(netconfd, folder / "yuma.out"))
        async with asyncio.timeout(_PATIENCE):
            while not path.exists():
                if process.returncode is not None:
                    raise RuntimeError(f"netconfd ended at once; see what it writes to {log}")
                await asyncio.sleep(0.1)
        await stack.enter_async_context(_running(sshd, folder / "sshd.out"))
        await _answering(port)
        yield process, port, getpass.getuser()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answering(port: int) -> None:
    """Wait until something listens there."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


@asynccontextmanager
async def _running(command: list[str], output: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(20):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
