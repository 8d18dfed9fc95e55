"""The candidate, confirmed commits and startup, asked over sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eman_netconf.datastore.commit import roll_back_due
from eman_netconf.datastore.datastores import Datastore
from eman_netconf.errors import ErrorTag
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.operations.bench import NAMESPACES, START, Bench, bench, body, error, named
from tests.peer import Peer

TOY = 'xmlns="urn:toy" xmlns:toy="urn:toy"'
OVER_LIMIT = f"<shelf {TOY}><limit>0</limit><item><id>a</id></item></shelf>"


def motto(text: str) -> str:
    return f"<motto {TOY}>{text}</motto>"


def edit(content: str, target: str = "candidate", **options: str) -> str:
    said = "".join(f"<{name.replace('_', '-')}>{value}</{name.replace('_', '-')}>" for name, value in options.items())
    return f"<edit-config {NAMESPACES}><target><{target}/></target>{said}<config>{content}</config></edit-config>"


def on(operation: str, datastore: str) -> str:
    """lock, unlock, delete-config of a target."""
    return f"<{operation} {NAMESPACES}><target><{datastore}/></target></{operation}>"


def copy(source: str, target: str) -> str:
    inner = source if source.startswith("<") else f"<{source}/>"
    return f"<copy-config {NAMESPACES}><target><{target}/></target><source>{inner}</source></copy-config>"


def validate(source: str) -> str:
    return f"<validate {NAMESPACES}><source><{source}/></source></validate>"


def commit(**parameters: str) -> str:
    said = "".join(
        f"<{name.replace('_', '-')}>{value}</{name.replace('_', '-')}>" for name, value in parameters.items()
    )
    return f"<commit {NAMESPACES}>{said}</commit>"


def cancel(**parameters: str) -> str:
    return commit(**parameters).replace("commit", "cancel-commit")


CONFIRMED = commit(confirmed="")
DISCARD = f"<discard-changes {NAMESPACES}/>"


async def ok(peer: Peer, *operations: str) -> None:
    for operation in operations:
        reply = await peer.rpc(operation)
        assert reply.ok, (operation, reply.errors)


async def refused(peer: Peer, operation: str) -> ErrorTag:
    return error(await peer.rpc(operation)).tag


async def held(peer: Peer, datastore: str) -> str:
    """The content of a datastore; of a single motto its text."""
    got = body(await peer.rpc(f"<get-config {NAMESPACES}><source><{datastore}/></source></get-config>"))
    return got.removeprefix("<motto>").removesuffix("</motto>")


async def ended(site: Bench, peer: Peer) -> None:
    """A session that goes, and what the server's timer does about it."""
    await ok(peer, f"<close-session {NAMESPACES}/>")
    await peer.closed()
    await roll_back_due(site.datastores, START, site.mono)


# --- the candidate


