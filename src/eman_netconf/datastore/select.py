"""Selections: subtree and XPath filters (RFC 6241 sections 6 and 8.9) compiled, then applied to any tree.

A filter that says its paths step by step becomes a tree of picks, applied entry by entry as the answer is sent;
any other XPath expression is evaluated first. Keys that are tested lead to their entry directly, in both.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from eman_netconf.datastore.evaluate import evaluated, evaluating, invalid
from eman_netconf.datastore.pick import Match, Pick, beneath, entry_key, pick_of
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang import xpath
from eman_netconf.yang.instance import Element
from eman_netconf.yang.render import data_bytes
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode
from eman_netconf.yang.types import TypeFault
from eman_netconf.yang.xpath_functions import Returns

#: Slices of a stream are joined up to about this many bytes: a packet costs the same whatever its size.
SLICE = 32_768

#: Entries that are looked at and left out between two turns of others: a few milliseconds of work.
SILENT = 16

#: Elements of a subtree filter that look at every entry of a list.
MAX_SCANS = 256

#: Elements a subtree filter may have: a tenth of a second of work, in which nobody else is served.
MAX_ELEMENTS = 20_000

_WHOLE = Pick(whole=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """A compiled filter: everything, some picks at the root, or an XPath expression."""

    pick: Pick | None = None
    expression: xpath.Expr | None = None


EVERYTHING = Selection(_WHOLE)


# --- compiling -------------------------------------------------------------------------------------------------------


def compile_subtree(filter_element: Element, schema: Schema) -> Selection:
    """The selection of a ``<filter>`` element. One without children selects nothing (RFC 6241 section 6.4.2).

    Raises RpcError resource-denied for one that is too long, or would try too many conditions on every entry of a list.
    """
    if next(itertools.islice(filter_element.iterdescendants(), MAX_ELEMENTS, None), None) is not None:
        raise RpcError(
            ErrorTag.RESOURCE_DENIED,
            f"The filter has more than {MAX_ELEMENTS} elements; ask in several requests, or for the list as a whole.",
        )
    pick = _pick(schema.root, filter_element) or Pick()
    if _scans(pick) > MAX_SCANS:
        raise RpcError(
            ErrorTag.RESOURCE_DENIED,
            f"The filter holds more than {MAX_SCANS} elements that each look at all entries of a list; "
            "name the keys of the entries, or ask in several requests.",
        )
    return Selection(pick)


def _scans(pick: Pick) -> int:
    """How many picks look at every entry of a list."""
    count = 0
    for node, picks in pick.children.items():
        for below in picks:
            count += _scans(below) + (node.kind is Kind.LIST and below.key is None)
    return count


def compile_xpath(text: str, namespaces: Mapping[str | None, str], schema: Schema) -> Selection:
    """The selection of a ``select`` attribute with the prefixes in scope (RFC 6241 section 8.9.1).

    Raises RpcError invalid-value for an expression that cannot be read or gives no nodes.
    """
    prefixes = {prefix: uri for prefix, uri in namespaces.items() if prefix}
    try:
        expression = xpath.compile(text, prefixes, None, schema)
    except xpath.XPathFault as fault:
        raise invalid(f"The filter's expression cannot be read: {fault}") from None
    if expression.returns is not Returns.NODES:
        raise invalid(f"The filter's expression gives a {expression.returns}; select nodes by their path.")
    pick = pick_of(expression.syntax, prefixes, schema)
    return Selection(expression=expression) if pick is None else Selection(pick)


def _pick(node: SchemaNode, element: Element) -> Pick | None:
    """The pick of an element with children, on a node that may have some; None if it can never select anything."""
    pick = Pick()
    only_tests = True
    empty = True
    for child in element:
        if not isinstance(child.tag, str):
            continue
        empty = False
        candidates = _candidates(node, child)
        text = (child.text or "").strip()
        if not len(child) and text:
            test = [] if child.keys() else _test(child, text, candidates)
            if not test:
                return None
            pick.tests.append(test)
            continue
        only_tests = False
        if child.keys():
            continue  # our data carry no attributes: a match on one selects nothing (RFC 6241 section 6.2.2)
        for candidate in candidates:
            below = _pick(candidate, child) if len(child) and _has_children(candidate) else _WHOLE
            if below is not None and not (len(child) and candidate.kind in (Kind.LEAF, Kind.LEAF_LIST)):
                _add(pick, candidate, below)
    if empty:
        return None
    if only_tests:
        pick.whole = True
    else:
        for test in pick.tests:
            for leaf, value in test:
                _add(pick, leaf, Pick(values=frozenset((value,))) if leaf.kind is Kind.LEAF_LIST else _WHOLE)
    pick.key = entry_key(node, pick)
    return pick


def _add(pick: Pick, node: SchemaNode, below: Pick) -> None:
    """Select something more; what is selected as a whole needs saying once."""
    picks = pick.children.setdefault(node, [])
    if below is _WHOLE:
        picks[:] = [_WHOLE]
    elif picks != [_WHOLE]:
        picks.append(below)


def _has_children(node: SchemaNode) -> bool:
    return node.kind in (Kind.CONTAINER, Kind.LIST, Kind.NOTIFICATION)


def _candidates(node: SchemaNode, element: Element) -> list[SchemaNode]:
    """The children of ``node`` an element can mean; without a namespace, those of any (RFC 6241 section 6.2.1)."""
    name = etree.QName(element)
    if name.namespace:
        child = node.children.get((name.namespace, name.localname))
        return [] if child is None else [child]
    return [child for child in node.children.values() if child.name == name.localname]


def _test(element: Element, text: str, candidates: Iterable[SchemaNode]) -> list[Match]:
    """The matches a content match node asks for; none when no value can be meant (RFC 6241 section 6.2.5)."""
    matches: list[Match] = []
    for node in candidates:
        if node.type is None:
            continue
        try:
            matches.append((node, node.type.parse(text, element.nsmap.get)))
        except TypeFault:
            continue
    return matches


# --- applying --------------------------------------------------------------------------------------------------------


def prune(selection: Selection, root: Inner) -> Inner:
    """The selected part of ``root``, sharing what is selected as a whole; keys of selected entries always included.

    Raises RpcError: invalid-value or resource-denied for an XPath expression that cannot be evaluated so far.
    """
    if selection.expression is not None:
        return evaluated(selection.expression, root)
    assert selection.pick is not None
    return _pruned([selection.pick], root) or Inner(root.schema)


def stream(selection: Selection, root: Inner) -> Iterator[bytes]:
    """The content of ``<data>``: what ``prune`` keeps, in slices, made as they are asked for.

    Memory stays flat: an entry of a long list is let go when the next one is made. Raises as ``prune``,
    at once rather than at the first slice.
    """
    return joined(slices(selection, root))


def settling(selection: Selection, root: Inner) -> Generator[None, None, Iterator[bytes]]:
    """As ``stream``, with what has to be evaluated before the first slice done in steps."""
    if selection.expression is not None:
        root = yield from evaluating(selection.expression, root)
        selection = EVERYTHING
    return stream(selection, root)


def slices(selection: Selection, root: Inner) -> Iterator[bytes]:
    """As ``stream``, one slice for each entry of a list that stands outside other lists."""
    if selection.expression is not None:
        return _content(None, evaluated(selection.expression, root))
    assert selection.pick is not None
    return _content([selection.pick], root)


def pieces(inner: Inner) -> Iterator[bytes]:
    """The bytes of one container outside all lists, in slices as those of ``slices``."""
    return _container(None, inner)


def joined(parts: Iterator[bytes], size: int = SLICE) -> Iterator[bytes]:
    """The same bytes in slices of at least ``size``; an empty one after many that were empty, to give others a turn."""
    waiting: list[bytes] = []
    length = silent = 0
    for part in parts:
        if not part:
            silent += 1
            if silent == SILENT:
                yield b""
                silent = 0
            continue
        waiting.append(part)
        length += len(part)
        if length >= size:
            yield b"".join(waiting)
            waiting.clear()
            length = 0
    if waiting:
        yield b"".join(waiting)


def _pruned(picks: list[Pick], inner: Inner) -> Inner | None:
    live = [pick for pick in picks if pick.holds(inner)]
    if any(pick.whole for pick in live):
        return inner
    if not live:
        return None
    children: dict[SchemaNode, Data] = {}
    for node, below in beneath(live).items():
        data = inner.children.get(node)
        if data is None:
            continue
        kept = _pruned_data(below, data)
        if kept is not None:
            children[node] = kept
    if not children:
        return None
    for leaf in inner.schema.keys:
        children[leaf] = inner.children[leaf]
    return Inner(inner.schema, children)


def _pruned_data(picks: list[Pick], data: Data) -> Data | None:
    if isinstance(data, Inner):
        return _pruned(picks, data)
    if isinstance(data, ListNode):
        if _all_entries(picks):
            return data
        kept = {entry.key() or (str(index),): entry for index, entry in enumerate(_pruned_entries(picks, data))}
        return ListNode(data.schema, kept) if kept else None
    if isinstance(data, tuple) and all(pick.values is not None for pick in picks):
        wanted = frozenset[str]().union(*(pick.values or () for pick in picks))
        return tuple(value for value in data if value in wanted) or None
    return data


def _all_entries(picks: list[Pick]) -> bool:
    return any(pick.whole and not pick.tests for pick in picks)


def _pruned_entries(picks: list[Pick], data: ListNode) -> Iterator[Inner]:
    """What is selected of each entry, in the order of the list where that order is the user's."""
    scanning = [pick for pick in picks if pick.key is None]
    keyed: dict[Key, list[Pick]] = {}
    for pick in picks:
        if pick.key is not None:
            keyed.setdefault(pick.key, []).append(pick)
    keys: Iterable[Key] = keyed
    if scanning or (len(keyed) > 1 and data.schema.ordered_by_user):
        keys = data.entries
    for key in keys:
        wanted = [*scanning, *keyed.get(key, ())]
        entry = data.entries.get(key) if wanted else None
        kept = None if entry is None else _pruned(wanted, entry)
        if kept is not None:
            yield kept


