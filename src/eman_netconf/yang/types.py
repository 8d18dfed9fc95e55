"""The built-in types of RFC 7950 section 9: lexical form to canonical form, restrictions, and back to XML.

A canonical value is a ``str``. What YANG's canonical form leaves to XML prefixes (identityref,
instance-identifier, XPath texts) is kept in the ``module:name`` form of RFC 7951, so that a value means the
same wherever it stands.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from sys import intern

from eman_netconf.errors import ErrorTag
from eman_netconf.yang.bounds import INTEGER_BOUNDS, Bounds, decimal_bounds
from eman_netconf.yang.patterns import compile_pattern
from eman_netconf.yang.schema import Constraint, Identity, Kind, Module, SchemaNode

Resolve = Callable[[str | None], str | None]
"""The namespace a prefix stands for; None asks for the default namespace, None answers that there is none."""

NO_DECLARATIONS: Mapping[str, str] = {}

_REPEATING = 32  # characters up to which a value is likely to be found in many entries
_SHOWN = 64  # so many characters of a bad value are shown back
_WHITE = " \t\r\n"
# YANG strings hold XML characters except the noncharacters (RFC 7950 section 14, yang-char)
_NOT_YANG = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
# leading zeros apart, in one way only: no long row of zeros can make matching slow
_INTEGER = re.compile(r"([+-]?)0*([1-9][0-9]*|0)")
_DECIMAL = re.compile(r"([+-]?)0*([1-9][0-9]*|0)(?:\.([0-9]+))?")
_DATE_AND_TIME = "ietf-yang-types:date-and-time"
_AS_DATE_AND_TIME = "must be a date and time with its zone, as 2026-06-21T12:00:00Z"
_SECRET_TYPES = ("eman-types:secret", "iana-crypt-hash:crypt-hash")


@lru_cache(4096)
def _shared(text: str) -> str:
    return text


def shared(value: str) -> str:
    """An equal string, the same one for those that repeat: ten thousand entries hold one "ac" and one "production"."""
    return _shared(value) if len(value) <= _REPEATING else value


class TypeFault(ValueError):
    """A value that its type does not allow. The message continues "<name> ...": "must be 1..100, got 101"."""

    tag = ErrorTag.INVALID_VALUE

    def __init__(self, message: str, app_tag: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.app_tag = app_tag


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern restriction, or with ``invert`` a pattern that must not match."""

    text: str
    invert: bool = False
    message: str | None = None
    app_tag: str | None = None


class YangType:
    """A type with all its restrictions; one subclass for each built-in type."""

    base: str = ""
    #: the canonical value needs no XML escaping
    plain = False
    #: the lexical value may hold prefixes, so that parse() needs a real resolve
    prefixed = False

    def __init__(self, typedefs: Sequence[str] = ()) -> None:
        #: the typedefs it came through, outermost first, as ``module:name``
        self.typedefs = tuple(typedefs)
        self.secret = any(name in _SECRET_TYPES for name in self.typedefs)

    def parse(self, text: str, resolve: Resolve) -> str:
        """The canonical value of ``text`` as it stands in XML. Raises TypeFault."""
        raise NotImplementedError

    def parse_canonical(self, text: str) -> str:
        """As parse, for text whose names are in ``module:name`` form already."""
        return self.parse(text, _no_prefixes)

    def parse_default(self, text: str, resolve: Resolve) -> str:
        """As parse, for a default in a module, where numbers may be octal or hexadecimal (section 9.2.1)."""
        return self.parse(text, resolve)

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        """The text of a canonical value, not escaped, and the xmlns declarations (prefix to namespace) it needs."""
        return value, NO_DECLARATIONS

    def fault(self, expected: str, text: str, restriction: Bounds | Pattern | None = None) -> TypeFault:
        """A TypeFault that says what was expected and, unless it is secret, what came."""
        app_tag = None
        if restriction is not None:
            app_tag = restriction.app_tag
            if restriction.message:
                expected = f"is refused: {restriction.message}"
        return TypeFault(expected if self.secret else f"{expected}, got {shown(text)}", app_tag)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join((*self.typedefs, self.base))}>"


