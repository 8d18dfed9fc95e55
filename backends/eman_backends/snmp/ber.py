"""The little of BER (ITU-T X.690) that notifications need: definite lengths, one octet of tag, nothing deep."""

from __future__ import annotations

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
