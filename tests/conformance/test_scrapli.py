"""scrapli's calls for the candidate, commits on trial, NMDA and notifications, on a server of this file.

scrapli 2026.10 spells <validate> and <with-defaults> in the namespaces of their capabilities, where no RFC has them;
so these two are sent as text.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from scrapli import netconf as scrapli
from scrapli.auth import Options as ScrapliAuth
from scrapli.exceptions import NoMessagesException
from scrapli.session import Options as ScrapliSession
from scrapli.transport import Ssh2Options

from tests.conformance.conftest import EMAN, SharedSite, demo_process, edit, entity, one, shared, until
from tests.conformance.talking import BASE, PATIENCE

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
CHANGED = "{urn:ietf:params:xml:ns:yang:ietf-netconf-notifications}netconf-config-change"
CANDIDATE, RUNNING = scrapli.DatastoreType.CANDIDATE, scrapli.DatastoreType.RUNNING
ROLE = entity("srv-05", "/eman:role")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    yield from shared(demo_process(tmp_path_factory.mktemp("scrapli") / "state"))


@pytest.fixture
def client(site: SharedSite) -> Iterator[manager.Manager]:
    """Another client, which looks on and in the end puts the configuration back."""
    with site.client() as session:
        yield session


@pytest.fixture
def driver(site: SharedSite, client: manager.Manager) -> Iterator[scrapli.Netconf]:
    """scrapli with an open session."""
    session = scrapli.Netconf(
        "127.0.0.1",
        port=site.server.port,
        auth_options=ScrapliAuth(username="admin", password=site.server.password),
        transport_options=Ssh2Options(),
        session_options=ScrapliSession(operation_timeout_s=int(PATIENCE)),
    )
    session.open()
    yield session
    session.close()


def within(inner: str) -> str:
    return f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'


def role(text: str) -> str:
    """The entity srv-05 with a role."""
    return f"<entity><id>srv-05</id><role>{text}</role></entity>"


def read(result: scrapli.Result) -> etree._Element:
    """The reply, as it came or in the error that is raised for it."""
    return etree.fromstring(result.result.encode())


def is_ok(result: scrapli.Result) -> bool:
    return [child.tag for child in read(result)] == [f"{{{BASE}}}ok"]


def change(driver: scrapli.Netconf, text: str) -> bool:
    return is_ok(driver.edit_config(config=f"<config>{within(role(text))}</config>", target=CANDIDATE))


@pytest.mark.req("rfc6241-8.3.4.1", "rfc6241-8.3.4.2", "rfc6241-8.6.4.1")
@pytest.mark.req("rfc6241-8.3", "rfc6241-8.6")
def test_candidate(driver: scrapli.Netconf, client: manager.Manager) -> None:
    """Locked, edited, validated and committed, the candidate becomes running; discarded it is running again."""
    text = uuid.uuid4().hex
    assert is_ok(driver.lock(target=CANDIDATE))
    assert change(driver, text)
    assert is_ok(driver.raw_rpc("<validate><source><candidate/></source></validate>"))
    assert one(client, ROLE) != text
    assert is_ok(driver.commit())
    assert one(client, ROLE) == text
    assert change(driver, "discarded")
    assert is_ok(driver.discard())
    assert is_ok(driver.unlock(target=CANDIDATE))
    assert "discarded" not in driver.get_config(source=CANDIDATE).result


@pytest.mark.req("rfc6241-8.4.4.1")
@pytest.mark.req("rfc6241-8.4")
def test_commit_on_trial(driver: scrapli.Netconf, client: manager.Manager) -> None:
    """A confirmed commit is in force at once and undone by cancel-commit."""
    before, text = one(client, ROLE), uuid.uuid4().hex
    assert change(driver, text)
    assert is_ok(driver.raw_rpc("<commit><confirmed/><confirm-timeout>3600</confirm-timeout></commit>"))
    assert one(client, ROLE) == text
    assert is_ok(driver.cancel_commit())
    assert one(client, ROLE) == before


@pytest.mark.req("rfc6243-4.5.1")
def test_defaults(driver: scrapli.Netconf) -> None:
    """get-config with defaults tells more than without."""
    every, set_ = (
        read(
            driver.raw_rpc(
                f'<get-config><source><running/></source><with-defaults xmlns="{DEFAULTS}">{mode}</with-defaults>'
                "</get-config>"
            )
        )
        for mode in ("report-all", "trim")
    )
    assert len(list(every.iter())) > len(list(set_.iter()))


@pytest.mark.req("rfc8526-3.1.1", "rfc8526-3.1.2")
def test_datastores(driver: scrapli.Netconf, client: manager.Manager) -> None:
    """edit-data changes running by its identity, and get-data reads it and the operational state."""
    text = uuid.uuid4().hex
    assert is_ok(driver.edit_data(content=within(role(text)), target=RUNNING))
    assert one(client, ROLE) == text
    wanted = (
        f'<energy-management xmlns="{EMAN}"><entities><entity><id>srv-05</id></entity></entities></energy-management>'
    )
    for source, has_state in ((RUNNING, False), (scrapli.DatastoreType.OPERATIONAL, True)):
        told = read(driver.get_data(source=source, filter_=wanted))
        assert told.findtext(f".//{{{EMAN}}}role") == text
        assert (told.find(f".//{{{EMAN}}}uuid") is not None) == has_state


@pytest.mark.req("rfc5277-2.2", "rfc5277-3.7")
@pytest.mark.req("rfc5277-2.1", "rfc5277-3.6")
def test_notifications(driver: scrapli.Netconf, client: manager.Manager) -> None:
    """A session that subscribed gets what it asked for, in scrapli's queue."""
    name = etree.QName(CHANGED)
    wanted = f'<filter type="subtree"><{name.localname} xmlns="{name.namespace}"/></filter>'
    subscribed = driver.raw_rpc(f'<create-subscription xmlns="{NOTIFICATION}">{wanted}</create-subscription>')
    assert is_ok(subscribed)
    edit(client, role(uuid.uuid4().hex))
    heard = etree.fromstring(until(lambda: next_notification(driver), "the commit is told").encode())
    assert heard.tag == f"{{{NOTIFICATION}}}notification"
    assert [child.tag for child in heard] == [f"{{{NOTIFICATION}}}eventTime", CHANGED]


def next_notification(driver: scrapli.Netconf) -> str | None:
    try:
        return driver.get_next_notification()
    except NoMessagesException:
        return None
