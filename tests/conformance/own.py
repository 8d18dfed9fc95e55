"""A demo site of a test's own, on a summer's morning whose time runs fast."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.conftest import ServerProcess, all_read, demo_process


@contextmanager
def running(state: Path, speed: int = 20) -> Iterator[ServerProcess]:
    """The site from when all its devices were read; it must stop in order."""
    server = demo_process(state, "--start-time", "2026-06-22T06:00:00Z", "--speed", str(speed)).start()
    try:
        with server.connect() as session:
            all_read(session)
        yield server
        assert server.end() == 0, server.log.read_text()[-2000:]
    finally:
        server.end(signal.SIGKILL)
