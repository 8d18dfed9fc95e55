"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Plugin, Settings

from .backend import Snmp
from .probe import probe, usable
from .settings import target


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one device. Raises Misconfigured; reads nothing but the tables."""
    device = target(settings)
    return Snmp(device, usable(device, context), context)


PLUGIN = Plugin(name="snmp", module="eman-backend-snmp", build=build, probe=probe)
