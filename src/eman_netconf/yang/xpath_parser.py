"""XPath 1.0 text to a syntax tree; knows no schema and no data (W3C XPath 1.0 section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MAX_LENGTH = 65_536  # characters; a filter comes from anybody who may log in
MAX_DEPTH = 20  # brackets inside each other: parser, compiler and evaluator recurse only there


class XPathFault(Exception):
    """An expression that cannot be used; ``position`` is the offset in its text where the fault was seen."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.message = message
        self.position = position


class Axis(StrEnum):
    """The thirteen axes; attribute and namespace exist and are always empty on YANG data."""

    CHILD = "child"
    PARENT = "parent"
    SELF = "self"
    DESCENDANT = "descendant"
    DESCENDANT_OR_SELF = "descendant-or-self"
    ANCESTOR = "ancestor"
    ANCESTOR_OR_SELF = "ancestor-or-self"
    FOLLOWING = "following"
    FOLLOWING_SIBLING = "following-sibling"
    PRECEDING = "preceding"
    PRECEDING_SIBLING = "preceding-sibling"
    ATTRIBUTE = "attribute"
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class NameTest:
    """``prefix:name``, ``name``, ``prefix:*`` or ``*``; ``name`` is None for the star."""

    prefix: str | None
    name: str | None
    position: int


@dataclass(frozen=True, slots=True)
class KindTest:
    """``node()``, ``text()``, ``comment()`` or ``processing-instruction()``."""

    kind: str


