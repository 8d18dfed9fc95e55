"""edit-config on trees (RFC 6241 section 7.2, RFC 7950 section 7): every operation, and every way to get it wrong."""

from __future__ import annotations

import pytest

from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.edit import Transform, apply_edit, editing
from eman_netconf.datastore.faults import MAX_ERRORS
from eman_netconf.errors import ErrorTag
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, Path
from tests.datastore.toy import config, edited, faults, plain, tree

ITEMS = "<shelf><item><id>a</id><value>1</value></item><item><id>b</id></item></shelf>"
QUEUE = (
    "<shelf><queue><name>1</name><kind>toy:round</kind></queue><queue><name>2</name><kind>toy:round</kind></queue>"
    "<queue><name>3</name><kind>toy:round</kind></queue></shelf>"
)
STEPS = "<box><step>a</step><step>b</step><step>c</step></box>"

# before, edit, after; the name says what is shown
RESULTS = {
    "merge creates a leaf": ("", "<box><name>x</name></box>", "<box><name>x</name></box>"),
    "merge changes a leaf and keeps its neighbour": (
        "<box><name>x</name><size>1.0</size></box>",
        "<box><size>2</size></box>",
        "<box><name>x</name><size>2.0</size></box>",
    ),
    "replace of a container drops what it does not name": (
        "<box><name>x</name><size>1.0</size></box>",
        '<box nc:operation="replace"><size>2</size></box>',
        "<box><size>2.0</size></box>",
    ),
    "create of a container is inherited by all below": (
        "",
        '<box nc:operation="create"><name>x</name><inside><depth>1</depth></inside></box>',
        "<box><name>x</name><inside><depth>1</depth></inside></box>",
    ),
    "delete of a container": (
        "<box><name>x</name></box><motto>m</motto>",
        '<box nc:operation="delete"/>',
        "<motto>m</motto>",
    ),
    "delete of a leaf needs no value": (
        "<box><name>x</name><size>1.0</size></box>",
        '<box><size nc:operation="delete"/></box>',
        "<box><name>x</name></box>",
    ),
    "remove of what is not there is no error": (
        "<box><name>x</name></box>",
        '<box><size nc:operation="remove"/><lid nc:operation="remove"/></box>',
        "<box><name>x</name></box>",
    ),
    "a container without presence goes with its last child": (
        "<box><inside><depth>1</depth></inside></box>",
        '<box><inside><depth nc:operation="delete"/></inside></box>',
        "",
    ),
    "a presence container stays without children": (
        "<box><lid><colour>red</colour></lid></box>",
        '<box><lid><colour nc:operation="delete"/></lid></box>',
        "<box><lid/></box>",
    ),
    "merge creates a presence container": ("", "<box><lid/></box>", "<box><lid/></box>"),
    "an empty container without presence is nothing": ("", "<box><inside/></box>", ""),
    "merge adds an entry behind the others": (
        ITEMS,
        "<shelf><item><id>0</id></item></shelf>",
        "<shelf><item><id>a</id><value>1</value></item><item><id>b</id></item><item><id>0</id></item></shelf>",
    ),
    "merge of an entry keeps its other leaves": (
        ITEMS,
        "<shelf><item><note>n</note><id>a</id></item></shelf>",
        "<shelf><item><id>a</id><value>1</value><note>n</note></item><item><id>b</id></item></shelf>",
    ),
    "replace of an entry drops its other leaves and keeps its place": (
        ITEMS,
        '<shelf><item nc:operation="replace"><id>a</id><note>n</note></item></shelf>',
        "<shelf><item><id>a</id><note>n</note></item><item><id>b</id></item></shelf>",
    ),
    "delete of an entry": (
        ITEMS,
        '<shelf><item nc:operation="delete"><id>a</id></item></shelf>',
        "<shelf><item><id>b</id></item></shelf>",
    ),
    "delete and create of one entry in one edit": (
        ITEMS,
        '<shelf><item nc:operation="delete"><id>a</id></item><item nc:operation="create"><id>a</id></item></shelf>',
        "<shelf><item><id>b</id></item><item><id>a</id></item></shelf>",
    ),
    "an entry with two keys": (
        "<shelf><item><id>a</id><part><row>1</row><column>2</column></part></item></shelf>",
        (
            '<shelf><item><id>a</id><part nc:operation="delete"><column>2</column><row>01</row></part>'
            "<part><row>2</row><column>1</column><use>u</use></part></item></shelf>"
        ),
        "<shelf><item><id>a</id><part><row>2</row><column>1</column><use>u</use></part></item></shelf>",
    ),
    "the last entry takes its list and container with it": (
        "<shelf><item><id>a</id></item></shelf>",
        '<shelf><item nc:operation="remove"><id>a</id></item></shelf>',
        "",
    ),
    "leaf-list: merge adds once": (
        "<box><tag>a</tag></box>",
        "<box><tag>b</tag><tag>a</tag></box>",
        "<box><tag>a</tag><tag>b</tag></box>",
    ),
    "leaf-list: delete takes one value": (
        "<box><tag>a</tag><tag>b</tag></box>",
        '<box><tag nc:operation="delete">a</tag></box>',
        "<box><tag>b</tag></box>",
    ),
    "leaf-list: values move to where the user wants them": (
        STEPS,
        '<box><step yang:insert="first">c</step><step yang:insert="after" yang:value="b">a</step></box>',
        "<box><step>c</step><step>b</step><step>a</step></box>",
    ),
    "leaf-list: create with insert": (
        STEPS,
        '<box><step nc:operation="create" yang:insert="before" yang:value="b">x</step></box>',
        "<box><step>a</step><step>x</step><step>b</step><step>c</step></box>",
    ),
    "user-ordered list: first, before, after": (
        QUEUE,
        (
            '<shelf><queue yang:insert="first"><name>3</name><kind>toy:round</kind></queue>'
            "<queue yang:insert=\"before\" yang:key=\"[toy:name='1'][toy:kind='toy:round']\">"
            "<name>x</name><kind>toy:square</kind></queue>"
            '<queue yang:insert="after" yang:key="[name=&quot;2&quot;][kind=\'toy:round\']">'
            "<name>1</name><kind>toy:round</kind></queue></shelf>"
        ),
        "<shelf>"
        + "".join(
            f"<queue><name>{name}</name><kind>toy:{kind}</kind></queue>"
            for name, kind in (("3", "round"), ("x", "square"), ("2", "round"), ("1", "round"))
        )
        + "</shelf>",
    ),
    "user-ordered list: last, and merge without insert keeps the place": (
        QUEUE,
        (
            '<shelf><queue yang:insert="last"><name>1</name><kind>toy:round</kind></queue>'
            "<queue><name>3</name><kind>toy:round</kind><value>3</value></queue></shelf>"
        ),
        "<shelf>"
        + "".join(
            f"<queue><name>{name}</name><kind>toy:round</kind>{rest}</queue>"
            for name, rest in (("2", ""), ("3", "<value>3</value>"), ("1", ""))
        )
        + "</shelf>",
    ),
    "setting one case removes the other": (
        "<box><sand>1</sand><grain>g</grain><stone><id>s</id></stone><name>n</name></box>",
        "<box><water>2</water></box>",
        "<box><name>n</name><water>2</water></box>",
    ),
    "setting a nested case removes the outer and the inner other one": (
        "<box><water>2</water><sweet/></box>",
        "<box><sour/></box>",
        "<box><water>2</water><sour/></box>",
    ),
    "one case may be deleted while the other is set": (
        "<box><sand>1</sand></box>",
        '<box><sand nc:operation="delete"/><water>2</water></box>',
        "<box><water>2</water></box>",
    ),
    "anydata is set as a whole": (
        '<box><label><a xmlns="urn:a">1</a></label></box>',
        '<box><label><b xmlns="urn:a">2</b></label></box>',
        "<box><label><b>2</b></label></box>",
    ),
    "anyxml is deleted": ("<box><scrap>x</scrap></box>", '<box><scrap nc:operation="delete"/></box>', ""),
    "an operation below another": (
        ITEMS,
        (
            '<shelf nc:operation="merge"><item nc:operation="replace"><id>a</id>'
            '<note nc:operation="merge">n</note></item></shelf>'
        ),
        "<shelf><item><id>a</id><note>n</note></item><item><id>b</id></item></shelf>",
    ),
    "values become canonical": (
        "",
        "<box><size> +01.50 </size><shape>toy:round</shape></box>",
        "<box><size>1.5</size><shape>toy:round</shape></box>",
    ),
}


