"""The order of rules, groups, defaults, operations and notifications (RFC 8341 sections 3.4.4 to 3.4.6)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from eman_netconf.errors import ErrorTag, ErrorType, RpcError, RpcErrors
from eman_netconf.nacm.judge import Nacm
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, make_inner
from tests.nacm.writing import (
    ACM,
    deny,
    judge,
    judge_by,
    nacm,
    notification,
    permit,
    rpc,
    rule_list,
    session,
    tree,
)

Rule = Mapping[str, str]


def calls(judge: Nacm, schema: Schema, name: str, user: str = "ann", *groups: str) -> bool:
    try:
        judge.operation(session(user, *groups), rpc(schema, name))
    except RpcError:
        return False
    return True


def test_a_refusal_says_who_may_not_do_what(plant: Schema) -> None:
    """It is an error of the protocol layer, in words, and is counted."""
    by = judge(plant, deny())
    with pytest.raises(RpcError, match="User ann may not call sweep; a rule") as refused:
        by.operation(session(), rpc(plant, "sweep"))
    assert refused.value.tag is ErrorTag.ACCESS_DENIED
    assert refused.value.type is ErrorType.PROTOCOL
    assert by.denied_operations == 1


@pytest.mark.parametrize(
    ("rules", "permitted"),
    [
        ([], True),
        ([deny("exec", rpc_name="sweep")], False),
        ([deny("exec", rpc_name="sweep"), permit()], False),
        ([permit(), deny("exec", rpc_name="sweep")], True),
        ([deny("exec", rpc_name="open-vault")], True),
        ([deny("exec", rpc_name="*")], False),
        ([deny("exec", module_name="plant", rpc_name="*")], False),
        ([deny("exec", module_name="ietf-netconf", rpc_name="sweep")], True),
        ([deny("create read update delete", rpc_name="sweep")], True),
        ([deny("exec")], False),
        ([deny("*", module_name="plant")], False),
        ([deny("*", path="/")], True),
        ([deny("*", notification_name="sweep")], True),
    ],
)
def test_the_first_rule_that_matches_decides_about_an_operation(
    plant: Schema, rules: list[Rule], permitted: bool
) -> None:
    """It matches by module, by rpc-name or having no rule-type, and by the access exec."""
    assert calls(judge(plant, *rules), plant, "sweep") is permitted


@pytest.mark.parametrize("name", ["open-vault", "kill-session", "delete-config"])
def test_some_operations_are_denied_whatever_the_default_is(plant: Schema, name: str) -> None:
    """What the model marks, kill-session and delete-config need a rule (sections 3.2.7 and 3.2.10)."""
    assert not calls(judge(plant, exec_default="permit"), plant, name)
    assert calls(judge(plant, permit("exec", rpc_name=name)), plant, name)


def test_a_session_may_always_be_closed(plant: Schema) -> None:
    """close-session is permitted before any rule is looked at."""
    strict = judge(plant, deny(), exec_default="deny")
    assert calls(strict, plant, "close-session")
    assert not calls(strict, plant, "get")


def test_the_default_decides_where_no_rule_does(plant: Schema) -> None:
    """exec-default is for all operations without a rule, and permits unless it is set."""
    assert calls(judge(plant), plant, "sweep")
    assert not calls(judge(plant, exec_default="deny"), plant, "sweep")
    assert calls(judge(plant, permit("exec", rpc_name="sweep"), exec_default="deny"), plant, "sweep")


def test_rule_lists_are_asked_in_order_for_those_in_their_groups(plant: Schema) -> None:
    """The first list with a matching rule decides; a list for other groups is passed over."""
    container = nacm(
        plant,
        rule_list(deny(), group="guests", name="a"),
        rule_list(permit("exec", rpc_name="sweep"), group=["staff", "cleaners"], name="b"),
        rule_list(deny(), group="*", name="c"),
        users={"staff": ["ann"], "guests": ["bob", "eve"], "cleaners": ["eve"]},
    )
    by = judge_by(plant, container)
    assert calls(by, plant, "sweep", "ann")
    assert not calls(by, plant, "get", "ann")
    assert not calls(by, plant, "sweep", "bob")
    assert not calls(by, plant, "sweep", "eve")


def test_whoever_is_in_no_group_gets_the_defaults(plant: Schema) -> None:
    """The star stands for all groups, and nobody's group is none (section 3.4.4 step 5)."""
    by = judge_by(plant, nacm(plant, rule_list(deny(), group="*")))
    assert not calls(by, plant, "sweep", "ann")
    assert calls(by, plant, "sweep", "bob")


