"""Foreign programs that tests compare with: where one is missing the test is skipped, and fails where CI is set."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def program(name: str, package: str) -> str:
    """The path of an installed program; ``package`` is Debian's for it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or missing(name, package)


def missing(what: str, package: str) -> NoReturn:
    """Skip, saying what to install; where everything should be there (CI is set), fail."""
    reason = f"{what} is not installed (package {package})"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def script(name: str) -> str:
    """The path of a program that the dependency group ``clients`` brings into this Python's environment."""
    found = Path(sys.executable).parent / name
    return str(found) if found.exists() else missing(name, "of Python: pip install --group clients")
