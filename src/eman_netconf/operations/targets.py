"""Datastores as operations name them: by an element of their own, or as NMDA does (RFC 8342, RFC 8526 section 3.2)."""

from __future__ import annotations

from eman_netconf.datastore.datastores import Datastore
from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.operations.ports import Request, Server
from eman_netconf.yang.tree import Inner

OPERATIONAL = "ietf-datastores:operational"
_PREFIX = "ietf-datastores:"


def named(server: Server, request: Request, parameter: str) -> Datastore:
    """The datastore that the target or source of a request names. Raises RpcError invalid-value."""
    said = request.input.at(parameter)
    assert isinstance(said, Inner)
    ((node, value),) = said.children.items()
    return conventional(server, str(value)) if node.name == "datastore" else Datastore(node.name)


def by_url(request: Request, parameter: str) -> str | None:
    """The URL that the target or source of a request gives in place of a datastore, None when it gives none."""
    said = request.input.at(parameter)
    return said.leaf("url") if isinstance(said, Inner) and "url" in said.schema.by_name else None


def conventional(server: Server, name: str, *others: str) -> Datastore:
    """The datastore of configuration that ``ietf-datastores:name`` is. Raises RpcError invalid-value for any other.

    ``others`` are those that could be named as well, and would not have come here.
    """
    for datastore in server.datastores.offered:
        if name == f"{_PREFIX}{datastore}":
            return datastore
    offered = ", ".join((*server.datastores.offered, *(other.removeprefix(_PREFIX) for other in others)))
    raise RpcError(
        ErrorTag.INVALID_VALUE,
        f"{name.removeprefix(_PREFIX)} is no datastore for this; take one of {offered}.",
        type=ErrorType.PROTOCOL,
        info=(ErrorInfo("bad-element", "datastore"),),
    )
