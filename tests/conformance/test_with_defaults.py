"""Defaults as clients want them (RFC 6243), asked of a running server over SSH by ncclient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import EMAN, NS, ServerProcess, adding, edit

WD = "urn:ietf:params:xml:ns:netconf:default:1.0"
CAPABILITY = "urn:ietf:params:netconf:capability:with-defaults:1.0"
BOX = f'<energy-management xmlns="{EMAN}"><entities><entity><id>box</id></entity></entities></energy-management>'
BACKENDS = f'<energy-management xmlns="{EMAN}"><backends xmlns="{NS["embe"]}"/></energy-management>'

Leaf = tuple[str | None, bool] | None  # text, and whether it is marked as a default; None: not there


@pytest.fixture
def session(file_demo: ServerProcess) -> Iterator[manager.Manager]:
    """A session in which the entity box is the test's own."""
    with adding(file_demo, "box") as session:
        yield session


def configure(session: manager.Manager, inside: str) -> None:
    """Replace the entity box."""
    edit(session, f'<entity xmlns:nc="{NS["nc"]}" nc:operation="replace"><id>box</id>{inside}</entity>')


def told(data: etree._Element, name: str = "vital") -> Leaf:
    found = data.find(f".//{{{EMAN}}}{name}")
    return None if found is None else (found.text, found.get(f"{{{WD}}}default") == "true")


def read(session: manager.Manager, mode: str | None, name: str = "vital") -> Leaf:
    reply = session.get_config("running", filter=("subtree", BOX), with_defaults=mode)
    return told(etree.fromstring(reply.data_xml.encode()), name)


NOT_SET, SET, SET_TO_DEFAULT = "<role>r</role>", "<vital>true</vital>", "<vital>false</vital>"
DEFAULT = ("false", False)

CASES: dict[str, tuple[str, str, Leaf]] = {
    "all, nothing set": ("", "report-all", DEFAULT),
    "all, non-default set": (NOT_SET, "report-all", DEFAULT),
    "all tagged, non-default set": (NOT_SET, "report-all-tagged", ("false", True)),
    "trim, non-default set": (NOT_SET, "trim", None),
    "explicit, non-default set": (NOT_SET, "explicit", None),
    "all, all set": (SET, "report-all", ("true", False)),
    "all tagged, all set": (SET, "report-all-tagged", ("true", False)),
    "trim, all set": (SET, "trim", ("true", False)),
    "explicit, all set": (SET, "explicit", ("true", False)),
    "all, default set": (SET_TO_DEFAULT, "report-all", DEFAULT),
    # what a client has set is no default data in the eyes of a server that is explicit (section 2.3)
    "all tagged, default set": (SET_TO_DEFAULT, "report-all-tagged", DEFAULT),
    "trim, default set": (SET_TO_DEFAULT, "trim", None),
    "explicit, default set": (SET_TO_DEFAULT, "explicit", DEFAULT),
}


@pytest.mark.req("rfc6243-2.3", "rfc6243-3.1", "rfc6243-3.2", "rfc6243-3.3", "rfc6243-3.4")
@pytest.mark.parametrize("case", list(CASES))
def test_modes(session: manager.Manager, case: str) -> None:
    """Each mode tells a leaf that is not set, set, or set to its default as section 3 has it."""
    inside, mode, expected = CASES[case]
    configure(session, inside)
    assert read(session, mode) == expected


@pytest.mark.req("rfc6243-2.3")
def test_explicit_is_the_basic_mode(session: manager.Manager) -> None:
    """Without the parameter the server tells what clients have set, defaults among it, and can delete it again."""
    configure(session, SET_TO_DEFAULT)
    assert read(session, None) == DEFAULT
    edit(session, f'<entity xmlns:nc="{NS["nc"]}"><id>box</id><vital nc:operation="delete"/></entity>')
    assert read(session, None) is None
    with pytest.raises(RPCError) as refused:
        edit(session, f'<entity xmlns:nc="{NS["nc"]}"><id>box</id><vital nc:operation="delete"/></entity>')
    assert refused.value.tag == "data-missing"
    edit(session, f'<entity xmlns:nc="{NS["nc"]}"><id>box</id><vital nc:operation="create">false</vital></entity>')
    assert read(session, None) == DEFAULT


@pytest.mark.req("rfc6243-4.3")
def test_capability(session: manager.Manager) -> None:
    """The hello tells the basic mode and what else is supported; the module is listed as well."""
    (offered,) = [uri for uri in session.server_capabilities if uri.startswith(CAPABILITY)]
    assert offered == f"{CAPABILITY}?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim"
    module = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults?module=ietf-netconf-with-defaults"
    assert any(uri.startswith(module) for uri in session.server_capabilities)


