"""Users, limits and secrets are configuration, take effect at once, and never lock the administrator out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from eman_netconf.errors import ErrorTag
from eman_netconf.yang.schema import Schema
from tests.peer import connect
from tests.server.conftest import blob
from tests.server.running import (
    EMAN,
    NC,
    PASSWORD,
    PATIENCE,
    Process,
    backends,
    edit,
    edit_config,
    edited,
    entity,
    running_config,
    serving,
    session_limits,
    silent_device,
    snmp,
    users,
)


def user(name: str, content: str = "") -> str:
    return users(f"<user><name>{name}</name>{content}</user>")


def key_of(name: str, key: asyncssh.SSHKey) -> str:
    algorithm = key.export_public_key().split()[0].decode()
    inner = f"<name>{name}</name><algorithm>{algorithm}</algorithm><key-data>{blob(key)}</key-data>"
    return f"<authorized-key>{inner}</authorized-key>"


REMOVED = ' xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"'


# --- who may log in


async def test_users_take_effect_at_the_next_login(
    tmp_path: Path, schema: Schema, keys: Mapping[str, asyncssh.SSHKey]
) -> None:
    """A password given in clear and keys of every kind work as soon as they are committed, and no longer than that."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(server.port, user="bob", password="bob's own")
        authorized = "".join(key_of(name, key) for name, key in keys.items())
        await edited(admin, user("bob", f"<password>$0$bob's own</password>{authorized}"))
        assert re.search(rb"<name>bob</name><password>\$6\$", await running_config(admin))
        async with server.peer(user="bob", password="bob's own"):
            for key in keys.values():
                async with server.peer(user="bob", password=None, client_keys=[key]):
                    pass
            await edited(admin, user("bob", f"<authorized-key{REMOVED}><name>rsa</name></authorized-key>"))
            with pytest.raises(asyncssh.PermissionDenied):
                await connect(server.port, user="bob", client_keys=[keys["rsa"]])
            async with server.peer(user="bob", password=None, client_keys=[keys["ed25519"]]):
                pass
            await edited(admin, users(f"<user{REMOVED}><name>bob</name></user>"))
            with pytest.raises(asyncssh.PermissionDenied):
                await connect(server.port, user="bob", password="bob's own")
            with pytest.raises(asyncssh.PermissionDenied):
                await connect(server.port, user="bob", client_keys=[keys["ed25519"]])


async def test_the_same_password_again_changes_nothing(tmp_path: Path, schema: Schema) -> None:
    """Clear text that fits the hash in force leaves it, so that the configuration is the same byte for byte."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, user("bob", "<password>$0$bob's own</password>"))
        before, generation = await running_config(admin), server.daemon.datastores.generation
        await edited(admin, user("bob", "<password>$0$bob's own</password>"))
        assert await running_config(admin) == before
        assert server.daemon.datastores.generation == generation
        await edited(admin, user("bob", "<password>$0$another one</password>"))
        assert await running_config(admin) != before


@pytest.mark.parametrize(
    "gone",
    [
        users(f"<user{REMOVED}><name>admin</name></user>"),
        user("admin", f"<password{REMOVED}/>"),
        f'<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"{REMOVED}/>',
        user("admin", f"<password{REMOVED}/>{key_of('mine', asyncssh.generate_private_key('ssh-ed25519'))}").replace(
            "<key-data>", "<key-data>!"
        ),
        user("admin", f"<password>$6$rounds=1000001$salt${'a' * 86}</password>"),
        user("admin", f"<password>$6$rounds={'9' * 5000}$salt${'a' * 86}</password>"),
    ],
)
async def test_the_administrators_last_credential_stays(tmp_path: Path, schema: Schema, gone: str) -> None:
    """An edit after which the administrator could not log in is refused, and nothing of it is done."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        before = await running_config(admin)
        reply = await edit(admin, gone + entity("a"))
        assert not reply.ok
        assert await running_config(admin) == before
        async with server.peer():
            pass


@pytest.mark.parametrize("length", [0, 513, 5000])
async def test_a_password_nobody_could_log_in_with_is_refused(tmp_path: Path, schema: Schema, length: int) -> None:
    """An empty password, or one longer than is checked at a login, is told to be wrong where it stands."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        (error,) = (await edit(admin, user("ann", f"<password>$0${'p' * length}</password>"))).errors
        assert (error.tag, "1..512 bytes" in error.message) == (ErrorTag.INVALID_VALUE, True)
        assert str(error.path).endswith("user[sys:name='ann']/sys:password")


async def test_validation_is_no_way_to_guess_passwords(
    tmp_path: Path, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may validate has no password compared or hashed for it, which would take time that tells something."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, user("bob", "<password>$0$bob's own</password>"))
        monkeypatch.setattr("eman_netconf.server.secrets.sha512_crypt", None)
        async with server.peer(user="bob", password="bob's own") as bob:
            guess = user("admin", f"<password>$0${PASSWORD}</password>")
            config = f'<config xmlns="{NC}">{guess}</config>'
            assert (await bob.rpc(f'<validate xmlns="{NC}"><source>{config}</source></validate>')).ok


async def test_a_credential_may_go_when_another_is_there(
    tmp_path: Path, schema: Schema, keys: Mapping[str, asyncssh.SSHKey]
) -> None:
    """The administrator may change from a password to a key, and the refusal before that says so."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        refusal = await edit(admin, user("admin", f"<password{REMOVED}/>"))
        assert "last credential of the administrator admin; give another one first" in refusal.errors[0].message
        await edited(admin, user("admin", f"<password{REMOVED}/>{key_of('k', keys['ecdsa'])}"))
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(server.port, password=PASSWORD)
        async with server.peer(password=None, client_keys=[keys["ecdsa"]]):
            pass


