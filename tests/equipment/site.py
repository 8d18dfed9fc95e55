"""The site: a server as an operator installs it, with one device of each kind, wired to each other."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ncclient import manager

from tests.conformance.conftest import NS, edit, entity, found, place, texts
from tests.conformance.installed import Installed, configure_backends, first_read, install, link
from tests.conformance.site import leaves
from tests.equipment.devices import KINDS, Device
from tests.equipment.fronts import Fronts

INTERVAL = 0.5  # seconds between two passes
TIMEOUT = 3.0  # seconds a pass may take


@dataclass
class Equipment:
    """The server and its devices."""

    server: Installed
    devices: Mapping[str, Device]

    @property
    def resident(self) -> int:
        """Octets of memory that the server holds."""
        return 1024 * int(self._status()["VmRSS"].split()[0])

    @property
    def open_files(self) -> int:
        """Sockets and files that the server has open."""
        return len(list(Path(f"/proc/{self._pid}/fd").iterdir()))

    @property
    def _pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid

    def _status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii").splitlines()
        return dict(line.replace("\t", " ").split(": ", 1) for line in lines if ": " in line.replace("\t", " "))


@contextmanager
def equipped(directory: Path) -> Iterator[Equipment]:
    """The site once all was read; in the end the server stops in order, and no program stays."""
    with Fronts() as fronts:
        devices = {kind.name: kind(fronts) for kind in KINDS}
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda device: device.start(), devices.values()))
            server = install(directory)
            try:
                with server.connect() as session:
                    configure_backends(session, *map(backend, devices.values()))
                    wire(session)
                    for name in devices:
                        first_read(session, name)
                yield Equipment(server, devices)
                assert server.end() == 0, server.log.read_text()[-2000:]
            finally:
                server.end(signal.SIGKILL)
        finally:
            for device in devices.values():
                device.kill()


def backend(device: Device) -> str:
    """The backend's entry of configuration."""
    return (
        f"<backend><name>{device.name}</name><poll-interval>{INTERVAL}</poll-interval><timeout>{TIMEOUT}</timeout>"
        f"{device.entry()}</backend>"
    )


#: (entity, its inlet, what feeds it, the outlet of that)
WIRES = (
    ("pdu", "inlet", "meter", "load"),
    ("server", "psu-1", "pdu", "outlet-1"),
    ("nut-ups", "input", "pdu", "outlet-2"),
)


def wire(session: manager.Manager) -> None:
    """Configure the wires: the meter feeds the PDU, which feeds the server and a UPS."""
    edit(session, f"<entity><id>meter</id>{interface('load', 'outlet')}</entity>")
    for id_, inlet, peer, outlet in WIRES:
        connected = f"<connected-to><entity>{peer}</entity><interface>{outlet}</interface></connected-to>"
        edit(session, f"<entity><id>{id_}</id>{interface(inlet, 'inlet', connected)}</entity>")


def interface(name: str, direction: str, more: str = "") -> str:
    return (
        f'<power-interface xmlns="{NS["empi"]}"><name>{name}</name><direction>{direction}</direction>{more}'
        "</power-interface>"
    )


# --- what is served


def wrong(session: manager.Manager, device: Device) -> list[str]:
    """What is not served of a device as it is, each as a line."""
    shown = found(session, entity(device.name))
    if not shown:
        return [f"{device.name} is not there"]
    faults = []
    reachability = leaves(shown[0]).get("reachability")
    if reachability != "reachable" or link(session, device.name)["state"] != "up":
        faults.append(f"{device.name} is {reachability}, its link {link(session, device.name)['state']}")
    try:
        truth = device.truth()
    except LookupError as error:
        return [f"{device.name} does not tell {error} itself"]
    for path, text in truth.items():
        served = texts(session, entity(device.name, path))
        if served != [text]:
            faults.append(f"{device.name}{path} is {served} instead of {text}")
    for id_, inlet, peer, outlet in WIRES:
        for here, there, other in ((id_, inlet, peer), (peer, outlet, id_)):
            if device.name == here:
                path = f"/empi:power-interface[empi:name='{there}']/empi:connected-to/empi:entity"
                if texts(session, entity(here, path)) != [other]:
                    faults.append(f"{here} has lost its wire at {there} to {other}")
    return faults


def times(session: manager.Manager, device: Device) -> dict[str, str]:
    """When what is served of a device held: of its powers, and of what its energies count to, by place.

    What feeds it may tell of its inlet and of itself while it is away, so these are left out where it is wired.
    """
    mine = f"[embe:backend='{device.name}']"
    base = f"/eman:energy-management/eman:entities/eman:entity{mine}"
    paths = [f"{base}//emm:power/emm:time", f"{base}//emm:energy/emm:end-time"]
    data = session.get(filter=("xpath", (NS, " | ".join(paths)))).data_ele
    told = {place(leaf): leaf.text or "" for leaf in data.iter("{*}time", "{*}end-time")}
    fed = [f"/{id_}/{of}" for id_, inlet, _, _ in WIRES for of in ("power/", "energy/", f"{inlet}/")]
    return {where: at for where, at in told.items() if not any(one in where for one in fed)}


def reachabilities(session: manager.Manager, device: Device) -> set[str]:
    """How the entities of a device are said to be reached."""
    base = f"/eman:energy-management/eman:entities/eman:entity[embe:backend='{device.name}']/eman:reachability"
    return set(texts(session, base))
