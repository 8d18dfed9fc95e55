"""What a user changes: every node created, updated or deleted is judged, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.errors import ErrorPath, ErrorTag, RpcError, RpcErrors
from eman_netconf.nacm.judge import MOST_DENIALS, Nacm
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, Step, path_text
from tests.nacm.reference import permitted, rules, touched, trees
from tests.nacm.writing import deny, judge, judge_by, nacm, permit, rule_list, session, tree

SITE = "/plant:site"
ROOM = f"{SITE}/plant:room"
LAMP = f"{ROOM}/plant:lamps/plant:lamp"


def denied(by: Nacm, before: Inner, after: Inner, user: str = "ann") -> list[tuple[str, str]]:
    """Message and path of each denial."""
    change = diff(before, after)
    assert change is not None
    try:
        by.change(session(user), change)
    except RpcErrors as refusal:
        assert {error.tag for error in refusal.errors} == {ErrorTag.ACCESS_DENIED}  # noqa: PT017 - nothing else is raised
        return [(error.message.split("; ")[0], str(error.path)) for error in refusal.errors]
    return []


@given(data=st.data(), default=st.booleans())
def test_a_change_is_denied_when_one_of_its_nodes_is(plant: Schema, data: st.DataObject, default: bool) -> None:
    """Any rules, any change: refused exactly when a judge without memory denies a node, and for such nodes alone."""
    before, after = data.draw(trees(plant)), data.draw(trees(plant))
    change = diff(before, after)
    if change is None:
        return
    said = data.draw(rules(data.draw(st.sampled_from([before, after]))))
    default_text = "permit" if default else "deny"
    by = judge_by(plant, nacm(plant, rule_list(*(rule.leaves() for rule in said)), write_default=default_text))
    wrong = [(access, path) for access, path in touched(change) if not permitted(said, path, access, default=default)]
    found = denied(by, before, after)
    assert bool(found) is bool(wrong)
    assert len(found) <= MOST_DENIALS
    assert by.denied_writes == bool(wrong)


def site(plant: Schema, **leaves: Any) -> Inner:
    return tree(plant, {"plant:site": {name.replace("_", "-"): value for name, value in leaves.items()}})


def room(number: int = 1, **leaves: Any) -> Mapping[str, Any]:
    return {"floor": 1, "number": number, **leaves}


@pytest.mark.parametrize(
    ("accesses", "verdicts"),
    [
        ("create", "yes no no"),
        ("update", "no yes no"),
        ("delete", "no no yes"),
        ("*", "yes yes yes"),
        ("read", "no no no"),
    ],
)
def test_creating_changing_and_deleting_are_three_things(plant: Schema, accesses: str, verdicts: str) -> None:
    """Each is permitted by its own bit, or by the star."""
    by = judge(plant, permit(accesses, path=f"{SITE}/plant:name"))
    none, one, two = tree(plant, {}), site(plant, name="a"), site(plant, name="b")
    found = [denied(by, *change) for change in ((none, one), (one, two), (one, none))]
    assert ["no" if each else "yes" for each in found] == verdicts.split()


def test_a_denial_names_the_node(plant: Schema) -> None:
    """One error for each node that is denied, with its path; what is below it is not told."""
    before, after = site(plant, name="a"), site(plant, name="b", room=[room(use="x")])
    assert denied(judge(plant), before, after) == [
        ("User ann may not update name", "/p:site/p:name"),
        ("User ann may not create room", "/p:site/p:room[p:floor='1'][p:number='1']"),
    ]


def test_many_denials_are_bounded(plant: Schema) -> None:
    """A whole site that may not be written is refused in a few errors."""
    rooms = site(plant, room=[room(number) for number in range(100)])
    assert len(denied(judge(plant), tree(plant, {}), rooms)) == MOST_DENIALS


def test_what_is_only_on_the_way_needs_no_permission(plant: Schema) -> None:
    """A lamp is changed by whoever may write lamps, though not rooms; containers without presence come and go."""
    by = judge(plant, permit("create update delete", path=LAMP))
    dark, lit = site(plant, room=[room()]), site(plant, room=[room(lamps={"lamp": [{"id": "x", "watts": 1}]})])
    assert not denied(by, dark, lit)
    assert not denied(by, lit, dark)
    assert denied(by, tree(plant, {}), lit)


def test_descendants_come_and_go_with_their_entry(plant: Schema) -> None:
    """Creating or deleting an entry needs permission for everything in it."""
    by = judge(plant, deny("*", path=f"{ROOM}/plant:use"), permit("*", path=SITE))
    none, plain, used = tree(plant, {}), site(plant, room=[room()]), site(plant, room=[room(use="x")])
    assert not denied(by, none, plain)
    assert denied(by, none, used)
    assert denied(by, used, none)
    assert denied(judge(plant, deny("create", path=f"{ROOM}/plant:number"), permit("*", path="/")), none, plain)


def test_the_models_marks_deny_where_no_rule_permits(plant: Schema) -> None:
    """default-deny-write and default-deny-all stand against write-default, and yield to rules."""
    lamps = [site(plant, room=[room(lamps={"lamp": [{"id": "x", **more}]})]) for more in ({}, {"safety": True})]
    assert denied(judge(plant, write_default="permit"), *lamps) == [
        (
            "User ann may not create safety",
            "/p:site/p:room[p:floor='1'][p:number='1']/p:lamps/p:lamp[p:id='x']/p:safety",
        )
    ]
    assert not denied(judge(plant, permit("create", path=f"{LAMP}/plant:safety")), *lamps)
    vault = site(plant, vault={"inside": {"gold": 1}})
    assert denied(judge(plant, write_default="permit"), tree(plant, {}), vault)
    assert not denied(judge(plant, permit("*", path=SITE)), tree(plant, {}), vault)


def test_moving_an_entry_updates_it(plant: Schema) -> None:
    """Another place in a list that the user orders is an update of the entry moved."""
    orders = [site(plant, room=[room(lamps={"lamp": [{"id": name} for name in order]})]) for order in ("ab", "ba")]
    assert denied(judge(plant), *orders)[0][0] == "User ann may not update lamp"
    assert not denied(judge(plant, permit("update", path=LAMP)), *orders)


def test_values_of_a_leaf_list_are_instances(plant: Schema) -> None:
    """A value is created or deleted by itself, and a rule may name it."""
    by = judge(plant, permit("create", path=f"{SITE}/plant:tag[.='b']"))
    assert not denied(by, site(plant, tag=["a"]), site(plant, tag=["a", "b"]))
    assert denied(by, site(plant, tag=["a"]), site(plant, tag=["a", "c"]))
    assert denied(by, site(plant, tag=["a"]), tree(plant, {}))


def test_what_gives_way_to_another_case_needs_no_permission(plant: Schema) -> None:
    """Who may create one case of a choice may thereby remove the others."""
    by = judge(plant, permit("create", path=f"{ROOM}/plant:gas"))
    electric = site(plant, room=[room(phases=3, fuse={"amperes": 16})])
    assert not denied(by, electric, site(plant, room=[room(gas="town")]))
    assert denied(by, electric, site(plant, room=[room()]))


def test_a_denial_tells_nothing_of_what_is_hidden(plant: Schema) -> None:
    """Where the node denied cannot be read, the error names what it is in, once."""
    rules_ = [deny("*", path=f"{ROOM}[plant:floor='1']"), permit("*", path="/")]
    hidden = site(plant, room=[room(1), room(2), {"floor": 2, "number": 1}])
    assert denied(judge(plant, *rules_), hidden, tree(plant, {})) == [
        ("User ann may not change or call something below site that this user cannot read", "/p:site")
    ]


def test_errors_are_veiled_where_nothing_may_be_known(plant: Schema) -> None:
    """An error about a node that may be neither read nor written says what a denial there says, and says it once."""

    def told(by: Nacm, *errors: RpcError, user: str = "ann") -> list[tuple[str, str]]:
        return [(error.message.split("; ")[0], str(error.path)) for error in by.veiled(session(user), errors)]

    site_, room_ = plant.find("/plant:site"), plant.find("/plant:site/room")
    entries = [path_text((Step(site_), Step(room_, (floor, "1")))) for floor in ("1", "2")]
    exists = [RpcError(ErrorTag.DATA_EXISTS, "It exists.", path=path) for path in entries]
    hidden = deny("read", path=f"{ROOM}[plant:floor='1']")
    concealed = ("User ann may not change or call something below site that this user cannot read", "/p:site")
    whole = ("It exists.", str(entries[1]))
    by = judge(plant, hidden)
    assert told(by, exists[0], exists[0], exists[1]) == [concealed, whole]
    assert told(by, *exists, user="root") == [("It exists.", str(entries[0])), whole]
    assert denied(by, tree(plant, {}), site(plant, room=[room()])) == [concealed]
    assert told(judge(plant, hidden, permit("delete", path=ROOM)), exists[0]) == [("It exists.", str(entries[0]))]
    other = RpcError(ErrorTag.BAD_ELEMENT, "No.", path=ErrorPath("/p:sweep/p:hard", {"p": "urn:plant"}))
    assert told(by, other, RpcError(ErrorTag.IN_USE, "Later.")) == [("No.", "/p:sweep/p:hard"), ("Later.", "None")]


def test_rules_about_instances_bind_changes(plant: Schema) -> None:
    """One room may be written, all others not."""
    by = judge(plant, permit("*", path=f"{ROOM}[plant:floor='1'][plant:number='2']"))
    before = site(plant, room=[room(1), room(2)])
    assert not denied(by, before, site(plant, room=[room(1), room(2, use="x")]))
    assert denied(by, before, site(plant, room=[room(1, use="x"), room(2)]))


# --- actions


def test_an_action_needs_its_path_read_and_itself_executed(plant: Schema) -> None:
    """Read on every instance it stands in, exec on the action, judged for the instance (section 3.1.3)."""
    lamp = plant.find("/plant:site/room/lamps/lamp")
    (blink,) = lamp.actions.values()
    control = lamp.child("control")
    (toggle,) = control.actions.values()
    site_, room_, lamps = (plant.find(path) for path in ("/plant:site", "/plant:site/room", "/plant:site/room/lamps"))

    def calls(by: Nacm, name: str, *, toggles: bool) -> bool:
        path = (Step(site_), Step(room_, ("1", "1")), Step(lamps), Step(lamp, (name,)))
        action, where = (toggle, (*path, Step(control))) if toggles else (blink, path)
        before = by.denied_operations
        try:
            by.action(session(), action, where)
        except RpcError:
            return by.denied_operations == before
        return True

    assert calls(judge(plant), "x", toggles=False)
    assert not calls(judge(plant, exec_default="deny"), "x", toggles=False)
    assert not calls(judge(plant, deny("read", path=f"{LAMP}[plant:id='x']")), "x", toggles=False)
    assert not calls(judge(plant, deny("exec", path=f"{LAMP}/plant:blink")), "x", toggles=False)
    # the model marks the container: one rule for reading and calling opens one lamp
    assert not calls(judge(plant), "x", toggles=True)
    assert not calls(judge(plant, permit("exec", path=f"{LAMP}/plant:control")), "x", toggles=True)
    assert not calls(judge(plant, permit("read", path=f"{LAMP}/plant:control")), "x", toggles=True)
    one = judge(plant, permit("read exec", path=f"{LAMP}[plant:id='x']/plant:control"), exec_default="deny")
    assert calls(one, "x", toggles=True)
    assert not calls(one, "y", toggles=True)
