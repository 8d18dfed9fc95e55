"""Translate the regular expressions of XML Schema, which YANG patterns are, to Python's ``re``.

XSD Part 2, appendix F. The two languages look alike and differ in what matters: XSD patterns match the
whole value, ``^`` and ``$`` are ordinary characters, classes can be subtracted (``[a-z-[aeiou]]``), and
``\\i``, ``\\c``, ``\\p{..}`` name sets of characters that ``re`` does not know. Sets are computed as
sorted ranges of code points, so every class becomes one plain class of ``re``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby

Ranges = tuple[tuple[int, int], ...]  # sorted, apart, both ends included

_LAST = 0x10FFFF
_COUNT = re.compile(r"[0-9]+(,[0-9]*)?\}")
# every assigned character stands in these; beyond are unassigned and private-use ones only
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))
_PRIVATE = ((0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))


class PatternFault(ValueError):
    """A pattern that is no regular expression of XML Schema."""


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled translation of an XSD pattern; use ``fullmatch``. Raises PatternFault."""
    return re.compile(translate(pattern))


def translate(pattern: str) -> str:
    """The ``re`` source that matches, with ``fullmatch``, what the XSD ``pattern`` matches."""
    return _Translator(pattern).translate()


class _Translator:
    """Recursive descent over one pattern (groups nest, everything else is flat)."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def translate(self) -> str:
        source = self.expression(0)
        if self.at < len(self.pattern):
            raise self.fault("unbalanced )")
        return source

    def fault(self, what: str) -> PatternFault:
        return PatternFault(f"{what} at position {self.at} of the pattern {self.pattern!r}")

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise self.fault("unexpected end")
        self.at += 1
        return char

    def expression(self, depth: int) -> str:
        """Branches separated by |, up to the end or an unmatched )."""
        if depth > 50:
            raise self.fault("groups nested too deep")
        parts: list[str] = []
        quantifiable = False
        while (char := self.peek()) and char != ")":
            self.at += 1
            if char in "?*+{":  # never after another one: *? and ++ mean something else to re
                if not quantifiable:
                    raise self.fault(f"nothing to repeat before {char}")
                parts.append(self.counted() if char == "{" else char)
                quantifiable = False
                continue
            quantifiable = char != "|"
            if char == "|":
                parts.append("|")
            elif char == "(":
                parts.append(f"(?:{self.expression(depth + 1)})")
                if self.peek() != ")":
                    raise self.fault("missing )")
                self.at += 1
            elif char == "[":
                parts.append(_emit(self.char_class(depth)))
            elif char == ".":
                parts.append(r"[^\n\r]")
            elif char == "\\":
                parts.append(_emit(self.escape()))
            elif char in "]}":
                raise self.fault(f"unescaped {char}")
            else:
                parts.append(re.escape(char))
        return "".join(parts)

    def counted(self) -> str:
        found = _COUNT.match(self.pattern, self.at)
        if not found:
            raise self.fault("malformed {n,m}")
        self.at = found.end()
        return "{" + found.group()

    def escape(self) -> Ranges:
        """The set meant by the escape after a backslash."""
        char = self.take()
        if char in "pP":
            if self.take() != "{":
                raise self.fault("missing { after \\p")
            end = self.pattern.find("}", self.at)
            if end < 0:
                raise self.fault("missing } after \\p{")
            name = self.pattern[self.at : end]
            self.at = end + 1
            try:
                ranges = _block(name[2:]) if name.startswith("Is") else category(name)
            except KeyError:
                raise self.fault(f"unknown category or block {name}") from None
            return ranges if char == "p" else complement(ranges)
        if char in _MULTI:
            return _multi(char)
        if char.lower() in _MULTI:
            return complement(_multi(char.lower()))
        if char in "nrt":
            return _single("\n\r\t"["nrt".index(char)])
        if char in r"\|.-^?*+{}()[]$":  # $ is not in XSD's list; real modules write it
            return _single(char)
        raise self.fault(f"unknown escape \\{char}")

    def char_class(self, depth: int) -> Ranges:
        """The set of a [...] whose opening bracket is taken."""
        if depth > 50:
            raise self.fault("classes nested too deep")
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        found: list[tuple[int, int]] = []
        subtracted: Ranges = ()
        first = True
        while (char := self.take()) != "]":
            if char == "-" and self.peek() == "[" and not first:
                self.at += 1
                subtracted = self.char_class(depth + 1)
                if self.take() != "]":
                    raise self.fault("a subtraction ends its class")
                break
            if char == "[":
                raise self.fault("unescaped [")
            low = self.escape() if char == "\\" else _single(char)
            is_single = len(low) == 1 and low[0][0] == low[0][1]
            if is_single and self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in {"]", "["}:
                self.at += 1
                char = self.take()
                high = self.escape() if char == "\\" else _single(char)
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise self.fault("malformed range")
                found.append((low[0][0], high[0][0]))
            else:
                found.extend(low)
            first = False
        if first:
            raise self.fault("empty class")
        ranges = union(found)
        if negated:
            ranges = complement(ranges)
        return subtract(ranges, subtracted) if subtracted else ranges


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, with overlapping and touching ranges joined."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """Every code point not in ``ranges``."""
    result: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if start < low:
            result.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        result.append((start, _LAST))
    return tuple(result)


def subtract(ranges: Ranges, other: Ranges) -> Ranges:
    """What is in ``ranges`` and not in ``other``."""
    return complement(union((*complement(ranges), *other)))


def _single(char: str) -> Ranges:
    return ((ord(char), ord(char)),)


def _emit(ranges: Ranges) -> str:
    """A class of ``re``; the complement, negated, where that is shorter."""
    if not ranges:
        return r"(?!)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _char(ranges[0][0])
    others = complement(ranges)
    sign, shown = (
        ("^", others) if 0 < len(others) < len(ranges) or (others and ranges[-1][1] == _LAST) else ("", ranges)
    )
    ends = (_char(low) if low == high else f"{_char(low)}-{_char(high)}" for low, high in shown)
    return f"[{sign}{''.join(ends)}]"


def _char(code: int) -> str:
    return re.escape(chr(code)) if 0x20 < code < 0x7F else f"\\U{code:08x}"


@cache
def _categories() -> dict[str, Ranges]:
    """The ranges of each general category of Unicode, two letters."""
    found: dict[str, list[tuple[int, int]]] = {"Co": list(_PRIVATE)}
    for block in _ASSIGNED:
        for name, codes in groupby(block, key=lambda code: unicodedata.category(chr(code))):
            run = list(codes)
            found.setdefault(name, []).append((run[0], run[-1]))
    known = {name: union(ranges) for name, ranges in found.items()}
    known["Cn"] = complement(union(pair for name, ranges in known.items() if name != "Cn" for pair in ranges))
    return known


@cache
def category(name: str) -> Ranges:
    """The code points of a general category, as ``L`` or ``Nd``. KeyError if there is none."""
    known = _categories()
    if len(name) == 2:
        return known[name]
    parts = [ranges for key, ranges in known.items() if name and key.startswith(name)]
    if len(name) != 1 or not parts:
        raise KeyError(name)
    return union(pair for ranges in parts for pair in ranges)


@cache
def _multi(letter: str) -> Ranges:
    """The multi-character escape with this small letter (XSD F.1.1)."""
    return union(_MULTI[letter]())


def _name_start() -> Ranges:
    # NameStartChar of XML 1.0, fifth edition
    return (
        (0x3A, 0x3A), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x2FF),
        (0x370, 0x37D), (0x37F, 0x1FFF), (0x200C, 0x200D), (0x2070, 0x218F), (0x2C00, 0x2FEF), (0x3001, 0xD7FF),
        (0xF900, 0xFDCF), (0xFDF0, 0xFFFD), (0x10000, 0xEFFFF),
    )  # fmt: skip


def _name_char() -> Ranges:
    # NameChar of XML 1.0, fifth edition
    return (*_name_start(), (0x2D, 0x2E), (0x30, 0x39), (0xB7, 0xB7), (0x300, 0x36F), (0x203F, 0x2040))


_MULTI: dict[str, Callable[[], Ranges]] = {
    "s": lambda: ((0x9, 0xA), (0xD, 0xD), (0x20, 0x20)),
    "i": _name_start,
    "c": _name_char,
    "d": lambda: category("Nd"),
    "w": lambda: complement(union((*category("P"), *category("Z"), *category("C")))),
}

# the blocks of the first planes that occur in models; Unicode Blocks.txt, names without spaces
_BLOCKS = {
    "BasicLatin": (0x0, 0x7F),
    "Latin-1Supplement": (0x80, 0xFF),
    "LatinExtended-A": (0x100, 0x17F),
    "LatinExtended-B": (0x180, 0x24F),
    "IPAExtensions": (0x250, 0x2AF),
    "SpacingModifierLetters": (0x2B0, 0x2FF),
    "CombiningDiacriticalMarks": (0x300, 0x36F),
    "Greek": (0x370, 0x3FF),
    "GreekandCoptic": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x4FF),
    "Armenian": (0x530, 0x58F),
    "Hebrew": (0x590, 0x5FF),
    "Arabic": (0x600, 0x6FF),
    "Devanagari": (0x900, 0x97F),
    "Thai": (0xE00, 0xE7F),
    "GeneralPunctuation": (0x2000, 0x206F),
    "CurrencySymbols": (0x20A0, 0x20CF),
    "LetterlikeSymbols": (0x2100, 0x214F),
    "MathematicalOperators": (0x2200, 0x22FF),
    "Hiragana": (0x3040, 0x309F),
    "Katakana": (0x30A0, 0x30FF),
    "CJKUnifiedIdeographs": (0x4E00, 0x9FFF),
    "HangulSyllables": (0xAC00, 0xD7AF),
    "PrivateUse": (0xE000, 0xF8FF),
}


def _block(name: str) -> Ranges:
    return (_BLOCKS[name],)
