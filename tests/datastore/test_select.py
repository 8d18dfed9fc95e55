"""Filters: subtree (RFC 6241 section 6) and XPath (section 8.9), applied at once and as a stream."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterator, Mapping

import pytest

from eman_netconf.datastore.evaluate import EVERY
from eman_netconf.datastore.select import (
    EVERYTHING,
    Selection,
    compile_subtree,
    compile_xpath,
    joined,
    prune,
    settling,
    slices,
    stream,
)
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang import xpath
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode
from tests.datastore.toy import config, plain, tree

DATA = (
    "<box><name>big</name><size>1.5</size><shape>toy:round</shape><height>3</height><tag>a</tag><tag>b</tag>"
    "<lid/><inside><depth>1</depth><more><note>n</note></more></inside></box>"
    "<shelf><item><id>a</id><value>1</value><note>x</note><state><seen>5</seen></state></item>"
    "<item><id>b</id><value>1</value><part><row>1</row><column>1</column><use>u</use></part>"
    "<part><row>1</row><column>2</column></part></item>"
    "<item><id>c</id><value>2</value><note>x</note></item><limit>9</limit></shelf><motto>m</motto>"
)

ITEM_A = "<item><id>a</id><value>1</value><note>x</note><state><seen>5</seen></state></item>"
ITEM_C = "<item><id>c</id><value>2</value><note>x</note></item>"

# filter, answer
SUBTREE = {
    "no element selects nothing": ("", ""),
    "an empty element selects all of it": ("<motto/><box><lid/></box>", "<box><lid/></box><motto>m</motto>"),
    "white space is no content": ("<motto>  \n </motto>", "<motto>m</motto>"),
    "a containment element selects what its children select": (
        "<box><inside><more/></inside></box>",
        "<box><inside><more><note>n</note></more></inside></box>",
    ),
    "what nobody has is not there": ("<box><inside><more><x/></more></inside></box>", ""),
    "an unknown element beside a known one": ("<box><x/><name/></box>", "<box><name>big</name></box>"),
    "an unknown namespace": ('<box xmlns="urn:other"/>', ""),
    "no namespace means any": ('<box xmlns=""><name/></box>', "<box><name>big</name></box>"),
    "no namespace means any for content too": (
        '<shelf xmlns=""><item><id>c</id></item></shelf>',
        f"<shelf>{ITEM_C}</shelf>",
    ),
    "an attribute matches nothing": ('<box><name a="1"/><size/></box>', "<box><size>1.5</size></box>"),
    "content with an attribute matches nothing": ('<box><name a="1">big</name><size/></box>', ""),
    "all of a list": (
        "<shelf><item><id/></item></shelf>",
        "<shelf><item><id>a</id></item><item><id>b</id></item><item><id>c</id></item></shelf>",
    ),
    "keys come along": (
        "<shelf><item><note/></item></shelf>",
        "<shelf><item><id>a</id><note>x</note></item><item><id>c</id><note>x</note></item></shelf>",
    ),
    "keys come along below as well": (
        "<shelf><item><part><use/></part></item></shelf>",
        "<shelf><item><id>b</id><part><row>1</row><column>1</column><use>u</use></part></item></shelf>",
    ),
    "one entry by key": ("<shelf><item><id>c</id></item></shelf>", f"<shelf>{ITEM_C}</shelf>"),
    "one entry by key with surrounding space": (
        "<shelf><item><id>\n c </id></item></shelf>",
        f"<shelf>{ITEM_C}</shelf>",
    ),
    "an entry that is not there": ("<shelf><item><id>z</id></item><limit/></shelf>", "<shelf><limit>9</limit></shelf>"),
    "a part of one entry by key": (
        "<shelf><item><id>c</id><value/></item></shelf>",
        "<shelf><item><id>c</id><value>2</value></item></shelf>",
    ),
    "one entry by one of two keys": (
        "<shelf><item><part><column>2</column></part></item></shelf>",
        "<shelf><item><id>b</id><part><row>1</row><column>2</column></part></item></shelf>",
    ),
    "one entry by two keys": (
        "<shelf><item><id>b</id><part><column>1</column><row>01</row></part></item></shelf>",
        "<shelf><item><id>b</id><part><row>1</row><column>1</column><use>u</use></part></item></shelf>",
    ),
    "entries by content": (
        "<shelf><item><value>1</value><id/></item></shelf>",
        "<shelf><item><id>a</id><value>1</value></item><item><id>b</id><value>1</value></item></shelf>",
    ),
    "content that all must match": (
        "<shelf><item><value>1</value><note>x</note></item></shelf>",
        f"<shelf>{ITEM_A}</shelf>",
    ),
    "the same leaf with two values": ("<shelf><item><id>a</id><id>b</id></item></shelf>", ""),
    "two filters of one list are two chances": (
        "<shelf><item><id>c</id></item><item><id>a</id><note/></item></shelf>",
        f"<shelf>{ITEM_C}<item><id>a</id><note>x</note></item></shelf>",
    ),
    "two filters that meet in one entry": (
        "<shelf><item><id>c</id><note/></item><item><value>2</value><id/></item></shelf>",
        f"<shelf>{ITEM_C}</shelf>",
    ),
    "content below an entry": (
        "<shelf><item><state><seen>5</seen></state></item></shelf>",
        "<shelf><item><id>a</id><state><seen>5</seen></state></item></shelf>",
    ),
    "content in a container": (
        "<box><name>big</name><size/></box>",
        "<box><name>big</name><size>1.5</size></box>",
    ),
    "content that differs ends its level alone": ("<box><name>small</name><size/></box><motto/>", "<motto>m</motto>"),
    "content is compared as a value": ("<box><size>+1.50</size><lid/></box>", "<box><size>1.5</size><lid/></box>"),
    "content that is no value": ("<box><size>much</size><lid/></box>", ""),
    "an identity by its prefix": (
        '<box><shape xmlns:t="urn:toy">t:round</shape><lid/></box>',
        "<box><shape>toy:round</shape><lid/></box>",
    ),
    "an identity by the default namespace": (
        "<box><shape>round</shape><lid/></box>",
        "<box><shape>toy:round</shape><lid/></box>",
    ),
    "a leaf-list has one of its values": (
        "<box><tag>b</tag><name/></box>",
        "<box><name>big</name><tag>b</tag></box>",
    ),
    "a leaf-list has both of its values": (
        "<box><tag>b</tag><tag>a</tag></box><motto/>",
        ("<box><name>big</name><size>1.5</size><shape>toy:round</shape><height>3</height><tag>a</tag><tag>b</tag>"
        "<lid/><inside><depth>1</depth><more><note>n</note></more></inside></box><motto>m</motto>"),
    ),
    "a leaf-list lacks a value": ("<box><tag>a</tag><tag>c</tag></box>", ""),
    "a top-level leaf by content": ("<motto>m</motto><box><lid/></box>", "<box><lid/></box><motto>m</motto>"),
    "a top-level leaf that differs": ("<motto>n</motto><box><lid/></box>", ""),
    "content of a container is no match": ("<box>big</box>", ""),
    "elements below a leaf are no match": ("<box><name><x/></name></box>", ""),
    "the answer is in the order of the schema": (
        "<motto/><box><size/><name/></box>",
        "<box><name>big</name><size>1.5</size></box><motto>m</motto>",
    ),
}  # fmt: skip


def subtree(schema: Schema, body: str) -> Selection:
    return compile_subtree(config(body), schema)


def streamed(selection: Selection, root: Inner) -> bytes:
    return b"".join(stream(selection, root))


@pytest.mark.parametrize(("asked", "answer"), SUBTREE.values(), ids=SUBTREE)
def test_subtree(toy: Schema, asked: str, answer: str) -> None:
    """A subtree filter selects this, pruned and streamed alike."""
    root = tree(toy, DATA)
    selection = subtree(toy, asked)
    assert plain(prune(selection, root)) == answer
    assert streamed(selection, root) == prune(selection, root).xml()


PREFIXES: dict[str | None, str] = {"t": "urn:toy", None: "urn:ignored"}

XPATH = {
    "/t:box/t:inside/t:more": "<box><inside><more><note>n</note></more></inside></box>",
    "/t:shelf/t:item[t:id='c']": f"<shelf>{ITEM_C}</shelf>",
    "/t:shelf/t:item[t:note]/t:value": (
        "<shelf><item><id>a</id><value>1</value></item><item><id>c</id><value>2</value></item></shelf>"
    ),
    "//t:use": "<shelf><item><id>b</id><part><row>1</row><column>1</column><use>u</use></part></item></shelf>",
    "/t:box/t:tag[.='b'] | /t:motto": "<box><tag>b</tag></box><motto>m</motto>",
    "/t:shelf/t:item[t:id='c'] | /t:shelf/t:item/t:note": (
        f"<shelf><item><id>a</id><note>x</note></item>{ITEM_C}</shelf>"
    ),
    "/t:motto/text()": "<motto>m</motto>",
    "/t:box/t:mode": "",
    "/t:nothing": "",
    "t:shelf/t:item[t:id='b']/t:part[t:row='1' and '2'=t:column]": (
        "<shelf><item><id>b</id><part><row>1</row><column>2</column></part></item></shelf>"
    ),
    "//item/value": (
        "<shelf><item><id>a</id><value>1</value></item><item><id>b</id><value>1</value></item>"
        "<item><id>c</id><value>2</value></item></shelf>"
    ),
    "/t:shelf//t:part[t:column='1']/*": (
        "<shelf><item><id>b</id><part><row>1</row><column>1</column><use>u</use></part></item></shelf>"
    ),
    "/t:shelf/t:item[t:value='1']/t:id": "<shelf><item><id>a</id></item><item><id>b</id></item></shelf>",
    "/t:shelf/t:item[t:id='a'][t:id='b']": "",
    "/t:box/t:tag": "<box><tag>a</tag><tag>b</tag></box>",
    "/t:box[t:mode='off']/t:name": "<box><name>big</name></box>",
    "/t:box/t:size[.='1.5']": "<box><size>1.5</size></box>",
    "//*[local-name()='depth']": "<box><inside><depth>1</depth></inside></box>",
    "/t:shelf/t:item[t:id=string('c')]/t:note": "<shelf><item><id>c</id><note>x</note></item></shelf>",
    "//t:motto | //t:depth | /t:shelf/t:limit": (
        "<box><inside><depth>1</depth></inside></box><shelf><limit>9</limit></shelf><motto>m</motto>"
    ),
    "/t:shelf/t:item[1]/t:note": "<shelf><item><id>a</id><note>x</note></item></shelf>",
}


@pytest.mark.parametrize(("expression", "answer"), XPATH.items())
def test_xpath(toy: Schema, expression: str, answer: str) -> None:
    """An XPath filter selects subtrees with their ancestors and keys; defaults nobody set are not shown."""
    root = tree(toy, DATA)
    selection = compile_xpath(expression, PREFIXES, toy)
    assert plain(prune(selection, root)) == answer
    assert streamed(selection, root) == prune(selection, root).xml()


@pytest.mark.parametrize("expression", XPATH)
def test_xpath_picked_or_evaluated(toy: Schema, expression: str) -> None:
    """A path that is turned into a filter selects what its evaluation selects."""
    root = tree(toy, DATA)
    evaluated = Selection(expression=xpath.compile(expression, {"t": "urn:toy"}, None, toy))
    assert prune(compile_xpath(expression, PREFIXES, toy), root) == prune(evaluated, root)


def test_xpath_of_the_root_is_everything(toy: Schema) -> None:
    """The expression / selects all there is."""
    root = tree(toy, DATA)
    assert prune(compile_xpath("/", PREFIXES, toy), root) is root


@pytest.mark.parametrize(
    ("expression", "tag"),
    [
        ("/t:box[", ErrorTag.INVALID_VALUE),
        ("/x:box", ErrorTag.INVALID_VALUE),
        ("count(/t:box)", ErrorTag.INVALID_VALUE),
        ("'text'", ErrorTag.INVALID_VALUE),
    ],
)
def test_bad_xpath(toy: Schema, expression: str, tag: ErrorTag) -> None:
    """An expression that cannot be read or gives no nodes is refused before the first byte of an answer."""
    with pytest.raises(RpcError) as caught:
        stream(compile_xpath(expression, PREFIXES, toy), tree(toy, DATA))
    assert caught.value.tag == tag


def test_costly_xpath(toy: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that takes too many steps is given up."""
    monkeypatch.setattr("eman_netconf.datastore.evaluate.BUDGET", 50)
    with pytest.raises(RpcError) as caught:
        prune(compile_xpath("//*[count(//*) > 3]", PREFIXES, toy), tree(toy, DATA))
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED


