"""The laws of the backend contract, asked of every installed backend and of the blueprint (tests/backend_cases.py)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import uvloop

from eman_netconf import safexml
from eman_netconf.backend import (
    Backend,
    Inventory,
    Misconfigured,
    OutcomeUnknown,
    Point,
    Refused,
    SetsPowerState,
    StartsBatteryTest,
    Supply,
    SwitchesSupply,
    Unavailable,
    Watches,
)
from eman_netconf.errors import RpcError
from eman_netconf.yang import sources
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.validate import validate
from tests.backend_cases import AWAITS, PATIENCE, carry_out, context, device, folder, hook, packages, plugin_of
from tests.pace import ten_milliseconds
from tests.traces import WATCH, CancelledAt, is_input_or_output, leaves_nothing
from tests.well_formed import check_inventory, check_pass
from tools.backend_table import LEVELS


@pytest.fixture(params=sorted(packages().values()))
def package(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def case(package: str, tmp_path: Path) -> AsyncIterator[Any]:
    """A device that works, and the way to it."""
    async with device(package, tmp_path) as case:
        yield case


@pytest.fixture
def make(case: Any, tmp_path: Path) -> Callable[[], Backend]:
    """Builds one backend after another, all with the same settings and directory."""

    def build() -> Backend:
        backend: Backend = case.plugin.build(case.settings, context(tmp_path))
        return backend

    return build


# --- building ---------------------------------------------------------------------------------------------------------


def test_the_entry_point_leads_to_a_plugin_with_its_module_and_papers(package: str) -> None:
    """A plugin has a name, a build, and in its folder its YANG module, a README, an example and quality.toml."""
    plugin = plugin_of(package)
    own = folder(package)
    names = [point.name for point in entry_points(group="eman_netconf.backends") if point.module == package]
    assert names in ([plugin.name], [])
    for needed in (f"{plugin.module}.yang", "README.md", "example.xml", "quality.toml"):
        assert (own / needed).is_file(), f"{own}/{needed} is missing"
    text = (own / f"{plugin.module}.yang").read_text(encoding="utf-8")
    assert re.search(rf"container {plugin.name} \{{\s+presence", text), "the presence container has the plugin's name"


async def test_building_does_no_io(case: Any, package: str, make: Callable[[], Backend]) -> None:
    """Building a backend opens nothing but the plugin's own data files."""
    own = folder(package)
    with WATCH.listening() as events:
        make()
    assert not [event for event in events if is_input_or_output(*event, own)]


async def test_bad_settings_are_refused_with_a_sentence(case: Any, tmp_path: Path) -> None:
    """Settings that cannot work raise Misconfigured, with words an operator can act on."""
    bad: Mapping[str, Any] = case.bad_settings
    assert bad
    for why, settings in bad.items():
        with pytest.raises(Misconfigured) as caught:
            case.plugin.build(settings, context(tmp_path))
        assert len(str(caught.value).split()) >= 4, why
        assert "\n" not in str(caught.value)


# --- open, read, close ------------------------------------------------------------------------------------------------


async def test_open_and_one_pass_come_to_an_end(make: Callable[[], Backend]) -> None:
    """Opening and one reading of a device that works end, with entities and with readings."""
    backend = make()
    try:
        async with asyncio.timeout(PATIENCE):
            inventory = await backend.open()
        async with asyncio.timeout(PATIENCE):
            result = await backend.read()
    finally:
        await backend.close()
    assert inventory.entities
    assert result.readings


def test_the_loop_may_be_another_than_asyncios(package: str, tmp_path: Path) -> None:
    """Under the loop the server runs on where it is installed, a device is opened, read, ordered about and closed."""

    async def whole() -> None:
        async with device(package, tmp_path) as case:
            backend: Backend = case.plugin.build(case.settings, context(tmp_path))
            try:
                inventory = await backend.open()
                check_pass(inventory, await backend.read())
                for order in case.orders:
                    await carry_out(backend, order)
                check_pass(inventory, await backend.read())
            finally:
                await backend.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


