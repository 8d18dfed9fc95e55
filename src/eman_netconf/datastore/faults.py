"""The faults of an edit: gathered, each told with its path, what was wrong and what to do about it."""

from __future__ import annotations

from lxml import etree

from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError
from eman_netconf.yang.instance import Element
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Path, Step, path_text

#: An edit with more faults than this is given up; the last error says so.
MAX_ERRORS = 100


class Enough(Exception):
    """There are too many errors to go on."""


class Faults:
    """The errors of one edit, in document order."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.errors: list[RpcError] = []

    def unknown(self, element: Element, parent: SchemaNode, path: Path) -> None:
        name = etree.QName(element)
        if name.namespace is None or name.namespace not in self.schema.by_namespace:
            self.error(
                RpcError(
                    ErrorTag.UNKNOWN_NAMESPACE,
                    f"{name.localname} is in the namespace {name.namespace or '(none)'}, of which this server has "
                    "no module; see its YANG library.",
                    path=path_text(path),
                    info=(
                        ErrorInfo("bad-element", name.localname),
                        ErrorInfo("bad-namespace", name.namespace or ""),
                    ),
                )
            )
            return
        where = "at the top of the configuration" if parent.kind is Kind.ROOT else f"in {parent.name}"
        self.fault(
            ErrorTag.UNKNOWN_ELEMENT,
            f"There is no {name.localname} {where} in the namespace {name.namespace}.",
            path,
            bad_element=name.localname,
        )

    def state(self, node: SchemaNode, path: Path) -> None:
        self.fault(
            ErrorTag.UNKNOWN_ELEMENT,
            f"{node.name} is state, not configuration; it cannot be edited.",
            (*path, Step(node)),
            bad_element=node.name,
        )

    def stray(self, element: Element, text: str, path: Path) -> None:
        name = etree.QName(element).localname
        self.fault(
            ErrorTag.BAD_ELEMENT,
            f"{name} holds the text {text.strip()[:40]!r} between its elements.",
            path,
            bad_element=name,
        )

    def missing(self, path: Path) -> None:
        self.fault(ErrorTag.DATA_MISSING, f"{_last(path)} does not exist.", path)

    def exists(self, path: Path) -> None:
        self.fault(ErrorTag.DATA_EXISTS, f"{_last(path)} exists already; use merge or replace to change it.", path)

    def fault(
        self,
        tag: ErrorTag,
        message: str,
        path: Path,
        *,
        bad_element: str | None = None,
        bad_attribute: str | None = None,
        app_tag: str | None = None,
    ) -> None:
        info = []
        if bad_attribute is not None:
            info.append(ErrorInfo("bad-attribute", bad_attribute))
        if bad_element is not None:
            info.append(ErrorInfo("bad-element", bad_element))
        self.error(RpcError(tag, message, path=path_text(path), info=info, app_tag=app_tag))

    def error(self, error: RpcError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_ERRORS:
            self.errors.append(
                RpcError(ErrorTag.TOO_BIG, f"There are more than {MAX_ERRORS} errors; the others are not shown.")
            )
            raise Enough


def _last(path: Path) -> str:
    schema, key = path[-1]
    return f"{schema.name} {', '.join(key)}" if key else schema.name
