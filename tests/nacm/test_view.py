"""What a user reads: exactly what the rules permit, whatever they are; nothing built before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.nacm.judge import Nacm
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, Key, Late, ListNode, make_inner
from tests.nacm.reference import Said, instances, readable, rules, trees
from tests.nacm.writing import deny, judge, judge_by, nacm, permit, rule_list, session, tree

ROOM = "/plant:site/plant:room"


def by_rules(plant: Schema, said: list[Said], *, default: bool) -> Nacm:
    container = nacm(plant, rule_list(*(rule.leaves() for rule in said)), read_default="permit" if default else "deny")
    return judge_by(plant, container)


def seen(by: Nacm, root: Inner) -> set[tuple[object, object]]:
    return set(instances(by.readable(session(), root)))


@given(data=st.data(), default=st.booleans())
def test_what_is_read_is_what_the_rules_permit(plant: Schema, data: st.DataObject, default: bool) -> None:
    """Any rules on any data: the instances shown are those a judge without memory would show, one by one."""
    root = data.draw(trees(plant, state=True))
    said = data.draw(rules(root))
    assert seen(by_rules(plant, said, default=default), root) == readable(said, root, default=default)


@given(data=st.data(), default=st.booleans())
def test_reading_what_was_read_takes_nothing_more_away(plant: Schema, data: st.DataObject, default: bool) -> None:
    """The view of a view is the same."""
    root = data.draw(trees(plant))
    by = by_rules(plant, data.draw(rules(root)), default=default)
    once = by.readable(session(), root)
    assert by.readable(session(), once) == once


@given(data=st.data(), default=st.booleans())
def test_who_is_permitted_less_sees_less(plant: Schema, data: st.DataObject, default: bool) -> None:
    """A permitting rule that denies instead never shows anything new."""
    root = data.draw(trees(plant))
    said = data.draw(rules(root))
    stricter = [replace(rule, permit=rule.permit and data.draw(st.booleans())) for rule in said]
    before, after = (seen(by_rules(plant, each, default=default), root) for each in (said, stricter))
    assert after <= before


@given(data=st.data())
def test_lookups_agree_with_iteration(plant: Schema, data: st.DataObject) -> None:
    """A list that is seen in part is one list: length, membership, keys and entries fit together."""
    root = data.draw(trees(plant))
    view = by_rules(plant, data.draw(rules(root)), default=True).readable(session(), root)
    rooms = root.at("site", "room")
    shown = view.at("site", "room")
    if not isinstance(shown, ListNode) or not isinstance(rooms, ListNode):
        return
    keys = list(shown.entries)
    assert len(shown.entries) == len(keys)
    for key in rooms.entries:
        assert (key in shown.entries) is (key in keys)
        assert (shown.entries.get(key) is not None) is (key in keys)


# --- by example


LAMPS = {"lamps": {"lamp": [{"id": "x", "watts": 40}]}}
SITE = {
    "plant:site": {
        "name": "here",
        "room": [{"floor": 1, "number": 1, **LAMPS}, {"floor": 1, "number": 2, **LAMPS}, {"floor": 2, "number": 1}],
        "vault": {"code": "1234"},
        "password": "$6$salt$hash",
    }
}


def keys(view: Inner) -> list[Key]:
    rooms = view.at("site", "room")
    return list(rooms.entries) if isinstance(rooms, ListNode) else []


def test_without_rules_all_is_read_but_secrets(plant: Schema) -> None:
    """What the model marks default-deny-all, and hashes of passwords, need a rule."""
    view = judge(plant).readable(session(), tree(plant, SITE))
    assert view.at("site", "name") == "here"
    assert view.at("site", "vault") is None
    assert view.at("site", "password") is None
    open_ = judge(plant, permit("read", path="/plant:site/plant:vault/plant:code"), permit("read", module_name="plant"))
    assert open_.readable(session(), tree(plant, SITE)).at("site", "password") == "$6$salt$hash"


def test_what_stands_in_a_denied_node_is_not_read(plant: Schema) -> None:
    """A rule that permits a descendant alone shows nothing: descendants go with what they are in."""
    by = judge(plant, permit("read", path=f"{ROOM}/plant:use"), read_default="deny")
    assert by.readable(session(), tree(plant, SITE)) == tree(plant, {})
    code = judge(plant, permit("read", path="/plant:site/plant:vault/plant:code"))
    assert code.readable(session(), tree(plant, SITE)).at("site", "vault") is None


def test_one_instance_is_shown_or_hidden_by_its_keys(plant: Schema) -> None:
    """All keys, some keys or none in a path name one entry, several or all."""
    root = tree(plant, SITE)
    one = judge(plant, deny("read", path=f"{ROOM}[plant:floor='1'][plant:number='2']"))
    assert keys(one.readable(session(), root)) == [("1", "1"), ("2", "1")]
    floor = judge(plant, permit("read", path=f"{ROOM}[plant:floor='2']"), deny("read", path=ROOM))
    assert keys(floor.readable(session(), root)) == [("2", "1")]


def test_an_entry_without_its_key_is_no_entry(plant: Schema) -> None:
    """Where a key may not be read, the entry is left out."""
    by = judge(plant, deny("read", path=f"{ROOM}[plant:floor='1']/plant:number"))
    assert keys(by.readable(session(), tree(plant, SITE))) == [("2", "1")]


def test_a_user_sees_his_own(plant: Schema) -> None:
    """$USER in a path is whoever asks."""
    user = "/plant:home/plant:user"
    container = nacm(
        plant,
        rule_list(permit("read", path=f"{user}[plant:name=$USER]"), deny("read", path=user)),
        users={"staff": ["ann", "bob"]},
    )
    by = judge_by(plant, container)
    root = tree(plant, {"plant:home": {"user": [{"name": "ann"}, {"name": "bob"}]}})
    for name in ("ann", "bob", "ann"):
        shown = by.readable(session(name), root).at("home", "user")
        assert isinstance(shown, ListNode)
        assert list(shown.entries) == [(name,)]


def test_what_is_permitted_as_a_whole_is_the_same_object(plant: Schema) -> None:
    """Entries that no rule narrows keep their identity, and with it the bytes they remember."""
    root = tree(plant, SITE)
    view = judge(plant, deny("read", path=f"{ROOM}[plant:floor='2'][plant:number='1']")).readable(session(), root)
    before, after = root.at("site", "room"), view.at("site", "room")
    assert isinstance(before, ListNode)
    assert isinstance(after, ListNode)
    assert after.entries["1", "1"] is before.entries["1", "1"]
    # a rule about a container that holds an action and no data narrows nothing
    lamp = judge(plant, permit("read exec", path=f"{ROOM}/plant:lamps/plant:lamp[plant:id='x']/plant:control"))
    assert lamp.readable(session(), root).at("site", "room") is before


class Made(Mapping[Key, Inner]):
    """Rooms that count how many of them were asked for."""

    def __init__(self, schema: Schema) -> None:
        self._node = schema.find("/plant:site/room")
        self.made: list[Key] = []

    def __getitem__(self, key: Key) -> Inner:
        self.made.append(key)
        return make_inner(self._node, {"floor": key[0], "number": key[1], "use": "x"})

    def __contains__(self, key: object) -> bool:
        return True

    def __iter__(self) -> Iterator[Key]:
        return ((str(number), "1") for number in range(100))

    def __len__(self) -> int:
        return 100


def test_nothing_is_built_that_is_not_asked_for(plant: Schema) -> None:
    """A list that makes its entries when asked is narrowed without making any, and so is a late container."""
    rooms = Made(plant)
    site = plant.find("/plant:site")
    built: list[str] = []

    def make() -> Mapping[object, object]:
        built.append("site")
        return {plant.find("/plant:site/room"): ListNode(plant.find("/plant:site/room"), rooms)}

    root = Inner(plant.root, {site: Late(site, make)})  # type: ignore[arg-type]  # children as they come
    by = judge(plant, deny("read", path=f"{ROOM}[plant:floor='3']"), deny("read", path=f"{ROOM}/plant:use"))
    view = by.readable(session(), root)
    assert built == []
    shown = view.at("site", "room")
    assert isinstance(shown, ListNode)
    assert len(shown.entries) == 99
    assert ("3", "1") not in shown.entries
    assert rooms.made == []
    assert shown.entries["4", "1"].leaf("use") is None
    assert rooms.made == [("4", "1")]
