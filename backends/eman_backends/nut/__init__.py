"""The plugin: its name, its YANG module, and how a backend is made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Plugin, Settings

from .backend import Nut, probe
from .settings import target


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one server. Raises Misconfigured; opens nothing."""
    return Nut(target(settings), context)


PLUGIN = Plugin(name="nut", module="eman-backend-nut", build=build, probe=probe)
