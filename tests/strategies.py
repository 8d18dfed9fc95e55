"""Hypothesis strategies: values of a type, and data that a schema allows."""

from __future__ import annotations

import string
from base64 import b64encode
from functools import cache
from typing import Any

from hypothesis import strategies as st

from eman_netconf.yang import types
from eman_netconf.yang.bounds import Bounds
from eman_netconf.yang.schema import Choice, Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Opaque
from eman_netconf.yang.types import TypeFault, YangType

# Hypothesis writes out what a strategy is given: a node is shown by its path, not with all that hangs on it
SchemaNode._repr_pretty_ = lambda self, printer, cycle: printer.text(repr(self))

# what printing and parsing find hardest stands first
TEXT = st.one_of(
    st.sampled_from(["", " ", "&<>\"']]>", "a\r\nb\t", "<!-- x -->", "𝄞é☃", "xmlns:a='b'"]),
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n\r"), max_size=8
    ),
    st.text(string.ascii_letters + string.digits + "-._~", min_size=1, max_size=12),
)
SAMPLES = (
    *("a", "b", "c", "pdu-1", "rack1-pdu2.psu-1", "srv~7", "A_z.0", "eth0", "0", "10", "300", "1.3.6.1.4.1.318", "de"),
    *("2026-11-20", "2026-11-20T12:30:00Z", "1999-12-31T23:59:59.123+14:00", "12:30", "24:00", "EUR"),
    *(
        "00000000-0000-4000-8000-00000000000a",
        "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
        "00:1b:c0:ff:EE:01",
        "0a:ff",
        "80001f8880",
        ":".join(["5f"] * 32),  # of a certificate
    ),
    *(
        "192.0.2.1",
        "198.51.100.255%eth0",
        "2001:db8::1",
        "192.0.2.0/24",
        "2001:db8::/32",
        "fe80::1%2",
        "host.example.org",
        "urn:x:y",
        "http://[::1]/?a=b&c",
    ),
    *("$0$secret", "$6$salt$" + "a" * 86, "$1$salt$" + "b" * 22, "$5$rounds=5000$salt$" + "c" * 43),
    *("$a1$" + "A" * 40, "$aes-256-gcm$AAAA", "*", "ietf-netconf"),
)
OPAQUE = st.sampled_from(
    [b"", b"text &amp; more", b'<a xmlns="urn:any"><b>1</b> tail</a>', b'<p:a xmlns:p="urn:p" xmlns=""/><b xmlns=""/>']
)


@st.composite
def values(draw: st.DrawFn, kind: YangType) -> str:
    """A canonical value of a type (composite, so that it shows as its type and not as what it is made of)."""
    return draw(_values(kind))


@cache
def _values(kind: YangType) -> st.SearchStrategy[str]:
    if isinstance(kind, types.LeafrefType):
        return _values(kind.referred)
    if isinstance(kind, types.UnionType):
        return st.one_of([_values(member) for member in kind.members]).map(_canonical(kind))
    if isinstance(kind, types.IntegerType):
        return _numbers(kind.bounds).map(str)
    if isinstance(kind, types.Decimal64Type):
        digits = kind.fraction_digits
        return _numbers(kind.bounds).map(lambda number: _shifted(number, digits)).map(_canonical(kind))
    if isinstance(kind, types.EnumerationType):
        return st.sampled_from(list(kind.enums))
    if isinstance(kind, types.BitsType):
        return st.lists(st.sampled_from(list(kind.bits)), unique=True).map(" ".join).map(_canonical(kind))
    if isinstance(kind, types.IdentityrefType):
        return st.sampled_from(list(kind.values)) if kind.values else st.nothing()
    if isinstance(kind, types.BooleanType):
        return st.sampled_from(["true", "false"])
    if isinstance(kind, types.EmptyType):
        return st.just("")
    if isinstance(kind, types.BinaryType):
        return st.binary(max_size=6).map(lambda octets: b64encode(octets).decode()).filter(_allowed(kind))
    if isinstance(kind, types.InstanceIdentifierType):
        return st.sampled_from(["/eman-entity:energy-management", "/eman-entity:energy-management/entities"])
    if isinstance(kind, types.XPathType):
        return st.sampled_from(["/eman-entity:energy-management", "count(//eman-entity:entity) > 'a:b'", "/*"])
    assert isinstance(kind, types.StringType), kind
    return _strings(kind)


