"""The functions of XPath 1.0 section 4 and RFC 7950 section 10 and the operators of XPath 1.0, as tables."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from eman_netconf.yang.patterns import PatternFault
from eman_netconf.yang.types import (
    BitsType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    LeafrefType,
    UnionType,
    YangType,
)
from eman_netconf.yang.xpath_instance import find_instance
from eman_netconf.yang.xpath_match import matcher
from eman_netconf.yang.xpath_nodes import Evaluation, Ref, Scope, Text, Value, to_boolean
from eman_netconf.yang.xpath_parser import XPathFault

_NUMBER = re.compile(r"\s*-?(?:\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)
_SPACES = re.compile(r"[ \t\r\n]+")


class Returns(StrEnum):
    """The type of a value, which XPath 1.0 always knows beforehand."""

    NODES = "node-set"
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how many arguments, what comes back, and how.

    ``nodes`` names the arguments that must be node-sets; with ``context_default`` the context node stands in for
    an argument left out.
    """

    least: int
    most: int | None
    returns: Returns
    call: Callable[[Evaluation, Scope, Ref, Sequence[Value]], Value]
    nodes: tuple[int, ...] = ()
    context_default: bool = False


# -- conversions (XPath 1.0 sections 4.2 to 4.4) --


def to_string(run: Evaluation, value: Value) -> str:
    """string()."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_text(value)
    return run.string(value[0]) if value else ""


def number_text(value: float) -> str:
    """A number as XPath writes it: no exponent, no point in whole numbers."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def text_number(text: str) -> float:
    """A text as a number, NaN when it is none."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def to_number(run: Evaluation, value: Value) -> float:
    """number()."""
    if isinstance(value, bool | float):
        return float(value)
    return text_number(value if isinstance(value, str) else to_string(run, value))


def _nodes(value: Value) -> list[Ref]:
    assert isinstance(value, list)  # the compiler has checked
    return value


# -- node-sets --


def _count(_run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    return float(len(_nodes(arguments[0])))


def _local_name(_run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    nodes = _nodes(arguments[0])
    return "" if not nodes or nodes[0].parent is None or isinstance(nodes[0], Text) else nodes[0].schema.name


def _namespace_uri(_run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    nodes = _nodes(arguments[0])
    return "" if not nodes or nodes[0].parent is None or isinstance(nodes[0], Text) else nodes[0].schema.namespace


def _sum(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    return math.fsum(text_number(run.string(node)) for node in _nodes(arguments[0]))


def _no_nodes(_run: Evaluation, _scope: Scope, _node: Ref, _arguments: Sequence[Value]) -> list[Ref]:
    return []


def _false(_run: Evaluation, _scope: Scope, _node: Ref, _arguments: Sequence[Value]) -> bool:
    return False


# -- strings --


def _concat(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    return "".join(to_string(run, argument) for argument in arguments)


def _starts_with(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    return to_string(run, arguments[0]).startswith(to_string(run, arguments[1]))


def _contains(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    return to_string(run, arguments[1]) in to_string(run, arguments[0])


def _substring_before(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    before, found, _ = _partition(run, arguments)
    return before if found else ""


def _substring_after(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    _, found, after = _partition(run, arguments)
    return after if found else ""


def _partition(run: Evaluation, arguments: Sequence[Value]) -> tuple[str, bool, str]:
    text, part = to_string(run, arguments[0]), to_string(run, arguments[1])
    at = text.find(part)
    return (text[:at], True, text[at + len(part) :]) if at >= 0 else ("", False, "")


def _substring(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    text = to_string(run, arguments[0])
    start = round_half_up(to_number(run, arguments[1]))
    end = start + round_half_up(to_number(run, arguments[2])) if len(arguments) > 2 else math.inf
    if math.isnan(start) or math.isnan(end):
        return ""
    first = int(min(max(start, 1), len(text) + 1))
    last = int(min(max(end, first), len(text) + 1))
    return text[first - 1 : last - 1]


def _string_length(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    return float(len(to_string(run, arguments[0])))


def _normalize_space(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    return _SPACES.sub(" ", to_string(run, arguments[0])).strip(" ")


def _translate(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    text, old, new = (to_string(run, argument) for argument in arguments)
    table: dict[int, str | None] = {}
    for index, char in enumerate(old):
        table.setdefault(ord(char), new[index] if index < len(new) else None)
    return text.translate(table)


def _to_string(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> str:
    return to_string(run, arguments[0])


# -- booleans and numbers --


def _boolean(_run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    return to_boolean(arguments[0])


def _not(_run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    return not to_boolean(arguments[0])


def _true(_run: Evaluation, _scope: Scope, _node: Ref, _arguments: Sequence[Value]) -> bool:
    return True


def _to_number(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    return to_number(run, arguments[0])


def _floor(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    number = to_number(run, arguments[0])
    return float(math.floor(number)) if math.isfinite(number) else number


def _ceiling(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    number = to_number(run, arguments[0])
    return float(math.ceil(number)) if math.isfinite(number) else number


def _round(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    return round_half_up(to_number(run, arguments[0]))


def round_half_up(number: float) -> float:
    """round(): halves go up, also below zero."""
    return float(math.floor(number + 0.5)) if math.isfinite(number) else number


# -- YANG (RFC 7950 section 10) --


def _current(run: Evaluation, _scope: Scope, _node: Ref, _arguments: Sequence[Value]) -> list[Ref]:
    return [run.current]


def _re_match(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    text, pattern = to_string(run, arguments[0]), to_string(run, arguments[1])
    try:
        return matcher(pattern).matches(text, run.budget.spend)
    except PatternFault as fault:
        raise XPathFault(f"re-match(): {fault}") from fault


def member_types(type_: YangType | None) -> list[YangType]:
    """A type as the list of what its values may be: members of unions, targets' types of leafrefs."""
    if isinstance(type_, UnionType):
        return [plain for member in type_.members for plain in member_types(member)]
    if isinstance(type_, LeafrefType):
        return member_types(type_.referred)
    return [] if type_ is None else [type_]


