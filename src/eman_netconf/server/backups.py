"""The folder of configuration files that clients may name by URL: one flat folder, and nothing outside it."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from pathlib import Path

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.server.files import write_private

#: Files the folder may hold, and how many of the largest there is room for: the disk has other purposes.
MAX_FILES = 1_000
LARGEST = 10

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class Backups:
    """As ``operations.ports.Files``. ``size`` is the most bytes a file may have; one is written at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._writing = asyncio.Lock()

    async def read(self, name: str) -> bytes:
        return await asyncio.to_thread(self._read, name)

    async def write(self, name: str, content: bytes) -> None:
        async with self._writing:
            await asyncio.to_thread(self._write, name, content)

    async def delete(self, name: str) -> None:
        async with self._writing:
            await asyncio.to_thread(self._delete, name)

    def _read(self, name: str) -> bytes:
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise RpcError(ErrorTag.INVALID_VALUE, f"{name} is no file.")
                content = file.read(self._size + 1)
        except OSError as error:
            raise self._refusal(name, error) from None
        if len(content) > self._size:
            raise RpcError(ErrorTag.TOO_BIG, f"{name} has more than {self._size} bytes.")
        return content

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = [path.lstat() for path in self._folder.iterdir() if path.name != name]
            if len(others) >= MAX_FILES:
                raise RpcError(
                    ErrorTag.RESOURCE_DENIED, f"There are {MAX_FILES} files already; delete some with delete-config."
                )
            taken = sum(other.st_size for other in others if stat.S_ISREG(other.st_mode))
            if taken + len(content) > LARGEST * self._size:
                raise RpcError(
                    ErrorTag.RESOURCE_DENIED,
                    f"All files together would have more than {LARGEST * self._size} bytes; delete some with "
                    "delete-config.",
                )
            write_private(self._folder / name, content)
        except OSError as error:
            raise self._refusal(name, error) from None

    def _delete(self, name: str) -> None:
        try:
            (self._folder / name).unlink()
        except OSError as error:
            raise self._refusal(name, error) from None

    def _refusal(self, name: str, error: OSError) -> RpcError:
        if isinstance(error, FileNotFoundError):
            return RpcError(ErrorTag.DATA_MISSING, f"There is no file {name} in the folder of configurations.")
        tag = ErrorTag.RESOURCE_DENIED if error.errno in _FULL else ErrorTag.OPERATION_FAILED
        return RpcError(tag, f"The file {name} cannot be used: {error.strerror or error}.")
