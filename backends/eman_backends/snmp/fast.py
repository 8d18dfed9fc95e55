"""The fast path: GET by gufo-snmp, where it is installed and the device needs nothing special."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from typing import Any

from .complete import Oid, Value
from .keys import master_key
from .settings import Community, Target, User

try:
    from gufo.snmp import SnmpVersion
    from gufo.snmp import user as keys
    from gufo.snmp.aio import SnmpSession

    INSTALLED = True
except ImportError:  # the extra "fast" is not installed
    INSTALLED = False

# The library takes the device's time from its last answer and does not go on from there; a device takes nothing that is
# 150 seconds old (RFC 3414 section 2.2.3). After so many seconds without an answer it is asked for its time.
FORGOTTEN = 60.0
_NO_LIMIT: Any = None  # who asks keeps the time; gufo hands this on to asyncio.wait_for
_TYPES = {int, bytes, str}  # of values that mean something here
_AUTH = {
    "md5": "Md5Key",
    "sha1": "Sha1Key",
    "sha224": "Sha224Key",
    "sha256": "Sha256Key",
    "sha384": "Sha384Key",
    "sha512": "Sha512Key",
}
_PRIV = {"des": "DesKey", "aes128": "Aes128Key", "aes192": "Aes192Key", "aes256": "Aes256Key"}


class UnusableError(Exception):
    """The fast path did not get an answer it understands."""


def suits(target: Target) -> bool:
    """Whether the fast path can speak to the device at all; it knows no contexts."""
    return INSTALLED and not (isinstance(target.credentials, User) and target.credentials.context)


class Fast:
    """A way to one device. Its socket lives until nobody holds the session any more."""

    def __init__(self, target: Target, address: str) -> None:
        self._target = target
        self._address = address
        self._session: Any = None
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0  # about when the device last answered, by the loop's time

    async def get(self, names: Sequence[Oid]) -> dict[Oid, Value]:
        """The values the device gave; its caller keeps the time. Raises OSError, UnusableError.

        What is missing was left out by the device, or the device answered with an error: the library does not tell.
        """
        try:
            if self._session is None:
                self._session = await self._begin()
            elif self._loop.time() - self._heard_at > FORGOTTEN:
                await self._session.refresh()
            self._heard_at = self._loop.time()
            values = await self._session.get_many(names)
        except (TimeoutError, OSError, asyncio.CancelledError) as error:
            traceback.clear_frames(error.__traceback__)  # they and what was cancelled hold each other, and the socket
            self._forget_engine()
            raise
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in the library's Rust is no Exception
            self.close()
            raise UnusableError(f"{type(error).__name__}: {error}") from None
        if values.keys() <= set(names) and set(map(type, values.values())) <= _TYPES:
            return dict(values)
        return {name: values[name] for name in names if type(values.get(name)) in _TYPES}

    def close(self) -> None:
        """Let go of the socket."""
        self._session = None

    def _forget_engine(self) -> None:
        if isinstance(self._target.credentials, User):
            self.close()  # the time of the device may have changed, and only a new session asks for it

    async def _begin(self) -> Any:
        credentials = self._target.credentials
        if isinstance(credentials, Community):
            return SnmpSession(
                self._address,
                self._target.port,
                community=credentials.name,
                version=SnmpVersion.v1 if credentials.version == "v1" else SnmpVersion.v2c,
                timeout=_NO_LIMIT,
            )
        session = SnmpSession(
            self._address,
            self._target.port,
            user=_user(credentials),
            engine_id=credentials.engine,
            version=SnmpVersion.v3,
            timeout=_NO_LIMIT,
        )
        await session.refresh()
        return session


def _user(user: User) -> Any:
    """The user with stretched keys, which the complete path has computed and kept before."""
    auth = priv = None
    if user.auth and user.auth_key:
        auth = getattr(keys, _AUTH[user.auth])(master_key(user.auth, user.auth_key), keys.KeyType.Master)
        if user.priv and user.priv_key:
            priv = getattr(keys, _PRIV[user.priv])(master_key(user.auth, user.priv_key), keys.KeyType.Master)
    return keys.User(user.name, auth_key=auth, priv_key=priv)
