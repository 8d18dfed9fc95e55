"""Telling systemd how we are: READY, RELOADING, STOPPING, the watchdog (sd_notify(3), by its socket)."""

from __future__ import annotations

import os
import socket
import time


def notify(state: str) -> None:
    """Send ``state`` when systemd asked for it; never fails the server."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), f"\0{path[1:]}" if path.startswith("@") else path)
    except OSError:
        return


def reloading() -> str:
    """The message that begins a reload; systemd wants the time with it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_interval() -> float | None:
    """Seconds between signs of life, half of what systemd waits; None when nobody watches."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2e6 or None
