"""A real server in a process of its own, and foreign clients that talk to it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RaiseMode

if TYPE_CHECKING:
    from tests.conformance.installed import Site
from ncclient.transport import session as ncclient_session

EMAN = "urn:eman:yang:eman-entity"
NS = {
    "nc": "urn:ietf:params:xml:ns:netconf:base:1.0",
    "eman": EMAN,
    "empi": "urn:eman:yang:eman-power-interface",
    "emm": "urn:eman:yang:eman-measurement",
    "emps": "urn:eman:yang:eman-power-state",
    "emss": "urn:eman:yang:eman-power-state-set",
    "emrel": "urn:eman:yang:eman-relationship",
    "emgrp": "urn:eman:yang:eman-group",
    "embat": "urn:eman:yang:eman-battery",
    "embe": "urn:eman:yang:eman-backend",
    "emser": "urn:eman:yang:eman-series",
    "emth": "urn:eman:yang:eman-threshold",
}
ENTITIES = "/eman:energy-management/eman:entities/eman:entity"
ncclient_session.TICK = 0.005  # seconds until it looks for something to send; 0.1 would be most of the tests' time
BACKENDS = "/eman:energy-management/embe:backends/embe:backend"
READY_WITHIN = 120.0  # seconds; these are for hangs, and a busy machine is none
FOLLOWS_WITHIN = 120.0
ENDS_WITHIN = 120.0
BETWEEN_QUESTIONS = 0.02  # seconds, so that who asks leaves the processor to who answers


@dataclass
class ServerProcess:
    """``eman-netconf run`` as a person would start it."""

    arguments: list[str]
    state: Path
    process: subprocess.Popen[str] | None = None
    port: int = 0
    log: Path = field(default_factory=Path)
    places: list[str] = field(default_factory=list)  # of the ready line: where it listens, and what else stands there

    def start(self) -> ServerProcess:
        self.log = self.state.parent / f"{self.state.name}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eman_netconf", *self.arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONWARNINGS": "default"},
            )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_WITHIN)
        line = self.process.stdout.readline() if readable else ""
        if not line.startswith("ready "):
            self.end(signal.SIGKILL)
        assert line.startswith("ready "), f"no ready line but {line!r}; log: {self.log.read_text()[-2000:]}"
        self.places = line.split()[1:]
        self.port = int(self.places[0].rpartition(":")[2])
        return self

    @property
    def password(self) -> str:
        return (self.state / "demo-password").read_text().strip()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=ENDS_WITHIN)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def connect(self, **changes: Any) -> manager.Manager:
        """An ncclient session of the administrator."""
        login = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "admin",
            "password": self.password,
            "hostkey_verify": False,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": 60,
        }
        return manager.connect(**(login | changes))


def demo_process(state: Path, *more: str) -> ServerProcess:
    return ServerProcess(["run", "--demo", "--port", "0", "--state", str(state), *more], state)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a test may change of a site: its configuration, and what is on and answers."""

    configuration: str  # energy-management
    states: frozenset[tuple[str, str]]  # place and text


@dataclass
class SharedSite:
    """A demo site that tests have one after the other; each finds it as the first did."""

    server: ServerProcess
    standing: Standing

    @contextmanager
    def client(self) -> Iterator[manager.Manager]:
        """A session; in the end what it configured is put back, and what was switched must have been."""
        with self.server.connect() as session:
            yield session
            session.raise_mode = RaiseMode.ALL
            if configuration(session) != self.standing.configuration:
                session.edit_config(target="running", config=self.standing.configuration)
            until(lambda: self.standing.states <= states(session), "the site is as it was")


def configuration(session: manager.Manager) -> str:
    """The energy management in running, as a <config> that puts it in the place of another."""
    told = session.get_config("running", filter=("subtree", f'<energy-management xmlns="{EMAN}"/>')).data_ele
    config = etree.Element(f"{{{NS['nc']}}}config", nsmap={"nc": NS["nc"]})
    config.extend(told)
    config[0].set(f"{{{NS['nc']}}}operation", "replace")
    return etree.tostring(config, encoding="unicode")


