"""Ways to log in over SSH beside keys and passwords: keyboard-interactive, and certificates of an authority."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from eman_netconf.server.config import ConfigError
from eman_netconf.server.ssh import Authorities, load_authorities
from tests.peer import connect, open_peer, ssh_peer
from tests.server.conftest import PASSWORD, Served
from tests.server.test_sessions import op
from tests.server.test_ssh import until


class Typist(asyncssh.SSHClient):
    """Answers prompts, and has neither key nor password."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[tuple[str, bool]] = []

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        self.prompts += prompts
        return self.answers[: len(prompts)]


async def test_keyboard_interactive(server: Served) -> None:
    """A client that answers prompts is asked for the password, unseen, and checked as with any password."""
    typist = Typist(PASSWORD)
    async with connect(server.port, user="alice", client_factory=lambda: typist) as connection:
        peer = await open_peer(connection)
        assert (await peer.rpc(op("whoami"))).element[0].text == "alice@127.0.0.1"
    assert [echo for _, echo in typist.prompts] == [False]


async def test_wrong_answers(server: Served) -> None:
    """Wrong answers count as failed logins."""
    server.limit(login_attempts=1)
    with pytest.raises(asyncssh.PermissionDenied, match="Too many failed logins"):
        await connect(server.port, user="alice", client_factory=lambda: Typist("wrong"))


# --- certificates


@pytest.fixture(scope="module")
def authority() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="module")
def key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ecdsa-sha2-nistp256")


@pytest.fixture
def trusting(server: Served, authority: asyncssh.SSHKey) -> Served:
    """The server believes the authority."""
    server.ssh.authorities = Authorities([authority.convert_to_public()])
    return server


def shown(authority: asyncssh.SSHKey, key: asyncssh.SSHKey, **said: Any) -> dict[str, Any]:
    """How a client logs in with a certificate."""
    certificate = authority.generate_user_certificate(key, "a key id", **{"principals": ["dora", "emil"], **said})
    return {"client_keys": [(key, certificate)]}


@pytest.mark.parametrize("user", ["dora", "emil"])
async def test_certificate(
    trusting: Served, authority: asyncssh.SSHKey, key: asyncssh.SSHKey, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A user whom a certificate of the authority names is let in, known to the configuration or not."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    async with ssh_peer(trusting.port, user=user, **shown(authority, key)) as peer:
        assert (await peer.rpc(op("whoami"))).element[0].text == f"{user}@127.0.0.1"
    assert f"{user} from 127.0.0.1: logged in over netconf-ssh by certificate" in caplog.messages


UNNAMED = "its certificate does not name the user"
UNFIT = "its certificate has expired, is not valid yet, or is for another address or a host"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"principals": ["other"]}, UNNAMED),
        ({"principals": []}, UNNAMED),
        ({"valid_before": "20200101"}, UNFIT),
        ({"valid_after": "20990101"}, UNFIT),
        ({"source_address": ["192.0.2.0/24"]}, UNFIT),
    ],
    ids=["another user", "no user", "expired", "not yet", "another address"],
)
async def test_certificates_that_do_not_fit(
    trusting: Served,
    authority: asyncssh.SSHKey,
    key: asyncssh.SSHKey,
    said: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A certificate for others, for nobody, for another time or another place lets nobody in, and that is told."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(trusting.port, user="dora", **shown(authority, key, **said))
    await until(lambda: not trusting.ssh.connections)
    assert refusals(caplog) == [f"'dora' from 127.0.0.1: refused over netconf-ssh, {reason}"]


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told of certificates; those who show one show its key as well."""
    return [message for message in caplog.messages if "refused over" in message and "its certificate" in message]


async def test_certificates_of_others(trusting: Served, key: asyncssh.SSHKey, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate of an authority that is not configured is refused and told."""
    caplog.set_level(logging.INFO, "eman_netconf.audit")
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(trusting.port, user="dora", **shown(stranger, key))
    reason = "its certificate is of an authority that is not believed"
    assert refusals(caplog) == [f"'dora' from 127.0.0.1: refused over netconf-ssh, {reason}"]


async def test_a_host_certificate(trusting: Served, authority: asyncssh.SSHKey, key: asyncssh.SSHKey) -> None:
    """A certificate for a host is none for a user."""
    certificate = authority.generate_host_certificate(key, "a key id", principals=["dora"])
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(trusting.port, user="dora", client_keys=[(key, certificate)])


async def test_an_authority_is_no_user(trusting: Served, authority: asyncssh.SSHKey) -> None:
    """The authority's own key logs nobody in."""
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(trusting.port, user="dora", client_keys=[authority])


async def test_a_certificate_for_one_command(
    trusting: Served, authority: asyncssh.SSHKey, key: asyncssh.SSHKey
) -> None:
    """A certificate that allows one command alone opens no NETCONF session."""
    async with connect(trusting.port, user="dora", **shown(authority, key, force_command="backup")) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await open_peer(connection)


def test_the_file_of_authorities(tmp_path: Path, authority: asyncssh.SSHKey) -> None:
    """Its public keys are believed; a file that is missing, empty or of other content is named."""
    file = tmp_path / "ca.pub"
    other = asyncssh.generate_private_key("ssh-ed25519")
    file.write_bytes(authority.export_public_key() + b"\n" + other.export_public_key())
    believed = load_authorities(file)
    for each in (authority, other):
        assert not believed.fault(each.convert_to_public(), ["dora"], "dora")
    assert believed.fault(asyncssh.generate_private_key("ssh-ed25519").convert_to_public(), ["dora"], "dora")
    for content in ("", "no key\n"):
        file.write_text(content)
        with pytest.raises(ConfigError, match="holds no public keys"):
            load_authorities(file)
    with pytest.raises(ConfigError, match="No such file"):
        load_authorities(tmp_path / "none")
