"""What is sent follows the models of RFC 8639 and RFC 8641, as libyang reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from eman_netconf.notifications import push
from eman_netconf.notifications.publisher import RETRY
from eman_netconf.notifications.subscriptions import OnChange
from eman_netconf.yang import sources
from eman_netconf.yang.schema import Schema
from tests.notifications.desk import Desk
from tests.programs import program

MODULES = ("ietf-yang-push", "ietf-subscribed-notifications", "ietf-datastores", "eman-entity")


@pytest.fixture
def sent(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[etree._Element]]:
    """Messages of every kind, by name."""
    monkeypatch.setattr(push, "PATCH_BYTES", 300)
    desk = Desk(schema, {"e-1": {"name": "one"}})
    changing = desk.subscribe(1, desk.terms(OnChange(), filter_name="mine"))
    desk.subscribe(1, desk.terms(None))
    desk.later(1)
    desk.change("e-1", {"name": "two", "description": "<&>", "keyword": ["a", "b"]})
    desk.change("e-2", {"name": "three", "keyword": ["a"]})
    desk.later(1)
    desk.change("e-1", None)
    desk.change("e-2", {"keyword": ["c"]})
    desk.full.add(1)
    desk.later(1)
    desk.full.clear()
    desk.later(RETRY)
    desk.publisher.altered(changing, desk.terms(OnChange(), "<x/>"), desk.now)
    desk.subscribe(1, desk.terms(OnChange()))
    desk.later(1)
    desk.publisher.altered(
        desk.subscribe(1, desk.terms(OnChange(), filter_name="mine")), desk.terms(OnChange()), desk.now
    )
    desk.publisher.close(desk.now)
    found: dict[str, list[etree._Element]] = {}
    for content in desk.contents(1):
        found.setdefault(etree.QName(content).localname, []).append(content)
    return found


def test_valid(sent: dict[str, list[etree._Element]], tmp_path: Path) -> None:
    """libyang takes every message: whole updates, patches, and what is said about a subscription."""
    assert set(sent) == {
        *("push-update", "push-change-update"),
        *(f"subscription-{what}" for what in ("modified", "suspended", "resumed", "terminated")),
    }
    path = [part for folder in sources.model_path() for part in ("-p", str(folder))]
    in_force = {"ietf-yang-push": {"on-change"}, "ietf-subscribed-notifications": sources.FEATURES[MODULES[1]]}
    features = [part for name, some in in_force.items() for part in ("-F", f"{name}:{','.join(sorted(some))}")]
    files = [
        next(str(found) for folder in sources.model_path() for found in folder.glob(f"{name}.yang")) for name in MODULES
    ]
    for name, contents in sent.items():
        for content in contents:
            document = tmp_path / f"{name}.xml"
            document.write_bytes(etree.tostring(content))
            done = subprocess.run(
                [program("yanglint", "libyang2-tools"), *path, *features, "-t", "notif", *files, str(document)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{etree.tostring(content).decode()}\n{done.stderr}"
