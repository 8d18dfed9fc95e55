"""What subscribers of a datastore are told: the whole selection, or what changed in it (RFC 8641).

The data are those that the receiver may read, and of these what he selected. Whoever asked for the same and may read
the same shares one ``Feed``: one tree that all of them hold, and one encoding of what changes in it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Final, Protocol, TypeVar

from eman_netconf.datastore.select import EVERYTHING, prune, settling, stream
from eman_netconf.messages.rpc import SessionInfo, notification_bytes
from eman_netconf.notifications.observable import ENTITY, Observable
from eman_netconf.notifications.parts import graft, merge, part
from eman_netconf.notifications.patch import Edit, edits, encoded
from eman_netconf.notifications.streams import event_time
from eman_netconf.notifications.subscriptions import YP_NS, OnChange, Periodic, Reason, Refused, Subscription, Terms
from eman_netconf.yang.diff import Touched, diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, Step

T = TypeVar("T")
Steps = Generator[None, None, T]

#: Bytes of the largest update; with more the selection is refused, or its subscription suspended.
UPDATE_BYTES: Final = 1_000_000

#: Bytes of edits that go into one message; what is more goes into the next.
PATCH_BYTES: Final = 250_000

#: Seconds between updates at least.
SHORTEST_PERIOD: Final = 1.0

#: Changes are gathered for so many seconds before they are told.
SETTLE: Final = 0.02

_BATCH = 50  # entities looked at in one step


class Trees(Protocol):
    """The datastores, as far as subscribers see them."""

    def tree(self, datastore: str, /) -> Inner:
        """All data of a datastore now."""

    def readable(self, session: SessionInfo, root: Inner, /) -> Inner:
        """What of a tree, or of a part of one, a session may read."""


def audience(session: SessionInfo) -> tuple[str, frozenset[str]]:
    """Sessions of the same audience may read the same."""
    return session.user, session.groups


# --- whole updates ---------------------------------------------------------------------------------------------------


def contents(trees: Trees, session: SessionInfo, terms: Terms) -> Steps[bytes]:
    """What is selected now, as XML. Raises Refused update-too-big, and RpcError as the selection does."""
    root = trees.readable(session, trees.tree(terms.datastore))
    parts: list[bytes] = []
    size = 0
    for piece in (yield from settling(terms.selection, root)):
        parts.append(piece)
        size += len(piece)
        check_size(size, Reason.UPDATE_TOO_BIG)
        yield
    return b"".join(parts)


def check_size(size: int, reason: Reason) -> None:
    """Raises Refused with ``reason`` for an update of more than UPDATE_BYTES."""
    if size > UPDATE_BYTES:
        raise Refused(
            reason,
            f"The selected data are more than the {UPDATE_BYTES // 1000} kilobytes that go into one update; select "
            "less, or make several subscriptions.",
            kilobytes_limit=UPDATE_BYTES // 1000,
        )


def update(subscription: Subscription, content: bytes, wall: float) -> bytes:
    """A push-update, as a whole message."""
    body = b'<push-update xmlns="%b"><id>%d</id><datastore-contents>%b</datastore-contents></push-update>' % (
        YP_NS.encode(),
        subscription.id,
        content,
    )
    return notification_bytes(event_time(wall), body)


def change_update(subscription: Subscription, written: bytes, wall: float, *, incomplete: bool) -> bytes:
    """A push-change-update around edits, as a whole message; ``incomplete``: more of the same change follow."""
    body = b'<push-change-update xmlns="%b"><id>%d</id>%b%b</push-change-update>' % (
        YP_NS.encode(),
        subscription.id,
        encoded(subscription.patches, written),
        b"<incomplete-update/>" if incomplete else b"",
    )
    return notification_bytes(event_time(wall), body)


def portions(written: Iterator[bytes]) -> list[bytes]:
    """Edits joined to portions of PATCH_BYTES, or of one edit where that is more."""
    joined: list[bytes] = []
    parts: list[bytes] = []
    size = 0
    for text in written:
        if parts and size + len(text) > PATCH_BYTES:
            joined.append(b"".join(parts))
            parts, size = [], 0
        parts.append(text)
        size += len(text)
    if parts:
        joined.append(b"".join(parts))
    return joined


# --- when ------------------------------------------------------------------------------------------------------------


def first_update(trigger: Periodic, wall: float, mono: float) -> float:
    """When the first update of a periodic subscription is due, by the monotonic clock."""
    if trigger.anchor is None:
        return mono
    turns = math.ceil((wall - trigger.anchor) / trigger.period)
    return mono + trigger.anchor + turns * trigger.period - wall


def next_update(trigger: Periodic, due: float, wall: float, mono: float) -> float:
    """When the update after the one that was due at ``due`` is due; turns that were missed are left out."""
    if trigger.anchor is None:
        late = max(0.0, mono - due)
        return due + (math.floor(late / trigger.period) + 1) * trigger.period
    turns = round((wall - trigger.anchor) / trigger.period) + 1
    return mono + trigger.anchor + turns * trigger.period - wall


# --- what changes ----------------------------------------------------------------------------------------------------


class Feed:
    """The tree that equal subscriptions on change hold, and what may have changed since they were told."""

    def __init__(
        self, schema: Schema, trees: Trees, observable: Observable, session: SessionInfo, terms: Terms
    ) -> None:
        assert isinstance(terms.trigger, OnChange)
        self.datastore = terms.datastore
        self.members: dict[int, Subscription] = {}
        self.filled = False
        self.filling = False
        self.size = 0  # bytes of the tree as XML, when it was filled
        self._judged = 0  # how often who may read what has changed
        self._schema = schema
        self._trees = trees
        self._observable = observable
        self._session = session
        self._selection = terms.selection
        self._trigger = terms.trigger
        self._told = Inner(schema.root)
        self._touched: Touched = {}
        self._due: float | None = None
        self._flushed = -math.inf

    def touch(self, touched: Touched, mono: float) -> None:
        """Something of the datastore may have changed."""
        merge(self._touched, touched)
        if self._due is None:
            self._due = max(mono + SETTLE, self._flushed + self._trigger.dampening)

    @property
    def due(self) -> float | None:
        """When ``flush`` is to be called; None = not until something changed."""
        return self._due if self.filled else None

    def judge_anew(self) -> None:
        """Who may read what may be different: the tree is to be filled again."""
        self.filled = False
        self._judged += 1

    def ready(self) -> Steps[None]:
        """Fill the tree, or wait until it is filled by another."""
        while not self.filled:
            if self.filling:
                yield
            else:
                yield from self.fill()

    def fill(self) -> Steps[None]:
        """Look at everything, in steps. What changes meanwhile is touched, so it is looked at again.

        Raises Refused sync-too-big: a receiver can be told of changes only when it can be told the whole.
        """
        self.filling = True
        try:
            while not self.filled:
                judged = self._judged
                root = self._trees.tree(self.datastore)
                told = Inner(root.schema)
                size = 0
                for touched in _batches(self._schema, root):
                    selected = self._selected(root, touched)
                    for piece in stream(EVERYTHING, selected):
                        size += len(piece)
                        check_size(size, Reason.SYNC_TOO_BIG)
                    told = graft(told, selected, touched)
                    yield
                self._told, self.size = told, size
                self.filled = judged == self._judged
        finally:
            self.filling = False

    def flush(self, mono: float) -> list[Edit]:
        """The edits that bring the members up to date."""
        touched, self._touched, self._due = self._touched, {}, None
        root = self._trees.tree(self.datastore)
        told = graft(self._told, self._selected(root, touched), touched)
        change = diff(self._told, told, touched)
        self._told = told
        if change is None:
            return []
        self._flushed = mono
        return [edit for edit in edits(change) if edit.operation not in self._trigger.excluded]

    def content(self) -> bytes:
        """The tree as XML. Raises Refused sync-too-big."""
        size = 0
        parts: list[bytes] = []
        for piece in stream(EVERYTHING, self._told):
            parts.append(piece)
            size += len(piece)
            check_size(size, Reason.SYNC_TOO_BIG)
        return b"".join(parts)

    def _selected(self, root: Inner, touched: Touched) -> Inner:
        """What the members are to hold of what is touched."""
        readable = self._trees.readable(self._session, part(root, touched))
        selected = prune(self._selection, readable)
        if self.datastore != "operational":
            return selected
        return self._observable.without_readings(selected, self._told, self._observable.deadband(root))


def entities(schema: Schema, ids: Iterable[str]) -> Touched:
    """What is reached by changes of these entities."""
    node = schema.find(ENTITY)
    touched: Touched = {Step(node, (id_,)): {} for id_ in ids}
    for above in node.ancestors():
        touched = {Step(above): touched}
    return touched


def _batches(schema: Schema, root: Inner) -> Iterator[Touched]:
    """All of a tree, the entities a few at a time."""
    node = schema.find(ENTITY)
    container, top = node.ancestors()
    rest: Touched = {Step(other): {} for other in root.children if other is not top}
    management = root.children.get(top)
    if isinstance(management, Inner):
        beside: Touched = {Step(other): {} for other in management.children if other is not container}
        if beside:
            rest[Step(top)] = beside
    yield rest
    found = root.at(top.qualified_name, container.name, node.name)
    if isinstance(found, ListNode):
        keys = iter(found.entries)
        while some := [id_ for (id_,) in islice(keys, _BATCH)]:
            yield entities(schema, some)
