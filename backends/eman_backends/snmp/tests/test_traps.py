"""What devices say by themselves, sent by Net-SNMP's snmptrap, snmpinform and snmpd."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_backends.snmp import ber, envelope, notices, traps
from eman_backends.snmp.backend import Snmp
from eman_backends.snmp.engine import FILE, MOST_BOOTS, start
from eman_backends.snmp.keys import WINDOW
from eman_backends.snmp.settings import Community, Hearing, Target, User
from eman_backends.snmp.tests.agent import Agent, serving, switch
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import AUTH_KEY, PRIV_KEY, free_port, run_snmpd, snmpd, temporary
from eman_backends.snmp.tests.notifier import COLD_START, LINK_DOWN, WARM_START, captured, send
from eman_backends.snmp.traps import Ear, Receiver
from eman_backends.snmp.usm import Usm
from eman_netconf.backend import Pass, Unavailable
from tests.programs import program
from tests.traces import leaves_nothing, sockets

PUBLIC = Community("public")
SECURE = User("sha256-aes128", "sha256", AUTH_KEY, "aes128", PRIV_KEY)
OTHERS = [
    User("sha512-aes256", "sha512", AUTH_KEY, "aes256", PRIV_KEY),
    User("sha1-des", "sha1", AUTH_KEY, "des", PRIV_KEY),
    User("unhidden", "sha256", AUTH_KEY),
    User("unproved"),
]
HERE = "127.0.0.1"
CASES = {
    "v1": (Community("public", "v1"), Community("public", "v1")),
    "v2c": (PUBLIC, PUBLIC),
    "v1 of a device that is read over v2c": (PUBLIC, Community("public", "v1")),
    **{f"v3 {user.name}": (user, user) for user in (SECURE, *OTHERS)},
}


@pytest.fixture(params=["complete"])
def fast(request: pytest.FixtureRequest) -> bool:
    """Notifications have nothing to do with the fast path."""
    return bool(request.param == "fast")


def target(
    credentials: Community | User, port: int = 0, *, at: int | None = None, community: str | None = None
) -> Target:
    """A device whose notifications are listened for at a port of this machine."""
    return Target(HERE, at or snmpd().port, credentials, hearing=Hearing(HERE, port or free_port(), community))


class Watching:
    """A backend that is open, and what it yields."""

    def __init__(self, backend: Snmp) -> None:
        self.backend = backend
        self.passes: list[Pass] = []
        self._more = asyncio.Event()

    async def run(self) -> None:
        async for one in self.backend.watch():
            self.passes.append(one)
            self._more.set()

    async def heard(self) -> Pass:
        """The next pass that is yielded."""
        async with asyncio.timeout(60):
            await self._more.wait()
        self._more.clear()
        return self.passes[-1]

    @property
    def ear(self) -> Ear:
        assert self.backend._ear is not None
        return self.backend._ear

    @property
    def receiver(self) -> Receiver:
        assert self.ear.receiver is not None
        return self.ear.receiver

    @property
    def usm(self) -> Usm:
        usm = self.backend._client._complete._usm
        assert usm is not None
        return usm

    def place(self, later: int = 0) -> dict[str, Any]:
        """Whom a trap of the device says to come from, and when."""
        return {"engine": self.usm.engine, "place": (self.usm._boots, self.usm._engine_time() + later)}

    def heeds(self, datagram: bytes, source: str = HERE) -> bool:
        """Whether a datagram from there is heeded; the device is read then."""
        self.ear._happened.clear()
        self.receiver.hear(datagram, source)
        heeded = self.ear._happened.is_set()
        self.ear._happened.clear()
        return heeded


@contextlib.asynccontextmanager
async def watching(backend: Snmp) -> AsyncIterator[Watching]:
    """Open a backend and listen."""
    await backend.open()
    one = Watching(backend)
    task = asyncio.create_task(one.run())
    try:
        await until(lambda: backend._ear is not None or task.done())
        yield one
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for knows of no tests
            await asyncio.sleep(0.01)


# --- what is heeded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "said"), CASES.values(), ids=CASES)
async def test_a_trap_has_the_device_read(
    make: Make, tmp_path: Path, asked: Community | User, said: Community | User
) -> None:
    """A trap of every version, with every level of security, becomes a pass without readings."""
    one = target(asked)
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        place = watched.place() if isinstance(said, User) else {}
        assert await send(one.hearing.port, said, tmp_path, **place) == 0
        assert await watched.heard() == Pass(())


@pytest.mark.parametrize("credentials", [PUBLIC, SECURE, *OTHERS], ids=lambda one: getattr(one, "name", ""))
async def test_an_inform_is_confirmed(make: Make, tmp_path: Path, credentials: Community | User) -> None:
    """An inform has the device read, and its sender hears that it arrived; over SNMPv3 a second time too."""
    one = target(credentials)
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        for _ in range(2):
            assert await send(one.hearing.port, credentials, tmp_path, inform=True) == 0
            await watched.heard()


async def test_a_community_of_its_own(make: Make, tmp_path: Path) -> None:
    """Traps may bear another community than questions do, also where questions are asked over SNMPv3."""
    for asked in (PUBLIC, SECURE):
        async with watching(make(target(asked, community="for traps"))) as watched:
            assert watched.heeds(await captured(Community("for traps"), tmp_path))
            assert watched.heeds(await captured(Community("for traps", "v1"), tmp_path))
            assert watched.heeds(await captured(PUBLIC, tmp_path)) is (asked is PUBLIC)


async def test_snmpd_tells_that_it_started(make: Make) -> None:
    """What Net-SNMP's agent sends when it starts is heeded."""
    one = target(PUBLIC)
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        port = free_port()
        lines = [f"agentaddress udp:{HERE}:{port}", "rocommunity public", f"trap2sink {HERE}:{one.hearing.port} public"]
        another = await asyncio.to_thread(run_snmpd, program("snmpd", "snmpd"), temporary("snmpd"), port, lines)
        try:
            await watched.heard()
            await until(lambda: watched.backend._restarted)
        finally:
            another.process.terminate()
            await asyncio.to_thread(another.process.wait)


