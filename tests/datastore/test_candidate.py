"""The candidate below the operations: its cost, and what becomes of its changes."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.datastore.candidate import discard, edit_candidate, validate_candidate
from eman_netconf.datastore.commit import Pending, commit, commit_candidate, finish, paced
from eman_netconf.datastore.confirmed import Ask
from eman_netconf.datastore.datastores import Author, Datastore, Datastores
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import RpcErrors
from eman_netconf.yang.diff import Change, diff, touch
from eman_netconf.yang.schema import Schema
from tests.datastore.test_anything import EDITED, attempt, document
from tests.datastore.test_edit_model import acts
from tests.datastore.test_record import replay, settled
from tests.datastore.toy import Disk, config, plain, tree
from tests.work import counting

AUTHOR = Author("u", 1, 0.0)


async def edit(made: Datastores, body: str, **options: bool) -> None:
    await edit_candidate(
        made, lambda root: apply_edit(root, config(body), made.schema), AUTHOR, lambda _change: None, **options
    )


async def take(made: Datastores, *, confirmed: bool = False) -> None:
    await commit_candidate(made, AUTHOR, lambda _change: None, Ask(1, confirmed), 0.0)


def datastores(directory: Path, schema: Schema, body: str = "") -> Datastores:
    storage = Storage(directory, schema)
    storage.recover(lambda _root: [], 0.0)
    return Datastores(schema, tree(schema, body), 0, journal=Disk(storage), writer=asyncio.Lock())


async def test_the_cost_of_one_leaf_is_flat(tmp_path: Path, toy: Schema) -> None:
    """One leaf edited, tested, validated, committed and committed on trial costs the same among 10 and 2,000 items."""

    async def round_trip(made: Datastores, value: int) -> None:
        one = f"<shelf><item><id>5</id><value>{value}</value></item></shelf>"
        await edit(made, one)
        await edit(made, one.replace(str(value), str(value + 1)), checked=True)
        await paced(validate_candidate(made), made.breathe)
        await take(made)
        await edit(made, one)
        await take(made, confirmed=True)
        await take(made)
        await edit(made, one.replace(str(value), "7"))
        await discard(made, 1)

    counts = []
    for number in (10, 2_000):
        items = "".join(f"<item><id>{id_}</id></item>" for id_ in range(number))
        made = datastores(tmp_path / str(number), toy, f"<shelf>{items}</shelf>")
        await round_trip(made, 1)  # what is compiled once
        with counting() as count:
            await round_trip(made, 3)
        counts.append(count())
        assert made.generation == 4
    assert counts[1] - counts[0] < 200  # a call for each item would be 1,990 more


async def test_changes_of_running_do_not_confuse_the_commit(tmp_path: Path, toy: Schema) -> None:
    """However running moved since the candidate was changed, a commit makes running exactly the candidate."""
    made = datastores(tmp_path, toy, "<shelf><item><id>a</id></item><item><id>b</id></item></shelf><motto>m</motto>")
    await edit(made, "<shelf><item><id>c</id></item></shelf>")
    for body in (
        "<shelf><item nc:operation='remove'><id>a</id></item></shelf>",
        "<shelf><item><id>b</id><value>5</value></item><item><id>d</id></item></shelf>",
        "<motto nc:operation='remove'/>",
    ):
        await commit(
            made,
            lambda root, body=body: apply_edit(root, config(body), toy),  # type: ignore[misc]  # bound in the loop
            AUTHOR,
            lambda _change: None,
        )
    wanted = plain(made.tree(Datastore.CANDIDATE))
    await take(made)
    assert plain(made.running) == wanted
    assert "<id>a</id>" in wanted
    assert "<id>d</id>" not in wanted
    assert not made.modified()


async def test_an_undone_change_is_none(tmp_path: Path, toy: Schema) -> None:
    """A candidate whose changes have come to nothing counts as unmodified."""
    made = datastores(tmp_path, toy, "<motto>m</motto>")
    await edit(made, "<motto>n</motto>")
    assert made.modified()
    await edit(made, "<motto>m</motto>")
    assert not made.modified()


async def test_a_refused_edit_leaves_the_candidate(tmp_path: Path, toy: Schema) -> None:
    """Refused by access control or by a fault of its own, an edit leaves the candidate with its earlier changes."""
    made = datastores(tmp_path, toy)
    await edit(made, "<motto>m</motto>")

    def deny(_change: Change) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await edit_candidate(made, lambda root: apply_edit(root, config("<motto>n</motto>"), toy), AUTHOR, deny)
    with pytest.raises(RpcErrors):
        await edit(made, "<motto><x/></motto>")
    assert plain(made.tree(Datastore.CANDIDATE)) == "<motto>m</motto>"


def test_touched_steps_find_every_difference(toy: Schema) -> None:
    """The steps of two changes one after the other, put together, lead to all that differs in the end."""
    first = tree(toy, "<shelf><item><id>a</id></item><item><id>b</id></item></shelf><motto>m</motto>")
    second = apply_edit(first, config("<shelf><item><id>a</id><value>5</value></item></shelf>"), toy).root
    third = apply_edit(
        second,
        config("<shelf><item><id>a</id><value>6</value></item><item nc:operation='remove'><id>b</id></item></shelf>"),
        toy,
    ).root
    for middle in (second, tree(toy, "")):
        touched: dict[Any, Any] = {}
        for before, after in ((first, middle), (middle, third)):
            change = diff(before, after)
            assert change is not None
            touch(touched, change)
        assert diff(first, third, touched) == diff(first, third)


def test_whatever_is_edited_where(tmp_path: Path, toy: Schema) -> None:
    """After any edits of running and the candidate in any order, what is known to be touched holds all that differs,
    and the change made of it alone leads from running to exactly the candidate."""
    found = {"candidate": 0, "running": 0}

    @settings(max_examples=150, deadline=None)
    @given(
        st.randoms(use_true_random=False), st.lists(st.sampled_from(["candidate", "running"]), min_size=2, max_size=6)
    )
    def edit_both(random: Random, targets: list[str]) -> None:
        made = Datastores(toy, settled(toy, tree(toy, EDITED)), 0, journal=Nowhere(), writer=asyncio.Lock())
        for target in targets:
            body = document(random, toy)
            result = attempt(toy, made.tree(Datastore(target)), body, keep_going=True)
            if isinstance(result, RpcErrors):
                continue
            if target == "candidate":
                with contextlib.suppress(RpcErrors):
                    asyncio.run(
                        edit_candidate(made, lambda _root, result=result: result, AUTHOR, lambda _change: None)  # type: ignore[misc]  # bound in the loop
                    )
            elif (change := diff(made.running, result.root, result.touched)) is not None:
                finish(made, Pending(change, result.root, made.generation + 1, AUTHOR, b""))
            found[target] += 1
        draft = made.draft
        if draft is None:
            return
        change = diff(made.running, draft.root, draft.touched)
        assert acts(change) == acts(diff(made.running, draft.root))
        if change is not None:
            assert replay(toy, made.running, change).xml() == draft.root.xml()

    edit_both()
    assert min(found.values()) > 20


class Nowhere(Disk):
    """A journal for those who write nothing."""

    def __init__(self) -> None:
        pass
