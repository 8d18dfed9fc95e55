"""The candidate, confirmed commits and startup, asked of running servers by ncclient.

The cases carry the names of netopeer2's tests of the same; what they ask for is RFC 6241's.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import SessionCloseError, TransportError

from tests.conformance.conftest import EMAN, NS, ServerProcess, demo_process, entity, until
from tests.conformance.installed import Installed, install
from tests.conformance.talking import MONITORING

ID = "transactions"
WAITING = "600"


@dataclass
class Client:
    """A session, and one leaf of one entity that it reads and writes."""

    session: manager.Manager

    def edit(self, role: str, target: str = "candidate", **options: str) -> None:
        content = f"<entity><id>{ID}</id><role>{role}</role></entity>"
        self.session.edit_config(target=target, config=config(content), **options)

    def role(self, datastore: str = "running") -> str | None:
        path = f"{entity(ID)}/eman:role"
        data = self.session.get_config(datastore, filter=("xpath", (NS, path))).data_ele
        found = data.find(f".//{{{EMAN}}}role")
        return None if found is None else found.text

    def end(self) -> None:
        self.session.close_session()


def config(entities: str) -> str:
    return (
        f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}"><entities>{entities}</entities>'
        "</energy-management></config>"
    )


GONE = config(f'<entity xmlns:nc="{NS["nc"]}" nc:operation="remove"><id>{ID}</id></entity>')


def refused(call: Callable[[], object]) -> str:
    """The error-tag of what must not succeed."""
    with pytest.raises(RPCError) as caught:
        call()
    tag: str = caught.value.tag
    return tag


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of this module's own."""
    process = demo_process(tmp_path_factory.mktemp("transactions") / "state").start()
    yield process
    assert process.end() == 0, process.log.read_text()[-2000:]


@pytest.fixture
def clients(server: ServerProcess) -> Iterator[Callable[[], Client]]:
    """Opens sessions; afterwards they are closed and running and the candidate are as before."""
    opened: list[Client] = []

    def connect() -> Client:
        opened.append(Client(server.connect()))
        return opened[-1]

    yield connect
    for each in opened:
        with contextlib.suppress(TransportError, SessionCloseError):  # one that was ended
            each.end()
    with server.connect() as session:
        until(lambda: nothing_waits(session), "nothing waits to be confirmed")
        session.discard_changes()
        session.edit_config(target="running", config=GONE)


def nothing_waits(session: manager.Manager) -> bool:
    """Whether running is open to everybody."""
    try:
        session.lock("running")
    except RPCError:
        return False
    session.unlock("running")
    return True


@pytest.fixture
def client(clients: Callable[[], Client]) -> Client:
    return clients()


@pytest.fixture
def other(clients: Callable[[], Client]) -> Client:
    return clients()


# --- the candidate


@pytest.mark.req("rfc6241-8.3")
def test_edit_basic(client: Client, other: Client) -> None:
    """What is edited in the candidate stands there for every session, and not in running."""
    client.edit("one")
    assert (client.role("candidate"), other.role("candidate"), other.role()) == ("one", "one", None)


@pytest.mark.req("rfc6241-8.3.4.1")
@pytest.mark.req("rfc6241-8.3")
def test_commit(client: Client, other: Client) -> None:
    """A commit makes running equal to the candidate."""
    client.edit("one")
    other.session.commit()
    assert (client.role(), client.role("candidate")) == ("one", "one")


@pytest.mark.req("rfc6241-8.3.4.2")
@pytest.mark.req("rfc6241-8.3")
def test_discard_changes(client: Client) -> None:
    """discard-changes makes the candidate equal to running."""
    client.edit("one")
    client.session.discard_changes()
    assert client.role("candidate") is None


@pytest.mark.req("rfc6241-8.3")
def test_discard_changes_advanced(client: Client) -> None:
    """What was committed stays, what came after it goes."""
    client.edit("one")
    client.session.commit()
    client.edit("two")
    assert (client.role(), client.role("candidate")) == ("one", "two")
    client.session.discard_changes()
    assert (client.role(), client.role("candidate")) == ("one", "one")


@pytest.mark.req("rfc6241-8.6")
def test_validate_valid(client: Client) -> None:
    """A candidate that could be committed is valid; running always is."""
    client.edit("one")
    client.session.validate("candidate")
    client.session.validate("running")


@pytest.mark.req("rfc6241-8.6.4.1")
@pytest.mark.req("rfc6241-8.6")
def test_validate_invalid(client: Client) -> None:
    """A candidate may be invalid; validate and commit tell what is wrong, and a commit changes nothing."""
    loop = "".join(
        f"<entity><id>{ID}-{one}</id><contained-in>{ID}-{two}</contained-in></entity>" for one, two in ("ab", "ba")
    )
    client.session.edit_config(target="candidate", config=config(loop))
    before = client.session.get_config("running").data_xml
    assert refused(lambda: client.session.validate("candidate")) == "operation-failed"
    assert refused(client.session.commit) == "operation-failed"
    assert client.session.get_config("running").data_xml == before