@pytest.mark.parametrize(("before", "edit", "after"), RESULTS.values(), ids=RESULTS)
def test_result(toy: Schema, before: str, edit: str, after: str) -> None:
    """An edit gives this configuration, tells the same difference by its path as by comparison, and leaves the old."""
    old = tree(toy, before)
    untouched = plain(old)
    result = apply_edit(old, config(edit), toy)
    assert plain(result.root) == after
    assert plain(old) == untouched
    assert diff(old, result.root, result.touched) == diff(old, result.root)
    assert (result.root is old) == (result.root == old)


NONE = Operation.NONE
P = "/toy:shelf/toy:item[toy:id='a']"

# before, edit, default operation, then tag and path of each error
FAULTS = {
    "create of what is there": (
        ITEMS,
        '<shelf><item nc:operation="create"><id>a</id></item></shelf>',
        None,
        [("data-exists", P)],
    ),
    "create of a leaf that is there": (
        ITEMS,
        '<shelf><item><id>a</id><value nc:operation="create">2</value></item></shelf>',
        None,
        [("data-exists", P + "/toy:value")],
    ),
    "create of a value that is there": (
        STEPS,
        '<box><step nc:operation="create">b</step></box>',
        None,
        [("data-exists", "/toy:box/toy:step[.='b']")],
    ),
    "create of a container that is there": (STEPS, '<box nc:operation="create"/>', None, [("data-exists", "/toy:box")]),
    "delete of what is not there": (
        ITEMS,
        '<shelf><item nc:operation="delete"><id>x</id></item></shelf>',
        None,
        [("data-missing", "/toy:shelf/toy:item[toy:id='x']")],
    ),
    "delete of a leaf that is not there": (
        "",
        '<box><name nc:operation="delete"/></box>',
        None,
        [("data-missing", "/toy:box/toy:name")],
    ),
    "delete of a default in use": (
        "",
        '<box><mode nc:operation="delete"/></box>',
        None,
        [("data-missing", "/toy:box/toy:mode")],
    ),
    "delete of a value that is not there": (
        STEPS,
        '<box><step nc:operation="delete">x</step></box>',
        None,
        [("data-missing", "/toy:box/toy:step[.='x']")],
    ),
    "delete of an empty container": (
        "",
        '<box><inside nc:operation="delete"/></box>',
        None,
        [("data-missing", "/toy:box/toy:inside")],
    ),
    "none on an entry that is not there": ("", "<shelf><item><id>a</id></item></shelf>", NONE, [("data-missing", P)]),
    "none on a leaf that is not there": (
        ITEMS,
        "<shelf><item><id>b</id><value>1</value></item></shelf>",
        NONE,
        [("data-missing", "/toy:shelf/toy:item[toy:id='b']/toy:value")],
    ),
    "none on a presence container that is not there": (
        "",
        "<box><lid/></box>",
        NONE,
        [("data-missing", "/toy:box/toy:lid")],
    ),
    "an unknown operation": (
        ITEMS,
        '<shelf><item nc:operation="upsert"><id>a</id></item></shelf>',
        None,
        [("bad-attribute", "/toy:shelf/toy:item")],
    ),
    "none is no operation of an element": (
        ITEMS,
        '<shelf nc:operation="none"/>',
        None,
        [("bad-attribute", "/toy:shelf")],
    ),
    "operation without its namespace": (
        ITEMS,
        '<shelf operation="delete"/>',
        None,
        [("unknown-attribute", "/toy:shelf")],
    ),
    "an attribute nobody knows": (ITEMS, '<shelf nc:operaton="delete"/>', None, [("unknown-attribute", "/toy:shelf")]),
    "insert where the order is not the user's": (
        ITEMS,
        '<shelf><item yang:insert="first"><id>c</id></item></shelf>',
        None,
        [("unknown-attribute", "/toy:shelf/toy:item")],
    ),
    "an unknown place": (
        STEPS,
        '<box><step yang:insert="middle">x</step></box>',
        None,
        [("bad-attribute", "/toy:box/toy:step")],
    ),
    "before nobody": (
        STEPS,
        '<box><step yang:insert="before">x</step></box>',
        None,
        [("missing-attribute", "/toy:box/toy:step")],
    ),
    "before one that is not there": (
        STEPS,
        '<box><step yang:insert="before" yang:value="z">x</step></box>',
        None,
        [("bad-attribute", "/toy:box/toy:step[.='x']")],
    ),
    "a key that is none": (
        QUEUE,
        ('<shelf><queue yang:insert="after" yang:key="[name=1]"><name>x</name><kind>toy:round</kind></queue></shelf>'),
        None,
        [("bad-attribute", "/toy:shelf/toy:queue[toy:name='x'][toy:kind='toy:round']")],
    ),
    "half a key": (
        QUEUE,
        (
            '<shelf><queue yang:insert="after" yang:key="[name=\'1\']"><name>x</name>'
            "<kind>toy:round</kind></queue></shelf>"
        ),
        None,
        [("bad-attribute", "/toy:shelf/toy:queue[toy:name='x'][toy:kind='toy:round']")],
    ),
    "a missing key": (
        "",
        "<shelf><item><value>1</value></item></shelf>",
        None,
        [("missing-element", "/toy:shelf/toy:item")],
    ),
    "a bad key": (
        "",
        "<shelf><item><id>a</id><part><row>x</row><column>1</column></part></item></shelf>",
        None,
        [("invalid-value", P + "/toy:part/toy:row")],
    ),
    "a key cannot be deleted": (
        ITEMS,
        '<shelf><item><id nc:operation="delete">a</id></item></shelf>',
        None,
        [("bad-attribute", P + "/toy:id")],
    ),
    "a bad value": ("", "<box><size>101</size></box>", None, [("invalid-value", "/toy:box/toy:size")]),
    "two cases of a choice": (
        "",
        "<box><sand>1</sand><water>1</water></box>",
        None,
        [("bad-element", "/toy:box/toy:water")],
    ),
    "a leaf twice": ("", "<box><name>a</name><name>b</name></box>", None, [("bad-element", "/toy:box/toy:name")]),
    "an entry twice": ("", "<shelf><item><id>a</id></item><item><id>a</id></item></shelf>", None, [("bad-element", P)]),
    "a value twice": ("", "<box><tag>a</tag><tag>a</tag></box>", None, [("bad-element", "/toy:box/toy:tag[.='a']")]),
    "an element inside a leaf": ("", "<box><name><b/></name></box>", None, [("bad-element", "/toy:box/toy:name")]),
    "text between elements": ("", "<box>hello<name>a</name></box>", None, [("bad-element", "/toy:box")]),
    "text behind an element": ("", "<box><name>a</name>hello</box>", None, [("bad-element", "/toy:box")]),
    "state": ("", "<box><height>1</height></box>", None, [("unknown-element", "/toy:box/toy:height")]),
    "an element nobody knows": ("", "<box><lenght>1</lenght></box>", None, [("unknown-element", "/toy:box")]),
    "a namespace nobody knows": ("", '<box><x xmlns="urn:other"/></box>', None, [("unknown-namespace", "/toy:box")]),
    "no namespace": ("", '<box xmlns=""/>', None, [("unknown-namespace", "/")]),
    "all of them at once, in order": (
        "",
        "<box><size>x</size><lenght/></box><shelf><item/></shelf>",
        None,
        [
            ("invalid-value", "/toy:box/toy:size"),
            ("unknown-element", "/toy:box"),
            ("missing-element", "/toy:shelf/toy:item"),
        ],
    ),
}


