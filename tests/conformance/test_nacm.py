"""Access control (RFC 8341) over the wire: several users on a server of their own, whose rules each test sets anew."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from tests.conformance.conftest import (
    EMAN,
    ENTITIES,
    NS,
    ServerProcess,
    act,
    demo_process,
    entity,
    one,
    set_state,
    texts,
    try_battery,
)
from tests.conformance.installed import prepare
from tests.conformance.talking import BASE

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
SERVER = "urn:eman:yang:eman-server"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"
PASSWORD = "open sesame"
PATIENCE = 60.0  # seconds until a notification must have come
GROUPS = {"ann": "monitor", "bob": "operate", "carol": "configure"}  # dave is in none, tom in one of the tests
PATHS = {
    "pdu": "/em:energy-management/em:entities/em:entity[em:id='pdu-a']",
    "entity": "/em:energy-management/em:entities/em:entity",
    "role": "/em:energy-management/em:entities/em:entity/em:role",
}


@dataclass
class Users:
    """A server, and one session for each user who asks."""

    server: ServerProcess
    sessions: dict[str, manager.Manager] = field(default_factory=dict)

    def __getitem__(self, user: str) -> manager.Manager:
        if user not in self.sessions:
            login = {} if user == "admin" else {"username": user, "password": PASSWORD}
            self.sessions[user] = self.server.connect(**login)
        return self.sessions[user]


def configure(session: manager.Manager, content: str) -> None:
    session.edit_config(target="running", config=f'<config xmlns="{BASE}" xmlns:nc="{BASE}">{content}</config>')


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """The demo site with five users beside the administrator."""
    server = demo_process(tmp_path_factory.mktemp("nacm") / "state").start()
    everybody = Users(server)
    people = "".join(
        f"<user><name>{name}</name><password>$0${PASSWORD}</password></user>" for name in (*GROUPS, "dave", "tom")
    )
    members = "".join(
        f"<group><name>{group}</name><user-name>{name}</user-name></group>" for name, group in GROUPS.items()
    )
    configure(
        everybody["admin"],
        f'<system xmlns="{SYSTEM}"><authentication>{people}</authentication></system>'
        f'<nacm xmlns="{ACM}"><groups>{members}</groups></nacm>',
    )
    yield everybody
    for session in everybody.sessions.values():
        session.close_session()
    server.end(signal.SIGTERM)


Rules = Callable[..., None]


@pytest.fixture
def rules(users: Users) -> Iterator[Rules]:
    """Rules for tom, who is in the group testers; afterwards all is as it was."""
    admin = users["admin"]
    site = admin.get_config("running").data_ele.find(f"{{{EMAN}}}energy-management")
    site.set(f"{{{BASE}}}operation", "replace")

    def put(*each: str, defaults: str = "", group: str = "testers") -> None:
        listed = "".join(f"<rule><name>r{place}</name>{rule}</rule>" for place, rule in enumerate(each))
        configure(
            admin,
            f'<nacm xmlns="{ACM}">{defaults or "<exec-default>permit</exec-default>"}'
            "<groups><group><name>testers</name><user-name>tom</user-name></group></groups>"
            f'<rule-list nc:operation="replace"><name>tests</name><group>{group}</group>{listed}</rule-list></nacm>',
        )

    yield put
    defaults = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in (
            *[("enable-nacm", "true"), ("read-default", "permit"), ("write-default", "deny"), ("exec-default", "deny")],
            ("groups", '<group nc:operation="remove"><name>testers</name></group>'),
        )
    )
    rule_list = '<rule-list nc:operation="remove"><name>tests</name></rule-list>'
    configure(admin, f'<nacm xmlns="{ACM}">{defaults}{rule_list}</nacm>{etree.tostring(site).decode()}')


def said(action: str, accesses: str, about: str = "") -> str:
    return f"{about}<access-operations>{accesses}</access-operations><action>{action}</action>"


def rpc(name: str, module: str = "ietf-netconf") -> str:
    return f"<module-name>{module}</module-name><rpc-name>{name}</rpc-name>"


def path(text: str) -> str:
    return f'<path xmlns:em="{EMAN}" xmlns:sys="{SYSTEM}">{text}</path>'


def edit(session: manager.Manager, inner: str, target: str = "running") -> None:
    content = f'<energy-management xmlns="{EMAN}"><entities>{inner}</entities></energy-management>'
    config = f'<config xmlns="{BASE}" xmlns:nc="{BASE}">{content}</config>'
    session.edit_config(target=target, config=config)


def role(id_: str, text: str) -> str:
    return f"<entity><id>{id_}</id><role>{text}</role></entity>"


def denied(call: Callable[[], object]) -> RPCError:
    with pytest.raises(RPCError) as refused:
        call()
    found: list[RPCError] = getattr(refused.value, "errors", [refused.value])  # where there are several
    assert {error.tag for error in found} == {"access-denied"}
    return found[0]


def counter(users: Users, what: str) -> int:
    data = users["admin"].get(filter=("subtree", f'<nacm xmlns="{ACM}"><denied-{what}/></nacm>')).data_ele
    return int(data.findtext(f".//{{{ACM}}}denied-{what}"))


# --- the rules a new server has --------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.4.1", "rfc8341-3.4.2")
@pytest.mark.req("rfc8341-3.3.2")
def test_whoever_is_in_no_group_does_nothing(users: Users) -> None:
    """A new server lets users without a group log in and close their session; reading, editing, control are denied."""
    dave = users["dave"]
    for call in (
        dave.get,
        lambda: dave.get_config("running"),
        lambda: edit(dave, role("pdu-a", "mine")),
        lambda: set_state(dave, "srv-07", "dmtf-on"),
        lambda: dave.lock("running"),
    ):
        denied(call)
    other = users.server.connect(username="dave", password=PASSWORD)
    assert other.close_session().ok


@pytest.mark.req("d9.1", "r9.1")
def test_monitors_read_and_do_nothing_else(users: Users) -> None:
    """The group monitor reads all that is no secret."""
    ann = users["ann"]
    assert "pdu-a" in texts(ann, f"{ENTITIES}/eman:id")
    whole = etree.tostring(ann.get().data_ele).decode()
    assert "$6$" not in whole
    assert f'xmlns="{ACM}"' not in whole
    assert ann.get_schema("eman-entity").data
    for call in (
        lambda: edit(ann, role("pdu-a", "mine")),
        lambda: set_state(ann, "srv-07", "dmtf-on"),
        lambda: ann.lock("running"),
        lambda: ann.kill_session("1"),
    ):
        denied(call)


def test_monitors_ask_what_would_be(users: Users) -> None:
    """Members of monitor may ask what would be if a strip failed, which changes nothing; who is in no group may not."""
    ask = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">'
        '<topology xmlns="urn:eman:yang:eman-topology"><what-if><assume><entity>pdu-a</entity></assume></what-if>'
        "</topology></energy-management></action>"
    )
    answer = etree.fromstring(users["ann"].dispatch(etree.fromstring(ask)).xml.encode())
    assert "gw-1" in {node.text for node in answer.iter("{*}entity")}
    denied(lambda: users["dave"].dispatch(etree.fromstring(ask)))


def test_monitors_ask_about_the_past(users: Users) -> None:
    """Members of monitor may ask how much energy flowed; who is in no group may not."""
    (since,) = texts(users["ann"], entity("pdu-a", "/emm:energy/emm:start-time"))
    ask = (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}"><entities><entity>'
        f'<id>pdu-a</id><energy-between xmlns="{NS["emser"]}"><start-time>{since}</start-time></energy-between>'
        "</entity></entities></energy-management></action>"
    )
    answer = etree.fromstring(users["ann"].dispatch(etree.fromstring(ask)).xml.encode())
    assert float(answer.findtext("{*}received")) >= 0
    denied(lambda: users["dave"].dispatch(etree.fromstring(ask)))


def test_figures_are_corrected_by_those_who_configure(users: Users) -> None:
    """Who switches may not change what a bill is made of; members of configure may, and are heard."""
    correction = (
        "<correct-energy xmlns='urn:eman:yang:eman-series'><start-time>2020-01-01T00:00:00Z</start-time>"
        "<end-time>2020-01-02T00:00:00Z</end-time><received>1</received><reason>test</reason></correct-energy>"
    )
    for user in ("ann", "bob"):
        denied(lambda user=user: act(users[user], "pdu-a", correction))  # type: ignore[misc]
    with pytest.raises(RPCError) as refused:
        act(users["carol"], "pdu-a", correction)
    assert refused.value.tag == "data-missing"


def test_operators_control_and_do_not_edit(users: Users) -> None:
    """The group operate calls the actions, on entities, supplies and groups."""
    bob = users["bob"]
    assert "pdu-a" in texts(bob, f"{ENTITIES}/eman:id")
    assert set_state(bob, "srv-07", "dmtf-on").findtext("{*}request-id") is not None
    assert try_battery(bob, "ups-1", "string-1").findtext("{*}request-id") is not None
    denied(lambda: edit(bob, role("pdu-a", "mine")))


def test_those_who_configure_change_neither_users_nor_rules(users: Users, rules: Rules) -> None:
    """The group configure edits and controls; users, access rules and the server itself stay the administrator's."""
    rules(defaults="<exec-default>deny</exec-default>")  # and what is edited is put back
    carol = users["carol"]
    edit(carol, role("pdu-a", "fresh"))
    assert texts(carol, entity("pdu-a", "/eman:role")) == ["fresh"]
    assert set_state(carol, "srv-07", "dmtf-on").findtext("{*}request-id") is not None
    member = "<groups><group><name>operate</name><user-name>eve</user-name></group></groups>"
    own = "<authentication><user><name>admin</name><password>$0$mine now</password></user></authentication>"
    for content in (f'<nacm xmlns="{ACM}">{member}</nacm>', f'<system xmlns="{SYSTEM}">{own}</system>'):
        denied(lambda content=content: configure(carol, content))


