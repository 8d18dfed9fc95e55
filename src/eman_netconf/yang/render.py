"""Instance trees to XML, as bytes that mean the same wherever they stand (RFC 7950 section 7).

A list entry's bytes are remembered by the entry (``Inner.xml``), so printing a tree again costs what changed.
Explicit values only: defaults are for the operations that want them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter

from eman_netconf.yang.schema import Kind, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode

# what must not stand in text as it is: markup, the carriage return a parser would change, and what is no XML
# at all (a device's own text may hold anything; one such character would make the whole reply unreadable)
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_by_order = attrgetter("order")


def escape(text: str) -> bytes:
    """Text as the content of an element; characters that XML cannot hold become U+FFFD."""
    return (_SPECIAL.sub(_replacement, text) if _SPECIAL.search(text) else text).encode()


def escape_attribute(text: str) -> bytes:
    """Text as the value of an attribute in double quotes."""
    return escape(text).replace(b'"', b"&quot;").replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")


def to_bytes(inner: Inner) -> bytes:
    """A node with its own tags; of a root, an input or an output the content alone."""
    schema = inner.schema
    children = inner.children
    bare = schema.kind in _BARE
    if not children:
        return b"" if bare else schema.empty_tag
    parts: list[bytes] = [] if bare else [schema.open_tag]
    for node in sorted(children, key=_by_order):
        _append(parts, node, children[node])
    if bare:
        return b"".join(parts)
    if len(parts) == 1:
        return schema.empty_tag
    parts.append(schema.close_tag)
    return b"".join(parts)


def data_bytes(schema_node: SchemaNode, data: Data) -> bytes:
    """Any data: every entry of a list, every item of a leaf-list."""
    parts: list[bytes] = []
    _append(parts, schema_node, data)
    return b"".join(parts)


_BARE = frozenset({Kind.ROOT, Kind.INPUT, Kind.OUTPUT})


def _append(parts: list[bytes], schema: SchemaNode, data: Data) -> None:
    """Add the bytes of one child; one flat function, since printing is little else."""
    if isinstance(data, str):
        kind = schema.type
        if not data or kind is None:
            parts.append(schema.empty_tag)
        elif kind.prefixed:
            parts.append(_prefixed_leaf(schema, data))
        else:
            if not kind.plain and _SPECIAL.search(data):
                data = _SPECIAL.sub(_replacement, data)
            parts += (schema.open_tag, data.encode(), schema.close_tag)
    elif isinstance(data, Inner):
        parts.append(data.xml())
    elif isinstance(data, ListNode):
        parts += [entry.xml() for entry in data.entries.values()]
    elif isinstance(data, tuple):
        for value in data:
            _append(parts, schema, value)
    elif data.xml:
        parts += (schema.open_tag, data.xml, schema.close_tag)
    else:
        parts.append(schema.empty_tag)


def _replacement(found: re.Match[str]) -> str:
    return _NAMED.get(found.group(), "\ufffd")


@lru_cache(4096)  # nearly all of them are identities, of which there are few
def _prefixed_leaf(schema: SchemaNode, value: str) -> bytes:
    assert schema.type is not None
    text, declarations = schema.type.xml(value)
    attributes = b"".join(
        b' xmlns:%b="%b"' % (prefix.encode(), escape_attribute(namespace)) for prefix, namespace in declarations.items()
    )
    return b"%b%b>%b%b" % (schema.open_tag[:-1], attributes, escape(text), schema.close_tag)
