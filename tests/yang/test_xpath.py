"""XPath over instance trees: XPath 1.0, the functions of YANG, the accessible tree, look-ups and limits."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.yang import xpath
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.patterns import PatternFault, compile_pattern
from eman_netconf.yang.render import to_bytes
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, ListNode, Step, path_text
from eman_netconf.yang.xpath import (
    Budget,
    BudgetExceeded,
    Expr,
    Ref,
    XPathFault,
    expression,
    from_instance_identifier,
)
from eman_netconf.yang.xpath_match import Matcher, matcher
from eman_netconf.yang.xpath_nodes import Text
from eman_netconf.yang.xpath_parser import MAX_DEPTH, MAX_LENGTH, parse
from tests.work import calls
from tests.yang.trees import Grower, probe_schema

SCHEMA = probe_schema()
P, PS = "urn:example:probe", "urn:example:probe-shapes"
PREFIXES = {"p": P, "ps": PS}
SITE = SCHEMA.find("/probe:site")
BOX = SITE.child("box")

DOCUMENT = """
<site xmlns="urn:example:probe" xmlns:s="urn:example:probe-shapes">
  <mode>manual</mode>
  <limit>7</limit>
  <box>
    <id>a</id><serial>s1</serial><shape>s:square</shape><tag>t1</tag><tag>t2</tag>
    <port><name>1</name><speed>10</speed></port><port><name>2</name><speed>1000</speed></port>
    <uplink>2</uplink><voltage>230</voltage><flags>new old</flags>
    <pointer xmlns:q="urn:example:probe">/q:site/q:box[q:id='b']</pointer>
    <any-of>1</any-of><temperature>21</temperature>
  </box>
  <box>
    <id>b</id><shape>s:circle</shape><port><name>1</name></port><parent>a</parent>
    <peer-box>a</peer-box><peer-port>2</peer-port><charge>80</charge><pump>big</pump>
  </box>
  <box><id>c</id><parent>a</parent><big/><voltage>110</voltage><fuse><rating>16</rating></fuse></box>
  <link><from>b</from><to>a</to><length>2.5</length></link>
  <link><from>a</from><to>c</to><length>10.0</length></link>
  <slot><number>1</number><kind>s:circle</kind><use>first</use></slot>
  <slot><number>2</number><kind>s:circle</kind><use>second</use></slot>
  <watch>c</watch><watch>a</watch>
  <event><text>up</text><code>3</code><code>3</code></event>
  <event><text>down</text></event>