@pytest.mark.req("rfc6241-8.6.5.1", "rfc6241-8.5.5.1")
@pytest.mark.req("rfc6241-8.5")
@pytest.mark.req("rfc6241-8.6")
def test_edit_options(client: Client) -> None:
    """test-only changes nothing, and a fault anywhere in an edit leaves the candidate as it was."""
    client.edit("one", test_option="test-only")
    assert client.role("candidate") is None
    wrong = config(f"<entity><id>{ID}</id><role>two</role><importance>lots</importance></entity>")
    for option in ("rollback-on-error", "stop-on-error"):
        call = client.session.edit_config
        assert refused(lambda: call(target="candidate", config=wrong, error_option=option)) == "invalid-value"  # noqa: B023 - called at once
        assert client.role("candidate") is None


@pytest.mark.req("rfc6241-8.3")
def test_commit_locked_running(client: Client, other: Client) -> None:
    """A commit is refused as in-use while another session has running or the candidate locked."""
    other.session.lock("running")
    client.edit("one")
    assert refused(client.session.commit) == "in-use"
    other.session.unlock("running")
    client.session.discard_changes()
    other.session.lock("candidate")
    for call in (client.session.commit, client.session.discard_changes, lambda: client.edit("one")):
        assert refused(call) == "in-use"


@pytest.mark.req("rfc6241-8.3.5.2")
@pytest.mark.req("rfc6241-7.5")
def test_lock_modified_candidate(client: Client, other: Client) -> None:
    """A candidate with uncommitted changes cannot be locked."""
    other.edit("one")
    assert refused(lambda: client.session.lock("candidate")) == "lock-denied"
    other.session.discard_changes()
    client.session.lock("candidate")


@pytest.mark.req("rfc6241-8.3.5.2")
@pytest.mark.req("rfc6241-8.3")
@pytest.mark.parametrize("end", ["unlock", "close", "kill"])
def test_changes_end_with_the_lock(client: Client, other: Client, end: str) -> None:
    """Uncommitted changes are discarded when the lock of the candidate ends, whatever ends it."""
    client.session.lock("candidate")
    client.edit("one")
    assert other.role("candidate") == "one"
    if end == "unlock":
        client.session.unlock("candidate")
    elif end == "close":
        client.end()
    else:
        other.session.kill_session(client.session.session_id)
    until(lambda: other.role("candidate") is None, "the changes are discarded")
    with other.session.locked("candidate"):
        other.edit("two")


@pytest.mark.req("rfc6241-8.3.5.1")
@pytest.mark.req("rfc6241-7.3")
def test_copies(client: Client) -> None:
    """Running and the candidate are copied to each other, and a whole <config> to both."""
    client.edit("one")
    client.session.copy_config(source="candidate", target="running")
    client.edit("two")
    client.session.copy_config(source="running", target="candidate")
    assert (client.role(), client.role("candidate")) == ("one", "one")
    whole = client.session.get_config("running").data_ele
    next(node for node in whole.iter(f"{{{EMAN}}}role") if node.getparent()[0].text == ID).text = "three"
    copied = etree.Element(f"{{{NS['nc']}}}source")
    etree.SubElement(copied, f"{{{NS['nc']}}}config").extend(whole)
    client.session.copy_config(source=copied, target="candidate")
    assert client.role("candidate") == "three"
    client.session.commit()
    assert client.role() == "three"
    assert refused(lambda: client.session.copy_config(source="running", target="running")) == "invalid-value"


@pytest.mark.req("rfc6241-7.4")
def test_running_cannot_be_deleted(client: Client) -> None:
    """delete-config of running is refused, and so is that of a startup which is not offered."""
    for datastore in ("running", "candidate"):
        assert refused(lambda: client.session.delete_config(datastore)) == "operation-not-supported"  # noqa: B023 - called at once


@pytest.mark.req("rfc6022-2.1.2")
def test_datastores_are_shown(client: Client) -> None:
    """Monitoring lists both datastores, and who has the candidate locked."""
    space = {"m": MONITORING}
    client.session.lock("candidate")
    data = client.session.get(filter=("xpath", (space, "/m:netconf-state/m:datastores"))).data_ele
    names = data.findall(f".//{{{MONITORING}}}name")
    assert [name.text for name in names] == ["running", "candidate"]
    holders = data.findall(f".//{{{MONITORING}}}locked-by-session")
    assert [holder.text for holder in holders] == [client.session.session_id]