async def test_inventory_is_well_formed_and_stays_the_same(make: Callable[[], Backend]) -> None:
    """Names and ids are legal and unique, wires and relationships name both ends, and reopening tells the same."""
    backend = make()
    try:
        first = await backend.open()
        await backend.close()
        second = await backend.open()
    finally:
        await backend.close()
    assert first == second
    check_inventory(first)


async def test_readings_belong_to_the_inventory_and_say_how_they_came_about(make: Callable[[], Backend]) -> None:
    """Every point of a pass exists in the inventory; every reading has a method, a time and a value of its kind."""
    backend = make()
    try:
        inventory = await backend.open()
        before = time.time()
        result = await backend.read()
        after = time.time()
    finally:
        await backend.close()
    check_pass(inventory, result)
    for reading in result.readings:
        assert before - 3600 <= reading.at <= after + 1, reading


async def test_close_is_safe_before_open_and_twice(make: Callable[[], Backend]) -> None:
    """close() may come at any time and as often as it likes."""
    backend = make()
    async with leaves_nothing():
        await backend.close()
        await backend.open()
        await backend.close()
        await backend.close()
        await backend.open()
        await backend.read()
        await backend.close()


async def test_close_leaves_no_task_and_no_socket(make: Callable[[], Backend]) -> None:
    """After close() nothing of the backend goes on."""
    async with leaves_nothing():
        backend = make()
        await backend.open()
        await backend.read()
        await backend.close()


@pytest.mark.parametrize("method", ["open", "read"])
async def test_cancellation_at_any_await_leaves_nothing_open(method: str, make: Callable[[], Backend]) -> None:
    """Wherever open() or read() is cancelled, close() clears up and the backend can be opened again."""
    for at in range(AWAITS):
        backend = make()
        async with leaves_nothing():
            if method == "read":
                await backend.open()
            cancelled = CancelledAt(getattr(backend, method)(), at)
            task = asyncio.ensure_future(_finish(cancelled))
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(PATIENCE):
                    await task
            await backend.close()
            await backend.open()
            await backend.read()
            await backend.close()
        if not cancelled.reached:
            return


async def _finish(awaitable: Awaitable[Any]) -> None:
    await awaitable


async def test_the_loop_is_never_held(case: Any, make: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    """No step of opening, reading or closing is more work than ten milliseconds', and none sleeps with the loop in its
    hands."""
    worked: list[float] = []
    napped: list[float] = []
    run, sleep, here = asyncio.Handle._run, time.sleep, threading.get_ident()

    def nap(seconds: float) -> None:
        if threading.get_ident() == here:
            napped.append(seconds)
        sleep(seconds)

    def measured(handle: asyncio.Handle) -> None:
        work = time.thread_time()
        run(handle)
        worked.append(time.thread_time() - work)

    backend = make()
    await backend.open()
    await backend.read()
    await backend.close()
    rounds = []
    for _ in range(5):  # the best of five, since the collector is not the backend's
        worked.clear()
        with monkeypatch.context() as patch, WATCH.listening() as events:
            patch.setattr(asyncio.Handle, "_run", measured)
            patch.setattr(time, "sleep", nap)
            await backend.open()
            await backend.read()
            await backend.close()
            await asyncio.sleep(0)
        assert napped == []
        assert not [event for event in events if event[0] == "subprocess.Popen"]
        rounds.append(max(worked))
    assert min(rounds) <= ten_milliseconds()


# --- troubles ---------------------------------------------------------------------------------------------------------


async def test_a_dead_device_is_unavailable(case: Any, make: Callable[[], Backend]) -> None:
    """Nothing answers: open() and read() say Unavailable by themselves, with words."""
    backend = make()
    async with leaves_nothing():
        await backend.open()
        await hook(case, "die")
        for step in (backend.read, backend.open):
            with pytest.raises(Unavailable) as caught:
                async with asyncio.timeout(PATIENCE):
                    await step()
            assert len(str(caught.value).split()) >= 3
        await backend.close()


async def test_a_device_that_returns_is_reached_again(case: Any, make: Callable[[], Backend]) -> None:
    """After an absence the same backend object works once more, at the latest when it was closed and opened."""
    backend = make()
    try:
        await backend.open()
        await hook(case, "die")
        with pytest.raises(Unavailable):
            await backend.read()
        await hook(case, "revive")
        await backend.close()
        await backend.open()
        assert (await backend.read()).readings
    finally:
        await backend.close()


async def test_a_slow_device_can_be_given_up(case: Any, make: Callable[[], Backend]) -> None:
    """A device that dawdles is given up at the caller's deadline or by the backend itself, and leaves nothing."""
    backend = make()
    async with leaves_nothing():
        await backend.open()
        await hook(case, "dawdle")
        with pytest.raises((Unavailable, TimeoutError)):
            async with asyncio.timeout(0.3):
                await backend.read()
        await backend.close()


async def test_a_lying_device_gives_well_formed_readings_or_none(case: Any, make: Callable[[], Backend]) -> None:
    """Garbage from a device becomes missing points, Unavailable or wrong numbers; never a malformed reading."""
    backend = make()
    try:
        inventory = await backend.open()
        await hook(case, "lie")
        for _ in range(5):
            with contextlib.suppress(Unavailable):
                check_pass(inventory, await backend.read())
    finally:
        await backend.close()


async def test_the_same_trouble_is_logged_once(
    case: Any, make: Callable[[], Backend], caplog: pytest.LogCaptureFixture
) -> None:
    """A backend does not say the same thing twice in a row while its device is away."""
    caplog.set_level(logging.INFO)
    backend = make()
    try:
        await backend.open()
        await hook(case, "die")
        for _ in range(3):
            with pytest.raises(Unavailable):
                await backend.read()
    finally:
        await backend.close()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("eman_netconf.backend")]
    assert [one for one, two in itertools.pairwise(said) if one == two] == []


