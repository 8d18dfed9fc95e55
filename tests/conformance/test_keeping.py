"""Locks of parts, files named by URL, and the history of commits, asked of a running server by ncclient."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

from tests.conformance.conftest import EMAN, NS, edit
from tests.conformance.installed import Installed, prepare
from tests.conformance.test_transactions import config

PARTIAL_LOCK = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
EMSV = "urn:eman:yang:eman-server"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An installed server with a folder of files."""
    made = prepare(tmp_path_factory.mktemp("keeping"))
    with made.config.open("a") as bootstrap:
        bootstrap.write('\n[datastores]\nurl-folder = "files"\n')
    made.start()
    yield made
    assert made.end() == 0, made.log.read_text()[-2000:]


@pytest.fixture
def session(server: Installed) -> Iterator[manager.Manager]:
    with server.connect() as opened:
        yield opened


def named(id_: str, name: str) -> str:
    return f"<entity><id>{id_}</id><name>{name}</name></entity>"


def name_of(session: manager.Manager, id_: str) -> str | None:
    data = session.get_config("running", filter=("xpath", (NS, f"//eman:entity[eman:id='{id_}']/eman:name"))).data_ele
    found = data.find(f".//{{{EMAN}}}name")
    return None if found is None else found.text


def refused(session: manager.Manager, request: str) -> RPCError:
    with pytest.raises(RPCError) as caught:
        session.dispatch(to_ele(request))
    return caught.value


def commits(session: manager.Manager) -> list[etree._Element]:
    """The commits that are told of, oldest first."""
    asked = f'<eman-server xmlns="{EMSV}"><commits/></eman-server>'
    return list(session.get(filter=("subtree", asked)).data_ele.iter(f"{{{EMSV}}}commit"))


def newest(session: manager.Manager) -> int:
    return int(commits(session)[-1].findtext(f"{{{EMSV}}}id") or 0)


@pytest.mark.req("rfc5717-2.1")
@pytest.mark.req("rfc5717-2.4.1")
@pytest.mark.req("rfc5717-2.4.2")
def test_two_operators_edit_two_entities(server: Installed, session: manager.Manager) -> None:
    """Each locks what he works on: the other one may change all else, and gets it when it is unlocked."""
    assert any("partial-lock:1.0" in uri for uri in session.server_capabilities)
    edit(session, named("one", "a"))
    edit(session, named("two", "a"))
    select = "/eman:energy-management/eman:entities/eman:entity[eman:id='one']"
    request = f'<partial-lock xmlns="{PARTIAL_LOCK}" xmlns:eman="{EMAN}"><select>{select}</select></partial-lock>'
    reply = session.dispatch(to_ele(request))
    answer = etree.fromstring(reply.xml.encode())
    number = answer.findtext(f"{{{PARTIAL_LOCK}}}lock-id")
    assert "one" in (answer.findtext(f"{{{PARTIAL_LOCK}}}locked-node") or "")
    with server.connect() as other:
        assert refused(other, request).tag == "lock-denied"
        with pytest.raises(RPCError) as caught:
            edit(other, named("one", "b"))
        assert caught.value.tag == "in-use"
        edit(other, named("two", "b"))
        edit(session, named("one", "c"))
        unlock = f'<partial-unlock xmlns="{PARTIAL_LOCK}"><lock-id>{number}</lock-id></partial-unlock>'
        assert refused(other, unlock).tag == "invalid-value"
        session.dispatch(to_ele(unlock))
        edit(other, named("one", "b"))
    assert (name_of(session, "one"), name_of(session, "two")) == ("b", "b")


@pytest.mark.req("rfc5717-2.1")
def test_a_lost_session_leaves_nothing_locked(server: Installed, session: manager.Manager) -> None:
    """Parts that were locked are free when the connection of the session that held them is gone."""
    edit(session, named("one", "a"))
    other = server.connect()
    request = f'<partial-lock xmlns="{PARTIAL_LOCK}" xmlns:eman="{EMAN}"><select>/*</select></partial-lock>'
    other.dispatch(to_ele(request))
    number = int(other.session_id)
    session.kill_session(str(number))
    edit(session, named("one", "b"))


@pytest.mark.req("rfc6241-8.8.5.2", "rfc6241-8.8.5.3")
@pytest.mark.req("rfc6241-8.8")
def test_backup_and_restore(session: manager.Manager) -> None:
    """The configuration is copied to a file, changed, and copied back from it; the file is deleted afterwards."""
    assert any("url:1.0?scheme=file" in uri for uri in session.server_capabilities)
    edit(session, named("one", "kept"))
    session.copy_config(source="running", target="file:///kept.xml")
    edit(session, named("one", "lost"))
    session.validate("file:///kept.xml")
    session.copy_config(source="file:///kept.xml", target="running")
    assert name_of(session, "one") == "kept"
    session.delete_config(target="file:///kept.xml")
    with pytest.raises(RPCError) as caught:
        session.copy_config(source="file:///kept.xml", target="running")
    assert caught.value.tag == "data-missing"
    with pytest.raises(RPCError) as caught:
        session.copy_config(source="file:///etc/passwd", target="running")
    assert caught.value.tag == "invalid-value"


def test_who_changed_what_is_undone_after_a_crash(server: Installed) -> None:
    """Commits are told with their author over a kill -9, and undone behind one that was good."""
    with server.connect() as session:
        edit(session, named("good", "good"))
        good = newest(session)
        session.edit_config(target="candidate", config=config("<entity><id>good</id><name>bad</name></entity>"))
        session.commit()
        edit(session, named("bad", "bad"))
    server.end(signal.SIGKILL)
    server.start()
    with server.connect() as session:
        told = commits(session)
        assert [each.findtext(f"{{{EMSV}}}user") for each in told[-2:]] == ["admin", "admin"]
        assert [each.findtext(f"{{{EMSV}}}id") for each in told[-2:]] == [str(good + 1), str(good + 2)]
        session.dispatch(to_ele(f'<revert xmlns="{EMSV}"><to>{good}</to></revert>'))
        assert (name_of(session, "good"), name_of(session, "bad")) == ("good", None)
        assert newest(session) == good + 3
        too_far = refused(session, f'<revert xmlns="{EMSV}"><to>{good + 99}</to></revert>')
        assert too_far.tag == "invalid-value"
