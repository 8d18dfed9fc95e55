"""Sequences of edits beside a naive model of the same list: they agree, and what is recorded leads to the same."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from eman_netconf.datastore.edit import apply_edit
from eman_netconf.errors import RpcErrors
from eman_netconf.yang.diff import Change, Op, diff, paths
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, path_text
from tests.datastore.test_record import replay
from tests.datastore.toy import config

NAMES = st.sampled_from("abcde")
Model = dict[str, str | None]


class Impossible(Exception):
    """The model says this edit must fail."""


@dataclass(frozen=True)
class Edit:
    """One entry of an edit: what is done to it, with which value, put where."""

    name: str
    operation: str
    value: str | None
    insert: str | None
    anchor: str

    def xml(self) -> str:
        where = "" if self.insert is None else f' yang:insert="{self.insert}"'
        if self.insert in ("before", "after"):
            where += f" yang:key=\"[name='{self.anchor}'][kind='toy:round']\""
        value = "" if self.value is None else f"<value>{self.value}</value>"
        key = f"<name>{self.name}</name><kind>toy:round</kind>"
        return f'<queue nc:operation="{self.operation}"{where}>{key}{value}</queue>'

    def act(self, model: Model) -> Model:
        """The model afterwards. Raises Impossible."""
        there = self.name in model
        if self.operation in ("delete", "remove"):
            if self.operation == "delete" and not there:
                raise Impossible
            return {name: value for name, value in model.items() if name != self.name}
        if self.operation == "create" and there:
            raise Impossible
        kept = model.get(self.name) if self.operation == "merge" else None
        after = {**model, self.name: self.value if self.value is not None else kept}
        if self.insert is None:
            return after
        order = [name for name in after if name != self.name]
        if self.insert in ("before", "after"):
            if self.anchor not in order:
                raise Impossible
            place = order.index(self.anchor) + (self.insert == "after")
        else:
            place = 0 if self.insert == "first" else len(order)
        order.insert(place, self.name)
        return {name: after[name] for name in order}


EDITS = st.builds(
    Edit,
    name=NAMES,
    operation=st.sampled_from(["merge", "merge", "replace", "create", "delete", "remove"]),
    value=st.sampled_from([None, "1", "2"]),
    insert=st.sampled_from([None, None, "first", "last", "before", "after"]),
    anchor=NAMES,
)


def read(root: Inner) -> Model:
    queue = root.at("shelf", "queue")
    return {key[0]: entry.leaf("value") for key, entry in queue.entries.items()} if isinstance(queue, ListNode) else {}


def test_sequences(toy: Schema) -> None:
    """Whatever is asked of a list in whatever order, it is as the model; a refused request changes nothing."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.lists(EDITS, max_size=5, unique_by=lambda edit: edit.name), max_size=6))
    def agree(requests: list[list[Edit]]) -> None:
        root = Inner(toy.root)
        model: Model = {}
        for request in requests:
            expected = outcome(model, request)
            body = f"<shelf>{''.join(edit.xml() for edit in request)}</shelf>"
            try:
                result = apply_edit(root, config(body), toy)
            except RpcErrors:
                assert expected is None
                continue
            assert expected is not None
            assert list(read(result.root).items()) == list(expected.items())
            change = diff(root, result.root, result.touched)
            assert acts(change) == acts(diff(root, result.root))
            if change is not None:
                assert replay(toy, root, change).xml() == result.root.xml()
            root, model = result.root, expected

    agree()


def acts(change: Change | None) -> set[tuple[str, Op]]:
    """What a change does, whatever the order."""
    return set() if change is None else {(str(path_text(path)), op) for path, op, _, _ in paths(change)}


def outcome(model: Model, request: list[Edit]) -> Model | None:
    """The model after a request, None when it must fail."""
    try:
        for edit in request:
            model = edit.act(model)
    except Impossible:
        return None
    return model
