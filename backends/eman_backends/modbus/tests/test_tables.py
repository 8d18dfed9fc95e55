"""The tables that come with the backend, and what is said of those that cannot be used."""

from __future__ import annotations

import pytest

from eman_backends.documents import TableError
from eman_backends.modbus.registers import Space
from eman_backends.modbus.tables import load, load_models, parse
from eman_netconf.backend import Quantity

GOOD = """
title = "A meter"
source = "its manual"
[[check]]
address = 0
is = [1]
[[readings]]
quantity = "voltage"
address = 2
type = "float32"
"""


def test_all_tables_that_come_along_can_be_used() -> None:
    """Every register map reads something, and says in its title and source what it is of."""
    tables = load()
    assert set(tables) >= {"eastron-sdm120", "eastron-sdm230", "eastron-sdm630", "waveshare-relay-8"}
    for table in tables.values():
        assert table.rules or table.interfaces
        assert table.title
        assert table.source


def test_all_models_that_come_along_can_be_used() -> None:
    """The models of SunSpec that are promised are there, each readable in one request."""
    models = load_models()
    assert set(models) == {
        *(1, 101, 102, 103, 111, 112, 113, 120, 121, 123),
        *(201, 202, 203, 204, 211, 212, 213, 214, 701, 702, 704, 713, 802),
    }
    assert max(table.registers for table in models.values()) <= 125


def test_defaults_hold_where_nothing_else_is_said() -> None:
    """The defaults of a table stand for type and space of every field that does not name its own."""
    table = parse("it", GOOD.encode() + b'[defaults]\nspace = "input"\n')
    assert table.rules[0].field.space is Space.INPUT
    assert table.rules[0].quantity is Quantity.VOLTAGE


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("title =", "it.toml:"),
        ("", "it.toml: title: is missing"),
        (GOOD.replace('"A meter"', "7"), "it.toml: title: 7 is not a text"),
        (GOOD.replace("is = [1]", ""), "it.toml: check[1]: is: a check needs"),
        (GOOD.replace("[[check]]\naddress = 0\nis = [1]", ""), "it.toml: check: is missing"),
        (GOOD.replace('"voltage"', '"volts"'), "readings[1]: quantity: 'volts' is not a quantity"),
        (GOOD.replace('"voltage"', '"supply-state"'), "readings[1]: words: supply-state is a state"),
        (GOOD.replace('"voltage"', '"charge-percent"'), "quantity: charge-percent does not belong here"),
        (GOOD.replace("address = 2", ""), "readings[1]: address: is missing"),
        (GOOD.replace("address = 2", "address = 65535"), "address: the value ends beyond register 65535"),
        (GOOD.replace("address = 2", "address = true"), "readings[1]: address: True is not a whole number"),
        (GOOD.replace("float32", "float16"), "readings[1]: type: 'float16' is not one of int16"),
        (GOOD + "colour = 1\n", "readings[1]: colour: is not known here"),
        (GOOD + "words = { 1 = 'on' }\n", "words: voltage is a number"),
        (GOOD + "phase = 4\n", "readings[1]: phase: 4 is not from 1 to 3"),
        (GOOD + "counter = true\n", "counter: belongs to energy"),
        (GOOD + "length = 2\n", "length: belongs to a string"),
        (GOOD + "signed-by = { address = 9 }\n", "signed-by: voltage has no sign"),
        (GOOD + '[[readings]]\nquantity = "voltage"\naddress = 9\n', "readings: the same quantity is there twice"),
        (GOOD + '[[readings]]\nquantity = "frequency"\nphase = 1\naddress = 9\n', "phase: frequency has no phases"),
        (GOOD + '[[interface]]\nname = "relay"\nrows = 2\n', "interface[1]: name: 'relay' is no name"),
        (GOOD + '[[interface]]\nname = "a b"\n', "interface[1]: name: 'a b' is no name"),
        (GOOD + '[[interface]]\nname = "r"\nswitch = { address = 1, on = 1, off = 1 }\n', "switch: address: a switch"),
        (
            GOOD + '[[interface]]\nname = "r"\nreadings = [{ quantity = "active-power", address = 1 }]\n',
            "an outlet provides",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_file_and_key(content: str, fault: str) -> None:
    """What is wrong in a table is told in one line that names the file, the place and the key."""
    with pytest.raises(TableError) as caught:
        parse("it", content.encode())
    assert fault in str(caught.value)
    assert str(caught.value).startswith("it.toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('title = "T"\nsource = "S"\nrole = "meter"\n', "models: is a list"),
        ('models = [1]\ntitle = "T"\nsource = "S"\nrole = "pump"\n', "role: 'pump' is not one of"),
        (
            'models = [1]\ntitle = "T"\nsource = "S"\nreadings = [{ quantity = "voltage", address = 125 }]\n',
            "models: 126 registers are needed",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_told_with_file_and_key(content: str, fault: str) -> None:
    """Models of SunSpec are checked in the same way."""
    with pytest.raises(TableError) as caught:
        parse("it", content.encode(), sunspec=True)
    assert f"it.toml: {fault}" in str(caught.value)
