"""STARTTLS with Debian's upsd: certificates are checked before anything is said, and clear text is no way out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from eman_backends.nut.tests.certificates import Certificate, make
from eman_backends.nut.tests.conftest import Make
from eman_backends.nut.tests.counterparts import DESK, PASSWORD, RACK, Upsd
from eman_backends.nut.tests.relay import Relay
from eman_netconf.backend import Pass, Point, Supply, Unavailable
from tests.traces import leaves_nothing


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of the server."""
    return make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def encrypting(certificate: Certificate) -> Iterator[Upsd]:
    """A upsd that can encrypt."""
    server = Upsd({"rack": RACK, "desk": DESK}, extra=certificate.configuration).start()
    yield server
    server.stop()


async def one_pass(make: Make, port: int, **tls: str) -> Pass:
    backend = make(port, tls=tls)
    await backend.open()
    return await backend.read()


async def test_a_certificate_of_the_authority_is_accepted(
    make: Make, encrypting: Upsd, certificate: Certificate
) -> None:
    """Everything goes encrypted: what is read, the password, and an order."""
    relay = Relay(encrypting.port)
    await relay.start()
    try:
        backend = make(relay.port, tls={"ca-file": str(certificate.pem)})
        await backend.open()
        assert (await backend.read()).readings
        await backend.switch_supply(Point("rack", "outlet-1"), Supply.ON)
        await backend.close()
    finally:
        await relay.stop()
    assert relay.heard[0] == b"STARTTLS"
    seen = b"\n".join(relay.heard[1:])
    for word in (b"LIST", b"USERNAME", b"SET VAR", b"LOGOUT", PASSWORD.encode()):
        assert word not in seen


async def test_the_name_of_the_certificate_may_be_another(
    make: Make, encrypting: Upsd, certificate: Certificate
) -> None:
    """With server-name that name is asked of the certificate, and one that it does not have is refused."""
    told = {"ca-file": str(certificate.pem)}
    assert (await one_pass(make, encrypting.port, **told, **{"server-name": "localhost"})).readings
    with pytest.raises(Unavailable, match="certificate is not accepted"):
        await one_pass(make, encrypting.port, **told, **{"server-name": "ups.example.net"})


async def test_a_certificate_that_nobody_vouches_for_is_refused(make: Make, encrypting: Upsd) -> None:
    """By default the authorities of this host decide, and they do not know it; nothing secret was said."""
    relay = Relay(encrypting.port)
    await relay.start()
    try:
        async with leaves_nothing():
            backend = make(relay.port, tls={})
            with pytest.raises(Unavailable, match="certificate is not accepted"):
                await backend.open()
            await backend.close()
    finally:
        await relay.stop()
    assert PASSWORD.encode() not in b"\n".join(relay.heard)


async def test_a_pinned_fingerprint_is_all_that_counts(make: Make, encrypting: Upsd, certificate: Certificate) -> None:
    """The very certificate is accepted though nobody vouches for it, with colons and without; another is refused."""
    pinned = certificate.fingerprint
    assert (await one_pass(make, encrypting.port, fingerprint=pinned)).readings
    spelt = ":".join(pinned[at : at + 2] for at in range(0, 64, 2)).upper()
    assert (await one_pass(make, encrypting.port, fingerprint=spelt)).readings
    with pytest.raises(Unavailable, match="its fingerprint is"):
        await one_pass(make, encrypting.port, fingerprint="00" * 32)


async def test_a_server_that_does_not_encrypt_is_not_spoken_to(make: Make, upsd: Upsd) -> None:
    """Where TLS is configured there is no clear text, whatever the server says."""
    relay = Relay(upsd.port)
    await relay.start()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable, match="FEATURE-NOT-CONFIGURED"):
                await make(relay.port, tls={}).open()
    finally:
        await relay.stop()
    assert set(relay.heard) == {b"STARTTLS"}


@pytest.mark.parametrize("answer", [b"OK STARTTLS\nOK\nOK\nOK\n", b"OK\n", b"OK STARTTLS\n" + b"\x15\x03" * 50])
async def test_what_comes_before_the_encryption_is_not_believed(make: Make, answer: bytes) -> None:
    """Clear text behind the answer to STARTTLS, another answer, or garbage instead of a handshake ends it."""

    async def slips_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(slips_in, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with leaves_nothing():
        backend = make(port, tls={"fingerprint": "00" * 32})
        with pytest.raises(Unavailable):
            await backend.open()
        await backend.close()
    server.close()
    await server.wait_closed()


async def test_a_file_without_certificates_is_named(make: Make, encrypting: Upsd, tmp_path: Path) -> None:
    """A CA file that is not there or holds something else is Unavailable, by its name: it may be put right."""
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    for file in (empty, tmp_path / "gone.pem"):
        with pytest.raises(Unavailable, match=file.name):
            await make(encrypting.port, tls={"ca-file": str(file)}).open()
