"""The datastores of NMDA (RFC 8526, RFC 8342), asked of a running server over SSH by ncclient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import EMAN, NS, ServerProcess, adding, edit

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
ORIGIN = "urn:ietf:params:xml:ns:yang:ietf-origin"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
XMLNS = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {**NS, "ds": "urn:ietf:params:xml:ns:yang:ietf-datastores", "or": ORIGIN, "l": LIBRARY}.items()
)


@pytest.fixture
def session(file_demo: ServerProcess) -> Iterator[manager.Manager]:
    """A session in which the entity spare, which no device tells of, is the test's own."""
    with adding(file_demo, "spare") as session:
        yield session


def get_data(session: manager.Manager, datastore: str, *parameters: str) -> etree._Element:
    """The <data> of a get-data."""
    asked = f"<datastore>ds:{datastore}</datastore>{''.join(parameters)}"
    reply = session.dispatch(etree.fromstring(f'<get-data xmlns="{NMDA}" {XMLNS}>{asked}</get-data>'))
    data = etree.fromstring(reply.xml.encode()).find(f"{{{NMDA}}}data")
    assert data is not None
    return data


def edit_data(session: manager.Manager, datastore: str, entity: str) -> None:
    config = f'<energy-management xmlns="{EMAN}"><entities>{entity}</entities></energy-management>'
    asked = f"<datastore>ds:{datastore}</datastore><config>{config}</config>"
    session.dispatch(etree.fromstring(f'<edit-data xmlns="{NMDA}" {XMLNS}>{asked}</edit-data>'))


def by_xpath(path: str) -> str:
    return f"<xpath-filter>{path}</xpath-filter>"


def ids(data: etree._Element) -> set[str]:
    return {node.text for node in data.iterfind(f".//{{{EMAN}}}entity/{{{EMAN}}}id")}


IDS = by_xpath("/eman:energy-management/eman:entities/eman:entity/eman:id")


@pytest.mark.req("rfc8526-2", "rfc8525-3")
def test_the_library_tells_the_datastores(session: manager.Manager) -> None:
    """The hello has yang-library:1.1 with its content-id; every datastore that is listed can be read."""
    library = get_data(session, "operational", by_xpath("/l:yang-library"))
    content = library.findtext(f".//{{{LIBRARY}}}content-id")
    capability = "urn:ietf:params:netconf:capability:yang-library:1.1"
    assert f"{capability}?revision=2019-01-04&content-id={content}" in list(session.server_capabilities)
    listed = {node.findtext(f"{{{LIBRARY}}}name") for node in library.iter(f"{{{LIBRARY}}}datastore")}
    names = {str(name).partition(":")[2] for name in listed}
    assert {"running", "candidate", "operational"} <= names
    for name in names:
        assert get_data(session, name, "<max-depth>1</max-depth>") is not None
    implemented = {node.findtext(f"{{{LIBRARY}}}name") for node in library.iter(f"{{{LIBRARY}}}module")}
    assert {"ietf-netconf-nmda", "ietf-datastores", "ietf-origin", "ietf-netconf-with-defaults"} <= implemented


@pytest.mark.req("rfc8526-3.1.1")
def test_get_data(session: manager.Manager) -> None:
    """Each datastore gives its own: what was never seen is configured only, what was discovered operational only."""
    edit(session, "<entity><id>spare</id></entity>")
    running, operational = ids(get_data(session, "running", IDS)), ids(get_data(session, "operational", IDS))
    assert "spare" in running - operational
    assert "phone-01" in operational
    everything = f'<subtree-filter><energy-management xmlns="{EMAN}"/></subtree-filter>'
    assert ids(get_data(session, "running", everything)) == running
    shown = session.get(filter=("xpath", (NS, "/eman:energy-management/eman:entities/eman:entity/eman:id"))).data_xml
    assert ids(etree.fromstring(shown.encode())) == running | operational


@pytest.mark.req("rfc8526-3.1.1")
def test_filters_are_all_met(session: manager.Manager) -> None:
    """config-filter, origin filters and max-depth hold together with the subtree or path that is selected."""
    edit(session, "<entity><id>phone-01</id><role>desk</role></entity>")
    phone = by_xpath("//eman:entity[eman:id='phone-01']")
    state = get_data(session, "operational", phone, "<config-filter>false</config-filter>")
    assert state.find(f".//{{{EMAN}}}uuid") is not None
    assert state.find(f".//{{{EMAN}}}role") is None
    intended = get_data(session, "operational", phone, "<origin-filter>or:intended</origin-filter>")
    assert intended.findtext(f".//{{{EMAN}}}role") == "desk"
    assert intended.find(f".//{{{EMAN}}}class") is None
    negated = "<negated-origin-filter>or:intended</negated-origin-filter><config-filter>true</config-filter>"
    others = get_data(session, "operational", phone, negated)
    assert others.find(f".//{{{EMAN}}}role") is None
    assert others.find(f".//{{{EMAN}}}entity/*") is not None
    one = get_data(session, "operational", phone, "<max-depth>1</max-depth>")
    assert [etree.QName(node).localname for node in one.iter()] == [
        *("data", "energy-management", "entities", "entity", "id")
    ]
    two = get_data(session, "operational", phone, "<max-depth>2</max-depth>")
    assert two.findtext(f".//{{{EMAN}}}role") == "desk"
    assert all(len(node) == 0 for node in two.iterfind(f".//{{{EMAN}}}entity/{{{NS['emps']}}}power-state"))


