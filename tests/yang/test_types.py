"""The built-in types: what is taken, in which canonical form, and what is said of the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.errors import ErrorTag
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.types import TypeFault, YangType
from tests.programs import program
from tests.yang.conftest import module_text

IDENTITIES = """
  identity animal; identity pet; identity stone;
  identity dog { base animal; base pet; } identity puppy { base dog; } identity wolf { base animal; }
"""
STRING = 'type string { length "2..4"; pattern "[a-z]*"; pattern "x.*" { modifier invert-match; } }'

# (name, type statement, [(lexical, canonical)], [(lexical, part of what is said)])
TYPES: list[tuple[str, str, list[tuple[str, str]], list[tuple[str, str]]]] = [
    (
        "int8",
        "type int8;",
        [("0", "0"), ("-0", "0"), ("+7", "7"), ("007", "7"), ("-128", "-128"), (" 5\n", "5"), ("127", "127")],
        [
            ("128", "must be -128..127, got 128"),
            ("-129", "must be -128..127, got -129"),
            ("", "must be a whole number, got ''"),
            ("0x1F", "must be a whole number"),
            ("1.0", "must be a whole number"),
            ("1e2", "must be a whole number"),
            ("٣", "must be a whole number"),
            ("1 2", "must be a whole number"),
            ("--1", "must be a whole number"),
            ("9" * 5000, "must be -128..127"),
        ],
    ),
    ("uint8", 'type uint8 { range "1..100"; }', [("1", "1"), ("100", "100")], [("101", "must be 1..100, got 101")]),
    (
        "ranges",
        'type int16 { range "min..-5 | 0 | 10..max"; }',
        [("-32768", "-32768"), ("-5", "-5"), ("0", "0"), ("10", "10"), ("32767", "32767")],
        [("-4", "must be at most -5 or 0 or at least 10, got -4"), ("1", "must be"), ("9", "must be")],
    ),
    (
        "narrowed",
        'type percent { range "10..max"; }',
        [("10", "10"), ("100", "100")],
        [("9", "must be at least 10, got 9"), ("101", "must be")],
    ),
    (
        "uint64",
        "type uint64;",
        [("18446744073709551615", "18446744073709551615")],
        [("18446744073709551616", "must be 0..18446744073709551615"), ("-1", "must be")],
    ),
    ("int64", "type int64;", [("-9223372036854775808", "-9223372036854775808")], [("9223372036854775808", "must be")]),
    (
        "decimal64",
        "type decimal64 { fraction-digits 3; }",
        [
            ("1", "1.0"),
            ("1.5", "1.5"),
            ("01.50", "1.5"),
            ("-0.000", "0.0"),
            ("+2.125", "2.125"),
            ("-2.5", "-2.5"),
            ("9223372036854775.807", "9223372036854775.807"),
            ("-9223372036854775.808", "-9223372036854775.808"),
        ],
        [
            ("1.2345", "must have at most 3 digits after the point, got 1.2345"),
            ("9223372036854775.808", "must be -9223372036854775.808..9223372036854775.807"),
            ("1.", "must be a decimal number"),
            (".5", "must be a decimal number"),
            ("1,5", "must be a decimal number"),
            ("1e3", "must be a decimal number"),
            ("NaN", "must be a decimal number"),
            ("", "must be a decimal number"),
        ],
    ),
    (
        "decimal-range",
        'type decimal64 { fraction-digits 2; range "0.1..86400 | 90000.25"; }',
        [("0.1", "0.1"), ("86400", "86400.0"), ("90000.25", "90000.25")],
        [("0.09", "must be 0.1..86400 or 90000.25, got 0.09"), ("90000.26", "must be")],
    ),
    (
        "decimal-18",
        "type decimal64 { fraction-digits 18; }",
        [("9.223372036854775807", "9.223372036854775807"), ("0.000000000000000001", "0.000000000000000001")],
        [("9.223372036854775808", "must be -9.223372036854775808..9.223372036854775807")],
    ),
    (
        "boolean",
        "type boolean;",
        [("true", "true"), ("false", "false")],
        [("1", "must be true or false, got 1"), ("True", "must be true or false, got 'True'"), ("", "must be")],
    ),
    (
        "string",
        "type string;",
        [("", ""), ("  a ", "  a "), ("<&>\"'", "<&>\"'"), ("é\t\n☃𝄞", "é\t\n☃𝄞")],
        [],
    ),
    (
        "restricted-string",
        STRING,
        [("ab", "ab"), ("abcd", "abcd")],
        [
            ("a", "must be 2..4 characters long and has 1, got 'a'"),
            ("abcde", "must be 2..4 characters long and has 5"),
            ("AB", "must match the pattern [a-z]*, got 'AB'"),
            ("xa", "must not match the pattern x.*, got 'xa'"),
            ("ab\n", "must match the pattern"),
        ],
    ),
    (
        "telling-string",
        'type string { pattern "[0-9]+" { error-message "Digits, please."; error-app-tag "digits"; } }',
        [("1", "1")],
        [("a", "is refused: Digits, please., got 'a'")],
    ),
    (
        "enumeration",
        'type enumeration { enum on; enum "off"; enum "in between"; }',
        [("on", "on"), ("off", "off"), ("in between", "in between")],
        [("ON", "must be one of on, off, in between, got 'ON'"), ("", "must be one of")],
    ),
    (
        "narrowed-enumeration",
        "type colour { enum red; enum blue; }",
        [("red", "red"), ("blue", "blue")],
        [("green", "must be one of red, blue, got 'green'")],
    ),
    (
        "bits",
        "type bits { bit c { position 9; } bit a { position 0; } bit b; }",
        [("", ""), ("c a", "a c"), (" b  c\ta\n", "a c b"), ("b", "b")],
        [("d", "must be made of c, a, b, got 'd'"), ("a a", "must not name a bit twice, got 'a a'")],
    ),
    (
        "narrowed-bits",
        "type flags { bit c; bit a; }",
        [("c a", "a c"), ("", "")],
        [("b", "must be made of c, a, got 'b'")],
    ),
    (
        "binary",
        'type binary { length "1..3"; }',
        [("AA==", "AA=="), ("A A\n==", "AA=="), ("QUJD", "QUJD")],
        [("", "must be 1..3 octets long and has 0"), ("QUJDRA==", "has 4"), ("A", "must be base64"), ("ä", "base64")],
    ),
    ("empty", "type empty;", [("", "")], [("x", "must be empty, got 'x'")]),
    (
        "identityref",
        "type identityref { base animal; }",
        [("m:dog", "m:dog"), ("puppy", "m:puppy"), (" m:wolf ", "m:wolf")],
        [
            ("m:animal", "must be an identity derived from m:animal, got 'm:animal'"),
            ("m:stone", "must be an identity derived from m:animal"),
            ("m:cat", "must be an identity"),
            ("zoo:dog", "and the prefix zoo is not known"),
            ("else:dog", 'as m:dog with xmlns:m="urn:m", and the namespace urn:else is not known'),
            ("", "must be an identity"),
            ("a:b:c", "must be an identity"),
        ],
    ),
    (
        "two-bases",
        "type identityref { base animal; base pet; }",
        [("m:dog", "m:dog"), ("m:puppy", "m:puppy")],
        [("m:wolf", "must be an identity derived from m:animal and m:pet, got 'm:wolf'")],
    ),
    (
        "union",
        """type union { type uint8 { range "1..10"; } type identityref { base animal; } type enumeration { enum many; }
           type string { length "3"; } }""",
        [("05", "5"), ("many", "many"), ("m:dog", "m:dog"), ("200", "200"), ("dog", "m:dog"), ("cat", "cat")],
        [("11", "must be 1..10 or"), ("m:cat", "or must be 3 characters long and has 5, got 'm:cat'")],
    ),
    (
        "leafref",
        'type leafref { path "../uint8"; require-instance false; }',
        [("7", "7"), ("007", "7")],
        [("101", "must be 1..100, got 101")],
    ),
    (
        "leafref-chain",
        'type leafref { path "/m:top/m:leafref"; require-instance false; }',
        [("007", "7")],
        [("101", "must be 1..100, got 101")],
    ),
    (
        "instance-identifier",
        "type instance-identifier { require-instance false; }",
        [
            ("/m:top", "/m:top"),
            ("/m:top/m:uint8", "/m:top/uint8"),
            ("/m:top/m:pair[m:k2='x'][m:k1=\"m:dog\"]/m:v", "/m:top/pair[k1='m:dog'][k2='x']/v"),
            (" /m:top / m:pair[ m:k1 = 'dog' ][m:k2='a]b/c'] ", "/m:top/pair[k1='m:dog'][k2='a]b/c']"),
            ("/m:top/m:item[.='007']", "/m:top/item[.='7']"),
            ("/m:log[3]/m:text", "/m:log[3]/text"),
            ("/m:top/m:pair[m:k1='m:dog'][m:k2=\"it's\"]", "/m:top/pair[k1='m:dog'][k2=\"it's\"]"),
        ],
        [
            ("", "must be a path"),
            ("top", "must be a path of nodes with prefixes (position 1)"),
            ("/top", "must lead to a node of the schema, and :top is not at the top"),
            ("/m:top/m:none", "and m:none is not below /m:top"),
            ("/m:top/m:pair", "must select one instance of pair by its keys"),
            ("/m:top/m:pair[m:k1='m:dog']", "must select one instance of pair by its keys"),
            ("/m:top/m:pair[m:k1='m:rock'][m:k2='x']", "must be an identity"),
            ("/m:top/m:pair[m:k2='x'][m:k2='x']", "must select one"),
            ("/m:top[1]", "must select one instance of top"),
            ("/m:top/", "must be a path"),
            ("/m:top[m:uint8='7']", "must select one"),
        ],
    ),
    (
        "xpath",
        "type y:xpath1.0;",
        [
            ("/m:top/m:pair[m:k1 = 'm:dog']", "/m:top/m:pair[m:k1 = 'm:dog']"),
            ("child::other:top/m:*", "child::m:top/m:*"),
            ('count("other:top") or other:a-b.c', 'count("other:top") or m:a-b.c'),
        ],
        [("/zoo:top", "the prefix zoo is not known"), ("/else:top", "the namespace urn:else is not known")],
    ),
]
MODULE = module_text(
    IDENTITIES
    + """
  typedef percent { type uint8 { range "0..100"; } }
  typedef colour { type enumeration { enum red; enum green; enum blue; } }
  typedef flags { type bits { bit a; bit b; bit c; } }
  container top {
    list pair { key "k1 k2"; leaf k1 { type identityref { base animal; } } leaf k2 { type string; }
                leaf v { type string; } }
    leaf-list item { type int8; }
  """
    + "".join(f"leaf {name} {{ {statement} }}\n" for name, statement, _, _ in TYPES)
    + "}  list log { config false; leaf text { type string; } }",
    imports="import ietf-yang-types { prefix y; }",
)
NAMESPACES = {"m": "urn:m", "other": "urn:m", "else": "urn:else", None: "urn:m"}
GOOD = [(name, text, canonical) for name, _, good, _ in TYPES for text, canonical in good]
BAD = [(name, text, said) for name, _, _, bad in TYPES for text, said in bad]


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    """The schema of MODULE."""
    from eman_netconf.yang import sources

    path = tmp_path_factory.mktemp("yang")
    (path / "m.yang").write_text(MODULE, encoding="utf-8")
    return compile_schema(["m"], (path, *sources.standard_models()))


def kind(schema: Schema, name: str) -> YangType:
    found = schema.find(f"/m:top/{name}").type
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "text", "canonical"), GOOD)
def test_canonical_form(types: Schema, name: str, text: str, canonical: str) -> None:
    """A lexical value becomes its canonical form, and that is its own canonical form."""
    parsed = kind(types, name).parse(text, NAMESPACES.get)

    assert parsed == canonical
    assert kind(types, name).parse_canonical(canonical) == canonical


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_refused_value(types: Schema, name: str, text: str, said: str) -> None:
    """A value the type does not allow is refused with words that a person understands."""
    with pytest.raises(TypeFault) as caught:
        kind(types, name).parse(text, NAMESPACES.get)

    assert said in caught.value.message
    assert caught.value.tag is ErrorTag.INVALID_VALUE
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("name", "text", "canonical"), GOOD)
def test_back_to_xml(types: Schema, name: str, text: str, canonical: str) -> None:
    """The XML text of a canonical value, read with the prefixes it declares, is that value."""
    shown, declared = kind(types, name).xml(canonical)

    assert kind(types, name).parse(shown, lambda prefix: declared.get(prefix or "")) == canonical


# where libyang 2.1.30 differs, and why we keep to our way
LIBYANG_DIFFERS = {
    ("binary", "A A\n=="): "RFC 4648 lets a reader take white space, and pretty-printers make it",
    ("identityref", " m:wolf "): "white space round a name is forgiven, as it is round a number",
    ("two-bases", "m:wolf"): "RFC 7950 section 9.10.2 wants an identity derived from all bases",
}


def test_libyang_agrees(tmp_path: Path) -> None:
    """libyang takes and refuses the same values."""
    from eman_netconf.yang import sources

    (tmp_path / "m.yang").write_text(MODULE, encoding="utf-8")
    search = [part for path in sources.standard_models() for part in ("-p", str(path))]
    declared = 'xmlns="urn:m" xmlns:m="urn:m" xmlns:other="urn:m" xmlns:else="urn:else"'
    document = tmp_path / "value.xml"
    for name, text, good in [(*row[:2], True) for row in GOOD] + [(*row[:2], False) for row in BAD]:
        document.write_text(f"<top {declared}><{name}>{escape(text)}</{name}></top>", encoding="utf-8")
        done = subprocess.run(
            [program("yanglint", "libyang2-tools"), *search, "-t", "edit", str(tmp_path / "m.yang"), str(document)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode == 0) == (good != ((name, text) in LIBYANG_DIFFERS)), (name, text, done.stderr)


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-45T99:99:99Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+99:99",
    ],
)
def test_dates_that_there_are_not(schema: Schema, text: str) -> None:
    """A date and time that fits the pattern of its type and yet names no instant is refused."""
    until = schema.find("/eman-entity:energy-management/entities/entity/maintenance/until").type
    assert until is not None
    with pytest.raises(TypeFault, match="must be a date and time that there is"):
        until.parse(text, NAMESPACES.get)


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00", "tomorrow"])
def test_what_is_no_date_and_time(schema: Schema, text: str) -> None:
    """Who writes a date and time in another way is shown how, not the pattern of the type."""
    until = schema.find("/eman-entity:energy-management/entities/entity/maintenance/until").type
    assert until is not None
    with pytest.raises(
        TypeFault, match=f"must be a date and time with its zone, as 2026-06-21T12:00:00Z, got '{text}'"
    ):
        until.parse(text, NAMESPACES.get)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-23:59",
        "2016-12-31T23:59:60Z",
        "2099-01-01T00:00:00.0123456789Z",
    ],
)
def test_odd_dates(schema: Schema, text: str) -> None:
    """The first and the last dates, leap seconds and small fractions are dates like others."""
    until = schema.find("/eman-entity:energy-management/entities/entity/maintenance/until").type
    assert until is not None
    assert until.parse(text, NAMESPACES.get) == text


def test_app_tag_of_a_restriction(types: Schema) -> None:
    """A refused value carries the error-app-tag that stands at the restriction."""
    with pytest.raises(TypeFault) as caught:
        kind(types, "telling-string").parse("a", NAMESPACES.get)

    assert caught.value.app_tag == "digits"


@pytest.mark.parametrize("text", ["\x00", "a\x1b[0m", "\ufffe", "\ud800", "\U0001ffff", "\ufdd0"])
def test_text_that_is_no_yang_string(types: Schema, text: str) -> None:
    """A device's text that XML or YANG cannot hold is refused, naming the character."""
    with pytest.raises(TypeFault, match=r"must not contain the character U\+"):
        kind(types, "string").parse_canonical(text)


def test_secrets_are_not_shown(schema: Schema) -> None:
    """What is wrong with a password is said without the password."""
    password = schema.find("/ietf-system:system/authentication/user/password").type
    assert password is not None
    with pytest.raises(TypeFault) as caught:
        password.parse("hunter2", NAMESPACES.get)

    assert "hunter2" not in caught.value.message


def test_long_values_are_cut(types: Schema) -> None:
    """A message shows the beginning of a long value and how long it is."""
    with pytest.raises(TypeFault) as caught:
        kind(types, "enumeration").parse("x" * 10_000, NAMESPACES.get)

    assert caught.value.message.endswith("x…' (10000 characters)")
    assert len(caught.value.message) < 200


@given(number=st.decimals(-9_000_000_000_000, 9_000_000_000_000, places=3, allow_nan=False))
def test_decimal64_keeps_the_number(types: Schema, number: object) -> None:
    """A decimal64 keeps its value whatever way it is written, and has one way to be written."""
    from decimal import Decimal

    canonical = kind(types, "decimal64").parse(f" {number:+f}", NAMESPACES.get)

    assert Decimal(canonical) == number
    assert kind(types, "decimal64").parse_canonical(canonical) == canonical
    assert canonical == "0.0" or not (canonical.startswith(("00", "+", "-0.0 ")) or canonical[-2:] == "00")


@given(text=st.text())
def test_parsing_twice_changes_nothing(types: Schema, text: str) -> None:
    """Whatever a type takes, its canonical form is taken again and stays as it is."""
    for name, _, _, _ in TYPES:
        try:
            canonical = kind(types, name).parse(text, NAMESPACES.get)
        except TypeFault:
            continue
        assert kind(types, name).parse_canonical(canonical) == canonical
