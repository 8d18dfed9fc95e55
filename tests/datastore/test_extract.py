"""What of selected nodes is answered: depth, configuration or state, origins, without defaults (RFC 8526, RFC 6243)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eman_netconf.datastore.edit import at_once
from eman_netconf.datastore.evaluate import picking
from eman_netconf.datastore.extract import ALL, Sieve, extract
from eman_netconf.datastore.select import EVERYTHING, SILENT, Selection, compile_subtree, compile_xpath, joined, prune
from eman_netconf.errors import ErrorTag
from eman_netconf.yang import xpath
from eman_netconf.yang.annotated import ORIGIN_NS, Annotated
from eman_netconf.yang.defaults import reported
from eman_netconf.yang.origin import Origin, sourced
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, walk
from eman_netconf.yang.validate import validate
from tests.datastore.test_select import DATA, SUBTREE
from tests.datastore.toy import config, plain, tree
from tests.yang.trees import Grower, probe_schema
from tests.yang.trees import edited as grown

PROBE = probe_schema()


def printed(root: Inner) -> str:
    """A view as it is sent, without namespaces."""

    class Sent:
        @staticmethod
        def xml() -> bytes:
            return b"".join(Annotated(tagged=False, origins=False).slices(root))

    return plain(Sent())  # type: ignore[arg-type]  # all that plain asks of a tree


def extracted(schema: Schema, filter_: str | None, sieve: Sieve) -> str:
    selection = EVERYTHING if filter_ is None else compile_subtree(config(filter_), schema)
    assert selection.pick is not None
    return printed(extract(selection.pick, tree(schema, DATA), sieve))


def xpath_pick(schema: Schema, text: str, root: Inner) -> Selection:
    """What an expression selects, evaluated even where it need not be."""
    expression = xpath.compile(text, {"t": "urn:toy"}, None, schema)
    return Selection(at_once(picking(expression, root)))


@pytest.mark.parametrize("filter_", [body for body, _ in SUBTREE.values()], ids=list(SUBTREE))
def test_open_sieve_is_the_filter(toy: Schema, filter_: str) -> None:
    """Without further wishes the answer is that of the filter."""
    selection = compile_subtree(config(filter_), toy)
    assert extracted(toy, filter_, ALL) == plain(prune(selection, tree(toy, DATA)))


@pytest.mark.parametrize(
    "text",
    [
        *("/", "//t:note", "/t:shelf/t:item[t:value=1]", "//t:tag[.='b']", "/t:box/t:inside | //t:part[t:column='2']"),
        *("//t:item[position()=2]/t:part/t:use", "/t:nothing"),
    ],
)
def test_picks_of_an_expression(toy: Schema, text: str) -> None:
    """An expression evaluated to picks selects what it selects evaluated to a tree."""
    root = tree(toy, DATA)
    pick = xpath_pick(toy, text, root).pick
    assert pick is not None
    assert printed(extract(pick, root, ALL)) == plain(prune(compile_xpath(text, {"t": "urn:toy"}, toy), root))


INSIDE = "<inside><depth>1</depth><more><note>n</note></more></inside>"


@pytest.mark.parametrize(
    ("filter_", "depth", "answer"),
    {
        "all, one level": (None, 1, "<box/><shelf/><motto>m</motto>"),
        "all, two levels": (
            None,
            2,
            (
                "<box><name>big</name><size>1.5</size><shape>toy:round</shape><height>3</height><tag>a</tag><tag>b</tag>"
                "<lid/><inside/></box>"
                "<shelf><item><id>a</id></item><item><id>b</id></item><item><id>c</id></item><limit>9</limit></shelf>"
                "<motto>m</motto>"
            ),
        ),
        "counted from what is selected": (
            "<box><inside/></box>",
            2,
            "<box><inside><depth>1</depth><more/></inside></box>",
        ),
        "deep enough": ("<box><inside/></box>", 3, f"<box>{INSIDE}</box>"),
        "a leaf is one level": (
            "<box><inside><depth/></inside></box>",
            1,
            "<box><inside><depth>1</depth></inside></box>",
        ),
        "an entry keeps its keys": (
            "<shelf><item><id>b</id></item></shelf>",
            1,
            "<shelf><item><id>b</id></item></shelf>",
        ),
        "an entry's children": (
            "<shelf><item><id>b</id></item></shelf>",
            2,
            (
                "<shelf><item><id>b</id><value>1</value><part><row>1</row><column>1</column></part>"
                "<part><row>1</row><column>2</column></part></item></shelf>"
            ),
        ),
    }.values(),
)
@pytest.mark.parametrize("filters", ["subtree", "xpath"])
def test_depth(toy: Schema, filter_: str | None, depth: int, answer: str, filters: str) -> None:
    """max-depth counts levels from each selected node, which is the first; list entries always have their keys."""
    if filters == "subtree" or filter_ is None:
        assert extracted(toy, filter_, Sieve(depth=depth)) == answer
        return
    text = {"<box><inside/></box>": "/t:box/t:inside", "<box><inside><depth/></inside></box>": "//t:depth"}
    root = tree(toy, DATA)
    pick = xpath_pick(toy, text.get(filter_, "//t:item[t:id='b']"), root).pick
    assert pick is not None
    assert printed(extract(pick, root, Sieve(depth=depth))) == answer


@pytest.mark.parametrize("evaluate", [True, False])
@pytest.mark.parametrize(
    ("text", "depth", "answer"),
    [
        ("//*", 1, DATA),
        ("/t:box | /t:box/t:inside/t:more", 1, "<box><inside><more/></inside></box>"),
        ("/t:box | /t:box/t:inside/t:more", 2, None),
        (
            "/t:shelf | //t:item[t:id='b']",
            2,
            (
                "<shelf><item><id>a</id></item><item><id>b</id><value>1</value>"
                "<part><row>1</row><column>1</column></part><part><row>1</row><column>2</column></part></item>"
                "<item><id>c</id></item><limit>9</limit></shelf>"
            ),
        ),
        (
            "/t:shelf | //t:item[t:id='b']/t:part[t:row='1'][t:column='1']",
            1,
            "<shelf><item><id>b</id><part><row>1</row><column>1</column></part></item></shelf>",
        ),
    ],
)
def test_depth_of_nodes_inside_each_other(
    toy: Schema, text: str, depth: int, answer: str | None, *, evaluate: bool
) -> None:
    """Each selected node has its levels, also inside another one (RFC 8526 section 3.1.1)."""
    root = tree(toy, DATA)
    selection = xpath_pick(toy, text, root) if evaluate else compile_xpath(text, {"t": "urn:toy"}, toy)
    assert selection.pick is not None
    found = printed(extract(selection.pick, root, Sieve(depth=depth)))
    if answer is None:
        answer = (
            "<box><name>big</name><size>1.5</size><shape>toy:round</shape><height>3</height><tag>a</tag><tag>b</tag>"
            "<lid/><inside><more><note>n</note></more></inside></box>"
        )
    assert found == answer


@pytest.mark.parametrize(
    ("filter_", "wanted", "answer"),
    [
        (
            None,
            False,
            "<box><height>3</height></box><shelf><item><id>a</id><state><seen>5</seen></state></item></shelf>",
        ),
        ("<shelf/>", False, "<shelf><item><id>a</id><state><seen>5</seen></state></item></shelf>"),
        (
            "<shelf><item><id>a</id></item></shelf>",
            True,
            "<shelf><item><id>a</id><value>1</value><note>x</note></item></shelf>",
        ),
        ("<shelf><item><note/></item></shelf>", False, ""),
        (
            "<shelf><item><value>1</value><state/></item></shelf>",
            False,
            "<shelf><item><id>a</id><state><seen>5</seen></state></item></shelf>",
        ),
        ("<box><lid/><height/></box>", True, "<box><lid/></box>"),
        ("<motto/>", False, ""),
    ],
)
def test_configuration_or_state(toy: Schema, filter_: str | None, wanted: bool, answer: str) -> None:
    """config-filter leaves configuration alone or state alone, which keeps its ancestors and their keys."""
    assert extracted(toy, filter_, Sieve(config=wanted)) == answer


INTENDED = "<box><name>big</name><tag>a</tag></box><shelf><item><id>a</id><note>x</note></item></shelf>"


def learned(node: SchemaNode, data: Data, parent: Origin) -> Origin:
    return Origin.LEARNED


def origins(schema: Schema, wanted: Callable[[Origin], bool] | None = None) -> str:
    """What passes of DATA, of which INTENDED is configured, with its origins by their names in brackets."""
    root = sourced(tree(schema, DATA), tree(schema, INTENDED), learned)
    assert EVERYTHING.pick is not None
    text = b"".join(Annotated(tagged=False, origins=True).slices(extract(EVERYTHING.pick, root, Sieve(origin=wanted))))
    for origin in ("intended", "learned"):
        text = text.replace(f' xmlns:or="{ORIGIN_NS}" or:origin="or:{origin}"'.encode(), f" o='{origin}'".encode())
    return text.decode().replace(' xmlns="urn:toy"', "").replace(' xmlns:toy="urn:toy"', "")


def test_origins_where_they_change(toy: Schema) -> None:
    """Each top node tells its origin, others theirs where it is not their parent's; state and keys none."""
    assert origins(toy) == (
        "<box o='intended'><name>big</name><size o='learned'>1.5</size><shape o='learned'>toy:round</shape>"
        "<height>3</height><tag>a</tag><tag o='learned'>b</tag><lid o='learned'/>"
        "<inside o='learned'><depth>1</depth><more><note>n</note></more></inside></box>"
        "<shelf o='intended'><item><id>a</id><value o='learned'>1</value><note>x</note>"
        "<state><seen>5</seen></state></item>"
        "<item o='learned'><id>b</id><value>1</value><part><row>1</row><column>1</column><use>u</use></part>"
        "<part><row>1</row><column>2</column></part></item>"
        "<item o='learned'><id>c</id><value>2</value><note>x</note></item>"
        "<limit o='learned'>9</limit></shelf><motto o='learned'>m</motto>"
    )