@pytest.mark.parametrize(("before", "edit", "default", "expected"), FAULTS.values(), ids=FAULTS)
def test_fault(toy: Schema, before: str, edit: str, default: Operation | None, expected: list[tuple[str, str]]) -> None:
    """An edit that cannot be done is told with the tag and path of every fault."""
    errors = faults(toy, before, edit, default_operation=default or Operation.MERGE)
    assert [(error.tag, str(error.path)) for error in errors] == expected


def test_none_enters_what_is_there(toy: Schema) -> None:
    """With default-operation none only what asks for an operation is done."""
    result = edited(
        toy,
        ITEMS,
        '<shelf><item><id>a</id><value nc:operation="replace">7</value></item>'
        '<item nc:operation="create"><id>c</id><note>n</note></item></shelf>'
        '<box><inside><depth nc:operation="create">1</depth></inside></box>',
        default_operation=Operation.NONE,
    )
    assert plain(result.root) == (
        "<box><inside><depth>1</depth></inside></box><shelf><item><id>a</id><value>7</value></item>"
        "<item><id>b</id></item><item><id>c</id><note>n</note></item></shelf>"
    )


def test_default_replace_replaces_everything(toy: Schema) -> None:
    """default-operation replace leaves what the edit names and nothing else, sharing what stayed the same."""
    old = tree(toy, ITEMS + "<motto>m</motto>")
    result = apply_edit(
        old,
        config("<shelf><item><id>b</id></item><item><id>a</id><value>01</value></item></shelf>"),
        toy,
        default_operation=Operation.REPLACE,
    )
    shelf = toy.find("toy:shelf")
    assert plain(result.root) == ITEMS
    assert result.root.children[shelf] is old.children[shelf]


