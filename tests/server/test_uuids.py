"""The uuids that the server gives."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid5

from eman_netconf.server.daemon import _uuids


def test_uuids_are_of_names_in_the_space_of_the_server(tmp_path: Path) -> None:
    """Every name has its UUID of version 5 in a space that the server keeps over restarts."""
    given = _uuids(tmp_path)
    space = UUID((tmp_path / "namespace-uuid").read_text().strip())
    for name in ("", "srv-1", "srv-1/psu-1", "é" * 128):
        assert given(name) == str(uuid5(space, name)) == _uuids(tmp_path)(name)
