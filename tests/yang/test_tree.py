"""Nodes that are made when they are looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, make_inner


def test_late_node_is_made_once_and_when_looked_at(schema: Schema) -> None:
    """Its children are asked for at the first look, and never again."""
    node = schema.find("/ietf-netconf-monitoring:netconf-state/statistics")
    made = make_inner(node, {"in-sessions": 3})
    asked: list[str] = []

    def make() -> Mapping[SchemaNode, Data]:
        asked.append("made")
        return made.children

    late = Late(node, make)
    assert not asked
    assert late == made
    assert late.xml() == made.xml()
    assert late.leaf("in-sessions") == "3"
    assert asked == ["made"]
    assert not hasattr(late, "parent")


def test_late_node_fails_where_it_is_looked_at(schema: Schema) -> None:
    """What its making raises comes out of the look, and the next look makes it again."""
    node = schema.find("/ietf-netconf-monitoring:netconf-state/statistics")
    looks = 0

    def make() -> Mapping[SchemaNode, Data]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ZeroDivisionError
        return {}

    late = Late(node, make)
    with pytest.raises(ZeroDivisionError):
        late.leaf("in-sessions")
    assert late == Inner(node)
