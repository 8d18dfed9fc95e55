"""libnetconf2, the C library of netopeer2-cli: it compiles what the server serves and holds every answer against it."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ncclient import manager

from tests.conformance.conftest import EMAN, NS, SharedSite, demo_process, edit, entity, one, shared
from tests.conformance.libnetconf2 import LIBRARY, NOTIFICATION, REPLY
from tests.programs import missing

ENDS_WITHIN = 300.0  # seconds; for hangs
ROLE = entity("srv-05", "/eman:role")
SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
ALL_TAGGED = 2  # NC_WD_ALL_TAG


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        missing(LIBRARY, "libnetconf2-2")


@pytest.fixture(scope="module")
def site(library: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    yield from shared(demo_process(tmp_path_factory.mktemp("libnetconf2") / "state"))


@pytest.fixture
def client(site: SharedSite) -> Iterator[manager.Manager]:
    """Another client, which looks on and in the end puts the configuration back."""
    with site.client() as session:
        yield session


def conversation(site: SharedSite, *requests: tuple[str | int | None, ...]) -> list[tuple[int, str, str]]:
    """One session; the kind, envelope and content of each answer. The library has nothing to complain of."""
    done = subprocess.run(
        [
            *(sys.executable, Path(__file__).parent / "libnetconf2.py"),
            *(str(site.server.port), site.server.state / "demo-password"),
        ],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return [(kind, envelope, content) for kind, envelope, content in json.loads(done.stdout)]


def within(inner: str) -> str:
    return f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def role(text: str) -> str:
    return within(f"<entity><id>srv-05</id><role>{text}</role></entity>")


@pytest.mark.req("rfc6022-3.1", "rfc6241-7.1", "rfc6241-7.7", "rfc6243-4.5.1", "rfc8526-3.1.1")
def test_reading(site: SharedSite) -> None:
    """All schemas compile, and whole answers conform to them: state, defaults and the operational datastore."""
    one_entity = within("<entity><id>srv-05</id></entity>")
    answers = conversation(
        site,
        ("getconfig", "running", one_entity, 0),
        ("get", None, 0),
        ("getconfig", "candidate", None, ALL_TAGGED),
        ("getdata", "ietf-datastores:operational", None, None, None, 0, 0, 0, 1, 0),
    )
    assert [kind for kind, _, _ in answers] == [REPLY] * 4
    part, *whole = [content for _, _, content in answers]
    assert part.count("<entity>") == 1
    assert all("<id>srv-05</id>" in content for content in whole)


@pytest.mark.req("rfc6241-8.3.4.1", "rfc6241-8.3.4.2", "rfc6241-8.4.4.1", "rfc6241-8.4.5.1", "rfc6241-8.6.4.1")
def test_candidate(site: SharedSite, client: manager.Manager) -> None:
    """Lock, edit, validate, commit on trial, cancel, discard, commit: the library gets the answers it awaits."""
    text = uuid.uuid4().hex
    answers = conversation(
        site,
        ("lock", "candidate"),
        ("edit", "candidate", 0, 0, 0, role("on trial")),
        ("validate", "candidate", None),
        ("commit", 1, 3600, None, None),
        ("cancel", None),
        ("discard",),
        ("edit", "candidate", 0, 0, 0, role(text)),
        ("commit", 0, 0, None, None),
        ("unlock", "candidate"),
    )
    assert [kind for kind, _, _ in answers] == [REPLY] * 9
    assert all("<ok/>" in envelope for _, envelope, _ in answers)
    assert one(client, ROLE) == text


@pytest.mark.req("rfc6241-4.3", "rfc7950-7.15")
def test_actions_and_errors(site: SharedSite) -> None:
    """An action's output conforms to its schema; an error comes as the library knows errors."""
    control = "<control><switch-supply><state>on</state></switch-supply></control>"
    outlet = f'<power-interface xmlns="{NS["empi"]}"><name>outlet-14</name>{control}</power-interface>'
    action = within(f"<entity><id>pdu-b</id>{outlet}</entity>")
    switched, refused = conversation(
        site,
        ("act_generic_xml", action),
        ("edit", "running", 0, 0, 0, within("<entity><id>srv-05</id><importance>0</importance></entity>")),
    )
    assert "<request-id>" in switched[2]
    assert "<error-tag>invalid-value</error-tag>" in refused[1]


@pytest.mark.req("rfc8639-2.4.2", "rfc8639-2.4.2.1", "rfc8640-6")
def test_notifications(site: SharedSite, client: manager.Manager) -> None:
    """A replayed event comes in its envelope and conforms to its schema."""
    # by establish-subscription: for create-subscription the library wants schemas that RFC 5277 does not have
    edit(client, f"<entity><id>srv-05</id><role>{uuid.uuid4().hex}</role></entity>")
    changed = '<netconf-config-change xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/>'
    subscription = (
        f'<establish-subscription xmlns="{SUBSCRIBED}"><stream>NETCONF</stream>'
        f"<stream-subtree-filter>{changed}</stream-subtree-filter>"
        "<replay-start-time>2001-01-01T00:00:00Z</replay-start-time></establish-subscription>"
    )
    (replied, _, established), (kind, envelope, content) = conversation(
        site, ("act_generic_xml", subscription), ("heard",)
    )
    assert replied == REPLY
    assert "<id>" in established
    assert kind == NOTIFICATION
    assert "<eventTime" in envelope
    assert "<username>admin</username>" in content
