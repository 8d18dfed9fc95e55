"""``check``: says all that is wrong, has a status that tells, and changes nothing."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eman_backends.modbus.tests.counterparts import Device, eastron
from eman_netconf.cli import run
from eman_netconf.cli.offline import edit, opened
from eman_netconf.server import config
from tests.certificates import authority
from tests.server.running import Process, backends, config_of, entity, silent_device, simulated, snmp


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The root logger gets back what it had."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield
    root.handlers[:] = handlers


def snapshot(folder: Path) -> dict[str, tuple[bytes | None, int, int]]:
    """Every file and folder with its content, mode and time of change."""
    return {
        str(path): (path.read_bytes() if path.is_file() else None, path.stat().st_mode, path.stat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


def configure(process: Process, content: str) -> None:
    """Edit the configuration of the server that does not run."""
    with opened(config.load(process.config)) as datastores:
        edit(datastores, config_of(content).encode())


class Checked:
    """What one check said."""

    def __init__(self, process: Process, capsys: pytest.CaptureFixture[str]) -> None:
        before = snapshot(process.folder)
        self.status = run(["check", "--config", str(process.config)])
        assert snapshot(process.folder) == before
        captured = capsys.readouterr()
        assert captured.err == ""
        self.lines = captured.out.splitlines()
        self.failures = [line.removeprefix("FAIL").strip() for line in self.lines if line.startswith("FAIL ")]
        self.warnings = [line.removeprefix("warning").strip() for line in self.lines if line.startswith("warning ")]
        assert all(line[:9] in {"ok       ", "warning  ", "FAIL     "} for line in self.lines)
        assert self.status == bool(self.failures)
        assert not any("eman-netconf-check-" in line for line in self.lines), "it tells of its own copy"


def test_a_sound_state_is_ok(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """All is well: every part has its line, status 0."""
    configure(process, backends(simulated("srv", "srv-02") + simulated("pdu", "pdu-a")))
    checked = Checked(process, capsys)
    assert checked.status == 0
    for part in ("bootstrap: ", "models: ", "configuration: ", "administrator: admin can log in", "host key: usable"):
        assert sum(line.startswith(f"ok       {part}") for line in checked.lines) == 1, part
    assert {"ok       backend srv: reachable", "ok       backend pdu: reachable"} <= set(checked.lines)


def test_a_bad_bootstrap_file_is_found(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in the file, with its name."""
    process.config.write_text('[log]\nlevel = "loud"\n')
    checked = Checked(process, capsys)
    assert checked.status == 1
    assert checked.failures == [
        f"{process.config}: [log] level 'loud' is unknown; use one of: debug, info, warning, error"
    ]


