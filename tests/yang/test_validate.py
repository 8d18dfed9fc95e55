"""Validation: every constraint with its error, and the incremental verdict equal to the full one."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.errors import YANG_NS, RpcError
from eman_netconf.yang.constraints import Rules
from eman_netconf.yang.diff import diff
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Data, Inner, ListNode, Path, Step
from eman_netconf.yang.validate import (
    MAX_ERRORS,
    Visits,
    prune_when,
    validate,
    validate_change,
    validate_change_steps,
    validate_input,
    validate_notification,
    validate_state,
    validate_steps,
)
from eman_netconf.yang.xpath import expression
from tests.yang.trees import Grower, edited, probe_schema

SCHEMA = probe_schema()
NS = "urn:example:probe"
SITE = SCHEMA.find("/probe:site")
BOX = SITE.child("box")
PORT = BOX.child("port")


def read(text: str) -> Inner:
    """The tree with ``text`` as content of <site>."""
    errors: list[RpcError] = []
    document = f'<data><site xmlns="{NS}" xmlns:s="urn:example:probe-shapes">{text}</site></data>'
    root = read_inner(etree.fromstring(document), SCHEMA.root, SCHEMA, errors=errors)
    assert not errors, errors
    return root


def box(name: str, content: str = "") -> str:
    """A box that is valid by itself."""
    return f"<box><id>{name}</id><voltage>1</voltage>{content}</box>"


def told(errors: list[RpcError]) -> list[str]:
    """Each error as "tag app-tag path"."""
    return [f"{error.tag} {error.app_tag or '-'} {str(error.path).replace('p:', '')}" for error in errors]


A = "/site/box[id='a']"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (box("a") + box("b", "<parent>a</parent>"), []),
        # must
        (box("a", "".join(f"<port><name>{i}</name></port>" for i in range(4))), [f"operation-failed too-crowded {A}"]),
        (box("a", "<big/>" + "".join(f"<port><name>{i}</name></port>" for i in range(4))), []),
        ("<shown-limit>3</shown-limit>", ["operation-failed no-limit /site/shown-limit"]),
        ("<nothing><level>12</level></nothing>", ["operation-failed must-violation /site/nothing/level"]),
        (box("a", "<tag>x y</tag>"), [f"operation-failed must-violation {A}/tag[.='x y']"]),
        (
            box("a", "<port><name>1</name><speed>9</speed></port><max-speed>8</max-speed>"),
            [f"operation-failed must-violation {A}/port[name='1']/speed"],
        ),
        (
            "<link><from>a</from><to>b</to></link>" + box("a"),
            ["operation-failed must-violation /site/link[from='a'][to='b']"],
        ),
        # leafref, instance-identifier and unions of them
        (box("a", "<parent>b</parent>"), [f"data-missing instance-required {A}/parent"]),
        (box("a", "<peer-box>b</peer-box>"), []),
        (box("a", "<uplink>1</uplink>"), [f"data-missing instance-required {A}/uplink"]),
        (box("a", "<port><name>1</name></port><uplink>1</uplink>"), []),
        (
            box("a", "<port><name>1</name></port>") + box("b", "<peer-box>a</peer-box><peer-port>1</peer-port>"),
            [],
        ),
        (
            box("a", "<port><name>1</name></port><peer-box>b</peer-box><peer-port>1</peer-port>") + box("b"),
            [f"data-missing instance-required {A}/peer-port"],
        ),
        (box("a", "<pointer>/p:site/p:mode</pointer>").replace("<pointer>", f'<pointer xmlns:p="{NS}">'), []),
        (
            box("a", f"<pointer xmlns:p=\"{NS}\">/p:site/p:box[p:id='z']</pointer>"),
            [f"data-missing instance-required {A}/pointer"],
        ),
        (box("a", f"<hint xmlns:p=\"{NS}\">/p:site/p:box[p:id='z']</hint>"), []),
        (box("a", "<any-of>nope</any-of>"), [f"data-missing instance-required {A}/any-of"]),
        (box("a", "<any-of>7</any-of>"), []),
        (box("a", "<port><name>x</name></port><any-of>x</any-of>"), []),
        ("<watch>a</watch><watch>b</watch>" + box("a"), ["data-missing instance-required /site/watch[.='b']"]),
        # when
        ("<limit>3</limit>", ["unknown-element - /site/limit"]),
        ("<mode>manual</mode><limit>3</limit><tuning><gain>1</gain></tuning>", []),
        (box("a", "<shape>s:circle</shape><corners>3</corners>"), [f"unknown-element - {A}/corners"]),
        (box("a", "<shape>s:square</shape><corners>3</corners>"), []),
        (box("a", "<extra>x</extra>"), [f"unknown-element - {A}/extra"]),
        (box("a", "<extra>x</extra><serial>1</serial>"), []),
        # mandatory
        ("<mode>manual</mode>", ["data-missing - /site/tuning/gain"]),
        ("<mode>manual</mode><tuning><step>1</step></tuning>", ["data-missing - /site/tuning/gain"]),
        ("<box><id>a</id></box>", [f"data-missing missing-choice {A}"]),
        ("<box><id>a</id><charge>1</charge></box>", [f"data-missing - {A}/cells/count"]),
        ("<box><id>a</id><charge>1</charge><cells/></box>", [f"data-missing - {A}/cells/count"]),
        ("<box><id>a</id><cells/></box>", [f"data-missing missing-choice {A}"]),
        ("<box><id>a</id><cells><count>1</count></cells></box>", []),
        (
            box("a", "<fuse/>"),
            [f"data-missing - {A}/fuse/rating", f"operation-failed too-few-elements {A}/fuse/blown"],
        ),
        # numbers of entries
        (
            box(
                "a", "<fuse><rating>1</rating>" + "".join(f"<blown><at>{i}</at></blown>" for i in range(3)) + "</fuse>"
            ),
            [f"operation-failed too-many-elements {A}/fuse/blown"],
        ),
        (
            box("a", "<tag>1</tag><tag>2</tag><tag>3</tag><tag>4</tag>"),
            [f"operation-failed too-many-elements {A}/tag"],
        ),
        # unique
        (
            box("a", "<serial>1</serial>") + box("b", "<serial>1</serial>") + box("c") + box("d"),
            ["operation-failed data-not-unique /site/box"],
        ),
        (
            box("a", "<nested><rack>r</rack></nested>") + box("b", "<nested><rack>r</rack><unit>1</unit></nested>"),
            ["operation-failed data-not-unique /site/box"],
        ),
        (
            box("a", "<nested><rack>r</rack></nested>") + box("b", "<nested><rack>r</rack><unit>2</unit></nested>"),
            [],
        ),
    ],
)
def test_each_constraint_and_its_error(text: str, expected: list[str]) -> None:
    """Every kind of constraint is enforced with the tag, app-tag and path of RFC 7950 section 15."""
    root = read(text)
    assert told(validate(SCHEMA, root)) == expected
    change = diff(Inner(SCHEMA.root), root)
    assert sorted(told(validate_change(SCHEMA, change, root))) == sorted(expected)


def test_an_empty_container_under_a_false_when_is_refused() -> None:
    """A non-presence container given empty is still a node that its when does not admit."""
    assert told(validate(SCHEMA, read("<tuning/>"))) == ["unknown-element - /site/tuning"]


def test_mandatory_state_in_an_implicit_container_is_asked_for(schema: Schema) -> None:
    """A document with state needs the mandatory leafs of state containers that nobody wrote."""
    nacm = schema.find("/ietf-netconf-acm:nacm")
    errors = validate_state(schema, Inner(schema.root, {nacm: Inner(nacm)}))
    assert "/nacm:nacm/nacm:denied-operations" in {str(error.path) for error in errors}
    assert validate(schema, Inner(schema.root, {nacm: Inner(nacm)})) == []


def test_error_infos() -> None:
    """missing-choice names the choice and non-unique points to every leaf, in the namespace of YANG."""
    [error] = validate(SCHEMA, read("<box><id>a</id></box>"))
    assert [(info.name, info.value, info.namespace) for info in error.info] == [("missing-choice", "power", YANG_NS)]
    [error] = validate(SCHEMA, read(box("a", "<serial>1</serial>") + box("b", "<serial>1</serial>")))
    assert [(info.name, info.value, info.namespace) for info in error.info] == [
        ("non-unique", f"/p:site/p:box[p:id='{name}']/p:serial", YANG_NS) for name in "ab"
    ]
    assert error.info[0].namespaces == {"p": NS}
    [error] = validate(SCHEMA, read("<shown-limit>1</shown-limit>"))
    assert error.message == "there is no limit to show"
    [error] = validate(SCHEMA, read("<limit>1</limit>"))
    assert "../mode = 'manual'" in error.message


def test_two_cases_together_are_refused() -> None:
    """Data of two cases of a choice, which no reader lets pass, is a bad-element."""
    children: dict = {BOX.child("id"): "a", BOX.child("voltage"): "1", BOX.child("charge"): "2"}
    children[BOX.child("cells")] = Inner(BOX.child("cells"), {BOX.child("cells").child("count"): "1"})
    root = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, {("a",): Inner(BOX, children)})})})
    assert told(validate(SCHEMA, root)) == [f"bad-element - {A}/cells"]


def verdict(errors: list[RpcError]) -> set[tuple[str, str | None, str]]:
    return {(error.tag, error.app_tag, str(error.path)) for error in errors}


@st.composite
def histories(draw: st.DrawFn) -> tuple[Inner, Inner]:
    """A tree and what some edits make of it."""
    random = draw(st.randoms(use_true_random=False))
    grower = Grower(random, density=draw(st.sampled_from([0.3, 0.5, 0.7])))
    old = grower.inner(SCHEMA.root)
    return old, edited(grower, old, draw(st.integers(1, 4)))


@given(histories())
@settings(max_examples=400, deadline=None)
def test_incremental_verdict_is_the_full_verdict(history: tuple[Inner, Inner]) -> None:
    """A change is told everything it broke, and nothing that full validation does not find.

    The tree before may be broken itself: what was wrong already need not be found again.
    """
    old, new = history
    before, after = verdict(validate(SCHEMA, old)), verdict(validate(SCHEMA, new))
    found = verdict(validate_change(SCHEMA, diff(old, new), new))
    assert after - before <= found <= after


RICH = f"""
  <mode>manual</mode><limit>9</limit><shown-limit>9</shown-limit><tuning><gain>1.5</gain></tuning>
  <box>
    <id>a</id><serial>a</serial><shape>s:square</shape><corners>4</corners><tag>a</tag><tag>b</tag><extra>x</extra>
    <port><name>a</name><speed>5</speed></port><port><name>b</name></port><max-speed>9</max-speed><uplink>b</uplink>
    <voltage>5</voltage><pump>x</pump><open>2</open><any-of>c</any-of>
    <pointer xmlns:p="{NS}">/p:site/p:box[p:id='b']/p:port[p:name='a']/p:speed</pointer>
    <nested><rack>a</rack></nested><fuse><rating>5</rating><blown><at>1</at></blown></fuse>
  </box>
  <box>
    <id>b</id><shape>s:circle</shape><parent>a</parent><peer-box>a</peer-box><peer-port>a</peer-port><charge>5</charge>
    <port><name>a</name><speed>300</speed></port><port><name>c</name></port><cells><count>2</count></cells>
    <nested><rack>a</rack><unit>2</unit></nested><fans>5</fans><colour>red</colour>
    <pointer xmlns:p="{NS}">/p:site/p:box[p:id='c']/p:fans</pointer>
  </box>
  <box><id>c</id><big/><parent>b</parent><peer-box>b</peer-box><peer-port>c</peer-port><voltage>1</voltage></box>
  <link><from>a</from><to>b</to></link><link><from>b</from><to>c</to><length>1</length></link>
  <watch>c</watch><watch>a</watch>
