"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Misconfigured, Plugin, Settings

from .backend import Snmp
from .probe import probe
from .settings import target
from .tables import TableError, available, names


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one device. Raises Misconfigured; reads nothing but the tables."""
    device = target(settings)
    try:
        tables = available(context.directory, context.log.warning)
    except TableError as error:
        raise Misconfigured(f"a table of the backend is broken: {error}") from None
    if unknown := [name for name in device.tables if name not in tables]:
        raise Misconfigured(f"there is no table {unknown[0]}; there are {names(tables.values())}")
    return Snmp(device, tables, context)


PLUGIN = Plugin(name="snmp", module="eman-backend-snmp", build=build, probe=probe)