</site>
"""


def read(text: str) -> Inner:
    errors: list = []
    root = read_inner(etree.fromstring(f"<data>{text}</data>"), SCHEMA.root, SCHEMA, errors=errors)
    assert not errors, errors
    return root


ROOT = read(DOCUMENT)


def compiled(text: str, context: SchemaNode | None = None) -> Expr:
    return xpath.compile(text, PREFIXES, P, SCHEMA, context=context)


def evaluate(text: str, at: Ref | None = None) -> object:
    """The value; nodes as their shortened paths, leaves with their values."""
    value = compiled(text).evaluate(at or Ref.root(ROOT))
    if isinstance(value, list):
        return [shown(node) for node in value]
    return value


def shown(node: Ref) -> str:
    path = path_text(node.path).text.replace("p:", "")
    return f"{path}={node.data}" if isinstance(node.data, str) and node.parent is not None else path


def box(key: str) -> Ref:
    site = Ref.root(ROOT).child(SITE)
    return site.child(BOX, (key,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "/site/box[id='a']/port/name",
            ["/site/box[id='a']/port[name='1']/name=1", "/site/box[id='a']/port[name='2']/name=2"],
        ),
        ("site/box/parent", ["/site/box[id='b']/parent=a", "/site/box[id='c']/parent=a"]),
        ("/p:site/child::p:limit", ["/site/limit=7"]),
        ("/site/limit/text()", ["/site/limit=7"]),
        ("/site/box[2]/id", ["/site/box[id='b']/id=b"]),
        ("/site/box[last()]/id", ["/site/box[id='c']/id=c"]),
        ("/site/box[position() > 1][1]/id", ["/site/box[id='b']/id=b"]),
        ("/site/box[parent='a'][2]/id", ["/site/box[id='c']/id=c"]),
        ("//speed[. > 100]/../name", ["/site/box[id='a']/port[name='2']/name=2"]),
        ("//port[1]/name", ["/site/box[id='a']/port[name='1']/name=1", "/site/box[id='b']/port[name='1']/name=1"]),
        ("(//port)[1]/name", ["/site/box[id='a']/port[name='1']/name=1"]),
        ("//port[name='2']/ancestor::box/id", ["/site/box[id='a']/id=a"]),
        ("//port[name='2']/ancestor-or-self::*[1]/name", ["/site/box[id='a']/port[name='2']/name=2"]),
        ("//port[name='2']/ancestor::*[last()]/limit", ["/site/limit=7"]),
        ("/site/box[id='b']/preceding-sibling::box/id", ["/site/box[id='a']/id=a"]),
        ("/site/box[id='c']/preceding-sibling::box[1]/id", ["/site/box[id='b']/id=b"]),
        ("/site/box[id='a']/following-sibling::box[1]/id", ["/site/box[id='b']/id=b"]),
        (
            "/site/box[id='c']/following::from",
            ["/site/link[from='b'][to='a']/from=b", "/site/link[from='a'][to='c']/from=a"],
        ),
        (
            "/site/box[id='b']/preceding::speed",
            [
                "/site/box[id='a']/port[name='1']/speed=10",
                "/site/box[id='a']/port[name='2']/speed=1000",
            ],
        ),
        ("/site/box[id='b']/preceding::speed[1]", ["/site/box[id='a']/port[name='2']/speed=1000"]),
        (
            "/site/link/from | /site/limit",
            ["/site/limit=7", "/site/link[from='b'][to='a']/from=b", "/site/link[from='a'][to='c']/from=a"],
        ),
        ("/site/limit | //limit", ["/site/limit=7"]),
        ("/site/limit/self::node()", ["/site/limit=7"]),
        ("/site/limit/self::mode", []),
        ("/site/watch[. = 'a']", ["/site/watch[.='a']=a"]),
        ("/site/watch", ["/site/watch[.='c']=c", "/site/watch[.='a']=a"]),
        ("/site/event[2]/text", ["/site/event[2]/text=down"]),
        ("count(/site/event[1]/code)", 2.0),
        ("/site/limit/@nothing", []),
        ("/site/limit/namespace::*", []),
        ("/site/link[from='a' and to='c']/length", ["/site/link[from='a'][to='c']/length=10.0"]),
        ("/site/link[to='c'][from='a']/length", ["/site/link[from='a'][to='c']/length=10.0"]),
        ("/site/link[from='a'][to='c'][length > 5]/to", ["/site/link[from='a'][to='c']/to=c"]),
        ("/site/link[from='a'][to='c'][length > 50]/to", []),
        (
            "/site/slot[number=2][kind='ps:circle']/use",
            ["/site/slot[number='2'][kind='probe-shapes:circle']/use=second"],
        ),
        ("/site/box[id=/site/box/parent]/id", ["/site/box[id='a']/id=a"]),
        ("/site/box[id=/site/watch]/id", ["/site/box[id='a']/id=a", "/site/box[id='c']/id=c"]),
        ("/site/box[id='nobody']", []),
        ("..", []),
        ("/", ["/"]),
        ("/..", []),
    ],
)
def test_node_sets(text: str, expected: list[str]) -> None:
    """Paths select nodes in document order, with axes, positions and predicates as XPath 1.0 has them."""
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 div 2", 5.0),
        ("7 mod 3", 1.0),
        ("-7 mod 3", -1.0),
        ("7 mod 0", math.nan),
        ("1 div 0", math.inf),
        ("-1 div 0", -math.inf),
        ("0 div 0", math.nan),
        ("- - 3", 3.0),
        ("-(2)", -2.0),
        ("1 < 2 and 2 <= 2 and 3 > 2 and 2 >= 2", True),
        ("1 < 2 < 0", False),
        ("'a' = 'b' or 'a' != 'b'", True),
        ("'1' < '2'", True),
        ("'1.0' = 1", True),
        ("'1.0' = '1'", False),
        ("true() = 'x'", True),
        ("/site/limit = 7", True),
        ("/site/limit = '7'", True),
        ("/site/box/id = 'b'", True),
        ("/site/box/id != 'b'", True),
        ("not(/site/box/id = 'z')", True),
        ("/site/nobody = ''", False),
        ("/site/nobody != ''", False),
        ("/site/nobody = false()", True),
        ("/site/box/parent = /site/box/id", True),
        ("/site/box/parent != /site/box/parent", False),
        ("/site/link/length < //speed", True),
        ("//speed <= /site/link/length", True),
        ("//speed < /site/link/length", False),
        ("/site/link/length > 9", True),
        ("9 < /site/link/length", True),
        ("count(//port)", 3.0),
        ("sum(//speed)", 1010.0),
        ("sum(/site/box/id)", math.nan),
        ("string(/site/box)", None),
        ("string(/site/nobody)", ""),
        ("string(1.5)", "1.5"),
        ("string(100000000000000000000)", "100000000000000000000"),
        ("string(0.00000001)", "0.00000001"),
        ("string(-0)", "0"),
        ("string(1 div 0)", "Infinity"),
        ("string(-1 div 0)", "-Infinity"),
        ("string(0 div 0)", "NaN"),
        ("string(1 = 1)", "true"),
        ("number('  12.5 ')", 12.5),
        ("number('1e3')", math.nan),
        ("number('.5')", 0.5),
        ("number(true())", 1.0),
        ("number('')", math.nan),
        ("boolean('')", False),
        ("boolean('false')", True),
        ("boolean(0 div 0)", False),
        ("boolean(/site/nobody)", False),
        ("concat('a', 1, true())", "a1true"),
        ("starts-with('abc', 'ab')", True),
        ("contains('abc', 'bc')", True),
        ("contains('abc', '')", True),
        ("substring-before('1999/04/01', '/')", "1999"),
        ("substring-after('1999/04/01', '/')", "04/01"),
        ("substring-after('abc', 'x')", ""),
        ("substring('12345', 2, 3)", "234"),
        ("substring('12345', 2)", "2345"),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0, 3)", "12"),
        ("substring('12345', 0 div 0, 3)", ""),
        ("substring('12345', 1, 0 div 0)", ""),
        ("substring('12345', -42, 1 div 0)", "12345"),
        ("substring('12345', -1 div 0, 1 div 0)", ""),
        ("string-length('abc')", 3.0),
        ("normalize-space('  a  b\t\n c ')", "a b c"),
        ("translate('bar', 'abc', 'AB')", "BAr"),
        ("translate('--aaa--', 'abc-', 'ABC')", "AAA"),
        ("floor(-1.5)", -2.0),
        ("ceiling(-1.5)", -1.0),
        ("round(2.5)", 3.0),
        ("round(-2.5)", -2.0),
        ("round(0 div 0)", math.nan),
        ("local-name(/site/limit)", "limit"),
        ("name(/site/limit)", "limit"),
        ("namespace-uri(/site/limit)", P),
        ("local-name(/site/nobody)", ""),
        ("lang('en')", False),
        ("count(id('x'))", 0.0),
        ("position() = last()", True),
        ("re-match('1.22.333', '\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}')", True),
        ("re-match('abc', 'b')", False),
        ("enum-value(/site/mode)", 7.0),
        ("enum-value(/site/limit)", math.nan),
        ("bit-is-set(/site/box[id='a']/flags, 'old')", True),
        ("bit-is-set(/site/box[id='a']/flags, 'ol')", False),
        ("bit-is-set(/site/box[id='b']/flags, 'old')", False),
        ("derived-from(/site/box[id='a']/shape, 'ps:polygon')", True),
        ("derived-from(/site/box[id='a']/shape, 'probe-shapes:polygon')", True),
        ("derived-from(/site/box[id='a']/shape, 'ps:square')", False),
        ("derived-from-or-self(/site/box[id='a']/shape, 'ps:square')", True),
        ("derived-from(/site/box[id='b']/shape, 'ps:polygon')", False),
        ("derived-from(/site/box/shape, 'ps:polygon')", True),
        ("derived-from(/site/limit, 'ps:polygon')", False),
        ("/site/box/shape = 'ps:square'", True),
        ("/site/box/shape = 'probe-shapes:square'", True),
        ("'ps:square' = /site/box/shape", True),
        ("/site/box[id='a']/shape != 'ps:square'", False),
        ("/site/box/shape = 'square'", False),
        ("deref(/site/box[id='b']/parent)/../serial = 's1'", True),
        ("deref(/site/box[id='b']/peer-port)/../speed", None),
        ("count(deref(/site/box[id='a']/any-of))", 2.0),
        ("deref(/site/box[id='a']/pointer)/id = 'b'", True),
        ("count(deref(/site/limit))", 0.0),
    ],
)
def test_values(text: str, expected: object) -> None:
    """Operators, conversions and functions give what XPath 1.0 and RFC 7950 section 10 say."""
    value = evaluate(text)
    if text == "string(/site/box)":
        assert value.startswith("as1probe-shapes:square")
    elif expected is None:
        assert value == ["/site/box[id='a']/port[name='2']/speed=1000"]
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(value)
    else:
        assert value == expected
        assert isinstance(value, type(expected))


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("/site/name = 'unnamed'", True),
        ("/site/nothing/level = 5", True),
        ("/site/tuning/step = 4", True),  # its when is true
        ("/site/box[id='a']/corners = 4", True),
        ("/site/box[id='b']/corners", False),  # a circle
        ("/site/box[id='a']/phases = 1", True),
        ("/site/box[id='b']/phases", False),  # the other case
        ("/site/box[id='b']/cells/chemistry = 'lead'", True),
        ("/site/box[id='a']/cells", False),
        ("/site/box[id='a']/fans = 2", True),  # the default case
        ("/site/box[id='b']/fans", False),  # water is chosen
        ("/site/box[id='b']/open = 1", True),  # the default of a choice inside the chosen case
        ("/site/box[id='a']/open", False),
        ("/site/box[id='a']/fuse", False),  # has presence
        ("/site/box[id='c']/fuse/rating = 16", True),
        ("/site/box[id='a']/colour = 'green'", True),
        ("/site/box[id='a']/extra-count = 9", True),
        ("/site/box[id='b']/extra-count", False),  # the when of the augment
        ("/site/nothing", True),
    ],
)
def test_defaults_in_use_are_visible(text: str, there: bool) -> None:
    """Defaults and non-presence containers are in the accessible tree exactly when RFC 7950 section 6.4.1 says so."""
    assert compiled(text).boolean(Ref.root(ROOT)) is there


def test_defaults_of_state_are_not_seen_from_configuration() -> None:
    """A config false container below configuration exists only where it is given."""
    assert evaluate("/site/event[1]/code", Ref.root(ROOT)) != []
    assert evaluate("/site/box[id='b']/temperature") == []


def test_current_stays_where_evaluation_began() -> None:
    """current() inside predicates is the node of the expression, not the one under test."""
    at = box("b")
    assert evaluate("/site/box[id = current()/parent]/serial", at) == ["/site/box[id='a']/serial=s1"]
    found = compiled("../box[id = current()/../x or id = current()]").nodes(at, current=at.child(BOX.child("id")))
    assert [node.key for node in found] == [("b",)]


def test_unprefixed_names_without_default_namespace() -> None:
    """In a filter without default namespace a bare name means a node of that name in any module."""
    expr = xpath.compile("/site/box[id='a']/serial", {}, None, SCHEMA)
    assert [node.data for node in expr.nodes(Ref.root(ROOT))] == ["s1"]
    assert xpath.compile("/site", {}, "urn:other", SCHEMA).nodes(Ref.root(ROOT)) == []
    assert len(xpath.compile("/x:site/x:*", {"x": P}, None, SCHEMA).nodes(Ref.root(ROOT))) > 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a[", "expected a node name"),
        ("a b", "unexpected 'b'"),
        ("'x", "closing quote"),
        ("foo::a", "unknown axis"),
        ("$x", "no variables"),
        ("q:a", "unknown prefix 'q'"),
        ("frob()", "unknown function"),
        ("count()", "cannot take 0 arguments"),
        ("count(1)", "must select nodes"),
        ("position(1)", "no arguments"),
        ("1 | 2", "must select nodes"),
        ("1/a", "must select nodes"),
        ("(1)[1]", "must select nodes"),
        ("a | -b", "union"),
        ("1 +", "expected a node name"),
        ("", "expected a node name"),
        ("a#", "unexpected '#'"),
        ("re-match('a', '(')", "re-match"),
        ("(" * 60 + "1" + ")" * 60, "brackets"),
        ("a" * (MAX_LENGTH + 1), "longer"),
    ],
)
def test_faults_say_what_and_where(text: str, message: str) -> None:
    """A bad expression is told in words with the place of its fault."""
    with pytest.raises(XPathFault, match=message.replace("(", r"\(")) as caught:
        compiled(text).evaluate(Ref.root(ROOT))
    assert 0 <= caught.value.position <= len(text)


def test_only_node_sets_select() -> None:
    """nodes() refuses an expression that gives another type."""
    with pytest.raises(XPathFault, match="number"):
        compiled("1 + 1").nodes(Ref.root(ROOT))


def test_long_chains_and_deep_brackets_evaluate() -> None:
    """Thousands of operators in a row need no recursion, and the deepest allowed nesting evaluates."""
    assert evaluate(" or ".join(["1 = 2"] * 5000) + " or 1 = 1") is True
    assert evaluate("+".join(["1"] * 10_000)) == 10_000.0
    assert evaluate("|".join(["/site/limit"] * 2000)) == ["/site/limit=7"]
    depth = MAX_DEPTH - 1
    assert evaluate("(" * depth + "1" + ")" * depth) == 1.0
    nested = "self::node()" + "[self::node()" * depth + "]" * depth
    assert evaluate(nested) == ["/"]
    assert evaluate("-" * 1001 + "1") == -1.0


def test_the_worst_nesting_fits_the_stack() -> None:
    """The deepest nesting with every level of operators in each bracket is compiled, evaluated and read."""
    depth = MAX_DEPTH - 1
    text = "/site/box" + "[0 or 1 and 1!=1<1+1*-//box" * depth + "]" * depth
    expr = compiled(text, SITE)
    with contextlib.suppress(BudgetExceeded):
        expr.evaluate(Ref.root(ROOT), budget=Budget(20_000))
    assert expr.reads is not None


class Lazy(Mapping):
    """Entries that are made when asked, counted; iterating is an error."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0

    def __getitem__(self, key: tuple[str, ...]) -> Inner:
        number = key[0].removeprefix("b")
        if not number.isdigit() or int(number) >= self.count:
            raise KeyError(key)
        self.made += 1
        return Inner(BOX, {BOX.child("id"): key[0], BOX.child("parent"): f"b{(int(number) + 1) % self.count}"})

    def __iter__(self) -> Iterator:
        raise AssertionError("a keyed look-up must not iterate")

    def __len__(self) -> int:
        return self.count


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("/site/box[id='b77']", ["b77"]),
        ("/site/box['b77'=id]/id/..", ["b77"]),
        ("/site/box[id='b1' and parent='b2']", ["b1"]),
        ("/site/box[id='b1'][parent='b3']", []),
        ("/site/box[id='b1'][1]", ["b1"]),
        ("/site/box[id=concat('b', 1 + 1)]", ["b2"]),
        ("/site/box[id=/site/box[id='b5']/parent]", ["b6"]),
        ("/site/box[id=current()/site/watch]", None),
        ("//box[id='b77']", ["b77"]),
        ("/descendant::box[id='b77'][1]", ["b77"]),
        ("/site/box[id='zz']", []),
        ("/site/box[id=/site/nobody]", []),
    ],
)
def test_keys_go_straight_to_the_entry(text: str, keys: list[str] | None) -> None:
    """With a full key the cost does not depend on the length of the list, which may make its entries when asked."""
    entries = Lazy(1_000_000)
    watch = SITE.child("watch")
    root = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries), watch: ("b9",)})})
    budget = Budget(50)
    found = compiled(text).nodes(Ref.root(root), budget=budget)
    assert [node.key[0] for node in found] == (["b9"] if keys is None else keys)
    assert entries.made <= 3


