"""Work in pieces, so that others on the loop have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_turns(things: Iterable[T], at_once: int = 128) -> AsyncIterator[T]:
    """The things one by one; after so many of them whoever else waits goes on."""
    for count, thing in enumerate(things, 1):
        yield thing
        if count % at_once == 0:
            await asyncio.sleep(0)
