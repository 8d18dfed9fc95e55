"""The YANG library tells the schema as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from eman_netconf.yang import sources
from eman_netconf.yang.library import modules_state, yang_library
from eman_netconf.yang.render import to_bytes
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, ListNode
from tests.programs import program
from tests.yang.conftest import Compile, module_text


def entries(inner: Inner, *names: str) -> dict[str, Inner]:
    """The entries of a list by the first part of their key."""
    rows = inner.at(*names)
    assert isinstance(rows, ListNode)
    return {key[0]: entry for key, entry in rows.entries.items()}


def test_modules(schema: Schema) -> None:
    """Implemented modules stand with features and deviations, mere imports apart, and every module once."""
    library = yang_library(schema)
    first, more = entries(library, "module-set").values()
    implemented, imported = entries(first, "module"), entries(first, "import-only-module")
    state = entries(more, "module")

    assert set(state) == set(sources.STATE)
    assert state["ietf-hardware"].at("deviation") == ("eman-hardware-deviations",)
    assert implemented.keys() | imported.keys() == {module.name for module in schema.listed()} - set(state)
    assert not implemented.keys() & imported.keys()
    assert "ietf-yang-types" in imported
    assert imported["ietf-yang-types"].leaf("revision") == schema.modules["ietf-yang-types"].revision
    netconf = implemented["ietf-netconf"]
    assert netconf.at("feature") == tuple(sorted(sources.FEATURES["ietf-netconf"]))
    assert implemented["ietf-system"].at("deviation") == ("eman-system-deviations",)
    assert implemented["eman-entity"].leaf("namespace") == "urn:eman:yang:eman-entity"
    assert library.leaf("content-id") == schema.content_id != ""


def test_datastores(schema: Schema) -> None:
    """The datastores there are, startup where it is switched on, have one schema; the operational has more in it."""
    library = yang_library(schema)

    stores = entries(library, "datastore")
    offered = {"ietf-datastores:running", "ietf-datastores:candidate", "ietf-datastores:operational"}
    assert set(stores) == offered
    with_startup = yang_library(sources.load(netconf=["startup"]))
    assert set(entries(with_startup, "datastore")) == {*offered, "ietf-datastores:startup"}
    sets = {
        name: entries(library, "schema")[str(store.leaf("schema"))].at("module-set") for name, store in stores.items()
    }
    assert sets.pop("ietf-datastores:operational") == ("all", "state")
    assert set(sets.values()) == {("all",)}


def test_the_older_form(schema: Schema) -> None:
    """modules-state tells the same modules in the words of RFC 7895."""
    state = modules_state(schema)
    modules = entries(state, "module")

    assert list(modules) == [module.name for module in schema.listed()]
    assert {name for name, module in modules.items() if module.leaf("conformance-type") == "implement"} == {
        module.name for module in schema.listed() if module.implemented
    }
    assert list(entries(modules["ietf-system"], "deviation")) == ["eman-system-deviations"]
    assert state.leaf("module-set-id") == schema.content_id


def test_unlisted_modules(schema: Schema) -> None:
    """What stands in for an RFC without module is in force like any other, and clients are not told of it."""
    assert set(schema.modules) - {module.name for module in schema.listed()} == set(sources.UNLISTED)
    assert all(schema.modules[name].implemented for name in sources.UNLISTED)
    assert ("urn:ietf:params:xml:ns:netconf:notification:1.0", "create-subscription") in schema.rpcs


def test_submodules(compile_text: Compile) -> None:
    """Submodules are named at their module."""
    schema = compile_text(
        m=module_text("include s;"),
        s="submodule s { yang-version 1.1; belongs-to m { prefix m; } revision 2026-01-02; }",
        implement=("m", "ietf-yang-library"),
    )
    (only,) = entries(yang_library(schema), "module-set").values()
    found = entries(entries(only, "module")["m"], "submodule")
    assert {name: part.leaf("revision") for name, part in found.items()} == {"s": "2026-01-02"}
    assert list(entries(entries(modules_state(schema), "module")["m"], "submodule")) == ["s"]


def test_libyang_takes_it(schema: Schema, tmp_path: Path) -> None:
    """libyang finds the library valid, leafrefs and mandatory nodes included."""
    document = tmp_path / "library.xml"
    document.write_bytes(to_bytes(yang_library(schema)) + to_bytes(modules_state(schema)))
    search = [part for path in sources.model_path() for part in ("-p", str(path))]
    models = [str(schema.modules[name].path) for name in ("ietf-yang-library", "ietf-datastores")]
    done = subprocess.run(
        [program("yanglint", "libyang2-tools"), *search, "-t", "data", "-m", *models, str(document)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