def test_a_leafref_with_require_instance_goes_by_key() -> None:
    """The path of a leafref narrowed to one value looks the entry up."""
    from eman_netconf.yang.constraints import Rules

    entries = Lazy(100_000)
    root = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries)})})
    [check] = [c for c in Rules.of(SCHEMA, state=False).checks(BOX.child("parent")) if hasattr(c, "exists")]
    ref = Ref.root(root).child(SITE).child(BOX, ("b4",)).child(BOX.child("parent"))
    assert check.programs[0].boolean(ref)
    assert entries.made <= 3


def test_numbers_and_positions_fall_back_to_a_scan() -> None:
    """What a look-up cannot know is found by looking at every entry."""
    assert evaluate("/site/box[port/name='2']/id") == ["/site/box[id='a']/id=a"]
    assert evaluate("/site/link[from='a']/to") == ["/site/link[from='a'][to='c']/to=c"]
    assert evaluate("count(/site/slot[number='01'])") == 0.0
    assert evaluate("count(/site/slot[number=1.0])") == 1.0
    assert evaluate("/site/box[id=../watch]/id") == ["/site/box[id='a']/id=a", "/site/box[id='c']/id=c"]
    assert evaluate("/site/box[id=parent]/id") == []


def test_budget_stops_a_greedy_expression() -> None:
    """An expression that would look at too many nodes is stopped soon."""
    entries = {(f"b{i}",): Inner(BOX, {BOX.child("id"): f"b{i}"}) for i in range(300)}
    root = Inner(SCHEMA.root, {SITE: Inner(SITE, {BOX: ListNode(BOX, entries)})})
    budget = Budget(5_000)
    with pytest.raises(BudgetExceeded, match="5000 steps"):
        compiled("count(//*[count(//*) > 0])").evaluate(Ref.root(root), budget=budget)
    assert budget.used <= 5_600


