"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Plugin, Settings

from .backend import Redfish
from .probe import probe
from .settings import target


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one service. Raises Misconfigured; does no I/O."""
    return Redfish(target(settings), context)


PLUGIN = Plugin(name="redfish", module="eman-backend-redfish", build=build, probe=probe)
