"""The parameter filter of operations: a subtree or an XPath expression (RFC 6241 sections 6 and 8.9.5.1)."""

from __future__ import annotations

from lxml import etree

from eman_netconf.datastore.select import EVERYTHING, Selection, compile_subtree, compile_xpath
from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Schema


def read_filter(found: Element | None, schema: Schema) -> Selection:
    """What the element selects; None, where a request has no filter, selects everything. Raises RpcError."""
    if found is None:
        return EVERYTHING
    said: dict[str, str] = {}
    for name, value in found.items():
        attribute = etree.QName(name)
        if attribute.namespace not in (None, BASE_NS) or attribute.localname not in ("type", "select"):
            raise _bad_filter(
                ErrorTag.UNKNOWN_ATTRIBUTE, f"filter takes no attribute {attribute.localname}.", attribute.localname
            )
        said[attribute.localname] = value
    kind = said.get("type", "subtree")
    if kind == "subtree":
        return compile_subtree(found, schema)
    if kind != "xpath":
        raise _bad_filter(ErrorTag.BAD_ATTRIBUTE, f"{kind} is no type of filter; use subtree or xpath.", "type")
    if "select" not in said:
        raise _bad_filter(ErrorTag.MISSING_ATTRIBUTE, "A filter of type xpath needs the attribute select.", "select")
    return compile_xpath(said["select"], found.nsmap, schema)


def _bad_filter(tag: ErrorTag, message: str, attribute: str) -> RpcError:
    return RpcError(
        tag,
        message,
        type=ErrorType.PROTOCOL,
        info=(ErrorInfo("bad-attribute", attribute), ErrorInfo("bad-element", "filter")),
    )
