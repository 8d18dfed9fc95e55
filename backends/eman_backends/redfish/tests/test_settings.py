"""What the settings mean."""

from __future__ import annotations

from typing import Any

import pytest

from eman_backends.redfish.settings import target
from eman_netconf.backend import Misconfigured


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"address": "192.0.2.41"}, "https://192.0.2.41:443"),
        ({"address": "bmc-1.example.net", "port": 8443}, "https://bmc-1.example.net:8443"),
        ({"address": "2001:db8::41"}, "https://[2001:db8::41]:443"),
        ({"address": "192.0.2.41", "unencrypted": ""}, "http://192.0.2.41:80"),
        ({"address": "192.0.2.41", "port": 8000, "unencrypted": True}, "http://192.0.2.41:8000"),
    ],
)
def test_nothing_goes_unencrypted_unless_that_is_said(settings: dict[str, Any], origin: str) -> None:
    """HTTPS is spoken by default; HTTP takes a setting of its own."""
    assert target(settings).origin == origin


def test_a_fingerprint_is_read_with_and_without_colons() -> None:
    """Both ways of writing a fingerprint mean the same."""
    digits = bytes(range(32)).hex()
    spelled = ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()
    found = [target({"address": "a", "fingerprint": one}).fingerprint for one in (digits, spelled)]
    assert found == [bytes(range(32))] * 2


def test_the_password_is_in_no_text_of_the_settings() -> None:
    """Neither the words nor the representation of a target hold its password."""
    found = target({"address": "a", "user-name": "eman", "password": "very secret"})
    assert "very secret" not in f"{found} {found!r}"


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "a", "authentication": "digest"},
        {"address": "a", "user-name": "e:man", "password": "x"},
        {"address": "a", "password": "x"},
        {"address": "a b"},
        {"address": "a", "port": True},
        {"address": "a", "unencrypted": "", "fingerprint": "00" * 32},
    ],
)
def test_what_cannot_work_is_told_in_words(settings: dict[str, Any]) -> None:
    """Each mistake is a sentence that names the setting."""
    with pytest.raises(Misconfigured, match="redfish/"):
        target(settings)