# --- what is not ------------------------------------------------------------------------------------------------------


async def test_another_community_or_address_is_not_heeded(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A trap counts only from the address of the device and with its community; what is wrong is said once."""
    async with watching(make(target(PUBLIC))) as watched:
        right, wrong = await captured(PUBLIC, tmp_path), await captured(Community("publik"), tmp_path)
        assert watched.heeds(right)
        assert not watched.heeds(right, "127.0.0.2")
        for _ in range(3):
            assert not watched.heeds(wrong)
        secured = await captured(SECURE, tmp_path, engine=b"\x80\x00\x1f\x88\x04some", place=(1, 1))
        assert not watched.heeds(secured)
    assert [record.getMessage().partition("heeded: ")[2] for record in caplog.records] == [
        "they bear another community",
        "they are of SNMPv3, and no user is configured",
    ]
    assert "publi" not in caplog.text


WRONG = {
    "user": (User("somebody", "sha256", AUTH_KEY, "aes128", PRIV_KEY), "a user that is not configured"),
    "key": (User("sha256-aes128", "sha256", "not this key", "aes128", PRIV_KEY), "digest is wrong"),
    "privacy": (User("sha256-aes128", "sha256", AUTH_KEY, "aes128", "not this key"), "cannot be"),
    "level": (User("sha256-aes128", "sha256", AUTH_KEY), "secured otherwise"),
    "nothing": (User("sha256-aes128"), "secured otherwise"),
}


@pytest.mark.parametrize(("sender", "says"), WRONG.values(), ids=WRONG)
async def test_a_trap_that_is_not_secured_as_configured_is_not_heeded(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, sender: User, says: str
) -> None:
    """Another user, other keys, or less security than the device is spoken to with."""
    async with watching(make(target(SECURE))) as watched:
        assert not watched.heeds(await captured(sender, tmp_path, **watched.place()))
        assert watched.heeds(await captured(SECURE, tmp_path, **watched.place()))
    assert says in caplog.text
    assert "this key" not in caplog.text


@pytest.mark.parametrize(("sender", "says"), WRONG.values(), ids=WRONG)
async def test_an_inform_that_is_not_secured_as_configured_is_not_confirmed(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, sender: User, says: str
) -> None:
    """Its sender gets no confirmation, and the log says why."""
    one = target(SECURE)
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        assert await send(one.hearing.port, sender, tmp_path, inform=True) != 0
        assert not watched.passes
    assert says in caplog.text


async def test_a_trap_of_the_past_is_not_heeded(make: Make, tmp_path: Path) -> None:
    """What is older than the time window, or of an earlier start of the device, is not heeded; what is newer is, and
    from then on what it replaced is of the past."""
    async with watching(make(target(SECURE))) as watched:
        engine = watched.usm.engine
        boots = watched.usm._boots

        async def trap(later: int, seconds: int) -> bytes:
            return await captured(SECURE, tmp_path, engine=engine, place=(boots + later, seconds))

        before, late, now, restarted = await trap(1, 5), await trap(2, 500), await trap(2, 1000), await trap(3, 5)
        assert watched.heeds(now)
        assert watched.heeds(now)
        assert not watched.heeds(late)
        assert not watched.heeds(before)
        assert watched.heeds(await trap(2, 1000 - WINDOW // 2))
        assert watched.heeds(restarted)
        assert not watched.heeds(now)


async def test_a_trap_of_another_engine_is_not_heeded(make: Make, tmp_path: Path) -> None:
    """The engine must be that of the device, whoever has the right keys."""
    async with watching(make(target(SECURE))) as watched:
        engine = b"\x80\x00\x1f\x88\x04some"
        assert not watched.heeds(await captured(SECURE, tmp_path, engine=engine, place=watched.place()["place"]))


async def test_no_octet_of_a_secured_trap_can_be_changed(make: Make, tmp_path: Path) -> None:
    """Whichever octet is another one, the trap is not heeded, and nothing breaks."""
    async with watching(make(target(SECURE))) as watched:
        watched.receiver._bucket = traps.Bucket((1e9, 1e9), 0)
        watched.receiver._buckets[HERE] = traps.Bucket((1e9, 1e9), 0)
        trap = await captured(SECURE, tmp_path, **watched.place())
        assert watched.heeds(trap)
        for position in range(len(trap)):
            for flip in (0x01, 0xFF):
                changed = trap[:position] + bytes([trap[position] ^ flip]) + trap[position + 1 :]
                assert not watched.heeds(changed), position


async def test_an_inform_is_not_believed_by_the_next_start(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start of this server counts one up, so that what was sent to an earlier one is out of time."""
    one = target(SECURE)
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        security = watched.ear._security
        assert security is not None
        first = security.engine
        sent: list[bytes] = []
        hear = watched.receiver.hear

        def noting(datagram: bytes, source: str) -> bytes | None:
            sent.append(datagram)
            return hear(datagram, source)

        monkeypatch.setattr(watched.receiver, "hear", noting)
        assert await send(one.hearing.port, SECURE, tmp_path, inform=True) == 0
        monkeypatch.undo()
        assert watched.heeds(sent[-1])
        again = start(tmp_path, asyncio.get_running_loop().time)
        assert (again.identity, again.boots) == (first.identity, first.boots + 1)
        watched.ear._security = replace(security, engine=again)
        assert not watched.heeds(sent[-1])


# --- garbage and floods -----------------------------------------------------------------------------------------------


async def test_no_garbage_harms_the_receiver(make: Make, tmp_path: Path) -> None:
    """Cut and broken datagrams are dropped, with or without security."""
    for credentials in (PUBLIC, SECURE):
        async with watching(make(target(credentials))) as watched:
            watched.receiver._bucket = traps.Bucket((1e9, 1e9), 0)
            watched.receiver._buckets[HERE] = traps.Bucket((1e9, 1e9), 0)
            place = watched.place() if credentials is SECURE else {}
            trap = await captured(credentials, tmp_path, **place)
            assert watched.heeds(trap)
            for end in range(len(trap)):
                assert not watched.heeds(trap[:end])
            for garbage in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 500, bytes(traps.LONGEST + 1)):
                assert not watched.heeds(garbage)


