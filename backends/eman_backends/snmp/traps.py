"""What devices say by themselves: one socket for each address and port, and who of those that listen it is for."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

from . import ber
from .ber import MalformedError, Reader
from .engine import ENGINE, USER, Engine, Fault, start
from .envelope import Envelope, take_apart
from .keys import AUTHENTICATED, Keys, UnreadableError, stretch
from .notices import Notice, Pdu, notice
from .settings import Hearing, User
from .usm import Usm

LONGEST = 4096  # octets of a notification that is looked at
IN_A_TURN = 32  # datagrams, before others on the loop have theirs
OF_A_DEVICE = (10.0, 30.0)  # notifications of a device that are looked at: in a second, and at once
OF_ALL = (200.0, 400.0)  # and of all devices
VERSION_3 = 3
_KINDS = {0: {Pdu.TRAP_V1}, 1: {Pdu.TRAP, Pdu.INFORM}}  # by the number of a version with communities


class Rank(IntEnum):
    """How near a datagram came to being heeded."""

    NOTHING = 0
    STRANGE = 1  # of an engine or a user that is not known here
    WRONG = 2
    HEEDED = 3


class Verdict(NamedTuple):
    """What one who listens makes of a datagram: why it is not heeded, and what is answered."""

    rank: Rank
    why: str = ""
    reply: bytes | None = None


class Bucket:
    """Lets through so many in a second, and so many at once."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, limits: tuple[float, float], now: float) -> None:
        self._rate, self._most = limits
        self._left = self._most
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more may pass."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Security:
    """SNMPv3 with one device: it is the authority for its traps, and this server for its informs."""

    user: User
    usm: Usm
    engine: Engine
    keys: Keys  # the user's at this engine

    def open(self, envelope: Envelope) -> tuple[Notice, bytes | None]:
        """The notification in a message, and what confirms it. Raises Fault, UnreadableError, MalformedError."""
        if envelope.engine == self.engine.identity:
            return self.engine.open(envelope, self.user, self.keys)
        if envelope.engine != self.usm.engine:
            raise Fault(ENGINE, "they are of another engine than the device's")
        return self._trap(envelope), None

    def _trap(self, envelope: Envelope) -> Notice:
        keys = self.usm.keys
        if envelope.user != self.user.name.encode():
            raise UnreadableError("they are of a user that is not configured")
        if envelope.level != keys.level:
            raise UnreadableError("they are secured otherwise than configured")
        if envelope.level & AUTHENTICATED:
            if not envelope.proved_by(keys):
                raise UnreadableError("their digest is wrong: the key or the protocol of authentication differs")
            self.usm.keep_time(envelope.boots, envelope.seconds)
        heard = notice(envelope.open(keys).pdu)
        if heard.response is not None:
            raise MalformedError("an inform that names its sender as the authority")
        return heard


