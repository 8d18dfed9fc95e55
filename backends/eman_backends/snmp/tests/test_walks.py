"""A walk that somebody saved is read as the device would be: the parser, the command, and the page that tells of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from eman_backends.snmp.tables import FOLDER, GENERIC, Table, available
from eman_backends.snmp.tables.__main__ import main
from eman_backends.snmp.tables.walk import Value, Walk, WalkError
from eman_backends.snmp.tests.scripted import FOLDER as DEVICES

PAGE = Path(__file__).parents[4] / "docs" / "backends.md"

SAID: dict[str, Value | None] = {
    'STRING: "a name"': b"a name",
    'STRING: "with \\"marks\\""': b'with "marks"',
    "STRING: bare": b"bare",
    'STRING: "two\nlines"': b"two\nlines",
    '""': b"",
    "INTEGER: 42": 42,
    "INTEGER: -1": -1,
    "INTEGER: up(1)": 1,
    "INTEGER: 230 RMS Volts": 230,
    "Gauge32: 4294967295": 4294967295,
    "Counter64: 18446744073709551615": 18446744073709551615,
    "Timeticks: (354000) 0:59:00.00": 354000,
    "OID: .1.3.6.1.4.1.318": "1.3.6.1.4.1.318",
    "IpAddress: 192.0.2.1": "192.0.2.1",
    "Hex-STRING: 00 C0 B7 \n12 34 56 ": bytes.fromhex("00c0b7123456"),
    "BITS: 80 switched(0) ": b"\x80",
    "No Such Object available on this agent at this OID": None,
    "NULL": None,
    "Opaque: Float: 1.500000": None,
}


@pytest.mark.parametrize("said", SAID)
def test_values_as_net_snmp_prints_them(said: str) -> None:
    """Numbers, texts, octets and names are what the device sent; what is no value is not there."""
    walk = Walk(f'.1.3.6.1.2.1.1.5.0 = STRING: "x"\n.1.3.6.1.9.0 = {said}\n.1.3.6.1.9.1 = INTEGER: 7\n')
    assert walk.values.get("1.3.6.1.9.0") == SAID[said]
    assert walk.values["1.3.6.1.9.1"] == 7


async def test_a_walk_answers_like_a_device() -> None:
    """Rows come in the order of numbers, and the first below a prefix is not a neighbour's."""
    walk = Walk(
        "\n".join(f".1.3.6.1.{name} = INTEGER: {number}" for number, name in enumerate(("2.10", "2.9", "21.1")))
    )
    assert await walk.walk("1.3.6.1.2", 10) == ["9", "10"]
    assert await walk.walk("1.3.6.1.2", 1) == ["9"]
    assert await walk.column("1.3.6.1.2", 10) == {"9": 1, "10": 0}
    assert await walk.first(["1.3.6.1.2", "1.3.6.1.21.1", "1.3.6.1.3"]) == {"1.3.6.1.2": 1}
    assert await walk.get(["1.3.6.1.21.1", "1.3.6.1.3.0"]) == {"1.3.6.1.21.1": 2}


@pytest.mark.parametrize("text", ["", "# a remark\n", "sysDescr.0 = STRING: a switch\n"])
def test_what_is_no_walk_is_told(text: str) -> None:
    """Names instead of numbers, or nothing at all: the error says which command prints a walk."""
    with pytest.raises(WalkError, match=r"of the form \.1\.3\.6"):
        Walk(text)


def test_the_command_shows_what_a_device_comes_up_as(capsys: pytest.CaptureFixture[str]) -> None:
    """Inventory, readings with units and methods, and what would be written."""
    assert main([str(DEVICES / "raritan-single-phase.walk")]) == 0
    said = capsys.readouterr().out
    assert "read as raritan-pdu2" in said
    assert "  outlet outlet-3: label OUTLET3" in said
    assert "    active-power -68 W ±1.00 % (direct-meter)" in said
    assert "    off: write 1.3.6.1.4.1.13742.6.4.1.2.1.2.1.3 to 0" in said