"""


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_incremental_verdict_from_valid_trees(seed: int) -> None:
    """Along a history of valid trees the incremental verdict of each edit is exactly the full one."""
    grower = Grower(Random(seed), density=0.2)
    root = read(RICH)
    assert validate(SCHEMA, root) == []
    for _ in range(20):
        new = edited(grower, root, 1)
        full = verdict(validate(SCHEMA, new))
        assert verdict(validate_change(SCHEMA, diff(root, new), new)) == full
        root = root if full else new


@given(histories())
@settings(max_examples=200, deadline=None)
def test_pruning_whens_leaves_only_what_the_change_made(history: tuple[Inner, Inner]) -> None:
    """After prune_when a false when is found only where the edit itself wrote, and pruning again changes nothing."""
    old, new = history
    change = diff(old, new)
    pruned = prune_when(SCHEMA, change, new)
    again = prune_when(SCHEMA, diff(old, pruned), pruned)
    assert again is pruned
    before = {str(e.path) for e in validate(SCHEMA, old) if e.tag == "unknown-element"}
    kept = {str(e.path) for e in validate(SCHEMA, pruned) if e.tag == "unknown-element"}
    written = {str(e.path) for e in validate(SCHEMA, new) if e.tag == "unknown-element"}
    assert kept <= before | written


def test_when_that_became_false_removes_the_old_node() -> None:
    """Changing what a when reads deletes the nodes under it, in as many rounds as whens depend on each other."""
    old = read("<mode>manual</mode><limit>7</limit><tuning><gain>1</gain></tuning>" + box("a"))
    new = read("<mode>auto</mode><limit>7</limit><tuning><gain>1</gain></tuning>" + box("a"))
    pruned = prune_when(SCHEMA, diff(old, new), new)
    assert pruned == read("<mode>auto</mode>" + box("a"))
    assert validate(SCHEMA, pruned) == []


def test_when_of_an_augment_and_of_an_identity() -> None:
    """Whens in list entries are found through what they read, for the entry concerned alone."""
    content = "<serial>1</serial><extra>x</extra><shape>s:square</shape><corners>4</corners>"
    old = read(box("a", content) + box("b", content.replace("1", "2")))
    new = old
    for leaf, value in (("serial", None), ("shape", "probe-shapes:circle")):
        new = put(new, "a", leaf, value)
    pruned = prune_when(SCHEMA, diff(old, new), new)
    assert pruned == read(box("a", "<shape>s:circle</shape>") + box("b", content.replace("1", "2")))


def test_what_the_edit_writes_under_a_false_when_stays_to_be_refused() -> None:
    """A node created or modified by the same edit is not deleted silently but an unknown-element."""
    old = read("<mode>manual</mode><limit>7</limit><tuning><gain>1</gain></tuning>")
    new = read("<limit>8</limit><mode>auto</mode>")
    pruned = prune_when(SCHEMA, diff(old, new), new)
    assert pruned is new
    assert told(validate_change(SCHEMA, diff(old, pruned), pruned)) == ["unknown-element - /site/limit"]


def put(root: Inner, name: str, leaf: str, value: Data | None) -> Inner:
    """The tree with one leaf of one box set, all else shared."""
    site = root.children[SITE]
    boxes = site.children[BOX]
    entry = boxes.entries[name,].replace(BOX.child(leaf), value)
    return root.replace(SITE, site.replace(BOX, boxes.replace((name,), entry)))


def many(count: int) -> Inner:
    """A valid site of boxes in a chain of parents, each with ports that others refer to."""
    entries = {}
    for number in range(count):
        children: dict = {BOX.child("id"): f"b{number}", BOX.child("voltage"): "1", BOX.child("serial"): str(number)}
        ports = {(n,): Inner(PORT, {PORT.child("name"): n, PORT.child("speed"): "5"}) for n in "12"}
        children[PORT] = ListNode(PORT, ports)
        children[BOX.child("uplink")] = "1"
        if number:
            children[BOX.child("parent")] = f"b{number - 1}"
            children[BOX.child("peer-box")] = "b0"
            children[BOX.child("peer-port")] = "2"
        entries[f"b{number}",] = Inner(BOX, children)
    return Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries)})})


EDITS = [
    ("voltage", "2"),
    ("max-speed", "7"),
    ("parent", "b1"),
    ("uplink", "2"),
    ("peer-port", "1"),
    ("shape", "probe-shapes:square"),
    ("tag", ("x",)),
    ("uplink", None),
]


@pytest.mark.parametrize(("leaf", "value"), EDITS)
def test_untouched_entries_are_not_visited(leaf: str, value: Data | None) -> None:
    """The work of validating one edit is the same among 100 and among 5,000 entries."""
    work = []
    for count in (100, 5_000):
        old = many(count)
        new = put(old, "b50", leaf, value)
        visits = Visits()
        touched = {Step(SITE): {Step(BOX, ("b50",)): {}}}
        assert validate_change(SCHEMA, diff(old, new, touched), new, visits=visits) == []
        work.append((visits.nodes, visits.constraints))
    assert work[0] == work[1]
    assert sum(work[0]) < 20


def test_deleting_a_target_finds_its_referrers_alone() -> None:
    """Deleting an entry evaluates only the references that had one of its values."""
    old = many(500)
    site = old.children[SITE]
    new = old.replace(SITE, site.replace(BOX, site.children[BOX].replace(("b70",), None)))
    visits = Visits()
    errors = validate_change(SCHEMA, diff(old, new), new, visits=visits)
    assert told(errors) == ["data-missing instance-required /site/box[id='b71']/parent"]
    # b71's parent, and the 498 peer-ports whose value was a port name of the deleted box
    assert visits.constraints < 520


def test_full_validation_visits_every_entry_once_and_pauses() -> None:
    """Full validation looks at each inner node once and lets others have their turn in between."""
    visits = Visits()
    steps = list(validate_steps(SCHEMA, many(2_000), visits=visits))
    assert [step for step in steps if step is not None] == []
    assert visits.nodes < 2_000 * 6
    assert len(steps) >= visits.nodes // 1_000


def test_incremental_validation_pauses_too() -> None:
    """A change of thousands of entries is validated in steps."""
    new = many(2_000)
    assert len(list(validate_change_steps(SCHEMA, diff(Inner(SCHEMA.root), new), new))) > 5


def test_errors_are_bounded() -> None:
    """A site that is wrong everywhere gets the first errors only."""
    entries = {(str(n),): Inner(BOX, {BOX.child("id"): str(n)}) for n in range(1_000)}
    root = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries)})})
    assert len(validate(SCHEMA, root)) == MAX_ERRORS


def test_no_change_is_valid() -> None:
    """Without a change there is nothing to find."""
    assert validate_change(SCHEMA, None, read("")) == []
    assert prune_when(SCHEMA, None, root := read("")) is root


PING = SCHEMA.rpcs[NS, "ping"].children[NS, "input"]
RESET = BOX.actions[NS, "reset"].children[NS, "input"]
MOVED = SCHEMA.notifications[NS, "moved"]
AT_A: Path = (Step(SITE), Step(BOX, ("a",)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"box": "a"}, []),
        ({"box": "a", "count": "1"}, []),
        ({"box": "a", "count": "5", "fast": ""}, []),
        ({"box": "a", "count": "5"}, ["operation-failed must-violation /ping/count"]),
        ({"box": "z"}, ["data-missing instance-required /ping/box"]),
        ({}, ["missing-element - /ping/box", "operation-failed must-violation /ping/count"]),
        ({"box": "a", "packets": "3"}, ["unknown-element - /ping/packets"]),
        ({"box": "a", "packets": "3", "fast": ""}, []),
    ],
)
def test_rpc_input(values: dict[str, str], expected: list[str]) -> None:
    """An input is held to its constraints, which see the operation itself and the server's data."""
    inner = Inner(PING, {PING.child(name): value for name, value in values.items()})
    errors = validate_input(SCHEMA, inner, read(box("a")))
    assert told(errors) == expected
    for error in errors:
        if error.tag == "missing-element":
            assert [(info.name, info.value) for info in error.info] == [("bad-element", "box")]


