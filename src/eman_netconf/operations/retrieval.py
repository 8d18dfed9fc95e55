"""What a reading operation answers: a tree as its reader may see it, with defaults as he wants them, filtered.

The plain way, explicit values of all that a filter selects, sends the bytes that nodes remember; each wish beyond it
is a view of the tree, made entry by entry while the answer is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from eman_netconf.datastore.commit import paced
from eman_netconf.datastore.evaluate import picking
from eman_netconf.datastore.extract import ALL, Sieve, extract
from eman_netconf.datastore.select import EVERYTHING, Selection, joined, settling
from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.operations.ports import Request, Server
from eman_netconf.yang.annotated import Annotated
from eman_netconf.yang.defaults import Mode, reported
from eman_netconf.yang.origin import Rule, sourced
from eman_netconf.yang.tree import Inner


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants of a tree; ``state`` tells that it holds state, ``rule`` whence its configuration is."""

    selection: Selection = EVERYTHING
    mode: Mode = Mode.EXPLICIT
    state: bool = False
    sieve: Sieve = ALL
    rule: Rule | None = None
    origins: bool = False  # shown in the answer; needs a rule


def mode_of(request: Request, otherwise: Mode = Mode.EXPLICIT) -> Mode:
    """The parameter with-defaults (RFC 6243 section 4.5.1)."""
    said = request.input.leaf("with-defaults")
    return otherwise if said is None else Mode(said)


async def answer(server: Server, session: SessionInfo, root: Inner, asked: Asked) -> Iterator[bytes]:
    """The content of <data>, in slices made while they are sent.

    Filters see no more than ``session`` may read. Raises RpcError as ``select.stream``.
    """
    breathe = server.datastores.breathe
    running = server.datastores.running
    if asked.mode in (Mode.REPORT_ALL, Mode.REPORT_ALL_TAGGED):
        # before anything is hidden: a hidden value must not look like one that was never set
        root = reported(server.schema, root, state=asked.state)
    readable = server.judge.readable(session, root)
    if asked.sieve.open and asked.mode in (Mode.EXPLICIT, Mode.REPORT_ALL) and not asked.origins:
        return await paced(settling(asked.selection, readable), breathe)
    pick = asked.selection.pick
    if pick is None:
        assert asked.selection.expression is not None
        pick = await paced(picking(asked.selection.expression, readable), breathe)
    view = readable if asked.rule is None else sourced(readable, running, asked.rule)
    sieve = replace(asked.sieve, trim=asked.mode is Mode.TRIM)
    tagged = asked.mode is Mode.REPORT_ALL_TAGGED
    return joined(Annotated(tagged=tagged, origins=asked.origins).slices(extract(pick, view, sieve)))