async def test_a_flood_is_looked_at_in_part(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands of traps at once a few are looked at, they are one pass, and one line says so."""
    async with watching(make(target(PUBLIC))) as watched:
        trap = await captured(PUBLIC, tmp_path)
        judged: list[bytes] = []
        judge = watched.ear.judge

        def noting(datagram: bytes, envelope: Any) -> traps.Verdict:
            judged.append(datagram)
            return judge(datagram, envelope)

        monkeypatch.setattr(watched.ear, "judge", noting)
        for _ in range(10_000):
            watched.receiver.hear(trap, HERE)
        assert len(judged) <= 2 * traps.OF_A_DEVICE[1]
        await watched.heard()
        assert len(watched.passes) == 1
    assert [record.getMessage().partition("heeded: ")[2] for record in caplog.records] == [
        "they are too many to be looked at all"
    ]


async def test_a_flood_of_one_device_is_not_one_of_another(make: Make, tmp_path: Path) -> None:
    """Each address has its own measure; there is one for all, too, so that invented addresses do not help."""
    bucket = traps.Bucket((10.0, 3.0), 100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.25) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]
    async with watching(make(target(PUBLIC))) as watched:
        trap = await captured(PUBLIC, tmp_path)
        other = Ear("127.0.0.2", [b"public"], None, lambda text: None)
        watched.receiver.join(other)
        for _ in range(1000):
            watched.receiver.hear(trap, "127.0.0.2")
        assert watched.heeds(trap)
        other.close()


# --- restarts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [COLD_START, WARM_START])
@pytest.mark.parametrize("version", ["v1", "v2c"])
async def test_a_device_that_restarted_is_looked_at_again(make: Make, tmp_path: Path, what: str, version: str) -> None:
    """After coldStart or warmStart a device may have other parts, so it is opened again."""
    async with serving(Agent(switch(3))) as agent, watching(make(target(PUBLIC, at=agent.port))) as watched:
        trap = await captured(Community("public", version), tmp_path, what=what)
        agent.tree |= Agent(switch(4)).tree
        agent.order = sorted(agent.tree)
        assert not (await watched.backend.read()).outdated
        watched.receiver.hear(trap, HERE)
        await watched.heard()
        assert (await watched.backend.read()) == Pass((), outdated=True)
        assert len((await watched.backend.open()).entities[0].interfaces) == 4
        assert not (await watched.backend.read()).outdated


async def test_a_trap_of_something_else_surveys_nothing(make: Make, tmp_path: Path) -> None:
    """Other traps have the device read, and no more."""
    async with serving(Agent(switch(3))) as agent, watching(make(target(PUBLIC, at=agent.port))) as watched:
        watched.receiver.hear(await captured(PUBLIC, tmp_path, what=LINK_DOWN), HERE)
        await watched.heard()
        asked = len(agent.seen)
        await watched.backend.read()
        assert len(agent.seen) - asked == 1


# --- sockets ----------------------------------------------------------------------------------------------------------


async def test_devices_share_a_socket(make: Make, tmp_path: Path) -> None:
    """All devices whose notifications come to one port share a socket, which is closed with the last of them."""
    port = free_port()
    async with serving(Agent(switch())) as agent, leaves_nothing():
        first, second = (make(target(PUBLIC, port, at=agent.port)) for _ in range(2))
        async with watching(first) as one:
            before = sockets()
            async with watching(second) as other:
                assert len(sockets() - before) <= 1  # that of the questions
                assert one.receiver is other.receiver
                assert await send(port, PUBLIC, tmp_path) == 0
                await one.heard()
                await other.heard()
            await second.close()
            assert await send(port, PUBLIC, tmp_path) == 0
            await one.heard()
        await first.close()


async def test_close_ends_listening(make: Make) -> None:
    """close() ends the watch of who did not cancel it, and frees the port."""
    one = target(PUBLIC)
    assert one.hearing is not None
    backend = make(one)
    await backend.open()
    watch = aiter(backend.watch())
    waiting = asyncio.ensure_future(anext(watch, None))
    await until(lambda: backend._ear is not None)
    await backend.close()
    assert await waiting is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HERE, one.hearing.port))


async def test_a_port_that_is_taken_is_said(make: Make) -> None:
    """Where nothing can be heard the reason is told, and the device is read as ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HERE, 0))
        backend = make(target(PUBLIC, taken.getsockname()[1]))
        await backend.open()
        with pytest.raises(Unavailable, match=r"nothing can be heard at 127\.0\.0\.1 port \d+: Address already in use"):
            await anext(aiter(backend.watch()))
        assert (await backend.read()).readings