def test_costly_xpath_gives_others_their_turn(toy: Schema) -> None:
    """An expression that looks at very many nodes pauses every so many of them, and says in the end what it says."""
    root, made = lazily(toy, 3_000)
    selection = compile_xpath("/t:shelf/t:item[number(t:id) > 2990 or count(t:part) > 0]/t:id", PREFIXES, toy)
    assert selection.expression is not None
    steps = settling(selection, root)
    looked_at: list[int] = []
    try:
        while True:
            next(steps)
            looked_at.append(made.made)
    except StopIteration as end:
        answer = b"".join(end.value)
    assert answer == streamed(selection, root)
    assert answer.count(b"<id>") == 9
    assert max(after - before for before, after in itertools.pairwise(looked_at)) <= 2 * EVERY
    assert len(looked_at) > 3_000 / EVERY


def test_costly_xpath_is_unwound_where_it_paused(toy: Schema) -> None:
    """Who asked goes away in the middle: the evaluation goes no further."""
    root, made = lazily(toy, 3_000)
    steps = settling(compile_xpath("/t:shelf/t:item[number(t:id) > 5]", PREFIXES, toy), root)
    next(steps)
    steps.close()
    assert made.made <= EVERY + 1


def test_costly_xpath_in_steps_is_given_up(toy: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for an evaluation with pauses too."""
    monkeypatch.setattr("eman_netconf.datastore.evaluate.BUDGET", 1_000)
    root, _ = lazily(toy, 3_000)
    with pytest.raises(RpcError) as caught:
        list(settling(compile_xpath("//*[count(//*) > 3]", PREFIXES, toy), root))
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED


def test_everything(toy: Schema) -> None:
    """Without a filter all there is comes, in the order of the schema, keys first."""
    root = tree(toy, DATA)
    assert streamed(EVERYTHING, root) == root.xml()
    assert plain(prune(EVERYTHING, root)) == DATA


def test_selected_whole_is_shared(toy: Schema) -> None:
    """What is selected as a whole is the node itself, whose bytes are remembered."""
    root = tree(toy, DATA)
    pruned = prune(subtree(toy, "<shelf><item><id>c</id></item></shelf>"), root)
    before, after = root.at("shelf", "item"), pruned.at("shelf", "item")
    assert isinstance(before, ListNode)
    assert isinstance(after, ListNode)
    assert after.entries[("c",)] is before.entries[("c",)]


def test_users_order_is_kept(toy: Schema) -> None:
    """Entries asked for by key come in the order of the list where that order is the user's."""
    queue = "".join(f"<queue><name>{name}</name><kind>toy:round</kind></queue>" for name in "cab")
    asked = "".join(f"<queue><name>{name}</name><kind>toy:round</kind></queue>" for name in "bc")
    root = tree(toy, f"<shelf>{queue}</shelf>")
    answer = plain(prune(subtree(toy, f"<shelf>{asked}</shelf>"), root))
    assert answer.index("<name>c") < answer.index("<name>b")


class Made(Mapping[Key, Inner]):
    """A list whose entries are made when asked for, and counted."""

    def __init__(self, node: SchemaNode, size: int) -> None:
        self.node = node
        self.size = size
        self.made = 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Key]:
        return ((str(number),) for number in range(self.size))

    def __getitem__(self, key: Key) -> Inner:
        if not (key[0].isdigit() and int(key[0]) < self.size):
            raise KeyError(key)
        self.made += 1
        child = self.node.child
        return Inner(self.node, {child("id"): key[0], child("note"): "n" * 500})


