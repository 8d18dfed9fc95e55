"""RFC 8526: get-data and edit-data, of each datastore by its name (RFC 8342).

The conventional datastores hold what was configured; <operational> holds what is in use: configuration of things that
are there, what devices told, what the server made itself, defaults, and all state. Its answers tell defaults unless
the client wants otherwise, for what is not there is not in use (RFC 8342 section 5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eman_netconf.datastore.attributes import Operation
from eman_netconf.datastore.edit import Edited, Steps, editing
from eman_netconf.datastore.extract import Sieve
from eman_netconf.datastore.select import EVERYTHING, Selection, compile_subtree, compile_xpath
from eman_netconf.energy.origins import Origins
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.messages.rpc import Data, Ok, Reply
from eman_netconf.operations import url
from eman_netconf.operations.editing import edit, storing
from eman_netconf.operations.ports import Handler, Request, Server
from eman_netconf.operations.retrieval import Asked, answer, mode_of
from eman_netconf.operations.targets import OPERATIONAL, conventional
from eman_netconf.yang.defaults import Mode
from eman_netconf.yang.instance import Element
from eman_netconf.yang.origin import Origin
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner

NMDA_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
CAPABILITY = "urn:ietf:params:netconf:capability:"
CAPABILITIES = (
    f"{CAPABILITY}with-defaults:1.0?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim",
    f"{CAPABILITY}with-operational-defaults:1.0",
)


async def get_data(server: Server, request: Request) -> Reply:
    """Read a datastore (section 3.1.1)."""
    name = str(request.input.leaf("datastore"))
    selection = _selection(server.schema, request.element)
    said = request.input.leaf
    depth = said("max-depth") or "unbounded"
    config = said("config-filter")
    sieve = Sieve(
        depth=None if depth == "unbounded" else int(depth),
        config=None if config is None else config == "true",
        origin=_origin_filter(server.schema, request.input),
    )
    if name != OPERATIONAL:
        root = server.datastores.tree(conventional(server, name, OPERATIONAL))
        asked = Asked(selection, mode_of(request), sieve=sieve)
    else:
        origins = Origins.of(server.schema)
        root = origins.in_use(server.datastores.operational())
        with_origin = said("with-origin") is not None
        asked = Asked(
            selection,
            mode_of(request, otherwise=Mode.REPORT_ALL),
            state=True,
            sieve=sieve,
            rule=origins.rule if with_origin or sieve.origin is not None else None,
            origins=with_origin,
        )
    return Data(await answer(server, request.session, root, asked), NMDA_NS)


def _selection(schema: Schema, element: Element) -> Selection:
    """The choice filter-spec. Raises RpcError."""
    subtree = element.find(f"{{{NMDA_NS}}}subtree-filter")
    if subtree is not None:
        return compile_subtree(subtree, schema)
    path = element.find(f"{{{NMDA_NS}}}xpath-filter")
    return EVERYTHING if path is None else compile_xpath(path.text or "", path.nsmap, schema)


def _origin_filter(schema: Schema, given: Inner) -> Callable[[Origin], bool] | None:
    """The choice origin-filters: whether an origin is, or derives from, one of those wanted or not wanted."""
    for name, wanted in (("origin-filter", True), ("negated-origin-filter", False)):
        bases = given.at(name)
        if isinstance(bases, tuple):
            named = (origin for origin in Origin if any(schema.derived(origin, base, or_self=True) for base in bases))
            passing = frozenset(named) if wanted else frozenset(Origin).difference(named)
            return passing.__contains__
    return None


async def edit_data(server: Server, request: Request) -> Reply:
    """Change a datastore that can be written (section 3.1.2); all of it or nothing."""
    datastore = conventional(server, str(request.input.leaf("datastore")))
    found = request.element.find(f"{{{NMDA_NS}}}config")
    config = found if found is not None else await url.read(server, request.input.leaf("url") or "")
    operation = Operation(request.input.leaf("default-operation") or Operation.MERGE)

    def change(root: Inner) -> Steps[Edited]:
        transform = storing(server, request.session)
        return editing(root, config, server.schema, default_operation=operation, transform=transform)

    await edit(server, request.session, datastore, change)
    return Ok()


def refused(error: RpcError) -> None:
    """with-origin of a datastore that has no origins is an invalid value (module ietf-netconf-nmda)."""
    if error.tag is ErrorTag.UNKNOWN_ELEMENT and any(info.value == "with-origin" for info in error.info):
        error.tag = ErrorTag.INVALID_VALUE
        error.message = "with-origin can be asked of the datastore operational alone."


HANDLERS: Mapping[tuple[str, str], Handler] = {(NMDA_NS, "get-data"): get_data, (NMDA_NS, "edit-data"): edit_data}

#: What an RFC says of errors in the parameters of one of its operations, where it differs from RFC 7950.
REFUSALS: Mapping[tuple[str, str], Callable[[RpcError], None]] = {(NMDA_NS, "get-data"): refused}
