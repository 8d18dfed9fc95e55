"""Locks of parts of running: what they hold, whom they refuse, and what changes they stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.datastore import partial_locks
from eman_netconf.datastore.partial_locks import PartialLocks
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Path, Step, walk
from tests.datastore.toy import edited, tree

DATA = (
    "<box><name>big</name><tag>a</tag><tag>b</tag><inside><depth>1</depth></inside></box>"
    "<shelf><item><id>a</id><value>1</value></item><item><id>b</id><value>1</value>"
    "<part><row>1</row><column>1</column></part></item></shelf><motto>m</motto>"
)


def at(schema: Schema, *names: str | tuple[str, ...]) -> Path:
    """A path by names; a tuple is the key of the list before it."""
    path: list[Step] = []
    node = schema.root
    for name in names:
        if isinstance(name, tuple):
            path[-1] = Step(node, name)
        else:
            node = node.child(name)
            path.append(Step(node))
    return tuple(path)


def test_what_is_held_nobody_else_gets(toy: Schema) -> None:
    """The node itself, what is above it and what is below it are refused to others, not what stands beside it."""
    locks = PartialLocks()
    item = at(toy, "shelf", "item", ("a",))
    mine = locks.take(1, 5.0, ["x"], [item])
    for path in (item, at(toy, "shelf"), (), (*item, Step(item[-1].schema.child("value")))):
        with pytest.raises(RpcError) as caught:
            locks.take(2, 5.0, ["x"], [path])
        assert caught.value.tag == ErrorTag.LOCK_DENIED
        assert [(info.name, info.value) for info in caught.value.info] == [("session-id", "1")]
    beside = locks.take(2, 6.0, ["y"], [at(toy, "shelf", "item", ("b",)), at(toy, "motto")])
    again = locks.take(1, 7.0, ["z"], [at(toy, "box"), item])
    assert [lock.id for lock in locks.held()] == [mine.id, beside.id, again.id] == [1, 2, 3]
    assert locks.by_others(1) == beside


def test_a_lock_is_taken_whole_or_not_at_all(toy: Schema) -> None:
    """When one node of several is held by another nothing is locked."""
    locks = PartialLocks()
    locks.take(1, 0.0, ["x"], [at(toy, "motto")])
    with pytest.raises(RpcError):
        locks.take(2, 0.0, ["x"], [at(toy, "box"), at(toy, "motto")])
    locks.take(3, 0.0, ["x"], [at(toy, "box")])


def test_only_its_session_gives_a_lock_back(toy: Schema) -> None:
    """A lock ends by its own session's wish or with the session, once."""
    locks = PartialLocks()
    mine = locks.take(1, 0.0, ["x"], [at(toy, "motto"), at(toy, "box", "name")])
    for number, session in ((mine.id, 2), (mine.id + 1, 1)):
        with pytest.raises(RpcError) as caught:
            locks.give_back(number, session)
        assert caught.value.tag == ErrorTag.INVALID_VALUE
    locks.give_back(mine.id, 1)
    assert locks.held() == ()
    locks.take(2, 0.0, ["x"], [at(toy, "box"), at(toy, "motto")])
    locks.release(1)
    assert len(locks.held()) == 1
    locks.release(2)
    locks.take(3, 0.0, ["x"], [()])


