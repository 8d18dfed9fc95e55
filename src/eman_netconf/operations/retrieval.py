"""What a reading operation answers: a tree as its reader may see it, with defaults as he wants them, filtered.

The plain way, explicit values of all that a filter selects, sends the bytes that nodes remember; each wish beyond it
is a view of the tree, made entry by entry while the answer is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    readable = server.judge.readable(session, root)
    breathe = server.datastores.breathe
    trim = asked.mode is Mode.TRIM
    filling = asked.mode in (Mode.REPORT_ALL, Mode.REPORT_ALL_TAGGED)
    if asked.sieve.open and not trim and not filling and not asked.origins:
        return await paced(settling(asked.selection, readable), breathe)
    view = readable
    if filling:
        view = reported(server.schema, view, state=asked.state)
    if asked.rule is not None:
        view = sourced(view, server.datastores.running, asked.rule)
    pick = asked.selection.pick
    if pick is None:
        assert asked.selection.expression is not None
        pick = await paced(picking(asked.selection.expression, readable), breathe)
    sieve = asked.sieve if not trim else Sieve(asked.sieve.depth, asked.sieve.config, asked.sieve.origin, trim=True)
    tagged = asked.mode is Mode.REPORT_ALL_TAGGED
    return joined(Annotated(tagged=tagged, origins=asked.origins).slices(extract(pick, view, sieve)))
