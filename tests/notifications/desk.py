"""A publisher with nobody around it: a tree changed by hand, a clock that is moved, receivers that are lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lxml import etree

from eman_netconf.datastore.edit import at_once
from eman_netconf.datastore.select import EVERYTHING, Selection, compile_subtree, prune
from eman_netconf.messages.rpc import SessionInfo, read_notification
from eman_netconf.notifications.publisher import Publisher
from eman_netconf.notifications.streams import Event
from eman_netconf.notifications.subscriptions import OnChange, Periodic, Subscription, Terms
from eman_netconf.yang.diff import diff
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode, make_inner
from tests.notifications.subscriber import YP, Subscriber

EMAN = "urn:eman:yang:eman-entity"


class Moment(NamedTuple):
    wall: float
    mono: float


@dataclass
class Desk:
    """``entities`` by id, each the leaves it has. The operational state has all, running what is configuration."""

    schema: Schema
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    full: set[int] = field(default_factory=set)  # sessions that take nothing
    now: Moment = field(default_factory=lambda: Moment(1_800_000_000.0, 0.0))

    def __post_init__(self) -> None:
        self.sent: dict[int, list[bytes]] = {}
        self.failures: list[int] = []  # subscriptions ended by a fault
        self.over: list[int] = []  # sessions of which a subscription ended
        self.looked: list[str] = []  # entities whose entry was read
        self.hidden: set[str] = set()  # entities nobody may read
        self.seen = 0  # how often what may be read was asked
        self.publisher = Publisher(self.schema, self, self, lambda _subscription, _event: True)
        self.roots: dict[str, Inner] = {}
        self.build()

    # --- trees and outlet

    def tree(self, datastore: str, /) -> Inner:
        return self.roots[datastore]

    def readable(self, session: SessionInfo, root: Inner, /) -> Inner:
        self.seen += 1
        hidden = self.hidden
        top = root.schema.child("eman-entity:energy-management")
        container = top.child("entities")
        node = container.child("entity")
        data = root.at("eman-entity:energy-management", "entities", "entity")
        if not hidden or not isinstance(data, ListNode):
            return root
        entries = {key: entry for key, entry in data.entries.items() if key[0] not in hidden}
        management, inside = root.children[top], root.at("eman-entity:energy-management", "entities")
        assert isinstance(management, Inner)
        assert isinstance(inside, Inner)
        return root.replace(top, management.replace(container, inside.replace(node, ListNode(node, entries))))

    def send(self, session: int, message: bytes, /) -> bool:
        if session in self.full:
            return False
        self.sent.setdefault(session, []).append(message)
        return True

    def room(self, session: int, /) -> bool:
        return session not in self.full

    def failed(self, subscription: int, fault: Exception, /) -> None:
        self.failures.append(subscription)

    def ended(self, session: int, /) -> None:
        self.over.append(session)

    # --- what happens

    def build(self) -> None:
        for datastore in ("running", "operational"):
            node = self.schema.find("eman-entity:energy-management/entities/entity")
            entries = {
                (id_,): make_inner(
                    node,
                    {
                        name: value
                        for name, value in {"id": id_, **leaves}.items()
                        if datastore == "operational" or node.child(name).config
                    },
                )
                for id_, leaves in self.entities.items()
            }
            container = node.parent
            assert container is not None
            assert container.parent is not None
            listed = ListNode(node, _Watched(entries, self.looked) if datastore == "operational" else entries)
            inside = Inner(container, {node: listed}) if entries else Inner(container)
            top = Inner(container.parent, {container: inside})
            self.roots[datastore] = Inner(self.schema.root, {container.parent: top})

    def change(self, id_: str, leaves: dict[str, Any] | None) -> None:
        """An entity shows something else, or (None) is gone."""
        if leaves is None:
            self.entities.pop(id_, None)
        else:
            self.entities[id_] = leaves
        before = self.roots["running"]
        self.build()
        change = diff(before, self.roots["running"])
        if change is not None:
            self.publisher.committed(change, self.now)
        self.publisher.stirred({id_}, self.now)

    def later(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is."""
        end = self.now.mono + seconds
        while True:
            due = self.publisher.next_timer(self.now)
            if due is None or due > end:
                break
            self.now = Moment(self.now.wall + max(0.0, due - self.now.mono), max(due, self.now.mono))
            at_once(self.publisher.timer(self.now))
        self.now = Moment(self.now.wall + end - self.now.mono, end)

    # --- receivers

    def terms(
        self,
        trigger: Periodic | OnChange | None,
        subtree: str | None = None,
        datastore: str = "operational",
        **more: Any,
    ) -> Terms:
        selection = EVERYTHING if subtree is None else self.selection(subtree)
        alike = b"" if subtree is None else subtree.encode()
        store = {"ietf-yang-push:datastore": f"ietf-datastores:{datastore}"}
        asked: Mapping[str, Any] = {"stream": "NETCONF"} if trigger is None else store
        return Terms(selection, alike, asked, datastore=datastore if trigger else "", trigger=trigger, **more)

    def selection(self, subtree: str) -> Selection:
        return compile_subtree(etree.fromstring(f"<filter>{subtree}</filter>"), self.schema)

    def subscribe(self, session: int, terms: Terms, user: str = "ada") -> Subscription:
        info = SessionInfo(session, user, "", 0.0)
        return at_once(self.publisher.establish(info, terms, self.now))

    def happen(self, event: Event) -> None:
        self.publisher.event(event, self.now)

    def contents(self, session: int) -> list[etree._Element]:
        """The contents of all that a session was sent."""
        return [read_notification(etree.fromstring(message)).content for message in self.sent.get(session, [])]

    def names(self, session: int) -> list[str]:
        return [etree.QName(content).localname for content in self.contents(session)]

    def held(self, session: int) -> Inner:
        """What the subscriber of a datastore in a session knows, by what it was sent."""
        subscriber = Subscriber(self.schema)
        for content in self.contents(session):
            if content.tag.startswith(f"{{{YP}}}"):
                subscriber.take(content)
        return subscriber.tree

    def shown(self, terms: Terms, datastore: str = "operational") -> Inner:
        """What of a datastore can be read, is selected, and is told on change."""
        session = SessionInfo(0, "", "", 0.0)
        selected = prune(terms.selection, self.readable(session, self.roots[datastore]))
        if datastore != "operational":
            return selected
        return self.publisher.observable.without_readings(selected, None, lambda _key: None)


class _Watched(Mapping[tuple[str, ...], Inner]):
    """Entries that tell which of them were read."""

    def __init__(self, entries: dict[tuple[str, ...], Inner], looked: list[str]) -> None:
        self._entries = entries
        self._looked = looked

    def __getitem__(self, key: tuple[str, ...]) -> Inner:
        entry = self._entries[key]
        self._looked.append(key[0])
        return entry

    def __iter__(self) -> Any:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries
