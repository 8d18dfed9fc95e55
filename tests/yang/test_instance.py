"""Elements to trees: what the schema takes, and what is said of everything else."""

from __future__ import annotations

import pytest
from lxml import etree

from eman_netconf.errors import ErrorType, RpcError
from eman_netconf.safexml import parse
from eman_netconf.yang.instance import (
    MAX_ERRORS,
    entry_key,
    opaque,
    read_data,
    read_inner,
)
from eman_netconf.yang.render import to_bytes
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, Opaque, Step
from tests.work import calls
from tests.yang.conftest import Compile, module_text

MODULE = """
  identity animal; identity dog { base animal; }
  container top {
    leaf number { type uint8 { range "1..100" { error-app-tag "out-of-range"; } } }
    leaf text { type string; } leaf none { type empty; }
    leaf animal { type identityref { base animal; } }
    leaf-list item { type uint8; } leaf-list seen { config false; type uint8; }
    list row { key "a b"; leaf a { type uint8; } leaf b { type identityref { base animal; } }
               leaf value { type decimal64 { fraction-digits 1; } } container in { leaf deep { type boolean; } } }
    list log { config false; leaf line { type string; } }
    choice one { case x { leaf x1 { type string; } leaf x2 { type string; } }
                 case y { choice two { leaf y1 { type string; } leaf y2 { type string; } } } }
    anydata any; leaf state { config false; type string; }
  }
  rpc go { input { leaf n { type uint8; } } }
"""


@pytest.fixture
def small(compile_text: Compile) -> Schema:
    """The schema of MODULE."""
    return compile_text(MODULE, o=module_text("", "o"), implement=("m", "o"))


def read(schema: Schema, content: str, *, state: bool = True) -> tuple[Inner, list[RpcError]]:
    """What is read of the content of ``top``."""
    errors: list[RpcError] = []
    xml = f'<data><top xmlns="urn:m" xmlns:m="urn:m" xmlns:n="urn:n">{content}</top></data>'
    root = read_inner(parse(xml.encode()), schema.root, schema, state=state, errors=errors)
    top = root.at("top")
    assert isinstance(top, Inner)
    return top, errors


# reading ---------------------------------------------------------------------------------------------------


def test_reading(small: Schema) -> None:
    """Elements become data by kind, in canonical form, whatever their prefix, order and layout."""
    top, errors = read(
        small,
        """
        <m:row><value>01.50</value><b>m:dog</b><a>007</a><in><deep> true </deep></in></m:row>
        <item>3</item> <number>+5</number> <item>1</item> <none/>
        <log><line>x</line></log><log/><log><line>x</line></log> <seen>1</seen><seen>1</seen>
        <text> kept\tas it is
</text><animal>dog</animal><row><a>8</a><b>dog</b></row>
        <any>text<b xmlns=""><m:c/></b></any>
        """,
    )
    assert not errors
    assert top.leaf("number") == "5"
    assert top.leaf("none") == ""
    assert top.leaf("text") == " kept\tas it is\n"
    assert top.leaf("animal") == "m:dog"
    assert top.at("item") == ("3", "1")
    assert top.at("seen") == ("1", "1")
    rows, log = top.at("row"), top.at("log")
    assert isinstance(rows, ListNode)
    assert isinstance(log, ListNode)
    assert list(rows.entries) == [("7", "m:dog"), ("8", "m:dog")]
    assert rows.entries["7", "m:dog"].leaf("value") == "1.5"
    inside = rows.entries["7", "m:dog"].at("in")
    assert isinstance(inside, Inner)
    assert inside.leaf("deep") == "true"
    assert list(log.entries) == [("0",), ("1",), ("2",)]
    assert isinstance(top.at("any"), Opaque)


