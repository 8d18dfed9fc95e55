"""How much may be configured of one thing, so that a reading of it, or a commit, keeps nobody waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from eman_netconf.errors import AppTag, ErrorTag
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.types import TypeFault
from tests.operations.bench import bench, edit, error

E = "urn:eman:yang:eman-entity"
SELECTED = '<quantity xmlns:t="urn:eman:yang:eman-types">t:active-power</quantity>'


@pytest.mark.parametrize(
    ("name", "module", "leaves"),
    [
        ("threshold", "eman-threshold", "<direction>above</direction><level>1</level>"),
        ("series", "eman-series", "<length>1</length>"),
    ],
)
async def test_what_is_watched_of_one_thing_is_bounded(
    tmp_path: Path, schema: Schema, name: str, module: str, leaves: str
) -> None:
    """An entity has five hundred thresholds and as many series, and not one more."""

    def config(count: int) -> str:
        listed = "".join(
            f'<{name} xmlns="urn:eman:yang:{module}"><name>n{number}</name>{SELECTED}{leaves}</{name}>'
            for number in range(count)
        )
        return edit(
            f'<energy-management xmlns="{E}"><entities><entity><id>srv</id>{listed}</entity></entities>'
            "</energy-management>"
        )

    async with bench(tmp_path, schema) as server:
        peer = await server.peer()
        assert (await peer.rpc(config(500))).ok
        assert error(await peer.rpc(config(501))).app_tag == AppTag.TOO_MANY_ELEMENTS


@pytest.mark.parametrize("leaf", ["min-on-time", "min-off-time"])
async def test_nobody_is_kept_from_switching_for_ever(tmp_path: Path, schema: Schema, leaf: str) -> None:
    """A thing that was switched may be switched back after a week at the latest."""

    def config(seconds: str) -> str:
        return edit(
            f'<energy-management xmlns="{E}"><entities><entity><id>srv</id>'
            f'<power-state xmlns="urn:eman:yang:eman-power-state"><pacing><{leaf}>{seconds}</{leaf}></pacing>'
            "</power-state></entity></entities></energy-management>"
        )

    async with bench(tmp_path, schema) as server:
        peer = await server.peer()
        assert (await peer.rpc(config("604800"))).ok
        assert error(await peer.rpc(config("604800.001"))).tag == ErrorTag.INVALID_VALUE


@pytest.mark.parametrize(("leaf", "most"), [("hold-time", "2678400"), ("shutdown-timeout", "86400")])
def test_wishes_are_remembered_for_a_time(schema: Schema, leaf: str, most: str) -> None:
    """A wish holds for a month at most, so that those of long ago wait for nothing."""
    for action in (
        "eman-power-state:control/set-power-state",
        "eman-power-interface:power-interface/control/switch-supply",
    ):
        entity = schema.find("/eman-entity:energy-management/entities/entity")
        *above, name = action.split("/")
        node = entity
        for step in above:
            node = node.child(step.rpartition(":")[2])
        (found,) = (each for each in node.actions.values() if each.name == name)
        kind = found.child("input").child(leaf).type
        assert kind is not None
        assert kind.parse_canonical(most)
        with pytest.raises(TypeFault):
            kind.parse_canonical(f"{most}.001")
