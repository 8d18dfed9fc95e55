"""The little of BER (ITU-T X.690) that SNMP needs: definite lengths, one octet of tag, nothing deep."""

from __future__ import annotations

import functools

LONGEST_OID = 640  # octets: 128 numbers (RFC 2578 section 3.5) of five each
INTEGER, OCTETS, OBJECT, SEQUENCE = 0x02, 0x04, 0x06, 0x30


class MalformedError(ValueError):
    """Octets that are not what they should be."""


class Reader:
    """Reads one element after the other of what lies from ``at`` to ``end``. All methods raise MalformedError."""

    __slots__ = ("at", "end", "whole")

    def __init__(self, whole: bytes, at: int = 0, end: int | None = None) -> None:
        self.whole = whole
        self.at = at
        self.end = len(whole) if end is None else end

    @property
    def tag(self) -> int:
        """The tag of the next element, -1 at the end."""
        return self.whole[self.at] if self.at < self.end else -1

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """What is inside the next element, which must bear this tag."""
        whole, at = self.whole, self.at
        if at + 2 > self.end or whole[at] != tag:
            raise MalformedError(f"no element of tag {tag} at {at}")
        length = whole[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or at + count > self.end:
                raise MalformedError(f"no length at {at}")
            length = int.from_bytes(whole[at : at + count], "big")
            at += count
        if at + length > self.end:
            raise MalformedError(f"the element at {self.at} is longer than what it is in")
        self.at = at + length
        return Reader(whole, at, at + length)

    def octets(self, tag: int = OCTETS) -> bytes:
        """The content of the next element."""
        inside = self.enter(tag)
        return inside.whole[inside.at : inside.end]

    def integer(self, tag: int = INTEGER) -> int:
        """The next element as a signed number of at most 32 bits (or one octet more, which is zero)."""
        content = self.octets(tag)
        if not 1 <= len(content) <= 5:
            raise MalformedError("not a number of 32 bits")
        return int.from_bytes(content, "big", signed=True)

    def rest(self) -> bytes:
        """All that was not read yet, as it is."""
        return self.whole[self.at : self.end]


def element(tag: int, *contents: bytes) -> bytes:
    """An element with this content."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def integer(number: int, tag: int = INTEGER) -> bytes:
    """A number as an element."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return element(tag, number.to_bytes(size, "big", signed=True))


def octets(content: bytes) -> bytes:
    """Octets as an element."""
    return element(OCTETS, content)


def sequence(*elements: bytes) -> bytes:
    """A sequence of elements."""
    return element(SEQUENCE, *elements)


@functools.lru_cache(maxsize=16384)
def oid_of(content: bytes) -> str:
    """The dotted numbers of an object identifier (ITU-T X.690 section 8.19). Raises MalformedError."""
    if not content or content[-1] & 0x80 or len(content) > LONGEST_OID:
        raise MalformedError("not an object identifier")
    numbers: list[int] = []
    number = 0
    for octet in content:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


@functools.lru_cache(maxsize=16384)
def oid(dotted: str) -> bytes:
    """An object identifier as an element."""
    first, second, *others = map(int, dotted.split("."))
    content = bytearray()
    for number in (40 * first + second, *others):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return element(OBJECT, bytes(content))
