"""Events of a service. No program of others that is to be had sends any, so they come from a service of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eman_backends.redfish import events as events_module
from eman_backends.redfish.events import blocks
from eman_netconf.backend import Pass, Unavailable
from tests.traces import leaves_nothing

from . import mockups
from .bmc import Bmc, failure, serving
from .conftest import Make
from .mockups import V1, ref, resource

SSE = f"{V1}/EventService/SSE"
EVENT = b'id: 7\r\ndata: {"@odata.type": "#Event.v1_9_0.Event",\r\ndata:  "Events": []}\r\n\r\n'


def telling(**more: Any) -> mockups.Tree:
    tree = mockups.new_server()
    service = resource(f"{V1}/EventService", "EventService.v1_10_0", ServerSentEventUri=SSE, **more)
    tree[V1]["EventService"] = ref(f"{V1}/EventService")
    return tree | {f"{V1}/EventService": service}


async def test_an_event_is_an_empty_pass(make: Make) -> None:
    """Each event has the server read soon; readings go on beside the stream, and nothing is left of it."""
    async with serving(Bmc(telling())) as bmc:
        backend = make(bmc)
        await backend.open()
        async with leaves_nothing():
            watching = backend.watch()
            heard = asyncio.ensure_future(anext(watching))
            stream, _ = await bmc.streams.get()
            assert (await backend.read()).readings
            assert not heard.done()
            await stream.write(EVENT)
            assert await heard == Pass(())
            heard = asyncio.ensure_future(anext(watching))
            await stream.write(b": still here\n\n" + EVENT)
            assert await heard == Pass(())
            heard = asyncio.ensure_future(anext(watching))
            await asyncio.sleep(0)
            heard.cancel()
            await asyncio.wait({heard})
            await backend.close()
        assert bmc.sessions == {}


async def test_a_stream_that_ends_is_asked_for_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that the service ends in good order is opened anew after a pause, and heard again."""
    monkeypatch.setattr(events_module, "FIRST_PAUSE", 0.01)
    async with serving(Bmc(telling())) as bmc:
        backend = make(bmc)
        await backend.open()
        watching = backend.watch()
        heard = asyncio.ensure_future(anext(watching))
        (await bmc.streams.get()).ended.set()
        await (await bmc.streams.get()).response.write(EVENT)
        assert await heard == Pass(())
        await watching.aclose()  # type: ignore[attr-defined]  # a generator


async def test_only_events_are_asked_for_where_that_can_be_said(make: Make) -> None:
    """A service that filters is not asked for its metric reports."""
    async with serving(Bmc(telling(SSEFilterPropertiesSupported={"EventFormatType": True}))) as bmc:
        backend = make(bmc)
        await backend.open()
        heard = asyncio.ensure_future(anext(backend.watch()))
        await bmc.streams.get()
        assert bmc.requests[-1][1].startswith(f"{SSE}?$filter=EventFormatType")
        heard.cancel()
        await asyncio.wait({heard})


@pytest.mark.parametrize("why", ["no service", "setting", "switched off", "gone"])
async def test_a_service_without_events_is_not_listened_to(why: str, make: Make) -> None:
    """Where no events are offered, or by setting, watching ends at once; so it does where the stream is not there."""
    tree = mockups.new_server() if why == "no service" else telling(ServiceEnabled=why != "switched off")
    async with serving(Bmc(tree)) as bmc:
        backend = make(bmc, events=why != "setting")
        await backend.open()
        bmc.answers["GET", SSE] = [failure(404, "There is none.")]
        assert [one async for one in backend.watch()] == []
        assert bmc.gets().count(SSE) == (why == "gone")


async def test_a_stream_that_cannot_be_had_says_why(make: Make) -> None:
    """Trouble with the stream is raised, for whoever watches to wait and try again."""
    async with serving(Bmc(telling())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.answers["GET", SSE] = [failure(500, "Broken.")]
        with pytest.raises(Unavailable, match="does not open its stream of events: 500"):
            await anext(backend.watch())
        heard = asyncio.ensure_future(anext(backend.watch()))
        await bmc.streams.get()
        await bmc.stop()
        with pytest.raises(Unavailable):
            await heard


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_events_are_found_however_they_are_cut(size: int) -> None:
    """Lines end as they like and arrive in any pieces; comments and fields without data are no events."""
    told = b"\n: comment\n\nevent: x\n\ndata: a\n\r\ndata\r\rdata: " + b"x" * 100_000 + b"\n\nretry: 3\n\ndata: open"

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(told), size):
            yield told[at : at + size]

    found = [one async for one in blocks(pieces())]
    assert len(found) == (3 if size < 1000 else 2)