# --- what a device says by itself -------------------------------------------------------------------------------------


async def test_a_watch_that_is_cancelled_at_any_await_leaves_nothing(make: Callable[[], Backend]) -> None:
    """Wherever listening ends, passes and closing go on as if nobody had listened, and nothing is left."""
    for at in range(AWAITS):
        backend = make()
        if not isinstance(backend, Watches):
            assert not hasattr(backend, "watch"), "it watches, but not as Watches says"
            return
        async with leaves_nothing():
            inventory = await backend.open()
            cancelled = CancelledAt(_listen(backend, inventory), at)
            task = asyncio.ensure_future(_finish(cancelled))
            await backend.read()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            check_pass(inventory, await backend.read())
            await backend.close()
        if not cancelled.reached:
            return


async def _listen(backend: Watches, inventory: Inventory) -> None:
    async for heard in backend.watch():
        check_pass(inventory, heard)


# --- commands ---------------------------------------------------------------------------------------------------------


async def test_a_command_reaches_the_device_once(case: Any, make: Callable[[], Backend]) -> None:
    """A command that the device accepts is carried out exactly once."""
    if not case.orders:
        pytest.skip(f"{case.plugin.name} takes no commands")
    backend = make()
    try:
        await backend.open()
        for count, command in enumerate(case.orders, 1):
            async with asyncio.timeout(PATIENCE):
                await carry_out(backend, command)
            assert case.carried_out() == count
        await backend.read()
    finally:
        await backend.close()


async def test_an_unknown_outcome_is_never_sent_again(case: Any, make: Callable[[], Backend]) -> None:
    """When the answer to a command gets lost it is OutcomeUnknown, and neither that call nor a reading repeats it."""
    if not case.orders:
        pytest.skip(f"{case.plugin.name} takes no commands")
    backend = make()
    try:
        await backend.open()
        await hook(case, "lose_answers")
        with pytest.raises((OutcomeUnknown, TimeoutError)):
            async with asyncio.timeout(PATIENCE):
                await carry_out(backend, case.orders[0])
        with contextlib.suppress(Unavailable):
            await backend.read()
        assert case.carried_out() <= 1
    finally:
        await backend.close()


