"""From a request to its handler: names, input, access, actions and their places."""

from __future__ import annotations

from pathlib import Path as File

import pytest

from eman_netconf.errors import YANG_NS, ErrorTag, ErrorType
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.dispatch import HANDLERS
from eman_netconf.operations.ports import Server
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner, Path, make_inner, path_text
from tests.operations.bench import NAMESPACES, Bench, bench, body, edit, error

TIDY = "<shelf xmlns='urn:toy'><control><tidy><speed>{}</speed></tidy></control></shelf>"
SWEEP = "<shelf xmlns='urn:toy'><item><id>{}</id><sweep/></item></shelf>"


def action(inside: str) -> str:
    return f"<action xmlns='{YANG_NS}'>{inside}</action>"


class Tidier:
    """A handler that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    async def __call__(self, server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner | None:
        self.asked.append((session.user, str(path_text(path)), given.leaf("speed")))
        if given.leaf("speed") is None:
            return None
        output = server.schema.find("toy:shelf/control").actions["urn:toy", "tidy"].child("output")
        return make_inner(output, {"moved": 3})


async def test_action(site: Bench) -> None:
    """An action is called with its place and input, and its output comes back."""
    tidier = site.actions["toy", "tidy"] = Tidier()
    reply = await (await site.peer()).rpc(action(TIDY.format("+7")))
    assert body(reply) == "<moved>3</moved>"
    assert tidier.asked == [("admin", "/toy:shelf/toy:control", "7")]


async def test_action_in_a_list(site: Bench) -> None:
    """An action of a list entry is called at the entry named by its keys; without output the reply is ok."""
    tidier = site.actions["toy", "sweep"] = Tidier()
    peer = await site.peer()
    await peer.rpc(edit("<shelf xmlns='urn:toy'><item><id>a</id></item></shelf>"))
    assert body(await peer.rpc(action(SWEEP.format("a")))) == "<ok/>"
    assert tidier.asked == [("admin", "/toy:shelf/toy:item[toy:id='a']", None)]


BAD_ACTIONS = {
    "an entry that is not there": (SWEEP.format("zz"), "data-missing", "/toy:shelf/toy:item[toy:id='zz']"),
    "a key that is missing": (
        "<shelf xmlns='urn:toy'><item><sweep/></item></shelf>",
        "missing-element",
        "/toy:shelf/toy:item",
    ),
    "nothing": ("", "missing-element", "None"),
    "no action at the end": ("<shelf xmlns='urn:toy'><control/></shelf>", "missing-element", "/toy:shelf/toy:control"),
    "a leaf on the way": ("<shelf xmlns='urn:toy'><limit>1</limit></shelf>", "unknown-element", "/toy:shelf"),
    "an unknown node": ("<shelf xmlns='urn:toy'><x/></shelf>", "unknown-element", "/toy:shelf"),
    "an unknown namespace": ("<shelf xmlns='urn:other'/>", "unknown-namespace", "None"),
    "two actions": (TIDY.format(1) + TIDY.format(1), "bad-element", "None"),
    "a bad input value": (TIDY.format("fast"), "invalid-value", "/toy:shelf/toy:control/toy:tidy/toy:speed"),
    "an input that is missing": (
        TIDY.replace("<speed>{}</speed>", ""),
        "missing-element",
        "/toy:shelf/toy:control/toy:tidy/toy:speed",
    ),
    "an input nobody knows": (
        TIDY.format("1</speed><speed2>1").replace("</speed></tidy>", "</speed2></tidy>"),
        "unknown-element",
        "/toy:shelf/toy:control/toy:tidy",
    ),
    "an attribute": (TIDY.format(1).replace("<tidy>", "<tidy at='once'>"), "unknown-attribute", "None"),
}


@pytest.mark.parametrize(("inside", "tag", "path"), BAD_ACTIONS.values(), ids=BAD_ACTIONS)
async def test_bad_action(site: Bench, inside: str, tag: str, path: str) -> None:
    """A call that leads nowhere or brings the wrong input is told where and why, and nothing is called."""
    tidier = site.actions["toy", "tidy"] = site.actions["toy", "sweep"] = Tidier()
    found = error(await (await site.peer()).rpc(action(inside)))
    assert (found.tag, str(found.path)) == (tag, path)
    assert tidier.asked == []


async def test_action_without_handler(site: Bench) -> None:
    """An action nobody performs is not supported."""
    found = error(await (await site.peer()).rpc(action(TIDY.format(1))))
    assert found.tag == ErrorTag.OPERATION_NOT_SUPPORTED


async def test_a_denied_action_is_not_called(site: Bench) -> None:
    """A call that no rule permits is denied before anything is called."""
    tidier = site.actions["toy", "tidy"] = Tidier()
    nothing = "<nacm xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-acm'><exec-default>deny</exec-default></nacm>"
    assert (await (await site.peer()).rpc(edit(nothing))).ok
    found = error(await (await site.peer("somebody")).rpc(action(TIDY.format(1))))
    assert (found.tag, str(found.path)) == (ErrorTag.ACCESS_DENIED, "/toy:shelf/toy:control")
    assert tidier.asked == []


UNKNOWN = {
    "an operation of a capability we lack": (f"<partial-lock {NAMESPACES}/>", ErrorTag.OPERATION_NOT_SUPPORTED),
    "an operation without a target to name": (
        f"<delete-config {NAMESPACES}><target/></delete-config>",
        ErrorTag.OPERATION_NOT_SUPPORTED,
    ),
    "an operation nobody knows": (f"<get-everything {NAMESPACES}/>", ErrorTag.OPERATION_NOT_SUPPORTED),
    "a namespace nobody knows": ("<get xmlns='urn:other'/>", ErrorTag.UNKNOWN_NAMESPACE),
    "a module's operation nobody performs": (
        "<system-restart xmlns='urn:ietf:params:xml:ns:yang:ietf-system'/>",
        ErrorTag.OPERATION_NOT_SUPPORTED,
    ),
}


@pytest.mark.parametrize(("request_", "tag"), UNKNOWN.values(), ids=UNKNOWN)
async def test_unknown_operation(site: Bench, request_: str, tag: ErrorTag) -> None:
    """What this server does not perform is said so."""
    found = error(await (await site.peer()).rpc(request_))
    assert (found.tag, found.type) == (tag, ErrorType.PROTOCOL)


E = f"<edit-config {NAMESPACES}>"
BAD_INPUT = {
    "a missing parameter": (f"{E}<config/></edit-config>", "missing-element", "/nc:edit-config/nc:target"),
    "no config": (f"{E}<target><running/></target></edit-config>", "missing-element", "/nc:edit-config"),
    "an empty target": (f"{E}<target/><config/></edit-config>", "missing-element", "/nc:edit-config/nc:target"),
    "a datastore we lack": (
        f"{E}<target><startup/></target><config/></edit-config>",
        "unknown-element",
        "/nc:edit-config/nc:target",
    ),
    "a value out of its range": (
        f"{E}<target><running/></target><default-operation>delete</default-operation><config/></edit-config>",
        "invalid-value",
        "/nc:edit-config/nc:default-operation",
    ),
    "a parameter nobody knows": (f"<get {NAMESPACES}><depth>1</depth></get>", "unknown-element", "/nc:get"),
    "a parameter twice": (f"<get {NAMESPACES}><filter/><filter/></get>", "bad-element", "/nc:get/nc:filter"),
    "an attribute": (f"<get {NAMESPACES} depth='1'/>", "unknown-attribute", "None"),
    "a session that is no number": (
        f"<kill-session {NAMESPACES}><session-id>zero</session-id></kill-session>",
        "invalid-value",
        "/nc:kill-session/nc:session-id",
    ),
}


@pytest.mark.parametrize(("request_", "tag", "path"), BAD_INPUT.values(), ids=BAD_INPUT)
async def test_bad_input(site: Bench, request_: str, tag: str, path: str) -> None:
    """A parameter that is missing, wrong or unknown is told with its place; the layer is that of the protocol."""
    found = error(await (await site.peer()).rpc(request_))
    assert (found.tag, str(found.path), found.type) == (tag, path, ErrorType.PROTOCOL)


BAD_FILTERS = {
    "an unknown type": ("<filter type='regex'/>", ErrorTag.BAD_ATTRIBUTE),
    "xpath without expression": ("<filter type='xpath'/>", ErrorTag.MISSING_ATTRIBUTE),
    "an unknown attribute": ("<filter kind='xpath'/>", ErrorTag.UNKNOWN_ATTRIBUTE),
    "an expression that cannot be read": ("<filter type='xpath' select='///'/>", ErrorTag.INVALID_VALUE),
    "an expression that gives a number": ("<filter type='xpath' select='1 + 1'/>", ErrorTag.INVALID_VALUE),
}


@pytest.mark.parametrize(("asked", "tag"), BAD_FILTERS.values(), ids=BAD_FILTERS)
async def test_bad_filter(site: Bench, asked: str, tag: ErrorTag) -> None:
    """A filter that cannot be used is an error and no answer."""
    assert error(await (await site.peer()).rpc(f"<get {NAMESPACES}>{asked}</get>")).tag == tag


NEEDS_NOTHING = frozenset(("cancel-commit", "close-session", "commit", "create-subscription", "discard-changes", "get"))


async def test_an_empty_request_is_refused_where_something_is_needed(tmp_path: File, schema: Schema) -> None:
    """No operation guesses what it was not told: a request without parameters lacks those that are mandatory."""
    async with bench(tmp_path, schema) as server:
        peer = await server.peer()
        refused = set()
        for namespace, name in HANDLERS:
            if name not in NEEDS_NOTHING:
                reply = await peer.rpc(f'<{name} xmlns="{namespace}"/>')
                refused.update((name, each.tag) for each in reply.errors)
        otherwise = {
            ("delete-config", ErrorTag.OPERATION_NOT_SUPPORTED),  # without :startup and :url
            ("partial-lock", ErrorTag.OPERATION_FAILED),  # too few elements, RFC 7950 section 15.3
        }
        assert {tag for _, tag in refused - otherwise} == {ErrorTag.MISSING_ELEMENT}
        assert {name for name, _ in refused} == {name for _, name in HANDLERS} - NEEDS_NOTHING
        assert server.datastores.generation == 0
