"""What tests of the command line share."""

from __future__ import annotations

from tests.server.rack import asker, installed, rack  # noqa: F401 - fixtures
from tests.server.running import admin_key, process, seed  # noqa: F401 - fixtures
