"""Names of devices become addresses, each in a thread of its own.

Only a thread can ask the resolver of the machine, which keeps it for as long as no server of names answers. The threads
of the loop are few and serve everybody: devices with dead names would take them all, and nobody else's name would be
found, nor any file read in a thread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Lock, Thread
from typing import TypeVar

MOST = 1024  # names that are looked up at a time

_T = TypeVar("_T")
_lock = Lock()
_asked: dict[str, Future[tuple[str, ...]]] = {}


async def addresses(host: str) -> tuple[str, ...]:
    """The addresses that a name has now, at least one; of an address, itself. Raises OSError."""
    try:
        ip_address(host)
    except ValueError:
        return await asyncio.wrap_future(_look_up(host))
    return (host,)


async def reached(host: str, connect: Callable[[str], Awaitable[_T]]) -> _T:
    """What ``connect`` returns for the first address of a name at which it raises no OSError. Raises OSError."""
    *others, last = await addresses(host)
    for address in others:
        try:
            return await connect(address)
        except OSError:
            continue
    return await connect(last)


def _look_up(name: str) -> Future[tuple[str, ...]]:
    """The answer to come, one for all who ask for the same name meanwhile."""
    with _lock:
        answer = _asked.get(name)
        if answer is None:
            if len(_asked) >= MOST:
                raise OSError(f"{MOST} other names are being looked up")
            answer = Future()
            answer.set_running_or_notify_cancel()  # so that who gives up waiting ends it for nobody else
            try:
                Thread(target=_ask, args=(name, answer), name=f"name {name}", daemon=True).start()
            except RuntimeError as error:
                raise OSError(f"no name can be looked up: {error}") from error
            _asked[name] = answer
    return answer


def _ask(name: str, answer: Future[tuple[str, ...]]) -> None:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        told: tuple[str, ...] | OSError = tuple(dict.fromkeys(str(place[0]) for *_, place in found))
    except (OSError, UnicodeError) as error:
        told = error if isinstance(error, OSError) else OSError(f"{name} is no name of a host")
    with _lock:
        del _asked[name]
    if isinstance(told, OSError):
        answer.set_exception(told)
    else:
        answer.set_result(told)