def shown(text: str) -> str:
    """A value as it is shown in a message: numbers bare, texts quoted, long ones cut."""
    if len(text) > _SHOWN:
        return f"'{text[:_SHOWN]}…' ({len(text)} characters)"
    return text if _DECIMAL.fullmatch(text) else f"'{text}'"


def _no_prefixes(_prefix: str | None) -> str | None:
    return None


class StringType(YangType):
    """Section 9.4: any text, kept as it is."""

    base = "string"

    def __init__(
        self, typedefs: Sequence[str] = (), length: Bounds | None = None, patterns: Sequence[Pattern] = ()
    ) -> None:
        super().__init__(typedefs)
        self.length = length
        self.patterns = tuple(patterns)
        self._matchers = tuple((compile_pattern(pattern.text).fullmatch, pattern) for pattern in patterns)
        self._dated = _DATE_AND_TIME in self.typedefs

    def parse(self, text: str, resolve: Resolve) -> str:
        length = self.length
        if length is not None and not length.allow(len(text)):
            raise self.fault(f"must be {length.text} characters long and has {len(text)}", text, length)
        for match, pattern in self._matchers:
            if (match(text) is None) is not pattern.invert:
                verb = "must not match" if pattern.invert else "must match"
                expected = _AS_DATE_AND_TIME if self._dated else f"{verb} the pattern {pattern.text}"
                raise self.fault(expected, text, pattern)
        if not (text.isascii() and text.isprintable()):
            found = _NOT_YANG.search(text)
            if found:
                raise self.fault(f"must not contain the character U+{ord(found.group()):04X}", text)
        if self._dated and not _happens(text):
            raise self.fault("must be a date and time that there is", text)
        return text


def _happens(text: str) -> bool:
    """Whether a date-and-time names an instant (RFC 3339 section 5.6); its pattern alone has a 45th day of month 13."""
    try:
        datetime.fromisoformat(text.replace(":60", ":59"))  # a leap second
    except ValueError:
        return False
    return True


class BinaryType(YangType):
    """Section 9.8: base64, canonical without white space; length counts octets."""

    base = "binary"
    plain = True

    def __init__(self, typedefs: Sequence[str] = (), length: Bounds | None = None) -> None:
        super().__init__(typedefs)
        self.length = length

    def parse(self, text: str, resolve: Resolve) -> str:
        try:
            octets = b64decode("".join(text.split()), validate=True)
        except (Base64Error, ValueError):
            raise self.fault("must be base64", text) from None
        if self.length is not None and not self.length.allow(len(octets)):
            raise self.fault(f"must be {self.length.text} octets long and has {len(octets)}", text, self.length)
        return b64encode(octets).decode()


class IntegerType(YangType):
    """Section 9.2: int8 to uint64."""

    plain = True

    def __init__(self, base: str, typedefs: Sequence[str] = (), bounds: Bounds | None = None) -> None:
        super().__init__(typedefs)
        self.base = base
        self.bounds = bounds or INTEGER_BOUNDS[base]

    def parse(self, text: str, resolve: Resolve) -> str:
        found = _INTEGER.fullmatch(text.strip(_WHITE))
        if not found:
            raise self.fault("must be a whole number", text)
        sign, digits = found.groups()
        canonical = f"-{digits}" if sign == "-" and digits != "0" else digits
        # more digits than any type has cannot be allowed, and are not worth a conversion
        if len(digits) > 20 or not self.bounds.allow(int(canonical)):
            raise self.fault(f"must be {self.bounds.text}", canonical, self.bounds)
        return canonical

    def parse_default(self, text: str, resolve: Resolve) -> str:
        digits = text.strip(_WHITE).lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            sign = "-" if "-" in text else ""
            try:
                text = sign + str(int(digits, 16) if digits[1] in "xX" else int(digits, 8))
            except ValueError:
                raise self.fault("must be a whole number", text) from None
        return self.parse(text, resolve)