def lazily(schema: Schema, size: int) -> tuple[Inner, Made]:
    """A tree with a list of ``size`` entries that are made when asked for."""
    shelf = schema.find("toy:shelf")
    made = Made(shelf.child("item"), size)
    inner = Inner(shelf, {shelf.child("item"): ListNode(shelf.child("item"), made)})
    return Inner(schema.root, {shelf: inner}), made


@pytest.mark.parametrize("kind", ["subtree", "xpath"])
def test_one_entry_by_key_makes_one_entry(toy: Schema, kind: str) -> None:
    """Reading one entry of a long list by key makes that entry and no other, by either filter."""
    root, made = lazily(toy, 100_000)
    if kind == "subtree":
        selection = subtree(toy, "<shelf><item><id>77777</id></item></shelf>")
    else:
        selection = compile_xpath("/t:shelf/t:item[t:id='77777']/t:note", PREFIXES, toy)
    assert b"<id>77777</id>" in streamed(selection, root)
    assert made.made <= 3


def test_thousands_of_keys(toy: Schema) -> None:
    """A filter that names thousands of entries costs as many look-ups, and no entry is made twice."""
    root, made = lazily(toy, 10_000)
    asked = "".join(f"<item><id>{number}</id></item>" for number in range(5_000))
    assert len(streamed(subtree(toy, f"<shelf>{asked}</shelf>"), root)) > 2_500_000
    assert made.made == 5_000


