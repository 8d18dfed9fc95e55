"""One device of each kind on one server, while they are killed, stopped, restarted and replaced by others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.equipment.site import equipped
from tests.equipment.trial import Trial

pytestmark = pytest.mark.slow


def test_every_device_survives_every_fault(tmp_path: Path) -> None:
    """Whatever happens to three of them at a time, the others are read on, nothing old is told as new, no energy comes
    or goes, no order is carried out twice, each outage is told once, and in the end everything is as it is."""
    with equipped(tmp_path) as site:
        trial = Trial(site, random.randrange(1 << 32))
        print(f"seed {trial.seed}")
        trial.lap(each=2)
        print(trial.summary())
        assert trial.errors == []
