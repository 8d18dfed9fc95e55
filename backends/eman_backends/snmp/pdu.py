"""Requests and answers as they stand in a message: PDUs of SNMPv1 (RFC 1157) and SNMPv2 (RFC 3416)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from . import ber
from .ber import MalformedError, Reader
from .writes import Syntax, Write

Oid = str  # dotted numbers without a leading dot
Value = int | bytes | str  # str is an OID or an IPv4 address

RESPONSE = 0xA2
_NULL = ber.element(0x05)
_IP_ADDRESS, _OPAQUE = 0x40, 0x44
_UNSIGNED = {0x41, 0x42, 0x43, 0x46, 0x47}  # Counter32, Gauge32, TimeTicks, Counter64, and UInteger32 of old
_LONGEST_NUMBER = 9  # octets: 64 bits and a sign
_TAGS = {Syntax.UNSIGNED: 0x42, Syntax.TICKS: 0x43}


class Kind(IntEnum):
    """What is asked of an agent, by the tag of its PDU; all but GETBULK are in SNMPv1 too."""

    GET = 0xA0
    GET_NEXT = 0xA1
    SET = 0xA3
    GET_BULK = 0xA5


class Answer(NamedTuple):
    """A response: error-status, error-index (RFC 3416 section 3) and the variables; None where there is no value.

    An end of the MIB is None too, under the name that was asked for; in SNMPv1 both are noSuchName for the whole.
    """

    status: int
    position: int
    variables: Sequence[tuple[Oid, Value | None]]


def request(kind: Kind, number: int, names: Sequence[Oid], repetitions: int = 0, write: Write | None = None) -> bytes:
    """The PDU that asks for these names; ``repetitions`` belong to GETBULK, ``write`` to SET."""
    value = _NULL if write is None else _written(write)
    variables = ber.sequence(*(ber.sequence(ber.oid(name), value) for name in names))
    return ber.element(kind, ber.integer(number), ber.integer(0), ber.integer(repetitions), variables)


def _written(write: Write) -> bytes:
    match write.value:
        case bytes():
            return ber.octets(write.value)
        case str():
            return ber.oid(write.value)
        case int():
            return ber.integer(write.value, _TAGS.get(write.syntax, ber.INTEGER))


def response(message: Reader) -> tuple[int, Answer]:
    """The request-id and the answer of the response that comes next. Raises MalformedError."""
    pdu = message.enter(RESPONSE)
    number, status, position = pdu.integer(), pdu.integer(), pdu.integer()
    rows = pdu.enter()
    variables: list[tuple[Oid, Value | None]] = []
    while rows.at < rows.end:
        row = rows.enter()
        variables.append((ber.oid_of(row.octets(ber.OBJECT)), _value(row)))
    return number, Answer(status, position, variables)


def _value(row: Reader) -> Value | None:
    """The value that comes next; None for null, noSuchObject and its like, and for types that SNMP does not have."""
    tag = row.tag
    content = row.octets(tag)
    if tag in {ber.OCTETS, _OPAQUE}:
        return content
    if tag == ber.OBJECT:
        return ber.oid_of(content)
    if tag == _IP_ADDRESS and len(content) == 4:
        return ".".join(map(str, content))
    if tag != ber.INTEGER and tag not in _UNSIGNED:
        return None
    if not 1 <= len(content) <= _LONGEST_NUMBER:
        raise MalformedError("not a number of 64 bits")
    return int.from_bytes(content, "big", signed=tag == ber.INTEGER)
