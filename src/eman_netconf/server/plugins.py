"""Backends as installed: found through the entry-point group, with the folder that holds their model."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eman_netconf.backend import Plugin

GROUP = "eman_netconf.backends"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    """One backend and where its YANG module lies."""

    plugin: Plugin
    folder: Path


def find() -> Mapping[str, Installed]:
    """Every installed backend by name. One that cannot be loaded is logged and left out: the others still work."""
    found: dict[str, Installed] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            plugin = entry.load()
            file = sys.modules[entry.module].__file__
            if not isinstance(plugin, Plugin) or file is None:
                raise TypeError(f"{entry.value} is no eman_netconf.backend.Plugin")
        except Exception:
            log.exception("backend %s (%s) cannot be loaded", entry.name, entry.value)
            continue
        found[plugin.name] = Installed(plugin, Path(file).parent)
    return found
