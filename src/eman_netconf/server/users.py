"""Who may log in: the users of the running configuration (ietf-system), their keys and passwords (RFC 7317)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from passlib.hash import md5_crypt, sha256_crypt, sha512_crypt

from eman_netconf.yang.tree import Inner, ListNode

log = logging.getLogger(__name__)

#: A longer password is refused unread: the time a check takes grows with it.
LONGEST_PASSWORD: Final = 512

# What the iana-crypt-hash module allows beside $0$ (clear text, which is never stored).
_SCHEMES: Final = {"$1$": md5_crypt, "$5$": sha256_crypt, "$6$": sha512_crypt}
_ROUNDS = re.compile(r"\$rounds=([0-9]+)\$")
_MOST_DIGITS = 7  # of the number of rounds, which the leaf lets be of any length
_MOST_ROUNDS = 1_000_000  # half a second; more would let one stored hash stall every login

# Checked where no user has a password, so that an unknown user takes as long as a known one. Matches nothing.
_DECOY: Final = "$6$eman$" + "." * 86


@dataclass(frozen=True, slots=True)
class User:
    """What one user may show: ``password`` is a crypt hash, ``keys`` are blobs of RFC 4253 section 6.6."""

    password: str | None
    keys: frozenset[bytes]


class Users:
    """The users as they stand now: every question reads the configuration in force.

    ``authentication`` gives the container /ietf-system:system/authentication, None when it is absent.
    """

    def __init__(self, authentication: Callable[[], Inner | None], *, workers: int = 2) -> None:
        self._authentication = authentication
        self._read: Inner | None = None
        self._users: Mapping[str, User] = {}
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="password")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def permits_key(self, name: str, key: bytes) -> bool:
        """Whether the public key (its blob) is one of the user's."""
        user = self._current().get(name)
        return user is not None and key in user.keys

    async def permits_password(self, name: str, password: str) -> bool:
        """Whether the password is the user's. Takes as long for a user who is unknown or has no password."""
        users = self._current()
        user = users.get(name)
        crypt = user.password if user else None
        stand_in = next((other.password for other in users.values() if other.password), _DECOY)
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._threads, matches_hash, password, crypt or stand_in)
        return matches and crypt is not None

    def _current(self) -> Mapping[str, User]:
        """The users by name, read again only when the configuration is another one."""
        authentication = self._authentication()
        if authentication is not self._read:
            self._users = read_users(authentication) if authentication is not None else {}
            self._read = authentication
        return self._users


def read_users(authentication: Inner) -> Mapping[str, User]:
    """The list ``user`` of the container, by name."""
    users: dict[str, User] = {}
    entries = authentication.at("user")
    if isinstance(entries, ListNode):
        for (name,), entry in entries.entries.items():
            keys = entry.at("authorized-key")
            blobs = (key.leaf("key-data") for key in keys.entries.values()) if isinstance(keys, ListNode) else ()
            users[name] = User(entry.leaf("password"), frozenset(filter(None, map(_blob, filter(None, blobs)))))
    return users


def _blob(text: str) -> bytes:
    """The key of a ``key-data`` leaf; b"" for what is no base64, which matches no key."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def can_be_checked(crypt: str) -> bool:
    """Whether passwords are compared with this hash at all: its kind is known and it does not cost too much."""
    rounds = _ROUNDS.search(crypt)
    return crypt[:3] in _SCHEMES and (
        rounds is None or (len(rounds[1]) <= _MOST_DIGITS and int(rounds[1]) <= _MOST_ROUNDS)
    )


def matches_hash(password: str, crypt: str) -> bool:
    """Whether a password has this crypt hash; False for hashes of unknown kind. Milliseconds of work."""
    scheme = _SCHEMES.get(crypt[:3])
    if scheme is None or not can_be_checked(crypt):
        log.warning("a user's password hash is of a kind that is not checked: %.3s", crypt)
        return False
    if len(password.encode(errors="replace")) > LONGEST_PASSWORD:
        return False
    try:
        return bool(scheme.verify(password, crypt))
    except (ValueError, TypeError):
        return False  # a hash with a broken body, or a password with a NUL
