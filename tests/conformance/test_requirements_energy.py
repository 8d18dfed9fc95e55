"""RFC 6988 sections 5.3 and 7.3 asked of sums over NETCONF: how far they may be off, and that nothing counts twice."""

from __future__ import annotations

from decimal import Decimal
from math import hypot, isclose, sqrt

import pytest
from lxml import etree
from ncclient import manager

from tests.conformance.conftest import BACKENDS, NS, all_read, texts, until
from tests.conformance.site import number

_ROUNDED = Decimal("0.011")  # percent are told to the hundredth
_POLLS = f"{BACKENDS}/embe:link/embe:polls"
_WHOLE = '<energy-management xmlns="urn:eman:yang:eman-entity"/>'


def totals(whole: etree._Element, leaf: str) -> list[etree._Element]:
    """The domains and groups that tell ``leaf`` of their power."""
    found = [*whole.iterfind(".//emgrp:domain", NS), *whole.iterfind(".//emgrp:group", NS)]
    told = [total for total in found if total.find(f"emgrp:power/emgrp:{leaf}", NS) is not None]
    assert told, f"no total tells {leaf}"
    return told


def contributors(whole: etree._Element, total: etree._Element) -> list[etree._Element]:
    """The entries of the entities that a total names as its contributors."""
    named = {leaf.text for leaf in total.iterfind("emgrp:contributor", NS)}
    found = [entry for entry in whole.iterfind(".//eman:entity", NS) if entry.findtext("eman:id", None, NS) in named]
    assert len(found) == len(named)
    return found


@pytest.fixture
def whole(client: manager.Manager) -> etree._Element:
    """The whole site in one answer while no device was read, so that sums and their parts are of one moment."""
    all_read(client)

    def of_one_moment() -> list[etree._Element]:
        before = texts(client, _POLLS)
        told: etree._Element = client.get(filter=("subtree", _WHOLE)).data_ele
        return [told] if texts(client, _POLLS) == before else []

    return until(of_one_moment, "nothing is read while the site is told")[0]


@pytest.mark.req("d5.3.4", "r5.3.4")
def test_a_sum_tells_how_far_it_may_be_off(whole: etree._Element) -> None:
    """The accuracy of a total is the root of the squares of its contributors', and its bound their plain sum."""
    checked = 0
    for total in totals(whole, "accuracy-bound"):
        parts = [part.find("emm:power", NS) for part in contributors(whole, total)]
        if any(part is None or part.find("emm:accuracy-bound", NS) is not None for part in parts):
            continue  # the bound of a sum of sums is that of the parts of the parts
        off = [abs(number(part, "emm:active")) * number(part, "emm:accuracy") for part in parts]
        watts = abs(number(total, "emgrp:power/emgrp:active"))
        assert abs(sum(off) / watts - number(total, "emgrp:power/emgrp:accuracy-bound")) < _ROUNDED
        square = Decimal(sqrt(sum(each * each for each in off))) / watts
        assert abs(square - number(total, "emgrp:power/emgrp:accuracy")) < _ROUNDED
        checked += 1
    assert checked


@pytest.mark.req("d5.3.7", "r5.3.7")
def test_complex_power_of_a_sum(whole: etree._Element) -> None:
    """A total tells reactive power where all contributors do: their sum, a side of one triangle with its others."""
    for total in totals(whole, "reactive"):
        told = total.find("emgrp:power", NS)
        active, reactive, apparent = (number(told, f"emgrp:{name}") for name in ("active", "reactive", "apparent"))
        assert isclose(hypot(active, reactive), apparent, abs_tol=0.01)
        if apparent:
            assert abs(active / apparent - number(told, "emgrp:power-factor")) < Decimal("0.0002")
        parts = [part.find("emm:power/emm:reactive", NS) for part in contributors(whole, total)]
        known = [Decimal(part.text) for part in parts if part is not None]
        assert abs(sum(known) - reactive) < Decimal("0.01")


@pytest.mark.req("d7.3", "r7.3")
def test_no_watt_counts_twice(whole: etree._Element) -> None:
    """A total is the sum of its contributors to the milliwatt, and none of them is fed by, or inside, another one."""
    for total in totals(whole, "active"):
        parts = contributors(whole, total)
        known = [Decimal(leaf.text) for part in parts for leaf in part.iterfind("emm:power/emm:active", NS)]
        assert abs(sum(known) - number(total, "emgrp:power/emgrp:active")) < Decimal("0.001")
        names = {part.findtext("eman:id", None, NS) for part in parts}
        for part in parts:
            assert part.findtext("eman:contained-in", None, NS) not in names
            for wire in part.iterfind("empi:power-interface/empi:connected-to", NS):
                if wire.findtext("empi:peer-role", None, NS) == "source":
                    assert wire.findtext("empi:entity", None, NS) not in names
