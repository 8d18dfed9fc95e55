"""What the attributes of an edit's elements say: the operation, and the place in an order that is the user's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from lxml import etree

from eman_netconf.datastore.faults import Faults
from eman_netconf.errors import BASE_NS, YANG_NS, AppTag, ErrorTag
from eman_netconf.yang.annotated import DEFAULT_NS
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Key, Path, Step
from eman_netconf.yang.types import TypeFault

_OPERATION = f"{{{BASE_NS}}}operation"
_INSERT = f"{{{YANG_NS}}}insert"
_KEY = f"{{{YANG_NS}}}key"
_VALUE = f"{{{YANG_NS}}}value"
_DEFAULT = f"{{{DEFAULT_NS}}}default"
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LITERAL = r"""(?:"[^"]*"|'[^']*')"""
# a value with both kinds of quotes can only be written with concat()
_PREDICATE = re.compile(
    rf"""\s*\[\s*([^\]\[=\s'"]+)\s*=\s*({_LITERAL}|concat\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*\))\s*\]"""
)


class Operation(StrEnum):
    """The edit operations; ``none`` is a default-operation only (RFC 6241 section 7.2)."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


_OPERATIONS = frozenset(Operation) - {Operation.NONE}


@dataclass(slots=True)
class Attributes:
    """What the attributes of one element of an edit say."""

    operation: Operation
    insert: str | None = None
    anchor: str | None = None  # the yang:key or yang:value beside insert
    default: bool = False  # the node is to have its default, not a value of its own (RFC 6243 section 4.5.2)


_Item = TypeVar("_Item")


def read_attributes(
    faults: Faults, element: Element, node: SchemaNode, inherited: Operation, path: Path, *, plain: bool
) -> Attributes | None:
    """What the attributes of an element say; None after a fault. With ``plain`` none that says an operation is."""
    said = Attributes(inherited)
    before = len(faults.errors)
    allowed: tuple[str, ...] = () if plain or node.kind is Kind.ROOT else (_OPERATION,)
    if allowed and node.ordered_by_user and node.kind in (Kind.LIST, Kind.LEAF_LIST):
        allowed += (_INSERT, _KEY if node.kind is Kind.LIST else _VALUE)
    if node.type is not None:
        allowed += (_DEFAULT,)
    here = path if node.kind is Kind.ROOT else (*path, Step(node))
    name = "config" if node.kind is Kind.ROOT else node.name
    for attribute, text in element.items():
        local = etree.QName(attribute).localname
        if attribute.startswith(_XML):
            continue
        if attribute not in allowed:
            faults.fault(
                ErrorTag.UNKNOWN_ATTRIBUTE,
                _unknown(attribute, name),
                here,
                bad_attribute=local,
                bad_element=name,
            )
        elif attribute == _DEFAULT and text.strip() in _TRUTH:
            said.default = _TRUTH[text.strip()]
        elif attribute == _DEFAULT:
            faults.fault(
                ErrorTag.BAD_ATTRIBUTE,
                f"{text} is not true or false.",
                here,
                bad_attribute=local,
                bad_element=name,
            )
        elif attribute == _OPERATION:
            if text in _OPERATIONS:
                said.operation = Operation(text)
            else:
                faults.fault(
                    ErrorTag.BAD_ATTRIBUTE,
                    f"{text} is no operation; use merge, replace, create, delete or remove.",
                    here,
                    bad_attribute=local,
                    bad_element=name,
                )
        elif attribute != _INSERT:
            said.anchor = text
        elif text in ("first", "last", "before", "after"):
            said.insert = text
        else:
            faults.fault(
                ErrorTag.BAD_ATTRIBUTE,
                f"{text} is no place to insert; use first, last, before or after.",
                here,
                bad_attribute=local,
                bad_element=name,
            )
    if said.insert in ("before", "after") and said.anchor is None:
        needed = "key" if node.kind is Kind.LIST else "value"
        faults.fault(
            ErrorTag.MISSING_ATTRIBUTE,
            f"insert={said.insert} needs the attribute yang:{needed} to say which entry is meant.",
            here,
            bad_attribute=needed,
            bad_element=name,
        )
    return said if len(faults.errors) == before else None


def _unknown(attribute: str, element: str) -> str:
    name = etree.QName(attribute)
    if name.localname == "operation" and not name.namespace:
        return f"operation on {element} needs its namespace: declare xmlns:nc='{BASE_NS}' and write nc:operation."
    if name.namespace == YANG_NS and name.localname in ("insert", "key", "value"):
        return f"{name.localname} has no meaning on {element}; its order is not the user's."
    return f"The attribute {name.localname} is not known on {element}."


def placed(
    faults: Faults,
    order: list[_Item],
    moved: _Item,
    said: Attributes,
    element: Element,
    node: SchemaNode,
    path: Path,
) -> list[_Item] | None:
    """``order`` with ``moved`` where yang:insert wants it; None when it says nothing usable.

    RFC 7950 sections 7.7.9, 7.8.6 and 15.7.
    """
    rest = [each for each in order if each != moved]
    if said.insert == "first":
        return [moved, *rest]
    if said.insert == "last":
        return [*rest, moved]
    is_list = node.kind is Kind.LIST
    attribute = "key" if is_list else "value"
    assert said.anchor is not None
    anchor = _anchor(said.anchor, element, node)
    if anchor is None:
        faults.fault(
            ErrorTag.BAD_ATTRIBUTE,
            f"yang:{attribute} must name an entry of {node.name}"
            + (", as [name='value'] for each of its keys." if is_list else " by its value."),
            path,
            bad_attribute=attribute,
            bad_element=node.name,
        )
        return None
    if anchor not in rest:
        faults.fault(
            ErrorTag.BAD_ATTRIBUTE,
            f"There is no entry {said.anchor} of {node.name} to put this one {said.insert}.",
            path,
            bad_attribute=attribute,
            bad_element=node.name,
            app_tag=AppTag.MISSING_INSTANCE,
        )
        return None
    index = rest.index(anchor) + (said.insert == "after")
    return [*rest[:index], moved, *rest[index:]]


def _anchor(text: str, element: Element, node: SchemaNode) -> Key | str | None:
    """The key or value that yang:key or yang:value means; None when it is none of this node's."""
    resolve = element.nsmap.get
    try:
        if node.kind is Kind.LEAF_LIST:
            assert node.type is not None
            return node.type.parse(text, resolve)
        said: dict[SchemaNode, str] = {}
        position = 0
        while position < len(text.rstrip()):
            found = _PREDICATE.match(text, position)
            if found is None:
                return None
            prefix, _, local = found[1].rpartition(":")
            namespace = resolve(prefix) if prefix else node.namespace
            leaf = node.children.get((namespace or "", local))
            if leaf is None or not leaf.is_key or leaf in said:
                return None
            assert leaf.type is not None
            value = "".join(literal[1:-1] for literal in re.findall(_LITERAL, found[2]))
            said[leaf] = leaf.type.parse(value, resolve)
            position = found.end()
    except TypeFault:
        return None
    return tuple(said[leaf] for leaf in node.keys) if len(said) == len(node.keys) else None
