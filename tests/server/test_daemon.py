"""The daemon's life: it starts from the disk outwards, follows its file, drains, and ends as it was asked to."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import stat
import threading
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from eman_netconf.datastore.storage import StateInUse
from eman_netconf.server.config import Bootstrap, Limits, Listen
from eman_netconf.server.daemon import Daemon
from eman_netconf.yang.schema import Schema
from tests.peer import Peer, connect
from tests.server.running import (
    ADMIN,
    NC,
    PASSWORD,
    PATIENCE,
    SERVER,
    Process,
    Serving,
    Systemd,
    backends,
    edit_config,
    edited,
    entity,
    get,
    link_until,
    refused,
    running_config,
    serving,
    silent_device,
    slow_client,
    snmp,
)

EVERYTHING = f'<get xmlns="{NC}"/>'


async def told_version(peer: Peer) -> str | None:
    data = await get(peer, f'<eman-server xmlns="{SERVER}"/>')
    return data.findtext(f".//{{{SERVER}}}version")


# --- start


async def test_the_log_has_a_line_for_start_and_stop(
    tmp_path: Path, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reads the log alone sees when the server began, with which configuration, and when it was told to stop."""
    caplog.set_level(logging.INFO, "eman_netconf.server.daemon")
    async with serving(tmp_path / "state", schema) as server:
        generation = server.daemon.datastores.generation
    started, stopping = [line for line in caplog.messages if line.startswith(("eman-netconf ", "stopping"))]
    assert started.endswith(f" started with configuration {generation}")
    assert stopping.startswith("stopping; ")


async def test_ready_means_that_everything_answers(process: Process) -> None:
    """The ready line names every listener, and at each of them a session can be opened and answers."""
    process.configure("127.0.0.1", "::1")
    await process.start()
    assert len(process.ports) == 2
    for host, port in zip(("127.0.0.1", "::1"), process.ports, strict=True):
        async with process.peer(port, host=host) as peer:
            assert await told_version(peer)
    assert await process.end() == 0


