"""SNMPv3 against Net-SNMP's agent: authentication, encryption, and what is said when they fail."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest

from eman_backends.snmp import fast as quick
from eman_backends.snmp.complete import Complete, Kind, RejectedError
from eman_backends.snmp.settings import Community, Target, User
from eman_backends.snmp.tests.conftest import Make
from eman_backends.snmp.tests.counterparts import AUTH_KEY, PRIV_KEY, SNMPD_USERS, Counterpart, snmpd
from eman_backends.snmp.tests.told import of, outlet
from eman_backends.snmp.usm import Usm
from eman_netconf.backend import Point, Quantity, Refused, Supply, Unavailable

USERS = [
    *(User(f"{auth}-{priv}", auth, AUTH_KEY, priv, PRIV_KEY) for auth, _, priv, _ in SNMPD_USERS),
    User("unhidden", "sha256", AUTH_KEY),
    User("unproved"),
]
PORT = outlet("port-1.1")
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"


@pytest.fixture(scope="session")
def agent() -> Counterpart:
    return snmpd()


def target(agent: Counterpart, credentials: Community | User) -> Target:
    return Target("127.0.0.1", agent.port, credentials)


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
async def test_a_device_is_read_with_every_level_of_security(make: Make, agent: Counterpart, user: User) -> None:
    """With authentication and privacy, authentication alone, or neither, the same values come."""
    backend = make(target(agent, user))
    inventory = await backend.open()
    result = await backend.read()
    assert [entity.local for entity in inventory.entities] == ["", "pse-1"]
    assert inventory.entities[1].contained_in == ""
    assert inventory.entities[1].nameplate_power == 370
    assert of(result, Point("pse-1")) == {Quantity.ACTIVE_POWER: 212}
    assert of(result, outlet("port-1.2")) == {Quantity.SUPPLY_STATE: Supply.ON, Quantity.IN_USE: False}
    assert inventory.entities[0].interfaces[0].foreign_ids[0].value == "1.1"


async def test_switching_reads_back(make: Make, agent: Counterpart) -> None:
    """An order over SNMPv3 with authentication and privacy shows in the next reading, and again when taken back."""
    backend = make(target(agent, USERS[0]))
    await backend.open()
    assert of(await backend.read(), PORT)[Quantity.SUPPLY_STATE] is Supply.ON
    await backend.switch_supply(PORT, Supply.OFF)
    try:
        assert of(await backend.read(), PORT)[Quantity.SUPPLY_STATE] is Supply.OFF
    finally:
        await backend.switch_supply(PORT, Supply.ON)
    assert of(await backend.read(), PORT)[Quantity.SUPPLY_STATE] is Supply.ON


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (User("stranger", "sha256", AUTH_KEY, "aes128", PRIV_KEY), "does not know the user"),
        (User("sha256-aes128", "sha256", "not this key", "aes128", PRIV_KEY), "key or the protocol of authentication"),
        (User("sha256-aes128", "sha512", AUTH_KEY, "aes128", PRIV_KEY), "key or the protocol of authentication"),
        (User("unhidden", "sha256", AUTH_KEY, "aes128", PRIV_KEY), "this level of security"),
        (User("sha256-aes128", "sha256", AUTH_KEY, "aes128", "not this key"), "check its address"),
        (User("unhidden", "sha256", AUTH_KEY, engine=b"\x80\x00\x1f\x88\x04else"), "another engine id"),
        (Community("nobody's"), "check its address"),
    ],
    ids=["user", "key", "protocol", "level", "privacy", "engine", "community"],
)
async def test_wrong_credentials_are_told_apart(
    make: Make, agent: Counterpart, credentials: Community | User, says: str
) -> None:
    """An operator reads what is wrong, as far as the device tells it."""
    backend = make(target(agent, credentials))
    with pytest.raises(Unavailable, match=says):
        await backend.open()


async def test_who_may_only_read_is_refused(make: Make, agent: Counterpart) -> None:
    """A community without the right to write gets a sentence, and the outlet stays as it was."""
    backend = make(target(agent, Community("public")))
    await backend.open()
    with pytest.raises(Refused, match="this community or user may not do it"):
        await backend.switch_supply(PORT, Supply.OFF)
    assert of(await backend.read(), PORT)[Quantity.SUPPLY_STATE] is Supply.ON


async def test_a_command_is_told_once_even_at_first_contact(
    agent: Counterpart, fast: bool, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery and time come before a command, so that it is on the wire a single time."""
    backend = make(target(agent, USERS[0]))
    await backend.open()
    sent: list[Any] = []
    wrap = Usm.wrap

    def counted(self: Usm, number: int, pdu: bytes) -> bytes:
        sent.append(pdu[0])
        return wrap(self, number, pdu)

    monkeypatch.setattr(Usm, "wrap", counted)
    monkeypatch.setattr(backend._client._complete, "_usm", None)  # as if it had never met the device
    await backend.switch_supply(PORT, Supply.ON)
    assert sent.count(Kind.SET) == 1
    assert len(sent) > 1


async def test_a_device_that_restarted_is_asked_for_its_time_again(agent: Counterpart) -> None:
    """When the device says that a message is out of its time, it is told anew with the right one."""
    way = Complete(target(agent, USERS[0]), random.Random(1))
    try:
        assert not (await way.ask(Kind.GET, [SYS_UP_TIME], wait=60)).status
        usm = way._usm
        assert usm is not None
        usm._offset -= 10_000  # the device is far ahead of what was learned from it
        answer = await way.ask(Kind.GET, [SYS_UP_TIME], wait=60)
        assert isinstance(answer.variables[0][1], int)
    finally:
        way.close()


async def test_a_device_that_is_read_seldom_is_asked_for_its_time(
    make: Make, agent: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where passes are far apart, with every level of security, the time of the device is learned before each."""
    monkeypatch.setattr(quick, "FORGOTTEN", -1.0)
    for user in USERS:
        backend = make(target(agent, user))
        await backend.open()
        for _ in range(2):
            assert of(await backend.read(), Point("pse-1")) == {Quantity.ACTIVE_POWER: 212}
        assert backend._client._fast_failures == 0


async def test_a_rejection_ends(agent: Counterpart) -> None:
    """A device that reports one and the same thing is not asked for ever."""
    way = Complete(target(agent, User("stranger", "sha256", AUTH_KEY)), random.Random(1))
    try:
        with pytest.raises(RejectedError):
            await way.ask(Kind.GET, [SYS_UP_TIME], wait=60)
    finally:
        way.close()


async def test_secrets_are_never_shown(make: Make, agent: Counterpart, caplog: pytest.LogCaptureFixture) -> None:
    """Keys and communities are in no log, no error and no representation."""
    caplog.set_level(logging.DEBUG)
    user = User("stranger", "sha256", "very secret key", "aes128", "other secret key")
    backend = make(target(agent, user))
    with pytest.raises(Unavailable) as caught:
        await backend.open()
    shown = f"{caplog.text}{caught.value!r}{user!r}{target(agent, Community('very secret'))!r}{target(agent, user)}"
    assert "secret" not in shown