def test_the_transport_tells_groups_unless_it_may_not(plant: Schema) -> None:
    """External groups count as configured ones do, until enable-external-groups is false."""
    lists = rule_list(deny(), group="guests")
    assert not calls(judge_by(plant, nacm(plant, lists)), plant, "sweep", "bob", "guests")
    off = judge_by(plant, nacm(plant, lists, enable_external_groups="false"))
    assert calls(off, plant, "sweep", "bob", "guests")


def test_the_recovery_user_is_bound_by_nothing(plant: Schema) -> None:
    """No rule and no mark of a model stops a recovery session."""
    strict = judge(plant, deny(), exec_default="deny", read_default="deny", data={"plant:site": {"name": "x"}})
    root = tree(plant, {"plant:site": {"vault": {"code": "1"}}})
    assert calls(strict, plant, "open-vault", "root")
    assert strict.readable(session("root"), root) is root
    assert strict.notification(session("root"), notification(plant, "intrusion"), Inner(plant.root))


def test_nothing_is_enforced_when_it_is_disabled(plant: Schema) -> None:
    """With enable-nacm false rules, defaults and the marks of models say nothing (section 3.4.4 step 1)."""
    off = judge(plant, deny(), enable_nacm="false", exec_default="deny", read_default="deny")
    root = tree(plant, {"plant:site": {"vault": {"code": "1"}}})
    assert calls(off, plant, "open-vault")
    assert calls(off, plant, "kill-session")
    assert off.readable(session(), root) is root
    change = diff(Inner(plant.root), root)
    assert change is not None
    off.change(session(), change)


def test_rules_are_followed_as_soon_as_they_are_in_force(plant: Schema) -> None:
    """The judge looks at running at each question, so a commit needs to tell nobody."""
    now = [nacm(plant)]
    by = Nacm(plant, "root", lambda: make_inner(plant.root, {ACM: now[0]}))
    assert calls(by, plant, "sweep")
    now[0] = nacm(plant, rule_list(deny()))
    assert not calls(by, plant, "sweep")
    assert by.denied_operations == 1


# --- notifications


def hears(by: Nacm, schema: Schema, name: str = "alarm", **leaves: object) -> bool:
    node = notification(schema, name)
    return by.notification(
        session(), node, make_inner(node, {key.replace("_", "-"): value for key, value in leaves.items()})
    )


@pytest.mark.parametrize(
    ("rules", "permitted"),
    [
        ([], True),
        ([deny("read", notification_name="alarm")], False),
        ([deny("read", notification_name="*")], False),
        ([deny("read", notification_name="intrusion")], True),
        ([deny("read", module_name="plant-more", notification_name="alarm")], True),
        ([deny("exec", notification_name="alarm")], True),
        ([deny("read", rpc_name="alarm")], True),
        ([deny("read")], False),
        ([permit("read", notification_name="alarm"), deny()], True),
    ],
)
def test_the_first_rule_that_matches_decides_about_a_notification(
    plant: Schema, rules: list[Rule], permitted: bool
) -> None:
    """It matches by module, by notification-name or having no rule-type, and by the access read."""
    assert hears(judge(plant, *rules), plant) is permitted


def test_notifications_have_defaults_too(plant: Schema) -> None:
    """read-default decides where no rule does, except about what the model marks; denials are counted."""
    assert not hears(judge(plant, read_default="deny"), plant)
    by = judge(plant)
    assert not hears(by, plant, "intrusion")
    assert by.denied_notifications == 1
    assert hears(judge(plant, permit("read", notification_name="intrusion")), plant, "intrusion")


def test_the_end_of_a_replay_is_always_told(schema: Schema, plant: Schema) -> None:
    """replayComplete and notificationComplete of RFC 5277 are permitted before any rule is looked at."""
    known = {name: node for (_, name), node in schema.notifications.items()}
    by = judge(schema, deny(), read_default="deny")
    for name in {"replayComplete", "notificationComplete"} & known.keys():
        assert by.notification(session(), known[name], Inner(known[name]))