async def test_others_read_and_do_nothing_else(tmp_path: Path, schema: Schema) -> None:
    """Whom no rule permits more reads all but secrets, and is denied to edit, act and end sessions."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, user("bob", "<password>$0$bob's own</password>") + entity("a"))
        before = await running_config(admin)
        action = (
            f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}"><entities><entity>'
            '<id>a</id><control><set-power-state xmlns="urn:eman:yang:eman-power-state"'
            ' xmlns:s="urn:eman:yang:eman-power-state-set"><state>s:dmtf-on</state></set-power-state></control>'
            "</entity></entities></energy-management></action>"
        )
        async with server.peer(user="bob", password="bob's own") as bob:
            seen = await running_config(bob)
            assert b"<id>a</id>" in seen
            assert b"$6$" in before
            assert b"$6$" not in seen
            for operation in (
                f'<kill-session xmlns="{NC}"><session-id>{admin.session_id}</session-id></kill-session>',
                edit_config(entity("b")),
                action,
            ):
                reply = await bob.rpc(operation)
                assert [error.tag for error in reply.errors] == [ErrorTag.ACCESS_DENIED], operation
        assert await running_config(admin) == before


# --- limits


async def test_limits_of_sessions_take_effect_at_once(tmp_path: Path, schema: Schema) -> None:
    """How many sessions there may be, in all and of a user, changes without a restart; who is in stays in."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, user("bob", "<password>$0$bob's own</password>"))
        async with server.peer(user="bob", password="bob's own") as bob:
            await edited(admin, session_limits("<max-sessions-per-user>1</max-sessions-per-user>"))
            for login in ({"user": "bob", "password": "bob's own"}, {"password": PASSWORD}):
                with pytest.raises(asyncssh.ChannelOpenError, match="has 1 sessions open, the most allowed"):
                    async with server.peer(**login):
                        pass
            assert await running_config(bob)
            await edited(admin, session_limits("<max-sessions-per-user>9</max-sessions-per-user>"))
            async with server.peer():
                pass
            await edited(admin, session_limits("<max-sessions>2</max-sessions>"))
            with pytest.raises((asyncssh.Error, OSError)):
                async with server.peer():
                    pass
            assert await running_config(bob)
        await edited(admin, session_limits("<max-sessions>3</max-sessions>"))
        async with server.peer():
            pass


async def test_silence_is_limited_for_sessions_opened_after(tmp_path: Path, schema: Schema) -> None:
    """The idle timeout holds for sessions opened after it was configured."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, session_limits("<idle-timeout>0.2</idle-timeout>"))
        async with server.peer() as later:
            await later.closed()
        assert await running_config(admin)


async def test_the_time_to_log_in_is_limited_at_once(tmp_path: Path, schema: Schema) -> None:
    """A connection that does not log in within the login timeout is cut, also at a listener that was there before."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        await edited(admin, session_limits("<login-timeout>1</login-timeout>"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"SSH-2.0-silent\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).startswith(b"SSH-2.0-")
        writer.close()
        await writer.wait_closed()
        assert await running_config(admin)


# --- secrets


COMMUNITY = "a community of our own"
PASSPHRASE = "bob's long passphrase"


async def test_secrets_are_never_stored_or_told_in_clear(process: Process) -> None:
    """A community given in clear works towards the device, and stands in no file, log line or reply."""
    process.configure(more='[log]\ndestination = "server.log"\nlevel = "debug"\n')
    await process.start()
    with silent_device() as port:
        async with process.peer() as admin:
            pdu = backends(snmp("pdu", port, community=f"$0${COMMUNITY}", timeout=0.2))
            bob = user("bob", f"<password>$0${PASSPHRASE}</password>")
            await edited(admin, pdu + bob)
            config = await running_config(admin)
            assert re.search(rb"<community>\$aes\$[A-Za-z0-9+/=]+</community>", config)
            # the same again, and what was read written back: nothing changes
            await edited(admin, pdu)
            assert await running_config(admin) == config
            # faulty edits that hold secrets
            for wrong in (
                pdu.replace("<timeout>0.2", "<timeout>never"),
                pdu.replace("community>", "comunity>"),
                pdu.replace("</v2c>", "</v2c><v3/>"),
                user("bob", f"<password>{PASSPHRASE}</password>"),
            ):
                assert not (await edit(admin, wrong)).ok
            whole = etree.tostring((await admin.rpc(f'<get xmlns="{NC}"/>')).element)
            assert COMMUNITY.encode() not in whole
            assert PASSPHRASE.encode() not in whole
    assert await process.end() == 0
    assert await process.start()
    async with process.peer() as admin:
        assert await running_config(admin) == config
    assert await process.end() == 0
    files = [path for path in process.folder.rglob("*") if path.is_file()]
    assert {"server.log", "history.sqlite"} < {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert COMMUNITY.encode() not in content, path
        assert PASSPHRASE.encode() not in content, path
    assert COMMUNITY not in process.stderr
