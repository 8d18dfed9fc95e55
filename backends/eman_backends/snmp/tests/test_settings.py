"""The settings of a device: what each leaf becomes, and what is said when they cannot work."""

from __future__ import annotations

import hashlib
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from eman_backends.snmp import PLUGIN
from eman_backends.snmp.keys import AUTH, PRIV, master_key
from eman_backends.snmp.settings import Community, Hearing, Target, User, target
from eman_netconf.backend import Context, Misconfigured, Now

V2C = {"address": "192.0.2.1", "v2c": {"community": "public"}}


def v3(**leaves: str) -> dict[str, Any]:
    return {"address": "192.0.2.1", "v3": {"user-name": "eman"} | {k.replace("_", "-"): v for k, v in leaves.items()}}


def test_what_is_not_set_has_the_defaults_of_the_model() -> None:
    """An address and a community are enough."""
    assert target(V2C) == Target("192.0.2.1", 161, Community("public"), (), bulk=True, max_repetitions=25, retries=1)


def test_every_leaf_arrives() -> None:
    """Each leaf of the model has its place."""
    leaves = {"auth_protocol": "sha384", "auth_key": "12345678", "priv_protocol": "aes256", "priv_key": "87654321"}
    settings = v3(**leaves, context_name="power", engine_id="80001f8804")
    settings |= {"port": 1161, "bulk": False, "max-repetitions": 10, "retries": 0, "table": ["rfc1628-ups"]}
    settings |= {"max-variables": 20, "request-gap": 250}
    user = User("eman", "sha384", "12345678", "aes256", "87654321", "power", bytes.fromhex("80001f8804"))
    assert target(settings) == Target("192.0.2.1", 1161, user, ("rfc1628-ups",), False, 10, 20, 0, 0.25)


def test_the_first_version_has_no_getbulk() -> None:
    """SNMPv1 has a community too, and whatever bulk says, there is none."""
    settings = {"address": "192.0.2.1", "v1": {"community": "public"}, "bulk": True}
    assert target(settings) == Target("192.0.2.1", 161, Community("public", "v1"), bulk=False)


def test_where_notifications_are_listened_for() -> None:
    """Listening is asked for by the container; what is not set has the defaults of the model."""
    assert target(V2C | {"traps": {}}).hearing == Hearing("0.0.0.0", 162)
    told = {"listen": "::1", "port": 1162, "community": "of traps"}
    assert target(V2C | {"traps": told}).hearing == Hearing("::1", 1162, "of traps")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "address": ({"v2c": {"community": "x"}}, "snmp/address"),
    "version": ({"address": "x"}, "snmp/v1, snmp/v2c and snmp/v3"),
    "versions": (V2C | {"v3": {}}, "one version"),
    "community": ({"address": "x", "v2c": {}}, "snmp/v2c/community"),
    "port": (V2C | {"port": 0}, "snmp/port"),
    "repetitions": (V2C | {"max-repetitions": 101}, "snmp/max-repetitions"),
    "retries": (V2C | {"retries": True}, "snmp/retries"),
    "variables": (V2C | {"max-variables": 0}, "snmp/max-variables"),
    "gap": (V2C | {"request-gap": 1001}, "snmp/request-gap"),
    "listen": (V2C | {"traps": {"listen": "somewhere"}}, "snmp/traps/listen"),
    "listen port": (V2C | {"traps": {"port": 0}}, "snmp/traps/port"),
    "community of traps": (V2C | {"traps": {"community": ""}}, "snmp/traps/community"),
    "first version": ({"address": "x", "v1": {}}, "snmp/v1/community"),
    "tables": (V2C | {"table": "rfc1628-ups"}, "snmp/table"),
    "table": (V2C | {"table": ["toaster"]}, "there is no table toaster; there are apc-rpdu, "),
    "user": ({"address": "x", "v3": {}}, "snmp/v3/user-name"),
    "long user": ({"address": "x", "v3": {"user-name": "x" * 33}}, "snmp/v3/user-name"),
    "protocol": (v3(auth_protocol="rot13", auth_key="12345678"), "auth-protocol is missing or unknown: use one of md5"),
    "no protocol": (v3(auth_key="12345678"), "auth-protocol is missing"),
    "no key": (v3(auth_protocol="sha1"), "auth-key is missing or shorter than 8"),
    "short key": (v3(auth_protocol="sha1", auth_key="1234567"), "auth-key is missing or shorter than 8"),
    "privacy alone": (v3(priv_protocol="des", priv_key="12345678"), "encryption needs authentication"),
    "engine": (v3(engine_id="xyz"), "snmp/v3/engine-id"),
}


@pytest.mark.parametrize(("settings", "says"), BAD.values(), ids=BAD)
def test_what_cannot_work_is_misconfigured(settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    """Each mistake raises Misconfigured with the leaf to be changed, and shows no secret."""
    context = Context("it", lambda: Now(0, 0), random.Random(1), tmp_path, logging.getLogger(__name__))
    with pytest.raises(Misconfigured, match=says) as caught:
        PLUGIN.build(settings, context)
    assert "1234567" not in str(caught.value)


def test_protocols_are_those_of_the_model() -> None:
    """The enumerations of the model and what the code knows are the same."""
    model = (Path(__file__).parents[1] / "eman-backend-snmp.yang").read_text(encoding="utf-8")
    assert all(f"enum {name} {{" in model for name in (*AUTH, *PRIV))
    assert model.count("enum ") == len(AUTH) + len(PRIV)


def test_passphrases_are_stretched_as_the_rfc_shows() -> None:
    """The example of RFC 3414 appendix A.3: the passphrase maplesyrup, localised to the engine 00..02."""
    engine = bytes(11) + b"\x02"
    for name, expected in (
        ("md5", "526f5eed9fcce26f8964c2930787d82b"),
        ("sha1", "6695febc9288e36282235fc7151f128497b38f3f"),
    ):
        key = master_key(name, "maplesyrup")
        assert hashlib.new(AUTH[name].hash, key + engine + key).hexdigest() == expected
