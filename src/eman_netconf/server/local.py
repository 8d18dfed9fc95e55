"""NETCONF on a Unix socket: the kernel tells who is at the other end, so that nobody has to log in."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from eman_netconf.server.config import Limits
from eman_netconf.server.connections import Caller, Close, Connections, Refused
from eman_netconf.server.sessions import Sessions

_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): process, user, group


class LocalServer:
    """Unix sockets and their connections. The user is the name of the process's user id, his groups the system's."""

    def __init__(self, sessions: Sessions, limits: Callable[[], Limits]) -> None:
        self.connections = Connections("eman-server:netconf-local", sessions, limits, self._admit)

    def listen(self, path: Path, mode: int) -> Close:
        """Accept connections at a path, for those whom ``mode`` lets write there.

        A socket that was left by a server that is gone is replaced. Raises OSError.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            _remove_leftover(path)
            before = os.umask(0o777 & ~mode)
            try:
                listening.bind(os.fspath(path))
            finally:
                os.umask(before)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
        close = self.connections.listen(listening)

        async def close_and_remove() -> None:
            await close()
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - a name in a local folder

        return close_and_remove

    async def _admit(self, transport: asyncio.Transport) -> Caller:
        peer = transport.get_extra_info("socket")
        process, user, group = _CREDENTIALS.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        # where users are looked up may be a server far away
        name, groups = await asyncio.to_thread(identify, user, group)
        return Caller(name, f"user id {user} of process {process}", groups)


def identify(user: int, group: int) -> tuple[str, frozenset[str]]:
    """The name of a user id, and those of the groups that the system puts him in. Raises Refused."""
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        raise Refused(f"the user id {user} has no name on this system") from None
    return name, frozenset(filter(None, map(_group_name, os.getgrouplist(name, group))))


def _group_name(number: int) -> str | None:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return None


def _remove_leftover(path: Path) -> None:
    """Take away a socket at which nobody listens. Raises OSError when somebody does, or when it is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(17, "There is something else than a socket", str(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(98, "Another server listens there", str(path))
