"""Whatever well-formed XML comes as an edit or a filter: an answer or an error, never anything else."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.edit import Edited, apply_edit
from eman_netconf.datastore.select import compile_subtree, compile_xpath, prune, stream
from eman_netconf.errors import BASE_NS, YANG_NS, RpcError, RpcErrors
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner
from tests.datastore.test_record import replay, settled
from tests.datastore.test_select import DATA
from tests.datastore.toy import tree

OPERATIONS = ("merge", "replace", "create", "delete", "remove", "none")
KEYS = ("[name='a'][kind='toy:round']", '[name="b"]', "[", "a")
TEXTS = ("", " ", "1", "2", "a", "b", "toy:round", "square", "-1", "1.50", "ä", "\n a \n")
ATTRIBUTES = [
    *((f"{{{BASE_NS}}}operation", operation) for operation in OPERATIONS * 3),
    *((f"{{{YANG_NS}}}insert", place) for place in ("first", "last", "before", "after", "aside")),
    *((f"{{{YANG_NS}}}key", key) for key in KEYS),
    *((f"{{{YANG_NS}}}value", value) for value in ("a", "b", "")),
    *(("operation", "delete"), ("{urn:other}a", "b"), ("type", "xpath")),
]
STRANGE = ("{urn:toy}x", "{urn:toy}box", "{urn:toy}id", "box", "id", "{urn:other}box")
MAP = {None: "urn:toy", "toy": "urn:toy", "nc": BASE_NS, "yang": YANG_NS}


EDITED = (
    "<box><name>a</name><tag>a</tag><step>a</step><step>b</step><sand>1</sand></box><shelf><item><id>a</id></item>"
    "<item><id>b</id></item><queue><name>a</name><kind>toy:round</kind></queue></shelf><motto>m</motto>"
)
WORDS = [
    *("/", "//", "/t:shelf", "/t:item", "t:", "box", "item", "shelf", "[", "]", "[t:id='a']", "'a'", "1", "=", "|"),
    *("*", "@", "(", ")", "id", ".", "..", "count", "text()", "node()", " and ", "$x", "::", "self"),
]


def below(random: Random, node: SchemaNode, parent: etree._Element) -> None:
    """Fill an element with children that mostly fit its schema node."""
    nodes = list(node.children.values())
    chosen = random.choices(nodes, k=random.randrange(4)) if nodes else []
    for child in [*(node.keys if random.random() < 0.9 else ()), *chosen]:
        strange = random.random() < 0.03
        element = etree.SubElement(parent, random.choice(STRANGE) if strange else child.tag)
        if random.random() < 0.15:
            element.set(*random.choice(ATTRIBUTES))
        if child.children and random.random() < 0.95:
            below(random, child, element)
        else:
            element.text = random.choice(TEXTS)


def document(random: Random, schema: Schema) -> etree._Element:
    """A <config> or <filter> of the small schema, or nearly so."""
    root = etree.Element(f"{{{BASE_NS}}}config", nsmap=MAP)
    below(random, schema.root, root)
    return root


def test_any_edit(toy: Schema) -> None:
    """An edit of anything is refused with errors that have a place, or makes a tree that its record makes again."""

    old = settled(toy, tree(toy, EDITED))
    seen = {"refused": 0, "changed": 0}

    @settings(max_examples=200, deadline=None)
    @given(st.randoms(use_true_random=False), st.sampled_from(("merge", "replace", "none")), st.booleans())
    def edit(random: Random, default: str, keep_going: bool) -> None:
        config = document(random, toy)
        result = attempt(toy, old, config, default_operation=Operation(default), keep_going=keep_going)
        if isinstance(result, RpcErrors):
            seen["refused"] += 1
            assert all(error.message and error.path is not None for error in result.errors)
            return
        seen["changed"] += result.root is not old
        change = diff(old, result.root, result.touched)
        assert (change is None) == (result.root == old)
        if change is not None:
            assert replay(toy, old, change).xml() == result.root.xml()

    edit()
    assert seen["refused"] > 10
    assert seen["changed"] > 10


def attempt(schema: Schema, old: Inner, config: etree._Element, **options: Any) -> Edited | RpcErrors:
    try:
        return apply_edit(old, config, schema, **options)
    except RpcErrors as refusal:
        return refusal


def test_any_filter(toy: Schema) -> None:
    """A filter of anything selects a part of the data, the same at once and as a stream, and the same of that part."""
    root = tree(toy, DATA)

    @settings(max_examples=200, deadline=None)
    @given(st.randoms(use_true_random=False))
    def select(random: Random) -> None:
        selection = compile_subtree(document(random, toy), toy)
        part = prune(selection, root)
        assert b"".join(stream(selection, root)) == part.xml()
        assert contains(root, part)
        assert prune(selection, part) == part

    select()


def contains(whole: Inner, part: Inner) -> bool:
    """Whether every node of a part is in the whole."""
    change = diff(part, whole)
    return change is None or all(each.old is None or each.new is not None for each in change.children)


def test_any_expression(toy: Schema) -> None:
    """An XPath filter of anything selects something, the same at once and as a stream, or is refused."""
    root = tree(toy, DATA)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(WORDS), max_size=12))
    def select(words: list[str]) -> None:
        with suppress(RpcError):
            selection = compile_xpath("".join(words), {"t": "urn:toy"}, toy)
            assert b"".join(stream(selection, root)) == prune(selection, root).xml()

    select()
