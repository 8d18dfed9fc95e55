"""Log lines: to stderr, a file or the journal; plain or JSON; each on one line whatever it quotes."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from eman_netconf.server.config import ConfigError, Log

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class Plain(logging.Formatter):
    """``2026-11-20T10:00:00.123Z info eman_netconf.server: text``."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{_stamp(record)} {record.levelname.lower()} {record.name}: {_one_line(text)}"


class Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what was given as ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Journal(logging.Handler):
    """systemd's journal by its native protocol, one datagram a record."""

    def __init__(self, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record).replace("\n", "\\n")
            priority = _PRIORITY.get(record.levelno, 6)
            lines = f"PRIORITY={priority}\nSYSLOG_IDENTIFIER=eman-netconf\nLOGGER={record.name}\nMESSAGE={text}\n"
            self._socket.send(lines.encode())
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()


def set_up(log: Log, base: Path) -> None:
    """Send the root logger where ``log`` says. Raises ConfigError when that place cannot be written."""
    install(opened(log, base), log)


def opened(log: Log, base: Path) -> logging.Handler:
    """The place that ``log`` names, relative to ``base``, not in use yet. Raises ConfigError."""
    handler: logging.Handler
    try:
        if log.destination == "stderr":
            handler = logging.StreamHandler(sys.stderr)
        elif log.destination == "journal":
            handler = Journal()
        else:
            handler = logging.FileHandler(base / log.destination, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"[log] destination {log.destination}: {error.strerror or error}") from None
    handler.setFormatter(Json() if log.json else Plain())
    return handler


def install(handler: logging.Handler, log: Log) -> None:
    """From now on every line goes to ``handler``, and what was used before is closed."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason to write elsewhere
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        with contextlib.suppress(OSError):  # of a full disk: what it still held is lost
            old.close()
    root.addHandler(handler)
    root.setLevel(log.level.upper())
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _stamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """Line ends and control characters shown as escapes: what a client sent can never forge a line of its own."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
