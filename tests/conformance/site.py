"""Questions about a site that several conformance tests ask, and what their answers hold."""

from __future__ import annotations

from decimal import Decimal

from lxml import etree
from ncclient import manager

from tests.conformance.conftest import NS, entity, found, until

DRIFT = Decimal("0.02")  # watts or so that rounding to thousandths may add up to in a sum


def the(session: manager.Manager, path: str) -> etree._Element:
    """The one element that an XPath filter selects."""
    elements = found(session, path)
    assert len(elements) == 1, f"{len(elements)} of {path}"
    return elements[0]


def read(session: manager.Manager, id_: str) -> etree._Element:
    """An entity, once its power is known."""
    path = entity(id_, "[emm:power/emm:active]")
    return until(lambda: found(session, path), f"the power of {id_} is known")[0]  # type: ignore[no-any-return]


def interface(id_: str, name: str, below: str = "") -> str:
    """The path of a power interface, or of something below it."""
    return entity(id_, f"/empi:power-interface[empi:name='{name}']{below}")


def state_set(id_: str, name: str, below: str = "") -> str:
    """The path of a power state set of an entity, or of something below it."""
    return entity(id_, f"/emps:power-state/emps:set[emps:name='emss:{name}']{below}")


def local(text: str | None) -> str:
    """An identity without its prefix."""
    return (text or "").rpartition(":")[2]


def leaves(element: etree._Element) -> dict[str, str]:
    """The leaves directly below an element, by name."""
    return {etree.QName(child).localname: child.text or "" for child in element if len(child) == 0}


def name_of(element: etree._Element) -> str:
    """The id or name of a list entry."""
    said = leaves(element)
    return said.get("id") or said["name"]


def number(element: etree._Element, path: str) -> Decimal:
    """The decimal value of a leaf below an element, which must be there."""
    text = element.findtext(path, namespaces=NS)
    assert text is not None, f"no {path} in {etree.tostring(element).decode()}"
    return Decimal(text)


def numbers(elements: list[etree._Element], path: str) -> list[Decimal]:
    """The decimal values of a leaf of each element that has it."""
    return [Decimal(text) for element in elements if (text := element.findtext(path, namespaces=NS)) is not None]
