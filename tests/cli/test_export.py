"""``export``: samples as CSV and Parquet, beside a server that writes them, and one line when it cannot be done."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from eman_netconf.cli import run
from eman_netconf.cli.export import COLUMNS
from eman_netconf.energy.samples import Channel
from tests.server.running import command
from tests.server.test_samples import PDU, T0, WATTS, Shelf, tick

OTHER = Channel("domains:hall", "", "energy-received")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder with an hour of samples and a gap of ten minutes, left by a writer that still has it open."""
    shelf = Shelf(tmp_path)
    for minute in range(1, 61):
        if not 20 < minute <= 30:
            shelf.take(tick(T0 + 60 * minute, {PDU: 1500, WATTS: 90_000 + minute, OTHER: 7}))
    yield tmp_path
    shelf.close()


def export(state: Path, *words: str) -> list[dict[str, str]]:
    """What a process of its own writes."""
    done = command("export", "--state", state, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_csv_of_everything(state: Path) -> None:
    """Each sample is a row with its interval in UTC, its unit and its quality; a gap is a row without a value."""
    rows = export(state)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 3 * 51
    watts = [row for row in rows if row["quantity"] == "active-power"]
    first = datetime.fromtimestamp(T0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert watts[0] == {
        "start": first,
        "end": f"{first[:-6]}01:00Z",
        "owner": "pdu",
        "part": "",
        "quantity": "active-power",
        "phase": "",
        "series": "",
        "unit": "W",
        "value": "90.001",
        "minimum": "90.001",
        "maximum": "90.001",
        "method": "direct-meter",
        "coverage_percent": "100.0",
        "mark": "measured",
    }
    (gap,) = [row for row in watts if not row["value"]]
    assert (gap["minimum"], gap["coverage_percent"], gap["mark"]) == ("", "0.0", "missing")


def test_a_part_of_it(state: Path) -> None:
    """Owners, quantities, times and a coarser resolution choose; energies are added up and have no extremes."""
    words = ("--entity", "pdu", "--quantity", "energy-received", "--resolution", "600")
    start = datetime.fromtimestamp(T0, UTC).isoformat()
    rows = export(state, *words, "--from", start, "--to", datetime.fromtimestamp(T0 + 2400, UTC).isoformat())
    assert [(row["owner"], row["value"], row["minimum"]) for row in rows] == [
        ("pdu", "15.000", ""),
        ("pdu", "15.000", ""),
        ("pdu", "", ""),
        ("pdu", "15.000", ""),
    ]


def test_a_phase_is_called_as_in_the_models(tmp_path: Path) -> None:
    """The phase of a value is l1, l2 or l3 in both formats."""
    shelf = Shelf(tmp_path)
    shelf.take(tick(T0 + 60, {WATTS: 90_000, Channel("pdu", "", "voltage", 2): 230_000}))
    shelf.close()
    assert {(row["quantity"], row["phase"]) for row in export(tmp_path)} == {("active-power", ""), ("voltage", "l2")}
    target = tmp_path / "site.parquet"
    assert run(["export", "--state", str(tmp_path), "--format", "parquet", "--output", str(target)]) == 0
    assert sorted(parquet.read_table(target)["phase"].to_pylist(), key=str) == [None, "l2"]


def test_parquet(state: Path, tmp_path: Path) -> None:
    """The same columns with types, in a file for its owner alone."""
    target = tmp_path / "site.parquet"
    assert run(["export", "--state", str(state), "--format", "parquet", "--output", str(target)]) == 0
    table = parquet.read_table(target)
    assert tuple(table.column_names) == COLUMNS
    assert table.num_rows == 3 * 51
    energies = [row["value"] for row in table.to_pylist() if row["owner"] == "pdu" and row["unit"] == "Wh"]
    assert energies == [1.5] * 20 + [None] + [1.5] * 30
    assert table["start"].to_pylist()[0] == datetime.fromtimestamp(T0, UTC)
    assert target.stat().st_mode & 0o777 == 0o600


def test_parquet_without_its_package(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When pyarrow is not installed, one line says how to install it or what to do without."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    target = str(tmp_path / "x")
    assert run(["export", "--state", str(state), "--format", "parquet", "--output", target]) == 1
    assert "pip install 'eman-netconf[parquet]', or use --format csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "parquet"], "name a file with --output"),
        (["--from", "yesterday"], "'yesterday' is no time; write it as"),
        (["--quantity", "heat"], "there is no quantity heat; there are active-power"),
        (["--entity", "nobody"], "nothing of that is kept of nobody"),
        (["--resolution", "0"], "a number of seconds above 0"),
    ],
)
def test_what_cannot_be_asked(state: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong question is one line that says what is wrong."""
    assert run(["export", "--state", str(state), *words]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_folder_without_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without samples is named, and so is a file that holds none."""
    assert run(["export", "--state", str(tmp_path)]) == 1
    assert "holds no samples" in capsys.readouterr().err
    (tmp_path / "samples.sqlite").write_bytes(b"garbage " * 1000)
    assert run(["export", "--state", str(tmp_path)]) == 1
    assert "is damaged" in capsys.readouterr().err
