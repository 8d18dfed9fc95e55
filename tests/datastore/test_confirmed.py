"""The confirmed commit: its table, and a walk over all it can meet, with restarts and a wall clock that jumps."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eman_netconf.datastore import confirmed
from eman_netconf.datastore.candidate import edit_candidate
from eman_netconf.datastore.commit import cancel_commit, commit, commit_candidate, roll_back_due
from eman_netconf.datastore.confirmed import TABLE, Action, Ask, ConfirmedCommit, Input, State
from eman_netconf.datastore.datastores import Author, Confirmation, Datastores
from eman_netconf.datastore.edit import Edited, apply_edit
from eman_netconf.datastore.storage import Storage
from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.datastore.toy import MODELS, Disk, config, plain

SCHEMA = compile_schema(["toy"], [MODELS])
ROLLING_BACK = {Action.CANCEL, Action.TIMEOUT}


def test_every_input_has_its_answer_in_every_state() -> None:
    """Only what needs something that waits is missing from the table where nothing does."""
    needing = {Input.STRANGER, Input.SESSION_END, Input.TIMEOUT, Input.RESTART}
    everything = set(product(State, Input))
    assert everything - TABLE.keys() == {(State.IDLE, said) for said in needing}


def test_refusals_change_nothing() -> None:
    """What is refused leaves the machine where it was; what rolls back or completes leaves it idle."""
    for (state, _), (after, action) in TABLE.items():
        if action in (Action.REFUSE, Action.NONE):
            assert after is state
        if action in ROLLING_BACK | {Action.COMPLETE}:
            assert after is State.IDLE


def test_a_token_is_told_to_nobody(toy: Schema) -> None:
    """Those who are refused while a persistent confirmed commit waits do not learn its token."""
    waiting = ConfirmedCommit(Inner(toy.root), 0, 1, "the-token", 10.0)
    for ask in (Ask(2), Ask(1), Ask(2, persist_id="other"), Ask(2, cancel=True)):
        with pytest.raises(RpcError) as refused:
            confirmed.decide(waiting, ask)
        assert "the-token" not in str(refused.value)
        assert refused.value.tag == (ErrorTag.IN_USE if ask.persist_id is None else ErrorTag.INVALID_VALUE)


@dataclass
class Waiting:
    """What the model knows of a confirmed commit that waits."""

    before: str
    session: int
    token: str | None
    deadline: float


SESSIONS = st.integers(1, 3)
TOKENS = st.sampled_from([None, "a", "b"])
TIMEOUTS = st.integers(1, 20)


class Walk(RuleBasedStateMachine):
    """A server with its disk beside a model that holds two strings."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="eman-walk-"))
        self.runner = asyncio.Runner()
        self.mono = 0.0
        self.wall = 1e9
        self.count = 0
        self.running = ""
        self.candidate: str | None = None
        self.waiting: Waiting | None = None
        self.told: list[Confirmation] = []
        self.open()

    def open(self) -> None:
        self.storage = Storage(self.directory, SCHEMA)
        found = self.storage.recover(lambda _root: [], self.wall)
        self.datastores = Datastores(
            SCHEMA, found.root, found.generation, journal=Disk(self.storage), writer=asyncio.Lock()
        )
        self.datastores.confirmations.append(self.told.append)

    def teardown(self) -> None:
        self.storage.close()
        self.runner.close()
        shutil.rmtree(self.directory)

    def author(self, session: int) -> Author:
        return Author("u", session, self.wall)

    def new(self) -> str:
        self.count += 1
        return str(self.count)

    def undo(self) -> None:
        assert self.waiting is not None
        self.running, self.waiting = self.waiting.before, None

    def expect(self, event: Action | None) -> None:
        told = [each.event for each in self.told]
        assert told == ([] if event is None else [event]), (told, event)
        self.told.clear()

    @rule(session=SESSIONS)
    def edit_the_candidate(self, session: int) -> None:
        text = self.new()
        edit = edit_candidate(self.datastores, motto(text), self.author(session), lambda _change: None)
        self.runner.run(edit)
        self.candidate = text

    @rule(session=SESSIONS)
    def edit_running(self, session: int) -> None:
        text = self.new()
        edit = commit(self.datastores, motto(text), self.author(session), lambda _change: None)
        if self.waiting is not None and self.waiting.session != session:
            with pytest.raises(RpcError, match="waits to be confirmed"):
                self.runner.run(edit)
        else:
            self.runner.run(edit)
            self.running = text

    @rule(session=SESSIONS, persist_id=TOKENS, confirm=st.booleans(), persist=TOKENS, timeout=TIMEOUTS)
    def commit_the_candidate(
        self, session: int, persist_id: str | None, confirm: bool, persist: str | None, timeout: int
    ) -> None:
        ask = Ask(session, confirm, timeout, persist if confirm else None, persist_id)
        asked = commit_candidate(self.datastores, self.author(session), lambda _change: None, ask, self.mono)
        if not self.may(session, persist_id):
            with pytest.raises(RpcError):
                self.runner.run(asked)
            self.expect(None)
            return
        self.runner.run(asked)
        before, waiting = self.running, self.waiting
        self.running = before if self.candidate is None else self.candidate
        self.candidate = None
        deadline = self.mono + timeout
        if not confirm:
            self.waiting = None
            self.expect(None if waiting is None else Action.COMPLETE)
        elif waiting is None:
            self.waiting = Waiting(before, session, persist, deadline)
            self.expect(Action.START)
        else:
            self.waiting = Waiting(waiting.before, session, persist or waiting.token, deadline)
            self.expect(Action.EXTEND)

    @rule(session=SESSIONS, persist_id=TOKENS)
    def cancel(self, session: int, persist_id: str | None) -> None:
        asked = cancel_commit(self.datastores, self.author(session), Ask(session, persist_id=persist_id, cancel=True))
        if self.waiting is None or not self.may(session, persist_id):
            with pytest.raises(RpcError):
                self.runner.run(asked)
            self.expect(None)
        else:
            self.runner.run(asked)
            self.undo()
            self.expect(Action.CANCEL)

    def may(self, session: int, persist_id: str | None) -> bool:
        if self.waiting is None:
            return persist_id is None
        if self.waiting.token is None:
            return persist_id is None and session == self.waiting.session
        return persist_id == self.waiting.token

    @rule(session=SESSIONS)
    def end_a_session(self, session: int) -> None:
        self.datastores.release(session)
        mine = self.waiting is not None and self.waiting.session == session
        temporary = self.waiting is not None and self.waiting.token is None
        self.fire()
        if self.waiting is not None and mine:
            if temporary:
                self.undo()
                self.expect(Action.CANCEL)
            else:
                self.waiting.session = 0

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds
        self.fire()
        if self.waiting is not None and self.waiting.deadline <= self.mono:
            self.undo()
            self.expect(Action.TIMEOUT)

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.wall += seconds
        self.fire()
        self.expect(None)

    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.open()
        if self.waiting is not None:
            self.undo()
        self.candidate = None
        assert self.datastores.confirmed is None

    def fire(self) -> None:
        """What the shell does when ``next_timer`` is due."""
        due = self.datastores.next_timer()
        if due is not None and due <= self.mono:
            self.runner.run(roll_back_due(self.datastores, self.wall, self.mono))

    @invariant()
    def as_the_model_says(self) -> None:
        assert plain(self.datastores.running) == (f"<motto>{self.running}</motto>" if self.running else "")
        assert (self.datastores.confirmed is None) == (self.waiting is None)
        if self.waiting is not None:
            assert self.datastores.next_timer() == self.waiting.deadline


def motto(text: str) -> Callable[[Inner], Edited]:
    return lambda root: apply_edit(root, config(f"<motto>{text}</motto>"), SCHEMA)


Walk.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWalk = Walk.TestCase