def test_those_who_configure_look_for_devices(users: Users) -> None:
    """The group configure may have the server ask addresses, the group operate may not."""
    using = '<using><modbus xmlns="urn:eman:yang:eman-backend-modbus"><port>1</port></modbus></using>'
    call = etree.fromstring(
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><energy-management xmlns="{EMAN}">'
        '<backends xmlns="urn:eman:yang:eman-backend"><control><discover><address>127.0.0.1</address>'
        f"{using}</discover></control></backends></energy-management></action>"
    )
    denied(lambda: users["bob"].dispatch(call))
    assert "<asked" in users["carol"].dispatch(call).xml


def test_those_who_configure_see_commits_and_undo_them(users: Users, rules: Rules) -> None:
    """The group configure reads the list of commits, not what they hold, and reverts what it may edit."""
    rules(defaults="<exec-default>deny</exec-default>")
    carol = users["carol"]

    def newest(user: str) -> list[int]:
        ids = ("xpath", ({"s": SERVER}, "/s:eman-server/s:commits/s:commit/s:id"))
        return sorted(int(node.text) for node in users[user].get(filter=ids).data_ele.iter(f"{{{SERVER}}}id"))

    def revert(to: int) -> None:
        carol.dispatch(etree.fromstring(f'<revert xmlns="{SERVER}"><to>{to}</to></revert>'))

    before = newest("carol")[-1]
    assert newest("bob") == []
    edit(carol, role("pdu-a", "wrong"))
    revert(before)
    assert texts(carol, entity("pdu-a", "/eman:role")) != ["wrong"]
    show = f'<eman-server xmlns="{SERVER}"><commits><commit><id>{before}</id><show/></commit></commits></eman-server>'
    action = etree.fromstring(f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{show}</action>')
    denied(lambda: carol.dispatch(action))
    denied(lambda: revert(1))  # which would undo rules and users


@pytest.mark.req("rfc8341-3.3.3")
def test_the_administrator_is_the_recovery_user(users: Users, rules: Rules) -> None:
    """No rule for all groups binds the user of the bootstrap file, who reads secrets and mends the rules."""
    members = "<groups><group><name>testers</name><user-name>admin</user-name></group></groups>"
    configure(users["admin"], f'<nacm xmlns="{ACM}">{members}</nacm>')
    rules(said("deny", "*"), group="*", defaults="<read-default>deny</read-default><exec-default>deny</exec-default>")
    whole = etree.tostring(users["admin"].get_config("running").data_ele).decode()
    assert "$6$" in whole
    assert "read-default" in whole
    denied(users["tom"].get)


# --- operations ------------------------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.4.3", "rfc8341-3.4.4")
def test_exec_get(users: Users, rules: Rules) -> None:
    """A rule about an operation denies it, by name and module; others are still called, and denials are counted."""
    rules(said("deny", "exec", rpc("get")), said("deny", "exec", rpc("get-config", "ietf-other")))
    before = counter(users, "operations")
    refused = denied(users["tom"].get)
    assert (refused.type, refused.severity) == ("protocol", "error")
    assert "tom may not call get" in (refused.message or "")
    assert users["tom"].get_config("running").data_ele is not None
    assert counter(users, "operations") == before + 1


@pytest.mark.req("rfc8341-3.2.10")
def test_kill_session(users: Users, rules: Rules) -> None:
    """Ending others' sessions needs a rule, whatever exec-default says."""
    rules()
    number = users.server.connect(username="ann", password=PASSWORD).session_id
    denied(lambda: users["tom"].kill_session(number))
    rules(said("permit", "exec", rpc("kill-session")))
    assert users["tom"].kill_session(number).ok


@pytest.mark.req("rfc8341-3.3.2")
def test_rule_wildcard_groups(users: Users, rules: Rules) -> None:
    """A rule list for the group * is for everybody who is in some group, and for nobody else."""
    rules(said("deny", "exec", rpc("get")), group="*")
    denied(users["tom"].get)
    assert users["dave"].get().data_ele is not None


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.3.4")
def test_read_default(users: Users, rules: Rules) -> None:
    """With read-default deny nothing is read, silently."""
    rules(defaults="<read-default>deny</read-default><exec-default>permit</exec-default>")
    assert len(users["tom"].get().data_ele) == 0
    assert len(users["tom"].get_config("running").data_ele) == 0


@pytest.mark.req("rfc8341-3.3.5", "rfc8341-3.4.5")
def test_read_default_allow_path(users: Users, rules: Rules) -> None:
    """One entity is opened by its path; the others by no rule."""
    rules(
        said("permit", "read", path(PATHS["pdu"])),
        said("deny", "read", path(PATHS["entity"])),
        said("permit", "read", path("/em:energy-management")),
        defaults="<read-default>deny</read-default><exec-default>permit</exec-default>",
    )
    tom = users["tom"]
    assert texts(tom, f"{ENTITIES}/eman:id") == ["pdu-a"]
    assert [etree.QName(node).localname for node in tom.get().data_ele] == ["energy-management"]
    assert texts(tom, entity("pdu-b", "/eman:id")) == []


def test_get_config(users: Users, rules: Rules) -> None:
    """A path that is denied is left out of <get> and <get-config> alike, with all below it."""
    rules(said("deny", "read", path("/em:energy-management")))
    assert users["tom"].get().data_ele.find(f"{{{EMAN}}}energy-management") is None
    assert users["tom"].get_config("running").data_ele.find(f"{{{EMAN}}}energy-management") is None


@pytest.mark.req("rfc8341-3.2.1")
def test_later_operations(users: Users, rules: Rules) -> None:
    """get-data leaves out what may not be read, and edit-data is judged by what it would change."""
    rules(said("deny", "read", path(PATHS["entity"] + "[em:id='lamp-03']")))
    store = f'<datastore xmlns:ds="{DATASTORES}">ds:running</datastore>'
    tom = users["tom"]
    told = tom.dispatch(etree.fromstring(f'<get-data xmlns="{NMDA}">{store}</get-data>')).xml
    assert "<id>lamp-04</id>" in told
    assert "<id>lamp-03</id>" not in told
    content = f'<energy-management xmlns="{EMAN}"><entities>{role("pdu-a", "mine")}</entities></energy-management>'
    edit_data = f'<edit-data xmlns="{NMDA}">{store}<config>{content}</config></edit-data>'
    denied(lambda: tom.dispatch(etree.fromstring(edit_data)))


@pytest.mark.req("rfc8341-3.2.4")
def test_get_config_filter(users: Users, rules: Rules) -> None:
    """A filter for what is denied is answered with nothing, not with an error."""
    rules(said("deny", "read", path(PATHS["role"])))
    roles = entity("phone-01", "[eman:role='telephony']/eman:role")
    assert texts(users["admin"], roles) == ["telephony"]
    assert texts(users["tom"], roles) == []
    subtree = f'<energy-management xmlns="{EMAN}"><entities><entity><id>phone-01</id><role/></entity></entities>'
    data = users["tom"].get_config("running", filter=("subtree", f"{subtree}</energy-management>")).data_ele
    assert data.findtext(f".//{{{EMAN}}}role") is None


@pytest.mark.parametrize(
    "asked",
    [
        ("xpath", f"{ENTITIES}[eman:role='telephony']/eman:id"),
        ("xpath", f"{ENTITIES}[starts-with(eman:role, 't')]/eman:id"),
        ("xpath", f"{ENTITIES}[count(//eman:role[.='telephony']) = 6]/eman:id"),
        ("subtree", "<role>telephony</role><id/>"),
    ],
)
def test_xpath_filter_denied(users: Users, rules: Rules, asked: tuple[str, str]) -> None:
    """No condition on what is denied selects anything: a filter is never an oracle."""
    rules(said("deny", "read", path(PATHS["role"])))
    kind, text = asked
    inside = f'<energy-management xmlns="{EMAN}"><entities><entity>{text}</entity></entities></energy-management>'
    filter_ = ("subtree", inside) if kind == "subtree" else ("xpath", (NS, text))

    def ids(user: str) -> int:
        return len(list(users[user].get(filter=filter_).data_ele.iter(f"{{{EMAN}}}id")))

    assert ids("admin") > 0
    assert ids("tom") == 0


@pytest.mark.req("rfc8341-3.3.5")
def test_filter_key_list(users: Users, rules: Rules) -> None:
    """One leaf of one entry is hidden, that of others is not."""
    rules(said("deny", "read", path(PATHS["entity"] + "[em:id='phone-01']/em:role")))
    roles = f"{ENTITIES}[eman:role='telephony']/eman:id"
    assert texts(users["tom"], roles) == [f"phone-{number:02}" for number in range(2, 7)]
    assert one(users["tom"], entity("phone-01", "/eman:id")) == "phone-01"


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.2.5", "rfc8341-3.4.3")
def test_edit_config(users: Users, rules: Rules) -> None:
    """With write-default deny an edit is refused, with the path of the node, and counted; nothing of it is done."""
    rules()
    before = counter(users, "data-writes")
    refused = denied(lambda: edit(users["tom"], role("pdu-a", "mine")))
    assert (refused.type, refused.path) == (
        "application",
        "/eman:energy-management/eman:entities/eman:entity[eman:id='pdu-a']/eman:role",
    )
    assert counter(users, "data-writes") == before + 1
    assert texts(users["admin"], entity("pdu-a", "/eman:role")) != ["mine"]


def test_edit_config_permit(users: Users, rules: Rules) -> None:
    """A rule for a path permits to create, change and delete it, and what is on the way needs no rule."""
    rules(said("permit", "create update delete", path(PATHS["role"])))
    tom = users["tom"]
    edit(tom, role("pdu-a", "one"))
    edit(tom, role("pdu-a", "two"))
    assert texts(tom, entity("pdu-a", "/eman:role")) == ["two"]
    edit(tom, '<entity><id>pdu-a</id><role nc:operation="delete"/></entity>')
    denied(lambda: edit(tom, "<entity><id>pdu-a</id><description>x</description></entity>"))


@pytest.mark.req("rfc8341-3.2.2")
def test_edit_config_update(users: Users, rules: Rules) -> None:
    """Who may update may neither create nor delete."""
    rules(said("permit", "update", path(PATHS["role"])))
    tom, admin = users["tom"], users["admin"]
    edit(admin, role("pdu-a", "one"))
    edit(tom, role("pdu-a", "two"))
    denied(lambda: edit(tom, '<entity><id>pdu-a</id><role nc:operation="remove"/></entity>'))
    edit(admin, '<entity><id>pdu-a</id><role nc:operation="remove"/></entity>')
    denied(lambda: edit(tom, role("pdu-a", "three")))


@pytest.mark.req("rfc8341-3.2.5")
def test_edit_config_subtree(users: Users, rules: Rules) -> None:
    """A subtree comes and goes as a whole: one node in it that is denied denies all of it."""
    rules(said("deny", "create delete", path(PATHS["role"])), said("permit", "*", path(PATHS["entity"])))
    tom = users["tom"]
    edit(tom, "<entity><id>new</id><name>New</name></entity>")
    denied(lambda: edit(tom, role("newer", "x")))
    edit(users["admin"], role("new", "x"))
    denied(lambda: edit(tom, '<entity nc:operation="delete"><id>new</id></entity>'))


@pytest.mark.req("rfc8341-3.4.5")
def test_what_the_model_marks_needs_a_rule_of_its_own(users: Users, rules: Rules) -> None:
    """default-deny-write and default-deny-all stand against write-default permit."""
    permissive = "<write-default>permit</write-default><exec-default>permit</exec-default>"
    rules(defaults=permissive)
    tom = users["tom"]
    edit(tom, role("srv-07", "x"))
    vital = "<entity><id>srv-07</id><vital>true</vital></entity>"
    assert (denied(lambda: edit(tom, vital)).path or "").endswith("/eman:vital")
    denied(lambda: configure(tom, f'<nacm xmlns="{ACM}"><read-default>deny</read-default></nacm>'))
    rules(said("permit", "create update", path(PATHS["entity"] + "/em:vital")), defaults=permissive)
    edit(tom, vital)


@pytest.mark.req("rfc8341-3.2.6")
def test_copy_config_is_judged_by_what_it_changes(users: Users, rules: Rules) -> None:
    """A whole configuration in place of running needs permission for the nodes that differ, and no others."""
    rules(said("permit", "*", path(PATHS["role"])), said("permit", "read", path("/")))
    tom = users["tom"]
    source = etree.Element(f"{{{BASE}}}source")
    config = tom.get_config("running").data_ele
    config.tag = f"{{{BASE}}}config"
    source.append(config)
    place = f".//{{{EMAN}}}entity[{{{EMAN}}}id='phone-01']/{{{EMAN}}}"
    config.find(f"{place}role").text = "fax"
    assert tom.copy_config(source=source, target="running").ok
    assert texts(tom, entity("phone-01", "/eman:role")) == ["fax"]
    config.find(f"{place}id").getparent().append(etree.fromstring(f'<description xmlns="{EMAN}">x</description>'))
    denied(lambda: tom.copy_config(source=source, target="running"))


# --- the candidate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def candidate(users: Users, rules: Rules) -> Iterator[Rules]:
    """Rules for tom; what is left in the candidate is discarded, before and after."""

    def put(*each: str, defaults: str = "") -> None:
        users["admin"].discard_changes()
        rules(*each, defaults=defaults)

    yield put
    users["admin"].discard_changes()


@pytest.mark.req("rfc8341-3.2.8")
def test_commit(users: Users, candidate: Rules) -> None:
    """A commit is judged by what it changes in running, whoever put that into the candidate."""
    candidate()
    tom = users["tom"]
    assert tom.commit().ok
    edit(users["admin"], role("pdu-a", "drafted"), "candidate")
    refused = denied(tom.commit)
    assert (refused.path or "").endswith("[eman:id='pdu-a']/eman:role")
    candidate(said("permit", "create update", path(PATHS["role"])))
    edit(users["admin"], role("pdu-a", "drafted"), "candidate")
    assert tom.commit().ok
    assert texts(tom, entity("pdu-a", "/eman:role")) == ["drafted"]


@pytest.mark.req("rfc8341-3.2.5")
def test_edit_config_of_the_candidate(users: Users, candidate: Rules) -> None:
    """An edit of the candidate is judged when it is made."""
    candidate(said("permit", "*", path(PATHS["role"])))
    edit(users["tom"], role("pdu-a", "drafted"), "candidate")
    denied(lambda: edit(users["tom"], "<entity><id>pdu-a</id><name>x</name></entity>", "candidate"))


@pytest.mark.req("rfc8341-3.2.9")
def test_discard_changes(users: Users, candidate: Rules) -> None:
    """Discarding needs permission to call it, and none for the data."""
    candidate()
    edit(users["admin"], role("pdu-a", "drafted"), "candidate")
    assert users["tom"].discard_changes().ok
    whole = etree.tostring(users["admin"].get_config("candidate").data_ele).decode()
    assert "drafted" not in whole
    candidate(said("deny", "exec", rpc("discard-changes")))
    denied(users["tom"].discard_changes)


@pytest.mark.req("rfc8341-3.2.6")
def test_copy_config_ds2ds_fail_read(users: Users, candidate: Rules) -> None:
    """What may not be read of the source is left out of the copy."""
    permissive = "<write-default>permit</write-default><exec-default>permit</exec-default>"
    candidate(
        said("deny", "read", path(PATHS["role"])),
        said("permit", "*", "<module-name>ietf-netconf-acm</module-name>"),
        said("permit", "*", path("/")),
        defaults=permissive,
    )
    assert users["tom"].copy_config(source="running", target="candidate").ok
    copied = users["admin"].get_config("candidate").data_ele
    phone = copied.find(f".//{{{EMAN}}}entity[{{{EMAN}}}id='phone-01']")
    assert phone is not None
    assert phone.find(f"{{{EMAN}}}role") is None


def test_copy_config_ds2ds_fail_write(users: Users, candidate: Rules) -> None:
    """A copy over running is judged by the nodes that differ."""
    candidate(said("permit", "read", path("/")))
    edit(users["admin"], role("pdu-a", "drafted"), "candidate")
    tom = users["tom"]
    denied(lambda: tom.copy_config(source="candidate", target="running"))
    candidate(said("permit", "read", path("/")), said("permit", "create update", path(PATHS["role"])))
    edit(users["admin"], role("pdu-a", "drafted"), "candidate")
    assert tom.copy_config(source="candidate", target="running").ok
    assert texts(tom, entity("pdu-a", "/eman:role")) == ["drafted"]


# --- startup ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """A server with a startup configuration, as it is installed; tom configures."""
    server = prepare(tmp_path_factory.mktemp("keeping"))
    with server.config.open("a") as file:
        file.write("\n[datastores]\nstartup = true\n")
    everybody = Users(server.start())
    configure(
        everybody["admin"],
        f'<system xmlns="{SYSTEM}"><authentication><user><name>tom</name><password>$0${PASSWORD}</password></user>'
        f'</authentication></system><nacm xmlns="{ACM}"><groups><group><name>configure</name>'
        "<user-name>tom</user-name></group></groups></nacm>",
    )
    yield everybody
    for session in everybody.sessions.values():
        session.close_session()
    server.end(signal.SIGTERM)


@pytest.mark.req("rfc8341-3.2.6")
def test_copy_config_running2startup(keeping: Users) -> None:
    """Keeping running as startup needs permission to call it, and none for the data, readable or not."""
    assert keeping["tom"].copy_config(source="running", target="startup").ok
    kept = etree.tostring(keeping["admin"].get_config("startup").data_ele).decode()
    assert "$6$" in kept
    denied(lambda: keeping["tom"].copy_config(source="startup", target="running"))


@pytest.mark.req("rfc8341-3.2.7")
def test_delete_config(keeping: Users) -> None:
    """Deleting a whole datastore needs a rule, whatever exec-default says."""
    tom, admin = keeping["tom"], keeping["admin"]
    configure(admin, f'<nacm xmlns="{ACM}"><exec-default>permit</exec-default></nacm>')
    denied(lambda: tom.delete_config("startup"))
    call = f"<rule><name>call</name>{said('permit', 'exec', rpc('delete-config'))}</rule>"
    data = f"<rule><name>data</name>{said('permit', 'delete', path('/'))}</rule>"
    named = "<name>deleting</name>"
    configure(
        admin,
        f'<nacm xmlns="{ACM}"><rule-list xmlns:yang="urn:ietf:params:xml:ns:yang:1" yang:insert="first">{named}'
        f"<group>configure</group>{call}{data}</rule-list></nacm>",
    )
    assert tom.delete_config("startup").ok
    removed = f'<rule-list nc:operation="remove">{named}</rule-list>'
    configure(admin, f'<nacm xmlns="{ACM}"><exec-default>deny</exec-default>{removed}</nacm>')


# --- rules that cannot be meant --------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.3.5")
def test_a_rule_may_be_about_whoever_asks(users: Users, rules: Rules) -> None:
    """$USER in a path is the user of the session: here everybody sees his own account alone, and sets its password."""
    account = "/sys:system/sys:authentication/sys:user"
    rules(
        said("permit", "read update", path(f"{account}[sys:name=$USER]")),
        said("deny", "read", path(account)),
    )
    tom = users["tom"]

    def own(name: str) -> str:
        user = f"<user><name>{name}</name><password>$0${PASSWORD}, tom</password></user>"
        return f'<system xmlns="{SYSTEM}"><authentication>{user}</authentication></system>'

    data = tom.get_config("running", filter=("subtree", f'<system xmlns="{SYSTEM}"/>')).data_ele
    assert [node.text for node in data.iterfind(f".//{{{SYSTEM}}}user/{{{SYSTEM}}}name")] == ["tom"]
    denied(lambda: configure(tom, own("ann")))
    configure(tom, own("tom"))
    users.server.connect(username="tom", password=f"{PASSWORD}, tom").close_session()
    configure(users["admin"], own("tom").replace(", tom", ""))


def test_a_rule_that_leads_nowhere_is_refused(users: Users, rules: Rules) -> None:
    """The path of a rule must name nodes of the models."""
    with pytest.raises(RPCError, match="entitty is no node below") as refused:
        rules(said("deny", "read", path("/em:energy-management/em:entities/em:entitty")))
    assert refused.value.tag == "invalid-value"


# --- actions ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.1.3")
def test_an_action_is_permitted_for_one_instance(users: Users, rules: Rules) -> None:
    """Read and exec on the control container of one entity lets a user control it, and no other."""
    control = PATHS["entity"] + "[em:id='srv-07']/em:control"
    for accesses in ("exec", "read"):
        rules(said("permit", accesses, path(control)))
        denied(lambda: set_state(users["tom"], "srv-07", "dmtf-on"))
    rules(said("permit", "read exec", path(control)))
    assert set_state(users["tom"], "srv-07", "dmtf-on").findtext("{*}request-id") is not None
    refused = denied(lambda: set_state(users["tom"], "srv-08", "dmtf-on"))
    assert "[eman:id='srv-08']" in (refused.path or "")


@pytest.mark.req("rfc8341-3.1.3")
def test_an_action_needs_what_it_stands_in_to_be_read(users: Users, rules: Rules) -> None:
    """Who may not read an entity may not control it, and is not told whether it exists."""
    rules(
        said("deny", "read", path(PATHS["entity"] + "[em:id='srv-07']")),
        said("deny", "read", path(PATHS["entity"] + "[em:id='nobody']")),
        said("permit", "*", path("/")),
    )
    told = [denied(lambda id_=id_: set_state(users["tom"], id_, "dmtf-on")).message for id_ in ("srv-07", "nobody")]
    assert told[0] == told[1]
    assert set_state(users["tom"], "srv-08", "dmtf-on").findtext("{*}request-id") is not None


# --- notifications ---------------------------------------------------------------------------------------------------


@contextmanager
def subscribed(users: Users, user: str) -> Iterator[manager.Manager]:
    """A session of its own that listens to everything."""
    login = {} if user == "admin" else {"username": user, "password": PASSWORD}
    with users.server.connect(**login) as session:
        assert session.create_subscription().ok
        yield session


def heard(session: manager.Manager, last: str) -> list[str]:
    """The notifications that come, each as XML, up to one that holds ``last``."""
    told: list[str] = []
    while not told or last not in told[-1]:
        notification = session.take_notification(timeout=PATIENCE)
        assert notification is not None, f"nothing with {last!r} came, only {told}"
        told.append(notification.notification_xml)
    return told


@pytest.mark.req("rfc8341-3.4.6")
def test_a_notification_may_be_denied_by_its_name(users: Users, rules: Rules) -> None:
    """Rules are asked for each receiver; what is denied is dropped, and counted."""
    rules(said("deny", "read", "<notification-name>netconf-config-change</notification-name>"))
    before = counter(users, "notifications")
    with subscribed(users, "tom") as tom, subscribed(users, "admin") as admin:
        edit(users["admin"], role("pdu-a", "told"))
        assert "netconf-config-change" in heard(admin, "netconf-config-change")[-1]
        users.server.connect().close_session()
        assert not [each for each in heard(tom, "netconf-session-end") if "netconf-config-change" in each]
    assert counter(users, "notifications") > before


@pytest.mark.req("rfc8341-3.4.6", "rfc8341-3.1.3")
def test_nobody_hears_of_what_he_may_not_read(users: Users, rules: Rules) -> None:
    """A notification about an entity goes to those who may read that entity, and not to the others."""
    rules(said("deny", "read", path(PATHS["entity"] + "[em:id='lamp-03']")))
    with subscribed(users, "tom") as tom, subscribed(users, "admin") as admin:
        for lamp in ("lamp-03", "lamp-04"):
            set_state(users["admin"], lamp, other_state(users["admin"], lamp))
            heard(admin, f"<entity>{lamp}</entity>")
        assert not [each for each in heard(tom, "<entity>lamp-04</entity>") if "lamp-03" in each]


def other_state(session: manager.Manager, lamp: str) -> str:
    """A state that a lamp is not in."""
    now = one(session, entity(lamp, "/emps:power-state/emps:oper-state")) or ""
    return "ieee1621-on" if now.endswith("off") else "ieee1621-off"


# --- all of it -------------------------------------------------------------------------------------------------------


@pytest.mark.req("rfc8341-3.3.4")
def test_enforcement_can_be_switched_off(users: Users, rules: Rules) -> None:
    """With enable-nacm false everybody may do everything; who may write /nacm decides that."""
    rules()
    off = f'<nacm xmlns="{ACM}"><enable-nacm>false</enable-nacm></nacm>'
    denied(lambda: configure(users["tom"], off))
    configure(users["admin"], off)
    edit(users["dave"], role("pdu-a", "anybody's"))
    assert f'xmlns="{ACM}"' in etree.tostring(users["dave"].get_config("running").data_ele).decode()


def test_what_is_wrong_is_told_without_what_is_hidden(users: Users, rules: Rules) -> None:
    """A loop through an entity that the user may not read is refused without naming what is in it."""
    hidden = path(PATHS["pdu"])
    rules(said("deny", "read", hidden), said("permit", "create update delete", path("/em:energy-management")))
    admin, tom = users["admin"], users["tom"]
    inside = "<entity><id>{}</id><contained-in>{}</contained-in></entity>"
    edit(admin, inside.format("pdu-a", "ups-1"))
    told = []
    for session in (admin, tom):
        with pytest.raises(RPCError) as refused:
            edit(session, inside.format("ups-1", "pdu-a"))
        assert refused.value.app_tag == "containment-loop"
        told.append(refused.value.message)
    assert told[0] == "An entity cannot be a part of itself: ups-1 in pdu-a in ups-1."
    assert told[1] == "An entity cannot be a part of itself."
