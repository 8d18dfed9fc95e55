"""Alarms in the shell: what is wrong is asked of the energy core whenever it may be something else, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from eman_netconf.alarms.register import Register
from eman_netconf.datastore.datastores import Datastores
from eman_netconf.energy.conditions import Sort, Subject, about_total
from eman_netconf.energy.effects import Notify
from eman_netconf.operations.alarms import AlarmsShown, actions
from eman_netconf.operations.ports import ActionHandler
from eman_netconf.server.energy import Energy
from eman_netconf.yang.schema import Schema

log = logging.getLogger(__name__)


class Alarms:
    """The register of a server. ``publish`` tells notifications to the event stream.

    To be made before the energy core starts, which then restores the records of the register.
    """

    def __init__(
        self, schema: Schema, energy: Energy, datastores: Datastores, publish: Callable[[Notify], None]
    ) -> None:
        self._register = Register(schema)
        self._energy = energy
        self._publish = publish
        self._judged = False
        self._missed: set[Subject] = set()  # with something wrong that has no room on the list
        shown = AlarmsShown(self._register)
        shown.configure(datastores.running)
        datastores.participants.append(shown)
        datastores.sources.append(shown)
        energy.keepers["alarms"] = self._register
        energy.troubled.append(self._judge)

    def actions(self) -> Mapping[tuple[str, str], ActionHandler]:
        """The handlers of the actions on alarms."""
        return actions(self._register)

    def _judge(self, entities: Iterable[str], backends: Iterable[str], totals: Iterable[str]) -> None:
        conditions = self._energy.domain.conditions
        entities = set(entities)
        if entities:
            entities |= conditions.dependent(entities)
        subjects = {Subject(Sort.ENTITY, id_) for id_ in entities} | {Subject(Sort.BACKEND, name) for name in backends}
        subjects |= {about_total(key) for key in totals}
        if not self._judged:  # what was wrong in an earlier life may be about what is gone
            subjects |= self._register.subjects()
            self._judged = True
        if self._missed and self._register.has_room:
            subjects |= self._missed
            self._missed.clear()
        for subject in sorted(subjects):
            self._judge_one(subject)

    def _judge_one(self, subject: Subject) -> None:
        register, conditions = self._register, self._energy.domain.conditions
        turned_away = register.turned_away
        unsure = partial(conditions.unsure, subject)
        holding, wall = conditions.holding(subject), self._energy.now().wall
        for notify in register.judge(subject, holding, unsure, wall, conditions.hush(subject)):
            self._publish(notify)
        if register.turned_away != turned_away:
            if not self._missed:
                log.warning("the list of alarms is full of such that still hold; purge those that are known")
            self._missed.add(subject)
