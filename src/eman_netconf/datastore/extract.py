"""What of the selected nodes an answer holds: down to some depth, configuration or state alone, of some origins,
without what is there by default anyhow (RFC 8526 section 3.1.1, RFC 6243 section 3.2).

What is left out of a whole node leaves the node as a view: lists outside lists make their entries when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eman_netconf.datastore.pick import Pick, beneath
from eman_netconf.yang.defaults import chooses_case, says_something
from eman_netconf.yang.origin import Origin, Sourced
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode
from eman_netconf.yang.views import Entries


@dataclass(frozen=True, slots=True)
class Sieve:
    """``depth`` counts from a selected node as 1; ``config`` True is configuration alone, False state alone.

    ``origin`` tells which origins pass; state passes always, as does what has none.
    """

    depth: int | None = None
    config: bool | None = None
    origin: Callable[[Origin], bool] | None = None
    trim: bool = False

    @property
    def open(self) -> bool:
        """Whether everything passes."""
        return self == ALL

    @property
    def removes(self) -> bool:
        """Whether a container or an entry may go as a whole."""
        return self.config is not None or self.origin is not None

    def passes(self, parent: Inner, node: SchemaNode, data: Data | str) -> bool:
        """Whether a node is of the wanted kind and origin, whatever is below it."""
        if self.config is not None and node.config is not self.config:
            return False
        if self.origin is None or not isinstance(parent, Sourced):
            return True
        origin = parent.origin_of(node, data)
        return origin is None or self.origin(origin)


ALL = Sieve()


def extract(pick: Pick, root: Inner, sieve: Sieve) -> Inner:
    """A view of what ``pick`` selects of ``root`` and ``sieve`` lets pass, with ancestors and their keys."""
    return _Extraction(sieve).root(pick, root)


class _Extraction:
    def __init__(self, sieve: Sieve) -> None:
        self.sieve = sieve

    def root(self, pick: Pick, root: Inner) -> Inner:
        if not pick.whole:
            return self.part([pick], root, root, lists=True) or root.with_children({})
        kept = {node: self.whole(root, node, data, self.sieve.depth, lists=True) for node, data in root.ordered()}
        return root.with_children({node: data for node, data in kept.items() if data is not None})

    # ---- what leads to selected nodes; ``lists``: a node is outside all lists, ``depth``: so many levels of it come
    # along with a selected node above

    def part(
        self, picks: Sequence[Pick], parent: Inner, inner: Inner, *, lists: bool, depth: int | None = 0
    ) -> Inner | None:
        live = [pick for pick in picks if pick.holds(inner)]
        if any(pick.whole for pick in live):
            depth = self.sieve.depth
        deeper = beneath(live)
        if depth is None or (depth and not deeper):
            return self.inner(parent, inner, depth, lists=lists)
        children: dict[SchemaNode, Data] = {}
        for node in inner.children if depth > 1 else deeper:
            data = inner.children.get(node)
            if data is None or (node.is_key and node not in deeper):
                continue
            kept = self.data(deeper.get(node, ()), inner, node, data, lists=lists, depth=max(depth - 1, 0))
            if kept is not None:
                children[node] = kept
        if not children and not (depth and self.sieve.passes(parent, inner.schema, inner)):
            return None
        children.update({leaf: inner.children[leaf] for leaf in inner.schema.keys})
        return inner.with_children(children)

    def data(
        self, picks: Sequence[Pick], parent: Inner, node: SchemaNode, data: Data, *, lists: bool, depth: int
    ) -> Data | None:
        if isinstance(data, Inner):
            return self.part(picks, parent, data, lists=lists, depth=depth)
        if isinstance(data, ListNode):
            if not picks:
                return self.whole(parent, node, data, depth, lists=lists)
            every = any(pick.whole and not pick.tests and pick.key is None for pick in picks)
            if every and (self.sieve.depth is None or not any(pick.children for pick in picks)):
                return self.whole(parent, node, data, self.sieve.depth, lists=lists)
            return self.entries(picks, parent, data, lists=lists, depth=depth)
        if isinstance(data, tuple) and not depth and all(pick.values is not None for pick in picks):
            wanted = frozenset[str]().union(*(pick.values or () for pick in picks))
            data = tuple(value for value in data if value in wanted)
        return self.whole(parent, node, data, None, lists=lists)

    def entries(
        self, picks: Sequence[Pick], parent: Inner, data: ListNode, *, lists: bool, depth: int
    ) -> ListNode | None:
        scanning = [pick for pick in picks if pick.key is None]
        keyed: dict[Key, list[Pick]] = {}
        for pick in picks:
            if pick.key is not None:
                keyed.setdefault(pick.key, []).append(pick)

        def show(key: Key, entry: Inner) -> Inner | None:
            return self.part([*scanning, *keyed.get(key, ())], parent, entry, lists=False, depth=depth)

        entries: Mapping[Key, Inner] = data.entries
        all_of_them = bool(scanning or depth)
        if not all_of_them:
            ordered = data.schema.ordered_by_user and len(keyed) > 1
            keys = [key for key in data.entries if key in keyed] if ordered else keyed
            entries = {key: entry for key in keys if (entry := data.entries.get(key)) is not None}
        return self.list(data, entries, show, lists=lists and all_of_them, every=False)

    @staticmethod
    def list(
        data: ListNode,
        entries: Mapping[Key, Inner],
        show: Callable[[Key, Inner], Inner | None],
        *,
        lists: bool,
        every: bool,
    ) -> ListNode | None:
        """Made when asked outside lists; elsewhere at once where entries may go, for who holds none may go, too."""
        shown = Entries(entries, show, every=every)
        if lists or every:
            return ListNode(data.schema, shown)
        made = dict(shown.items())
        return ListNode(data.schema, made) if made else None

    # ---- selected nodes with all below

    def whole(self, parent: Inner, node: SchemaNode, data: Data, depth: int | None, *, lists: bool) -> Data | None:
        sieve = self.sieve
        if isinstance(data, Inner):
            return self.inner(parent, data, depth, lists=lists)
        if isinstance(data, ListNode):
            if sieve.open or (depth is None and not node.config and not sieve.trim and sieve.config is not True):
                return data

            def show(_key: Key, entry: Inner) -> Inner | None:
                return self.inner(parent, entry, depth, lists=False)

            return self.list(data, data.entries, show, lists=lists, every=not sieve.removes)
        if sieve.trim and not says_something(parent, node, data):
            return None
        if isinstance(data, tuple):
            return tuple(value for value in data if sieve.passes(parent, node, value)) or None
        return data if sieve.passes(parent, node, data) else None

    def inner(self, parent: Inner, inner: Inner, depth: int | None, *, lists: bool) -> Inner | None:
        """A container or entry without what does not pass; None when nothing of it does."""
        sieve, node = self.sieve, inner.schema
        if sieve.open:
            return inner
        if sieve.config is True and not node.config:
            return None
        passes = sieve.passes(parent, node, inner)
        if depth == 1:
            return inner.with_children({leaf: inner.children[leaf] for leaf in node.keys}) if passes else None
        below = None if depth is None else depth - 1
        children: dict[SchemaNode, Data] = {}
        for child, data in inner.children.items():
            kept = data if child.is_key else self.whole(inner, child, data, below, lists=lists)
            if kept is None and sieve.trim and isinstance(data, Inner) and chooses_case(inner, child):
                kept = data
            if kept is not None:
                children[child] = kept
        if len(children) == len(inner.children) and all(inner.children[child] is children[child] for child in children):
            return inner if passes or len(children) > len(node.keys) else None
        if len(children) == len(node.keys) and (not passes or (node.kind is Kind.CONTAINER and not node.presence)):
            return None
        return inner.with_children(children)
