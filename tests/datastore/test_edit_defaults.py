"""Edits with nodes that are marked as defaults (RFC 6243 sections 4.5.2 and 4.5.3)."""

from __future__ import annotations

import pytest

from eman_netconf import safexml
from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.errors import BASE_NS
from eman_netconf.yang.annotated import DEFAULT_NS, Annotated
from eman_netconf.yang.defaults import reported
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.toy import edited, faults, plain
from tests.yang.trees import probe_schema

WD = f'xmlns:wd="{DEFAULT_NS}" wd:default'
BOX = "<box><name>n</name>{}</box>"


@pytest.mark.parametrize("said", ["true", "1", " true "])
@pytest.mark.parametrize("before", ["", "<mode>on</mode>", "<mode>off</mode>"])
@pytest.mark.parametrize("operation", ["merge", "replace"])
def test_a_marked_leaf_goes_back_to_its_default(toy: Schema, said: str, before: str, operation: str) -> None:
    """Whatever was set is gone: the default is in use without being set."""
    edit = f'<box><mode {WD}="{said}" nc:operation="{operation}">off</mode></box>'
    assert plain(edited(toy, BOX.format(before), edit).root) == BOX.format("")


def test_create(toy: Schema) -> None:
    """With create a marked leaf must not have been set."""
    edit = f'<box><mode {WD}="true" nc:operation="create">off</mode></box>'
    assert plain(edited(toy, BOX.format(""), edit).root) == BOX.format("")
    (fault,) = faults(toy, BOX.format("<mode>on</mode>"), edit)
    assert fault.tag == "data-exists"


@pytest.mark.parametrize("said", ["false", "0"])
def test_marked_false(toy: Schema, said: str) -> None:
    """A leaf that is marked as no default is set, also to that value."""
    edit = f'<box><mode {WD}="{said}">off</mode></box>'
    assert plain(edited(toy, "", edit).root) == "<box><mode>off</mode></box>"


@pytest.mark.parametrize(
    ("edit", "tag"),
    [
        (f'<box><mode {WD}="true">on</mode></box>', "invalid-value"),
        (f'<box><name {WD}="true">n</name></box>', "invalid-value"),
        (f'<box><mode {WD}="true" nc:operation="delete">off</mode></box>', "invalid-value"),
        (f'<box><mode {WD}="true" nc:operation="remove">off</mode></box>', "invalid-value"),
        (f'<box><mode {WD}="true">sideways</mode></box>', "invalid-value"),
        (f'<box><mode {WD}="yes">off</mode></box>', "bad-attribute"),
        (f'<box {WD}="true"/>', "unknown-attribute"),
        ('<box><mode default="true">off</mode></box>', "unknown-attribute"),
        (f'<shelf><item><id {WD}="true">a</id></item></shelf>', "invalid-value"),
    ],
)
def test_marks_that_cannot_be_true(toy: Schema, edit: str, tag: str) -> None:
    """Another value, no default at all, a delete, or a node that has no value: refused."""
    (fault,) = faults(toy, "", edit)
    assert fault.tag == tag


def test_an_answer_written_back_sets_nothing() -> None:
    """A report-all-tagged answer, merged or put in place of all, gives the configuration it was read of."""
    schema = probe_schema()
    config = f'<config xmlns:nc="{BASE_NS}"><site xmlns="urn:example:probe"><box><id>a</id>{{}}</box></site></config>'
    root = apply_edit(Inner(schema.root), safexml.parse(config.format("").encode()), schema).root
    answer = b"".join(Annotated(tagged=True, origins=False).slices(reported(schema, root, state=False)))
    assert answer.count(b'wd:default="true"') > 5
    written = safexml.parse(b"<config>%b</config>" % answer)
    assert apply_edit(root, written, schema).root is root
    assert apply_edit(root, written, schema, default_operation=Operation.REPLACE, plain=True).root == root
    coloured = apply_edit(root, safexml.parse(config.format("<colour>red</colour>").encode()), schema).root
    marked = safexml.parse(config.format(f'<colour {WD}="true">green</colour>').encode())
    assert apply_edit(coloured, marked, schema).root == coloured
