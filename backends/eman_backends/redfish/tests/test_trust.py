"""Whom the backend trusts: authorities, one certificate, or by explicit setting nobody."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from eman_backends.redfish.probe import probe
from eman_netconf.backend import Context, Misconfigured, Refused, Unavailable

from . import mockups
from .bmc import PASSWORD, USER, Bmc, serving
from .conftest import Make


@dataclass(frozen=True)
class Identity:
    """A certificate that signs itself, as controllers come with."""

    context: ssl.SSLContext
    file: Path
    fingerprint: str


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return made(tmp_path, "one")


def made(directory: Path, name: str) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("bmc.example.net")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    shown = certificate.public_bytes(serialization.Encoding.DER)
    return Identity(context, file, hashlib.sha256(shown).hexdigest())


def settings(bmc: Bmc, **more: object) -> dict[str, object]:
    return {"address": "127.0.0.1", "port": bmc.port, "user-name": USER, "password": PASSWORD, **more}


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(identity: Identity, make: Make) -> None:
    """By default the authorities of the machine decide; nothing is sent to a service they do not know."""
    async with serving(Bmc(mockups.new_server()), identity.context) as bmc:
        with pytest.raises(Unavailable, match="is not trusted"):
            await make(settings(bmc)).open()
        assert bmc.requests == []


async def test_an_authority_of_the_site_is_trusted(identity: Identity, make: Make) -> None:
    """A file of authorities decides instead; the certificate has to name the address, or the name that is set."""
    async with serving(Bmc(mockups.new_server()), identity.context) as bmc:
        for more in ({}, {"server-name": "bmc.example.net"}):
            backend = make(settings(bmc, **{"ca-file": str(identity.file)}, **more))
            await backend.open()
            assert (await backend.read()).readings
            await backend.close()
        assert bmc.sessions == {}
        asked = len(bmc.requests)
        strict = make(settings(bmc, **{"ca-file": str(identity.file), "server-name": "other.example.net"}))
        with pytest.raises(Unavailable, match="is not trusted"):
            await strict.open()
        for file, why in (("/nowhere.pem", "No such file"), ("/dev/null", "there are none")):
            with pytest.raises(Unavailable, match=f"no certificates .* in {file}: {why}"):
                await make(settings(bmc, **{"ca-file": file})).open()
        assert len(bmc.requests) == asked


async def test_one_certificate_is_trusted_by_its_fingerprint(identity: Identity, make: Make, tmp_path: Path) -> None:
    """The pinned certificate and no other; the error names the one that was shown, and no password was sent."""
    other = made(tmp_path, "other")
    async with serving(Bmc(mockups.new_server()), identity.context) as bmc:
        backend = make(settings(bmc, fingerprint=identity.fingerprint))
        await backend.open()
        assert (await backend.read()).readings
        await backend.close()
        asked = len(bmc.requests)
        shown = bytes.fromhex(identity.fingerprint).hex(":")
        with pytest.raises(Unavailable, match=f"its fingerprint is {shown}"):
            await make(settings(bmc, fingerprint=other.fingerprint)).open()
        assert len(bmc.requests) == asked


async def test_a_probe_tells_an_unknown_certificate_and_keeps_the_password(
    identity: Identity, context: Context
) -> None:
    """What answers is told with the fingerprint to compare; credentials are not sent on that ground."""
    async with serving(Bmc(mockups.new_server()), identity.context) as bmc:
        known = {name: value for name, value in settings(bmc).items() if name != "address"}
        found = await probe("127.0.0.1", known, context)
        assert found is not None
        assert found.settings["fingerprint"].replace(":", "") == identity.fingerprint
        assert "nobody known vouches for its certificate" in found.title
        assert (found.name, found.manufacturer) == (None, "Contoso")
        assert {method for method, _ in bmc.requests} == {"GET"}
        assert (bmc.seen["token"], bmc.seen["basic"]) == (0, 0)
        trusted = await probe("127.0.0.1", {**known, "ca-file": str(identity.file)}, context)
        assert trusted is not None
        assert (trusted.name, trusted.model) == ("web483", "3500RX")
        assert bmc.sessions == {}


async def test_a_probe_tells_a_service_that_is_not_the_trusted_one(
    identity: Identity, context: Context, tmp_path: Path
) -> None:
    """Another certificate than the settings trust is a no, in words; a file without authorities ends the search."""
    other = made(tmp_path, "other")
    async with serving(Bmc(mockups.new_server()), identity.context) as bmc:
        known = {name: value for name, value in settings(bmc).items() if name != "address"}
        shown = bytes.fromhex(identity.fingerprint).hex(":")
        with pytest.raises(Refused, match=f"its fingerprint is {shown}"):
            await probe("127.0.0.1", {**known, "fingerprint": other.fingerprint}, context)
        with pytest.raises(Refused, match="is not trusted"):
            await probe("127.0.0.1", {**known, "ca-file": str(other.file)}, context)
        assert bmc.seen["token"] == bmc.seen["basic"] == 0
        with pytest.raises(Misconfigured, match=r"No such file.*redfish/ca-file"):
            await probe("127.0.0.1", {**known, "ca-file": "/nowhere.pem"}, context)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_who_speaks_tls_where_none_is_wanted_is_told_so(
    identity: Identity, make: Make, *, encrypted: bool
) -> None:
    """With TLS at a port without, and without at a port with, the error has the operator look at the port."""
    async with serving(Bmc(mockups.new_server()), None if encrypted else identity.context) as bmc:
        with pytest.raises(Unavailable, match="see whether the port is right"):
            await make(settings(bmc, **({} if encrypted else {"unencrypted": True}))).open()


async def test_a_probe_finds_what_answers_and_nothing_else(context: Context) -> None:
    """With credentials the device is told, without them the service; wrong ones are a no, silence is nothing."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        known = {name: value for name, value in bmc.settings().items() if name != "address"}
        found = await probe("127.0.0.1", known, context)
        assert found is not None
        assert found.title == "Contoso 3500RX, read over Redfish"
        assert ("serial-number", "437XR1138R2") in {(it.kind, it.value) for it in found.foreign_ids}
        assert found.settings == {**known, "address": "127.0.0.1"}
        anonymous = {name: known[name] for name in ("port", "unencrypted")}
        told = await probe("127.0.0.1", anonymous, context)
        assert told is not None
        assert told.title == "Contoso Ascent BMC, Redfish 1.20.1"
        with pytest.raises(Refused, match="does not let us log in"):
            await probe("127.0.0.1", {**known, "password": "another"}, context)
        assert {method for method, path in bmc.requests if not path.endswith("Sessions")} <= {"GET", "DELETE"}
        bmc.lying = True
        assert await probe("127.0.0.1", known, context) is None
        assert bmc.sessions == {}
    assert await probe("127.0.0.1", known, context) is None
