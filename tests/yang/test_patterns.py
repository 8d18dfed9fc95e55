"""XSD regular expressions as Python's: the same values match."""

from __future__ import annotations

import unicodedata
from functools import cache
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from eman_netconf.yang.patterns import PatternFault, category, compile_pattern, complement, subtract, union

MATCHES = [
    # (pattern, what it matches, what it does not)
    ("abc", ["abc"], ["abcd", "xabc", "abc\n", "ABC"]),
    ("^a$", ["^a$"], ["a"]),
    ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
    ("(a|b){2,3}c{0,1}", ["ab", "abac"], ["a", "abab", "abcc"]),
    ("a{2}", ["aa"], ["a", "aaa", "a{2}"]),
    ("a{2,}", ["aa", "aaaaa"], ["a"]),
    (".", ["x", "é", "\t"], ["", "\n", "\r", "xy"]),
    ("[a-z-[aeiou]]+", ["xyz"], ["xaz", ""]),
    ("[a-z-[b-y-[m]]]+", ["amz"], ["b", "y"]),
    ("[^a-c]", ["d", "^", "\n"], ["a", "dd"]),
    ("[^a-c-[x]]", ["d"], ["x", "b"]),
    ("[a^]+", ["a^^"], ["b"]),
    ("[-a]+[a-]+", ["-a-", "a-"], ["b-"]),
    (r"[\-\]\[\\]+", ["-][\\"], ["a"]),
    (r"[+\-]?\d+", ["+12", "-7", "٣"], ["+", "1.5"]),
    (r"\s", [" ", "\t", "\n", "\r"], ["\u00a0", "\f", "x"]),
    (r"\S\S", ["ab", "\u00a0x"], ["a "]),
    (r"\w+", ["aé3", "$", "+"], ["a b", "a-b", "_a", "."]),
    (r"\W", ["-", " ", "_"], ["a", "$"]),
    (r"\D", ["a"], ["5", "٣"]),
    (r"\i\c*", ["a-b.c", "_x", "é1", ":a"], ["1a", "-a", "a b"]),
    (r"[\i-[:]][\c-[:]]*", ["a-1"], ["a:b", ":a"]),
    (r"\I\C", ["1 "], ["a "]),
    (r"\p{L}\p{Nd}", ["é3", "ж٣"], ["33", "éé"]),
    (r"[\p{N}\p{L}]+", ["eth0", "Ⅷ"], ["a-b", ""]),
    (r"\P{L}", ["3"], ["é"]),
    (r"[\P{Lu}]", ["a"], ["A"]),
    (r"\p{Sc}", ["€"], ["E"]),
    (r"\p{IsBasicLatin}*", ["abc~"], ["é"]),
    (r"\P{IsBasicLatin}", ["é"], ["a"]),
    (r"\n\r\t", ["\n\r\t"], ["nrt"]),
    (r"\.\*\?\(\)\{\}\|\^", [".*?(){}|^"], ["a"]),
    ("#a b~&", ["#a b~&"], ["#ab~&"]),
    (r"(([a-z]+\.)*[a-z]+)?", ["", "a.b"], ["a.", ".a"]),
    ("[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*", ["0a:FF"], ["0a:", "0a:F"]),
]
FAULTS = [
    "(",
    ")",
    "a)",
    "[",
    "[a",
    "[]",
    "[^]",
    "*a",
    "a**",
    "a+?",
    "a{",
    "a{x}",
    "a{2",
    "[z-a]",
    "[a-\\d]",
    "\\",
    "\\q",
]
FAULTS += ["\\p{Xx}", "\\p{IsNowhere}", "\\pL", "\\p{", "[a[b]]", "[a-[b]c]", "]", "}", "|*", "(?:a)", "(?=a)", "\\1"]
FAULTS += ["(" * 200 + ")" * 200]


@pytest.mark.parametrize(("pattern", "yes", "no"), MATCHES)
def test_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    """A pattern matches whole values, with the meaning XML Schema gives its signs."""
    match = compile_pattern(pattern).fullmatch

    assert [text for text in yes if not match(text)] == []
    assert [text for text in no if match(text)] == []


@pytest.mark.parametrize("pattern", FAULTS)
def test_faults(pattern: str) -> None:
    """What is no regular expression of XML Schema is refused, not taken as Python's."""
    with pytest.raises(PatternFault):
        compile_pattern(pattern)


@cache
def oracle(pattern: str) -> etree.XMLSchema:
    """libxml2's reading of a pattern."""
    return etree.XMLSchema(
        etree.fromstring(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="e"><xs:simpleType>'
            f'<xs:restriction base="xs:string"><xs:pattern value={quoteattr(pattern)}/></xs:restriction>'
            "</xs:simpleType></xs:element></xs:schema>"
        )
    )


# libxml2 follows an older Unicode, so it is asked about ASCII; it has its own idea of \w, and none of [\P{..}]
ASKED = [pattern for pattern, _, _ in MATCHES if r"\w" not in pattern.lower() and r"[\P" not in pattern]


@given(pattern=st.sampled_from(ASKED), text=st.text("abcxyz019-.:^$_{}[]~ AF\n", max_size=5))
def test_libxml2_agrees(pattern: str, text: str) -> None:
    """libxml2 matches the same values."""
    element = etree.Element("e")
    element.text = text

    assert bool(compile_pattern(pattern).fullmatch(text)) == oracle(pattern).validate(element)


@pytest.mark.parametrize("name", ["L", "Lu", "M", "N", "Nd", "P", "Z", "S", "C", "Cc", "Cn", "Co"])
def test_categories_are_those_of_unicode(name: str) -> None:
    """The ranges of a category hold exactly the characters unicodedata puts there."""
    ranges = category(name)
    edges = {edge for low, high in ranges for edge in (low - 1, low, high, high + 1)} & set(range(0x110000))

    inside = {code for code in edges if any(low <= code <= high for low, high in ranges)}
    assert inside == {code for code in edges if unicodedata.category(chr(code)).startswith(name)}
    assert any(unicodedata.category(chr(code)) == "Lo" for code in range(0x30000, 0x32000))
    assert all(
        unicodedata.category(chr(code)) in {"Cn", "Co"} for code in range(0x40000, 0x110000, 97) if code >> 12 != 0xE0
    )


ranges = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))), max_size=6
)


@given(one=ranges, two=ranges)
def test_ranges_are_sets(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    """Union, complement and difference of ranges are those of the sets they stand for."""

    def members(pairs: object) -> set[int]:
        return {code for code in range(70) for low, high in pairs if low <= code <= high}  # type: ignore[attr-defined]

    assert members(union(one)) == members(one)
    assert members(complement(union(one))) == set(range(70)) - members(one)
    assert members(subtract(union(one), union(two))) == members(one) - members(two)
