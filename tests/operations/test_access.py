"""Without a rule others read what is no secret, no filter tells them more, and they change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from eman_netconf.server.secrets import Vault
from eman_netconf.yang.schema import Schema
from tests.operations.bench import NAMESPACES, Bench, bench, body, edit, error

HASH = "$6$salt$" + 86 * "h"
SECRETS = (
    '<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><hostname>lab</hostname><authentication>'
    f"<user><name>admin</name><password>{HASH}</password></user><user><name>monitor</name></user>"
    "</authentication></system>"
    '<energy-management xmlns="urn:eman:yang:eman-entity"><backends xmlns="urn:eman:yang:eman-backend"><backend>'
    '<name>pdu</name><snmp xmlns="urn:eman:yang:eman-backend-snmp"><address>192.0.2.7</address>'
    "<v2c><community>$aes$c2VjcmV0</community></v2c></snmp></backend></backends></energy-management>"
    '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><enable-nacm>true</enable-nacm></nacm>'
)
GET = f"<get {NAMESPACES}>{{}}</get>"
GET_CONFIG = f"<get-config {NAMESPACES}><source><running/></source>{{}}</get-config>"


def xpath(select: str) -> str:
    return (
        '<filter type="xpath" xmlns:sys="urn:ietf:params:xml:ns:yang:ietf-system" '
        f'xmlns:snmp="urn:eman:yang:eman-backend-snmp" select="{select}"/>'
    )


@pytest.mark.parametrize("request_", [GET, GET_CONFIG])
async def test_secrets_are_for_the_administrator(tmp_path: Path, schema: Schema, request_: str) -> None:
    """Others see names and addresses, and neither hashes, ciphertext nor the rules of access."""
    async with bench(tmp_path, schema) as server:
        admin, monitor = await server.peer(), await server.peer("monitor")
        assert (await admin.rpc(edit(SECRETS))).ok
        whole, seen = body(await admin.rpc(request_.format(""))), body(await monitor.rpc(request_.format("")))
        for secret in ("$6$salt", "$aes$", "<nacm>"):
            assert secret in whole
            assert secret not in seen
        for open_ in ("<hostname>lab</hostname>", "<name>monitor</name>", "<address>192.0.2.7</address>"):
            assert open_ in seen


@pytest.mark.parametrize(
    "filter_",
    [
        xpath("//sys:user[starts-with(sys:password, '$6$')]"),
        xpath("//snmp:community"),
        xpath("/*[//snmp:community = '$aes$c2VjcmV0']"),
        (
            '<filter><system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication><user>'
            f"<password>{HASH}</password></user></authentication></system></filter>"
        ),
    ],
)
async def test_a_filter_is_no_oracle(tmp_path: Path, schema: Schema, filter_: str) -> None:
    """A filter that asks about a secret finds it for the administrator, and nothing for others."""
    async with bench(tmp_path, schema) as server:
        admin, monitor = await server.peer(), await server.peer("monitor")
        assert (await admin.rpc(edit(SECRETS))).ok
        assert body(await admin.rpc(GET_CONFIG.format(filter_)))
        assert body(await monitor.rpc(GET_CONFIG.format(filter_))) == ""


async def test_others_change_nothing(tmp_path: Path, schema: Schema) -> None:
    """Writing, and with exec-default deny locking too, are denied to others, in words, and counted."""
    async with bench(tmp_path, schema) as server:
        admin, monitor = await server.peer(), await server.peer("monitor")
        found = (await monitor.rpc(edit(SECRETS))).errors
        assert {each.tag for each in found} == {"access-denied"}
        assert server.datastores.generation == 0
        nothing = '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><exec-default>deny</exec-default></nacm>'
        assert (await admin.rpc(edit(nothing))).ok
        lock = f"<lock {NAMESPACES}><target><running/></target></lock>"
        for request in (edit(SECRETS), lock, f"<kill-session {NAMESPACES}><session-id>9</session-id></kill-session>"):
            refused = error(await monitor.rpc(request))
            assert refused.tag == "access-denied"
            assert "a rule for one of the user's groups has to permit it" in refused.message
        counted = body(await admin.rpc(GET.format("")))
        assert "<denied-operations>3</denied-operations>" in counted
        assert "<denied-data-writes>1</denied-data-writes>" in counted


async def test_what_may_not_be_called_tells_nothing_of_what_there_is(tmp_path: Path, schema: Schema) -> None:
    """An action on an entity that exists and on one that does not are denied in the same words."""
    entity = (
        '<energy-management xmlns="urn:eman:yang:eman-entity"><entities><entity><id>{}</id>{}</entity>'
        "</entities></energy-management>"
    )
    async with bench(tmp_path, schema) as server:
        assert (await (await server.peer()).rpc(edit(entity.format("here", "")))).ok
        monitor = await server.peer("monitor")
        call = '<control><set-power-state xmlns="urn:eman:yang:eman-power-state"/></control>'
        told = []
        for name in ("here", "gone"):
            inside = entity.format(name, call)
            refused = error(await monitor.rpc(f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{inside}</action>'))
            told.append((refused.tag, refused.message, str(refused.path).replace(name, "it")))
        assert told[0] == told[1]
        assert told[0][0] == "access-denied"


async def test_an_edit_tells_nothing_of_what_is_hidden(tmp_path: Path, schema: Schema) -> None:
    """Creating what exists and what does not are denied in the same words where neither may be seen."""
    async with bench(tmp_path, schema) as server:
        admin, monitor = await server.peer(), await server.peer("monitor")
        assert (await admin.rpc(edit(SECRETS))).ok
        told = []
        for leaf in ("enable-nacm", "read-default"):  # the one is there, the other is not
            value = "true" if leaf == "enable-nacm" else "permit"
            content = (
                '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm">'
                f'<{leaf} nc:operation="create">{value}</{leaf}></nacm>'
            )
            refused = error(await monitor.rpc(edit(content)))
            told.append((refused.tag, refused.message, refused.path, refused.app_tag, tuple(refused.info)))
        assert told[0] == told[1]
        assert told[0][0] == "access-denied"


PASSWORD = (
    '<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication><user><name>{}</name>'
    "<password>{}</password></user></authentication></system>"
)


@pytest.mark.parametrize("target", ["running", "candidate"])
async def test_nobody_tries_passwords_by_editing(tmp_path: Path, schema: Schema, target: str) -> None:
    """Who may not write a password is denied to, also where it is the one in place and nothing would change."""
    vault = Vault(tmp_path / "key")
    async with bench(tmp_path / "state", schema, transform=vault.transform) as server:
        admin, monitor = await server.peer(), await server.peer("monitor")
        assert (await admin.rpc(edit(PASSWORD.format("ann", "$0$right")))).ok
        replies = [
            (await monitor.rpc(edit(PASSWORD.format(user, guess)).replace("running", target))).errors
            for user, guess in (("ann", "$0$right"), ("ann", "$0$wrong"), ("eve", "$0$right"))
        ]
        assert {each.tag for errors in replies for each in errors} == {"access-denied"}
        assert [each.message for each in replies[0]] == [each.message for each in replies[1]]
        assert (await admin.rpc(edit(PASSWORD.format("ann", "$0$right")))).ok
        assert server.datastores.generation == 1


async def test_who_may_write_his_own_password_sets_it_again(tmp_path: Path, schema: Schema) -> None:
    """A rule that permits to write a secret permits it with the same clear text as well, and nobody else's."""
    vault = Vault(tmp_path / "key")
    rules = (
        '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups><group><name>all</name>'
        "<user-name>ann</user-name></group></groups><rule-list><name>own</name><group>all</group><rule><name>own</name>"
        '<path xmlns:sys="urn:ietf:params:xml:ns:yang:ietf-system">'
        "/sys:system/sys:authentication/sys:user[sys:name=$USER]</path><action>permit</action></rule></rule-list></nacm>"
    )
    async with bench(tmp_path / "state", schema, transform=vault.transform) as server:
        admin, ann = await server.peer(), await server.peer("ann")
        assert (await admin.rpc(edit(rules + PASSWORD.format("ann", "$0$old")))).ok
        for password in ("$0$old", "$0$new", "$0$new"):
            assert (await ann.rpc(edit(PASSWORD.format("ann", password)))).ok
        assert error(await ann.rpc(edit(PASSWORD.format("bob", "$0$new")))).tag == "access-denied"


async def test_what_goes_because_its_when_is_false_needs_no_rule(site: Bench) -> None:
    """Who may delete a node may do so though others go with it that only he who deletes them needs leave for."""
    toy = 'xmlns="urn:toy" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
    rules = (
        '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm" xmlns:toy="urn:toy">'
        "<groups><group><name>clerks</name><user-name>clerk</user-name></group></groups>"
        "<rule-list><name>clerks</name><group>clerks</group><rule><name>limit</name><path>/toy:shelf/toy:limit</path>"
        "<action>permit</action></rule></rule-list></nacm>"
    )
    admin, clerk = await site.peer(), await site.peer("clerk")
    shelf = f"<shelf {toy}><limit>3</limit><only-with-limit>x</only-with-limit></shelf>"
    assert (await admin.rpc(edit(rules + shelf))).ok
    refused = error(await clerk.rpc(edit(f'<shelf {toy}><only-with-limit nc:operation="delete"/></shelf>')))
    assert refused.tag == "access-denied"
    assert (await clerk.rpc(edit(f'<shelf {toy}><limit nc:operation="delete"/></shelf>'))).ok
    assert "only-with-limit" not in body(await admin.rpc(GET_CONFIG.format("")))