class Decimal64Type(YangType):
    """Section 9.3: canonical with at least one digit on both sides of the point and no other zeros."""

    base = "decimal64"
    plain = True

    def __init__(self, fraction_digits: int, typedefs: Sequence[str] = (), bounds: Bounds | None = None) -> None:
        super().__init__(typedefs)
        self.fraction_digits = fraction_digits
        self.bounds = bounds or decimal_bounds(fraction_digits)

    def parse(self, text: str, resolve: Resolve) -> str:
        found = _DECIMAL.fullmatch(text.strip(_WHITE))
        if not found:
            raise self.fault("must be a decimal number", text)
        sign, whole, fraction = found.groups()
        fraction = fraction.rstrip("0") if fraction else ""
        digits = self.fraction_digits
        if len(fraction) > digits:
            raise self.fault(f"must have at most {digits} digits after the point", text)
        canonical = f"{whole}.{fraction or '0'}"
        if sign == "-" and canonical != "0.0":
            canonical = f"-{canonical}"
        if len(whole) > 20 or not self.bounds.allow(int(f"{sign}{whole}{fraction.ljust(digits, '0')}")):
            raise self.fault(f"must be {self.bounds.text}", canonical, self.bounds)
        return canonical


class BooleanType(YangType):
    """Section 9.5."""

    base = "boolean"
    plain = True

    def parse(self, text: str, resolve: Resolve) -> str:
        value = text.strip(_WHITE)
        if value not in {"true", "false"}:
            raise self.fault("must be true or false", text)
        return value


class EnumerationType(YangType):
    """Section 9.6: ``enums`` maps the names in force to their values."""

    base = "enumeration"

    def __init__(self, enums: Mapping[str, int], typedefs: Sequence[str] = ()) -> None:
        super().__init__(typedefs)
        self.enums = dict(enums)
        self._names = {name: name for name in enums}  # thousands of leafs share the few there are

    def parse(self, text: str, resolve: Resolve) -> str:
        name = self._names.get(text) or self._names.get(text.strip(_WHITE))
        if name is None:
            raise self.fault(f"must be {_one_of(self.enums)}", text)
        return name


class BitsType(YangType):
    """Section 9.7: ``bits`` maps the names in force to their positions; canonical in the order of positions."""

    base = "bits"
    plain = True

    def __init__(self, bits: Mapping[str, int], typedefs: Sequence[str] = ()) -> None:
        super().__init__(typedefs)
        self.bits = dict(bits)

    def parse(self, text: str, resolve: Resolve) -> str:
        names = text.split()
        for name in names:
            if name not in self.bits:
                raise self.fault(f"must be made of {', '.join(self.bits)}", name)
        if len(set(names)) < len(names):
            raise self.fault("must not name a bit twice", text)
        return " ".join(sorted(names, key=self.bits.__getitem__))


class EmptyType(YangType):
    """Section 9.11: no value; white space of a pretty-printer is forgiven."""

    base = "empty"
    plain = True

    def parse(self, text: str, resolve: Resolve) -> str:
        if text.strip(_WHITE):
            raise self.fault("must be empty", text)
        return ""


