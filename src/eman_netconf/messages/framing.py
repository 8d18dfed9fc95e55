"""Framing of messages in a byte stream, both kinds and both directions (RFC 6242 section 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

END_OF_MESSAGE: Final = b"]]>]]>"
END_OF_CHUNKS: Final = b"\n##\n"

#: Bytes written at once: with its chunk header it fits one SSH packet of 32 KiB, whose cost is per packet.
PIECE: Final = 32_700

_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|#)\n")
_HEADER_BEGUN = re.compile(rb"(?:\n(?:#(?:[1-9][0-9]{0,9}|#)?)?)?\Z")
_CHUNK_MAX = 4_294_967_295

# Chunks taken in one call: a stream of one-byte chunks must not hold its caller for long.
_STEP = 4096


class FramingFault(Exception):
    """The byte stream is not framed as it must be, or a message is over the limits; nothing after it can be read."""


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """``message``: bytes of one message; ``chunks``: how many chunks it may come in."""

    message: int = 32 * 1024 * 1024
    chunks: int = 1_000_000


class Working(Enum):
    """The one value WORKING: call again, other work may run first."""

    WORKING = "working"


WORKING: Final = Working.WORKING


class Framer:
    """Incoming bytes to messages. Starts with end-of-message framing; ``upgrade`` turns to chunks.

    Nothing is decoded before ``next`` asks for it, so the framing may change between two messages that arrived
    together. Each byte is looked at once. At most one unfinished message is held, and it is refused as soon as
    its announced size is over the limit.
    """

    def __init__(self, limits: FrameLimits) -> None:
        self.limits = limits
        self.chunked = False
        self._buffer = bytearray()  # not yet decoded
        self._searched = 0  # end-of-message: no delimiter begins before this offset
        self._message = bytearray()  # chunked: the chunks so far
        self._chunks = 0
        self._left = 0  # chunked: bytes the current chunk still lacks

    @property
    def buffered(self) -> int:
        """Bytes held: received and not yet handed out."""
        return len(self._buffer) + len(self._message)

    @property
    def inside_message(self) -> bool:
        """Whether some bytes of an unfinished message are here; white space between messages is none."""
        return bool(self._chunks or self._buffer.strip())

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def discard(self) -> None:
        """Let go of all that is held; nothing more will be asked for."""
        self._buffer = bytearray()
        self._message = bytearray()

    def upgrade(self) -> None:
        """Read what follows as chunks (RFC 6242 section 4.1: from the first message after the hellos)."""
        self.chunked = True
        self._searched = 0

    def next(self) -> bytes | Literal[Working.WORKING] | None:
        """The next whole message, None when more bytes are needed, WORKING when there is more to do.

        Raises FramingFault; after it the Framer is of no more use.
        """
        return self._next_chunked() if self.chunked else self._next_delimited()

    def _next_delimited(self) -> bytes | None:
        buffer = self._buffer
        end = buffer.find(END_OF_MESSAGE, self._searched)
        if max(end, len(buffer) - len(END_OF_MESSAGE)) > self.limits.message:
            raise _too_long(self.limits)
        if end < 0:
            self._searched = max(0, len(buffer) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(buffer[:end]).lstrip()  # typed sessions put a line end between messages
        del buffer[: end + len(END_OF_MESSAGE)]
        self._searched = 0
        return message

    def _next_chunked(self) -> bytes | Literal[Working.WORKING] | None:
        buffer = self._buffer
        position = 0
        try:
            for _ in range(_STEP):
                if self._left:
                    data = buffer[position : position + self._left]
                    self._message += data
                    position += len(data)
                    self._left -= len(data)
                    if self._left:
                        return None
                header = _HEADER.match(buffer, position)
                if header is None:
                    if _HEADER_BEGUN.match(buffer, position):
                        return None
                    shown = bytes(buffer[position : position + 13])
                    raise FramingFault(f"A chunk header (\\n#<size>\\n) was expected; {shown!r} came instead.")
                position = header.end()
                if header[1] is None:
                    return self._whole()
                self._begin_chunk(int(header[1]))
            return WORKING
        finally:
            del buffer[:position]

    def _begin_chunk(self, size: int) -> None:
        self._chunks += 1
        if size > _CHUNK_MAX:
            raise FramingFault(f"A chunk of {size} bytes was announced; {_CHUNK_MAX} is the largest there is.")
        if len(self._message) + size > self.limits.message:
            raise _too_long(self.limits)
        if self._chunks > self.limits.chunks:
            raise FramingFault(f"A message came in more than {self.limits.chunks} chunks. Send larger chunks.")
        self._left = size

    def _whole(self) -> bytes:
        if not self._chunks:
            raise FramingFault("A message without any chunk ended; one chunk at least is needed.")
        message = bytes(self._message)
        self._message = bytearray()
        self._chunks = 0
        return message


def _too_long(limits: FrameLimits) -> FramingFault:
    return FramingFault(f"The message is longer than {limits.message} bytes, the most that is taken.")


def frame(message: bytes, *, chunked: bool) -> bytes:
    """One whole message, not empty, as it goes on the wire."""
    if chunked:
        return b"\n#%d\n%b%b" % (len(message), message, END_OF_CHUNKS)
    return message + END_OF_MESSAGE


def stream(slices: Iterable[bytes], *, chunked: bool) -> Iterator[bytes]:
    """One message, made slice by slice, as it goes on the wire: in pieces of about ``PIECE`` bytes.

    Small slices are joined and large ones cut; slices are asked for as the pieces are taken, at most two ahead. For
    an empty slice there is an empty piece, which is nothing to send but a time to let others run.
    """
    held: bytes | None = None  # the end goes out with the last piece: a packet less for each small reply
    for piece in _pieces(slices):
        if not piece:
            yield b""
            continue
        if held is not None:
            yield held
        held = b"\n#%d\n%b" % (len(piece), piece) if chunked else piece
    yield (held or b"") + (END_OF_CHUNKS if chunked else END_OF_MESSAGE)


def _pieces(slices: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for data in slices:
        if size + len(data) > PIECE and held:
            yield b"".join(held)
            held, size = [], 0
        if len(data) > PIECE:
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
        elif data:
            held.append(data)
            size += len(data)
        else:
            yield b""
    if held:
        yield b"".join(held)