def states(session: manager.Manager) -> frozenset[tuple[str, str]]:
    """What is on, has power and answers. The sun decides about the solar roof, so that does not count."""
    boxes = f"{ENTITIES}[eman:id!='pv-1']"
    wanted = (
        f"{BACKENDS}/embe:link/embe:state",
        f"{boxes}/emps:power-state/emps:set/emps:oper-state",
        f"{boxes}/empi:power-interface/empi:supply/empi:oper-state",
        f"{boxes}/empi:power-interface/empi:power-available",
    )
    data = session.get(filter=("xpath", (NS, " | ".join(wanted)))).data_ele
    leaves = (leaf for leaf in data.iter("{*}oper-state", "{*}state", "{*}power-available") if len(leaf) == 0)
    return frozenset((place(leaf), leaf.text or "") for leaf in leaves)


def place(leaf: etree._Element) -> str:
    """The names of what a leaf is in, from the outside in."""
    above = [*reversed(list(leaf.iterancestors())), leaf]
    return "/".join(each.findtext("{*}id") or each.findtext("{*}name") or etree.QName(each).localname for each in above)


@contextmanager
def run(server: ServerProcess) -> Iterator[ServerProcess]:
    """A site from when all of it was read; it must stop in order."""
    server.start()
    try:
        with server.connect() as session:
            all_read(session)
        yield server
        assert server.end() == 0, server.log.read_text()[-2000:]
    finally:
        server.end(signal.SIGKILL)


def shared(server: ServerProcess) -> Iterator[SharedSite]:
    with run(server):
        with server.connect() as session:
            site = SharedSite(server, Standing(configuration(session), states(session)))
        yield site


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """The demo site in winter, for tests that want it as it stands."""
    yield from shared(winter_process(tmp_path_factory.mktemp("demo") / "state", speed=5))


@pytest.fixture(scope="session")
def summer_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """A demo site on a summer's morning whose time runs faster, for tests that need sun or patience."""
    yield from shared(summer_process(tmp_path_factory.mktemp("summer") / "state"))


def summer_process(state: Path, speed: int = 20) -> ServerProcess:
    """A demo site on a summer's morning, with the sun."""
    return demo_process(state, "--start-time", "2026-06-22T06:00:00Z", "--speed", str(speed))


def winter_process(state: Path, speed: int = 20) -> ServerProcess:
    """A demo site on a winter's evening: no sun, so the feeds take what the loads draw at any hour of testing."""
    return demo_process(state, "--start-time", "2026-01-20T18:00:00Z", "--speed", str(speed))


@pytest.fixture(scope="session")
def demo(demo_site: SharedSite) -> ServerProcess:
    """The server of the demo site, for sessions that switch nothing."""
    return demo_site.server


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[ServerProcess]:
    """A demo site of the test's own, to switch and to kill."""
    server = demo_process(tmp_path / "state").start()
    try:
        with server.connect() as session:
            all_read(session)
        yield server
    finally:
        server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def file_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A demo site of a test file's own, to configure; it must stop in order."""
    with run(demo_process(tmp_path_factory.mktemp("demo") / "state")) as server:
        yield server


@contextmanager
def adding(server: ServerProcess, id_: str) -> Iterator[manager.Manager]:
    """A session in which an entity is the test's own: it is gone afterwards."""
    with server.connect() as session:
        yield session
        edit(session, f'<entity xmlns:nc="{NS["nc"]}" nc:operation="remove"><id>{id_}</id></entity>')


