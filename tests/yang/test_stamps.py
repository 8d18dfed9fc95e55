"""Instants as YANG text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.yang.stamps import stamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-2_000_000_000_000, 4_000_000_000_000))
def test_a_stamp_names_its_instant(milliseconds: int) -> None:
    """A stamp is the instant in UTC to the millisecond, before 1970 too; whole seconds have no fraction."""
    text = stamp(milliseconds / 1000)
    assert datetime.fromisoformat(text) == EPOCH + timedelta(milliseconds=milliseconds)
    assert len(text) == (20 if milliseconds % 1000 == 0 else 24)


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (9.3e15, "9999-12-31T23:59:59Z"),
        (1e300, "9999-12-31T23:59:59Z"),
        (-1e300, "1000-01-01T00:00:00Z"),
        (253_402_300_799.0, "9999-12-31T23:59:59Z"),
    ],
)
def test_stamps_end_where_dates_do(wall: float, text: str) -> None:
    """An instant that no date has, as after a wait of millions of years, is told as the last one that has."""
    assert stamp(wall) == text
