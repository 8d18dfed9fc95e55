"""The settings of a server: what each leaf becomes, and what is said when they cannot work."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eman_backends.nut.settings import Target, Tls, target
from eman_netconf.backend import Misconfigured

SERVER: dict[str, Any] = {"address": "192.0.2.1"}
PIN = "0b" * 32


def test_an_address_is_enough() -> None:
    """What is not set has the defaults of the model: all UPSs, no user, clear text."""
    assert target(SERVER) == Target("192.0.2.1", 3493)


def test_every_leaf_arrives() -> None:
    """Each leaf of the model has its place."""
    told = SERVER | {"port": 13493, "user-name": "eman", "password": "a b", "ups": ["one", "two"]}
    told |= {
        "tls": {"ca-file": "/etc/ca.pem", "server-name": "ups.example.net"},
        "assumed-power-factor": Decimal("0.6"),
    }
    tls = Tls("/etc/ca.pem", None, "ups.example.net")
    assert target(told) == Target("192.0.2.1", 13493, "eman", "a b", tls, None, ("one", "two"), Decimal("0.6"))
    assert target(SERVER | {"tls": {}}).tls == Tls()
    assert target(SERVER | {"tls": {"fingerprint": PIN}}).tls == Tls(fingerprint=b"\x0b" * 32)
    assert target(SERVER | {"device": "one"}).device == "one"


def test_which_ups_are_shown() -> None:
    """All, those named, or the one that is the device."""
    for leaves, shown in (({}, "one two"), ({"ups": ["two"]}, "two"), ({"device": "one"}, "one")):
        server = target(SERVER | leaves)
        assert [name for name in ("one", "two") if server.shows(name)] == shown.split()


def test_a_password_is_not_shown() -> None:
    """Whoever prints the settings of a server does not print its password."""
    assert "a secret" not in repr(target(SERVER | {"user-name": "eman", "password": "a secret"}))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "address": ({}, "nut/address"),
    "port": (SERVER | {"port": True}, "nut/port"),
    "user": (SERVER | {"password": "x"}, "nut/user-name"),
    "password": (SERVER | {"user-name": "x"}, "nut/password"),
    "a line": (SERVER | {"user-name": "x", "password": "y\nLOGOUT"}, "nut/password"),
    "long": (SERVER | {"device": "x" * 128}, "nut/device"),
    "list": (SERVER | {"ups": "one"}, "nut/ups"),
    "control": (SERVER | {"ups": ["one\x00"]}, "nut/ups"),
    "both": (SERVER | {"ups": ["one"], "device": "one"}, "nut/device or nut/ups"),
    "tls": (SERVER | {"tls": True}, "nut/tls"),
    "trust": (SERVER | {"tls": {"ca-file": "/x", "fingerprint": PIN}}, "ca-file or nut/tls/fingerprint"),
    "hex": (SERVER | {"tls": {"fingerprint": "zz" * 32}}, "SHA-256"),
    "sha1": (SERVER | {"tls": {"fingerprint": "00" * 20}}, "SHA-256"),
    "zero": (SERVER | {"assumed-power-factor": 0}, "assumed-power-factor"),
    "word": (SERVER | {"assumed-power-factor": "good"}, "assumed-power-factor"),
}


@pytest.mark.parametrize("settings", BAD)
def test_what_cannot_work_is_said(settings: str) -> None:
    """Each mistake is named with the leaf to set right."""
    told, says = BAD[settings]
    with pytest.raises(Misconfigured, match=says):
        target(told)
