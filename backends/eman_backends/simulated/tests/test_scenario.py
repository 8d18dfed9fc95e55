"""Scenario files: what they may say, and how they say what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eman_backends.simulated.scenario import LARGEST, ScenarioError, load, parse
from eman_backends.simulated.tests.sites import DEMO

GRID = {"id": "grid", "kind": "feed", "inlets": {"in": {}}, "outlets": [{"name": "out-{#}", "copies": [1, 3]}]}


def small(*entities: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"entity": [GRID, *entities], **rest}


def test_copies_are_numbered_in_ids_wires_and_words() -> None:
    """{n}, {nn} and {n+2} stand for the number of the copy, {#} for that of an outlet."""
    lamp = {"id": "lamp-{nn}", "copies": [1, 2], "inlets": {"in": "grid/out-{n+1}"}, "context": {"name": "Lamp {n}"}}
    scenario = parse("it", small(lamp))
    assert [entity.id for entity in scenario.entities] == ["grid", "lamp-01", "lamp-02"]
    assert scenario.entity("lamp-02").context["name"] == "Lamp 2"
    assert scenario.wires[scenario.wire("lamp-02", "in").source or 0].name == "out-3"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "'entity' is missing"),
        ({"entity": [{"kind": "load"}]}, "'id' is missing"),
        (small({"id": "a b"}), "'a b' is not an entity id"),
        (small({"id": "grid"}), "two entities grid"),
        (small({"id": "x", "inlets": {"in": "grid/nowhere"}}), "no outlet grid/nowhere"),
        (small({"id": "x", "inlets": {"in": "grid/in"}}), "no outlet grid/in"),
        (small({"id": "x", "kind": "reactor"}), "'reactor' is not a valid Kind"),
        (small({"id": "x", "colour": "red"}), "colour"),
        (small({"id": "x", "load": {"watts": 1, "joy": 2}}), "joy"),
        (
            small({"id": "x", "states": {"set": "dmtf", "dark": "dmtf-off-hard", "states": {"dmtf-on": {}}}}),
            "dmtf-off-hard",
        ),
        (small(context={"ghost": {"name": "x"}}), "no such entity"),
        (small({"id": "x", "copies": [1, 6000]}), "two entities x"),
        (small({"id": "x{n}", "copies": [1, 6000]}), "more than 5000"),
        (small({"id": "x", "inlets": "grid/out-1"}), "it: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(document: dict[str, Any], complaint: str) -> None:
    """Every fault is a ScenarioError that names the scenario and the thing."""
    with pytest.raises(ScenarioError) as caught:
        parse("it", document)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loop_of_supply_is_refused() -> None:
    """Two strips that feed each other cannot stand."""
    one = {"id": "one", "inlets": {"in": "two/out"}, "outlets": [{"name": "out"}]}
    two = {"id": "two", "inlets": {"in": "one/out"}, "outlets": [{"name": "out"}]}
    with pytest.raises(ScenarioError, match="in a loop"):
        parse("it", small(one, two))


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """A missing, a broken, a binary and a huge file each say so."""
    with pytest.raises(ScenarioError, match=r"cannot be read.*there is demo"):
        load(str(tmp_path / "none.toml"))
    for content, complaint in (
        (b"[[entity]\n", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"#" * (LARGEST + 1), "larger"),
    ):
        path = tmp_path / "bad.toml"
        path.write_bytes(content)
        with pytest.raises(ScenarioError, match=complaint):
            load(str(path))


def test_a_box_that_is_not_there_is_named_with_those_that_are() -> None:
    """Asking for an unknown box, or for something inside another box, lists the boxes."""
    for name in ("pdu-z", "phone-01"):
        with pytest.raises(ScenarioError, match=f"no box '{name}'; it has feed-a, feed-b"):
            DEMO.box(name)


def test_the_demo_site_is_the_one_that_is_promised() -> None:
    """The demo has its boxes and entities by their names, every source before what it feeds."""
    assert DEMO.boxes() == [
        *("feed-a", "feed-b", "pv-1", "meter-1", "ats-1", "ups-1", "pdu-a", "pdu-b"),
        *(f"srv-{number:02}" for number in range(1, 13)),
        *("sw-1", "gw-1"),
    ]
    behind = {name: [entity.id for entity in DEMO.box(name)[1:]] for name in ("sw-1", "gw-1")}
    assert behind["gw-1"] == [f"lamp-{number:02}" for number in range(1, 9)]
    assert behind["sw-1"] == [
        *(f"phone-{number:02}" for number in range(1, 7)),
        *(f"cam-{number:02}" for number in range(1, 5)),
        *(f"ap-{number:02}" for number in range(1, 5)),
    ]
    place = {index: position for position, index in enumerate(DEMO.order)}
    for wire in DEMO.wires:
        if wire.source is not None:
            assert place[DEMO.wires[wire.source].owner] < place[wire.owner]