P = "/m:top"
FAULTS = [
    # (content, tag, part of the message, path, bad element)
    ("<number>101</number>", "invalid-value", "number must be 1..100, got 101", f"{P}/m:number", None),
    ("<number/>", "invalid-value", "number must be a whole number, got ''", f"{P}/m:number", None),
    ("<number><a/></number>", "bad-element", "number must hold a value, not elements", f"{P}/m:number", "number"),
    ("<number>1</number><number>1</number>", "bad-element", "number stands here twice", f"{P}/m:number", "number"),
    ("<nmuber>1</nmuber>", "unknown-element", "did you mean number?", P, "nmuber"),
    ("<qqq/>", "unknown-element", "qqq (namespace urn:m) is not known below top", P, "qqq"),
    ("<n:x/>", "unknown-namespace", "the namespace urn:n, which this server does not know", P, "x"),
    ("<number xmlns=''>1</number>", "unknown-namespace", "is in an element without namespace", P, "number"),
    (
        "<number xmlns='urn:o'>1</number>",
        "unknown-element",
        "number below top is in the namespace urn:m, not urn:o",
        P,
        "number",
    ),
    ("words<number>1</number>", "bad-element", "text between the elements: 'words'", P, None),
    ("<number>1</number>words", "bad-element", "text between the elements: 'words'", P, None),
    ("<row><a>1</a></row>", "missing-element", "an entry of row needs its key b", f"{P}/m:row", "b"),
    ("<row><a>1</a><b>cat</b></row>", "invalid-value", "b must be an identity", f"{P}/m:row/m:b", None),
    (
        "<row><a>01</a><b>dog</b><value>1.23</value></row>",
        "invalid-value",
        "value must have at most 1 digits",
        f"{P}/m:row[m:a='1'][m:b='m:dog']/m:value",
        None,
    ),
    (
        "<row><a>1</a><b>dog</b></row><row><b>m:dog</b><a>01</a></row>",
        "bad-element",
        "row with 1, m:dog stands here twice",
        f"{P}/m:row[m:a='1'][m:b='m:dog']",
        "row",
    ),
    ("<item>1</item><item>01</item>", "bad-element", "item with 1 stands here twice", f"{P}/m:item[.='1']", "item"),
    ("<x1>a</x1><y2>a</y2>", "bad-element", "x1 and y2 exclude each other", f"{P}/m:y2", "y2"),
    ("<y1>a</y1><y2>a</y2>", "bad-element", "choose one case of two", f"{P}/m:y2", "y2"),
]


@pytest.mark.parametrize(("content", "tag", "message", "path", "bad"), FAULTS)
def test_faults(small: Schema, content: str, tag: str, message: str, path: str, bad: str | None) -> None:
    """A fault has the tag of RFC 7950 section 8.3.1, its path, the bad element, and words for a person."""
    _, errors = read(small, content)

    assert [error.tag for error in errors] == [tag]
    assert message in errors[0].message
    assert str(errors[0].path) == path
    assert errors[0].path is not None
    assert errors[0].path.namespaces == {"m": "urn:m"}
    assert errors[0].type is ErrorType.APPLICATION
    assert {info.name: info.value for info in errors[0].info}.get("bad-element") == bad


def test_unknown_namespaces_are_named(small: Schema) -> None:
    """error-info names the namespace nobody knows (RFC 6241 appendix A)."""
    _, errors = read(small, "<n:x/>")

    assert [(info.name, info.value) for info in errors[0].info] == [("bad-element", "x"), ("bad-namespace", "urn:n")]


def test_app_tags(small: Schema) -> None:
    """The error-app-tag of a restriction is that of the error."""
    _, errors = read(small, "<number>0</number>")

    assert errors[0].app_tag == "out-of-range"


def test_several_cases_and_the_same_case(small: Schema) -> None:
    """Nodes of one case stand together."""
    assert read(small, "<x1>a</x1><x2>b</x2>")[1] == []


def test_state_is_no_configuration(small: Schema) -> None:
    """Where configuration is read, state is an unexpected element; elsewhere it is data."""
    content = "<state>on</state><log><line>x</line></log><text>t</text>"
    top, errors = read(small, content, state=False)

    assert [(error.tag, str(error.path)) for error in errors] == [
        ("unknown-element", "/m:top/m:state"),
        ("unknown-element", "/m:top/m:log"),
    ]
    assert errors[0].message == "state is state, which cannot be configured"
    assert [schema.name for schema in top.children] == ["text"]
    assert read(small, content)[1] == []


def test_everything_wrong_is_told(small: Schema) -> None:
    """All faults are gathered in document order, and what is right is read."""
    top, errors = read(small, "<number>0</number><text>t</text><qqq/><row><a>x</a><b>dog</b></row><item>1</item>")

    assert [error.tag for error in errors] == ["invalid-value", "unknown-element", "invalid-value"]
    assert str(errors[2].path) == "/m:top/m:row/m:a"
    assert (top.leaf("text"), top.at("item"), top.at("row")) == ("t", ("1",), None)


@pytest.mark.parametrize(
    "content",
    [
        "<qqq/>" * 10_000,
        "<row/>" * 10_000,
        "<number>x</number>" * 10_000,
        "<item>1</item>" * 10_000,
        "".join(f"<row><a>{number % 200}</a><b>dog</b><value>{'0' * 100}x</value></row>" for number in range(10_000)),
    ],
)
def test_faults_are_bounded(small: Schema, content: str) -> None:
    """A message full of faults gets a bounded answer, after work that grows with it and no faster."""

    def work(content: str) -> int:
        errors: list[RpcError] = []
        data = parse(f'<data><top xmlns="urn:m">{content}</top></data>'.encode())
        taken = calls(lambda: read_inner(data, small.root, small, errors=errors))
        assert len(errors) == MAX_ERRORS
        return taken

    assert work(content * 2) < 3 * work(content)


