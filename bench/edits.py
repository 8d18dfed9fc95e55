"""Writing: one leaf, also by way of the candidate, and a thousand entities at once; on the disk before <ok/>."""

from __future__ import annotations

import os
import time
from statistics import median

from bench import site
from bench.client import COMMIT, VALIDATE, Client, edit
from bench.reads import timed
from bench.servers import NETCONF, YUMA, Place, Server, ours, peers
from bench.table import Row, Table

_MANY = 1000


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("edits: <edit-config> of running, validated, on the disk when <ok/> comes (no peer has it there)")
    for entities in place.sizes(100, 1000, 10_000):
        async with ours(place, entities) as server:
            async with peers(place, server, [YUMA]) as others:
                await _leaf(place, table, entities, server, others)
            await _candidate(place, table, entities, server)
            if entities != 1000 or place.quick:
                async with Client(server.address) as client:
                    await _thousand(place, table, entities, client)
    table.note(f"{NETCONF} has no <edit-config> of its own")


async def _leaf(place: Place, table: Table, entities: int, server: Server, others: list[Server]) -> None:
    took, synced = await _edited(place, server, entities, place.times(200))
    theirs = {other.name: (await _edited(place, other, entities, place.times(30)))[0] for other in others}
    sync = median(synced)
    table.add(Row(f"fsync of 500 bytes on this disk, N={entities:,}", "ms", synced))
    table.add(Row(f"one leaf, with its fsync, N={entities:,}", "ms", took, peers=theirs))
    table.add(Row(f"one leaf, less that fsync, N={entities:,}", "ms", [max(0.0, ms - sync) for ms in took], 3))


async def _edited(place: Place, server: Server, entities: int, times: int) -> tuple[list[float], list[float]]:
    """Milliseconds of edits of one leaf, each another value, and of an fsync after each."""
    name = site.entity_id(entities // 2)
    took: list[float] = []
    synced: list[float] = []
    async with Client(server.address) as client:
        with (place.folder / "fsync").open("ab") as file:
            for turn in range(times + 3):
                role = f"<entity><id>{name}</id><role>turn {turn}</role></entity>"
                change = edit(site.config(f"<entities>{role}</entities>"))
                took += await timed(lambda: client.rpc(change), 1, warm=0)  # noqa: B023 - used here
                synced.append(fsync(file.fileno()))
    return took[3:], synced[3:]


async def _candidate(place: Place, table: Table, entities: int, server: Server) -> None:
    """One leaf edited in the candidate, validated and committed: three requests and one fsync."""
    name = site.entity_id(entities // 2)
    took: list[float] = []
    synced: list[float] = []
    async with Client(server.address) as client:
        with (place.folder / "fsync").open("ab") as file:
            for turn in range(place.times(200) + 3):
                role = f"<entity><id>{name}</id><role>candidate {turn}</role></entity>"
                change = edit(site.config(f"<entities>{role}</entities>"), "candidate")

                async def commit() -> None:
                    for operation in (change, VALIDATE, COMMIT):  # noqa: B023 - used here
                        await client.rpc(operation)

                took += await timed(commit, 1, warm=0)
                synced.append(fsync(file.fileno()))
    sync = median(synced[3:])
    less = [max(0.0, ms - sync) for ms in took[3:]]
    table.add(Row(f"candidate edit, validate, commit, less fsync, N={entities:,}", "ms", less, 6))


def fsync(descriptor: int) -> float:
    """Milliseconds to append a little and have it on the disk."""
    os.write(descriptor, b"x" * 500)
    started = time.perf_counter()
    os.fsync(descriptor)
    return (time.perf_counter() - started) * 1000


async def _thousand(place: Place, table: Table, entities: int, client: Client) -> None:
    added = [f"new-{number}" for number in range(_MANY)]
    create = edit(
        site.config(f"<entities>{''.join(site.entity_xml(n, 0, id_) for n, id_ in enumerate(added))}</entities>")
    )
    remove = edit(
        site.config(
            '<entities xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
            + "".join(f'<entity nc:operation="delete"><id>{id_}</id></entity>' for id_ in added)
            + "</entities>"
        )
    )
    created: list[float] = []
    removed: list[float] = []
    for _ in range(place.times(6)):
        created += await timed(lambda: client.rpc(create), 1, warm=0)
        removed += await timed(lambda: client.rpc(remove), 1, warm=0)
    table.add(Row(f"create 1,000 entities in one edit, N={entities:,}", "ms", created, 150))
    table.add(Row(f"delete 1,000 entities in one edit, N={entities:,}", "ms", removed))
