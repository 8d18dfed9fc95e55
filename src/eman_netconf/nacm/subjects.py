"""What notifications are about: the instances in the data tree that they stand in, or that their leaves name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eman_netconf.nacm.paths import PathFault, read_path
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Path, Step, walk
from eman_netconf.yang.types import LeafrefType, UnionType, YangType

#: Leaves and what they hold, in the order of the schema.
Leaves = list[tuple[SchemaNode, Data]]


class Subjects:
    """Finds them; what it last found it still knows, for all receivers of one notification ask at once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._lists: dict[SchemaNode, tuple[SchemaNode, ...] | None] = {}
        self._last: tuple[Inner, tuple[Path, ...]] | None = None

    def lists(self, node: SchemaNode) -> tuple[SchemaNode, ...] | None:
        """The lists whose entries notifications of this type can name; None where they can be about anything."""
        if node not in self._lists:
            leaves = [leaf for leaf in node.descendants() if leaf.type is not None]
            free = in_data(node) or any(_names_anything(leaf.type) for leaf in leaves)
            targets = (leaf.type.target for leaf in leaves if isinstance(leaf.type, LeafrefType))
            entries = {target.parent: None for target in targets if _is_name(target)}
            self._lists[node] = None if free else tuple(entry for entry in entries if entry is not None)
        return self._lists[node]

    def of(self, node: SchemaNode, notification: Inner) -> tuple[Path, ...]:
        """The paths of all instances; ``notification`` is the top-level node that one in the data tree comes in."""
        if self._last is None or self._last[0] is not notification:
            place = (_place(node, notification),) if in_data(node) else ()
            leaves = [(path[-1].schema, data) for path, data in walk(notification)]
            identified = self._identified(leaves) if self.lists(node) is None else ()
            self._last = notification, (*place, *_named(leaves), *identified)
        return self._last[1]

    def _identified(self, leaves: Leaves) -> Iterator[Path]:
        """What instance-identifiers mean, as far as it is in this schema."""
        for leaf, data in leaves:
            if isinstance(data, str) and data.startswith("/") and _names_anything(leaf.type):
                try:
                    stops = read_path(data, self._schema)
                except PathFault:
                    continue
                yield tuple(Step(stop.node, stop.pattern) for stop in stops)  # type: ignore[arg-type]  # all keys are there


def in_data(node: SchemaNode) -> bool:
    """Whether a notification is defined in the data tree."""
    return node.parent is not None and node.parent.kind is not Kind.ROOT


def _names_anything(kind: YangType | None) -> bool:
    if isinstance(kind, UnionType):
        return any(map(_names_anything, kind.members))
    return kind is not None and kind.base == "instance-identifier"


def _is_name(target: SchemaNode) -> bool:
    """Whether a leaf is the one key of its list."""
    return target.parent is not None and target.parent.keys == (target,)


def _place(node: SchemaNode, notification: Inner) -> Path:
    """The path of a notification in the data tree. The nodes it comes in may be those of another schema."""
    path: list[Step] = []
    inner = Inner(node, {notification.schema: notification})
    for each in reversed([*node.ancestors()]):
        data = next((below for schema, below in inner.children.items() if schema.tag == each.tag), None)
        if isinstance(data, ListNode):
            data = next(iter(data.entries.values()), None)
        inner = data if isinstance(data, Inner) else Inner(each)
        path.append(Step(each, inner.key() if each.keys and inner.children else None))
    return (*path, Step(node))


def _named(leaves: Leaves) -> Iterator[Path]:
    """The list entries that leafrefs name, as far as their keys are all told.

    Where several leaves name entries of one list, those in others stand in the entry that is named first.
    """
    told: dict[SchemaNode, tuple[str, ...]] = {}
    for leaf, data in leaves:
        if isinstance(leaf.type, LeafrefType) and isinstance(data, str | tuple):
            values = (data,) if isinstance(data, str) else data
            told[leaf.type.target] = told.get(leaf.type.target, ()) + values
    for target, values in told.items():
        above = _above(target.parent, told) if target.parent is not None and _is_name(target) else None
        if above is not None:
            yield from ((*above, Step(target.parent, (value,))) for value in values)  # type: ignore[arg-type]  # is one


def _above(entry: SchemaNode, told: Mapping[SchemaNode, tuple[str, ...]]) -> Path | None:
    """The path down to a list; None when it stands in an entry of which the notification does not tell which."""
    path: list[Step] = []
    for node in reversed([*entry.ancestors()]):
        if not all(leaf in told for leaf in node.keys):
            return None
        path.append(Step(node, tuple(told[leaf][0] for leaf in node.keys) or None))
    return tuple(path)
