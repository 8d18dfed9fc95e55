"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_backends.documents import TableError
from eman_netconf.backend import Backend, Context, Misconfigured, Plugin, Settings

from .backend import Modbus
from .probe import probe
from .settings import target
from .tables import load, load_models


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one address. Raises Misconfigured; reads nothing but the tables."""
    address = target(settings)
    try:
        tables, models = load(), load_models()
    except TableError as error:
        raise Misconfigured(f"a table of the backend is broken: {error}") from None
    for unit in address.units:
        if unit.table is not None and unit.table not in tables:
            raise Misconfigured(f"there is no register map {unit.table}; there are {', '.join(tables)}")
    return Modbus(address, tables, models, context)


PLUGIN = Plugin(name="modbus", module="eman-backend-modbus", build=build, probe=probe)