@dataclass(frozen=True, slots=True)
class StepSyntax:
    """One step of a location path."""

    axis: Axis
    test: NameTest | KindTest
    predicates: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A string in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number; XPath knows no signed literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``name`` as written."""

    name: str
    arguments: tuple[Syntax, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Root:
    """The root of the accessible tree, the start of an absolute path."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A primary expression with predicates: ``current()[1]``."""

    primary: Syntax
    predicates: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class LocationPath:
    """Steps from ``start``; None starts at the context node."""

    start: Syntax | None
    steps: tuple[StepSyntax, ...]


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    operand: Syntax


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, from left to right: ``a + b - c``. Flat, so that length is no depth."""

    first: Syntax
    rest: tuple[tuple[str, Syntax], ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """All operands of ``or``, ``and`` or ``|`` at one level."""

    operator: str
    operands: tuple[Syntax, ...]


Syntax = Literal | Number | Call | Root | Filter | LocationPath | Negate | Chain | Junction

_NAME = r"[^\W\d][\w.\-]*"
_TOKENS = re.compile(
    rf"""\s*(?:
      (?P<literal>"[^"]*"|'[^']*')
    | (?P<number>\d+(?:\.\d*)?|\.\d+)
    | (?P<name>{_NAME}(?::(?!:)(?:{_NAME}|\*))?)
    | (?P<symbol>::|\.\.|//|!=|<=|>=|[()\[\].@,/|+\-=<>*$])
    )""",
    re.VERBOSE,
)
_OPERATOR_NAMES = frozenset(("and", "or", "mod", "div"))
_OPERATORS = frozenset(("and", "or", "mod", "div", "*", "|", "+", "-", "=", "!=", "<", "<=", ">", ">="))
_BEFORE_OPERAND = frozenset(("@", "::", "(", "[", ",", "/", "//"))  # after these a star or "and" is a name
_LEVELS = (  # from the tightest; unary minus stands between the first and the second
    frozenset(("|",)),
    frozenset(("*", "div", "mod")),
    frozenset(("+", "-")),
    frozenset(("<", "<=", ">", ">=")),
    frozenset(("=", "!=")),
    frozenset(("and",)),
    frozenset(("or",)),
)
_NODE_TYPES = frozenset(("node", "text", "comment", "processing-instruction"))


class _Token(NamedTuple):
    kind: str  # literal, number, name, symbol, operator, end
    text: str
    position: int


def _tokenize(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    offset = 0
    end = len(text.rstrip())
    while offset < end:
        found = _TOKENS.match(text, offset)
        if found is None:
            at = offset + len(text[offset:]) - len(text[offset:].lstrip())
            what = "a string without its closing quote" if text[at] in "\"'" else f"unexpected {text[at]!r}"
            raise XPathFault(what, at)
        kind = str(found.lastgroup)
        word = found.group(kind)
        previous = tokens[-1] if tokens else None
        after_operand = previous is not None and not (
            previous.kind == "operator" or (previous.kind == "symbol" and previous.text in _BEFORE_OPERAND)
        )
        if (word in _OPERATOR_NAMES or word == "*") and kind != "literal":
            kind = "operator" if after_operand else kind
        elif kind == "symbol" and word in _OPERATORS:
            kind = "operator"
        tokens.append(_Token(kind, word, found.start(str(found.lastgroup))))
        offset = found.end()
    tokens.append(_Token("end", "the end", len(text)))
    return tokens


class _Parser:
    """Recursive descent; recursion happens only at brackets and is bounded there."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise XPathFault(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
        self._tokens = _tokenize(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> Syntax:
        syntax = self._expression()
        token = self._tokens[self._next]
        if token.kind != "end":
            raise XPathFault(f"unexpected {token.text!r}", token.position)
        return syntax

    # -- tokens --

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _is(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token.text == text and token.kind in ("symbol", "operator")

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._next += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            token = self._peek()
            raise XPathFault(f"expected {text!r} before {token.text!r}", token.position)

    # -- grammar --

    def _expression(self) -> Syntax:
        """Operands and operators in a row, then joined level by level: long chains need no recursion."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise XPathFault(f"more than {MAX_DEPTH} brackets inside each other", self._peek().position)
        minuses: list[int] = []
        operands: list[Syntax] = []
        operators: list[_Token] = []
        while True:
            count = 0
            while self._accept("-"):
                count += 1
            if count and operators and operators[-1].text == "|":
                raise XPathFault("a union joins node-sets, not a negated value", self._peek().position)
            minuses.append(count)
            operands.append(self._path())
            if self._peek().kind != "operator":
                break
            operators.append(self._take())
        self._depth -= 1
        return _join(operands, [token.text for token in operators], minuses)

    def _path(self) -> Syntax:
        start: Syntax | None = None
        steps: list[StepSyntax] = []
        if self._is("/"):
            self._take()
            start = Root()
            if not self._starts_step():
                return LocationPath(start, ())
        elif self._is("//"):
            start = Root()  # the steps below take the double slash
        elif self._starts_primary():
            start = self._filter()
            if not (self._is("/") or self._is("//")):
                return start
            self._accept("/")
        while True:
            if self._accept("//"):
                steps.append(StepSyntax(Axis.DESCENDANT_OR_SELF, KindTest("node"), ()))
            steps.append(self._step())
            if not (self._is("//") or self._accept("/")):
                return LocationPath(start, tuple(steps))

    def _starts_step(self) -> bool:
        token = self._peek()
        return token.kind == "name" or (token.kind == "symbol" and token.text in (".", "..", "@", "*"))

    def _starts_primary(self) -> bool:
        token = self._peek()
        if token.kind in ("literal", "number") or self._is("(") or self._is("$"):
            return True
        return token.kind == "name" and self._is("(", 1) and token.text not in _NODE_TYPES

    def _filter(self) -> Syntax:
        token = self._take()
        primary: Syntax
        if token.kind == "literal":
            primary = Literal(token.text[1:-1])
        elif token.kind == "number":
            primary = Number(float(token.text))
        elif token.text == "(":
            primary = self._expression()
            self._expect(")")
        elif token.text == "$":
            raise XPathFault("there are no variables here", token.position)
        else:
            primary = Call(token.text, self._arguments(), token.position)
        predicates = self._predicates()
        return Filter(primary, predicates) if predicates else primary

    def _arguments(self) -> tuple[Syntax, ...]:
        self._expect("(")
        if self._accept(")"):
            return ()
        arguments = [self._expression()]
        while self._accept(","):
            arguments.append(self._expression())
        self._expect(")")
        return tuple(arguments)

    def _predicates(self) -> tuple[Syntax, ...]:
        predicates: list[Syntax] = []
        while self._accept("["):
            predicates.append(self._expression())
            self._expect("]")
        return tuple(predicates)

    def _step(self) -> StepSyntax:
        if self._accept("."):
            return StepSyntax(Axis.SELF, KindTest("node"), ())
        if self._accept(".."):
            return StepSyntax(Axis.PARENT, KindTest("node"), ())
        axis = Axis.CHILD
        if self._accept("@"):
            axis = Axis.ATTRIBUTE
        elif self._is("::", 1):
            token = self._take()
            self._take()
            try:
                axis = Axis(token.text)
            except ValueError:
                raise XPathFault(f"unknown axis {token.text!r}", token.position) from None
        return StepSyntax(axis, self._test(), self._predicates())

    def _test(self) -> NameTest | KindTest:
        token = self._take()
        if token.text == "*" and token.kind == "symbol":
            return NameTest(None, None, token.position)
        if token.kind != "name":
            raise XPathFault(f"expected a node name before {token.text!r}", token.position)
        if self._is("("):
            if token.text not in _NODE_TYPES:
                raise XPathFault(f"{token.text}() cannot be a step of a path", token.position)
            self._take()
            if token.text == "processing-instruction" and self._peek().kind == "literal":
                self._take()
            self._expect(")")
            return KindTest(token.text)
        prefix, colon, name = token.text.rpartition(":")
        return NameTest(prefix if colon else None, None if name == "*" else name, token.position)


def _join(operands: list[Syntax], operators: list[str], minuses: list[int]) -> Syntax:
    for number, level in enumerate(_LEVELS):
        if any(operator in level for operator in operators):
            operands, operators, minuses = _join_level(level, operands, operators, minuses)
        if number == 0:
            operands = [
                _negated(operand, count) if count else operand for operand, count in zip(operands, minuses, strict=True)
            ]
            minuses = [0] * len(operands)
    return operands[0]


def _negated(operand: Syntax, count: int) -> Syntax:
    # an even number of minuses still turns the value into a number
    return Negate(operand) if count % 2 else Negate(Negate(operand))


def _join_level(
    level: frozenset[str], operands: list[Syntax], operators: list[str], minuses: list[int]
) -> tuple[list[Syntax], list[str], list[int]]:
    """Join every run of operands that stand between operators of this level."""
    joined: list[Syntax] = []
    kept: list[str] = []
    signs: list[int] = []
    run: list[Syntax] = [operands[0]]
    between: list[str] = []
    sign = minuses[0]
    for operator, operand, minus in zip(operators, operands[1:], minuses[1:], strict=True):
        if operator in level:
            run.append(operand)
            between.append(operator)
            continue
        joined.append(_one(run, between))
        signs.append(sign)
        kept.append(operator)
        run, between, sign = [operand], [], minus
    joined.append(_one(run, between))
    signs.append(sign)
    return joined, kept, signs


def _one(run: list[Syntax], between: list[str]) -> Syntax:
    if not between:
        return run[0]
    if between[0] in ("or", "and", "|"):
        return Junction(between[0], tuple(run))
    return Chain(run[0], tuple(zip(between, run[1:], strict=True)))


def parse(text: str) -> Syntax:
    """The syntax tree of an XPath 1.0 expression. Raises XPathFault with the place of the fault."""
    return _Parser(text).parse()
