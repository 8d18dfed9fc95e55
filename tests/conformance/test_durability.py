"""Pulling the plug: what got <ok/> is there afterwards, and no energy counter goes down unmarked."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from ncclient import manager

from tests.conformance.conftest import ENTITIES, NS, ServerProcess, demo_process, edit, entity, one, set_state, until


def energies(session: manager.Manager) -> dict[tuple[str, ...], tuple[float, str | None]]:
    """Every energy value served, by where it stands, with its discontinuity-time."""
    found: dict[tuple[str, ...], tuple[float, str | None]] = {}
    data = session.get(
        filter=("subtree", f'<energy-management xmlns="{NS["eman"]}"><entities/></energy-management>')
    ).data_ele
    for item in data.xpath(f".{ENTITIES}", namespaces=NS):
        id_ = item.findtext("eman:id", namespaces=NS)
        for energy in item.iter(f"{{{NS['emm']}}}energy"):
            above = energy.getparent()
            name = above.findtext("empi:name", default="", namespaces=NS)
            for leaf in ("received", "provided"):
                value = energy.findtext(f"emm:{leaf}", namespaces=NS)
                if value is not None:
                    found[(id_, name, leaf)] = (
                        float(value),
                        energy.findtext("emm:discontinuity-time", namespaces=NS),
                    )
    return found


def test_nothing_acknowledged_is_lost(own_demo: ServerProcess) -> None:
    """After kill -9 and a restart the configuration is byte for byte what was acknowledged last, wishes hold,
    and every energy is at least what was served before, or says since when it counts anew."""
    with own_demo.connect() as session:
        until(lambda: one(session, entity("srv-02", "/emm:energy/emm:received")), "energy is counted")
        edit(session, "<entity><id>srv-02</id><name>Kept</name><importance>99</importance></entity>")
        set_state(session, "srv-06", "dmtf-off-soft")
        state = entity("srv-06", "/emps:power-state/emps:set[emps:name='emss:dmtf']/emps:oper-state")
        until(lambda: "off-soft" in (one(session, state) or ""), "srv-06 is off")
        running = session.get_config("running").data_xml
        served = energies(session)
        assert len(served) > 50
    own_demo.end(signal.SIGKILL)
    own_demo.start()
    with own_demo.connect() as session:
        assert session.get_config("running").data_xml == running
        until(lambda: served.keys() <= energies(session).keys(), "all devices have been read again")
        after = energies(session)
        for place, (value, since) in served.items():
            now, since_now = after[place]
            assert now >= value or since_now != since, (place, value, now)
        until(lambda: "off-soft" in (one(session, state) or ""), "srv-06 is still off")
        assert one(session, entity("srv-06", "/emps:power-state/emps:request/emps:by")) == "admin"


def test_edits_in_a_storm_of_kills(tmp_path: Path) -> None:
    """Killed in the middle of a stream of edits, five times over: every acknowledged edit is there."""
    server = demo_process(tmp_path / "state")
    acknowledged = 0
    for round_ in range(5):
        server.start()
        session = server.connect()
        kept = one(session, entity("srv-02", "/eman:importance"))
        if acknowledged:
            # the edit in flight when the process died may have become durable before its <ok/> left
            assert kept in {str(acknowledged % 100 + 1), str((acknowledged + 1) % 100 + 1)}
            acknowledged = acknowledged if kept == str(acknowledged % 100 + 1) else acknowledged + 1
        killer = threading.Timer(0.004 * round_, server.end, (signal.SIGKILL,))  # at another point of an edit each time
        enough = acknowledged + 20
        try:
            while True:
                if acknowledged == enough:
                    killer.start()
                number = acknowledged + 1
                edit(session, f"<entity><id>srv-02</id><importance>{number % 100 + 1}</importance></entity>")
                acknowledged = number
        except Exception:  # the session ends with the process, in whatever way ncclient notices
            killer.join()
    assert acknowledged >= 100


def test_an_orderly_stop_and_check(own_demo: ServerProcess) -> None:
    """SIGTERM drains with status 0; ``check`` then finds nothing wrong and changes nothing."""
    with own_demo.connect() as session:
        edit(session, "<entity><id>srv-02</id><name>Checked</name></entity>")
    assert own_demo.end() == 0
    before = {file.name: file.read_bytes() for file in (own_demo.state / "running").iterdir()}
    checked = subprocess.run(
        [sys.executable, "-m", "eman_netconf", "check", "--demo", "--state", str(own_demo.state)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "FAIL" not in checked.stdout
    assert "backend srv-12: reachable" in checked.stdout
    assert {file.name: file.read_bytes() for file in (own_demo.state / "running").iterdir()} == before


def test_two_servers_on_one_state_are_refused(own_demo: ServerProcess) -> None:
    """A second server on the same folder ends with one line and status 1; the first is not disturbed."""
    second = subprocess.run(
        [sys.executable, "-m", "eman_netconf", *own_demo.arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert second.returncode == 1
    assert "stop it first" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    with own_demo.connect() as session:
        assert one(session, entity("srv-02", "/eman:id")) == "srv-02"


def test_a_taken_port_is_one_line(demo: ServerProcess, tmp_path: Path) -> None:
    """A port in use: one line that names it, status 1."""
    arguments = ["run", "--demo", "--port", str(demo.port), "--state", str(tmp_path / "other")]
    second = subprocess.run(
        [sys.executable, "-m", "eman_netconf", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {demo.port}" in second.stderr
    assert "Traceback" not in second.stderr
