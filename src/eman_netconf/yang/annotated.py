"""Trees to XML with annotations: which values are defaults (RFC 6243 section 6), where nodes are from (RFC 8342)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from eman_netconf.yang.defaults import Default, reaching
from eman_netconf.yang.origin import Origin, Sourced
from eman_netconf.yang.render import data_bytes
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode
from eman_netconf.yang.views import each

DEFAULT_NS: Final = "urn:ietf:params:xml:ns:netconf:default:1.0"
ORIGIN_NS: Final = "urn:ietf:params:xml:ns:yang:ietf-origin"


class _Mark(NamedTuple):
    """An attribute; in ``value`` {} stands for the prefix."""

    namespace: str
    prefix: str
    name: str
    value: str


_TAG = _Mark(DEFAULT_NS, "wd", "default", "true")


class Annotated:
    """A printer of trees: ``tagged`` marks each Default, ``origins`` the places where the origin changes."""

    def __init__(self, *, tagged: bool, origins: bool) -> None:
        self.tagged = tagged
        self.origins = origins
        self._reaching: dict[SchemaNode, tuple[SchemaNode, ...]] = {}

    def slices(self, root: Inner) -> Iterator[bytes]:
        """The children of a root, one slice for each entry of a list that stands outside other lists.

        The slice of an entry that a view leaves out is empty. A container without presence that has children of which
        nothing is left is not printed.
        """
        for node, data in root.ordered():
            yield from self._outer(root, node, data, None)

    def _outer(self, parent: Inner, node: SchemaNode, data: Data, inherited: Origin | None) -> Iterator[bytes]:
        """A node outside all lists."""
        if isinstance(data, ListNode):
            for entry in each(data.entries):
                yield b"" if entry is None else self._inner(parent, entry, inherited)
        elif isinstance(data, Inner) and any(isinstance(child, Inner | ListNode) for child in data.children.values()):
            origin = self._origin(parent, node, data)
            opened = False
            for below, child in data.ordered():
                for part in self._outer(data, below, child, origin or inherited):
                    if part and not opened:
                        opened = True
                        yield self._marked(node.open_tag, node, self._marks(node, origin, inherited))
                    yield part
            if opened:
                yield node.close_tag
            elif node.presence:
                yield self._marked(node.empty_tag, node, self._marks(node, origin, inherited))
        else:
            yield self._data(parent, node, data, inherited)

    def _inner(self, parent: Inner, inner: Inner, inherited: Origin | None) -> bytes:
        node = inner.schema
        if not isinstance(inner, Sourced) and not (self.tagged and reaching(node, self._reaching)):
            return inner.xml()
        origin = self._origin(parent, node, inner)
        marks = self._marks(node, origin, inherited)
        if not inner.children:
            return self._marked(node.empty_tag, node, marks)
        parts = [self._marked(node.open_tag, node, marks)]
        parts += [self._data(inner, below, data, origin or inherited) for below, data in inner.ordered()]
        parts.append(node.close_tag)
        return b"".join(parts)

    def _data(self, parent: Inner, node: SchemaNode, data: Data, inherited: Origin | None) -> bytes:
        if isinstance(data, Inner):
            return self._inner(parent, data, inherited)
        if isinstance(data, ListNode):
            return b"".join([self._inner(parent, entry, inherited) for entry in data.entries.values()])
        if isinstance(data, tuple):
            return b"".join([self._data(parent, node, value, inherited) for value in data])
        marks = self._marks(node, self._origin(parent, node, data), inherited)
        if self.tagged and isinstance(data, Default):
            marks += (_TAG,)
        return self._marked(data_bytes(node, data), node, marks)

    def _origin(self, parent: Inner, node: SchemaNode, data: Data) -> Origin | None:
        return parent.origin_of(node, data) if self.origins and isinstance(parent, Sourced) else None

    @staticmethod
    def _marks(node: SchemaNode, origin: Origin | None, inherited: Origin | None) -> tuple[_Mark, ...]:
        if origin is None or origin is inherited or node.is_key:
            return ()
        return (_Mark(ORIGIN_NS, "or", "origin", f"{{}}:{origin.rpartition(':')[2]}"),)

    @staticmethod
    def _marked(printed: bytes, node: SchemaNode, marks: tuple[_Mark, ...]) -> bytes:
        """An element with attributes, each with its own declaration."""
        if not marks:
            return printed
        attributes: list[str] = []
        for namespace, prefix, name, value in marks:
            while f" xmlns:{prefix}=".encode() in printed:  # as the prefix of a value may be
                prefix += "_"  # noqa: PLW2901 - until it is free
            attributes.append(f' xmlns:{prefix}="{namespace}" {prefix}:{name}="{value.format(prefix)}"')
        place = len(node.open_tag) - 1  # before what ends the start tag, or declares the prefixes of a value
        return b"%b%b%b" % (printed[:place], "".join(attributes).encode(), printed[place:])
