"""Values as canonical YANG text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.energy.canonical import stamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-2_000_000_000_000, 4_000_000_000_000))
def test_a_stamp_names_its_instant(milliseconds: int) -> None:
    """A stamp is the instant in UTC to the millisecond, before 1970 too; whole seconds have no fraction."""
    text = stamp(milliseconds / 1000)
    assert datetime.fromisoformat(text) == EPOCH + timedelta(milliseconds=milliseconds)
    assert len(text) == (20 if milliseconds % 1000 == 0 else 24)
