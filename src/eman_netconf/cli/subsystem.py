"""``subsystem``: standard input and output joined to a server's Unix socket, for the system's own sshd.

The server sees the process's user and nothing else: what sshd has found out by its own means.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import threading
from typing import Final

from eman_netconf.cli import CommandError

READ_BYTES: Final = 64 * 1024


def main(options: argparse.Namespace) -> int:
    """Carry bytes until the server has closed the session. Raises CommandError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(os.fspath(options.socket))
        except OSError as error:
            raise CommandError(
                f"{options.socket}: {error.strerror or error}; is the server running, and may this user write there?"
            ) from None
        # a daemon: it may wait for input that never comes when the server has closed
        threading.Thread(target=_to_server, args=(sys.stdin.fileno(), server), daemon=True).start()
        with contextlib.suppress(ConnectionError):
            while data := server.recv(READ_BYTES):
                _write(sys.stdout.fileno(), data)
    return 0


def _to_server(source: int, server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the server is gone, which the other direction sees as well
        while data := os.read(source, READ_BYTES):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]