def test_no_state_at_all_is_said(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a state there is nothing to check, and it says what to do."""
    shutil.rmtree(process.state)
    assert run(["check", "--config", str(process.config)]) == 1
    assert "holds no state; start the server once, or use init" in capsys.readouterr().err
    assert not process.state.exists()


def test_every_backend_in_trouble_is_found(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that does not answer, settings that cannot be, one that is not enabled: each its own line."""
    with silent_device() as port:
        off = simulated("off", "srv-03").replace("<simulated", "<enabled>false</enabled><simulated", 1)
        devices = snmp("silent", port, timeout=0.2) + simulated("nowhere", "no-such-box") + simulated("srv", "srv-02")
        configure(process, backends(devices + off))
        checked = Checked(process, capsys)
    assert checked.status == 1
    assert [line.partition(": ")[0] for line in checked.failures] == ["backend silent", "backend nowhere"]
    assert "no answer" in checked.failures[0]
    assert "misconfigured" in checked.failures[1]
    assert {"ok       backend srv: reachable", "ok       backend off: not enabled"} <= set(checked.lines)


def test_what_a_backend_doubts_is_told(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that can be read, and does not look like what it is configured to be, is a warning."""
    meter = Device({1: eastron(0x0070, {0: 230.0, 12: 900.0, 70: 50.0})})  # of three phases
    try:
        configure(
            process,
            backends(
                '<backend><name>meter</name><modbus xmlns="urn:eman:yang:eman-backend-modbus">'
                f"<address>127.0.0.1</address><port>{meter.port}</port><unit><id>1</id><table>eastron-sdm120</table></unit></modbus></backend>"
            ),
        )
        checked = Checked(process, capsys)
    finally:
        meter.close()
    assert checked.status == 0
    (warning,) = [line for line in checked.lines if "backend meter" in line]
    assert warning.startswith("warning  backend meter: reachable, but ")
    assert "is eastron-sdm120 its register map?" in warning


def test_another_secret_key_is_found(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that does not open the stored secrets fails the backends that need them, and one that is none fails all."""
    with silent_device() as port:
        configure(process, backends(snmp("pdu", port, timeout=0.2) + simulated("srv", "srv-02")))
    (process.state / "secret.key").write_bytes(os.urandom(64))
    checked = Checked(process, capsys)
    assert checked.status == 1
    assert len(checked.failures) == 1
    assert checked.failures[0].startswith("backend pdu: a stored secret was encrypted with another key")
    (process.state / "secret.key").write_bytes(b"short")
    checked = Checked(process, capsys)
    assert checked.failures == [f"{process.state}/secret.key is no key of this server (64 bytes expected, 5 found)"]


def test_an_invalid_configuration_is_found_before_and_after_a_start(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint edited by hand into one that is refused fails; kept aside by a start, it is still pointed at."""
    configure(process, backends(simulated("srv", "srv-02")))
    checkpoint = min((process.state / "running").glob("checkpoint-*.xml"))
    later = checkpoint.with_name("checkpoint-00000009.xml")
    bad = entity("a", "<importance>101</importance>")
    text = checkpoint.read_text().replace('generation="0"', 'generation="9"')
    head, _, tail = text.rpartition("</config>")
    later.write_text(f"{head}{bad}</config>{tail}")
    checked = Checked(process, capsys)
    assert checked.status == 1
    assert len(checked.failures) == 1
    assert "checkpoint-00000009.xml" in checked.failures[0]
    assert "importance must be 1..100, got 101" in checked.failures[0]
    configure(process, "")  # as a start would, this keeps it aside
    checked = Checked(process, capsys)
    assert checked.status == 0
    assert any("kept aside at an earlier start" in line and "refused-" in line for line in checked.warnings)


def test_a_torn_journal_is_a_warning(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """The end of a commit that was never answered is told, and is no failure."""
    configure(process, backends(simulated("srv", "srv-02")))
    journal = max((process.state / "running").glob("journal-*"))
    with journal.open("ab") as file:
        file.write(b"commit 3 900 00000000\n<commit")
    checked = Checked(process, capsys)
    assert checked.status == 0
    assert any("middle of a commit that was never answered" in line for line in checked.warnings)


def test_an_administrator_without_credentials_is_found(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody could configure such a server: it fails, and says how to mend it."""
    process.config.write_text(process.config.read_text().replace('"admin"', '"root"'))
    checked = Checked(process, capsys)
    assert checked.failures == ["administrator: root has neither password nor key; use passwd"]


def test_spoiled_files_are_found(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Host key and history that cannot be used are named."""
    (process.state / "ssh_host_ed25519_key").chmod(0o644)
    checked = Checked(process, capsys)
    assert checked.failures == [
        f"{process.state}/ssh_host_ed25519_key: others may read this private key; run chmod 600 on it"
    ]
    (process.state / "history.sqlite").write_bytes(b"garbage " * 1000)
    checked = Checked(process, capsys)
    assert len(checked.failures) == 1
    assert f"{process.state}/history.sqlite: " in checked.failures[0]


@contextmanager
def locked(process: Process) -> Iterator[None]:
    """As a running server holds the state."""
    with (process.state / "running" / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def test_a_running_server_can_be_checked(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A state that a server works on is looked at as it stands."""
    with locked(process):
        assert Checked(process, capsys).status == 0


def test_files_beside_the_state(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Certificates and authorities that the bootstrap file names are looked at, and a private key that others read."""
    root = authority()
    root.write(process.folder, "ca")
    _, key = root.issue("server").write(process.folder, "server")
    (process.folder / "users.pub").write_bytes(process.key.export_public_key())
    process.configure(
        more='[tls]\ncertificate = "server.pem"\nprivate-key = "server.key"\nclient-ca = "ca.pem"\n'
        '[ssh]\nuser-ca = "users.pub"\n'
    )
    lines = Checked(process, capsys).lines
    assert any("certificates: usable" in line for line in lines)
    assert any("authorities of SSH users: usable" in line for line in lines)
    key.chmod(0o644)
    assert any("chmod 600" in line for line in Checked(process, capsys).failures)
