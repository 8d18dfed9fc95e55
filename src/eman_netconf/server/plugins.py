"""Backends as installed: found through the entry-point group, with the folder that holds their model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eman_netconf.backend import Backend, Context, Misconfigured, Plugin, Settings

GROUP = "eman_netconf.backends"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    """One backend and where its YANG module lies."""

    plugin: Plugin
    folder: Path


def find() -> Mapping[str, Installed]:
    """Every installed backend by name.

    One that cannot be loaded is logged, and stands in place of itself: its model is served and its configuration kept,
    and each of its devices says why it is not reached. The others still work.
    """
    found: dict[str, Installed] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            installed: Installed | None = _load(entry)
        except Exception as fault:
            log.exception("backend %s (%s) cannot be loaded", entry.name, entry.value)
            installed = _broken(entry, fault)
        if installed is not None:
            found[installed.plugin.name] = installed
    return found


def _load(entry: importlib.metadata.EntryPoint) -> Installed:
    plugin = entry.load()
    file = sys.modules[entry.module].__file__
    if not isinstance(plugin, Plugin) or file is None:
        raise TypeError(f"{entry.value} is no eman_netconf.backend.Plugin")
    return Installed(plugin, Path(file).parent)


def _broken(entry: importlib.metadata.EntryPoint, fault: Exception) -> Installed | None:
    """What stands in place of a backend that cannot be loaded; None where not even its model is found."""
    try:
        spec = importlib.util.find_spec(entry.module)  # runs only what the module is in, not the module
    except Exception:  # noqa: BLE001 - whatever is wrong there was logged already
        return None
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    models = sorted(folder.glob("*.yang")) if folder is not None else []
    if folder is None or len(models) != 1:
        return None
    why = f"the backend {entry.name} cannot be loaded ({type(fault).__name__}: {fault}); install it anew"

    def build(_settings: Settings, _context: Context) -> Backend:
        raise Misconfigured(why)

    return Installed(Plugin(entry.name, models[0].stem, build), folder)