def test_long_values_and_lists_cost_what_they_weigh(small: Schema) -> None:
    """A row of a million zeros, or of many items, is read: with work that grew faster this would not end."""
    _, errors = read(small, f"<number>{'0' * 1_000_000}x</number><number>{'0' * 1_000_000}7</number>")
    assert [error.message[:50] for error in errors] == [f"number must be a whole number, got '{'0' * 14}"]
    top, errors = read(small, "".join(f"<text>{' ' * 1_000_000}</text>" + "<seen>1</seen>" * 50_000))
    assert not errors
    seen = top.at("seen")
    assert isinstance(seen, tuple)
    assert len(seen) == 50_000


def test_top_level_faults(schema: Schema) -> None:
    """What is unknown at the top has no path to tell."""
    errors: list[RpcError] = []
    read_inner(parse(b"<data><x/>y</data>"), schema.root, schema, errors=errors)

    assert [error.path for error in errors] == [None, None]
    assert any("an element without namespace" in error.message for error in errors)


def test_input_of_an_operation(small: Schema) -> None:
    """An input is read like a container; a base path stands before every path."""
    rpc = small.rpcs["urn:m", "go"]
    errors: list[RpcError] = []
    element = parse(b'<go xmlns="urn:m"><n>7</n><n>8</n></go>')
    inner = read_inner(element, rpc.child("input"), small, path=(Step(rpc),), errors=errors)

    assert inner.leaf("n") == "7"
    assert [str(error.path) for error in errors] == ["/m:go/m:n"]


def test_single_elements(small: Schema) -> None:
    """One element is read as data of its kind: an entry as Inner, an item as a tuple of one."""
    row = small.find("/m:top/row")
    errors: list[RpcError] = []

    def data(xml: str, name: str) -> object:
        element = parse(f'<{name} xmlns="urn:m">{xml}</{name}>'.encode())
        return read_data(element, small.find(f"/m:top/{name}"), small, errors=errors)

    assert data("7", "number") == "7"
    assert data("7", "item") == ("7",)
    entry = data("<a>1</a><b>dog</b>", "row")
    assert isinstance(entry, Inner)
    assert entry.key() == ("1", "m:dog")
    assert data("<z/>", "any") == Opaque(b'<z xmlns="urn:m"/>')
    assert not errors
    assert data("x", "number") is None
    assert [error.message for error in errors] == ["number must be a whole number, got 'x'"]
    element = parse(b'<row xmlns="urn:m"><b>dog</b><a>01</a></row>')
    assert entry_key(element, row) == ("1", "m:dog")
    assert entry_key(parse(b'<row xmlns="urn:m"><b>dog</b></row>'), row) is None
    assert entry_key(parse(b'<row xmlns="urn:m"><b>cat</b><a>1</a></row>'), row) is None


@pytest.mark.parametrize(
    "content",
    [
        "text &lt;&amp; only",
        "<b>1</b> between <b><c/></b>tail",
        "<b xmlns=''><c/></b>",
        "<p:b><c xmlns=''/></p:b>",
        "<p:b><c/></p:b>",
        "<b type='p:name' p:x='&quot;&lt;&#10;'>p:name</b>",
        "",
    ],
)
@pytest.mark.parametrize("default", ["", "urn:m", "urn:else"])
def test_opaque_content_means_the_same_elsewhere(small: Schema, content: str, default: str) -> None:
    """The content of anydata keeps its names and prefixes when it is printed in another document."""
    source = f'<w xmlns:p="urn:p" xmlns="{default}"><m:any xmlns:m="urn:m">{content}</m:any></w>'
    any_node = small.find("/m:top/any")
    kept = opaque(parse(source.encode())[0])
    top = Inner(small.find("/m:top"), {any_node: kept})
    printed = parse(to_bytes(top))[0]

    def meaning(element: etree._Element) -> list[object]:
        return [
            (child.tag, child.text, child.tail, sorted(child.attrib.items()), child.nsmap.get("p"), meaning(child))
            for child in element
        ]

    original = parse(source.encode())[0]
    assert (printed.text or "") == (original.text or "")
    assert meaning(printed) == meaning(original)
    assert opaque(printed).xml == kept.xml