async def test_the_state_is_for_the_server_alone(process: Process) -> None:
    """Folders of the state have mode 0700 and files 0600, whatever the umask of the one who started it."""
    await process.start()
    async with process.peer() as peer:
        await edited(peer, entity("a"))
    assert await process.end() == 0
    for path in (process.state, *process.state.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert {"secret.key", "ssh_host_ed25519_key", "history.sqlite"} <= {file.name for file in process.state.iterdir()}


async def test_what_was_configured_is_there_after_a_restart(tmp_path: Path, schema: Schema) -> None:
    """A second life on the same folder has the same configuration, and does not begin anew."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        await edited(peer, entity("a", "<name>Kept</name>"))
        before = await running_config(peer)
    async with serving(tmp_path / "state", schema, initial=()) as server, server.peer() as peer:
        assert await running_config(peer) == before


async def test_two_servers_never_share_a_folder(tmp_path: Path, schema: Schema) -> None:
    """The second one ends with a sentence, and the first goes on."""
    async with serving(tmp_path / "state", schema) as server:
        with pytest.raises(StateInUse, match="stop it first"):
            async with serving(tmp_path / "state", schema):
                pass
        async with server.peer() as peer:
            assert await told_version(peer)


async def test_a_signal_during_the_start_is_obeyed(process: Process) -> None:
    """Asked to stop before it is ready, it ends with status 0 and never says ready."""
    process.program = ("-c", _TELLING)
    process.begin()
    assert process.child is not None
    assert process.child.stdout is not None
    assert await asyncio.to_thread(process.child.stdout.readline) == "looking for plugins\n"
    process.signal()
    assert await asyncio.to_thread(process.child.stdout.read) == ""
    assert await process.wait() == 0


_TELLING = """
import sys
from eman_netconf.cli import run
from eman_netconf.server import plugins
find = plugins.find
def telling():
    print("looking for plugins", flush=True)
    return find()
plugins.find = telling
sys.exit(run(sys.argv[1:]))
"""


async def test_a_reload_during_the_start_waits(tmp_path: Path, schema: Schema) -> None:
    """SIGHUP before it is ready takes effect once it is."""
    bootstrap = Bootstrap(tmp_path / "state", listen=(Listen(port=0),))
    daemon = Daemon(bootstrap, {}, schema, initial=[ADMIN])
    more = replace(bootstrap, listen=(Listen(port=0), Listen(address="::1", port=0)))
    reloading = asyncio.create_task(daemon.reload(more))
    await asyncio.sleep(0)
    running = asyncio.create_task(daemon.run(lambda addresses: None))
    async with asyncio.timeout(PATIENCE):
        await reloading
    assert daemon.bootstrap.listen == more.listen
    daemon.stop()
    await running


# --- reload


async def test_reload_follows_the_file_and_keeps_sessions(process: Process) -> None:
    """SIGHUP opens what is new, closes what is gone, changes the log, and no session notices."""
    process.configure("127.0.0.1", "::1")
    await process.start()
    first, second = process.ports
    async with process.peer(first) as old, process.peer(second, host="::1") as other:
        process.configure("127.0.0.2", "::1", more='[log]\njson = true\nlevel = "debug"\n')
        process.signal(signal.SIGHUP)
        assert json.loads(await process.logged("read again"))["level"] == "info"
        await refused(first)
        (new,) = process.listening() - {second}
        for port, host in ((new, "127.0.0.2"), (second, "::1")):
            async with process.peer(port, host=host) as peer:
                assert await told_version(peer)
        assert await told_version(old)
        assert await told_version(other)


async def test_a_listener_can_grow_to_all_addresses(process: Process) -> None:
    """127.0.0.1 becomes 0.0.0.0 at the same port without a restart, or stays when it cannot."""
    await process.start()
    (port,) = process.ports
    async with process.peer() as old:
        process.configure(f"0.0.0.0 {port}", "192.0.2.1")
        process.signal(signal.SIGHUP)
        await process.logged("cannot listen on 192.0.2.1")
        async with process.peer() as peer:
            assert await told_version(peer)
        await refused(port, "127.0.0.2")
        process.configure(f"0.0.0.0 {port}")
        process.signal(signal.SIGHUP)
        await process.logged("read again")
        async with process.peer(host="127.0.0.2") as peer:
            assert await told_version(peer)
        assert await told_version(old)


async def test_a_bad_file_changes_nothing(process: Process) -> None:
    """What cannot be followed is one line in the log: listeners, log and sessions stay as they are."""
    await process.start()
    bad: list[tuple[tuple[str, ...], str, str]] = [
        (("127.0.0.1 65536",), "", "outside 0..65535"),
        (("127.0.0.1",), "[colour]\n", "has no setting 'colour'"),
        (("127.0.0.1", "::1", "192.0.2.1"), "", "cannot listen on 192.0.2.1"),
        (("::1",), '[log]\ndestination = "none/such/file"\n', "none/such/file"),
    ]
    async with process.peer() as old:
        for number, (listen, more, words) in enumerate(bad, 1):
            process.configure(*listen, more=more)
            process.signal(signal.SIGHUP)
            assert words in await process.logged("not reloaded, nothing changed", number)
            assert process.listening() == set(process.ports)
        assert await told_version(old)
        async with process.peer() as new:
            assert await told_version(new)


async def test_what_needs_a_restart_says_so(process: Process) -> None:
    """Another administrator is not taken over while running, and the log tells."""
    await process.start()
    process.config.write_text(process.config.read_text().replace('"admin"', '"root"'))
    process.signal(signal.SIGHUP)
    await process.logged("only with a restart")
    async with process.peer() as peer:
        await edited(peer, entity("a"))


# --- drain and stop


async def test_a_drain_answers_what_runs_and_takes_nothing_new(tmp_path: Path, schema: Schema) -> None:
    """An edit whose record is being written gets its <ok/>; new connections and sessions are refused meanwhile."""
    async with serving(tmp_path / "state", schema) as server:
        async with connect(server.port, password=PASSWORD) as connection, server.peer() as peer:
            disk = SlowDisk(server)
            peer.ask(edit_config(entity("last")))
            await disk.reached.wait()
            server.daemon.stop()
            await refused(server.port)
            with pytest.raises(asyncssh.ChannelOpenError, match="shutting down"):
                await connection.create_session(asyncssh.SSHClientSession, subsystem="netconf", encoding=None)
            disk.go_on.set()
            assert (await peer.reply()).ok
            await peer.closed()
        async with asyncio.timeout(PATIENCE):
            await server.task
    async with serving(tmp_path / "state", schema) as server, server.peer() as peer:
        assert b"last" in await running_config(peer)


class SlowDisk:
    """The journal's disk, which takes its time until it may go on."""

    def __init__(self, server: Serving) -> None:
        self.reached = asyncio.Event()
        self.go_on = threading.Event()
        self._loop = asyncio.get_running_loop()
        storage = server.daemon.journal.storage
        self._append, storage.append = storage.append, self._slowly

    def _slowly(self, record: bytes, *, unconfirmed: bool = False) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)
        self.go_on.wait(PATIENCE)
        self._append(record, unconfirmed=unconfirmed)


