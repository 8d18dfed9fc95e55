"""The language of upsd, without a socket: how questions are written, how answers are read, what its errors mean.

Lines of words. A word with anything but plain characters stands in quotation marks, in which a backslash goes before a
quotation mark, a backslash and a number sign. An answer is one line, or a list between ``BEGIN LIST`` and ``END LIST``,
or ``ERR`` and a code (Network UPS Tools, Developer Guide: Network protocol information).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LONGEST = 2048  # octets of a line; upsd itself sends no more than 1024
MOST = 4096  # lines of one answer
LARGEST = 1 << 17  # octets of one answer, or nearly; UPSs with many outlets tell half of that
CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")
_PLAIN = re.compile(r"[A-Za-z0-9._:+-]+")
_WORD = re.compile(r'\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s"]+))(?=\s|$)')
_PAIR = re.compile(r'([^\s"\\]+) "([^"\\\x00-\x1f\x7f-\x9f]*)"')
_ESCAPED = re.compile(r"\\(.)")
_TO_ESCAPE = re.compile(r'["\\#]')

ERRORS = {
    "ACCESS-DENIED": "user, password, or the address we ask from is not allowed that: see upsd.users at the server",
    "ALREADY-SSL-MODE": "the connection is encrypted already",
    "CMD-NOT-SUPPORTED": "the UPS has no such command",
    "DATA-STALE": "its driver has told nothing new for a while",
    "DRIVER-NOT-CONNECTED": "its driver does not run, or does not reach the server",
    "FAILED": "the driver tried and failed",
    "FEATURE-NOT-CONFIGURED": "the server is not set up for that",
    "FEATURE-NOT-SUPPORTED": "the server was built without that",
    "INSTCMD-FAILED": "the server could not hand the command to the driver",
    "INVALID-ARGUMENT": "the server did not understand an argument",
    "INVALID-PASSWORD": "the password is wrong",
    "INVALID-USERNAME": "there is no such user",
    "INVALID-VALUE": "the value is not allowed for that variable",
    "PASSWORD-REQUIRED": "a password is needed: set nut/password",
    "READONLY": "the variable cannot be written",
    "SET-FAILED": "the server could not hand the value to the driver",
    "TOO-LONG": "the value is too long for that variable",
    "UNKNOWN": "the driver does not know that command",
    "UNKNOWN-COMMAND": "the server does not know that request",
    "UNKNOWN-UPS": "the server has no UPS of that name",
    "USERNAME-REQUIRED": "a user is needed: set nut/user-name and nut/password",
    "VAR-NOT-SUPPORTED": "the UPS has no such variable",
}


class Garbled(Exception):
    """What came is not what upsd says."""


@dataclass(slots=True)
class Question:
    """One request, and what has come back of its answer.

    ``listing`` is what a list is of, as ``VAR ups1``; None where one line answers. ``error`` is the code after ERR.
    """

    text: str
    listing: str | None = None
    lines: list[str] = field(default_factory=list)
    error: str | None = None
    begun: bool = False
    size: int = 0

    def hear(self, line: str) -> bool:
        """Take one line of the answer; whether it was the last. Raises Garbled."""
        if not self.begun and (line == "ERR" or line.startswith("ERR ")):
            self.error = line[4:].strip()[:64] or "nothing"
            return True
        if self.listing is None:
            self.lines.append(line)
            return True
        if not self.begun:
            if line != f"BEGIN LIST {self.listing}":
                raise Garbled(f"asked for {self.listing}, the server begins {line[:64]!r}")
            self.begun = True
            return False
        if line == f"END LIST {self.listing}":
            return True
        self.size += len(line)
        if len(self.lines) >= MOST or self.size > LARGEST:
            raise Garbled(f"the list of {self.listing} has no end")
        if not line.startswith(self.listing) or line[len(self.listing) : len(self.listing) + 1] != " ":
            raise Garbled(f"asked for {self.listing}, the server lists {line[:64]!r}")
        self.lines.append(line)
        return False

    @property
    def refusal(self) -> str:
        """The error as a sentence."""
        code = self.error or ""
        return f"{code}: {ERRORS[code]}" if code in ERRORS else f"the server says {shown(code)!r}"

    def rows(self) -> list[list[str]]:
        """The words of each line of a list, without those that name the list. Raises Garbled."""
        skipped = len((self.listing or "").split())
        return [words(line)[skipped:] for line in self.lines]

    def pairs(self) -> dict[str, str]:
        """A list of names and values. Raises Garbled."""
        found = {}
        skipped = len(self.listing or "") + 1
        for line in self.lines:
            if (plain := _PAIR.fullmatch(line, skipped)) is not None:  # nearly all, and at a fifth of the cost
                found[plain[1]] = plain[2].strip()
                continue
            row = words(line)[len((self.listing or "").split()) :]
            if len(row) != 2:
                raise Garbled(f"not a name and a value: {' '.join(row)[:64]!r}")
            found[row[0]] = shown(row[1])
        return found


def quoted(word: str) -> str:
    """A word as upsd reads it. Raises ValueError where it holds what no line can."""
    if CONTROL.search(word):
        raise ValueError("control characters cannot be sent")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + _TO_ESCAPE.sub(r"\\\g<0>", word) + '"'


def words(line: str) -> list[str]:
    """The words of a line of upsd. Raises Garbled."""
    found = []
    at = 0
    line = line.rstrip()
    while at < len(line):
        match = _WORD.match(line, at)
        if match is None:
            raise Garbled(f"quotation marks do not match: {line[:64]!r}")
        inside, plain = match.groups()
        found.append(plain if inside is None else _ESCAPED.sub(r"\1", inside) if "\\" in inside else inside)
        at = match.end()
    return found


def shown(text: str) -> str:
    """Text of a device without what would spoil a terminal or a document."""
    return CONTROL.sub("", text).strip()


def variables(ups: str) -> Question:
    """All that a UPS tells."""
    return Question(f"LIST VAR {quoted(ups)}", f"VAR {ups}")
