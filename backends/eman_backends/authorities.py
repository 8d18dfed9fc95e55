"""Whom an encrypted connection trusts: the authorities of this machine, or those of a file that configuration names.

Who may configure a backend names the file, so it may be anything: a device without end would be read for ever, and a
pipe waited for, by a thread that others need.
"""

from __future__ import annotations

import os
import ssl
from stat import S_ISREG

LARGEST = 1 << 22  # octets of a file; all authorities of a browser are a twentieth of that


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A context that wants a certificate of those authorities; for a thread, since it reads. Raises OSError,
    of which ssl.SSLError says that the file can be read and is none.
    """
    if ca_file is None:
        return ssl.create_default_context()
    with open(ca_file, "rb", opener=_without_waiting) as file:
        told = file.read(LARGEST + 1) if S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    if b"-----BEGIN " not in told or len(told) > LARGEST:
        raise ssl.SSLError("there are no certificates, or far too many")
    return ssl.create_default_context(cadata=told.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?"))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