@pytest.mark.parametrize(
    ("text", "context", "expected"),
    [
        ("../../box/id", "id", {"box": "site", "id": "site"}),
        ("count(port) <= 3 or big", None, {"port": "box", "big": "box"}),
        (
            "/site/box[id=current()/../peer-box]/port",
            "peer-port",
            {"site": "", "box": "", "id": "", "peer-box": "box", "port": ""},
        ),
        ("derived-from(../shape, 'ps:polygon')", "corners", {"shape": "box"}),
        (". < 10", "id", {}),
        ("../corners = 4", "id", {"corners": "box", "shape": "box"}),
        ("string(../nested)", "id", {"nested": "box", "rack": "box", "unit": "box"}),
        ("../nested", "id", {"nested": "box"}),
        ("../phases", "id", {"phases": "box", "voltage": "box", "cells": "box", "charge": "box"}),
    ],
)
def test_reads_are_told_with_their_hinge(text: str, context: str | None, expected: dict[str, str]) -> None:
    """An expression tells which schema nodes it may read, and which ancestor they share with its context."""
    expr = compiled(text, BOX.child(context) if context else BOX)
    assert {node.name: hinge.name for node, hinge in expr.dependencies.items()} == expected
    assert {node.name for node in expr.reads} == set(expected)


def test_reads_of_an_instance_identifier_are_anything() -> None:
    """What deref() of an instance-identifier reads cannot be told from the schema."""
    assert compiled("deref(../pointer)/id", BOX.child("id")).reads is None
    assert compiled("/site").reads is None


