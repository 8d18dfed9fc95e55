"""Tables are checked strictly: what is wrong is named with its file and its key."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from eman_backends.snmp import PLUGIN
from eman_backends.snmp.readings import cell, readings
from eman_backends.snmp.tables import FOLDER, Kind, Section, Table, TableError, Whole, instance, load, read
from eman_netconf.backend import Method, Point, Quantity, Supply

HEAD = 'title = "A device"\nsource = "nowhere"\nbase = "1.3.6.1"\n[match]\nprobe = ".1"\n'
OUTLET = '[[interface]]\nname = "outlet-{index}"\nrows = ".1.2"\n'


def table(tmp_path: Path, text: str, head: str = HEAD) -> Table:
    path = tmp_path / "toaster.toml"
    path.write_text(head + text, encoding="utf-8")
    return read(path)


BROKEN = {
    "no TOML at all": ("= nothing", "toaster.toml: "),
    "unknown key": ('colour = "red"', "toaster.toml: match: colour: is not known here"),
    "unknown key in a reading": (
        OUTLET + 'readings = [{ quantity = "current", oid = ".1", scael = 2 }]',
        "toaster.toml: interface[1]: readings[1]: scael: is not known here",
    ),
    "unknown quantity": (OUTLET + 'readings = [{ quantity = "heat", oid = ".1" }]', "readings[1]: quantity: 'heat'"),
    "no quantity": (OUTLET + 'readings = [{ oid = ".1" }]', "readings[1]: quantity: is missing"),
    "no OID": (OUTLET + 'readings = [{ quantity = "current", oid = ".x" }]', "readings[1]: oid: '.x' is not an OID"),
    "number without OID": (OUTLET + 'readings = [{ quantity = "current" }]', "current is a number"),
    "scale as text": (
        OUTLET + 'readings = [{ quantity = "current", oid = ".1", scale = "0.1" }]',
        "readings[1]: scale: '0.1' is not a number",
    ),
    "truth as number": (OUTLET + 'switch = { oid = ".1", on = true, off = 2 }', "switch: on: True is not a whole"),
    "switch without off": (OUTLET + 'switch = { oid = ".1", on = 1 }', "switch: switch: needs oid, on and off"),
    "switch with one number": (OUTLET + 'switch = { oid = ".1", on = 1, off = 1 }', "two numbers that differ"),
    "outlet that receives": (
        OUTLET + 'readings = [{ quantity = "active-power", oid = ".1" }]',
        "toaster.toml: interface[1]: readings: an outlet provides, so the scale",
    ),
    "outlet that counts what it receives": (
        OUTLET + 'readings = [{ quantity = "energy-received", oid = ".1" }]',
        "use energy-provided",
    ),
    "state without cases": (OUTLET + 'readings = [{ quantity = "supply-state", oid = ".1" }]', "is a state"),
    "state that is none": (
        OUTLET + 'readings = [{ quantity = "supply-state", oid = ".1", words = { 1 = "open" } }]',
        "'open' is not something supply-state can be",
    ),
    "truth that is none": (
        OUTLET + 'readings = [{ quantity = "in-use", oid = ".1", words = { 1 = "yes" } }]',
        "'yes' is not something in-use can be",
    ),
    "words for no number": (
        OUTLET + 'readings = [{ quantity = "in-use", oid = ".1", words = { one = true } }]',
        "words: has keys that are no numbers",
    ),
    "condition without a test": (
        OUTLET + 'readings = [{ quantity = "in-use", cases = [{ oid = ".1", value = true }] }]',
        "cases[1]: oid: a condition needs",
    ),
    "case without a value": (
        OUTLET + 'readings = [{ quantity = "in-use", cases = [{ oid = ".1", is = [1] }] }]',
        "cases[1]: value: is missing",
    ),
    "rows with one name": ('[[interface]]\nname = "outlet"\nrows = ".1.2"', "name: must tell the rows apart"),
    "one thing with many names": ('[[interface]]\nname = "outlet-{1}"', "name: is one name"),
    "name that is none": ('[[interface]]\nname = "an outlet"', "name: 'an outlet' is not a name"),
    "no name": ('[[battery]]\ntype = "rechargeable"', "battery[1]: name: is missing"),
    "phase without rows": ('[[interface]]\nname = "in"\nphase = "{1}"', "rows: is missing"),
    "phase that is none": ('[[interface]]\nname = "in"\nrows = ".1"\nphase = "L1"', "phase: 'L1'"),
    "frequency of a phase": (
        '[[interface]]\nname = "in"\nrows = ".1"\nphase = "{1}"\nreadings = [{ quantity = "frequency", oid = ".1" }]',
        "frequency has no phases, so whole must tell",
    ),
    "rows of a device": (
        '[[device]]\nrows = ".1"\nreadings = [{ quantity = "active-power", oid = ".1" }]',
        "active-power has many rows, so whole must tell",
    ),
    "charge of an outlet": (
        OUTLET + 'readings = [{ quantity = "charge-percent", oid = ".1" }]',
        "charge-percent does not belong to an interface",
    ),
    "power of a battery": (
        '[[battery]]\nname = "b"\nreadings = [{ quantity = "active-power", oid = ".1" }]',
        "active-power does not belong to a battery",
    ),
    "identifier from two places": (
        OUTLET + 'foreign-ids = [{ kind = "if-name", oid = ".1", value = "{1}" }]',
        "foreign-ids[1]: oid: give either",
    ),
    "direction that is none": (OUTLET + 'direction = "up"', "direction: 'up' is not one of inlet, outlet, both"),
    "attribute from nowhere": (OUTLET + "label = { scale = 2 }", "label: oid: is missing"),
    "unit of no part": ('[[unit]]\nrows = ".1"', "unit[1]: unit: is missing: say what numbers the units"),
    "units without rows": ('[[unit]]\nunit = "{1}"', "unit[1]: rows: is missing, without which"),
    "unit that is no column": (OUTLET + 'unit = "{box}"', "unit: '{box}' is not a part of the row's index"),
    "name with a word that is no column": (
        '[[interface]]\nname = "outlet-{number}"\nrows = ".1"',
        "name: 'outlet-{number}' has a word that is none of the columns",
    ),
    "column with a name of its own": (OUTLET + 'columns = { index = ".1" }', "columns: index: is a name in small"),
    "column whose codes are texts": (
        OUTLET + 'columns = { line = { oid = ".1", words = { 1 = "L1" } } }',
        "columns: line: words: has a meaning that is no whole number",
    ),
    "pattern that is none": (
        OUTLET + 'columns = { line = { oid = ".1", pattern = "(" } }',
        "pattern: is not a regular",
    ),
    "pattern without a part that counts": (
        OUTLET + 'columns = { line = { oid = ".1", pattern = "L1" } }',
        "columns: line: pattern: needs one group",
    ),
    "switch of two objects with one": (
        OUTLET + 'switch = { on = { oid = ".1", value = 0 } }',
        "switch: switch: needs oid, on and off, or on and off with an oid and a value each",
    ),
    "command without a value": (
        OUTLET + 'switch = { on = { oid = ".1" }, off = { oid = ".2", value = 0 } }',
        "switch: on: value: is missing",
    ),
    "command of a type that is none": (
        '[[battery]]\nname = "b"\ntest = { oid = ".1", type = "float", value = 1 }',
        "test: type: 'float' is not one of integer, unsigned,",
    ),
    "test by a name that is none": (
        '[[battery]]\nname = "b"\ntest = { oid = ".1", type = "object-identifier", value = "quick" }',
        "test: value: 'quick' is not an OID",
    ),
    "test result that is none": (
        '[[battery]]\nname = "b"\nreadings = [{ quantity = "test-result", oid = ".1", words = { 1 = "good" } }]',
        "'good' is not something test-result can be",
    ),
    "counter that turns at nothing": (
        OUTLET + 'readings = [{ quantity = "energy-provided", oid = ".1", wraps-at = 0 }]',
        "wraps-at: is a number above 0, of energy",
    ),
    "power that turns": (
        OUTLET + 'readings = [{ quantity = "active-power", oid = ".1", scale = -1, wraps-at = 9 }]',
        "wraps-at: is a number above 0, of energy",
    ),
    "powers of ten that are texts": (
        OUTLET
        + 'readings = [{ quantity = "current", oid = ".1", exponent = { oid = ".2", words = { 8 = "milli" } } }]',
        "exponent: words: has a meaning that is no whole number",
    ),
    "text with a word that is no column": (
        OUTLET + 'label = "Outlet {number}"',
        "interface[1]: label: 'Outlet {number}' has a word that is no part of a row's index",
    ),
    "identifier of a part of no row": (
        '[entity]\nforeign-ids = [{ kind = "peth-pse-port", value = "{1}" }]',
        "entity: foreign-ids: peth-pse-port: '{1}' has a word that is no part",
    ),
    "index of a part that cannot be": (OUTLET + 'label = { oid = ".1.{0}" }', "label: oid: '.1.{0}' is not an OID"),
}


@pytest.mark.parametrize(("text", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_table_is_named_with_its_key(tmp_path: Path, text: str, says: str) -> None:
    """Each mistake an author can make raises TableError with the file, the place and what to do."""
    with pytest.raises(TableError, match=re.escape(says)) as caught:
        table(tmp_path, text)
    assert str(caught.value).startswith("toaster.toml: ")


def test_a_table_that_fits_everything_is_refused(tmp_path: Path) -> None:
    """Without a mark every device would be a toaster."""
    with pytest.raises(TableError, match="match: needs"):
        table(tmp_path, "", 'title = "A device"\nsource = "nowhere"\n')


def test_a_table_cannot_replace_what_does_not_exist(tmp_path: Path) -> None:
    """instead-of names tables of the same folder, and a generic table there must be."""
    table(tmp_path, "", 'title = "T"\nsource = "n"\ninstead-of = ["oven"]\n[match]\nprobe = "1.3"\n')
    with pytest.raises(TableError, match="there is no table oven"):
        load(tmp_path)
    (tmp_path / "toaster.toml").unlink()
    with pytest.raises(TableError, match="generic"):
        load(tmp_path)


def test_the_tables_that_come_along_are_sound() -> None:
    """All tables load, say where their facts are from, and have names and kinds as the rest of the house knows them."""
    tables = load()
    assert set(tables) == {path.stem for path in FOLDER.glob("*.toml")}
    for one in tables.values():
        assert one.title
        assert one.source
        for section in one.sections:
            assert section.rules or section.switch or section.attributes, (one.name, section.name)
    assert tables["apc-rpdu2"].instead_of == {"apc-rpdu"}


def test_identifier_kinds_are_identities_of_the_model() -> None:
    """A kind of foreign identifier that the model does not have could not be served."""
    model = (Path(__file__).parents[4] / "yang" / "eman-entity.yang").read_text(encoding="utf-8")
    kinds = set(re.findall(r"identity ([a-z\-]+) \{\s+base foreign-id-kind;", model))
    used = {
        one.kind
        for table in load().values()
        for section in (table.entity, *table.sections)
        for one in section.identifiers
    }
    assert used <= kinds


@pytest.mark.parametrize(
    ("oid", "index", "expected"),
    [
        ("1.3.5", "2.7", "1.3.5.2.7"),
        ("1.3.5.0", "2.7", "1.3.5.0"),
        ("1.3.5", "", "1.3.5"),
        ("1.3.{index}.5", "2.7", "1.3.2.7.5"),
        ("1.3.{2}.{1}", "2.7", "1.3.7.2"),
        ("1.3.{3}.{index}", "2.7", "1.3.0.2.7"),
        ("1.3.{1}.{index}", "", "1.3.0.0"),
    ],
)
def test_the_index_goes_where_the_table_says(oid: str, index: str, expected: str) -> None:
    """To the end, or to its places; a device whose index has fewer parts is asked for what it has not."""
    assert instance(oid, index) == expected


def test_numbers_keep_their_decimals(tmp_path: Path) -> None:
    """A scale of 0.1 is a tenth, not the nearest binary fraction."""
    one = table(
        tmp_path, OUTLET + 'readings = [{ quantity = "current", oid = ".1", scale = 0.1, method = "load-model" }]'
    )
    rule = one.sections[0].rules[0]
    assert rule.scale == Decimal("0.1")
    assert rule.method is Method.LOAD_MODEL
    result = readings((cell(Point(interface="outlet-1"), rule, "1"),), {"1.3.6.1.1.1": 3}, at=5.0)
    assert result.readings[0].value == Decimal("0.3")
    assert result.readings[0].at == 5.0


PHASES = """
[[interface]]
name = "in"
direction = "inlet"
rows = ".2"
phase = "{1}"
readings = [
  { quantity = "active-power", oid = ".2", whole = "sum", zero-when = { oid = ".9.0", is = [1] } },
  { quantity = "voltage", oid = ".3", whole = "mean" },
  { quantity = "current", oid = ".4" },
  { quantity = "frequency", oid = ".5", whole = "first" },
]
"""


@pytest.mark.parametrize(
    ("powers", "off", "whole"),
    [((10, 20, 30), 2, 60), ((10, 0, 30), 2, None), ((10, 0, 30), 1, 40), ((0, 0, 0), 1, 0), ((10, None, 30), 1, None)],
)
def test_a_whole_is_known_when_all_its_phases_are(
    tmp_path: Path, powers: tuple[int | None, ...], off: int, whole: int | None
) -> None:
    """A sum with a part missing would be a wrong number; a zero that is not believed is a missing part."""
    rules = table(tmp_path, PHASES).sections[0].rules
    cells = tuple(cell(Point(interface="in"), rule, str(row), row) for rule in rules for row in (1, 2, 3))
    values: dict[str, int | bytes | str] = {"1.3.6.1.9.0": off}
    values |= {f"1.3.6.1.2.{row}": power for row, power in enumerate(powers, 1) if power is not None}
    values |= {f"1.3.6.1.3.{row}": 230 + row for row in (1, 2, 3)} | {f"1.3.6.1.5.{row}": 50 for row in (1, 2, 3)}
    values |= {f"1.3.6.1.4.{row}": row for row in (1, 2, 3)}
    told = {(one.quantity, one.phase): one.value for one in readings(cells, values, 0.0).readings}
    assert told.get((Quantity.ACTIVE_POWER, None)) == whole
    assert told[(Quantity.VOLTAGE, None)] == 232
    assert (Quantity.CURRENT, None) not in told
    assert told[(Quantity.CURRENT, 3)] == 3
    assert {key for key in told if key[0] is Quantity.FREQUENCY} == {(Quantity.FREQUENCY, None)}


def test_one_phase_is_the_whole(tmp_path: Path) -> None:
    """A device with a single phase tells its values as those of the interface, not as those of phase 1."""
    rules = table(tmp_path, PHASES).sections[0].rules
    cells = tuple(cell(Point(interface="in"), rule, "1", 1) for rule in rules)
    values: dict[str, int | bytes | str] = {f"1.3.6.1.{column}.1": 7 for column in (2, 3, 4, 5)}
    assert {one.phase for one in readings(cells, values, 0.0).readings} == {None}
    assert rules[0].whole is Whole.SUM


def test_the_first_case_that_holds_counts(tmp_path: Path) -> None:
    """A state that depends on several objects is what its first true case says, and unknown without any."""
    text = OUTLET + (
        'readings = [{ quantity = "supply-state", cases = [\n'
        '  { oid = ".1", is = [2], value = "off" },\n'
        '  { oid = ".2", above = 3, value = "fault" },\n'
        '  { oid = ".1", is = [1], value = "on" },\n'
        "] }]"
    )
    rule = table(tmp_path, text).sections[0].rules[0]
    cells = (cell(Point(interface="outlet-1"), rule, "1"),)

    def state(**values: int) -> list[object]:
        told: dict[str, int | bytes | str] = {f"1.3.6.1.{name[1]}.1": value for name, value in values.items()}
        return [one.value for one in readings(cells, told, 0.0).readings]

    assert state(c1=2, c2=9) == [Supply.OFF]
    assert state(c1=1, c2=4) == [Supply.FAULT]
    assert state(c1=1, c2=3) == [Supply.ON]
    assert state(c1=1) == [Supply.ON]
    assert state(c1=7, c2=0) == []
    assert readings(cells, {}, 0.0).missing == {
        Point(interface="outlet-1"): "the device does not answer for it any more"
    }


def test_the_plugin_is_what_the_model_says() -> None:
    """The presence container has the plugin's name."""
    text = (FOLDER.parent / f"{PLUGIN.module}.yang").read_text(encoding="utf-8")
    assert f"container {PLUGIN.name} {{" in text
    assert Section(Kind.DEVICE).rules == ()
