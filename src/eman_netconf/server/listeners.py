"""Where the server answers and whom it calls: the listeners of every transport and the call homes, as one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from eman_netconf.server.callhome import CallHomes
from eman_netconf.server.certificates import Rule, load_credentials
from eman_netconf.server.config import Bootstrap, CallHome, Limits, Listen, Transport
from eman_netconf.server.connections import Close
from eman_netconf.server.local import LocalServer
from eman_netconf.server.sessions import Sessions
from eman_netconf.server.ssh import SshServer, load_authorities, load_host_key
from eman_netconf.server.tls import TlsServer
from eman_netconf.server.users import Users


@dataclass(frozen=True, slots=True)
class _Place:
    port: int
    close: Close


class Listeners:
    """All transports. ``rules`` gives the cert-to-name rules in force.

    Raises HostKeyError when the server's own SSH key cannot be used.
    """

    def __init__(
        self,
        state: Path,
        sessions: Sessions,
        users: Users,
        limits: Callable[[], Limits],
        rules: Callable[[], tuple[Rule, ...]],
    ) -> None:
        self.ssh = SshServer(sessions, users, load_host_key(state / "ssh_host_ed25519_key"), limits)
        self.tls = TlsServer(sessions, limits, rules)
        self.local = LocalServer(sessions, limits)
        self._call_homes = CallHomes(self._serve)
        self._places: dict[Listen, _Place] = {}

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: address and port; a Unix socket's path has port 0."""
        return [(listen.address or str(listen.path), place.port) for listen, place in self._places.items()]

    async def follow(self, bootstrap: Bootstrap) -> None:
        """Listen and call as the file says, with the certificates as they are now; sessions stay.

        Raises OSError or ConfigError, having changed nothing.
        """
        authorities = load_authorities(bootstrap.ssh.user_ca)
        credentials = None if bootstrap.tls is None else load_credentials(bootstrap.tls)
        before = self.ssh.authorities, self.tls.credentials
        self.ssh.authorities, self.tls.credentials = authorities, credentials  # before the first client can come
        try:
            await self._listen_only(bootstrap.listen)
        except OSError:
            self.ssh.authorities, self.tls.credentials = before
            raise
        self._call_homes.follow(bootstrap.call_home)

    async def _serve(self, connected: socket.socket, told: CallHome) -> bool:
        if told.transport is Transport.TLS:
            return await self.tls.connections.serve(connected)
        return await self.ssh.serve(connected, told.keepalive)

    # --- listeners

    async def _listen_only(self, wanted: Sequence[Listen]) -> None:
        """Listen at these alone; when one fails, at those from before. Raises OSError."""
        gone = [listen for listen in self._places if listen not in wanted]
        new = [listen for listen in wanted if listen not in self._places]
        # 127.0.0.1 has to go before 0.0.0.0 can come at its port
        in_the_way = {
            old: place
            for old, place in self._places.items()
            if old in gone and any(_collide(replace(old, port=place.port), listen) for listen in new)
        }
        await self._stop_at(in_the_way)
        try:
            await self._listen(new)
        except OSError:
            for old, place in in_the_way.items():
                self._places[old] = await self._open(old, place.port)
            raise
        await self._stop_at(gone)

    async def _listen(self, wanted: Iterable[Listen]) -> None:
        """Listen there too; at all of them or, when one fails, at none. Raises OSError."""
        opened: dict[Listen, _Place] = {}
        for listen in wanted:
            if listen in opened:
                continue
            try:
                opened[listen] = await self._open(listen, listen.port)
            except OSError as error:
                for place in opened.values():
                    await place.close()
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise OSError(f"cannot listen on {listen}: {reason}") from None
        self._places |= opened

    async def _open(self, listen: Listen, port: int) -> _Place:
        match listen.transport:
            case Transport.SSH:
                bound = await self.ssh.listen(listen.address, port)
                return _Place(bound, partial(self._stop_ssh, bound, listen.address))
            case Transport.TLS:
                return _Place(*self.tls.listen(listen.address, port))
            case Transport.UNIX:
                return _Place(0, self.local.listen(listen.path, listen.mode))

    async def _stop_ssh(self, port: int, address: str) -> None:
        self.ssh.stop_listening(port, address)

    async def _stop_at(self, gone: Iterable[Listen]) -> None:
        for listen in list(gone):
            if listen in self._places:
                await self._places.pop(listen).close()

    # --- the end

    async def stop(self) -> None:
        """Take no more connections and make none; those that are open stay."""
        self._call_homes.stop()
        await self._stop_at(self._places)

    async def finish(self, seconds: float) -> None:
        """Wait until what was written to all sessions is out, for so long at most."""
        await asyncio.gather(
            self.ssh.finish(seconds), self.tls.connections.finish(seconds), self.local.connections.finish(seconds)
        )

    async def close(self) -> None:
        """Stop, and cut every connection; sessions are drained before."""
        await self.stop()
        await asyncio.gather(self.ssh.close(), self.tls.connections.close(), self.local.connections.close())


def _collide(old: Listen, new: Listen) -> bool:
    """Whether one has to go before the other can come."""
    if Transport.UNIX in {old.transport, new.transport}:
        return old.path == new.path and old.transport is new.transport
    return old.port == new.port
