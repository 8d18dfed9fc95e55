"""XPath filters that are no plain paths: evaluated on a tree before anything is sent (RFC 6241 section 8.9.5.1)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from eman_netconf.datastore.interleave import in_steps
from eman_netconf.datastore.pick import Pick
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang import xpath
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step

#: Steps one XPath filter may take: seconds of work, between which others have theirs.
BUDGET = 1_000_000

#: Steps between two pauses, in which others have their turn: milliseconds, even of work on entities not rendered yet.
EVERY = 250


def evaluating(expression: xpath.Expr, root: Inner) -> Generator[None, None, Inner]:
    """The nodes selected, with all below them and their ancestors with keys, in steps.

    Raises RpcError: invalid-value, resource-denied past BUDGET.
    """

    def work(pause: Callable[[], None]) -> Inner:
        return _selected(expression, root, xpath.Budget(BUDGET, pause=pause, every=EVERY))

    return in_steps(work)


def evaluated(expression: xpath.Expr, root: Inner) -> Inner:
    """As ``evaluating``, at once."""
    return _selected(expression, root, xpath.Budget(BUDGET))


def picking(expression: xpath.Expr, root: Inner) -> Generator[None, None, Pick]:
    """As ``evaluating``, but what is selected as picks, each of one node, for any tree that has these nodes.

    A node that is selected inside a selected one has its own pick, too.
    """

    def work(pause: Callable[[], None]) -> Pick:
        budget = xpath.Budget(BUDGET, pause=pause, every=EVERY)
        top = _Picked()
        for number, ref in enumerate(_found(expression, root, budget)):
            top.add(ref.path)
            if number % EVERY == 0:
                budget.rest()
        return top.pick()

    return in_steps(work)


def locating(expressions: Iterable[xpath.Expr], root: Inner) -> Generator[None, None, list[Path]]:
    """As ``evaluating``, but where the nodes stand that any of the expressions selects, which share BUDGET."""

    def work(pause: Callable[[], None]) -> list[Path]:
        budget = xpath.Budget(BUDGET, pause=pause, every=EVERY)
        return list(dict.fromkeys(ref.path for each in expressions for ref in _found(each, root, budget)))

    return in_steps(work)


def _selected(expression: xpath.Expr, root: Inner, budget: xpath.Budget) -> Inner:
    result = _found(expression, root, budget)
    if any(ref.parent is None for ref in result):
        return root
    kept = _Kept()
    for number, ref in enumerate(result):
        _keep(kept, ref.path)
        if number % EVERY == 0:
            budget.rest()
    return _built(root, kept) or Inner(root.schema)


def _found(expression: xpath.Expr, root: Inner, budget: xpath.Budget) -> list[xpath.Ref]:
    try:
        result = expression.evaluate(xpath.Ref.root(root), budget=budget)
    except xpath.BudgetExceeded:
        raise RpcError(
            ErrorTag.RESOURCE_DENIED,
            "The filter's expression takes too many steps; name the keys of the entries it is about.",
        ) from None
    except xpath.XPathFault as fault:
        raise invalid(f"The filter's expression cannot be evaluated: {fault}") from None
    assert isinstance(result, list), "an expression of another type was refused when it was compiled"
    return result


def invalid(message: str) -> RpcError:
    """The refusal of an expression."""
    return RpcError(ErrorTag.INVALID_VALUE, message)


class _Kept(dict[Step, "_Kept | None"]):
    """What is selected below a node by step; None = all of it."""


def _keep(kept: _Kept, path: Path) -> None:
    """Add the node at ``path`` with all below it, unless an ancestor of it is there already."""
    for step in path[:-1]:
        below = kept.setdefault(step, _Kept())
        if below is None:
            return
        kept = below
    if path:
        kept[path[-1]] = None


class _Picked(dict[Step, "_Picked"]):
    """What is selected below a node by step, and whether the node itself is."""

    whole = False

    def add(self, path: Path) -> None:
        at = self
        for step in path:
            at = at.setdefault(step, _Picked())
        at.whole = True

    def pick(self, key: Key | None = None) -> Pick:
        made = Pick(whole=self.whole, key=key)
        for (schema, key_below), below in self.items():
            values = schema.kind is Kind.LEAF_LIST
            inside = Pick(values=frozenset(key_below or ())) if values else below.pick(key_below)
            made.children.setdefault(schema, []).append(inside)
        return made


def _built(inner: Inner, kept: _Kept) -> Inner | None:
    """The selected part of a node; what is only there by default is not shown (RFC 6243 section 2.3)."""
    children: dict[SchemaNode, Data] = {}
    entries: dict[SchemaNode, dict[Key, Inner]] = {}
    for (schema, key), below in kept.items():
        data = inner.children.get(schema)
        if isinstance(data, ListNode):
            entry = None if key is None else data.entries.get(key)
            part = entry if entry is None or below is None else _built(entry, below)
            if part is not None and key is not None:
                entries.setdefault(schema, {})[key] = part
        elif isinstance(data, Inner):
            part = data if below is None else _built(data, below)
            if part is not None:
                children[schema] = part
        elif isinstance(data, tuple):
            if key is not None and key[0] in data:
                before = children.get(schema, ())
                assert isinstance(before, tuple)
                children[schema] = (*before, key[0])
        elif data is not None:
            children[schema] = data
    children.update({schema: ListNode(schema, found) for schema, found in entries.items()})
    if not children:
        return None
    children.update({leaf: inner.children[leaf] for leaf in inner.schema.keys})
    return Inner(inner.schema, children)