async def test_the_name_of_this_server_cannot_be_kept(make: Make, tmp_path: Path) -> None:
    """Where the state directory takes no file, informs cannot be heard, and the file is named."""
    (tmp_path / FILE).mkdir()
    backend = make(target(SECURE))
    await backend.open()
    with pytest.raises(Unavailable, match=FILE):
        await anext(aiter(backend.watch()))


@pytest.mark.parametrize("listen", ["::", "0.0.0.0"])
async def test_all_addresses_of_this_server(make: Make, tmp_path: Path, listen: str) -> None:
    """At :: notifications are heard over IPv4 too, and a device is known by its IPv4 address as ever."""
    one = replace(target(PUBLIC), hearing=Hearing(listen, free_port()))
    assert one.hearing is not None
    async with watching(make(one)) as watched:
        assert await send(one.hearing.port, PUBLIC, tmp_path, inform=True) == 0
        await watched.heard()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8:0::1", "2001:db8::1")],
)
def test_an_address_is_written_in_one_way(written: str, meant: str) -> None:
    """Whichever way the system writes where a datagram is from."""
    assert traps.plain(written) == meant


@given(st.binary(max_size=200))
def test_no_octets_harm_what_takes_them_apart(octets: bytes) -> None:
    """Whatever arrives is taken apart or refused with one kind of error."""
    for reads in (envelope.take_apart, lambda told: notices.notice(ber.Reader(told))):
        with contextlib.suppress(ber.MalformedError):
            reads(octets)


