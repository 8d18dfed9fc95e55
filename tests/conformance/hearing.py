"""What a listener hears, in the order in which it was told."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree
from ncclient import manager

from tests.conformance.site import leaves

PATIENCE = 120  # seconds; for hangs, and a busy machine is none


def content(session: manager.Manager, name: str | None = None) -> etree._Element:
    """What the next notification holds, or the next one of that name."""
    while True:
        told = session.take_notification(timeout=PATIENCE)
        assert told is not None, f"no {name or 'notification'} within {PATIENCE} s"
        found = etree.fromstring(told.notification_xml.encode())[1]
        if name in {None, etree.QName(found).localname}:
            return found


def heard(session: manager.Manager, name: str) -> dict[str, str]:
    """The leaves of the next notification of that name."""
    return leaves(content(session, name))


def heard_until(
    session: manager.Manager,
    name: str,
    last: Callable[[dict[str, str]], bool],
    about: Callable[[dict[str, str]], bool] = lambda _: True,
) -> list[dict[str, str]]:
    """The notifications of that name and ``about`` something, until and with the one that is the ``last``."""
    found: list[dict[str, str]] = []
    while not found or not last(found[-1]):
        told = heard(session, name)
        if about(told):
            found.append(told)
    return found
