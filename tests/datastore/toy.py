"""A small schema and short ways to write trees and edits of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

from eman_netconf import safexml
from eman_netconf.datastore.edit import Edited, apply_edit
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import BASE_NS, YANG_NS, RpcError, RpcErrors
from eman_netconf.yang.instance import Element, read_inner
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

MODELS = Path(__file__).parent / "models"


class Disk:
    """The journal of a real directory, written at once."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def append(self, record: bytes, *, unconfirmed: bool = False) -> None:
        self.storage.append(record, unconfirmed=unconfirmed)

    async def confirm(self) -> None:
        self.storage.confirm()

    def owe(self, record: bytes) -> None:
        self.storage.owe(record)


def config(body: str) -> Element:
    """A <config> with the prefixes nc, yang and toy; the default namespace is that of toy."""
    namespaces = f'xmlns="urn:toy" xmlns:toy="urn:toy" xmlns:nc="{BASE_NS}" xmlns:yang="{YANG_NS}"'
    return safexml.parse(f"<nc:config {namespaces}>{body}</nc:config>".encode())


def tree(schema: Schema, body: str) -> Inner:
    """The tree of a whole configuration (or with state, of data)."""
    errors: list[RpcError] = []
    root = read_inner(config(body), schema.root, schema, errors=errors)
    assert not errors, errors
    return root


def edited(schema: Schema, before: str, edit: str, **options: Any) -> Edited:
    """What an edit makes of a configuration."""
    return apply_edit(tree(schema, before), config(edit), schema, **options)


def faults(schema: Schema, before: str, edit: str, **options: Any) -> list[RpcError]:
    """The errors of an edit that must fail."""
    try:
        edited(schema, before, edit, **options)
    except RpcErrors as refusal:
        return list(refusal.errors)
    raise AssertionError("the edit was accepted")


def plain(root: Inner) -> str:
    """A tree as XML without namespaces, to compare with what is written in a test."""
    text = root.xml().decode()
    if not text:
        return ""
    element = etree.fromstring(f"<r>{text}</r>")
    for node in element.iter():
        node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(element)
    return etree.tostring(element, encoding="unicode").removeprefix("<r>").removesuffix("</r>")