@pytest.fixture(scope="session")
def snmp_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with SNMP equipment, for tests that put back what they change."""
    from tests.conformance.installed import equipped

    with equipped(tmp_path_factory.mktemp("snmp")) as site:
        yield site


@pytest.fixture
def client(demo_site: SharedSite) -> Iterator[manager.Manager]:
    """An ncclient session with the shared demo site."""
    with demo_site.client() as session:
        yield session


@pytest.fixture
def summer_client(summer_site: SharedSite) -> Iterator[manager.Manager]:
    """An ncclient session with the demo site in summer."""
    with summer_site.client() as session:
        yield session


def found(session: manager.Manager, path: str) -> list[etree._Element]:
    """The elements that an XPath filter selects. The answer holds nothing else but keys, so they are found in it
    without the predicates, which may ask for what the answer leaves out or call functions that lxml has not."""
    data = session.get(filter=("xpath", (NS, path))).data_ele
    plain, count = path, 1
    while count:
        plain, count = re.subn(r"\[[^\[\]]*\]", "", plain)
    return list(data.xpath(f".{plain}", namespaces=NS))


def texts(session: manager.Manager, path: str) -> list[str]:
    """What the server answers to an XPath filter, as texts."""
    return [node.text or "" for node in found(session, path)]


def one(session: manager.Manager, path: str) -> str | None:
    """The one text at a path, None when absent."""
    found = texts(session, path)
    assert len(found) <= 1, found
    return found[0] if found else None


def entity(id_: str, below: str = "") -> str:
    """The path of an entity, or of something below it."""
    return f"{ENTITIES}[eman:id='{id_}']{below}"


def until(true: Callable[[], Any], what: str, *, between: float = BETWEEN_QUESTIONS) -> Any:
    """Ask again and again until it is so, ``between`` seconds apart."""
    deadline = time.monotonic() + FOLLOWS_WITHIN
    while time.monotonic() < deadline:
        if answer := true():
            return answer
        time.sleep(between)
    pytest.fail(f"not within {FOLLOWS_WITHIN:g} s: {what}")


def all_read(session: manager.Manager) -> None:
    """Wait until every device of a site answers and was read."""
    count = len(texts(session, f"{BACKENDS}/embe:name"))
    read = f"{BACKENDS}/embe:link[embe:state='up'][embe:poll-duration]/embe:state"
    until(lambda: len(texts(session, read)) == count, "all devices were read")


def act(
    session: manager.Manager, id_: str, body: str, interface: str | None = None, battery: str | None = None
) -> etree._Element:
    """Call an action in the control container of an entity, or of one of its interfaces or batteries."""
    inner = f"<control>{body}</control>"
    if battery is not None:
        inner = f'<battery xmlns="{NS["embat"]}"><name>{battery}</name>{inner}</battery>'
    if interface is not None:
        inner = f'<power-interface xmlns="{NS["empi"]}"><name>{interface}</name>{inner}</power-interface>'
    request = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}"><entities><entity>'
        f"<id>{id_}</id>{inner}</entity></entities></energy-management></action>"
    )
    return etree.fromstring(session.dispatch(etree.fromstring(request)).xml.encode())


def set_state(session: manager.Manager, id_: str, state: str, more: str = "") -> etree._Element:
    return act(
        session,
        id_,
        f'<set-power-state xmlns="{NS["emps"]}" xmlns:s="urn:eman:yang:eman-power-state-set">'
        f"<state>s:{state}</state>{more}</set-power-state>",
    )


def switch(session: manager.Manager, id_: str, interface: str, state: str, more: str = "") -> etree._Element:
    return act(session, id_, f"<switch-supply><state>{state}</state>{more}</switch-supply>", interface)


def try_battery(session: manager.Manager, id_: str, battery: str, more: str = "") -> etree._Element:
    """Have a battery tested."""
    return act(session, id_, f"<test-battery>{more}</test-battery>", battery=battery)


def edit(session: manager.Manager, inner: str) -> None:
    """edit-config of running with the content of energy-management/entities."""
    session.edit_config(
        target="running",
        config=f'<config xmlns="{NS["nc"]}"><energy-management xmlns="{EMAN}"><entities>{inner}</entities>'
        "</energy-management></config>",
    )
