"""Match XSD patterns in linear time: re-match() takes its pattern from the client, who must not stall others.

Python's ``re`` backtracks, so a short hostile pattern takes it hours. Here a pattern becomes an automaton
whose states are followed all at once (Thompson's construction); no input costs more than length times states.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from eman_netconf.yang.patterns import PatternFault, translate

MAX_STATES = 5_000  # a{1000}{1000} is short to write

_PARTS = re.compile(
    r"""(?P<open>\(\?:)|(?P<never>\(\?!\))|(?P<close>\))|(?P<or>\|)|(?P<repeat>[?*+]|\{\d+(?:,\d*)?\})
    |(?P<atom>\[(?:\\.|[^\]\\])*\]|\\U[0-9a-f]{8}|\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_COUNTS = {"?": (0, 1), "*": (0, None), "+": (1, None)}

Tester = Callable[[str], object]
# a piece of pattern: adds its states to the automaton before the state it is to continue at, gives its first state
Piece = Callable[["_Automaton", int], int]


class _Automaton:
    """States are numbers; each either tests one character and goes on, or forks without reading."""

    def __init__(self) -> None:
        self.tests: list[Tester | None] = [None]
        self.targets: list[list[int]] = [[]]  # state 0 is the end

    def add(self, test: Tester | None, targets: list[int]) -> int:
        if len(self.tests) >= MAX_STATES:
            raise PatternFault("the pattern repeats too much")
        self.tests.append(test)
        self.targets.append(targets)
        return len(self.tests) - 1

    def closure(self, states: list[int]) -> frozenset[int]:
        """All states reachable from ``states`` without reading."""
        seen = set(states)
        todo = list(seen)
        while todo:
            state = todo.pop()
            if self.tests[state] is None:
                for target in self.targets[state]:
                    if target not in seen:
                        seen.add(target)
                        todo.append(target)
        return frozenset(seen)


class Matcher:
    """One pattern ready to match whole texts."""

    def __init__(self, pattern: str) -> None:
        self._parts = [(str(part.lastgroup), part.group()) for part in _PARTS.finditer(translate(pattern))]
        self._next = 0
        automaton = _Automaton()
        start = self._branches()(automaton, 0)
        self._automaton = automaton
        self._start = automaton.closure([start])

    def matches(self, text: str, spend: Callable[[int], None]) -> bool:
        """Whether the whole ``text`` matches; ``spend`` is told the work, a state at a time."""
        states = self._start
        tests, targets = self._automaton.tests, self._automaton.targets
        for char in text:
            spend(1 + len(states) // 8)
            reached = []
            for state in states:
                test = tests[state]
                if test is not None and test(char):
                    reached.extend(targets[state])
            if not reached:
                return False
            states = self._automaton.closure(reached)
        return 0 in states

    def _branches(self) -> Piece:
        branches: list[Piece] = []
        pieces: list[Piece] = []
        while self._next < len(self._parts):
            kind, text = self._parts[self._next]
            if kind == "close":
                break
            self._next += 1
            if kind == "or":
                branches.append(_sequence(pieces))
                pieces = []
            elif kind == "repeat":
                low, high = _COUNTS[text] if text in _COUNTS else _counts(text)
                pieces.append(_repeat(pieces.pop(), low, high))
            elif kind == "open":
                pieces.append(self._branches())
                self._next += 1
            else:
                pieces.append(_atom(text if kind == "atom" else r"[^\s\S]"))
        branches.append(_sequence(pieces))
        return branches[0] if len(branches) == 1 else _fork(branches)


def _counts(text: str) -> tuple[int, int | None]:
    low, comma, high = text[1:-1].partition(",")
    if not comma:
        return int(low), int(low)
    return int(low), int(high) if high else None


def _atom(source: str) -> Piece:
    test = re.compile(source).match
    return lambda automaton, after: automaton.add(test, [after])


def _sequence(pieces: list[Piece]) -> Piece:
    def build(automaton: _Automaton, after: int) -> int:
        for piece in reversed(pieces):
            after = piece(automaton, after)
        return after

    return build


def _fork(branches: list[Piece]) -> Piece:
    return lambda automaton, after: automaton.add(None, [branch(automaton, after) for branch in branches])


def _repeat(piece: Piece, low: int, high: int | None) -> Piece:
    def build(automaton: _Automaton, after: int) -> int:
        if high is None:
            loop = automaton.add(None, [after])
            automaton.targets[loop].append(piece(automaton, loop))
            after = loop
        else:
            for _ in range(high - low):
                end = after
                after = automaton.add(None, [piece(automaton, end), end])
        for _ in range(low):
            first = piece(automaton, after)
            if first == after:  # nothing, however often
                break
            after = first
        return after

    return build


@lru_cache(maxsize=64)
def matcher(pattern: str) -> Matcher:
    """The matcher of an XSD pattern. Raises PatternFault."""
    return Matcher(pattern)
