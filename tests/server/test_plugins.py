"""Plugins that are broken: what is configured of them is kept, and everybody else works."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from eman_netconf.server import plugins
from eman_netconf.yang import sources
from tests.server.running import backends, edited, link_until, running_config, serving, simulated

MODEL = """module clamp {
  yang-version 1.1;
  namespace "urn:clamp";
  prefix c;
  import eman-entity { prefix eman; }
  import eman-backend { prefix embe; }
  augment "/eman:energy-management/embe:backends/embe:backend/embe:protocol" {
    case clamp {
      container clamp {
        presence "a clamp";
        leaf place { type string; }
      }
    }
  }
}
"""
CLAMP = '<backend><name>main</name><clamp xmlns="urn:clamp"><place>cellar</place></clamp></backend>'


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, **files: str) -> None:
    """Put a plugin called clamp beside the simulated one."""
    package = folder / "clamp_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(code)
    for name, text in files.items():
        (package / f"{name}.yang").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    entries = [
        importlib.metadata.EntryPoint("clamp", "clamp_plugin:PLUGIN", plugins.GROUP),
        importlib.metadata.EntryPoint("simulated", "eman_backends.simulated:PLUGIN", plugins.GROUP),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: entries)


async def test_a_plugin_that_cannot_be_loaded_keeps_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its devices are configured and say why they are not reached, those of others are read, and nothing is lost."""
    install(tmp_path, monkeypatch, "import a_library_that_is_not_there", clamp=MODEL)
    found = plugins.find()
    assert caplog.text.count("backend clamp (clamp_plugin:PLUGIN) cannot be loaded") == 1
    schema = sources.load(
        [installed.plugin.module for installed in found.values()], [installed.folder for installed in found.values()]
    )
    for _ in range(2):
        async with serving(tmp_path / "state", schema, installed=found) as server, server.peer() as admin:
            await edited(admin, backends(CLAMP + simulated("srv", "srv-02")))
            await link_until(admin, "srv", state="up")
            said = await link_until(admin, "main", state="closed")
            assert "clamp cannot be loaded (ModuleNotFoundError" in (said["last-error"] or "")
            assert b"cellar" in await running_config(admin)


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import a_library_that_is_not_there", {}),
        ("PLUGIN = 'clamp'", {"one": MODEL, "two": MODEL}),
    ],
)
def test_a_plugin_without_a_model_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: str, files: dict[str, str]
) -> None:
    """Where nobody can tell which model is its own it is not there, the log says so, and the others are."""
    install(tmp_path, monkeypatch, code, **files)
    assert list(plugins.find()) == ["simulated"]
    assert "backend clamp (clamp_plugin:PLUGIN) cannot be loaded" in caplog.text