# --- confirmed commits


@pytest.mark.req("rfc6241-8.4")
def test_sameas_commit(client: Client) -> None:
    """A confirmed commit is in force at once."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    assert client.role() == "one"
    client.session.commit()


@pytest.mark.req("rfc6241-8.4")
def test_timeout_runout(client: Client) -> None:
    """What is not confirmed within confirm-timeout is rolled back."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout="1")
    until(lambda: client.role() is None, "the commit is rolled back")
    assert client.role("candidate") is None


@pytest.mark.req("rfc6241-8.4")
def test_timeout_confirm(client: Client, other: Client) -> None:
    """What is confirmed stays, also when the session ends."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    client.session.commit()
    client.end()
    until(lambda: nothing_waits(other.session), "nothing waits")
    assert other.role() == "one"


@pytest.mark.req("rfc6241-8.4")
def test_timeout_confirm_modify(client: Client, other: Client) -> None:
    """The confirming commit may bring further changes."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    client.edit("two")
    client.session.commit()
    client.end()
    until(lambda: nothing_waits(other.session), "nothing waits")
    assert other.role() == "two"


@pytest.mark.req("rfc6241-8.4.5.1")
@pytest.mark.req("rfc6241-8.4")
def test_timeout_followup(client: Client) -> None:
    """A follow-up commit sets the time anew, and the roll-back is to before the first one."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    client.edit("two")
    client.session.commit(confirmed=True, timeout="1")
    until(lambda: client.role() is None, "both commits are rolled back")


@pytest.mark.req("rfc6241-8.4.4.1")
@pytest.mark.req("rfc6241-8.4")
def test_cancel(client: Client) -> None:
    """cancel-commit rolls back at once; with nothing to cancel it fails."""
    assert refused(client.session.cancel_commit) == "operation-failed"
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    client.session.cancel_commit()
    assert client.role() is None


@pytest.mark.req("rfc6241-8.4")
def test_rollback_disconnect(client: Client, other: Client) -> None:
    """The end of the session rolls its commit back."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    assert other.role() == "one"
    client.end()
    until(lambda: other.role() is None, "the commit is rolled back")


@pytest.mark.req("rfc6241-8.4")
def test_rollback_killed(client: Client, other: Client) -> None:
    """When kill-session is answered, what the killed session left unconfirmed is rolled back."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    other.session.kill_session(client.session.session_id)
    assert other.role() is None


@pytest.mark.req("rfc6241-8.4")
def test_rollback_locked(client: Client, other: Client) -> None:
    """With running locked, another session cannot cancel even with the token; the holder of the lock can."""
    client.session.lock("running")
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING, persist="token")
    assert refused(lambda: other.session.cancel_commit(persist_id="token")) == "in-use"
    assert other.role() == "one"
    client.session.cancel_commit(persist_id="token")
    assert other.role() is None


@pytest.mark.req("rfc6241-8.4")
def test_timeout_locked(client: Client) -> None:
    """A lock of running does not keep a commit from being rolled back in time."""
    client.session.lock("running")
    client.edit("one")
    client.session.commit(confirmed=True, timeout="1", persist="token")
    until(lambda: client.role() is None, "the commit is rolled back")


@pytest.mark.req("rfc6241-8.4")
def test_confirm_persist(client: Client, other: Client) -> None:
    """With persist the commit outlives its session; another one confirms it with the token."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING, persist="token")
    client.end()
    until(lambda: not client.session.connected, "the session has ended")
    assert refused(other.session.commit) == "in-use"
    other.session.commit(persist_id="token")
    assert (other.role(), nothing_waits(other.session)) == ("one", True)