@st.composite
def trees(draw: st.DrawFn) -> Inner:
    return Grower(draw(st.randoms(use_true_random=False)), state=True).inner(SCHEMA.root)


NAMES = ("site", "box", "id", "port", "name", "parent", "link", "from", "to", "watch", "event", "code", "*", "nested")
STEPS = st.sampled_from([f"{axis}{name}" for axis in ("", "descendant::") for name in NAMES] + ["..", ".", "text()"])
PREDICATES = st.sampled_from(
    [
        *("", "", "[1]", "[last()]", "[position() < 3]", "[. = 'a']", "[id = 'a']", "[name = 'a']", "[id='b']"),
        *("[from='a'][to='b']", "[not(*)]", "[count(*) > 2]", "[../id = 'b' or name]", "[id='a'][last()]"),
    ]
)
AXES = st.sampled_from(
    [
        "following::*",
        "preceding::*",
        "following-sibling::*",
        "preceding-sibling::*",
        "ancestor::*",
        "ancestor-or-self::*",
    ]
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    steps = [draw(st.sampled_from(["/", "//"]))]
    for number in range(draw(st.integers(1, 4))):
        step = draw(STEPS | AXES) + draw(PREDICATES)
        steps.append(step.replace("..[", "parent::*[").replace(".[", "self::*[") if step.startswith(".") else step)
        steps.append("/" if number < 3 else "")
    return "".join(steps).rstrip("/")


def _plain_schema() -> Schema:
    """The probe schema with nothing implicit, so that only what is written is there."""
    schema = probe_schema()
    for node in schema.root.descendants():
        node.default = None
        node.defaults = ()
        node.presence = True
    return schema


PLAIN = _plain_schema()


def plain(data: object, node: SchemaNode) -> object:
    """The same data under PLAIN; anydata left out, which XPath cannot look into."""
    if isinstance(data, Inner):
        below = [(node.child(schema.qualified_name), data) for schema, data in data.children.items()]
        return Inner(node, {child: plain(data, child) for child, data in below if child.kind is not Kind.ANYDATA})
    if isinstance(data, ListNode):
        return ListNode(node, {key: plain(entry, node) for key, entry in data.entries.items()})
    return data


@given(trees(), expressions())
@settings(max_examples=300, deadline=None)
def test_node_sets_agree_with_libxml2(tree: Inner, text: str) -> None:
    """Where nothing is implicit an expression selects the same nodes in the same order as libxml2 does."""
    root = plain(tree, PLAIN.root)
    if not root.children:
        return
    document = etree.fromstring(to_bytes(root).replace(f' xmlns="{P}"'.encode(), b""))
    ours = xpath.compile(text, {}, None, PLAIN).nodes(Ref.root(root))
    theirs = document.getroottree().xpath(text)
    assert [named(node) for node in ours if node.parent is not None] == [
        f"text of {node.getparent().tag}" if isinstance(node, str) else node.tag for node in theirs
    ]


def named(node: Ref) -> str:
    return f"text of {node.schema.name}" if isinstance(node, Text) else node.schema.name


def test_text_nodes_have_the_path_of_their_leaf() -> None:
    """Selecting text() gives something whose path is that of the leaf."""
    [node] = compiled("/site/limit/text()").nodes(Ref.root(ROOT))
    assert node.path == (Step(SITE), Step(SITE.child("limit")))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/p:site/p:box[p:id='a']/p:port[p:name=\"1\"]", "/p:site/p:box[p:id='a']/p:port[p:name='1']"),
        ("/p:site/box[id='a']", "/p:site/p:box[p:id='a']"),
        (
            "/p:site/slot[kind='probe-shapes:circle'][number='7']",
            "/p:site/p:slot[p:number='7'][p:kind='probe-shapes:circle']",
        ),
        ("/p:site/p:watch[.='a']", "/p:site/p:watch[.='a']"),
        ("/p:site/p:event[2]", "/p:site/p:event[2]"),
        ("/p:site/p:mode", "/p:site/p:mode"),
    ],
)
def test_instance_identifiers_become_paths(text: str, path: str) -> None:
    """An instance-identifier is read into the Path it names, keys in schema order and canonical."""
    assert path_text(from_instance_identifier(text, PREFIXES.get, SCHEMA)).text == path


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "/", "/site", "/x:site", "/p:nobody", "/p:site/p:box", "/p:site/p:box['a']", "/p:site/p:box[1]"),
        *("/p:site/p:box[p:id='a'][p:id='a']", "/p:site/p:mode[.='a']", "/p:site/p:link[p:from='a']", "//p:site"),
        *("/p:site/p:slot[p:number='x'][p:kind='y']", "/p:site/..", "/p:*", "/p:site/p:watch", "count(/p:site)"),
        *("/p:site/p:event[0]", "/p:site/p:box[p:nested='a']"),
    ],
)
def test_what_is_no_instance_identifier_is_refused(text: str) -> None:
    """Anything but a path that names exactly one node is an XPathFault."""
    with pytest.raises(XPathFault):
        from_instance_identifier(text, PREFIXES.get, SCHEMA)