@pytest.mark.parametrize(
    ("values", "path", "expected"),
    [
        ({"port": "1"}, AT_A, []),
        ({"port": "9"}, AT_A, [f"data-missing instance-required {A}/reset/port"]),
        ({}, AT_A, [f"missing-element - {A}/reset/port"]),
        ({"port": "1", "delay": "20"}, AT_A, [f"operation-failed must-violation {A}/reset/delay"]),
        ({"port": "1", "delay": "20", "force": ""}, AT_A, []),
        ({"port": "1"}, (Step(SITE), Step(BOX, ("z",))), ["data-missing - /site/box[id='z']"]),
    ],
)
def test_action_input(values: dict[str, str], path: Path, expected: list[str]) -> None:
    """The input of an action refers to the node it is invoked on."""
    inner = Inner(RESET, {RESET.child(name): value for name, value in values.items()})
    root = read(box("a", "<port><name>1</name></port>"))
    assert told(validate_input(SCHEMA, inner, root, path=path)) == expected


def test_notification() -> None:
    """A notification is held to its constraints beside the server's data."""
    root = read(box("a"))
    good = Inner(MOVED, {MOVED.child("box"): "a", MOVED.child("metres"): "3"})
    assert validate_notification(SCHEMA, good, root) == []
    bad = Inner(MOVED, {MOVED.child("metres"): "3"})
    assert told(validate_notification(SCHEMA, bad, root)) == [
        "data-missing - /moved/box",
        "operation-failed must-violation /moved/metres",
    ]


def test_state_is_validated_only_where_it_is_asked_for() -> None:
    """A document with state is judged as a whole; configuration is not asked for mandatory state."""
    assert validate_state(SCHEMA, read("<event><text>x</text></event>")) == []


def test_the_constraints_of_the_server_compile(schema: Schema) -> None:
    """Every must, when and leafref path of the server's models compiles, and no configuration at all is valid."""
    assert validate(schema, Inner(schema.root)) == []
    for state in (False, True):
        rules = Rules.of(schema, state=state)
        rules.dependents(schema.root)
        nodes = [*schema.rpcs.values(), *schema.notifications.values(), schema.root]
        for node in nodes:
            for below in node.descendants():
                rules.checks(below)
                for when in below.whens:
                    expression(schema, when, below)