def test_replace_with_the_same_is_no_change(toy: Schema) -> None:
    """Writing what is there already gives the very same tree."""
    old = tree(toy, ITEMS + STEPS)
    same = config(ITEMS + STEPS)
    assert apply_edit(old, same, toy).root is old
    assert apply_edit(old, same, toy, default_operation=Operation.REPLACE).root is old


def test_replace_keeps_the_users_order(toy: Schema) -> None:
    """Where order means something, replacing a list by its entries in another order is a change."""
    result = edited(toy, STEPS, '<box nc:operation="replace"><step>c</step><step>a</step></box>')
    assert plain(result.root) == "<box><step>c</step><step>a</step></box>"


def test_keep_going_leaves_out_what_is_wrong(toy: Schema) -> None:
    """With keep_going the good parts are done and each fault is told."""
    result = edited(
        toy,
        ITEMS,
        "<shelf><item><id>a</id><value>x</value><note>n</note></item><item><value>1</value></item>"
        '<item nc:operation="delete"><id>b</id></item></shelf>',
        keep_going=True,
    )
    assert plain(result.root) == "<shelf><item><id>a</id><value>1</value><note>n</note></item></shelf>"
    assert [error.tag for error in result.errors] == [ErrorTag.INVALID_VALUE, ErrorTag.MISSING_ELEMENT]