@pytest.mark.req("rfc8526-3.1.1", "rfc8342-5.3.4")
def test_with_origin(session: manager.Manager) -> None:
    """Top nodes tell their origin, others where theirs differs; state has none."""
    edit(session, "<entity><id>phone-01</id><role>desk</role></entity>")
    data = get_data(session, "operational", "<with-origin/>")

    def origin(path: str) -> str | None:
        node = data.find(path, NS)
        while node is not None and node.get(f"{{{ORIGIN}}}origin") is None:
            node = node.getparent()
        return None if node is None else str(node.get(f"{{{ORIGIN}}}origin"))

    phone = "eman:energy-management/eman:entities/eman:entity[eman:id='phone-01']"
    assert origin(f"{phone}/eman:role") == "or:intended"
    assert origin(f"{phone}/eman:class") == "or:learned"
    assert origin(f"{phone}/eman:vital") == "or:default"
    uuid = data.find(f"{phone}/eman:uuid", NS)
    assert uuid is not None
    assert not uuid.attrib
    without = [node.tag for node in data if node.get(f"{{{ORIGIN}}}origin") is None]
    assert without
    assert all("energy-management" not in tag and "nacm" not in tag for tag in without)
    assert not [node for node in get_data(session, "operational", IDS).iter() if node.get(f"{{{ORIGIN}}}origin")]


@pytest.mark.req("rfc8526-3.1.1.2", "rfc8342-5.3")
def test_defaults(session: manager.Manager) -> None:
    """Operational tells the defaults in use; both kinds of datastore take the parameter with-defaults."""
    edit(session, "<entity><id>spare</id></entity>")
    phone, spare = (f".//{{{EMAN}}}entity[{{{EMAN}}}id='{name}']/{{{EMAN}}}vital" for name in ("phone-01", "spare"))
    assert get_data(session, "operational").findtext(phone) == "false"
    explicit = get_data(session, "operational", "<with-defaults>explicit</with-defaults>")
    assert explicit.find(phone) is None
    assert get_data(session, "running").find(spare) is None
    assert get_data(session, "running", "<with-defaults>report-all</with-defaults>").findtext(spare) == "false"
    capability = "urn:ietf:params:netconf:capability:with-operational-defaults:1.0"
    assert any(uri.startswith(capability) for uri in session.server_capabilities)


@pytest.mark.req("rfc8526-3.1.1")
@pytest.mark.parametrize(
    ("datastore", "parameters"),
    [
        ("intended", ""),
        ("startup", ""),
        ("running", "<with-origin/>"),
        ("running", "<max-depth>0</max-depth>"),
        ("running", "<xpath-filter>1 + 1</xpath-filter>"),
        ("running", "<with-defaults>none</with-defaults>"),
        ("operational", "<origin-filter>or:nobody</origin-filter>"),
    ],
)
def test_what_cannot_be_asked(session: manager.Manager, datastore: str, parameters: str) -> None:
    """A datastore that is not offered, or a parameter that does not fit, is an invalid value."""
    with pytest.raises(RPCError) as refused:
        get_data(session, datastore, parameters)
    assert refused.value.tag == "invalid-value"


@pytest.mark.req("rfc8526-3.1.2")
def test_edit_data(session: manager.Manager) -> None:
    """running and candidate are written as by edit-config, operational is not, and an error undoes all of it."""
    edit_data(session, "running", "<entity><id>spare</id><role>one</role></entity>")
    edit_data(session, "candidate", "<entity><id>spare</id><role>two</role></entity>")
    role = f".//{{{EMAN}}}entity[{{{EMAN}}}id='spare']/{{{EMAN}}}role"
    assert get_data(session, "running").findtext(role) == "one"
    assert get_data(session, "candidate").findtext(role) == "two"
    session.commit()
    assert get_data(session, "running").findtext(role) == "two"
    with pytest.raises(RPCError) as refused:
        edit_data(session, "operational", "<entity><id>spare</id></entity>")
    assert refused.value.tag == "invalid-value"
    with pytest.raises(RPCError) as refused:
        edit_data(
            session, "running", "<entity><id>spare</id><role>three</role></entity><entity><name>x</name></entity>"
        )
    assert refused.value.tag == "missing-element"
    assert get_data(session, "running").findtext(role) == "two"


@pytest.mark.req("rfc8526-3.2")
def test_locks(file_demo: ServerProcess, session: manager.Manager) -> None:
    """lock, unlock and validate name datastores by their identities; operational has no lock."""

    def ask(operation: str, parameter: str, name: str) -> None:
        named = f'<{parameter}><datastore xmlns="{NMDA}">ds:{name}</datastore></{parameter}>'
        session.dispatch(etree.fromstring(f'<{operation} xmlns="{NS["nc"]}" {XMLNS}>{named}</{operation}>'))

    ask("lock", "target", "running")
    with file_demo.connect() as other, pytest.raises(RPCError) as refused:
        edit(other, "<entity><id>spare</id></entity>")
    assert refused.value.tag == "in-use"
    ask("validate", "source", "running")
    ask("unlock", "target", "running")
    for operation in ("lock", "unlock"):
        with pytest.raises(RPCError) as refused:
            ask(operation, "target", "operational")
        assert refused.value.tag == "invalid-value"