@pytest.mark.req("rfc6241-8.4")
def test_cancel_persist(client: Client, other: Client) -> None:
    """With the token another session cancels it."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING, persist="token")
    client.end()
    until(lambda: not client.session.connected, "the session has ended")
    assert other.role() == "one"
    other.session.cancel_commit(persist_id="token")
    assert other.role() is None


@pytest.mark.req("rfc6241-8.4")
def test_wrong_session(client: Client, other: Client) -> None:
    """Another session can neither follow up, confirm nor cancel, nor edit or lock running; the first one can."""
    client.edit("one")
    client.session.commit(confirmed=True, timeout=WAITING)
    for call in (
        lambda: other.session.commit(confirmed=True, timeout="1"),
        other.session.commit,
        other.session.cancel_commit,
        lambda: other.edit("two", "running"),
    ):
        assert refused(call) == "in-use"
    assert refused(lambda: other.session.lock("running")) == "lock-denied"
    assert other.role() == "one"
    client.session.cancel_commit()
    other.edit("two", "running")
    assert client.role() == "two"


@pytest.mark.req("rfc6241-8.4")
def test_wrong_persist_id(client: Client, other: Client) -> None:
    """A persist-id of nothing, or another one, is refused as invalid-value."""
    client.edit("one")
    assert refused(lambda: client.session.commit(persist_id="token")) == "invalid-value"
    client.session.commit(confirmed=True, timeout=WAITING, persist="token")
    assert refused(lambda: other.session.commit(persist_id="other")) == "invalid-value"
    assert refused(lambda: other.session.cancel_commit(persist_id="other")) == "invalid-value"
    client.session.cancel_commit(persist_id="token")


@pytest.mark.req("rfc6241-8.4")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_restart(tmp_path: Path, number: signal.Signals) -> None:
    """However the server ends, the next start has rolled back what was not confirmed, and goes on from there."""
    server = demo_process(tmp_path / "state").start()
    with contextlib.suppress(Exception), server.connect() as session:  # it ends with the process
        client = Client(session)
        client.edit("kept", "running")
        client.edit("tried")
        session.commit(confirmed=True, timeout=WAITING, persist="token")
        client.edit("more")
        session.commit(confirmed=True, timeout=WAITING, persist_id="token")
        assert client.role() == "more"
        server.end(number)
    server.start()
    with server.connect() as session:
        client = Client(session)
        assert (client.role(), client.role("candidate")) == ("kept", "kept")
        client.edit("after")
        session.commit()
    server.end(signal.SIGKILL)
    server.start()
    with server.connect() as session:
        assert Client(session).role() == "after"
    assert server.end() == 0
    assert "never confirmed" in server.log.read_text()


@pytest.mark.req("rfc6241-8.4")
def test_confirmed_commits_in_a_storm_of_kills(tmp_path: Path) -> None:
    """Killed at any moment of a stream of confirmed commits: running is what was confirmed last, or just then."""
    server = demo_process(tmp_path / "state")
    confirmed, trying = 0, 0
    for _round in range(3):
        server.start()
        client = Client(server.connect())
        kept = int(client.role() or 0)
        assert kept in (confirmed, trying)
        confirmed = trying = kept
        killer = threading.Timer(1.0, server.end, (signal.SIGKILL,))
        killer.start()
        try:
            while True:
                client.edit(str(confirmed + 1))
                client.session.commit(confirmed=True, timeout=WAITING)
                trying = confirmed + 1
                client.session.commit()
                confirmed = trying
        except Exception:  # the session ends with the process, in whatever way ncclient notices
            killer.join()
    assert confirmed > 0


# --- startup


@pytest.fixture(scope="module")
def volatile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A server whose bootstrap file asks for a startup datastore."""
    process = install(tmp_path_factory.mktemp("startup"))
    assert process.end() == 0
    with process.config.open("a") as file:
        file.write("\n[datastores]\nstartup = true\n")
    process.start()
    yield process
    process.end(signal.SIGKILL)


@pytest.mark.req("rfc6241-8.7")
def test_startup(volatile: Installed) -> None:
    """Running is lost with the process unless it was copied to startup; startup is read, locked and validated."""
    with volatile.connect() as session:
        client = Client(session)
        assert "urn:ietf:params:netconf:capability:startup:1.0" in session.server_capabilities
        client.edit("saved")
        session.commit()
        with session.locked("startup"):
            session.copy_config(source="running", target="startup")
        client.edit("lost", "running")
        assert (client.role(), client.role("startup")) == ("lost", "saved")
        session.validate("startup")
    volatile.end(signal.SIGKILL)
    volatile.start()
    with volatile.connect() as session:
        client = Client(session)
        assert (client.role(), client.role("startup")) == ("saved", "saved")
        session.copy_config(source="startup", target="candidate")
        client.edit("other")
        session.copy_config(source="candidate", target="startup")
        assert (client.role(), client.role("startup")) == ("saved", "other")


@pytest.mark.req("rfc6241-8.7")
@pytest.mark.req("rfc6241-7.4")
def test_startup_and_the_unconfirmed(volatile: Installed) -> None:
    """What waits to be confirmed cannot be saved; startup, and it alone, can be deleted, and saved again."""
    with volatile.connect() as session:
        client = Client(session)
        client.edit("tried")
        session.commit(confirmed=True, timeout=WAITING)
        assert refused(lambda: session.copy_config(source="running", target="startup")) == "in-use"
        session.cancel_commit()
        session.delete_config("startup")
        assert client.role("startup") is None
        assert refused(lambda: session.delete_config("running")) == "unknown-element"
        session.copy_config(source="running", target="startup")
        assert client.role("startup") == client.role()
