"""A file of authorities is read whatever it is: within bounds, without waiting, and never as nothing at all."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from eman_backends import authorities
from eman_backends.authorities import trusting


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev", "/nowhere/ca.pem"])
def test_what_is_no_file_is_not_read(path: str) -> None:
    """Devices without end, without content, folders and what is not there are refused at once."""
    with pytest.raises(OSError, match=r"no certificates|directory|No such"):
        trusting(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe into which nobody writes is refused at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no certificates"):
        trusting(str(pipe))


@pytest.mark.parametrize("content", [b"", b"\n", b"no certificate", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_without_certificates_trusts_nobody(tmp_path: Path, content: bytes) -> None:
    """Nothing in the file does not mean the authorities of the machine."""
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(OSError, match=r".+"):
        trusting(str(file))


def test_a_file_too_long_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that is too long no more is read than could be taken."""
    monkeypatch.setattr(authorities, "LARGEST", 100)
    file = tmp_path / "ca.pem"
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\n" * 10)
    with pytest.raises(OSError, match="far too many"):
        trusting(str(file))


def test_the_machines_own_authorities_are_those_without_a_file() -> None:
    """Where no file is named, a certificate and its name are demanded all the same."""
    context = trusting(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
