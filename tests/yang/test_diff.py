"""The difference of two trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.yang.diff import Change, Op, apply, diff, invert, paths
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, Step, path_text
from tests.yang.trees import Grower, edited, probe_schema

SCHEMA = probe_schema()
SITE = SCHEMA.find("/probe:site")
BOX = SITE.child("box")
LINK = SITE.child("link")


def rebuilt(inner: Inner) -> Inner:
    """An equal tree that shares no node with the first."""

    def copy(data: object) -> object:
        if isinstance(data, Inner):
            return rebuilt(data)
        if isinstance(data, ListNode):
            return ListNode(data.schema, {key: rebuilt(entry) for key, entry in data.entries.items()})
        return data

    return Inner(inner.schema, {schema: copy(data) for schema, data in inner.children.items()})


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Inner, Inner]:
    """A tree and another one, either edited from it or grown apart."""
    grower = Grower(draw(st.randoms(use_true_random=False)), state=True)
    old = grower.inner(SCHEMA.root)
    new = edited(grower, old, draw(st.integers(0, 5))) if draw(st.booleans()) else grower.inner(SCHEMA.root)
    return old, new


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_apply_of_diff_makes_the_new_tree(pair: tuple[Inner, Inner]) -> None:
    """apply(a, diff(a, b)) == b, also on an equal tree that shares nothing with a, and None means equal."""
    old, new = pair
    change = diff(old, new)
    if change is None:
        assert old == new
    else:
        assert old != new
        assert apply(old, change) == new
        assert apply(rebuilt(old), change) == new


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_invert_undoes(pair: tuple[Inner, Inner]) -> None:
    """The inverted change leads back, and inverting twice is the change itself."""
    old, new = pair
    change = diff(old, new)
    if change is not None:
        assert apply(rebuilt(new), invert(change)) == old
        assert invert(invert(change)) == change


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_paths_tell_every_act_once(pair: tuple[Inner, Inner]) -> None:
    """Each path is told once, with data that differs unless the entry only moved."""
    change = diff(*pair)
    told = list(paths(change)) if change else []
    texts = [path_text(path).text for path, _, _, _ in told]
    assert len(texts) == len(set(texts))
    for _, op, old, new in told:
        assert (old is None) == (op is Op.CREATE)
        assert (new is None) == (op is Op.DELETE)
        assert op is Op.MOVE or old != new


class Counting(Mapping):
    """A mapping that counts the values asked of it."""

    def __init__(self, entries: dict) -> None:
        self.entries = entries
        self.asked = 0

    def __getitem__(self, key: object) -> object:
        self.asked += 1
        return self.entries[key]

    def __iter__(self) -> Iterator:
        for key in self.entries:
            self.asked += 1
            yield key

    def __len__(self) -> int:
        return len(self.entries)


def boxes(count: int) -> dict:
    return {(f"box{i}",): Inner(BOX, {BOX.child("id"): f"box{i}"}) for i in range(count)}


def site(entries: Mapping) -> Inner:
    return Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries)})})


def test_touched_spares_the_rest_of_a_long_list() -> None:
    """With the touched paths of an edit a list of 10,000 entries is not scanned."""
    old = Counting(boxes(10_000))
    entries = boxes(0) | old.entries
    entries["box7",] = entries["box7",].replace(BOX.child("serial"), "x")
    del entries["box9",]
    entries["new",] = Inner(BOX, {BOX.child("id"): "new"})
    new = Counting(entries)
    touched = {
        Step(SITE): {
            Step(BOX, ("box7",)): {Step(BOX.child("serial")): {}},
            Step(BOX, ("box9",)): {},
            Step(BOX, ("new",)): {},
        }
    }
    change = diff(site(old), site(new), touched)
    assert old.asked + new.asked < 30
    assert {(act[0][1].key, act[1]) for act in paths(change)} == {
        (("box7",), Op.CREATE),
        (("box9",), Op.DELETE),
        (("new",), Op.CREATE),
    }
    assert change == diff(site(old), site(new))


def test_touched_list_without_key_means_all_entries() -> None:
    """A step of the list itself compares every entry."""
    change = diff(site(boxes(3)), site(boxes(2)), {Step(SITE): {Step(BOX): {}}})
    assert [act[1] for act in paths(change)] == [Op.DELETE]


def test_identical_subtrees_are_not_entered() -> None:
    """A subtree that both trees share is told apart by identity alone."""
    shared = Counting(boxes(100))
    box_list = ListNode(BOX, shared)
    old = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: box_list})})
    new = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: box_list, SITE.child("name"): "n"})})
    assert [act[1] for act in paths(diff(old, new))] == [Op.CREATE]
    assert shared.asked == 0


def links(*names: str) -> Inner:
    entries = {(n, n): Inner(LINK, {LINK.child("from"): n, LINK.child("to"): n}) for n in names}
    return Inner(SCHEMA.root, {SITE: Inner(SITE, {LINK: ListNode(LINK, entries)})})


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [("abcd", "bcda", {"a"}), ("abcd", "dabc", {"d"}), ("abcd", "abdc", {"c"}), ("ab", "ab", set())],
)
def test_the_fewest_entries_move(before: str, after: str, moved: set[str]) -> None:
    """In a list ordered by the user only the entries that left their neighbours are moves."""
    change = diff(links(*before), links(*after))
    told = set() if change is None else {act[0][1].key[0] for act in paths(change)}
    assert len(told) == len(moved)
    if change is not None:
        assert {act[1] for act in paths(change)} == {Op.MOVE}


def test_move_with_new_content() -> None:
    """An entry that moved and changed is one MOVE with children."""
    old, new = links("a", "b", "c"), links("c", "a", "b")
    entries = new.at("site", "link").entries
    entries["c", "c"] = entries["c", "c"].replace(LINK.child("length"), "1.5")
    change = diff(old, new)
    [move] = change.children[0].children
    assert (move.op, move.key, [child.op for child in move.children]) == (Op.MOVE, ("c", "c"), [Op.CREATE])
    assert list(apply(rebuilt(old), change).at("site", "link").entries) == [("c", "c"), ("a", "a"), ("b", "b")]


def test_apply_keeps_what_the_change_does_not_reach() -> None:
    """A change made on one tree can be applied to another: other entries stay, absent ones stay away."""
    change = diff(links("a", "b"), links("b", "c"))
    other = links("x", "b")
    assert [key[0] for key in apply(other, change).at("site", "link").entries] == ["x", "b", "c"]


def test_a_leaf_list_is_one_change() -> None:
    """A leaf-list appears as a whole, with all values before and after."""
    watch = SITE.child("watch")
    old = Inner(SCHEMA.root, {SITE: Inner(SITE, {watch: ("a", "b")})})
    new = Inner(SCHEMA.root, {SITE: Inner(SITE, {watch: ("b", "a")})})
    change = diff(old, new)
    assert change.children[0].children == (Change(watch, None, Op.MODIFY, ("a", "b"), ("b", "a")),)


def test_equal_trees_have_no_difference(schema: Schema) -> None:
    """Two empty trees of the server's own schema do not differ."""
    assert diff(Inner(schema.root), Inner(schema.root)) is None
