"""RFC 6022 and RFC 8525 over a session: schemas, state of the server, library, capabilities."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from eman_netconf.errors import ErrorTag
from eman_netconf.operations.monitoring import MONITORING_NS, capabilities, schema_texts
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.validate import validate_state
from tests.operations.bench import NAMESPACES, Bench, bare, body, edit, error
from tests.operations.test_base import TOY, lock

M = f"xmlns='{MONITORING_NS}'"


def get_schema(name: str, **parameters: str) -> str:
    rest = "".join(f"<{key}>{value}</{key}>" for key, value in parameters.items())
    return f"<get-schema {M}><identifier>{name}</identifier>{rest}</get-schema>"


async def state(site: Bench, part: str) -> Any:
    """One container of netconf-state."""
    asked = f"<filter><netconf-state {M}><{part}/></netconf-state></filter>"
    reply = await (await site.peer("watcher")).rpc(f"<get {NAMESPACES}>{asked}</get>")
    return etree.fromstring(body(reply))


async def test_get_schema_gives_the_text(site: Bench) -> None:
    """Every module and submodule of the YANG library can be had, as it stands in its file."""
    peer = await site.peer("somebody")
    for text in schema_texts(site.server.schema):
        reply = await peer.rpc(get_schema(text.name, version=text.version, format="yang"))
        (data,) = reply.element
        assert data.tag == f"{{{MONITORING_NS}}}data"
        assert data.text == text.file.read_text(encoding="utf-8").replace("\r\n", "\n")


async def test_format_may_have_a_prefix(site: Bench) -> None:
    """The format is an identity, with or without prefix; version and format may be left out."""
    peer = await site.peer()
    asked = get_schema("toy", version="2026-11-20").replace(
        "</get-schema>", f"<format xmlns:m='{MONITORING_NS}'>m:yang</format></get-schema>"
    )
    assert "module toy" in body(await peer.rpc(asked))
    assert "module toy" in body(await peer.rpc(get_schema("toy")))


@pytest.mark.parametrize(
    "parameters",
    [{"name": "nobody"}, {"name": "toy", "version": "1999-01-01"}, {"name": "toy", "format": "yin"}],
)
async def test_schema_that_is_not_there(site: Bench, parameters: dict[str, str]) -> None:
    """Another name, version or format is an invalid value (RFC 6022 section 3.1)."""
    assert error(await (await site.peer()).rpc(get_schema(**parameters))).tag == ErrorTag.INVALID_VALUE


async def test_schemas_are_listed(site: Bench) -> None:
    """netconf-state lists what get-schema has."""
    (schemas,) = await state(site, "schemas")
    found = [bare(each) for each in schemas]
    assert any("<identifier>toy</identifier><version>2026-11-20</version>" in each for each in found)
    assert len(found) == len(list(schema_texts(site.server.schema)))


async def test_capabilities_are_those_of_the_hello(site: Bench) -> None:
    """netconf-state lists the capabilities of the hello."""
    peer = await site.peer()
    assert peer.hello is not None
    (listed,) = await state(site, "capabilities")
    assert [leaf.text for leaf in listed] == list(peer.hello.capabilities)


def test_capabilities(toy: Schema) -> None:
    """What is announced is what is done; only modules of YANG 1 stand in the hello."""
    announced = capabilities(toy)
    prefix = "urn:ietf:params:netconf:capability:"
    assert {each for each in announced if each.startswith(prefix) and "yang-library" not in each} == {
        f"{prefix}{name}"
        for name in (
            "writable-running:1.0",
            "candidate:1.0",
            "confirmed-commit:1.1",
            "rollback-on-error:1.0",
            "validate:1.1",
            "xpath:1.0",
            "notification:1.0",
            "interleave:1.0",
            "partial-lock:1.0",
            "with-defaults:1.0?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim",
            "with-operational-defaults:1.0",
        )
    }
    assert {"urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"} <= set(announced)
    assert f"{prefix}yang-library:1.1?revision=2019-01-04&content-id={toy.content_id}" in announced
    assert f"{MONITORING_NS}?module=ietf-netconf-monitoring&revision=2010-10-04" in announced
    netconf = next(each for each in announced if "module=ietf-netconf&" in each)
    assert netconf.endswith("&features=candidate,confirmed-commit,rollback-on-error,validate,writable-running,xpath")
    assert not any("module=toy" in each or "ietf-yang-types" in each for each in announced)


async def test_sessions(site: Bench) -> None:
    """Each session is listed with who it is and what it did."""
    peer = await site.peer("worker")
    await peer.rpc(edit("<motto/>"))
    (sessions,) = await state(site, "sessions")
    found = {each.findtext("username"): each for each in sessions}
    assert set(found) == {"worker", "watcher"}
    worker = found["worker"]
    assert worker.findtext("session-id") == str(peer.session_id)
    assert worker.findtext("transport") == "ncm:netconf-ssh"
    assert worker.findtext("source-host") == "memory"
    assert worker.findtext("login-time") == "2026-02-02T02:40:00Z"
    assert (worker.findtext("in-rpcs"), worker.findtext("out-rpc-errors")) == ("1", "1")


async def test_one_session_by_key(site: Bench) -> None:
    """One session is found by its number."""
    peer = await site.peer("worker")
    await site.peer("other")
    session = f"<session><session-id>{peer.session_id}</session-id></session>"
    asked = f"<netconf-state {M}><sessions>{session}</sessions></netconf-state>"
    text = body(await peer.rpc(f"<get {NAMESPACES}><filter>{asked}</filter></get>"))
    assert "worker" in text
    assert "other" not in text


async def test_statistics(site: Bench) -> None:
    """The server counts what it was asked."""
    peer = await site.peer("worker")
    await peer.rpc(f"<get-config {NAMESPACES}><source><running/></source></get-config>")
    (found,) = await state(site, "statistics")
    assert found.findtext("netconf-start-time") == "2026-02-02T02:40:00Z"
    assert (found.findtext("in-sessions"), found.findtext("in-rpcs")) == ("2", "2")


async def test_locks_are_shown(site: Bench) -> None:
    """Every datastore is shown, and who locks it with it."""
    (before,) = await state(site, "datastores")
    names = "<datastore><name>running</name></datastore><datastore><name>candidate</name></datastore>"
    assert bare(before) == f"<datastores>{names}</datastores>"
    peer = await site.peer()
    assert (await peer.rpc(lock("lock"))).ok
    (after,) = await state(site, "datastores")
    assert after.findtext("datastore/locks/global-lock/locked-by-session") == str(peer.session_id)
    assert after.findtext("datastore/locks/global-lock/locked-time") == "2026-02-02T02:40:00Z"


async def test_whole_get_is_valid(site: Bench) -> None:
    """All that <get> shows is valid data of the models, the YANG library included."""
    peer = await site.peer()
    assert (await peer.rpc(edit(f"<motto {TOY}>m</motto>"))).ok
    assert (await peer.rpc(lock("lock"))).ok
    root = site.datastores.operational()
    assert validate_state(site.server.schema, root) == []
    text = body(await peer.rpc(f"<get {NAMESPACES}/>"))
    assert f"<content-id>{site.server.schema.content_id}</content-id>" in text
    assert "<motto>m</motto>" in text