async def test_a_slow_reader_gets_its_whole_answer(tmp_path: Path, schema: Schema) -> None:
    """A stop while a reply is on its way: all of it arrives before the connection ends."""
    names = "".join(f"<entity><id>e-{number}</id><name>{'x' * 200}</name></entity>" for number in range(2000))
    async with serving(tmp_path / "state", schema) as server:
        async with server.peer() as peer:
            await edited(peer, entity("e").replace("<entity><id>e</id></entity>", names))
        async with connect(server.port, password=PASSWORD) as connection:
            client = await slow_client(connection)
            client.peer.ask(f'<get-config xmlns="{NC}"><source><running/></source></get-config>')
            await client.full.wait()
            server.daemon.stop()
            await refused(server.port)
            client.read_on()
            reply = await client.peer.reply()
            assert reply.ok
            assert sum(1 for _ in reply.element.iter("{*}entity")) == 2000
            await client.peer.closed()
        async with asyncio.timeout(PATIENCE):
            await server.task


async def test_who_never_reads_delays_the_stop_until_the_deadline(
    tmp_path: Path, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that reads nothing is cut when drain-seconds are over, and the stop is one in order all the same."""
    limits = Limits(drain_seconds=0.5)
    async with (
        serving(tmp_path / "state", schema, limits=limits) as server,
        connect(server.port, password=PASSWORD) as connection,
    ):
        client = await slow_client(connection)
        for _ in range(40):
            client.peer.ask(EVERYTHING)
        await client.full.wait()
        caplog.set_level(logging.INFO)
        await server.stopped()
        await client.peer.closed()
    assert f"session {client.peer.session_id}: ended by the server" in caplog.text


async def test_a_second_signal_forces(process: Process, systemd: Systemd) -> None:
    """Who does not want to wait for a slow client asks twice; the status then says that it was no stop in order."""
    process.environment = systemd.environment()
    process.configure(more="[limits]\ndrain-seconds = 600\n")
    await process.start()
    async with connect(process.ports[0], client_keys=[process.key]) as connection:
        client = await slow_client(connection)
        for _ in range(40):
            client.peer.ask(EVERYTHING)
        await client.full.wait()
        process.signal()
        await systemd.until("STOPPING=1")
        process.signal()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 1
    await process.start()
    assert await process.end() == 0


async def test_a_silent_device_does_not_delay_the_stop(tmp_path: Path, schema: Schema) -> None:
    """A question that waits long for a device is cut short."""
    with silent_device() as port:
        async with serving(tmp_path / "state", schema) as server:
            async with server.peer() as peer:
                await edited(peer, backends(snmp("pdu", port, timeout=600)))
                await link_until(peer, "pdu", state="opening")
            async with asyncio.timeout(PATIENCE):
                await server.stopped()