@pytest.mark.req("rfc6243-4.5.1")
def test_get_too(session: manager.Manager) -> None:
    """<get> takes the parameter as <get-config> does."""
    configure(session, NOT_SET)
    for mode, expected in (("report-all", DEFAULT), ("report-all-tagged", ("false", True)), ("explicit", None)):
        reply = session.get(filter=("subtree", BOX), with_defaults=mode)
        assert told(etree.fromstring(reply.data_xml.encode())) == expected


@pytest.mark.req("rfc6243-4.5.1")
def test_copy_config(session: manager.Manager) -> None:
    """<copy-config> takes the parameter; what is not set is not set in the copy, whatever is asked for."""
    request = (
        f'<copy-config xmlns="{NS["nc"]}"><target><candidate/></target><source><running/></source>'
        '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">{}</with-defaults></copy-config>'
    )
    configure(session, NOT_SET)
    for mode in ("explicit", "report-all-tagged"):
        session.dispatch(etree.fromstring(request.format(mode)))
        reply = session.get_config("candidate", filter=("subtree", BOX))
        assert told(etree.fromstring(reply.data_xml.encode())) is None
    with pytest.raises(RPCError) as refused:
        session.dispatch(etree.fromstring(request.format("some")))
    assert refused.value.tag == "invalid-value"


@pytest.mark.req("rfc6243-4.5.1")
def test_filters_meet_what_is_reported(session: manager.Manager) -> None:
    """A filter selects a default that is reported, by its name, by its value and by its path."""
    configure(session, NOT_SET)

    def by(filter_: tuple[str, object], mode: str) -> Leaf:
        reply = session.get_config("running", filter=filter_, with_defaults=mode)
        return told(etree.fromstring(reply.data_xml.encode()))

    name = ("subtree", BOX.replace("</entity>", "<vital/></entity>"))
    value = ("subtree", BOX.replace("</entity>", "<vital>false</vital></entity>"))
    path = ("xpath", (NS, "//eman:entity[eman:id='box']/eman:vital"))
    condition = ("xpath", (NS, "//eman:entity[eman:id='box'][eman:vital='false']/eman:vital"))
    for filter_ in (name, value, path, condition):
        assert by(filter_, "report-all") == DEFAULT
        assert by(filter_, "report-all-tagged") == ("false", True)
        assert by(filter_, "explicit") is None


@pytest.mark.req("rfc6243-4.5.2")
def test_marked_nodes_in_an_edit(session: manager.Manager) -> None:
    """A leaf marked as default goes back to its default; another value than that is refused, and so is a delete."""
    marked = (
        f'<entity xmlns:nc="{NS["nc"]}"><id>box</id><vital xmlns:wd="{WD}" wd:default="{{}}"{{}}>{{}}</vital></entity>'
    )
    configure(session, SET)
    edit(session, marked.format("true", "", "false"))
    assert read(session, "explicit") is None
    edit(session, marked.format("false", "", "false"))
    assert read(session, "explicit") == DEFAULT
    for more, value in (("", "true"), (' nc:operation="delete"', "false")):
        with pytest.raises(RPCError) as refused:
            edit(session, marked.format("true", more, value))
        assert refused.value.tag == "invalid-value"
    assert read(session, "explicit") == DEFAULT


@pytest.mark.req("rfc6243-4.5.2", "rfc6243-3.4")
def test_a_tagged_answer_can_be_written_back(session: manager.Manager) -> None:
    """The whole configuration as told in report-all-tagged is taken by edit-config and sets nothing new."""
    configure(session, NOT_SET)
    before = session.get_config("running").data_xml
    tagged = session.get_config("running", with_defaults="report-all-tagged").data_xml
    assert tagged.count('wd:default="true"') > 20
    config = etree.Element(f"{{{NS['nc']}}}config")
    config.extend(etree.fromstring(tagged.encode()))
    session.edit_config(target="running", config=etree.tostring(config, encoding="unicode"))
    assert session.get_config("running").data_xml == before


@pytest.mark.req("rfc6243-3.1")
def test_defaults_of_containers_and_lists(session: manager.Manager) -> None:
    """Defaults are told in entries, and in containers that are not there otherwise."""
    reply = session.get_config("running", filter=("subtree", BACKENDS), with_defaults="report-all")
    backends = etree.fromstring(reply.data_xml.encode()).findall(f".//{{{NS['embe']}}}backend")
    assert backends
    for backend in backends:
        assert backend.findtext(f"{{{NS['embe']}}}enabled") in ("true", "false")
        assert backend.findtext(f"{{{NS['embe']}}}timeout") is not None
    limits = '<eman-server xmlns="urn:eman:yang:eman-server"><session-limits/></eman-server>'
    reply = session.get_config("running", filter=("subtree", limits), with_defaults="report-all")
    assert etree.fromstring(reply.data_xml.encode()).find(".//{urn:eman:yang:eman-server}login-timeout") is not None
