"""Who may log in, read from the configuration as it is now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import asyncssh
import pytest
from passlib.hash import md5_crypt, sha256_crypt, sha512_crypt

from eman_netconf.server import users as users_module
from eman_netconf.server.users import LONGEST_PASSWORD, Users, matches_hash
from tests.server.conftest import PASSWORD, Directory, blob


@pytest.fixture
async def users(directory: Directory) -> AsyncIterator[Users]:
    made = Users(lambda: directory.now)
    yield made
    made.close()


@pytest.mark.parametrize(
    "crypt", [sha512_crypt.using(rounds=1000), sha256_crypt.using(rounds=1000), md5_crypt], ids=["6", "5", "1"]
)
async def test_passwords(users: Users, directory: Directory, crypt: type) -> None:
    """Each hash that iana-crypt-hash allows is checked."""
    directory.set(("alice", crypt.hash(PASSWORD), ()))  # type: ignore[attr-defined]  # passlib is untyped
    assert await users.permits_password("alice", PASSWORD)
    assert not await users.permits_password("alice", PASSWORD + "x")
    assert not await users.permits_password("alice", "")
    assert not await users.permits_password("bob", PASSWORD)


async def test_hash_made_elsewhere(users: Users, directory: Directory) -> None:
    """A $6$ hash as other programs write it is understood (this one by openssl)."""
    known = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    directory.set(("alice", known, ()))
    assert await users.permits_password("alice", "Hello world!")


@pytest.mark.parametrize(
    "crypt",
    [
        "",
        "x",
        "$0$clear",
        "$2b$12$abcdefghijklmnopqrstuuABC",
        "$6$",
        "$6$salt$short",
        "$6$rounds=999999999$salt$" + "." * 86,
    ],
)
def test_other_hashes(crypt: str) -> None:
    """What is no hash we check, or one that would take minutes, matches nothing."""
    assert not matches_hash("clear", crypt)
    assert not matches_hash("", crypt)


@pytest.mark.parametrize("password", ["a\0b", "\ud800", "x" * (LONGEST_PASSWORD + 1)])
def test_odd_passwords(password: str) -> None:
    """NULs, lone surrogates and endless passwords are refused without trouble."""
    assert not matches_hash(password, sha512_crypt.using(rounds=1000).hash("x"))


async def test_unknown_user_takes_the_same_work(
    users: Users, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an unknown user, or one without password, a hash of the same kind is computed too."""
    crypt = sha512_crypt.using(rounds=1000).hash(PASSWORD)
    checked: list[str] = []

    def checking(password: str, crypt: str) -> bool:
        checked.append(crypt)
        return matches_hash(password, crypt)

    monkeypatch.setattr(users_module, "matches_hash", checking)
    directory.set(("alice", crypt, ()), ("eve", None, ()))
    assert not await users.permits_password("nobody", PASSWORD)
    assert not await users.permits_password("eve", PASSWORD)
    assert checked == [crypt, crypt]
    directory.set(("eve", None, ()))
    assert not await users.permits_password("nobody", PASSWORD)
    assert checked[2].startswith("$6$")


def test_keys(directory: Directory, keys: dict[str, asyncssh.SSHKey]) -> None:
    """A key is its user's own only; broken key-data is no key."""
    users = Users(lambda: directory.now)
    directory.set(("alice", None, (blob(keys["ed25519"]), blob(keys["rsa"]))), ("bob", None, ("!", "", "AAAA")))
    assert users.permits_key("alice", keys["ed25519"].public_data)
    assert users.permits_key("alice", keys["rsa"].public_data)
    assert not users.permits_key("alice", keys["ecdsa"].public_data)
    assert not users.permits_key("bob", keys["ed25519"].public_data)
    assert not users.permits_key("bob", b"")
    assert not users.permits_key("nobody", keys["ed25519"].public_data)


async def test_live(users: Users, directory: Directory, keys: dict[str, asyncssh.SSHKey]) -> None:
    """A change of the configuration holds for the next login."""
    key = keys["ed25519"]
    assert not users.permits_key("alice", key.public_data)
    directory.set(("alice", None, (blob(key),)))
    assert users.permits_key("alice", key.public_data)
    directory.set()
    assert not users.permits_key("alice", key.public_data)
    directory.now = None
    assert not users.permits_key("alice", key.public_data)
    assert not await users.permits_password("alice", PASSWORD)


async def test_many_at_once(users: Users, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks wait for the few threads while the loop goes on: here none may end before the loop says so."""
    loop_ran = threading.Event()
    waited: list[bool] = []

    def held(password: str, crypt: str) -> bool:
        waited.append(loop_ran.wait(timeout=30))
        return matches_hash(password, crypt)

    monkeypatch.setattr(users_module, "matches_hash", held)
    directory.set(("alice", sha512_crypt.using(rounds=1000).hash(PASSWORD), ()))
    checks = asyncio.gather(*(users.permits_password("alice", PASSWORD) for _ in range(20)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not checks.done()
    loop_ran.set()
    assert await checks == [True] * 20
    assert waited == [True] * 20
