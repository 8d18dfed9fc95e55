"""Parts of trees: what a change reached is enough to bring a selection of a tree up to date."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.datastore.pick import Pick
from eman_netconf.datastore.select import EVERYTHING, Selection, prune
from eman_netconf.notifications.parts import graft, merge, part, reached
from eman_netconf.yang.diff import Touched, diff
from eman_netconf.yang.schema import Kind
from eman_netconf.yang.tree import Inner
from tests.notifications.subscriber import meaning
from tests.yang.test_diff import SITE, pairs
from tests.yang.trees import Grower, edited


def tidy(inner: Inner) -> Inner:
    """What a tree says."""
    return meaning(inner, empty=False)


BOX = SITE.child("box")
SELECTIONS = (
    EVERYTHING,
    Selection(Pick(children={SITE: [Pick(children={SITE.child("name"): [Pick(whole=True)]})]})),
    Selection(Pick(children={SITE: [Pick(children={BOX: [Pick(whole=True)]})]})),
    Selection(Pick(children={SITE: [Pick(children={BOX: [Pick(whole=True, tests=[[(BOX.child("id"), "a")]])]})]})),
    *(
        Selection(Pick(children={SITE: [Pick(children={BOX: [Pick(whole=True, tests=[[(leaf, value)]])]})]}))
        for leaf in BOX.children.values()
        if leaf.kind is Kind.LEAF and not leaf.is_key
        for value in ("a", "true", "1")
    ),
)


@given(pairs(), st.sampled_from(SELECTIONS), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_parts_bring_a_selection_up_to_date(
    pair: tuple[Inner, Inner], selection: Selection, random: st.DataObject
) -> None:
    """What was selected before, with the parts that changes reached selected anew, is what is selected now."""
    old, new = pair
    newest = edited(Grower(random, state=True), new, 3)  # type: ignore[arg-type]  # Hypothesis's own Random
    touched: Touched = {}
    for before, after in ((old, new), (new, newest)):
        change = diff(before, after)
        if change is not None:
            merge(touched, reached(change))
    told = prune(selection, old)
    if touched:
        told = graft(told, prune(selection, part(newest, touched)), touched)

    assert tidy(told) == tidy(prune(selection, newest))
