"""What a service says by itself: its stream of server-sent events, of which only that there was one is used."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

from eman_netconf.backend import Unavailable

from .client import Client
from .documents import Document, dig, path_of

FIRST_PAUSE = 1.0  # seconds until a stream that ended is asked for again, then twice as long each time ...
LONGEST_PAUSE = 300.0  # ... up to this, while nothing comes
_KEPT = 4096  # octets of a line that are looked at
_GONE = frozenset({400, 404, 405, 406, 410, 501})
_ONLY_EVENTS = "?$filter=EventFormatType%20eq%20Event"


def stream_of(service: Document) -> tuple[str, str] | None:
    """Path and query of the stream of an EventService; None where it has none."""
    path = path_of(dig(service, "ServerSentEventUri"))
    if path is None or dig(service, "ServiceEnabled") is False:
        return None
    filtering = dig(service, "SSEFilterPropertiesSupported", "EventFormatType") is True
    return path, _ONLY_EVENTS if filtering else ""


async def events(client: Client, stream: tuple[str, str], chance: random.Random) -> AsyncIterator[None]:
    """Yield whenever the service told of something; end where it turns out to have no stream.

    A stream that ends is asked for again. Raises Unavailable where one breaks or cannot be had.
    """
    pause = FIRST_PAUSE
    while True:
        async with client.events(*stream) as response:
            if response.status in _GONE:
                return
            if response.status != 200 or response.content_type != "text/event-stream":
                raise Unavailable(f"the service does not open its stream of events: {response.status}")
            async for _ in blocks(response.content.iter_any()):
                pause = FIRST_PAUSE
                yield
        await asyncio.sleep(pause * (1 + chance.random() / 4))
        pause = min(pause * 2, LONGEST_PAUSE)


async def blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Yield at the end of each event that has data (HTML standard: server-sent events), whatever its size."""
    line, data = b"", False
    async for piece in pieces:
        told = 0
        for octet in piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines(keepends=True):
            line = (line + octet)[:_KEPT]
            if not octet.endswith(b"\n"):
                continue
            if line == b"\n":
                told += data
                data = False
            data = data or line.startswith((b"data:", b"data\n"))
            line = b""
        if told:  # several at once are one
            yield