def test_filters_by_origin(toy: Schema) -> None:
    """Configuration of other origins goes; what is left keeps its ancestors, and state stays as it was."""
    assert origins(toy, lambda origin: origin is Origin.INTENDED) == (
        "<box o='intended'><name>big</name><height>3</height><tag>a</tag></box>"
        "<shelf o='intended'><item><id>a</id><note>x</note><state><seen>5</seen></state></item></shelf>"
    )
    assert "<item><id>a</id><value o='learned'>1</value><state>" in origins(toy, lambda o: o is Origin.LEARNED)


@st.composite
def trees(draw: st.DrawFn) -> Inner:
    grower = Grower(draw(st.randoms(use_true_random=False)), density=draw(st.sampled_from((0.2, 0.5))))
    return grower.inner(PROBE.root)


@given(trees())
@settings(max_examples=100, deadline=None)
def test_trim_loses_nothing(root: Inner) -> None:
    """What trim leaves has the same meaning: with the defaults in use filled in it is the same tree."""
    assume(not any(error.tag == ErrorTag.UNKNOWN_ELEMENT for error in validate(PROBE, root)))  # whens that are false
    assert EVERYTHING.pick is not None
    trimmed = extract(EVERYTHING.pick, root, Sieve(trim=True))
    assert reported(PROBE, trimmed, state=False) == reported(PROBE, root, state=False)
    assert extract(EVERYTHING.pick, trimmed, Sieve(trim=True)) == trimmed


