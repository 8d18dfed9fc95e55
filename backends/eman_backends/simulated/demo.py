"""The configuration a server starts with to serve a scenario: a backend for every box, and what an operator knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lxml import etree

from .scenario import Entity, Scenario, load

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
ENTITY = "urn:eman:yang:eman-entity"
BACKEND = "urn:eman:yang:eman-backend"
SIMULATED = "urn:eman:yang:eman-backend-simulated"
GROUP = "urn:eman:yang:eman-group"
BATTERY = "urn:eman:yang:eman-battery"
TYPES = "urn:eman:yang:eman-types"
THRESHOLD = "urn:eman:yang:eman-threshold"
SERIES = "urn:eman:yang:eman-series"
INTERFACE = "urn:eman:yang:eman-power-interface"
KNOWN = ("name", "description", "role", "keyword", "importance", "power-priority", "vital")  # leaves of an entity


def configuration_xml(scenario: str = "demo") -> bytes:
    """The whole as a ``<config>`` element for an empty datastore. ScenarioError if there is no such scenario."""
    site = load(scenario)
    config = etree.Element(f"{{{NETCONF}}}config", nsmap=_default(NETCONF))
    top = _below(config, ENTITY, "energy-management")
    entities = _below(top, ENTITY, "entities")
    for entity in site.entities:
        if entity.context:
            _entity(entities, entity)
    backends = _below(top, BACKEND, "backends")
    for box in site.boxes():
        _backend(backends, site.box(box)[0], scenario)
    _domains(top, site)
    _groups(top, site)
    return etree.tostring(config, pretty_print=True)


def _default(namespace: str) -> Any:
    """The declaration of a default namespace, whose key None the type stubs of lxml do not know."""
    return {None: namespace}


def _below(parent: etree._Element, namespace: str, name: str, text: object = None) -> etree._Element:
    """A new child; its namespace becomes the default one where it differs from the parent's."""
    element = etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap=_default(namespace))
    if text is not None:
        element.text = str(text).lower() if isinstance(text, bool) else str(text)
    return element


def _leaves(parent: etree._Element, namespace: str, said: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = said.get(name)
        for each in value if isinstance(value, list) else [] if value is None else [value]:
            _below(parent, namespace, name, each)


def _entity(parent: etree._Element, entity: Entity) -> None:
    element = _below(parent, ENTITY, "entity")
    _below(element, ENTITY, "id", entity.id)
    _leaves(element, ENTITY, entity.context, KNOWN)
    _leaves(element, GROUP, entity.context, ["domain"])
    for name, limits in entity.context.get("pacing", {}).items():
        interface = _below(element, INTERFACE, "power-interface")
        _below(interface, INTERFACE, "name", name)
        pacing = _below(_below(interface, INTERFACE, "supply"), INTERFACE, "pacing")
        _leaves(pacing, INTERFACE, limits, limits)
    _watched(element, entity.context)
    for name, thresholds in entity.context.get("battery", {}).items():
        battery = _below(element, BATTERY, "battery")
        _below(battery, BATTERY, "name", name)
        _leaves(_below(battery, BATTERY, "alarm"), BATTERY, thresholds, thresholds)


def _watched(parent: etree._Element, said: Mapping[str, Any]) -> None:
    """The thresholds and series of an entity, a domain or a group."""
    for kind, namespace in (("threshold", THRESHOLD), ("series", SERIES)):
        for name, settings in said.get(kind, {}).items():
            element = _below(parent, namespace, kind)
            _below(element, namespace, "name", name)
            quantity = settings["quantity"]
            home = BATTERY if quantity.startswith("battery-") else TYPES
            identity = etree.SubElement(element, f"{{{namespace}}}quantity", nsmap={"q": home})
            identity.text = f"q:{quantity}"
            _leaves(element, namespace, settings, [leaf for leaf in settings if leaf != "quantity"])


def _backend(parent: etree._Element, box: Entity, scenario: str) -> None:
    element = _below(parent, BACKEND, "backend")
    _below(element, BACKEND, "name", box.id)
    _below(element, BACKEND, "poll-interval", box.poll_interval)
    simulated = _below(element, SIMULATED, "simulated")
    _below(simulated, SIMULATED, "box", box.id)
    _below(simulated, SIMULATED, "scenario", scenario)


def _domains(top: etree._Element, site: Scenario) -> None:
    if not site.domains:
        return
    domains = _below(top, GROUP, "domains")
    for said in site.domains:
        domain = _below(domains, GROUP, "domain")
        _leaves(domain, GROUP, said, ("name", "description", "parent", "boundary-meter"))
        _watched(domain, said)


def _groups(top: etree._Element, site: Scenario) -> None:
    if not site.groups:
        return
    groups = _below(top, GROUP, "groups")
    for said in site.groups:
        group = _below(groups, GROUP, "group")
        _leaves(group, GROUP, said, ("name", "description", "member"))
        if matched := said.keys() & {"keyword", "category"}:
            _leaves(_below(group, GROUP, "match"), GROUP, said, sorted(matched, reverse=True))
        _watched(group, said)
