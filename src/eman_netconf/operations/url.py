"""The capability :url with the scheme file (RFC 6241 section 8.8): configurations in one folder of the server's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from eman_netconf import safexml
from eman_netconf.datastore.commit import paced
from eman_netconf.errors import BASE_NS, ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.operations.ports import Files, Server
from eman_netconf.yang.instance import Element

CAPABILITY = "urn:ietf:params:netconf:capability:url:1.0?scheme=file"

_URL = re.compile(r"file:(?:/|///)?([^/]+)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CONFIG = f"{{{BASE_NS}}}config"


async def read(server: Server, url: str) -> Element:
    """The <config> that a file holds. Raises RpcError invalid-value, data-missing, too-big or malformed-message."""
    name = file_name(url)
    content = await _files(server).read(name)
    try:
        element = await paced(safexml.parsing(content), server.datastores.breathe)
    except RpcError as fault:
        raise RpcError(ErrorTag.INVALID_VALUE, f"The file {name} cannot be read: {fault.message}") from None
    if element.tag != _CONFIG:
        raise RpcError(ErrorTag.INVALID_VALUE, f"The file {name} holds no <config> in the namespace {BASE_NS}.")
    return element


async def write(server: Server, url: str, slices: Iterable[bytes]) -> None:
    """Put the content of a <config> into a file, in place of what is there. Raises RpcError."""
    name = file_name(url)
    parts: list[bytes] = []
    for part in slices:
        parts.append(part)
        await server.datastores.breathe()
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n<config xmlns="%b">\n%b\n</config>\n'
    await _files(server).write(name, content % (BASE_NS.encode(), b"".join(parts)))


async def delete(server: Server, url: str) -> None:
    """Raises RpcError."""
    await _files(server).delete(file_name(url))


def file_name(url: str) -> str:
    """The file that a URL names: ``file:NAME`` or ``file:///NAME``. Raises RpcError invalid-value for any other."""
    found = _URL.fullmatch(url.strip())
    name = unquote(found[1]) if found else ""
    if not _NAME.fullmatch(name):
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            f"{url[:200]!r} names no file here; write file:NAME, where NAME is of letters, digits, '.', '-' and '_'.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "url"),),
        )
    return name


def _files(server: Server) -> Files:
    assert server.files is not None, "without :url the schema has no url"
    return server.files
