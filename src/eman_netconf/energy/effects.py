"""What the energy core asks of the shell: send, poll, notify, tell what changed, audit."""

from __future__ import annotations

from dataclasses import dataclass

from eman_netconf.energy.samples import Recorded
from eman_netconf.energy.values import Answer, Command, Magic
from eman_netconf.yang.tree import Inner


@dataclass(frozen=True, slots=True)
class Send:
    """Give ``command`` to its backend, once; answer with ``Domain.outcome``."""

    command: Command


@dataclass(frozen=True, slots=True)
class Wake:
    """Send a magic packet to wake ``entity``, once; answer with ``Domain.outcome`` of ``command``."""

    command: int
    entity: str
    magic: Magic


@dataclass(frozen=True, slots=True)
class Poll:
    """Read this backend at once rather than at its next turn."""

    backend: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Publish ``notification``. ``entity`` is the one it is about, whose readers may get it; "" = about a backend."""

    notification: Inner
    entity: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One part of an entity's data is not what it was; ``part`` is the name of a child of ``entity``, or "entity"."""

    entity: str
    part: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The devices have answered every command that request ``id`` sends now, so the one who asked can be told."""

    request: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Audit:
    """Something that belongs into the audit log: who did what to which entity, and how it went."""

    at: float  # wall-clock seconds
    by: str
    entity: str
    event: str  # one sentence


@dataclass(frozen=True, slots=True)
class Record:
    """Keep this for later: samples of series, energy that is known late, a series that began or ended."""

    what: Recorded


@dataclass(frozen=True, slots=True)
class Warn:
    """Something an operator should find in the log: one sentence, said once and not each time it happens."""

    text: str


Effect = Send | Wake | Poll | Notify | Changed | Answered | Audit | Record | Warn
