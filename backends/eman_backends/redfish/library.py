"""Resources by their path: members of a collection together where the service can send them so, else one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eman_netconf.backend import Unavailable

from .client import Client, Missing
from .documents import Document, dig, links, number, path_of
from .turns import in_turns

MOST_MEMBERS = 512  # of one collection
MOST_RESOURCES = 4096  # that a service is asked for while it is surveyed
MOST_ASIDE = 12  # resources of little worth that are asked for one by one
_PAGES = 64
_AT_ONCE = 8  # resources that are worked on at a time
_DEEPEST = 10  # levels of objects and lists that are searched for resources


@dataclass(frozen=True, slots=True)
class Fetched:
    """Resources by path, and of those that could not be had the reason."""

    documents: Mapping[str, Document]
    missing: Mapping[str, str]


class Library:
    """What was read while a service is surveyed, and how it is best read again."""

    def __init__(self, client: Client, root: Document, *, expand: bool) -> None:
        self._client = client
        self._levels = levels(root) if expand else 0
        self._collections: set[str] = set()  # those that were walked
        self._refused: set[str] = set()  # of them those that the service does not send as a whole
        self._known: dict[str, Document] = {}
        self._asked = self._looked = 0
        self._aside = MOST_ASIDE
        self.doubt: str | None = None  # why what was found may not be all: a service that starts tells little

    async def get(self, path: str | None) -> Document:
        """A resource, or an empty one where it is not there. Raises Unavailable."""
        if path is None:
            return {}
        self._looked += 1
        if self._looked % _AT_ONCE == 0:
            await asyncio.sleep(0)  # what is known is had without waiting; others have their turn nevertheless
        if path not in self._known:
            if self._asked >= MOST_RESOURCES:
                return {}
            self._asked += 1
            try:
                self._known[path] = await self._client.get(path)
            except Missing as error:
                if error.passing:
                    self.doubt = self.doubt or f"{path} cannot be read: {error}"
                self._known[path] = {}
        return self._known[path]

    async def members(self, path: str | None, depth: int = 1) -> tuple[str, ...]:
        """The members of a collection, and so many levels below, asked for together where that can be.

        Raises Unavailable.
        """
        if path is None:
            return ()
        if self._levels:
            self._known |= await self._expanded(path, min(depth, self._levels))
        page = await self.get(path)
        self._collections.add(path)
        found = dict.fromkeys(links(page, "Members"))
        for _ in range(_PAGES):
            following = path_of(_without_query(dig(page, "Members@odata.nextLink")))
            query = _query(dig(page, "Members@odata.nextLink"))
            if following is None or len(found) >= MOST_MEMBERS:
                break
            try:
                page = await self._client.get(following, query)
            except Missing:
                break
            found |= dict.fromkeys(links(page, "Members"))
        return tuple(found)[:MOST_MEMBERS]

    async def aside(self, path: str) -> Document:
        """A resource that is good to have: with its collection where that comes as a whole, else if it is one of few.

        Raises Unavailable.
        """
        collection = path.rpartition("/")[0]
        if path not in self._known and self._levels and collection not in self._collections:
            await self.members(collection)
        if path not in self._known:
            if not self._aside:
                return {}
            self._aside -= 1
        return await self.get(path)

    def settle(self) -> None:
        """Forget the resources; how to read them stays known."""
        self._known = {}
        self._asked = 0

    async def read(self, paths: Collection[str]) -> Fetched:
        """Resources as they are now. Raises Unavailable where the service cannot be asked."""
        documents: dict[str, Document] = {}
        missing: dict[str, str] = {}
        for collection, within in self._together(paths).items():
            came = await self._expanded(collection, max(_depth(collection, path) for path in within))
            documents |= {path: came[path] for path in within if path in came}
        for path in paths:
            if path not in documents:
                try:
                    documents[path] = await self._client.get(path)
                except Missing as error:
                    missing[path] = str(error)
        if paths and not documents:
            raise Unavailable(f"nothing can be read of the service: {next(iter(missing.values()))}")
        return Fetched(documents, missing)

    def _together(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """The collections that are asked for as a whole: those of which more than one resource is wanted."""
        if not self._levels:
            return {}
        within: dict[str, list[str]] = {}
        for path in paths:
            above = path.rpartition("/")[0]
            while above and above not in self._collections:
                above = above.rpartition("/")[0]
            if above and above not in self._refused and _depth(above, path) <= self._levels:
                within.setdefault(above, []).append(path)
        return {collection: wanted for collection, wanted in within.items() if len(wanted) > 1}

    async def _expanded(self, collection: str, depth: int) -> dict[str, Document]:
        """All that comes with a collection. One that does not come as a whole is not asked for that way again."""
        if collection in self._refused:
            return {}
        try:
            answer = await self._client.get(collection, f"?$expand=.($levels={depth})")
        except Missing as error:
            if not error.passing:
                self._refused.add(collection)
            return {}
        found: dict[str, Document] = {}
        members = dig(answer, "Members")
        async for member in in_turns(members[:MOST_MEMBERS] if isinstance(members, list) else (), _AT_ONCE):
            found |= gathered(member)
        found |= gathered(answer, 1)
        return {path: document for path, document in found.items() if _is_whole(document)}


def levels(root: Document) -> int:
    """How deep the service sends subordinate resources along: 0 where it does not, 2 at most."""
    query = dig(root, "ProtocolFeaturesSupported", "ExpandQuery")
    if dig(query, "NoLinks") is not True:
        return 0
    if dig(query, "Levels") is not True:
        return 1
    return int(min(number(query, "MaxLevels") or 1, 2))


def gathered(document: Any, depth: int = _DEEPEST) -> dict[str, Document]:
    """The resources in a document by their paths, those inside of others too."""
    found: dict[str, Document] = {}
    if depth and isinstance(document, dict):
        path = path_of(document.get("@odata.id"))
        if path is not None and "@odata.type" in document:
            found[path] = document
        for value in document.values():
            if isinstance(value, dict | list):
                found |= gathered(value, depth - 1)
    elif depth and isinstance(document, list):
        for value in document[:MOST_MEMBERS]:
            found |= gathered(value, depth - 1)
    return found


def _is_whole(document: Document) -> bool:
    """More than a link with a type."""
    return any(not name.startswith("@") for name in document)


def _depth(collection: str, path: str) -> int:
    """How many levels below a collection a resource is: its members are at 1, what hangs on them at 2."""
    return path.count("/") - collection.count("/")


def _without_query(value: Any) -> Any:
    return value.partition("?")[0] if isinstance(value, str) else None


def _query(value: Any) -> str:
    query = value.partition("?")[2] if isinstance(value, str) else ""
    safe = query.isascii() and query.isprintable() and " " not in query and "#" not in query and len(query) < 256
    return f"?{query}" if query and safe else ""