async def test_without_traps_nothing_listens(make: Make) -> None:
    """A device without the setting has no socket for it, and its watch ends at once."""
    backend = make(Target(HERE, snmpd().port, PUBLIC))
    await backend.open()
    before = sockets()
    assert [one async for one in backend.watch()] == []
    assert sockets() == before


# --- this server as an engine -----------------------------------------------------------------------------------------


def test_the_engine_keeps_its_name_and_counts_its_starts(tmp_path: Path) -> None:
    """The id stays, boots go up by one a start; what is broken or used up begins anew under another name."""
    first = start(tmp_path / "state", float)
    second = start(tmp_path / "state", float)
    assert (second.identity, second.boots) == (first.identity, 2)
    assert 5 <= len(first.identity) <= 32
    assert first.identity[0] & 0x80
    path = tmp_path / "state" / FILE
    for spoiled in ("{", "[]", '{"engine-id": "zz", "boots": 1}', json.dumps({"engine-id": "00", "boots": 3})):
        path.write_text(spoiled, encoding="ascii")
        assert start(tmp_path / "state", float).identity != first.identity
    path.write_text(json.dumps({"engine-id": first.identity.hex(), "boots": MOST_BOOTS - 1}), encoding="ascii")
    assert start(tmp_path / "state", float).identity != first.identity


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, 32767, 32768, 2**31 - 1, -1, -128, -129, -(2**31)])
def test_numbers_are_written_as_they_are_read(number: int) -> None:
    """Two's complement in as few octets as it takes (ITU-T X.690 section 8.3)."""
    written = ber.integer(number)
    assert ber.Reader(written).integer() == number
    assert written[1] == max(1, ((number if number >= 0 else ~number).bit_length() + 8) // 8)


async def test_nothing_secret_is_shown(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Communities and keys are in no representation of what listens, and in no log."""
    caplog.set_level(logging.DEBUG)
    async with watching(make(target(SECURE, community="a secret one"))) as watched:
        shown = (
            f"{watched.ear!r}{watched.ear._security!r}{watched.backend._target!r}{watched.usm!r}{watched.usm.keys!r}"
        )
    for secret in ("a secret one", AUTH_KEY, PRIV_KEY):
        assert secret not in shown + caplog.text