def _strings(kind: types.StringType) -> st.SearchStrategy[str]:
    """Texts: from samples where patterns rule, since making them up from a pattern takes a hundred times longer."""
    samples = [text for text in SAMPLES if _allowed(kind)(text)]
    if kind.patterns:
        assert samples, f"add a sample for {kind}"
        return st.sampled_from(samples)
    if kind.length is None:
        return TEXT
    low, high = kind.length.intervals[0].low, kind.length.intervals[-1].high
    most = low + 8 if high is None else min(low + 8, high)
    return TEXT.filter(_allowed(kind)) | st.text("abc-é&", min_size=low, max_size=most)


def _numbers(bounds: Bounds) -> st.SearchStrategy[int]:
    return st.one_of([st.integers(part.low, part.high) for part in bounds.intervals])


def _shifted(number: int, digits: int) -> str:
    text = str(abs(number)).rjust(digits + 1, "0")
    return f"{'-' if number < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def _canonical(kind: YangType) -> Any:
    return kind.parse_canonical


def _allowed(kind: YangType) -> Any:
    def allowed(text: str) -> bool:
        try:
            return kind.parse_canonical(text) == text
        except TypeFault:
            return False

    return allowed


@st.composite
def instances(
    draw: st.DrawFn, node: SchemaNode, *, config: bool = False, width: int = 4, entries: int = 3, depth: int = 8
) -> Inner:
    """Data below ``node`` (root, container, list, input, output, notification) that its types and structure allow.

    Keys and mandatory nodes are there, at most one case of each choice, at most ``width`` other children and
    ``entries`` entries of a list; ``config`` leaves state out. Constraints over several nodes (must, when, leafref,
    unique, min-elements) are not looked at.
    """
    able = [child for child in node.children.values() if (child.config or not config) and not child.is_key]
    must = [child for child in able if child.mandatory and child.case is None]
    may = [child for child in able if child not in must] if depth else []
    chosen = must + (draw(st.lists(st.sampled_from(may), unique=True, max_size=width)) if may else [])
    children: dict[SchemaNode, Data] = {}
    for key in node.keys:
        assert key.type is not None
        children[key] = draw(values(key.type))
    cases: dict[Choice, str] = {}
    for child in chosen:
        if not _fits(child, cases):
            continue
        data = draw(_data(child, config, width, entries, depth))
        if data is not None:
            children[child] = data
    return Inner(node, children)


@st.composite
def _data(draw: st.DrawFn, node: SchemaNode, config: bool, width: int, entries: int, depth: int) -> Data | None:
    """Data of any node; None where its type has no values."""
    most = entries if node.max_elements is None else min(entries, node.max_elements)
    if node.type is not None:
        value = _values(node.type)
        if value.is_empty:
            return None
        if node.kind is Kind.LEAF:
            return draw(value)
        return tuple(draw(st.lists(value, unique=node.config, min_size=1, max_size=most)))
    if node.kind in {Kind.ANYDATA, Kind.ANYXML}:
        return Opaque(draw(OPAQUE))
    below = instances(node, config=config, width=width, entries=entries, depth=depth - 1)
    if node.kind is not Kind.LIST:
        return draw(below)
    return _list(node, draw(st.lists(below, min_size=1, max_size=most)))


def _list(node: SchemaNode, found: list[Inner]) -> ListNode:
    if node.keys:
        return ListNode(node, {entry.key(): entry for entry in found})
    return ListNode(node, {(str(place),): entry for place, entry in enumerate(found)})


def _fits(node: SchemaNode, cases: dict[Choice, str]) -> bool:
    """Whether a node fits the cases chosen so far; chooses its own."""
    chain = []
    case = node.case
    while case is not None:
        chain.append(case)
        case = case[0].parent_case
    if any(cases.get(choice, name) != name for choice, name in chain):
        return False
    cases.update(chain)
    return True