async def test_a_command_to_a_dead_device_says_so(case: Any, make: Callable[[], Backend]) -> None:
    """A command while the device is away is Unavailable, or OutcomeUnknown where nobody can tell."""
    if not case.orders:
        pytest.skip(f"{case.plugin.name} takes no commands")
    backend = make()
    try:
        await backend.open()
        await hook(case, "die")
        with pytest.raises((Unavailable, OutcomeUnknown)):
            async with asyncio.timeout(PATIENCE):
                await carry_out(backend, case.orders[0])
    finally:
        await backend.close()


async def test_what_the_inventory_offers_the_backend_can_do(make: Callable[[], Backend]) -> None:
    """Outlets that can be switched, states that can be set and batteries that can be tested have who does it."""
    backend = make()
    try:
        inventory = await backend.open()
    finally:
        await backend.close()
    entities = inventory.entities
    if any(interface.switchable for entity in entities for interface in entity.interfaces):
        assert isinstance(backend, SwitchesSupply)
    if any(states.settable for entity in entities for states in entity.state_sets):
        assert isinstance(backend, SetsPowerState)
    if any(battery.testable for entity in entities for battery in entity.batteries):
        assert isinstance(backend, StartsBatteryTest)


@pytest.mark.parametrize("point", [Point("no-such-part"), Point(interface="no-such-outlet"), Point(battery="none")])
async def test_an_order_for_what_is_not_there_is_refused(case: Any, make: Callable[[], Backend], point: Point) -> None:
    """An order about a point that the inventory does not have is Refused with a sentence, and nothing is sent."""
    backend = make()
    orders: list[Awaitable[None]] = []
    try:
        await backend.open()
        if isinstance(backend, SwitchesSupply):
            orders.append(backend.switch_supply(point, Supply.OFF))
        if isinstance(backend, SetsPowerState):
            orders.append(backend.set_power_state(point, "ieee1621-off"))
        if isinstance(backend, StartsBatteryTest):
            orders.append(backend.test_battery(point))
        for order in orders:
            with pytest.raises(Refused) as caught:
                await order
            assert len(str(caught.value).split()) >= 3
        assert not orders or case.carried_out() == 0
    finally:
        await backend.close()


# --- papers -----------------------------------------------------------------------------------------------------------


def test_quality_rules_are_answered(package: str) -> None:
    """quality.toml answers every rule of every level with done, todo or exempt and why."""
    with (folder(package) / "quality.toml").open("rb") as file:
        quality = tomllib.load(file)
    assert set(quality["rules"]) == {rule for rules in LEVELS.values() for rule in rules}
    for rule, answer in quality["rules"].items():
        exempt = isinstance(answer, dict) and set(answer) == {"exempt"} and len(answer["exempt"].split()) >= 3
        assert exempt or answer in {"done", "todo"}, rule
    for key in ("title", "capabilities", "models", "caveats"):
        assert key in quality, f"quality.toml has no {key}"


def test_the_example_is_valid(package: str) -> None:
    """example.xml is a <config> that the server would take into an empty datastore."""
    plugin, own = plugin_of(package), folder(package)
    schema = sources.load([plugin.module], [own])
    errors = faults(schema, safexml.parse((own / "example.xml").read_bytes()))
    assert [str(error) for error in errors] == []


def test_the_demo_of_a_plugin_is_valid() -> None:
    """A plugin that brings a site of its own gives a valid <config> with a backend of that plugin."""
    plugins = {plugin_of(package): folder(package) for package in packages().values()}
    bringing = {plugin: own for plugin, own in plugins.items() if plugin.demo is not None}
    assert bringing, "no installed backend brings a demo site"
    for plugin, own in bringing.items():
        assert plugin.demo is not None
        config = safexml.parse(plugin.demo())
        assert [str(error) for error in faults(sources.load([plugin.module], [own]), config)] == []
        assert next(config.iter(f"{{*}}{plugin.name}"), None) is not None


def faults(schema: Schema, config: Any) -> list[RpcError]:
    """What is wrong with a <config> as the whole configuration of a server."""
    assert config.tag == "{urn:ietf:params:xml:ns:netconf:base:1.0}config"
    errors: list[RpcError] = []
    root = read_inner(config, schema.root, schema, state=False, errors=errors)
    return errors or validate(schema, root)