def test_a_notification_about_what_may_not_be_read_is_not_heard(plant: Schema) -> None:
    """Leafrefs to keys name the instances it is about: one that may not be read is reason enough to drop it."""
    by = judge(plant, deny("read", path="/plant:home/plant:user[plant:name='bob']"))
    assert hears(by, plant, user="ann")
    assert not hears(by, plant, user="bob")
    assert not hears(by, plant, user="ann", other_user=["eve", "bob"])
    assert hears(by, plant, lamp="x")  # in an entry nobody can tell
    assert not hears(by, plant, place="/plant:home/user[name='bob']/colour")
    assert hears(by, plant, place="/plant:home/user[name='ann']/colour")
    assert hears(by, plant, place="/elsewhere:home")


def test_receivers_of_one_notification_are_judged_each_by_his_rules(plant: Schema) -> None:
    """What a notification is about is found once for all who hear it, and judged for each."""
    own = "/plant:home/plant:user[plant:name=$USER]"
    container = nacm(plant, rule_list(deny("read", path=own)), users={"staff": ["ann", "bob"]})
    by = judge_by(plant, container)
    node = notification(plant, "alarm")
    for name in ("ann", "bob"):
        told = make_inner(node, {"user": name})
        heard = [by.notification(session(user), node, told) for user in ("ann", "bob", "eve", "root")]
        assert heard == [name != "ann", name != "bob", True, True]
    assert by.denied_notifications == 2


@pytest.mark.parametrize(
    ("path", "permitted"),
    [
        ("/plant:site/plant:room[plant:floor='1']", False),
        ("/plant:site/plant:room[plant:floor='2']", True),
        ("/plant:site/plant:room/plant:lamps/plant:lamp[plant:id='x']", False),
        ("/plant:site/plant:room/plant:lamps/plant:lamp/plant:broken", False),
    ],
)
def test_a_notification_in_the_data_tree_is_judged_where_it_stands(plant: Schema, path: str, permitted: bool) -> None:
    """All instances it is in must be readable, and so must the notification itself (section 3.1.3)."""
    lamp = plant.find("/plant:site/room/lamps/lamp")
    (node,) = lamp.notifications.values()
    rooms = [{"floor": 1, "number": 2, "lamps": {"lamp": [{"id": "x"}]}}]
    content = make_inner(plant.find("/plant:site"), {"room": rooms})
    assert judge(plant, deny("read", path=path)).notification(session(), node, content) is permitted


# --- rules that cannot be meant


def test_a_rule_with_a_path_that_leads_nowhere_is_refused(plant: Schema) -> None:
    """The commit of such a rule ends with its path and the reason; one that is there already matches nothing."""
    container = nacm(plant, rule_list(deny(path="/plant:sight"), deny("read", path="/plant:home")))
    by = judge_by(plant, container)
    root = make_inner(plant.root, {ACM: container})
    change = diff(Inner(plant.root), root)
    assert change is not None
    with pytest.raises(RpcErrors) as refused:
        by.prepare(change, root)
    (error,) = refused.value.errors
    assert error.tag is ErrorTag.INVALID_VALUE
    assert error.path is not None
    assert error.path.text == "/nacm:nacm/nacm:rule-list[nacm:name='rules']/nacm:rule[nacm:name='r0']/nacm:path"
    assert "sight is no node below the top" in error.message
    data = tree(plant, {"plant:site": {"name": "x"}, "plant:home": {"user": [{"name": "bob"}]}})
    assert by.readable(session(), data) == tree(plant, {"plant:site": {"name": "x"}})


def test_counters_stand_beside_the_configuration(plant: Schema) -> None:
    """What was denied is shown in nacm, with the rules."""
    by = judge(plant, deny())
    assert not calls(by, plant, "sweep")
    running = tree(plant, {}).replace(plant.root.child(ACM), nacm(plant, enable_nacm="true"))
    ((_, shown),) = by.operational(running)
    assert isinstance(shown, Inner)
    assert shown.leaf("enable-nacm") == "true"
    counted = [shown.leaf(f"denied-{what}") for what in ("operations", "data-writes", "notifications")]
    assert counted == ["1", "0", "0"]
