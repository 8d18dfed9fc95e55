"""One session for a service, that ends with the backend whatever happens; basic authentication where there are none."""

from __future__ import annotations

import asyncio

import pytest

from eman_netconf.backend import Point, Supply, Unavailable
from tests.traces import CancelledAt, leaves_nothing

from . import mockups
from .bmc import PASSWORD, SESSIONS, Bmc, failure, serving
from .conftest import Make

CYCLES = 200


async def test_two_hundred_lives_leave_no_session(make: Make) -> None:
    """Opened, read and closed, or cut short at any await on the way: the service has no session left of any of them."""
    async with serving(Bmc(mockups.old_server() | _with_sessions())) as bmc:
        backend = make(bmc)
        cut = 0
        async with leaves_nothing():
            for cycle in range(CYCLES):
                async with asyncio.timeout(60):
                    if cycle % 2:
                        await backend.open()
                        await backend.read()
                    else:
                        cut += await _cut_short(CancelledAt(backend.open(), cycle // 4))
                    assert len(bmc.sessions) <= 1
                    await backend.close()
                assert bmc.sessions == {}, cycle
    logins = [path for method, path in bmc.requests if (method, path) == ("POST", SESSIONS)]
    assert cut > 10
    assert len(logins) > CYCLES // 2


async def _cut_short(cancelled: CancelledAt) -> bool:
    async def run() -> None:
        await cancelled

    task = asyncio.ensure_future(run())
    await asyncio.wait({task})
    return task.cancelled()


def _with_sessions() -> mockups.Tree:
    root = mockups.old_server()[mockups.V1]
    return {mockups.V1: {**root, "Links": {"Sessions": mockups.ref(SESSIONS)}}}


async def test_a_failed_opening_leaves_no_session(make: Make) -> None:
    """The login worked and the first question did not: the session is ended at once."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        bmc.answers["GET", "/redfish/v1/Systems"] = [failure(503, "The service is starting.")]
        with pytest.raises(Unavailable, match=r"The service is starting\."):
            await make(bmc).open()
        assert bmc.sessions == {}
        assert ("POST", SESSIONS) in bmc.requests


async def test_a_session_that_was_forgotten_is_made_anew_once(make: Make) -> None:
    """After a restart of the service the next pass logs in again, reads everything, and asks for a new inventory."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        assert not (await backend.read()).outdated
        bmc.sessions.clear()
        result = await backend.read()
        assert result.outdated
        assert result.missing == {}
        assert len(bmc.sessions) == 1
        assert not (await backend.read()).outdated
        await backend.close()
        assert bmc.sessions == {}


async def test_a_password_that_was_changed_is_tried_once_in_a_pass(make: Make) -> None:
    """Where the new login fails too, the service is unavailable and says why; it is not asked on and on."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.sessions.clear()
        bmc.users = {"eman": "another"}
        before = len(bmc.requests)
        with pytest.raises(Unavailable, match="does not let us log in: The user name or the password is wrong"):
            await backend.read()
        assert len(bmc.requests) - before == 3  # the question, whether the session is known, the login


async def test_a_password_is_not_repeated(make: Make) -> None:
    """A service that answers with the password it was told does not bring it into an error."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        bmc.answers["POST", SESSIONS] = [failure(400, f"The value {PASSWORD} for Password is not valid.")]
        with pytest.raises(Unavailable, match=r"The value \*\*\* for Password is not valid"):
            await make(bmc).open()


async def test_a_service_that_lets_nobody_in_for_a_while_is_read_later(make: Make) -> None:
    """The session is lost and no new one is to be had: the next pass tries again, and works without a new opening."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.sessions.clear()
        bmc.most_sessions = 0
        for _ in range(2):
            with pytest.raises(Unavailable, match="maximum number of user sessions"):
                await backend.read()
        bmc.most_sessions = 1
        assert (await backend.read()).missing == {}


async def test_what_a_user_may_not_see_costs_no_session(make: Make) -> None:
    """A service that answers 401 for a single resource knows the session all the same: it is kept, the rest is read."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        bmc.tree[next(iter(bmc.sessions))] = {"Name": "Session"}
        path = "/redfish/v1/Chassis/1U/EnvironmentMetrics"
        bmc.answers["GET", path] = [failure(401, "You may not see this.") for _ in range(3)]
        for _ in range(3):
            result = await backend.read()
            assert result.missing == {Point(): "cannot be read: You may not see this."}
            assert not result.outdated
        assert bmc.requests.count(("POST", SESSIONS)) == 1


async def test_a_full_service_says_so(make: Make) -> None:
    """No session is to be had: that is what the operator reads, and nothing is taken from others."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        bmc.most_sessions = 0
        with pytest.raises(Unavailable, match="maximum number of user sessions"):
            await make(bmc).open()


async def test_basic_authentication_needs_no_session(make: Make) -> None:
    """By setting, each request has its credentials, and there is never a session."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        backend = make(bmc, authentication="basic")
        await backend.open()
        assert (await backend.read()).readings
        assert bmc.sessions == {}
        assert bmc.seen["token"] == 0
        assert bmc.seen["nobody"] == 1  # the root, which everybody may see


async def test_a_service_without_sessions_is_asked_with_credentials(make: Make) -> None:
    """A service that has no session service, or whose session service is not there, gets basic authentication."""
    async with serving(Bmc(mockups.old_server())) as bmc:
        backend = make(bmc)
        await backend.open()
        assert (await backend.read()).readings
        assert (bmc.seen["basic"], bmc.seen["token"]) == (len(bmc.requests) - 1, 0)
    async with serving(Bmc(mockups.new_server())) as bmc:
        bmc.answers["POST", SESSIONS] = [failure(404, "There is nothing.")]
        backend = make(bmc)
        await backend.open()
        assert (await backend.read()).readings


@pytest.mark.parametrize("authentication", ["session", "basic"])
async def test_a_root_that_is_hidden_is_read_after_logging_in(authentication: str, make: Make) -> None:
    """The root is for everybody; where a service does not know that, it is asked again with credentials."""
    async with serving(Bmc(mockups.new_server())) as bmc:
        bmc.answers["GET", mockups.V1] = [failure(401, "Who are you?")]
        backend = make(bmc, authentication=authentication)
        await backend.open()
        assert (await backend.read()).readings
        assert len(bmc.sessions) == (authentication == "session")


async def test_requests_go_one_after_the_other(make: Make) -> None:
    """A pass and commands at the same time never have two requests under way."""
    async with serving(Bmc(mockups.rack_pdu())) as bmc:
        backend = make(bmc)
        await backend.open()
        under_way = most = 0
        answer = bmc._done

        async def counted(*arguments: object) -> object:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            return await answer(*arguments)  # type: ignore[arg-type]  # as it is called

        bmc._done = counted  # type: ignore[method-assign,assignment]  # to look on
        await asyncio.gather(
            backend.read(),
            backend.switch_supply(Point("", "outlet-A1"), Supply.OFF),
            backend.switch_supply(Point("", "outlet-A2"), Supply.OFF),
        )
        assert most == 1
        assert len(bmc.orders) == 2