def test_the_command_reads_the_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With - the walk need not be a file."""
    with (DEVICES / "rfc1628-ups.walk").open(encoding="utf-8") as walk:
        monkeypatch.setattr("sys.stdin", walk)
        assert main(["-"]) == 0
    assert "test: write 1.3.6.1.2.1.33.1.7.1.0 to 1.3.6.1.2.1.33.1.7.7.4" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, a table with a mistake, a table of another device, a device that no table fits."""
    walk, table, other = DEVICES / "poe-stack.walk", tmp_path / "mine.toml", tmp_path / "other.walk"
    other.write_text('.1.3.6.1.2.1.1.5.0 = STRING: "x"\n', encoding="utf-8")
    table.write_text('title = "mine"\n', encoding="utf-8")
    marks = 'title = "mine"\nsource = "me"\n[match]\nprobe = "1.3.6.1.4.1.9999"\n'
    for arguments, says, text in (
        ([tmp_path / "none.walk"], "No such file", None),
        ([walk, table], "mine.toml: match: needs", None),
        ([walk, table], "mine.toml: match: the device does not bear these marks", marks),
        ([other], "no table fits this device", None),
    ):
        if text is not None:
            table.write_text(text, encoding="utf-8")
        assert main([str(one) for one in arguments]) == 1
        shown = capsys.readouterr()
        assert says in shown.err
        assert not shown.out


def test_a_table_beside_others_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another table fits too, an author is reminded of instead-of."""
    mine = tmp_path / "mine.toml"
    text = (FOLDER / "rfc3621-poe.toml").read_text(encoding="utf-8")
    mine.write_text(text, encoding="utf-8")
    assert main([str(DEVICES / "poe-stack.walk"), str(mine)]) == 0
    assert "! rfc3621-poe is read too; name it in instead-of" in capsys.readouterr().out
    mine.write_text(text.replace("\n[match]", '\ninstead-of = ["rfc3621-poe"]\n[match]'), encoding="utf-8")
    assert main([str(DEVICES / "poe-stack.walk"), str(mine)]) == 0
    assert "is read too" not in capsys.readouterr().out


def test_tables_of_an_operator_go_before_those_that_come_along(tmp_path: Path) -> None:
    """What stands in the folder tables is used without an installation, and read anew when it has changed."""
    said: list[str] = []

    def titles() -> dict[str, str]:
        return {name: table.title for name, table in available(tmp_path, said.append).items()}

    assert GENERIC in titles()
    (tmp_path / "tables").mkdir()
    mine = tmp_path / "tables" / "toaster.toml"
    mine.write_text('title = "A toaster"\nsource = "me"\n[match]\nprobe = "1.3.6.1.4.1.9999"\n', encoding="utf-8")
    assert titles()["toaster"] == "A toaster"
    (tmp_path / "tables" / "huawei-ups.toml").write_text("title = 5\n", encoding="utf-8")
    assert titles()["huawei-ups"] == "Huawei UPS5000 and UPS2000"  # the broken one is left out
    assert titles()["toaster"] == "A toaster"
    assert len(said) == 1
    assert "is not used: huawei-ups.toml: " in said[0]
    mine.unlink()
    assert "toaster" not in titles()
    assert isinstance(available(tmp_path, said.append)[GENERIC], Table)


def fenced(kind: str) -> list[str]:
    """The blocks of one kind in the section of the page about adding a model."""
    section = PAGE.read_text(encoding="utf-8").partition("## Adding a model from a walk\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)


def test_the_example_of_the_page_is_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The walk and the table of docs/backends.md, with the command told there, print what stands there."""
    walk, shown = fenced("text")
    (table,) = fenced("toml")
    commands = [line for block in fenced("sh") for line in block.splitlines()]
    (command,) = [line for line in commands if "eman_backends.snmp.tables" in line]
    monkeypatch.chdir(tmp_path)
    Path("strip.walk").write_text(walk, encoding="utf-8")
    Path("acme-strip.toml").write_text(table, encoding="utf-8")
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "eman_backends.snmp.tables"]
    assert main(words[3:]) == 0
    assert capsys.readouterr().out == shown