def test_keep_going_with_nothing_good_fails(toy: Schema) -> None:
    """With keep_going an edit of which nothing can be done is refused like any other."""
    assert len(faults(toy, "", "<box><size>x</size></box>", keep_going=True)) == 1


def test_plain_configuration_has_no_operations(toy: Schema) -> None:
    """In a whole configuration an operation attribute is an unknown attribute."""
    errors = faults(toy, ITEMS, '<shelf nc:operation="delete"/>', plain=True, default_operation=Operation.REPLACE)
    assert [error.tag for error in errors] == [ErrorTag.UNKNOWN_ATTRIBUTE]


def test_errors_are_bounded(toy: Schema) -> None:
    """An edit with thousands of faults is answered with some of them and a word on the rest."""
    errors = faults(toy, "", "<shelf>" + "<item/>" * 5000 + "</shelf>")
    assert len(errors) == MAX_ERRORS + 1
    assert "more than" in errors[-1].message


def test_messages_tell_what_to_do(toy: Schema) -> None:
    """A wrong attribute is answered with the right one."""
    (error,) = faults(toy, ITEMS, '<shelf operation="delete"/>')
    assert "xmlns:nc" in error.message
    assert [(info.name, info.value) for info in error.info] == [
        ("bad-attribute", "operation"),
        ("bad-element", "shelf"),
    ]


