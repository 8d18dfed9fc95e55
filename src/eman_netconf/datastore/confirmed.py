"""The confirmed commit (RFC 6241 section 8.4): a commit that is rolled back unless it is confirmed in time.

A pure state machine. Time is an argument, in seconds of a clock that nobody sets, so that a stepped wall clock neither
fires a roll-back nor forgets it. What outlives the process is in the journal: ``storage`` rolls back what was not
confirmed there, whatever ended the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hmac import compare_digest
from types import MappingProxyType
from typing import Final

from eman_netconf.errors import ErrorInfo, ErrorTag, ErrorType, RpcError
from eman_netconf.yang.tree import Inner

#: Seconds until a confirmed commit is rolled back when the client does not say (section 8.4.5.1).
TIMEOUT: Final = 600


class State(StrEnum):
    """What waits for its confirmation."""

    IDLE = "idle"  # nothing
    TEMPORARY = "temporary"  # ends with the session that made it
    PERSISTENT = "persistent"  # whoever knows its token may go on with it


class Input(StrEnum):
    """What can happen."""

    COMMIT = "commit"
    CONFIRMED = "confirmed-commit"
    PERSISTED = "confirmed-commit-with-persist"
    CANCEL = "cancel-commit"
    STRANGER = "request-of-another"  # by a session that did not make it and gives no persist-id
    WRONG_ID = "wrong-persist-id"
    SESSION_END = "session-end"  # of the session that made it
    TIMEOUT = "timeout"
    RESTART = "restart"


class Action(StrEnum):
    """What to do about it; the names of RFC 6470's confirm-event where there is one."""

    NONE = "none"
    COMMIT = "commit"  # as if there were no confirmed commits
    START = "start"
    EXTEND = "extend"
    COMPLETE = "complete"
    CANCEL = "cancel"  # roll back
    TIMEOUT = "timeout"  # roll back
    REFUSE = "refuse"


_PENDING: Final = {
    (state, said): following
    for state in (State.TEMPORARY, State.PERSISTENT)
    for said, following in {
        Input.COMMIT: (State.IDLE, Action.COMPLETE),
        Input.CONFIRMED: (state, Action.EXTEND),
        Input.PERSISTED: (State.PERSISTENT, Action.EXTEND),
        Input.CANCEL: (State.IDLE, Action.CANCEL),
        Input.STRANGER: (state, Action.REFUSE),
        Input.WRONG_ID: (state, Action.REFUSE),
        Input.TIMEOUT: (State.IDLE, Action.TIMEOUT),
        Input.RESTART: (State.IDLE, Action.CANCEL),
    }.items()
}

#: (state, input) -> (next state, action); what is not here cannot happen.
TABLE: Final[Mapping[tuple[State, Input], tuple[State, Action]]] = MappingProxyType(
    {
        (State.IDLE, Input.COMMIT): (State.IDLE, Action.COMMIT),
        (State.IDLE, Input.CONFIRMED): (State.TEMPORARY, Action.START),
        (State.IDLE, Input.PERSISTED): (State.PERSISTENT, Action.START),
        (State.IDLE, Input.CANCEL): (State.IDLE, Action.REFUSE),
        (State.IDLE, Input.WRONG_ID): (State.IDLE, Action.REFUSE),
        **_PENDING,
        (State.TEMPORARY, Input.SESSION_END): (State.IDLE, Action.CANCEL),
        (State.PERSISTENT, Input.SESSION_END): (State.PERSISTENT, Action.NONE),
    }
)


@dataclass(frozen=True, slots=True)
class ConfirmedCommit:
    """One that waits: what to go back to, and who may go on with it.

    ``before`` is running as it was, with its ``generation``; ``session`` made the latest confirmed commit, or is 0
    when it has gone; ``deadline`` in seconds of the clock that nobody sets; ``ended`` when the roll-back is due at
    once since the session has gone.
    """

    before: Inner
    generation: int
    session: int
    token: str | None
    deadline: float
    ended: bool = False

    @property
    def state(self) -> State:
        return State.TEMPORARY if self.token is None else State.PERSISTENT

    def due(self, mono: float) -> bool:
        return self.ended or mono >= self.deadline


@dataclass(frozen=True, slots=True)
class Ask:
    """What a <commit> or <cancel-commit> asks for; ``timeout`` in seconds."""

    session: int
    confirmed: bool = False
    timeout: int = TIMEOUT
    persist: str | None = None
    persist_id: str | None = None
    cancel: bool = False


def state(waiting: ConfirmedCommit | None) -> State:
    """Where the machine stands."""
    return State.IDLE if waiting is None else waiting.state


def read(waiting: ConfirmedCommit | None, ask: Ask) -> Input:
    """What a request is to the machine."""
    if ask.persist_id is not None:
        if waiting is None or waiting.token is None or not _same(ask.persist_id, waiting.token):
            return Input.WRONG_ID
    elif waiting is not None and (waiting.token is not None or waiting.session != ask.session):
        return Input.STRANGER
    if ask.cancel:
        return Input.CANCEL
    if not ask.confirmed:
        return Input.COMMIT
    return Input.CONFIRMED if ask.persist is None else Input.PERSISTED


def decide(waiting: ConfirmedCommit | None, ask: Ask) -> Action:
    """What to do about a request.

    Raises RpcError: in-use, invalid-value for a wrong persist-id, operation-failed when there is nothing to cancel.
    """
    said = read(waiting, ask)
    _, action = TABLE[state(waiting), said]
    if action is not Action.REFUSE:
        return action
    if said is Input.WRONG_ID:
        raise RpcError(
            ErrorTag.INVALID_VALUE,
            "No confirmed commit waits under this persist-id; give the value its persist parameter had.",
            type=ErrorType.PROTOCOL,
            info=(ErrorInfo("bad-element", "persist-id"),),
        )
    if waiting is None:
        raise RpcError(
            ErrorTag.OPERATION_FAILED,
            "No confirmed commit waits to be confirmed: there is nothing to cancel.",
            type=ErrorType.PROTOCOL,
        )
    raise in_use(waiting)


def following(
    waiting: ConfirmedCommit | None, ask: Ask, action: Action, running: Inner, generation: int, mono: float
) -> ConfirmedCommit | None:
    """What waits after a request that was not refused; ``running`` and ``generation`` as before it."""
    if action is Action.START:
        return ConfirmedCommit(running, generation, ask.session, ask.persist, mono + ask.timeout)
    if action is Action.EXTEND:
        assert waiting is not None
        token = waiting.token if ask.persist is None else ask.persist
        return replace(waiting, session=ask.session, token=token, deadline=mono + ask.timeout)
    return None


def session_ended(waiting: ConfirmedCommit, session: int) -> ConfirmedCommit:
    """What waits when a session has gone; it is due at once when it was that session's."""
    if session != waiting.session:
        return waiting
    _, action = TABLE[waiting.state, Input.SESSION_END]
    return replace(waiting, session=0, ended=action is not Action.NONE)


def in_use(waiting: ConfirmedCommit) -> RpcError:
    """What is told to others meanwhile."""
    if waiting.token is None:
        who = f"A confirmed commit of session {waiting.session} waits to be confirmed"
        wait = "wait until that session confirms or cancels it, or its time is over"
    else:
        who = "A persistent confirmed commit waits to be confirmed"
        wait = "confirm or cancel it with its persist-id, or wait until its time is over"
    return RpcError(
        ErrorTag.IN_USE, f"{who}; running is not changed by others until then: {wait}.", type=ErrorType.PROTOCOL
    )


def _same(given: str, token: str) -> bool:
    return compare_digest(given.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))
