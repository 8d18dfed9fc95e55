"""The YANG library: what ietf-yang-library tells of a Schema (RFC 8525, and RFC 7895 for older clients).

A schema is made when the server starts and then stays as it is, so there is never an occasion for the notifications
yang-library-update and yang-library-change: another schema is another server's hello.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eman_netconf.yang.schema import Module, Schema
from eman_netconf.yang.tree import Inner, make_inner

#: Modules that are the same in all datastores, and those that the operational datastore has alone.
MODULE_SET, STATE_SET = "all", "state"
#: The schema of what is configured, and that of the operational datastore where it has more.
SCHEMA, STATE_SCHEMA = "all", "operational"


def datastores(schema: Schema) -> tuple[str, ...]:
    """The datastores that a server of this schema offers, by their identities (RFC 8342)."""
    netconf = schema.modules.get("ietf-netconf")
    optional = [name for name in ("candidate", "startup") if netconf is not None and name in netconf.features]
    return tuple(f"ietf-datastores:{name}" for name in ("running", *optional, "operational"))


def yang_library(schema: Schema) -> Inner:
    """The container ``/yang-library``: a module set for all datastores and one for the operational alone, the schemas
    made of them, and the datastores that have these.
    """
    modules = schema.listed()
    more = [module for module in modules if not module.configurable]
    sets = [_module_set(MODULE_SET, [module for module in modules if module.configurable])]
    schemas: list[dict[str, Any]] = [{"name": SCHEMA, "module-set": [MODULE_SET]}]
    of = dict.fromkeys(datastores(schema), SCHEMA)
    if more:
        sets.append(_module_set(STATE_SET, more))
        schemas.append({"name": STATE_SCHEMA, "module-set": [MODULE_SET, STATE_SET]})
        of["ietf-datastores:operational"] = STATE_SCHEMA
    return make_inner(
        schema.find("ietf-yang-library:yang-library"),
        {
            "module-set": sets,
            "schema": schemas,
            "datastore": [{"name": name, "schema": its} for name, its in of.items()],
            "content-id": schema.content_id,
        },
    )


def _module_set(name: str, modules: Sequence[Module]) -> dict[str, Any]:
    return {
        "name": name,
        "module": [
            {**_described(module), "feature": sorted(module.features), "deviation": sorted(module.deviated_by)}
            for module in modules
            if module.implemented
        ],
        "import-only-module": [
            {**_described(module), "revision": module.revision or ""} for module in modules if not module.implemented
        ],
    }


def modules_state(schema: Schema) -> Inner:
    """The container ``/modules-state``, which RFC 8525 keeps for clients that know only RFC 7895."""
    modules = schema.listed()
    return make_inner(
        schema.find("ietf-yang-library:modules-state"),
        {
            "module-set-id": schema.content_id,
            "module": [
                {
                    "name": module.name,
                    "revision": module.revision or "",
                    "namespace": module.namespace,
                    "feature": sorted(module.features),
                    "deviation": [
                        {"name": name, "revision": schema.modules[name].revision or ""}
                        for name in sorted(module.deviated_by)
                    ],
                    "conformance-type": "implement" if module.implemented else "import",
                    "submodule": [
                        {"name": name, "revision": revision or ""} for name, revision, _ in module.submodules
                    ],
                }
                for module in modules
            ],
        },
    )


def _described(module: Module) -> dict[str, Any]:
    return {
        "name": module.name,
        "revision": module.revision,
        "namespace": module.namespace,
        "submodule": [{"name": name, "revision": revision} for name, revision, _ in module.submodules],
    }
