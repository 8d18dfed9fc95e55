"""RFC 8632: the list of alarms as state, and what operators do with it: acknowledge, close, purge, compress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from eman_netconf.alarms.alarm import OperatorState
from eman_netconf.alarms.criteria import read_criteria
from eman_netconf.alarms.register import Register
from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.evaluate import locating
from eman_netconf.errors import ErrorInfo, ErrorTag, RpcError
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import ActionHandler, Server
from eman_netconf.yang import xpath
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Data, Inner, Late, Path, make_inner, path_text
from eman_netconf.yang.xpath_functions import Returns
from eman_netconf.yang.xpath_instance import from_instance_identifier, to_instance_identifier

_MODULE = "ietf-alarms"


class AlarmsShown:
    """The container alarms as an OperationalSource, and its configuration as a Participant."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def operational(self, running: Inner) -> Iterable[tuple[SchemaNode, Data | None]]:
        trees = self._register.trees
        configured = running.children.get(trees.alarms)
        control = configured.children.get(trees.control) if isinstance(configured, Inner) else None
        return ((trees.alarms, Late(trees.alarms, partial(self._register.shown, control))),)

    def prepare(self, change: Change, new: Inner) -> None:
        pass  # the model says what may be configured

    def apply(self, change: Change, new: Inner) -> None:
        self.configure(new)

    def configure(self, running: Inner) -> None:
        """Take the configuration in force."""
        control = running.at("ietf-alarms:alarms", "control")
        self._register.configure(control if isinstance(control, Inner) else None)


def actions(register: Register) -> Mapping[tuple[str, str], ActionHandler]:
    """The handlers by module and action, for ``Server.actions``."""

    async def set_operator_state(server: Server, session: SessionInfo, path: Path, given: Inner) -> None:
        key = path[-1].key or ()
        alarm = register.find(*key)
        if alarm is None:
            raise RpcError(ErrorTag.DATA_MISSING, "The alarm was purged meanwhile.", path=path_text(path))
        state, text = OperatorState(given.leaf("state") or OperatorState.NONE), given.leaf("text")
        told = register.operate(alarm, session.user, state, text, server.wall())
        server.streams.publish(told.notification, told.entity)

    async def purge_alarms(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        count = register.purge(read_criteria(given), server.wall())
        return _output(given, "purged-alarms", count)

    async def compress_alarms(server: Server, session: SessionInfo, path: Path, given: Inner) -> Inner:
        match = await _matching(server, session, given.leaf("resource"), path)
        said = given.leaf
        count = register.compress(match, said("alarm-type-id"), said("alarm-type-qualifier"), server.wall())
        return _output(given, "compressed-alarms", count)

    return {
        (_MODULE, "set-operator-state"): set_operator_state,
        (_MODULE, "purge-alarms"): purge_alarms,
        (_MODULE, "compress-alarms"): compress_alarms,
    }


def _output(given: Inner, name: str, count: int) -> Inner:
    action = given.schema.parent
    assert action is not None
    return make_inner(action.child("output"), {name: count})


# --- resources -------------------------------------------------------------------------------------------------------


async def _matching(server: Server, session: SessionInfo, text: str | None, path: Path) -> Callable[[str], bool]:
    """Which resources a resource-match means: the instances an XPath selects of what the user may read.

    An instance-identifier also means one that is there no more. Raises RpcError.
    """
    if text is None:
        return lambda _resource: True
    prefixes = {name: module.namespace for name, module in server.schema.modules.items()}
    try:
        program = xpath.compile(text, prefixes, None, server.schema)
    except xpath.XPathFault as fault:
        raise _bad(f"The resources of alarms are instances, and {text[:200]!r} is no XPath: {fault}", path) from None
    if program.returns is not Returns.NODES:
        raise _bad(f"{text[:200]!r} gives a {program.returns}; select the resources by their path.", path)
    root = server.judge.readable(session, server.datastores.operational())
    found = {
        to_instance_identifier(each) for each in await paced(locating((program,), root), server.datastores.breathe)
    }
    try:
        named = from_instance_identifier(text, lambda prefix: prefixes.get(prefix or ""), server.schema)
    except (xpath.XPathFault, RpcError):
        return found.__contains__
    return (found | {to_instance_identifier(named)}).__contains__


def _bad(message: str, path: Path) -> RpcError:
    return RpcError(ErrorTag.INVALID_VALUE, message, path=path_text(path), info=(ErrorInfo("bad-element", "resource"),))