def test_app_tag_of_a_restriction(toy: Schema) -> None:
    """The error-app-tag a model gives to a range comes back."""
    (error,) = faults(toy, "", "<box><size>101</size></box>")
    assert error.app_tag == "too-big"


def test_missing_instance(toy: Schema) -> None:
    """An insert beside an entry that is not there has the app-tag of RFC 7950 section 15.7."""
    (error,) = faults(toy, STEPS, '<box><step yang:insert="after" yang:value="z">x</step></box>')
    assert error.app_tag == "missing-instance"


def test_transform_sees_old_and_new(toy: Schema) -> None:
    """Clear text passes through the transform with what was there before, also under replace."""
    seen: list[tuple[str, str, str | None]] = []

    def transform(path: Path, value: str, old: str | None) -> str:
        seen.append((path[-1].schema.name, value, old))
        return f"<{value}>"

    result = edited(
        toy,
        "<box><name>before</name></box>",
        '<box nc:operation="replace"><name>$0$new</name><tag>t</tag></box>',
        transform=transform,
    )
    assert plain(result.root) == "<box><name>&lt;$0$new&gt;</name><tag>t</tag></box>"
    assert seen == [("name", "$0$new", "before")]


def test_a_transform_that_works_is_given_pauses(toy: Schema) -> None:
    """What is transformed is paid for entry by entry, so that others have their turns between."""

    def paused(transform: Transform | None) -> int:
        body = "".join(f"<item><id>{number}</id><note>$0$n</note></item>" for number in range(50))
        steps = editing(tree(toy, ""), config(f"<shelf>{body}</shelf>"), toy, transform=transform)
        return sum(1 for _ in steps)

    assert paused(lambda _path, _value, _old: "hash") == 50
    assert paused(lambda _path, value, _old: value) == 0


def test_one_leaf_copies_only_its_path(toy: Schema) -> None:
    """An edit of one leaf makes new nodes on the path to it and shares all others."""
    body = "".join(f"<item><id>{number}</id><value>{number}</value></item>" for number in range(300))
    old = tree(toy, f"<shelf>{body}</shelf>{STEPS}")
    new = apply_edit(old, config("<shelf><item><id>7</id><value>9</value></item></shelf>"), toy).root
    before, after = old.at("shelf", "item"), new.at("shelf", "item")
    assert isinstance(before, ListNode)
    assert isinstance(after, ListNode)
    assert [key for key in before.entries if before.entries[key] is not after.entries[key]] == [("7",)]
    assert old.at("box") is new.at("box")
    entry = after.entries[("7",)]
    assert isinstance(entry, Inner)
    assert entry.leaf("value") == "9"


def test_entry_name_with_both_quotes_can_be_an_anchor(toy: Schema) -> None:
    """A key that holds both kinds of quotes is named with concat()."""
    name = "a'b&quot;c"
    before = f"<shelf><queue><name>{name}</name><kind>toy:round</kind></queue></shelf>"
    edit = (
        "<shelf><queue yang:insert='before' yang:key=\"[name=concat('a', &quot;'&quot;, 'b&quot;c')]"
        "[kind='toy:round']\"><name>x</name><kind>toy:round</kind></queue></shelf>"
    )
    queue = edited(toy, before, edit).root.at("shelf", "queue")
    assert isinstance(queue, ListNode)
    assert [key[0] for key in queue.entries] == ["x", "a'b\"c"]
