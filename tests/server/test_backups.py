"""The folder of configurations that clients name by URL: what is written is read, and nothing else can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.operations.url import file_name
from eman_netconf.server import backups
from eman_netconf.server.backups import Backups


async def refused(call: Callable[[], Awaitable[object]]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await call()
    return caught.value


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_files(tmp_path: Path) -> None:
    """A file is written whole, for the server alone, replaced, read back and deleted."""
    files = Backups(tmp_path / "new", 100)
    for content in (b"one", b"two"):
        await files.write("a.xml", content)
        assert await files.read("a.xml") == content
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "a.xml").stat().st_mode & 0o077 == 0
    await files.delete("a.xml")
    assert (await refused(lambda: files.read("a.xml"))).tag == ErrorTag.DATA_MISSING
    assert (await refused(lambda: files.delete("a.xml"))).tag == ErrorTag.DATA_MISSING


async def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    """Neither a link that leads out, nor a folder, nor a file without end is read."""
    (tmp_path / "secret").write_bytes(b"s")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "below").mkdir()
    (folder / "long").write_bytes(b"x" * 101)
    files = Backups(folder, 100)
    for name in ("link", "below"):
        assert (await refused(lambda name=name: files.read(name))).tag in (  # type: ignore[misc]  # bound here
            ErrorTag.OPERATION_FAILED,
            ErrorTag.INVALID_VALUE,
        )
    assert (await refused(lambda: files.read("long"))).tag == ErrorTag.TOO_BIG
    await files.write("link", b"mine")
    assert (tmp_path / "secret").read_bytes() == b"s"


async def test_the_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many files there is no new one; those that are there may be written again."""
    monkeypatch.setattr(backups, "MAX_FILES", 2)
    files = Backups(tmp_path, 100)
    for name in ("a", "b", "a"):
        await files.write(name, b"x")
    assert (await refused(lambda: files.write("c", b"x"))).tag == ErrorTag.RESOURCE_DENIED


async def test_the_folder_leaves_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files together have so many bytes; one that is written again counts once."""
    monkeypatch.setattr(backups, "LARGEST", 2)
    files = Backups(tmp_path, 100)
    for name in ("a", "b", "a"):
        await files.write(name, b"x" * 100)
    assert (await refused(lambda: files.write("c", b"x"))).tag == ErrorTag.RESOURCE_DENIED
    await files.delete("b")
    await files.write("c", b"x")


async def test_many_write_one_file_at_once(tmp_path: Path) -> None:
    """Whoever writes beside others is told the truth, and one of the contents is there as a whole."""
    files = Backups(tmp_path, 100_000)
    contents = [bytes([number]) * 100_000 for number in range(20)]
    await asyncio.gather(*(files.write("a", content) for content in contents))
    assert await files.read("a") in contents
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("url", ["file:a.xml", "file:/a.xml", "file:///a.xml", "FILE:a.xml", " file:%61.xml "])
def test_names(url: str) -> None:
    """The ways to write the URL of a file."""
    assert file_name(url) == "a.xml"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.xml",
        "http://a/b",
        "file:",
        "file:../a",
        "file:///etc/passwd",
        "file://host/a",
        "file:..",
        "file:.hidden",
        "file:%2e%2e%2fa",
        "file:a%2Fb",
        "file:a%00",
        "file:a\nb",
        "file:" + "a" * 129,
        "ftp:a",
    ],
)
def test_no_names(url: str) -> None:
    """What names no plain file of the folder is refused."""
    with pytest.raises(RpcError) as caught:
        file_name(url)
    assert caught.value.tag == ErrorTag.INVALID_VALUE
