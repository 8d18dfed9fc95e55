"""Where models are found, and which standard modules this server has."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from eman_netconf.yang.compiler import SchemaError, compile_schema
from eman_netconf.yang.schema import Schema

#: standard modules that are implemented, all from pyang's package
STANDARD: tuple[str, ...] = (
    "ietf-netconf",
    "ietf-netconf-monitoring",
    "ietf-netconf-acm",
    "ietf-netconf-nmda",
    "ietf-netconf-notifications",
    "ietf-netconf-with-defaults",
    "ietf-origin",
    "ietf-yang-library",
    "ietf-datastores",
    "ietf-system",
    "iana-crypt-hash",
    "ietf-x509-cert-to-name",
    "ietf-subscribed-notifications",
    "ietf-yang-push",
    "ietf-yang-patch",
    "ietf-alarms",
    "ietf-hardware",
    "iana-hardware",
)

#: modules of our own that clients are not told of: operations whose RFC has no module that pyang ships (decision 9)
UNLISTED: tuple[str, ...] = ("notifications", "nc-notifications", "ietf-netconf-partial-lock")

#: modules of which the operational datastore alone has nodes: views of what is configured elsewhere
STATE: tuple[str, ...] = ("ietf-hardware", "iana-hardware", "eman-hardware-deviations")

#: features in force; a module that is not named has all its features
FEATURES: Mapping[str, frozenset[str]] = {
    "ietf-netconf": frozenset(
        {"writable-running", "candidate", "confirmed-commit", "validate", "rollback-on-error", "xpath"}
    ),
    "ietf-subscribed-notifications": frozenset({"encode-xml", "replay", "subtree", "xpath"}),
    "ietf-alarms": frozenset({"operator-actions", "alarm-history", "alarm-summary"}),
    "ietf-hardware": frozenset({"hardware-sensor"}),
    "ietf-system": frozenset({"authentication", "local-users"}),
    "iana-crypt-hash": frozenset({"crypt-hash-sha-512"}),
}

#: what the bootstrap file can leave out (RFC 6988 section 9.3): features of ours, each with its module and with what
#: the module has beside it
SENSITIVE: Mapping[str, tuple[str, frozenset[str]]] = {
    "control-power-state": ("eman-power-state", frozenset({"power-limit"})),
    "control-supply": ("eman-power-interface", frozenset()),
    "control-battery": ("eman-battery", frozenset()),
}


def model_path() -> tuple[Path, ...]:
    """The directories of modules: this project's own, then those of pyang. SchemaError if one is missing."""
    return own_models(), unlisted_models(), *standard_models()


@cache
def own_models() -> Path:
    """The directory of the eman-* modules, in a source tree or in an installed package."""
    here = Path(__file__).resolve()
    for place in (here.parents[3] / "yang", here.parents[1] / "yang_modules"):
        if (place / "eman-types.yang").is_file():
            return place
    raise SchemaError([f"the eman-* modules are not installed beside {here.parents[1]}; install eman-netconf again"])


def unlisted_models() -> Path:
    """The directory of the modules ``UNLISTED``."""
    return Path(__file__).resolve().parent / "unlisted"


@cache
def standard_models() -> tuple[Path, ...]:
    """The directories of the modules that pyang ships."""
    files = importlib.metadata.files("pyang") or ()
    found = dict.fromkeys(Path(str(file.locate())).resolve().parent for file in files if file.suffix == ".yang")
    if not found:
        raise SchemaError(["pyang is installed without its YANG modules; install pyang with pip"])
    return tuple(found)


def own_modules() -> tuple[str, ...]:
    """The names of all modules of this project, deviations included."""
    return tuple(sorted(file.stem for file in own_models().glob("*.yang")))


def load(
    extra_modules: Iterable[str] = (),
    extra_paths: Sequence[Path] = (),
    *,
    netconf: Iterable[str] = (),
    without: Iterable[str] = (),
) -> Schema:
    """The server's schema: every module of ours, the standard ones, and those of backends. Raises SchemaError.

    ``netconf`` names features of ietf-netconf that the bootstrap file switches on beside ``FEATURES``, ``without``
    those of ``SENSITIVE`` that it leaves out.
    """
    features = {**FEATURES, "ietf-netconf": FEATURES["ietf-netconf"].union(netconf)}
    features.update(SENSITIVE[name] for name in without)
    names = dict.fromkeys((*STANDARD, *own_modules(), *extra_modules))
    return compile_schema(
        tuple(names), (*model_path(), *extra_paths), features=features, unlisted=UNLISTED, state=STATE
    )
