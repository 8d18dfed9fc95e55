"""What configuration must not say and YANG cannot forbid: loops, foreign states, identifiers taken twice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from eman_netconf.energy.changes import Touched, entries
from eman_netconf.energy.claims import configured_claim
from eman_netconf.energy.groups import GroupNodes
from eman_netconf.energy.neighbours import Ear
from eman_netconf.energy.relationships import Claim, End, find_loops
from eman_netconf.energy.site import Site
from eman_netconf.energy.values import Direction
from eman_netconf.errors import AppTag, ErrorTag, RpcError
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Inner, Key, ListNode, Path, Step, path_text

#: Loops that are told; and the entities named of one.
_MAX_LOOPS = 100
_MAX_NAMES = 10


class Checks:
    """The verdict on one change of configuration; ``site`` is what stands before it.

    The cost is that of the change, and of the way upstream from what it wires.
    """

    def __init__(self, site: Site, touched: Iterable[Touched]) -> None:
        self._site = site
        self._nodes = site.nodes
        self._touched = list(touched)
        self._new: dict[str, Inner | None] = {key[0]: new for key, _old, new in self._touched}
        self._directions: dict[End, Direction] = {}
        self.errors: list[RpcError] = []

    def run(self) -> list[RpcError]:
        """All that is wrong, in the order of the change."""
        self._foreign_ids()
        self._containment()
        for (id_,), old, new in self._touched:
            if new is None:
                continue
            if _differs(old, new, self._nodes.states.container):
                self._states(id_, old, new)
        self._wiring()
        return self.errors

    def _fault(
        self,
        app_tag: AppTag,
        message: str,
        path: Path,
        tag: ErrorTag = ErrorTag.OPERATION_FAILED,
        *,
        about: Iterable[str] = (),
        discreet: str = "",
    ) -> None:
        """``about`` are the entities that the message names beside that of ``path``."""
        others = [path_text(self._path(id_)) for id_ in about]
        self.errors.append(
            RpcError(tag, message, path=path_text(path), app_tag=app_tag, about=others, discreet=discreet)
        )

    def _path(self, id_: str, *steps: Step) -> Path:
        nodes = self._nodes
        top = nodes.entities.parent
        assert top is not None
        return Step(top), Step(nodes.entities), Step(nodes.entity, (id_,)), *steps

    # --- identifiers

    def _foreign_ids(self) -> None:
        node = self._nodes.foreign_ids.list
        claimed: dict[Key, str] = {}
        for (id_,), _old, new in self._touched:
            for key in _keys(new, node):
                holder = claimed.setdefault(key, id_)
                if holder == id_:
                    known = self._site.foreign_id_holder((key[0], key[1]))
                    holder = known if known is not None and known not in self._new else id_
                if holder != id_:
                    what = f"The {key[0].rpartition(':')[2]} {key[1]}"
                    self._fault(
                        AppTag.FOREIGN_ID_IN_USE,
                        f"{what} is that of {holder} already; take it away there.",
                        self._path(id_, Step(node, key)),
                        about=[holder],
                        discreet=f"{what} is that of another entity already.",
                    )

    # --- containment

    def _containment(self) -> None:
        node = self._nodes.contained_in
        moved = {id_: new for (id_,), old, new in self._touched if new is not None and _differs(old, new, node)}
        for loop in _loops(moved, self._container):
            way = " in ".join(_named(loop))
            self._fault(
                AppTag.CONTAINMENT_LOOP,
                f"An entity cannot be a part of itself: {way}.",
                self._path(loop[0], Step(node)),
                about=loop,
                discreet="An entity cannot be a part of itself.",
            )

    def _container(self, id_: str) -> list[str]:
        if id_ in self._new:
            new = self._new[id_]
            configured = new.get(self._nodes.contained_in) if new is not None else None
            if isinstance(configured, str):
                return [configured]
            entity = self._site.entities.get(id_)
            told = next((info.contained_in for info in entity.infos if info.contained_in), None) if entity else None
            return [told] if told else []
        container = self._site.container(id_)
        return [container] if container is not None else []

    # --- power states

    def _states(self, id_: str, old: Inner | None, new: Inner) -> None:
        nodes, sets = self._nodes.states, self._site.sets
        data = new.get(nodes.container)
        if not isinstance(data, Inner):
            return
        here = Step(nodes.container)
        before = old.get(nodes.container) if old is not None else None
        admin = data.get(nodes.admin_state) if nodes.admin_state is not None else None
        entity = self._site.entities.get(id_)
        if nodes.admin_state is not None and isinstance(admin, str):
            changed = not isinstance(before, Inner) or before.get(nodes.admin_state) != admin
            if changed and entity is not None and not entity.states.can_be(admin):
                self._fault(
                    AppTag.STATE_NOT_SUPPORTED,
                    f"{id_} has no power state like {admin.rpartition(':')[2]}; see those listed below power-state.",
                    self._path(id_, here, Step(nodes.admin_state)),
                    ErrorTag.INVALID_VALUE,
                )
        for key in _keys(data, nodes.set):
            entry = _entry(data, nodes.set, key)
            for state in _keys(entry, nodes.supported_state):
                if sets.set_of.get(state[0]) != key[0]:
                    self._fault(
                        AppTag.STATE_NOT_SUPPORTED,
                        f"{state[0].rpartition(':')[2]} is no state of the set {key[0].rpartition(':')[2]}.",
                        self._path(id_, here, Step(nodes.set, key), Step(nodes.supported_state, state)),
                        ErrorTag.INVALID_VALUE,
                    )

    # --- wiring

    def _wiring(self) -> None:
        """Try the new wires on the graph, look for loops through what changed, and take them back."""
        nodes, graph = self._nodes, self._site.graph
        moved = [
            (key[0], new)
            for key, old, new in self._touched
            if _differs(old, new, nodes.interfaces.interface) or _differs(old, new, nodes.relationship)
        ]
        if not moved:
            return
        claims: dict[Hashable, Claim | None] = {
            ("configuration", id_): configured_claim(nodes, id_, new) if new is not None else None for id_, new in moved
        }
        claims |= {
            witness: None  # what was heard counts for nothing where somebody says what is wired
            for claim in [*claims.values()]
            for wire in (claim.wires if claim is not None else ())
            for end in wire
            for witness in graph.witnesses(end)
            if isinstance(witness, Ear)
        }
        before = {witness: graph.claimed(witness) for witness in claims}
        for id_, new in moved:
            for name in _keys(new, nodes.interfaces.interface):
                entry = _entry(new, nodes.interfaces.interface, name) if new is not None else None
                direction = entry.get(nodes.interfaces.direction) if entry is not None else None
                if isinstance(direction, str):
                    self._directions[End(id_, name[0])] = Direction(direction)
        try:
            for witness, claim in claims.items():
                graph.claim(witness, claim)
            with self._site.supposing(self._directions):
                # who is fed by nobody is on no loop
                changed = {id_: new for id_, new in moved if new is not None and graph.knows(id_) and graph.feeds(id_)}
                for loop in _loops(changed, lambda one: [feed.source for feed in graph.feeds(one)]):
                    self._loop(loop, changed[loop[0]])
        finally:
            for witness, claim in before.items():
                graph.claim(witness, claim)

    def _loop(self, loop: list[str], new: Inner) -> None:
        way = ", which is fed by ".join(_named(loop))
        nodes = self._nodes.interfaces
        steps: tuple[Step, ...] = ()
        for name in _keys(new, nodes.interface):
            entry = _entry(new, nodes.interface, name)
            if _keys(entry, nodes.connected_to):
                steps = (Step(nodes.interface, name),)
                break
        self._fault(
            AppTag.POWER_LOOP,
            f"An entity cannot feed itself: {way}.",
            self._path(loop[0], *steps),
            about=loop,
            discreet="An entity cannot feed itself.",
        )


def nesting(nodes: GroupNodes, touched: Callable[[SchemaNode], Iterable[Touched]], running: Inner) -> list[RpcError]:
    """What is wrong with how groups and domains are inside each other in ``running``, where ``touched`` differs."""
    groups, domains = nodes.groups.list, nodes.domains.list
    return [
        *_circles(
            AppTag.GROUP_LOOP, "A group cannot include itself: ", " includes ", nodes.includes, touched(groups), running
        ),
        *_circles(
            AppTag.DOMAIN_LOOP, "A domain cannot be a part of itself: ", " in ", nodes.parent, touched(domains), running
        ),
    ]


def _circles(
    app_tag: AppTag, what: str, link: str, leaf: SchemaNode, touched: Iterable[Touched], running: Inner
) -> Iterator[RpcError]:
    list_ = leaf.parent
    assert list_ is not None
    known = entries(running, list_)

    def following(name: str) -> Iterable[str]:
        entry = known.get((name,))
        said = entry.get(leaf) if entry is not None else None
        return (said,) if isinstance(said, str) else said if isinstance(said, tuple) else ()

    moved = {key[0]: new for key, old, new in touched if new is not None and _differs(old, new, leaf)}
    way = [*reversed([Step(node) for node in list_.ancestors() if node.kind is not Kind.ROOT])]
    for loop in _loops(moved, following):
        places = [path_text((*way, Step(list_, (name,)), Step(leaf))) for name in loop]
        yield RpcError(
            ErrorTag.OPERATION_FAILED,
            f"{what}{link.join(_named(loop))}.",
            path=places[0],
            app_tag=app_tag,
            about=places[1:],
            discreet=f"{what.removesuffix(': ')}.",
        )


def _loops(changed: Mapping[str, object], following: Callable[[str], Iterable[str]]) -> Iterator[list[str]]:
    """The loops in which something changed, each from what changed first."""
    order = {id_: number for number, id_ in enumerate(changed)}
    told = 0
    for loop in find_loops(changed, following):
        here = min((id_ for id_ in loop if id_ in order), key=lambda id_: order[id_], default=None)
        if here is not None:
            first = loop.index(here)
            yield loop[first:] + loop[:first]
            told += 1
            if told == _MAX_LOOPS:
                return


def _named(loop: list[str]) -> list[str]:
    """Once round, for people."""
    shown = loop if len(loop) <= _MAX_NAMES else [*loop[: _MAX_NAMES - 1], "…"]
    return [*shown, loop[0]]


def _differs(old: Inner | None, new: Inner | None, node: SchemaNode) -> bool:
    before = old.get(node) if old is not None else None
    after = new.get(node) if new is not None else None
    return before is not after and before != after


def _keys(inner: Inner | None, node: SchemaNode) -> Iterable[Key]:
    data = inner.get(node) if inner is not None else None
    return data.entries if isinstance(data, ListNode) else ()


def _entry(inner: Inner, node: SchemaNode, key: Key) -> Inner:
    data = inner.children[node]
    assert isinstance(data, ListNode)
    assert node.kind is Kind.LIST
    return data.entries[key]