class IdentityrefType(YangType):
    """Section 9.10: ``values`` are the identities that may stand here, those derived from all ``bases``."""

    base = "identityref"
    prefixed = True
    plain = True

    def __init__(
        self,
        bases: Sequence[str],
        identities: Iterable[Identity],
        by_namespace: Mapping[str, Module],
        typedefs: Sequence[str] = (),
    ) -> None:
        super().__init__(typedefs)
        self.bases = tuple(bases)
        self.values: dict[str, Identity] = {
            identity.name: identity
            for identity in identities
            if identity.module.implemented and identity.bases.issuperset(bases)
        }
        self._by_namespace = by_namespace

    def parse(self, text: str, resolve: Resolve) -> str:
        prefix, _, name = text.strip(_WHITE).rpartition(":")
        namespace = resolve(prefix or None)
        module = self._by_namespace.get(namespace) if namespace else None
        if module is None and (prefix or namespace):
            unknown = f"the namespace {namespace}" if namespace else f"the prefix {prefix}"
            raise self.fault(f"must be {self._expected(name)}, and {unknown} is not known", text)
        value = f"{module.name}:{name}" if module else name
        if value not in self.values:
            raise self.fault(f"must be {self._expected(name)}", value)
        return intern(value)  # thousands of leafs share the few there are

    def parse_canonical(self, text: str) -> str:
        if text not in self.values:
            raise self.fault(f"must be {self._expected()}", text)
        return text

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        identity = self.values.get(value)
        if identity is None:
            return value, NO_DECLARATIONS
        module = identity.module
        return f"{module.prefix}:{value.rpartition(':')[2]}", {module.prefix: module.namespace}

    def _expected(self, name: str = "") -> str:
        """What may stand here; where only the namespace is wrong, the identity of that ``name`` with its own."""
        meant = next((value for value in self.values if value.rpartition(":")[2] == name), None)
        example = ""
        if meant is not None:
            module = self.values[meant].module
            example = f', as {module.prefix}:{name} with xmlns:{module.prefix}="{module.namespace}"'
        return f"an identity derived from {' and '.join(self.bases)}{example}"


class UnionType(YangType):
    """Section 9.12: the first member that allows a value decides its canonical form."""

    base = "union"

    def __init__(self, members: Sequence[YangType], typedefs: Sequence[str] = ()) -> None:
        super().__init__(typedefs)
        self.members = tuple(members)
        self.settle()

    def settle(self) -> None:
        """Called again by the compiler when the leafrefs among the members are settled."""
        self.prefixed = any(member.prefixed for member in self.members)
        self.plain = all(member.plain for member in self.members)

    def parse(self, text: str, resolve: Resolve) -> str:
        return self._first(text, lambda member: member.parse(text, resolve))

    def parse_canonical(self, text: str) -> str:
        return self._first(text, lambda member: member.parse_canonical(text))

    def parse_default(self, text: str, resolve: Resolve) -> str:
        return self._first(text, lambda member: member.parse_default(text, resolve))

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        if self.prefixed:
            for member in self.members:
                try:
                    if member.parse_canonical(value) == value:
                        return member.xml(value)
                except TypeFault:
                    continue
        return value, NO_DECLARATIONS

    def _first(self, text: str, parse: Callable[[YangType], str]) -> str:
        faults: list[TypeFault] = []
        for member in self.members:
            try:
                return parse(member)
            except TypeFault as fault:
                faults.append(fault)
        reasons = dict.fromkeys(fault.message.removesuffix(f", got {shown(text)}") for fault in faults)
        raise self.fault(" or ".join(reasons), text)


_UNSETTLED = SchemaNode(Kind.LEAF, "", Module("", None, "", "", (), False, Path()), None)


class LeafrefType(YangType):
    """Section 9.9: a value of the leaf that ``path`` leads to; its existence is for validation to tell."""

    base = "leafref"

    def __init__(self, path: Constraint, require_instance: bool, typedefs: Sequence[str] = ()) -> None:
        super().__init__(typedefs)
        self.path = path
        self.require_instance = require_instance
        self.target: SchemaNode = _UNSETTLED  # set by the compiler once all nodes stand
        self.referred: YangType = self  # the type its values have in the end, never a leafref

    def settle(self, referred: YangType) -> None:
        """Called by the compiler when the target's type is known."""
        self.referred = referred
        self.plain = referred.plain
        self.prefixed = referred.prefixed

    def parse(self, text: str, resolve: Resolve) -> str:
        return self.referred.parse(text, resolve)

    def parse_canonical(self, text: str) -> str:
        return self.referred.parse_canonical(text)

    def parse_default(self, text: str, resolve: Resolve) -> str:
        return self.referred.parse_default(text, resolve)

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        return self.referred.xml(value)


