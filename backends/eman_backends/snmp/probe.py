"""Who is at an address: asked once, without changing anything there."""

from __future__ import annotations

from collections.abc import Mapping

from eman_netconf.backend import Context, Finding, Misconfigured, Settings

from .client import Client
from .physical import identify
from .settings import Target, target
from .survey import choose, survey
from .tables import GENERIC, Table, TableError, available, names

SAYING = 80  # characters of a device's description that a title has room for


def usable(device: Target, context: Context) -> Mapping[str, Table]:
    """The tables there are, among them those that the settings name. Raises Misconfigured."""
    try:
        tables = available(context.directory, context.log.warning)
    except TableError as error:
        raise Misconfigured(f"a table of the backend is broken: {error}") from None
    if unknown := [name for name in device.tables if name not in tables]:
        raise Misconfigured(f"there is no table {unknown[0]}; there are {names(tables.values())}")
    return tables


async def probe(address: str, settings: Settings, context: Context) -> Finding | None:
    """What answers at an address to the credentials of these settings, in their version of SNMP and no other.

    Raises Unavailable when nothing answers, Misconfigured when nothing can be asked with these settings.
    """
    settings = {**settings, "address": address}
    device = target(settings)
    client = Client(device, context.random, context.log, fast=False)
    tables = usable(device, context)
    try:
        await client.open()
        fitting = await choose(client, tables, device.tables)
        inventory, _ = await survey(client, fitting, tables[GENERIC], (identify,))
    finally:
        client.close()
    found = inventory.entities[0]
    known = " ".join(word for word in (found.manufacturer, found.model) if word)
    what = known or (found.description or "a device that does not say what it is")[:SAYING]
    reads = f"read as {names(fitting)}" if fitting else "which fits no table"
    return Finding(
        settings if client.bulk or not device.bulk else {**settings, "bulk": False},
        f"{what}, {reads}, over SNMP{device.version}",
        name=found.name,
        manufacturer=found.manufacturer,
        model=found.model,
        foreign_ids=found.foreign_ids,
    )
