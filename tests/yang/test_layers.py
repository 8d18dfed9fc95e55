"""Long mappings that are changed in a few places."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.yang.layers import Layered, writable

CHANGE = st.tuples(st.integers(0, 12), st.booleans())


@given(st.lists(st.lists(CHANGE, max_size=8), max_size=6), st.sets(st.integers(0, 5)))
def test_a_layered_mapping_is_what_a_dict_would_be(turns: list[list[tuple[int, bool]]], read: set[int]) -> None:
    """Entries set, deleted and set again stand where they would in a dict, and earlier copies keep what they had."""
    expected: dict[int, str] = dict.fromkeys(range(8), "old")
    layered = Layered(dict(expected))
    kept = [(layered, dict(expected))]
    for turn, changes in enumerate(turns):
        layered = layered.copy()
        for key, there in changes:
            if there:
                expected[key] = layered[key] = f"turn {turn}"
            elif key in expected:
                del expected[key], layered[key]
            assert (len(layered), key in layered) == (len(expected), key in expected)
        assert {key: layered.get(key) for key in range(13)} == {key: expected.get(key) for key in range(13)}
        if turn in read:
            assert list(layered) == list(expected)
        kept.append((layered, dict(expected)))
    for each, then in kept:
        assert list(each.items()) == list(then.items())
        assert list(each.values()) == list(then.values())
        assert each == then


def test_what_is_not_there_cannot_be_read_or_deleted() -> None:
    """An entry that is deleted is as absent as one that never was."""
    layered = Layered({1: "one"})
    del layered[1]
    for key in (1, 2):
        assert key not in layered
        assert layered.pop(key, None) is None
        assert layered.get(key) is None
    assert not layered
    assert repr(layered) == "{}"


def test_changing_one_entry_copies_little_of_a_long_mapping() -> None:
    """Each of a thousand copies with one more change takes little memory, save one in some hundred that takes all."""
    entries = writable(dict.fromkeys(range(100000), "x"))
    large = 0
    tracemalloc.start()
    try:
        for turn in range(1000):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            entries = writable(entries)
            entries[turn] = "y"
            large += tracemalloc.get_traced_memory()[1] - before > 100_000
    finally:
        tracemalloc.stop()
    assert large <= 1000 // 300