def test_all_locks_together_are_bounded(toy: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many nodes there is no lock, until some are given back."""
    monkeypatch.setattr(partial_locks, "MAX_NODES", 2)
    locks = PartialLocks()
    first = locks.take(1, 0.0, ["x"], [at(toy, "motto"), at(toy, "box")])
    with pytest.raises(RpcError) as caught:
        locks.take(1, 0.0, ["x"], [at(toy, "shelf")])
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED
    locks.give_back(first.id, 1)
    locks.take(1, 0.0, ["x"], [at(toy, "shelf")])


def test_locks_are_bounded_whatever_they_hold(toy: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many locks there is none, also of nodes that are locked already."""
    monkeypatch.setattr(partial_locks, "MAX_LOCKS", 2)
    locks = PartialLocks()
    first = locks.take(1, 0.0, ["x"], [at(toy, "box")])
    locks.take(1, 0.0, ["x"], [at(toy, "box")])
    with pytest.raises(RpcError) as caught:
        locks.take(1, 0.0, ["x"], [at(toy, "box")])
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED
    locks.give_back(first.id, 1)
    locks.take(1, 0.0, ["x"], [at(toy, "box")])


HELD = {
    "box": ("box",),
    "name": ("box", "name"),
    "tag": ("box", "tag", ("a",)),
    "a": ("shelf", "item", ("a",)),
    "b's value": ("shelf", "item", ("b",), "value"),
}

# held, edit, whether it is stopped
CHANGES = [
    ("box", "<box><size>1</size></box>", True),
    ("box", "<motto>n</motto>", False),
    ("name", "<box><name>small</name></box>", True),
    ("name", "<box><size>1</size></box>", False),
    ("name", "<box nc:operation='delete'/>", True),
    ("tag", "<box><tag>c</tag></box>", True),
    ("tag", "<box><size>1</size></box>", False),
    ("a", "<shelf><item><id>a</id><note>n</note></item></shelf>", True),
    ("a", "<shelf><item nc:operation='delete'><id>a</id></item></shelf>", True),
    ("a", "<shelf><item><id>c</id></item></shelf>", False),
    ("a", "<shelf><item nc:operation='delete'><id>b</id></item></shelf>", False),
    ("a", "<shelf nc:operation='delete'/>", True),
    ("b's value", "<shelf><item><id>b</id><note>n</note></item></shelf>", False),
    ("b's value", "<shelf><item><id>b</id><value>2</value></item></shelf>", True),
    ("b's value", "<shelf><item nc:operation='replace'><id>b</id><value>1</value></item></shelf>", False),
]


@pytest.mark.parametrize(("held", "edit", "stopped"), CHANGES)
def test_changes(toy: Schema, held: str, edit: str, stopped: bool) -> None:
    """A change of what another session holds, of anything below it, or the deletion of what is above it is refused."""
    change = diff(tree(toy, DATA), edited(toy, DATA, edit).root)
    assert change is not None
    locks = PartialLocks()
    locks.take(1, 0.0, ["x"], [at(toy, *HELD[held])])
    locks.check(change, 1)
    if stopped:
        with pytest.raises(RpcError) as caught:
            locks.check(change, 2)
        assert caught.value.tag == ErrorTag.IN_USE
        assert caught.value.path is not None
    else:
        locks.check(change, 2)


@given(st.data())
def test_locks_never_overlap(toy: Schema, data: st.DataObject) -> None:
    """Whatever is taken and given back: what one session holds is never above, at or below what another one holds."""
    paths = [path for path, _ in walk(tree(toy, DATA))]
    paths = [path for path in paths if "tag" not in path[-1].schema.name]
    locks = PartialLocks()
    held: dict[int, tuple[int, list[Path]]] = {}
    for _ in range(data.draw(st.integers(1, 12))):
        session = data.draw(st.integers(1, 3))
        if held and data.draw(st.booleans()):
            number = data.draw(st.sampled_from(sorted(held)))
            locks.give_back(number, held.pop(number)[0])
            continue
        wanted = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True))
        foreign = [path for owner, taken in held.values() if owner != session for path in taken]
        free = not any(
            path[: len(other)] == other or other[: len(path)] == path for path in wanted for other in foreign
        )
        try:
            held[locks.take(session, 0.0, ["x"], wanted).id] = session, wanted
            assert free
        except RpcError:
            assert not free
    for number, (session, _) in held.items():
        locks.give_back(number, session)
    locks.take(9, 0.0, ["x"], [()])