@given(st.text(alphabet="/[]()@*|.'\"=<>!+-:, $abnid orp1", max_size=60))
@settings(max_examples=500, deadline=None)
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    """Whatever a client sends, it is an expression or an XPathFault, evaluated or stopped by its budget."""
    with contextlib.suppress(XPathFault, BudgetExceeded):
        xpath.compile(text, PREFIXES, None, SCHEMA).evaluate(Ref.root(ROOT), budget=Budget(100_000))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        *[("a*", "aaa"), ("(a|b)+c{2,3}", "abccc"), ("(a|b)+c{2,3}", "abcccc"), ("x{0}y", "y"), ("a?b", "")],
        *[("[a-z-[aeiou]]+", "xyz"), ("[a-z-[aeiou]]+", "xyaz"), (r"\d{1,3}\.\d", "12.4"), ("", ""), (".", "\n")],
        *[(r"\p{L}+", "äb"), ("(a{2}){3}", "a" * 6), ("(ab?)*", "aabab"), (r"[\]a]", "]"), ("a{2,}", "a")],
        *[("a{2,}", "aaaa"), ("(|a)b", "b"), ("((){9}){9}", "")],
    ],
)
def test_linear_matcher_agrees_with_re(pattern: str, text: str) -> None:
    """The matcher of untrusted patterns decides as the translated pattern in Python's re does."""
    assert Matcher(pattern).matches(text, lambda _: None) == bool(compile_pattern(pattern).fullmatch(text))


def test_hostile_patterns_do_not_stall() -> None:
    """A pattern that backtracking would take years for is decided within a bounded number of steps."""
    budget = Budget(100_000)
    assert not matcher("(a+)+b").matches("a" * 5_000, budget.spend)
    with pytest.raises(PatternFault, match="repeats too much"):
        Matcher("(a{1000}){1000}")
    assert Matcher("(((){1000}){1000}){1000}").matches("", lambda _: None)


def test_constraints_of_the_schema_are_compiled_once() -> None:
    """A must is compiled the first time it is asked for and kept with the schema."""
    must = BOX.musts[0]
    assert expression(SCHEMA, must, BOX) is expression(SCHEMA, must, BOX)


def test_nested_predicates_compile_in_linear_time() -> None:
    """Predicates inside each other do not multiply the work of the compiler."""

    def work(depth: int) -> int:
        text = "/site/box" + "[id=/site/box" * depth + "]" * depth
        assert parse(text) is not None
        return calls(lambda: compiled(text))

    assert work(MAX_DEPTH - 1) < 3 * work((MAX_DEPTH - 1) // 2)
