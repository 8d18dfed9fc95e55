"""The devices of the site: programs that can be killed, stopped and replaced, and what each truly has."""

from __future__ import annotations

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping

from eman_backends.modbus.tests.contract import CONTROLS, INVERTER, NAMEPLATE
from eman_backends.modbus.tests.counterparts import COMMON, Node, eastron, sunspec
from eman_backends.modbus.tests.counterparts import free_port as free_stream_port
from eman_backends.nut.tests.counterparts import PASSWORD, RACK, USER, Upsd
from eman_backends.redfish.tests.counterparts import emulator
from eman_backends.snmp.tests.counterparts import (
    RECORDINGS,
    RPDU2,
    WRITABLE,
    ask,
    free_port,
    place_of_recordings,
    recording,
    simulate,
    temporary,
    writable,
)
from eman_backends.snmp.tests.relay import Relay
from tests.equipment.fronts import Frames, Fronts, Lines, Stream

ENDS_WITHIN = 60.0  # seconds
UPS_MIB = "1.3.6.1.2.1.33.1"
SDM630 = 0x0070  # the code by which Eastron's meters of three phases tell themselves


class Device(ABC):
    """One device, behind its front. ``places`` are those who can stand there, ``stands`` the number of who does."""

    kind: str  # of the protocol, for people
    name: str
    interface: str  # of the wire up
    front: Stream | Relay
    people = 2  # who can stand there

    def __init__(self) -> None:
        self.stands = 0
        self.programs: tuple[subprocess.Popen[bytes], ...] = ()  # those that run, or did

    # --- what happens to it

    @abstractmethod
    def start(self) -> None:
        """Start the programs, and wait until they answer."""

    def kill(self) -> None:
        """End all programs at once, without a word."""
        for process in self.programs:
            signalled(process, signal.SIGKILL)
            process.wait(ENDS_WITHIN)

    def hang(self) -> None:
        """Stop all programs in the middle of whatever they do."""
        for process in self.programs:
            signalled(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let programs go on that were stopped."""
        for process in self.programs:
            signalled(process, signal.SIGCONT)

    def replace(self) -> None:
        """Put another device in its place."""
        self.kill()
        self.stands = (self.stands + 1) % self.people
        self.start()

    # --- what is so

    @abstractmethod
    def entry(self) -> str:
        """The protocol's container of the backend's configuration."""

    @abstractmethod
    def truth(self) -> Mapping[str, str]:
        """What has to be served of it: paths below the entity and texts, asked of the device without the server.

        Raises LookupError while the device itself does not tell.
        """


def signalled(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program, and to all it started where it leads a group of its own."""
    if process.poll() is None:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def serial(text: str) -> dict[str, str]:
    return {f"/eman:foreign-id[eman:value='{text}']/eman:value": text}


# --- SNMP


class Simulated(Device):
    """A recording that snmpsim poses as, at one port for good."""

    kind = "snmp"
    recordings: tuple[str, ...]
    serials: str = ""  # the object

    def __init__(self, fronts: Fronts) -> None:
        super().__init__()
        self.port = free_port()
        self.front: Relay = fronts.datagrams(self.port)

    def start(self) -> None:
        name = self.recordings[self.stands]
        directory = temporary(self.name)
        (directory / "data").mkdir()
        lines = recording(place_of_recordings() / RECORDINGS[name])
        prefixes = WRITABLE.get(name, ("none",))
        lines = [writable(line) if line.startswith(prefixes) else line for line in lines]
        (directory / "data" / f"{self.name}.snmprec").write_text("\n".join(lines) + "\n", encoding="latin-1")
        self.programs = (simulate(directory, self.name, self.port).process,)

    def entry(self) -> str:
        return (
            '<snmp xmlns="urn:eman:yang:eman-backend-snmp"><address>127.0.0.1</address>'
            f"<port>{self.front.port}</port><v2c><community>$0${self.name}</community></v2c></snmp>"
        )

    def told(self, oid: str, value: int | None = None) -> int:
        """What stands at an object, after writing it where a value is given."""
        return ask(self.port, self.name, oid, value)


class Pdu(Simulated):
    """A rack PDU of APC, whose outlets can be switched."""

    name = "pdu"
    interface = "inlet"
    recordings = ("apc-8641", "apc-8932")
    models = ("AP8641", "AP8932")
    numbers = ("3F3452A52295", "3F503A169043")

    def obey(self) -> None:
        """Do what was ordered: the recording keeps orders and states apart, and their codes are reversed."""
        for outlet in range(1, 25):
            order = self.told(f"{RPDU2}.9.2.4.1.5.{outlet}")
            if order in {1, 2}:
                self.told(f"{RPDU2}.9.2.3.1.5.{outlet}", 3 - order)

    def truth(self) -> Mapping[str, str]:
        watts = 10 * self.told(f"{RPDU2}.4.3.1.5.1")
        states = {outlet: self.told(f"{RPDU2}.9.2.3.1.5.{outlet}") for outlet in range(1, 25)}
        return {
            "/eman:model": self.models[self.stands],
            **serial(self.numbers[self.stands]),
            "/emm:power/emm:active": f"{watts}.0",
            **{
                f"/empi:power-interface[empi:name='outlet-{outlet}']/empi:supply/empi:oper-state": "on"
                if state == 2
                else "off"
                for outlet, state in states.items()
            },
        }


class Ups(Simulated):
    """A UPS of RFC 1628."""

    name = "ups"
    interface = "input"
    recordings = ("eaton-93e-80", "phoenixtec")
    makers = ("EATON", None)

    def truth(self) -> Mapping[str, str]:
        charge = self.told(f"{UPS_MIB}.2.4.0")
        return {"/embat:battery/embat:charge-percent": f"{charge}.0"}


# --- NUT


class NutUps(Device):
    """A UPS behind upsd, as dummy-ups plays it."""

    kind = "nut"
    name = "nut-ups"
    interface = "input"
    numbers = ("AS1234567890", "ZZ0987654321")
    charges = ("97", "55")

    def __init__(self, fronts: Fronts) -> None:
        super().__init__()
        self.front: Stream = fronts.stream(Lines(r"(?m)^(?:INSTCMD|SET VAR) "))

    def start(self) -> None:
        variables = {"ups.serial": self.numbers[self.stands], "battery.charge": self.charges[self.stands]}
        self._upsd = Upsd({"rack": RACK | variables}).start()
        assert self._upsd.server is not None
        self.programs = (self._upsd.server, *self._upsd.drivers.values())
        self.front.device = self._upsd.port

    def entry(self) -> str:
        password = PASSWORD.replace("&", "&amp;").replace("<", "&lt;")
        return (
            '<nut xmlns="urn:eman:yang:eman-backend-nut"><address>127.0.0.1</address>'
            f"<port>{self.front.port}</port><user-name>{USER}</user-name><password>$0${password}</password>"
            "<device>rack</device></nut>"
        )

    def truth(self) -> Mapping[str, str]:
        told = self._upsd.told("rack")
        return {
            "/eman:model": told["ups.model"],
            **serial(told["ups.serial"]),
            "/embat:battery/embat:charge-percent": f"{told['battery.charge']}.0",
            "/empi:power-interface[empi:name='outlet-1']/empi:supply/empi:oper-state": told["outlet.1.switch"],
        }


# --- Redfish


class Server(Device):
    """A server, as sushy-tools' emulator plays its controller."""

    kind = "redfish"
    name = "server"
    interface = "psu-1"
    numbers = ("38947555-7742-3448-3784-823347823834", "59cbb3de-2f2c-4c11-9a3c-1d0c5d9f2a17")

    def __init__(self, fronts: Fronts) -> None:
        super().__init__()
        self.front: Stream = fronts.stream(Lines(r"(?:POST|PATCH) /redfish/v1/(?:Systems|Chassis)\S* HTTP"))

    def start(self) -> None:
        counterpart = emulator((self.numbers[self.stands],), "On")
        self.programs = (counterpart.process,)
        self.front.device = counterpart.port

    def entry(self) -> str:
        return (
            '<redfish xmlns="urn:eman:yang:eman-backend-redfish"><address>127.0.0.1</address>'
            f"<port>{self.front.port}</port><unencrypted/></redfish>"
        )

    def truth(self) -> Mapping[str, str]:
        return {"/eman:uuid": self.numbers[self.stands]}


# --- Modbus


class Registers(Device):
    """A device of registers, as modbus-serial plays it."""

    kind = "modbus"

    def __init__(self, fronts: Fronts) -> None:
        super().__init__()
        self.front: Stream = fronts.stream(Frames())

    def start(self) -> None:
        node = Node()
        self.programs = (node._process,)
        self.front.device = free_stream_port()
        node.ask(op="serve", port=self.front.device, units={"1": self.unit()})

    @abstractmethod
    def unit(self) -> object:
        """Its registers."""


class Meter(Registers):
    """A meter of Eastron's for three phases."""

    name = "meter"
    interface = "line"
    numbers = (20110042, 20990001)
    watts = (3450.0, 1200.0)

    def unit(self) -> object:
        watts = self.watts[self.stands]
        return eastron(SDM630, {0: 230.0, 2: 230.0, 4: 230.0, 52: watts, 72: 1000.0}, self.numbers[self.stands])

    def entry(self) -> str:
        return (
            '<modbus xmlns="urn:eman:yang:eman-backend-modbus"><address>127.0.0.1</address>'
            f"<port>{self.front.port}</port><unit><id>1</id><table>eastron-sdm630</table></unit></modbus>"
        )

    def truth(self) -> Mapping[str, str]:
        return {
            **serial(str(self.numbers[self.stands])),
            "/emm:power/emm:active": f"{self.watts[self.stands]}",
        }


class Inverter(Registers):
    """A solar inverter that tells of itself by SunSpec."""

    name = "inverter"
    interface = "ac"
    numbers = ("SW0815", "SW4711")

    def unit(self) -> object:
        common = COMMON | {"SN": self.numbers[self.stands]}
        return sunspec((1, common), (103, INVERTER), (120, NAMEPLATE), (123, CONTROLS))

    def entry(self) -> str:
        return (
            '<modbus xmlns="urn:eman:yang:eman-backend-modbus"><address>127.0.0.1</address>'
            f"<port>{self.front.port}</port></modbus>"
        )

    def truth(self) -> Mapping[str, str]:
        return {"/eman:model": COMMON["Md"], **serial(self.numbers[self.stands]), "/emm:power/emm:active": "-6000.0"}


KINDS = (Pdu, Ups, NutUps, Server, Meter, Inverter)
