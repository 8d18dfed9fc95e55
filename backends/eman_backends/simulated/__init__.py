"""The plugin: a box of a simulated site, made of settings."""

from __future__ import annotations

from eman_netconf.backend import Backend, Context, Misconfigured, Plugin, Settings

from .backend import Simulated
from .demo import configuration_xml
from .scenario import ScenarioError, is_packaged, load

DEFAULT = "demo"


def build(settings: Settings, context: Context) -> Backend:
    """A backend for one box. Raises Misconfigured; opens nothing but a scenario that comes with the server."""
    box = settings.get("box")
    scenario = settings.get("scenario", DEFAULT)
    if not isinstance(box, str) or not box:
        raise Misconfigured("the box is missing: set simulated/box to one of the scenario's")
    if not isinstance(scenario, str) or not scenario:
        raise Misconfigured("the scenario is empty: set simulated/scenario to a name or a path")
    if is_packaged(scenario):
        try:
            load(scenario).box(box)
        except ScenarioError as error:
            raise Misconfigured(str(error)) from error
    return Simulated(box, scenario, context)


PLUGIN = Plugin(name="simulated", module="eman-backend-simulated", build=build, demo=configuration_xml)