def config_values(inner: Inner) -> set[tuple[Path, SchemaNode, str]]:
    """Each value of a leaf or leaf-list that is configuration, with its place; keys, which go along, left out."""
    found: set[tuple[Path, SchemaNode, str]] = set()
    for step, data in walk(inner):
        node = step[-1].schema
        if node.config and not node.is_key and isinstance(data, str | tuple):
            found.update((step, node, value) for value in ((data,) if isinstance(data, str) else data))
    return found


@given(st.randoms(use_true_random=False), st.sampled_from([*Origin]))
@settings(max_examples=100, deadline=None)
def test_an_origin_and_all_others_are_everything(random: Random, origin: Origin) -> None:
    """What is of one origin and what is of any other have nothing in common and are all there is."""
    grower = Grower(random, state=True)
    root = grower.inner(PROBE.root)
    view = sourced(reported(PROBE, grown(grower, root), state=True), root, learned)
    assert EVERYTHING.pick is not None
    of_it = config_values(extract(EVERYTHING.pick, view, Sieve(origin=lambda each: each is origin)))
    others = config_values(extract(EVERYTHING.pick, view, Sieve(origin=lambda each: each is not origin)))
    assert not of_it & others
    assert of_it | others == config_values(view)


class Counted(Mapping[Key, Inner]):
    """Entries that count how many were made."""

    def __init__(self, entries: Mapping[Key, Inner]) -> None:
        self.entries = entries
        self.made = 0

    def __getitem__(self, key: Key) -> Inner:
        self.made += 1
        return self.entries[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def test_entries_are_made_one_by_one(toy: Schema) -> None:
    """With every wish at once, an entry is made when its slice is asked for, once each."""
    root = tree(toy, "<shelf>" + "".join(f"<item><id>{n}</id></item>" for n in range(50)) + "</shelf>")
    shelf = toy.find("/toy:shelf")
    item = shelf.child("item")
    shelves = root.children[shelf]
    assert isinstance(shelves, Inner)
    listed = shelves.children[item]
    assert isinstance(listed, ListNode)
    counted = Counted(listed.entries)
    root = Inner(root.schema, {shelf: Inner(shelf, {item: ListNode(item, counted)})})
    view = sourced(reported(toy, root, state=True), Inner(toy.root), learned)
    assert EVERYTHING.pick is not None
    sieve = Sieve(depth=9, config=True, origin=lambda _: True, trim=True)
    sent = Annotated(tagged=True, origins=True).slices(extract(EVERYTHING.pick, view, sieve))
    for entries in range(1, 51):
        while b"<item" not in next(sent):
            pass
        assert counted.made == entries


def test_what_is_left_out_gives_others_a_turn(toy: Schema) -> None:
    """While entries are looked at and none is told, there are empty slices now and then, and nothing else."""
    root = tree(toy, "<shelf>" + "".join(f"<item><id>{n}</id></item>" for n in range(10 * SILENT)) + "</shelf>")
    asked = compile_subtree(config("<shelf><item><note>none has it</note></item></shelf>"), toy)
    assert asked.pick is not None
    sent = joined(Annotated(tagged=True, origins=False).slices(extract(asked.pick, root, ALL)))
    assert list(sent) == [b""] * 10
