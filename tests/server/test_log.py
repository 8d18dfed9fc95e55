"""Log lines go where the file says, each on one line, and no client can forge one."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eman_netconf.server import log
from eman_netconf.server.config import ConfigError, Log

FORGED = "bob\n2026-11-20T10:00:00.000Z error eman_netconf: forged \x1b[31m\u2028"


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger without the handlers of the tests, which it gets back."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    root.handlers[:] = []
    yield root
    for handler in root.handlers:
        with contextlib.suppress(OSError):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising


def fail() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("eman_netconf.test").exception("it failed")


def test_plain_lines_cannot_be_forged(tmp_path: Path) -> None:
    """Whatever a record quotes, it is one line; tracebacks too."""
    log.set_up(Log("server.log"), tmp_path)
    logging.getLogger("eman_netconf.test").info("login refused for %s", FORGED)
    fail()
    lines = (tmp_path / "server.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert lines[0].split(" ", 1)[1].startswith("info eman_netconf.test: login refused for bob\\n2026")
    assert lines[0].split()[0].endswith("Z")
    assert "\x1b" not in lines[0]
    assert "ValueError: two\\nlines" in lines[1]


def test_json_lines_are_objects(tmp_path: Path) -> None:
    """Every record is one JSON object with its time, level, logger, message, fields and traceback."""
    log.set_up(Log("server.log", json=True), tmp_path)
    logging.getLogger("eman_netconf.test").warning("said %s", FORGED, extra={"fields": {"session": 7}})
    fail()
    first, second = map(json.loads, (tmp_path / "server.log").read_text(encoding="utf-8").splitlines())
    assert (first["level"], first["logger"], first["message"], first["session"]) == (
        "warning",
        "eman_netconf.test",
        f"said {FORGED}",
        7,
    )
    assert "two\nlines" in second["traceback"]


def test_the_journal_gets_one_datagram_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the journal's own protocol, with its priorities, and no line of a message becomes a field."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        journal.settimeout(5)
        monkeypatch.setattr(log, "Journal", lambda: journal_handler(tmp_path / "journal"))
        log.set_up(Log("journal"), tmp_path)
        logging.getLogger("eman_netconf.test").error("refused\nPRIORITY=0 for %s", FORGED)
        fields = journal.recv(65536).decode().splitlines()
    assert fields[:3] == ["PRIORITY=3", "SYSLOG_IDENTIFIER=eman-netconf", "LOGGER=eman_netconf.test"]
    assert [field.partition("=")[0] for field in fields] == ["PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "MESSAGE"]


journal_handler = log.Journal


def test_a_log_that_cannot_be_written_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """On a full disk lines are lost, and nothing is raised or printed in their place."""
    log.set_up(Log("full"), Path("/dev"))
    logging.getLogger("eman_netconf.test").error("lost")
    log.set_up(Log("null"), Path("/dev"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("destination", ["journal", "none/such/server.log"])
def test_a_place_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: logging.Logger, destination: str
) -> None:
    """A destination that cannot be opened is one sentence, and the log stays where it was."""
    monkeypatch.setattr(log, "Journal", lambda: journal_handler(tmp_path / "gone"))
    log.set_up(Log("server.log"), tmp_path)
    before = list(root.handlers)
    with pytest.raises(ConfigError, match=f"destination {destination}: No such file"):
        log.set_up(Log(destination), tmp_path)
    assert root.handlers == before


def test_the_level_is_followed(tmp_path: Path) -> None:
    """What is less urgent than the level is not written; the SSH library speaks from warning on."""
    log.set_up(Log("server.log", level="debug"), tmp_path)
    logging.getLogger("eman_netconf.test").debug("seen")
    logging.getLogger("asyncssh").info("not seen")
    log.set_up(Log("server.log", level="error"), tmp_path)
    logging.getLogger("eman_netconf.test").warning("not seen")
    assert [line.split()[-1] for line in (tmp_path / "server.log").read_text().splitlines()] == ["seen"]
