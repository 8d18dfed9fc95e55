"""Notifications as they stand in a message: traps of SNMPv1 (RFC 1157) and SNMPv2 (RFC 3416), and informs."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from . import ber
from .ber import Reader


class Pdu(IntEnum):
    """Tags of the PDUs that matter here (RFC 1157 section 4.1, RFC 3416 section 3)."""

    RESPONSE = 0xA2
    TRAP_V1 = 0xA4
    INFORM = 0xA6
    TRAP = 0xA7
    REPORT = 0xA8


IP_ADDRESS, TIME_TICKS = 0x40, 0x43
_COLD_START, _WARM_START = 0, 1  # generic-trap, RFC 1157 section 4.1.6
_TRAP_OID = bytes.fromhex("2b060106030101040100")  # snmpTrapOID.0
_RESTARTS = {bytes.fromhex("2b0601060301010501"), bytes.fromhex("2b0601060301010502")}  # coldStart, warmStart


class Notice(NamedTuple):
    """What a notification comes to for us, and the Response that an inform wants (None for a trap)."""

    restarted: bool
    response: bytes | None


def notice(pdu: Reader) -> Notice:
    """The notification that begins here. Raises MalformedError when there is none."""
    kind = pdu.tag
    if kind == Pdu.TRAP_V1:
        inside = pdu.enter(kind)
        inside.octets(ber.OBJECT)  # enterprise
        inside.octets(IP_ADDRESS)  # of the agent, as it thinks
        generic = inside.integer()
        inside.integer()
        inside.octets(TIME_TICKS)
        inside.enter()
        return Notice(generic in {_COLD_START, _WARM_START}, None)
    if kind not in {Pdu.TRAP, Pdu.INFORM}:
        raise ber.MalformedError("not a notification")
    inside = pdu.enter(kind)
    number = inside.integer()
    inside.integer()
    inside.integer()
    variables = inside.rest()
    told = inside.enter()
    told.enter()  # sysUpTime
    second = told.enter()
    if second.octets(ber.OBJECT) != _TRAP_OID:
        raise ber.MalformedError("the second variable is not snmpTrapOID.0")
    restarted = second.octets(ber.OBJECT) in _RESTARTS
    response = None
    if kind == Pdu.INFORM:
        response = ber.element(Pdu.RESPONSE, ber.integer(number), ber.integer(0), ber.integer(0), variables)
    return Notice(restarted, response)