class XPathType(StringType):
    """A string that is an XPath text (ietf-yang-types:xpath1.0 and what is derived from it).

    The text means something only together with the prefixes of its element, so they are changed to module
    names. Evaluate it with ``{module name: namespace}`` as prefixes.
    """

    prefixed = True

    def __init__(self, modules: Mapping[str, Module], by_namespace: Mapping[str, Module], text: StringType) -> None:
        super().__init__(text.typedefs, text.length, text.patterns)
        self._modules = modules
        self._by_namespace = by_namespace

    def parse(self, text: str, resolve: Resolve) -> str:
        def renamed(found: re.Match[str]) -> str:
            prefix = found["prefix"]
            if not prefix:
                return found.group()
            namespace = resolve(prefix)
            module = self._by_namespace.get(namespace) if namespace else None
            if module is None:
                what = f"the namespace {namespace}" if namespace else f"the prefix {prefix}"
                raise self.fault(f"must use known namespaces only, and {what} is not known", text)
            return f"{module.name}:"

        return super().parse(_PREFIXES.sub(renamed, text), resolve)

    def parse_canonical(self, text: str) -> str:
        return self.parse(text, self._namespace)

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        names = {found["prefix"] for found in _PREFIXES.finditer(value) if found["prefix"]}
        return value, {name: self._modules[name].namespace for name in sorted(names) if name in self._modules}

    def _namespace(self, name: str | None) -> str | None:
        module = self._modules.get(name) if name else None
        return module.namespace if module else None


# prefixes of an XPath text; literals are passed over, and axes, which have two colons
_PREFIXES = re.compile(r"""\"[^\"]*\"|'[^']*'|(?<![\w.-])(?P<prefix>[A-Za-z_][\w.-]*):(?=[A-Za-z_*])""")
_STEP = re.compile(r"/\s*(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)\s*")
_PREDICATE = re.compile(
    r"""\[\s*(?:(?P<position>[1-9][0-9]{0,9})
    |(?:(?P<self>\.)|(?:(?P<prefix>[A-Za-z_][\w.-]*):)?(?P<name>[A-Za-z_][\w.-]*))
     \s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'))\s*\]\s*""",
    re.VERBOSE,
)