def holds_identity(type_: YangType | None) -> bool:
    """Whether values of the type may be identities."""
    return any(isinstance(member, IdentityrefType) for member in member_types(type_))


def _derived_from(run: Evaluation, scope: Scope, node: Ref, arguments: Sequence[Value]) -> bool:
    return _derived(run, scope, arguments, or_self=False)


def _derived_from_or_self(run: Evaluation, scope: Scope, node: Ref, arguments: Sequence[Value]) -> bool:
    return _derived(run, scope, arguments, or_self=True)


def _derived(run: Evaluation, scope: Scope, arguments: Sequence[Value], *, or_self: bool) -> bool:
    text = to_string(run, arguments[1])
    base = scope.identity(text)
    if base is None or base not in run.schema.identities:
        base = text  # a client may write module names
    return any(
        isinstance(node.data, str)
        and holds_identity(node.schema.type)
        and run.schema.derived(node.data, base, or_self=or_self)
        for node in _nodes(arguments[0])
    )


def _enum_value(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> float:
    for node in _nodes(arguments[0])[:1]:
        for member in member_types(node.schema.type):
            if isinstance(member, EnumerationType) and node.data in member.enums:
                return float(member.enums[str(node.data)])
    return math.nan


def _bit_is_set(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> bool:
    name = to_string(run, arguments[1])
    for node in _nodes(arguments[0])[:1]:
        if any(isinstance(member, BitsType) for member in member_types(node.schema.type)):
            return isinstance(node.data, str) and name in node.data.split(" ")
    return False


def _deref(run: Evaluation, _scope: Scope, _node: Ref, arguments: Sequence[Value]) -> list[Ref]:
    for node in _nodes(arguments[0])[:1]:
        return referred_nodes(run, node, node.schema.type)
    return []


def referred_nodes(run: Evaluation, node: Ref, type_: YangType | None) -> list[Ref]:
    """The nodes that the value of a leafref or instance-identifier leaf refers to."""
    if not isinstance(node.data, str):
        return []
    if isinstance(type_, UnionType):
        for member in type_.members:
            found = referred_nodes(run, node, member)
            if found:
                return found
    elif isinstance(type_, LeafrefType):
        targets = run.program(type_.path, node.schema).run(run.at(node), node)
        return [target for target in _nodes(targets) if target.data == node.data]
    elif isinstance(type_, InstanceIdentifierType):
        found_node = find_instance(run, node, node.data)
        return [found_node] if found_node is not None else []
    return []


_FIRST = (0,)
FUNCTIONS: dict[str, Function] = {
    "count": Function(1, 1, Returns.NUMBER, _count, _FIRST),
    "id": Function(1, 1, Returns.NODES, _no_nodes),  # YANG data has no attributes of type ID
    "local-name": Function(0, 1, Returns.STRING, _local_name, _FIRST, context_default=True),
    "namespace-uri": Function(0, 1, Returns.STRING, _namespace_uri, _FIRST, context_default=True),
    "name": Function(0, 1, Returns.STRING, _local_name, _FIRST, context_default=True),  # we print no prefixes
    "string": Function(0, 1, Returns.STRING, _to_string, context_default=True),
    "concat": Function(2, None, Returns.STRING, _concat),
    "starts-with": Function(2, 2, Returns.BOOLEAN, _starts_with),
    "contains": Function(2, 2, Returns.BOOLEAN, _contains),
    "substring-before": Function(2, 2, Returns.STRING, _substring_before),
    "substring-after": Function(2, 2, Returns.STRING, _substring_after),
    "substring": Function(2, 3, Returns.STRING, _substring),
    "string-length": Function(0, 1, Returns.NUMBER, _string_length, context_default=True),
    "normalize-space": Function(0, 1, Returns.STRING, _normalize_space, context_default=True),
    "translate": Function(3, 3, Returns.STRING, _translate),
    "boolean": Function(1, 1, Returns.BOOLEAN, _boolean),
    "not": Function(1, 1, Returns.BOOLEAN, _not),
    "true": Function(0, 0, Returns.BOOLEAN, _true),
    "false": Function(0, 0, Returns.BOOLEAN, _false),
    "lang": Function(1, 1, Returns.BOOLEAN, _false),  # YANG data has no xml:lang
    "number": Function(0, 1, Returns.NUMBER, _to_number, context_default=True),
    "sum": Function(1, 1, Returns.NUMBER, _sum, _FIRST),
    "floor": Function(1, 1, Returns.NUMBER, _floor),
    "ceiling": Function(1, 1, Returns.NUMBER, _ceiling),
    "round": Function(1, 1, Returns.NUMBER, _round),
    "current": Function(0, 0, Returns.NODES, _current),
    "re-match": Function(2, 2, Returns.BOOLEAN, _re_match),
    "deref": Function(1, 1, Returns.NODES, _deref, _FIRST),
    "derived-from": Function(2, 2, Returns.BOOLEAN, _derived_from, _FIRST),
    "derived-from-or-self": Function(2, 2, Returns.BOOLEAN, _derived_from_or_self, _FIRST),
    "enum-value": Function(1, 1, Returns.NUMBER, _enum_value, _FIRST),
    "bit-is-set": Function(2, 2, Returns.BOOLEAN, _bit_is_set, _FIRST),
}


# -- comparisons and arithmetic (XPath 1.0 sections 3.4 and 3.5) --

_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def compare(run: Evaluation, name: str, left: Value, right: Value, identity: str | None) -> bool:
    """``identity`` is what a literal on one side means beside an identityref on the other."""
    relation = _RELATIONS[name]
    if isinstance(left, bool) or isinstance(right, bool):
        return relation(float(to_boolean(left)), float(to_boolean(right)))
    if isinstance(left, list) and isinstance(right, list):
        return _compare_nodes(run, name, left, right)
    if isinstance(right, list):
        left, right, relation = right, left, _RELATIONS[_MIRRORED[name]]
    equality = name in ("=", "!=")
    if isinstance(left, list):
        if isinstance(right, str) and equality:
            wanted = name == "="
            return any(_equals(run, node, right, identity) is wanted for node in left)
        number = to_number(run, right)
        return any(relation(text_number(run.string(node)), number) for node in left)
    if equality and isinstance(left, str) and isinstance(right, str):
        return (left == right) is (name == "=")
    return relation(to_number(run, left), to_number(run, right))


def _equals(run: Evaluation, node: Ref, text: str, identity: str | None) -> bool:
    value = run.string(node)
    return value == text or (value == identity and holds_identity(node.schema.type))


def _compare_nodes(run: Evaluation, name: str, left: list[Ref], right: list[Ref]) -> bool:
    """Whether some pair compares; by sets and extremes, as pairs are too many."""
    lefts = {run.string(node) for node in left}
    rights = {run.string(node) for node in right}
    if name == "=":
        return not lefts.isdisjoint(rights)
    if name == "!=":
        return bool(lefts and rights) and len(lefts | rights) > 1
    left_numbers = [number for number in map(text_number, lefts) if not math.isnan(number)]
    right_numbers = [number for number in map(text_number, rights) if not math.isnan(number)]
    if not left_numbers or not right_numbers:
        return False
    if name in ("<", "<="):
        return _RELATIONS[name](min(left_numbers), max(right_numbers))
    return _RELATIONS[name](max(left_numbers), min(right_numbers))


def _divide(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _modulo(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "div": _divide,
    "mod": _modulo,
}