def _holds_list(inner: Inner) -> bool:
    """Whether there is a list below, outside of other lists: such a node is printed piece by piece, and its
    bytes are not remembered, since they would double those of the entries."""
    return any(
        isinstance(data, ListNode) or (isinstance(data, Inner) and _holds_list(data))
        for data in inner.children.values()
    )


def _content(picks: list[Pick] | None, inner: Inner) -> Iterator[bytes]:
    """The bytes of the children of a node outside all lists; ``picks`` None = all of them."""
    children: list[tuple[SchemaNode, Data]]
    below: Mapping[SchemaNode, list[Pick]] | None = None
    if picks is not None:
        live = [pick for pick in picks if pick.holds(inner)]
        if not any(pick.whole for pick in live):
            below = beneath(live)
    if below is None:
        children = inner.ordered()
    else:
        children = [(node, inner.children[node]) for node in below if node in inner.children]
        children.sort(key=lambda item: item[0].order)
    for node, data in children:
        chosen = None if below is None else below[node]
        if isinstance(data, ListNode):
            if chosen is None or _all_entries(chosen):
                for entry in data.entries.values():
                    yield entry.xml()
            else:
                for entry in _pruned_entries(chosen, data):
                    yield entry.xml()
        elif isinstance(data, Inner):
            yield from _container(chosen, data)
        else:
            kept = data if chosen is None else _pruned_data(chosen, data)
            if kept is not None:
                yield data_bytes(node, kept)


def _container(picks: list[Pick] | None, inner: Inner) -> Iterator[bytes]:
    if not _holds_list(inner):
        kept = inner if picks is None else _pruned(picks, inner)
        if kept is not None:
            yield kept.xml()
        return
    opened = False
    for part in _content(picks, inner):
        if not opened:
            opened = True
            yield inner.schema.open_tag
        yield part
    if opened:
        yield inner.schema.close_tag
    elif picks is None:
        yield inner.schema.empty_tag
