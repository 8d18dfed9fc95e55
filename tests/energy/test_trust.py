"""How far a value may be trusted of which a part is known only."""

from __future__ import annotations

import pytest

from eman_netconf.energy.samples import Mark, trusted

MEASURED, ESTIMATED, MISSING = Mark


@pytest.mark.parametrize(
    ("mark", "coverage", "of_mean", "of_energy"),
    [
        (MEASURED, 100.0, MEASURED, MEASURED),
        (MEASURED, 95.0, MEASURED, MEASURED),
        (MEASURED, 94.99, ESTIMATED, MISSING),
        (ESTIMATED, 100.0, ESTIMATED, ESTIMATED),
        (ESTIMATED, 40.0, ESTIMATED, MISSING),
        (MISSING, 100.0, MISSING, MISSING),
        (MISSING, 0.0, MISSING, MISSING),
    ],
)
def test_what_is_known_in_part(mark: Mark, coverage: float, of_mean: Mark, of_energy: Mark) -> None:
    """Below 95 percent a mean is estimated at best, and of energy some is missing."""
    assert trusted(mark, coverage, energy=False) is of_mean
    assert trusted(mark, coverage, energy=True) is of_energy
