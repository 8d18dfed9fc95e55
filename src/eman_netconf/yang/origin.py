"""Where the configuration in operation comes from (RFC 8342 sections 5.3.4 and 7, module ietf-origin)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial

from eman_netconf.yang.defaults import Default, Implied
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, Late, ListNode
from eman_netconf.yang.views import Entries


class Origin(StrEnum):
    """The identities of ietf-origin that this server has use for."""

    INTENDED = "ietf-origin:intended"
    SYSTEM = "ietf-origin:system"
    LEARNED = "ietf-origin:learned"
    DEFAULT = "ietf-origin:default"


#: Tells of a node that nobody configured where it is from, given its data (of a leaf-list one value) and where its
#: parent is from.
Rule = Callable[[SchemaNode, Data, Origin], Origin]


class Sourced(Late):
    """A container or entry that may be configured, in operation: ``origin`` says where it is from."""

    __slots__ = ("_intended", "_rule", "origin")

    def __init__(
        self,
        schema: SchemaNode,
        make: Callable[[], Mapping[SchemaNode, Data]],
        origin: Origin,
        intended: Inner | None,
        rule: Rule,
    ) -> None:
        super().__init__(schema, make)
        self.origin = origin
        self._intended = intended
        self._rule = rule

    def with_children(self, children: Mapping[SchemaNode, Data]) -> Inner:
        return Sourced(self.schema, lambda: children, self.origin, self._intended, self._rule)

    def origin_of(self, node: SchemaNode, value: str | Data) -> Origin | None:
        """Where one child is from: a leaf, one value of a leaf-list, a container or entry. None of state."""
        if not node.config:
            return None
        if isinstance(value, Sourced):
            return value.origin
        if isinstance(value, Default):
            return Origin.DEFAULT
        if node.is_key:
            return self.origin
        configured = None if self._intended is None else self._intended.children.get(node)
        if configured is not None and (value in configured if isinstance(configured, tuple) else value == configured):
            return Origin.INTENDED
        return self.otherwise(node, value)

    def otherwise(self, node: SchemaNode, data: Data) -> Origin:
        """Where a child is from that is not configured."""
        return self._rule(node, data, self.origin)


def sourced(root: Inner, intended: Inner, rule: Rule) -> Sourced:
    """A view of ``root``, what is in operation, that knows where its configuration is from.

    What equals its counterpart in ``intended`` is from there, a ``Default`` is a default, the rest ``rule`` tells.
    """
    return _wrapped(root, Origin.INTENDED, intended, rule)


def _wrapped(inner: Inner, origin: Origin, intended: Inner | None, rule: Rule) -> Sourced:
    found = Sourced(inner.schema, dict, origin, intended, rule)
    found._make = partial(_children, found, inner)
    return found


def _children(parent: Sourced, inner: Inner) -> Mapping[SchemaNode, Data]:
    return {node: _child(parent, node, data) for node, data in inner.children.items()}


def _child(parent: Sourced, node: SchemaNode, data: Data) -> Data:
    if not node.config or not isinstance(data, Inner | ListNode):
        return data
    intended, rule = parent._intended, parent._rule  # noqa: SLF001 - one idea in two halves
    counterpart = None if intended is None else intended.children.get(node)
    if isinstance(data, Inner):
        if isinstance(counterpart, Inner):
            return _wrapped(data, Origin.INTENDED, counterpart, rule)
        origin = Origin.DEFAULT if isinstance(data, Implied) else parent.otherwise(node, data)
        return _wrapped(data, origin, None, rule)
    entries = counterpart.entries if isinstance(counterpart, ListNode) else {}

    def show(key: Key, entry: Inner) -> Inner:
        configured = entries.get(key)
        if configured is not None:
            return _wrapped(entry, Origin.INTENDED, configured, rule)
        return _wrapped(entry, parent.otherwise(node, entry), None, rule)

    return ListNode(node, Entries(data.entries, show, every=True))