async def test_edit_and_commit(site: Bench) -> None:
    """An edit of the candidate leaves running alone; a commit makes running equal to it, for every session."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, edit(motto("one")))
    assert (await held(other, "candidate"), await held(other, "running")) == ("one", "")
    await ok(other, edit(motto("two")), commit())
    assert (await held(peer, "candidate"), await held(peer, "running")) == ("two", "two")
    assert site.datastores.generation == 1


async def test_an_empty_commit(site: Bench) -> None:
    """With nothing to commit, a commit is no error and no change."""
    peer = await site.peer()
    await ok(peer, commit(), DISCARD, validate("candidate"))
    assert site.datastores.generation == 0


async def test_discard_changes(site: Bench) -> None:
    """discard-changes makes the candidate running again."""
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"), edit(motto("two")), DISCARD)
    assert await held(peer, "candidate") == "one"


async def test_the_candidate_follows_running_until_it_is_changed(site: Bench) -> None:
    """Another change of running is seen in a candidate without changes, and not in one with; commit then undoes it."""
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"))
    assert await held(peer, "candidate") == "one"
    await ok(peer, edit(f"<shelf {TOY}><item><id>a</id></item></shelf>"), edit(motto("two"), "running"))
    shelf = "<shelf><item><id>a</id></item></shelf>"
    assert await held(peer, "candidate") == f"{shelf}<motto>one"
    await ok(peer, commit())
    assert await held(peer, "running") == f"{shelf}<motto>one"


async def test_constraints_wait_for_the_commit(site: Bench) -> None:
    """The candidate may be invalid in between; validate and commit tell what is wrong and change nothing."""
    peer = await site.peer()
    await ok(peer, edit(OVER_LIMIT))
    for operation in (validate("candidate"), commit(), CONFIRMED):
        assert error(await peer.rpc(operation)).app_tag == "over-limit"
    assert (await held(peer, "running"), site.datastores.confirmed) == ("", None)
    await ok(peer, edit(f"<shelf {TOY}><limit>1</limit></shelf>"), validate("candidate"), commit())
    assert "<limit>1</limit>" in await held(peer, "running")


@pytest.mark.parametrize("option", ["test-only", "test-then-set", "set", None])
async def test_test_option(site: Bench, option: str | None) -> None:
    """test-then-set and test-only refuse what could not be committed; test-only changes nothing; set sets."""
    peer = await site.peer()
    options = {} if option is None else {"test_option": option}
    if option in ("set", None):
        await ok(peer, edit(OVER_LIMIT, **options))
        assert await held(peer, "candidate") != ""
        return
    assert error(await peer.rpc(edit(OVER_LIMIT, **options))).app_tag == "over-limit"
    await ok(peer, edit(motto("one"), **options))
    assert await held(peer, "candidate") == ("" if option == "test-only" else "one")


async def test_test_option_sees_earlier_edits(site: Bench) -> None:
    """What is tested is the whole candidate, earlier edits included."""
    peer = await site.peer()
    await ok(peer, edit(f"<shelf {TOY}><limit>0</limit></shelf>"))
    bad = edit(f"<shelf {TOY}><item><id>a</id></item></shelf>", test_option="test-then-set")
    assert error(await peer.rpc(bad)).app_tag == "over-limit"
    assert await held(peer, "candidate") == "<shelf><limit>0</limit></shelf>"


@pytest.mark.parametrize(
    ("option", "left"),
    [("stop-on-error", ""), ("rollback-on-error", ""), ("continue-on-error", "good")],
)
async def test_error_option(site: Bench, option: str, left: str) -> None:
    """An edit with a fault leaves the candidate as it was, or with continue-on-error does the rest."""
    peer = await site.peer()
    bad = f"<shelf {TOY}><item><id>a</id><value>x</value></item></shelf>" + motto("good")
    assert await refused(peer, edit(bad, error_option=option)) == ErrorTag.INVALID_VALUE
    assert left in await held(peer, "candidate")
    assert (await held(peer, "candidate") == "") == (left == "")


async def test_default_operation(site: Bench) -> None:
    """default-operation replace and none are followed in the candidate too, as are operations on elements."""
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"), edit("", default_operation="replace"))
    assert (await held(peer, "candidate"), await held(peer, "running")) == ("", "one")
    gone = f'<motto {TOY} nc:operation="delete"/>'
    assert await refused(peer, edit(gone, default_operation="none")) == ErrorTag.DATA_MISSING
    await ok(peer, commit())
    assert await held(peer, "running") == ""


class Judge:
    """Refuses changes while it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, object]] = []

    def change(self, change: Change) -> None:
        self.seen.append((change.old, change.new))


