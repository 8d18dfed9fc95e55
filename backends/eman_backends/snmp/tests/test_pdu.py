"""Requests and answers on the wire, held against pysnmp's codec."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import encoder
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from eman_backends.snmp import ber, pdu
from eman_backends.snmp.ber import MalformedError, Reader
from eman_backends.snmp.pdu import Kind
from eman_backends.snmp.writes import Syntax, Write

NAMES = st.lists(st.integers(0, 2**32 - 1), max_size=20).map(lambda rest: ".".join(map(str, (1, 3, *rest))))
THEIRS = {
    Kind.GET: v2c.GetRequestPDU,
    Kind.GET_NEXT: v2c.GetNextRequestPDU,
    Kind.SET: v2c.SetRequestPDU,
    Kind.GET_BULK: v2c.GetBulkRequestPDU,
}
NAME = "1.3.6.1.2.1.1.3.0"


@given(st.sampled_from(list(Kind)), st.integers(0, 2**31 - 1), st.lists(NAMES, max_size=5), st.integers(0, 100))
def test_a_request_is_the_one_that_pysnmp_makes(kind: Kind, number: int, names: list[str], repetitions: int) -> None:
    """Each kind of request, octet by octet."""
    theirs: Any = THEIRS[kind]()
    if kind is Kind.GET_BULK:
        v2c.apiBulkPDU.set_defaults(theirs)
        v2c.apiBulkPDU.set_max_repetitions(theirs, repetitions)
    else:
        v2c.apiPDU.set_defaults(theirs)
        repetitions = 0
    v2c.apiPDU.set_request_id(theirs, number)
    v2c.apiPDU.set_varbinds(theirs, [(name, v2c.null) for name in names])
    assert pdu.request(kind, number, names, repetitions) == encoder.encode(theirs)


@pytest.mark.parametrize(
    ("write", "theirs"),
    [
        (Write(NAME, -200), rfc1902.Integer32(-200)),
        (Write(NAME, 2**32 - 1, Syntax.UNSIGNED), rfc1902.Gauge32(2**32 - 1)),
        (Write(NAME, 128, Syntax.TICKS), rfc1902.TimeTicks(128)),
        (Write(NAME, bytes(200), Syntax.OCTETS), rfc1902.OctetString(bytes(200))),
        (Write(NAME, "1.3.6.1.4.1.4294967295", Syntax.OBJECT), rfc1902.ObjectIdentifier("1.3.6.1.4.1.4294967295")),
    ],
    ids=lambda one: one.syntax.value if isinstance(one, Write) else "",
)
def test_a_value_is_written_as_pysnmp_writes_it(write: Write, theirs: Any) -> None:
    """Each type of what is set."""
    order: Any = v2c.SetRequestPDU()
    v2c.apiPDU.set_defaults(order)
    v2c.apiPDU.set_request_id(order, 7)
    v2c.apiPDU.set_varbinds(order, [(NAME, theirs)])
    assert pdu.request(Kind.SET, 7, [NAME], write=write) == encoder.encode(order)


VALUES: dict[str, tuple[Any, Any]] = {
    "integer": (rfc1902.Integer32(-129), -129),
    "gauge": (rfc1902.Gauge32(2**32 - 1), 2**32 - 1),
    "counter": (rfc1902.Counter32(2**31), 2**31),
    "long counter": (rfc1902.Counter64(2**64 - 1), 2**64 - 1),
    "ticks": (rfc1902.TimeTicks(0), 0),
    "octets": (rfc1902.OctetString(b"\x00\xff"), b"\x00\xff"),
    "opaque": (rfc1902.Opaque(b"\x9f\x78\x04\x00\x00\x00\x00"), b"\x9f\x78\x04\x00\x00\x00\x00"),
    "object": (rfc1902.ObjectIdentifier("2.100.3.4294967295"), "2.100.3.4294967295"),
    "nothing": (rfc1902.ObjectIdentifier("0.0"), "0.0"),
    "address": (rfc1902.IpAddress("192.0.2.1"), "192.0.2.1"),
    "null": (v2c.null, None),
    "no object": (rfc1905.noSuchObject, None),
    "no instance": (rfc1905.noSuchInstance, None),
    "end": (rfc1905.endOfMibView, None),
}


@pytest.mark.parametrize(("theirs", "meant"), VALUES.values(), ids=VALUES)
def test_a_value_is_read_as_pysnmp_writes_it(theirs: Any, meant: Any) -> None:
    """Each type of what is told; what is no value is None."""
    answer: Any = v2c.ResponsePDU()
    v2c.apiPDU.set_defaults(answer)
    v2c.apiPDU.set_request_id(answer, 2**31 - 1)
    v2c.apiPDU.set_varbinds(answer, [(NAME, theirs)])
    assert pdu.response(Reader(encoder.encode(answer))) == (2**31 - 1, pdu.Answer(0, 0, [(NAME, meant)]))


def told(value: bytes) -> Any:
    """The value of an answer in which this stands."""
    rows = ber.sequence(ber.sequence(ber.oid(NAME), value))
    answer = ber.element(pdu.RESPONSE, ber.integer(1), ber.integer(0), ber.integer(0), rows)
    return pdu.response(Reader(answer))[1].variables[0][1]


def test_what_agents_write_wrongly() -> None:
    """Unsigned numbers without the leading zero are what they were meant to be; unknown types mean nothing."""
    assert told(bytes.fromhex("4204ffffffff")) == 2**32 - 1
    assert told(bytes.fromhex("0205ff80000000")) == -(2**31)
    assert told(bytes.fromhex("7f0100")) is None
    assert told(bytes.fromhex("4003c00002")) is None
    for broken in ("0200", "020a00000000000000000000", "0601ff", "0600", "0280"):
        with pytest.raises(MalformedError):
            told(bytes.fromhex(broken))


@given(NAMES)
def test_a_name_is_read_as_it_is_written(name: str) -> None:
    """Names of any length and numbers of up to 32 bits."""
    assert ber.oid_of(Reader(ber.oid(name)).octets(ber.OBJECT)) == name


@given(st.binary(max_size=100))
def test_no_octets_harm_the_reader(octets: bytes) -> None:
    """Whatever stands in a message is an answer or refused with one kind of error."""
    with contextlib.suppress(MalformedError):
        pdu.response(Reader(octets))