def test_thousands_of_conditions(toy: Schema) -> None:
    """A filter that would try thousands of conditions on every entry is refused."""
    asked = "".join(f"<item><value>{number}</value></item>" for number in range(5_000))
    with pytest.raises(RpcError) as caught:
        subtree(toy, f"<shelf>{asked}</shelf>")
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED


def test_a_filter_of_many_elements(toy: Schema) -> None:
    """A filter that would take long to read is refused."""
    with pytest.raises(RpcError) as caught:
        subtree(toy, "<shelf>" + "<item><id>a</id></item>" * 10_001 + "</shelf>")
    assert caught.value.tag == ErrorTag.RESOURCE_DENIED


def test_many_ways_to_the_same_nodes(toy: Schema) -> None:
    """An expression that would come to very many picks is evaluated instead, where its steps are counted."""
    path = "//*//*//*"
    assert compile_xpath(path, PREFIXES, toy).pick is not None
    assert compile_xpath("|".join([path] * 64), PREFIXES, toy).pick is None


def test_the_same_thousands_of_times(toy: Schema) -> None:
    """Saying the same element over and over costs nothing more than reading it."""
    selection = subtree(toy, "<box>" + "<tag/><name/><inside/>" * 6_000 + "</box>")
    root = tree(toy, DATA)
    assert plain(prune(selection, root)).startswith("<box><name>big</name><tag>a</tag><tag>b</tag><inside>")
    assert selection.pick is not None
    (box,) = selection.pick.children[toy.find("toy:box")]
    assert {len(picks) for picks in box.children.values()} == {1}


@pytest.mark.parametrize("kind", ["subtree", "xpath"])
def test_stream_is_flat(toy: Schema, kind: str) -> None:
    """Streaming a long list that is made on the way holds a few entries at a time, for either filter."""
    root, made = lazily(toy, 5_000)
    if kind == "subtree":
        selection = subtree(toy, "<shelf><item><note/></item></shelf>")
    else:
        selection = compile_xpath("//t:item/t:note", PREFIXES, toy)
    gc.collect()
    tracemalloc.start()
    size = sum(len(part) for part in stream(selection, root))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.made == 5_000
    assert size > 2_500_000
    assert peak < 400_000


def test_stream_has_a_slice_for_each_entry(toy: Schema) -> None:
    """A long list comes entry by entry, joined to packets of a useful size."""
    root, _ = lazily(toy, 1_000)
    parts = list(slices(EVERYTHING, root))
    assert len(parts) == 1_002
    packets = list(joined(iter(parts)))
    assert b"".join(packets) == b"".join(parts)
    assert all(len(packet) >= 32_768 for packet in packets[:-1])