async def test_access_is_judged_twice(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit is judged by what it changes in the candidate, a commit by what differs in running."""
    judge = Judge()
    monkeypatch.setattr(type(site.server.judge), "change", lambda _self, _session, change: judge.change(change))
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"), edit(motto("two")), edit(motto("three")), commit())
    assert [[_motto(side) for side in pair] for pair in judge.seen] == [
        [None, "one"],
        ["one", "two"],
        ["two", "three"],
        ["one", "three"],
    ]


def _motto(side: object) -> str | None:
    assert isinstance(side, Inner)
    return side.leaf("motto")


# --- locks


async def test_a_locked_candidate_or_running_refuses_others(site: Bench) -> None:
    """While another session has the lock: edits of the candidate, discard and commit are refused as in-use."""
    peer, other = await site.peer(), await site.peer()
    await ok(other, edit(motto("one")))
    await ok(other, commit(), on("lock", "candidate"))
    for operation in (edit(motto("two")), DISCARD, commit(), copy("running", "candidate")):
        assert await refused(peer, operation) == ErrorTag.IN_USE
    await ok(other, on("unlock", "candidate"), on("lock", "running"))
    await ok(peer, edit(motto("two")))
    for operation in (commit(), CONFIRMED, copy("candidate", "running")):
        assert await refused(peer, operation) == ErrorTag.IN_USE
    await ok(other, commit())


async def test_a_modified_candidate_cannot_be_locked(site: Bench) -> None:
    """Neither by others nor by who changed it, until the changes are committed, discarded or come to nothing."""
    peer, other = await site.peer(), await site.peer()
    for way_out in (commit(), DISCARD, edit(f'<motto {TOY} nc:operation="remove"/>')):
        await ok(peer, edit(f'<motto {TOY} nc:operation="remove"/>', "running"), edit(motto("one")))
        for session in (peer, other):
            found = error(await session.rpc(on("lock", "candidate")))
            assert (found.tag, named(found)["session-id"]) == (ErrorTag.LOCK_DENIED, "0")
            assert str(peer.session_id) in found.message
        await ok(peer, way_out)
        await ok(other, on("lock", "candidate"), on("unlock", "candidate"))


@pytest.mark.parametrize("end", ["unlock", "close", "kill"])
async def test_changes_go_with_the_lock(site: Bench, end: str) -> None:
    """When the lock of the candidate ends, by unlock or with its session, uncommitted changes are discarded."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, on("lock", "candidate"), edit(motto("one")))
    if end == "unlock":
        await ok(peer, on("unlock", "candidate"))
    elif end == "close":
        await ended(site, peer)
    else:
        await ok(other, f"<kill-session {NAMESPACES}><session-id>{peer.session_id}</session-id></kill-session>")
    assert await held(other, "candidate") == ""
    await ok(other, on("lock", "candidate"))


async def test_changes_stay_without_a_lock(site: Bench) -> None:
    """Changes that nobody locked outlive the session that made them."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, edit(motto("one")))
    await ended(site, peer)
    assert await held(other, "candidate") == "one"


# --- copying


async def test_copies(site: Bench) -> None:
    """Each of running, candidate and a <config> can be copied to running and to the candidate."""
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"), edit(motto("two")), copy("candidate", "running"))
    assert await held(peer, "running") == "two"
    await ok(peer, edit(motto("three")), copy("running", "candidate"))
    assert await held(peer, "candidate") == "two"
    await ok(peer, on("lock", "candidate"), on("unlock", "candidate"))
    for target in ("candidate", "running"):
        await ok(peer, copy(f"<config>{motto('four')}</config>", target))
        assert await held(peer, target) == "four"
        assert await refused(peer, copy(target, target)) == ErrorTag.INVALID_VALUE
    await ok(peer, edit(OVER_LIMIT))
    assert error(await peer.rpc(copy("candidate", "running"))).app_tag == "over-limit"


async def test_what_has_no_startup(site: Bench) -> None:
    """Without :startup there is none to read, copy, lock or delete, and running cannot be deleted."""
    peer = await site.peer()
    for operation in (copy("running", "startup"), copy("startup", "running"), on("lock", "startup")):
        assert await refused(peer, operation) == ErrorTag.UNKNOWN_ELEMENT
    for datastore in ("startup", "running", "candidate"):
        assert await refused(peer, on("delete-config", datastore)) == ErrorTag.OPERATION_NOT_SUPPORTED


async def test_copies_hold_what_may_be_read(site: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the session may not read of the source is left out (RFC 8341 section 3.2.3), and the rest is shared."""
    peer = await site.peer()
    shelf = f"<shelf {TOY}><item><id>a</id></item><item><id>b</id></item></shelf>"
    await ok(peer, edit(shelf + motto("secret"), "running"))
    hidden = site.server.schema.find("toy:motto")

    def readable(_judge: object, _session: object, root: Inner) -> Inner:
        return root.replace(hidden, None)

    monkeypatch.setattr(type(site.server.judge), "readable", readable)
    await ok(peer, copy("running", "candidate"))
    copied = site.datastores.tree(Datastore.CANDIDATE)
    assert copied.leaf("motto") is None
    assert copied.at("shelf") is site.datastores.running.at("shelf")


# --- confirmed commits


async def test_confirmed_and_confirming(site: Bench) -> None:
    """A confirmed commit is in force at once; after the confirming commit no time rolls it back."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED)
    assert (await held(peer, "running"), site.datastores.next_timer()) == ("one", 600.0)
    await ok(peer, commit())
    assert site.datastores.next_timer() is None
    await ended(site, peer)
    assert await held(await site.peer(), "running") == "one"


async def test_a_confirming_commit_may_change_more(site: Bench) -> None:
    """What the candidate holds at the confirming commit is committed with it."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED, edit(motto("two")), commit())
    await roll_back_due(site.datastores, START, 1e9)
    assert await held(peer, "running") == "two"


async def test_time_out(site: Bench) -> None:
    """After confirm-timeout running is as before, and the candidate follows it."""
    peer = await site.peer()
    await ok(peer, edit(motto("one"), "running"), edit(motto("two")), commit(confirmed="", confirm_timeout="5"))
    await roll_back_due(site.datastores, START, 4.9)
    assert await held(peer, "running") == "two"
    await roll_back_due(site.datastores, START, 5.0)
    assert (await held(peer, "running"), await held(peer, "candidate")) == ("one", "one")


async def test_follow_up(site: Bench) -> None:
    """A further confirmed commit starts the time anew; the roll-back goes to before the first."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")), commit(confirmed="", confirm_timeout="5"))
    site.mono = 4.0
    await ok(peer, edit(motto("two")), commit(confirmed="", confirm_timeout="7"))
    await roll_back_due(site.datastores, START, 10.9)
    assert await held(peer, "running") == "two"
    await roll_back_due(site.datastores, START, 11.0)
    assert await held(peer, "running") == ""


async def test_cancel(site: Bench) -> None:
    """cancel-commit rolls back at once; without a confirmed commit there is nothing to cancel."""
    peer = await site.peer()
    assert await refused(peer, cancel()) == ErrorTag.OPERATION_FAILED
    await ok(peer, edit(motto("one")), CONFIRMED, cancel())
    assert (await held(peer, "running"), site.datastores.next_timer()) == ("", None)


async def test_uncommitted_changes_survive_a_roll_back(site: Bench) -> None:
    """What was changed in the candidate after the confirmed commit is still there after its roll-back."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED, edit(f"<shelf {TOY}><limit>3</limit></shelf>"), cancel())
    assert await held(peer, "running") == ""
    assert await held(peer, "candidate") == "<shelf><limit>3</limit></shelf><motto>one"
    await ok(peer, commit())
    assert await held(peer, "running") == "<shelf><limit>3</limit></shelf><motto>one"


@pytest.mark.parametrize("end", ["close", "kill"])
async def test_the_end_of_the_session(site: Bench, end: str) -> None:
    """A session that ends without confirming has its commit rolled back before anybody's next request counts."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED)
    if end == "kill":
        await ok(other, f"<kill-session {NAMESPACES}><session-id>{peer.session_id}</session-id></kill-session>")
        assert await held(other, "running") == ""
        return
    await ok(peer, f"<close-session {NAMESPACES}/>")
    await peer.closed()
    while site.datastores.next_timer() != 0.0:
        await other.rpc(f"<get-config {NAMESPACES}><source><running/></source></get-config>")
    await ok(other, edit(motto("two"), "running"))
    assert await held(other, "running") == "two"
    assert site.datastores.generation == 3


async def test_others_meanwhile(site: Bench) -> None:
    """While one waits, other sessions can neither commit, confirm, cancel nor edit or lock running."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED)
    for operation in (commit(), CONFIRMED, cancel(), edit(motto("x"), "running"), copy("candidate", "running")):
        found = error(await other.rpc(operation))
        assert found.tag == ErrorTag.IN_USE
        assert f"session {peer.session_id}" in found.message
    found = error(await other.rpc(on("lock", "running")))
    assert (found.tag, named(found)["session-id"]) == (ErrorTag.LOCK_DENIED, str(peer.session_id))
    await ok(other, edit(motto("two")))  # the candidate is open to all
    assert await held(other, "running") == "one"
    await ok(peer, on("lock", "running"), cancel())


async def test_own_edits_of_running_are_rolled_back_too(site: Bench) -> None:
    """What the session edits in running meanwhile is part of what is confirmed or rolled back."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")), CONFIRMED, edit(motto("two"), "running"), cancel())
    assert await held(peer, "running") == ""


async def test_persist(site: Bench) -> None:
    """With persist the commit outlives its session; whoever has the token follows up and confirms."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, edit(motto("one")), commit(confirmed="", persist="token"))
    assert await refused(peer, commit()) == ErrorTag.IN_USE
    await ended(site, peer)
    assert await held(other, "running") == "one"
    for wrong in (commit(persist_id="other"), commit(persist_id=""), cancel(persist_id="tok")):
        found = error(await other.rpc(wrong))
        assert (found.tag, named(found)) == (ErrorTag.INVALID_VALUE, {"bad-element": "persist-id"})
    assert await refused(other, edit(motto("x"), "running")) == ErrorTag.IN_USE
    await ok(other, commit(confirmed="", persist_id="token", confirm_timeout="7"))
    assert site.datastores.next_timer() == 7.0
    await ended(site, other)
    third = await site.peer()
    await ok(third, commit(persist_id="token"))
    await roll_back_due(site.datastores, START, 1e9)
    assert await held(third, "running") == "one"


async def test_the_recovery_session_cancels_what_it_cannot_name(site: Bench) -> None:
    """A commit that persists for ever under a lost word is cancelled by the administrator, and by no one else."""
    await ok(await site.peer(), edit(motto("one")), commit(confirmed="", persist="lost", confirm_timeout="4294967295"))
    other = await site.peer("somebody")
    assert await refused(other, cancel()) in {ErrorTag.IN_USE, ErrorTag.ACCESS_DENIED, ErrorTag.INVALID_VALUE}
    admin = await site.peer()
    await ok(admin, cancel(), edit(motto("two"), "running"))
    assert await held(admin, "running") == "two"


async def test_cancel_persist(site: Bench) -> None:
    """A persistent one is cancelled with its token by any session, unless another one holds the lock."""
    peer, other = await site.peer(), await site.peer()
    await ok(peer, on("lock", "running"), edit(motto("one")), commit(confirmed="", persist="token"))
    assert await refused(other, cancel(persist_id="token")) == ErrorTag.IN_USE
    await ok(peer, on("unlock", "running"))
    assert await refused(await site.peer("somebody"), cancel()) == ErrorTag.IN_USE
    await ok(other, cancel(persist_id="token"))
    assert await held(other, "running") == ""


async def test_parameters_that_do_not_fit(site: Bench) -> None:
    """A token for nothing, a timeout of nothing, or parameters of a confirmed commit without it are refused."""
    peer = await site.peer()
    await ok(peer, edit(motto("one")))
    assert await refused(peer, commit(persist_id="token")) == ErrorTag.INVALID_VALUE
    assert await refused(peer, commit(confirmed="", persist_id="token")) == ErrorTag.INVALID_VALUE
    assert await refused(peer, cancel(persist_id="token")) == ErrorTag.INVALID_VALUE
    assert await refused(peer, commit(confirmed="", confirm_timeout="0")) == ErrorTag.INVALID_VALUE
    assert await refused(peer, commit(persist="token")) == ErrorTag.MISSING_ELEMENT
    assert await refused(peer, commit(confirm_timeout="5")) == ErrorTag.MISSING_ELEMENT
    assert await held(peer, "running") == ""


async def test_a_confirmed_commit_without_a_change(site: Bench) -> None:
    """It waits like any other, and what follows up is rolled back with it."""
    peer = await site.peer()
    await ok(peer, CONFIRMED, edit(motto("one")), CONFIRMED, cancel())
    assert await held(peer, "running") == ""
    await ok(peer, CONFIRMED, commit())
    assert site.datastores.next_timer() is None


async def test_a_restart_rolls_back(tmp_path: Path, toy: Schema) -> None:
    """What was not confirmed is not there after a restart, persistent or not; what was confirmed is."""
    for parameters, confirm, expected in (
        ({}, False, "zero"),
        ({"persist": "t"}, False, "zero"),
        ({}, True, "one"),
    ):
        directory = tmp_path / f"{len(parameters)}{confirm}"
        async with bench(directory, toy) as first:
            peer = await first.peer()
            await ok(peer, edit(motto("zero")), commit(), edit(motto("one")), commit(confirmed="", **parameters))
            if confirm:
                await ok(peer, commit())
            first.storage.close()
            async with bench(directory, toy) as second:
                assert await held(await second.peer(), "running") == expected
                assert second.datastores.confirmed is None


# --- startup


@pytest.fixture
async def volatile(tmp_path: Path, starting: Schema) -> AsyncIterator[Bench]:
    """A server whose running is lost with it."""
    async with bench(tmp_path / "state", starting, startup=True) as made:
        yield made


async def test_running_is_volatile(tmp_path: Path, starting: Schema) -> None:
    """With :startup, what is not copied there is not there after a restart."""
    async with bench(tmp_path, starting, startup=True) as first:
        peer = await first.peer()
        assert peer.hello is not None
        assert "urn:ietf:params:netconf:capability:startup:1.0" in peer.hello.capabilities
        await ok(peer, edit(motto("one")), commit(), copy("running", "startup"), edit(motto("two"), "running"))
        first.storage.close()
        async with bench(tmp_path, starting, startup=True) as second:
            assert await held(await second.peer(), "running") == "one"


async def test_startup_is_a_datastore_like_others(volatile: Bench) -> None:
    """It is read, copied from and to, validated, locked and shown; it is always valid."""
    peer, other = await volatile.peer(), await volatile.peer()
    await ok(peer, edit(motto("one")), copy("candidate", "startup"), DISCARD)
    assert (await held(peer, "startup"), await held(peer, "running")) == ("one", "")
    await ok(peer, copy("startup", "candidate"), validate("startup"), commit())
    assert await held(peer, "running") == "one"
    await ok(peer, copy(f"<config>{motto('two')}</config>", "startup"), copy("startup", "running"))
    assert await held(peer, "running") == "two"
    assert error(await peer.rpc(copy(f"<config>{OVER_LIMIT}</config>", "startup"))).app_tag == "over-limit"
    await ok(peer, on("lock", "startup"))
    for operation in (copy("running", "startup"), on("delete-config", "startup"), on("lock", "startup")):
        assert await refused(other, operation) in {ErrorTag.IN_USE, ErrorTag.LOCK_DENIED}
    assert volatile.datastores.offered == (Datastore.RUNNING, Datastore.CANDIDATE, Datastore.STARTUP)


async def test_delete_startup(tmp_path: Path, starting: Schema) -> None:
    """delete-config empties startup and nothing else; running and the candidate cannot be deleted."""
    async with bench(tmp_path, starting, startup=True) as first:
        peer = await first.peer()
        await ok(peer, edit(motto("one"), "running"), copy("running", "startup"), on("delete-config", "startup"))
        assert (await held(peer, "running"), await held(peer, "startup")) == ("one", "")
        for datastore in ("running", "candidate"):
            assert await refused(peer, on("delete-config", datastore)) == ErrorTag.UNKNOWN_ELEMENT
        first.storage.close()
        async with bench(tmp_path, starting, startup=True) as second:
            assert await held(await second.peer(), "running") == ""


async def test_the_unconfirmed_is_not_saved(volatile: Bench) -> None:
    """While a confirmed commit waits, running cannot become startup, or a restart would come up with it."""
    peer = await volatile.peer()
    await ok(peer, edit(motto("one")), CONFIRMED)
    assert await refused(peer, copy("running", "startup")) == ErrorTag.IN_USE
    await ok(peer, commit(), copy("running", "startup"))
    assert await held(peer, "startup") == "one"