class InstanceIdentifierType(YangType):
    """Section 9.13. The canonical form is that of RFC 7951 section 6.11: a module name where it changes."""

    base = "instance-identifier"
    prefixed = True

    def __init__(
        self,
        require_instance: bool,
        root: SchemaNode,
        by_namespace: Mapping[str, Module],
        typedefs: Sequence[str] = (),
    ) -> None:
        super().__init__(typedefs)
        self.require_instance = require_instance
        self._root = root
        self._by_namespace = by_namespace

    def parse(self, text: str, resolve: Resolve) -> str:
        return "".join(self._canonical(self._steps(text, resolve)))

    def parse_canonical(self, text: str) -> str:
        return "".join(self._canonical(self._steps(text, None)))

    def xml(self, value: str) -> tuple[str, Mapping[str, str]]:
        declared: dict[str, str] = {}
        parts: list[str] = []
        for node, predicates in self._steps(value, None):
            parts.append(f"/{_declare(node.module, declared)}:{node.name}")
            for key, literal in predicates:
                text = literal
                if isinstance(key, SchemaNode) and key.type is not None and key.type.prefixed:
                    text, more = key.type.xml(literal)
                    declared.update(more)
                name = f"{_declare(key.module, declared)}:{key.name}" if isinstance(key, SchemaNode) else key
                parts.append(f"[{name}={_quoted(text)}]" if name else f"[{text}]")
        return "".join(parts), declared

    def _canonical(self, steps: Iterable[tuple[SchemaNode, list[tuple[SchemaNode | str, str]]]]) -> Iterator[str]:
        module: Module | None = None
        for node, predicates in steps:
            yield f"/{node.name}" if node.module is module else f"/{node.qualified_name}"
            module = node.module
            for key, value in predicates:
                if isinstance(key, SchemaNode):
                    yield f"[{key.name if key.module is module else key.qualified_name}={_quoted(value)}]"
                else:
                    yield f"[.={_quoted(value)}]" if key else f"[{value}]"

    def _steps(self, text: str, resolve: Resolve | None) -> list[tuple[SchemaNode, list[tuple[SchemaNode | str, str]]]]:
        """The nodes on the way, each with its predicates: (key leaf, value), (".", value) or ("", position).

        Without ``resolve`` prefixes are module names and may be left out where the module does not change.
        """
        value = text.strip(_WHITE)
        at = 0
        node = self._root
        steps: list[tuple[SchemaNode, list[tuple[SchemaNode | str, str]]]] = []
        while at < len(value):
            found = _STEP.match(value, at)
            if not found:
                raise self.fault(f"must be a path of nodes with prefixes (position {at + 1})", text)
            at = found.end()
            node = self._child(node, found[1], found[2], resolve, text)
            predicates: list[tuple[SchemaNode | str, str]] = []
            while found := _PREDICATE.match(value, at):
                at = found.end()
                predicates.append(self._predicate(node, found, resolve, text))
            wanted: list[SchemaNode | str] = list(node.keys)
            if node.kind is Kind.LIST and not wanted:
                wanted = [""]
            elif node.kind is Kind.LEAF_LIST:
                wanted = [predicates[0][0] if predicates and not isinstance(predicates[0][0], SchemaNode) else "."]
            given = {key: (key, literal) for key, literal in predicates}
            if len(given) != len(predicates) or set(given) != set(wanted):
                raise self.fault(f"must select one instance of {node.name} by its keys", text)
            steps.append((node, [given[key] for key in wanted]))
        if not steps:
            raise self.fault("must be a path of nodes with prefixes", text)
        return steps

    def _child(self, node: SchemaNode, prefix: str | None, name: str, resolve: Resolve | None, text: str) -> SchemaNode:
        if resolve is not None:
            namespace = resolve(prefix) if prefix else None
        elif prefix:
            namespace = next(
                (module.namespace for module in self._by_namespace.values() if module.name == prefix), None
            )
        else:
            namespace = node.namespace
        child = node.children.get((namespace, name)) if namespace else None
        if child is None:
            place = f"below {node.path}" if node.path else "at the top"
            raise self.fault(f"must lead to a node of the schema, and {prefix or ''}:{name} is not {place}", text)
        return child

    def _predicate(
        self, node: SchemaNode, found: re.Match[str], resolve: Resolve | None, text: str
    ) -> tuple[SchemaNode | str, str]:
        if found["position"]:
            return "", found["position"]
        literal = found["double"] if found["double"] is not None else found["single"]
        leaf = node if found["self"] else self._child(node, found["prefix"], found["name"], resolve, text)
        key = "." if found["self"] else leaf
        if leaf.type is None:
            raise self.fault(f"must compare keys or values only, not {leaf.name}", text)
        return key, leaf.type.parse(literal, resolve) if resolve else leaf.type.parse_canonical(literal)


def _declare(module: Module, declared: dict[str, str]) -> str:
    """The prefix of a module, declared; where another module has taken it, the module's own name."""
    prefix = module.prefix if declared.get(module.prefix, module.namespace) == module.namespace else module.name
    declared[prefix] = module.namespace
    return prefix


def _quoted(value: str) -> str:
    # an instance-identifier has no way to write a value with both kinds of quotes; RFC 7950 leaves that gap
    return f"'{value}'" if "'" not in value else f'"{value}"'


def _one_of(names: Iterable[str]) -> str:
    known = list(names)
    if len(known) > 12:
        return f"one of {', '.join(known[:12])} … ({len(known)} values)"
    return f"one of {', '.join(known)}" if len(known) > 1 else "".join(known)
