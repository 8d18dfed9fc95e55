"""Framing in both directions, and its limits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.messages.framing import PIECE, WORKING, FrameLimits, Framer, FramingFault, frame, stream


def framer(*, chunked: bool, **limits: int) -> Framer:
    made = Framer(FrameLimits(**limits))
    if chunked:
        made.upgrade()
    return made


def messages(source: Framer) -> list[bytes]:
    """All whole messages that are there."""
    found: list[bytes] = []
    while (message := source.next()) is not None:
        if message is not WORKING:
            found.append(message)
    return found


def test_end_of_message() -> None:
    """Messages end with ]]>]]>, also when the delimiter comes byte by byte (RFC 6242 section 4.3)."""
    source = framer(chunked=False)
    found = []
    for byte in b"<a/>]]>]]><b>]]></b>]]>]]>":
        source.receive(bytes([byte]))
        found += messages(source)
    assert found == [b"<a/>", b"<b>]]></b>"]
    assert source.buffered == 0


def test_line_ends_between_messages() -> None:
    """White space before a message, which people type, is no part of it: <?xml must come first."""
    source = framer(chunked=False)
    source.receive(b"<a/>]]>]]>\r\n<?xml version='1.0'?><b/>]]>]]>\n")
    assert messages(source) == [b"<a/>", b"<?xml version='1.0'?><b/>"]
    assert not source.inside_message


def test_chunks() -> None:
    """The example of RFC 6242 section 4.2: three chunks, one message."""
    source = framer(chunked=True)
    source.receive(b'\n#4\n<rpc\n#18\n message-id="102"\n\n#79\n' + b"x" * 79 + b"\n##\n")
    assert messages(source) == [b'<rpc message-id="102"\n' + b"x" * 79]


def test_upgrade_between_messages() -> None:
    """What arrived together with the hello is read in the framing that the hello leads to."""
    source = framer(chunked=False)
    source.receive(b"<hello/>]]>]]>\n#3\n]]>\n#3\n]]>\n##\n")
    assert source.next() == b"<hello/>"
    source.upgrade()
    assert messages(source) == [b"]]>]]>"]


@pytest.mark.parametrize(
    "wrong",
    [
        b"<rpc/>]]>]]>",
        b"\n##\n",
        b"\n#0\n",
        b"\n#01\n",
        b"\n#-1\n",
        b"\n#+1\n",
        b"\n#1 \n",
        b"\n#\n",
        b"\n#a\n",
        b"\n###\n",
        b"\n\n#1\nx",
        b"#1\nx",
        b"\r\n#1\r\nx",
        b"\n#1\nxx",
        b"\n#1\nx\n#",
        b"\n#4294967296\n",
        b"\n#99999999999",
        b"\n#1" + b"1" * 100,
    ],
)
def test_broken_chunks(wrong: bytes) -> None:
    """What is no chunk is a fault as soon as that is sure, never a wait for more."""
    source = framer(chunked=True)
    source.receive(wrong)
    if wrong.endswith(b"\n#"):
        assert messages(source) == []  # may still become a header
        source.receive(b"x")
    with pytest.raises(FramingFault):
        messages(source)


def test_gigabyte_header() -> None:
    """A chunk larger than any message may be is refused at its header; nothing of it is held."""
    source = framer(chunked=True)
    source.receive(b"\n#1073741824\n")
    with pytest.raises(FramingFault, match="33554432"):
        source.next()
    assert source.buffered == 0


@pytest.mark.parametrize("chunked", [True, False])
def test_largest_message(chunked: bool) -> None:
    """A message of the largest size is taken, one byte more is not."""
    source = framer(chunked=chunked, message=1000)
    source.receive(frame(b"x" * 1000, chunked=chunked))
    assert messages(source) == [b"x" * 1000]
    source.receive(frame(b"x" * 1001, chunked=chunked))
    with pytest.raises(FramingFault, match="1000"):
        messages(source)


def test_endless_message() -> None:
    """Without a delimiter the limit ends it, while no more than the limit is held."""
    source = framer(chunked=False, message=10_000)
    for _ in range(10):
        source.receive(b"x" * 1000)
        assert messages(source) == []
    source.receive(b"x" * 1000)
    with pytest.raises(FramingFault):
        messages(source)


def test_many_small_chunks_sum_up() -> None:
    """The limit is of the message, not of the chunk."""
    source = framer(chunked=True, message=100)
    source.receive(b"\n#30\n" + b"x" * 30 + b"\n#30\n" + b"x" * 30 + b"\n#41\n")
    with pytest.raises(FramingFault):
        messages(source)


def test_too_many_chunks() -> None:
    """A message of countless chunks is refused however small it is."""
    source = framer(chunked=True, chunks=10)
    source.receive(b"\n#1\nx" * 10 + b"\n##\n")
    assert messages(source) == [b"x" * 10]
    source.receive(b"\n#1\nx" * 11)
    with pytest.raises(FramingFault, match="10 chunks"):
        messages(source)


def test_steps() -> None:
    """A flood of tiny chunks is worked off in bounded steps."""
    source = framer(chunked=True)
    source.receive(b"\n#1\nx" * 10_000 + b"\n##\n")
    assert source.next() is WORKING
    assert messages(source) == [b"x" * 10_000]


@pytest.mark.parametrize("chunked", [True, False])
def test_each_byte_once(chunked: bool) -> None:
    """A message that comes in many parts is searched once: the work done follows the bytes, not their square."""
    source = framer(chunked=chunked)
    wire = frame(b"x" * 200_000, chunked=chunked)
    looked_at = 0

    class Counting(bytearray):
        def find(self, *arguments: object) -> int:
            nonlocal looked_at
            looked_at += len(self) - int(arguments[1])  # type: ignore[call-overload]
            return super().find(*arguments)  # type: ignore[arg-type]

        def __getitem__(self, where: object) -> object:  # type: ignore[override]
            nonlocal looked_at
            part = super().__getitem__(where)  # type: ignore[call-overload]
            looked_at += len(part) if isinstance(part, (bytes, bytearray)) else 0
            return part

    source._buffer = Counting()
    found = []
    for start in range(0, len(wire), 10):
        source.receive(wire[start : start + 10])
        found += messages(source)
    assert [len(message) for message in found] == [200_000]
    assert looked_at < 3 * len(wire)


MESSAGES = st.lists(
    st.binary(min_size=1, max_size=200).map(lambda data: b"<" + data.replace(b"]", b"").strip() + b">"), max_size=5
)


def recut(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


@given(MESSAGES, st.booleans(), st.lists(st.integers(0, 10_000), max_size=20))
def test_invariant_under_recutting(sent: list[bytes], chunked: bool, cuts: list[int]) -> None:
    """However the bytes of messages are cut on their way, the same messages come out."""
    wire = b"".join(frame(message, chunked=chunked) for message in sent)
    source = framer(chunked=chunked)
    found = []
    for part in recut(wire, cuts):
        source.receive(part)
        found += messages(source)
    assert found == sent
    assert source.buffered == 0


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=30), st.lists(st.integers(1, 20), min_size=1))
def test_invariant_under_rechunking(slices: list[bytes], sizes: list[int]) -> None:
    """However a message is divided into chunks, it is the same message."""
    whole = b"".join(slices) or b"x"
    source = framer(chunked=True)
    position = 0
    while position < len(whole):
        size = sizes[position % len(sizes)]
        part = whole[position : position + size]
        source.receive(b"\n#%d\n%b" % (len(part), part))
        position += size
    source.receive(b"\n##\n")
    assert messages(source) == [whole]


@given(st.lists(st.binary(max_size=50), max_size=30), st.booleans())
def test_streams_arrive(slices: list[bytes], chunked: bool) -> None:
    """What is streamed slice by slice is read back as the slices joined."""
    whole = b"<" + b"".join(slices).replace(b"]", b"") + b">"
    source = framer(chunked=chunked)
    source.receive(b"".join(stream([whole[start : start + 7] for start in range(0, len(whole), 7)], chunked=chunked)))
    assert messages(source) == [whole]


@pytest.mark.parametrize("chunked", [True, False])
def test_pieces(chunked: bool) -> None:
    """Small slices are joined and large ones cut, so that each piece fits one SSH packet and few are short."""
    pieces = list(stream([b"x" * 2200] * 100 + [b"y" * 300_000] + [b"z"] * 5, chunked=chunked))
    assert all(len(piece) <= 32_768 for piece in pieces)
    assert len(pieces) <= 520_005 // PIECE + 4


@pytest.mark.parametrize("chunked", [True, False])
def test_empty_slices_are_turns_for_others(chunked: bool) -> None:
    """For an empty slice there is an empty piece, of which nothing is seen on the wire."""
    pieces = list(stream([b"<a>", b"", b"b", b"", b"</a>"], chunked=chunked))
    assert [piece for piece in pieces if not piece] == [b"", b""]
    source = framer(chunked=chunked)
    source.receive(b"".join(pieces))
    assert messages(source) == [b"<a>b</a>"]


def test_streams_lazily() -> None:
    """Slices are made while pieces are taken, not before."""
    made = 0

    def slices() -> Iterator[bytes]:
        nonlocal made
        for _ in range(100):
            made += 1
            yield b"x" * PIECE

    pieces = stream(slices(), chunked=True)
    next(pieces)
    assert made <= 3
    next(pieces)
    assert made <= 4