class Ear:
    """Who listens for one device, at its address ``source``. ``heard`` waits for what it says."""

    def __init__(
        self, source: str, communities: Sequence[bytes], security: Security | None, say: Callable[[str], None]
    ) -> None:
        self.source = source
        self.receiver: Receiver | None = None
        self._communities = communities
        self._security = security
        self._say = say
        self._happened = asyncio.Event()
        self._restarted = False

    async def heard(self) -> bool | None:
        """Wait until something was said, and tell whether the device started anew; None once this is closed."""
        await self._happened.wait()
        if self.receiver is None:
            return None
        self._happened.clear()
        restarted, self._restarted = self._restarted, False
        return restarted

    def close(self) -> None:
        """Listen no more; may come twice."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.leave(self)
        self._happened.set()

    def judge(self, datagram: bytes, envelope: Envelope | None) -> Verdict:
        """Whether a datagram from the address of the device is heeded; then ``heard`` goes on."""
        try:
            said, reply = self._plainly(datagram) if envelope is None else self._securely(envelope)
        except Fault as fault:
            assert envelope is not None
            assert self._security is not None
            reply = self._security.engine.report(envelope, fault.number, self._security.keys)
            rank = Rank.STRANGE if fault.number in {USER, ENGINE} else Rank.WRONG
            asks = fault.number == ENGINE and reply is not None  # who we are, as every sender of informs must
            return Verdict(rank, "" if asks else str(fault), reply)
        except UnreadableError as error:
            return Verdict(Rank.WRONG, str(error))
        except MalformedError:
            return Verdict(Rank.NOTHING, "they cannot be understood")
        self._restarted = self._restarted or said.restarted
        self._happened.set()
        return Verdict(Rank.HEEDED, reply=reply)

    def complain(self, text: str) -> None:
        """Log what is wrong with what the device says, once."""
        self._say(f"sends notifications that are not heeded: {text}")

    def _plainly(self, datagram: bytes) -> tuple[Notice, bytes | None]:
        message = Reader(datagram).enter()
        version, community = message.integer(), message.octets()
        if message.tag not in _KINDS.get(version, ()):
            raise MalformedError("not a notification of its version")
        if not self._communities:
            raise UnreadableError("they are not of SNMPv3, and no community is configured for them")
        known = [hmac.compare_digest(community, one) for one in self._communities]
        if not any(known):
            raise UnreadableError("they bear another community")
        said = notice(message)
        if said.response is None:
            return said, None
        return said, ber.sequence(ber.integer(version), ber.octets(community), said.response)

    def _securely(self, envelope: Envelope) -> tuple[Notice, bytes | None]:
        if self._security is None:
            raise UnreadableError("they are of SNMPv3, and no user is configured")
        return self._security.open(envelope)


class Receiver:
    """One socket, and all who listen there. Each call is quick."""

    def __init__(self, address: str, port: int, loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
        """Raises OSError."""
        self._loop = loop
        self._gone = gone  # is called when the last one left
        self._ears: dict[str, list[Ear]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._bucket = Bucket(OF_ALL, loop.time())
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if self._socket.family is socket.AF_INET6 and ipaddress.ip_address(address).is_unspecified:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._socket.setblocking(False)
            self._socket.bind((address, port))
        except BaseException:
            self._socket.close()
            raise
        loop.add_reader(self._socket.fileno(), self._readable)

    def join(self, ear: Ear) -> None:
        """Somebody listens here from now on."""
        self._ears.setdefault(ear.source, []).append(ear)
        self._buckets.setdefault(ear.source, Bucket(OF_A_DEVICE, self._loop.time()))
        ear.receiver = self

    def leave(self, ear: Ear) -> None:
        """And not any more."""
        others = self._ears[ear.source]
        others.remove(ear)
        if not others:
            del self._ears[ear.source], self._buckets[ear.source]
        if not self._ears:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._gone()

    def _readable(self) -> None:
        for _ in range(IN_A_TURN):
            try:
                datagram, sender = self._socket.recvfrom(LONGEST + 1)
            except OSError:  # nothing there any more, or an answer of ours found nobody
                return
            reply = self.hear(datagram, plain(sender[0]))
            if reply is not None:
                with contextlib.suppress(OSError):  # who wants it asks again
                    self._socket.sendto(reply, sender)
            if not self._ears:
                return

    def hear(self, datagram: bytes, source: str) -> bytes | None:
        """Give a datagram to who listens for its sender, and return what is answered."""
        ears = self._ears.get(source)
        if ears is None or len(datagram) > LONGEST:
            return None
        now = self._loop.time()
        if not self._buckets[source].take(now) or not self._bucket.take(now):
            for ear in ears:
                ear.complain("they are too many to be looked at all")
            return None
        try:
            envelope = take_apart(datagram) if Reader(datagram).enter().integer() == VERSION_3 else None
        except MalformedError:
            verdicts = [Verdict(Rank.NOTHING, "they cannot be understood")]
        else:
            verdicts = [ear.judge(datagram, envelope) for ear in ears]
        best = max(verdicts, key=lambda one: (one.rank is Rank.HEEDED, one.reply is not None, one.rank))
        if best.why:
            for ear in ears:
                ear.complain(best.why)
        return best.reply


@dataclass(slots=True)
class Hub:
    """What all devices of one loop share: sockets, and this server's engine in each folder of its state."""

    receivers: dict[tuple[str, int], Receiver] = field(default_factory=dict)
    engines: dict[Path, Engine] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def receiver(self, address: str, port: int) -> Receiver:
        """The one there, which is opened for the first. Raises OSError."""
        place = (address, port)
        if place not in self.receivers:
            loop = asyncio.get_running_loop()
            self.receivers[place] = Receiver(address, port, loop, lambda: self._forget(place))
        return self.receivers[place]

    def _forget(self, place: tuple[str, int]) -> None:
        del self.receivers[place]

    async def engine(self, directory: Path) -> Engine:
        """This server as an engine. Raises OSError."""
        async with self.turn:
            if directory not in self.engines:
                self.engines[directory] = await asyncio.to_thread(start, directory, asyncio.get_running_loop().time)
            return self.engines[directory]


_HUBS: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


async def listen(
    hearing: Hearing, source: str, known: Usm | Sequence[bytes], directory: Path, say: Callable[[str], None]
) -> Ear:
    """Listen for the device at the address ``source``: with what is ``known`` of its security, or its communities.

    ``directory`` is where this server keeps who it is; ``say`` logs a peculiarity of the device. Raises OSError.
    """
    hub = _HUBS.setdefault(asyncio.get_running_loop(), Hub())
    security = None
    communities = [hearing.community.encode()] if hearing.community else []
    if isinstance(known, Usm):
        engine = await hub.engine(directory)
        await asyncio.to_thread(stretch, known.user)
        security = Security(known.user, known, engine, Keys(known.user, engine.identity))
    else:
        communities += known
    ear = Ear(plain(source), communities, security, say)
    hub.receiver(hearing.address, hearing.port).join(ear)
    return ear


def plain(address: str) -> str:
    """An address as all write it: IPv4 where it is that, without the zone."""
    given = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(given, "ipv4_mapped", None) or given)
