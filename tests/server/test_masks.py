"""What a backend says in its trouble is told without the secrets it was given."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from eman_netconf.backend import Context, Finding, LinkState, Plugin
from eman_netconf.server.clock import Clock
from eman_netconf.server.masks import Mask
from eman_netconf.server.poller import BackendConfig, Poller
from tests.server.rack import COMMUNITY


@pytest.mark.parametrize(
    ("secrets", "said", "told"),
    [
        (["open sesame"], "he said open sesame twice: open sesame", "he said *** twice: ***"),
        (["key", "keyring"], "keyring, key and keys", "***, *** and keys"),
        (["longer", "longer one"], "longer one and longer", "*** and ***"),
        (["a.b("], "a.b( axb(", "*** axb("),
        ([""], "nothing", "nothing"),
        ([], "nothing", "nothing"),
    ],
)
def test_text_is_masked(secrets: list[str], said: str, told: str) -> None:
    """A secret is masked wherever it stands, a very short one where it stands alone."""
    assert Mask(secrets).text(said) == told


def test_lines_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A logger with a mask writes no secret: in the text, its arguments, or a traceback with what caused it."""
    log = logging.getLogger("eman_netconf.backend.masked")
    mask = Mask(["open sesame"])
    log.addFilter(mask)
    try:
        log.warning("%s was said", "open sesame")
        try:
            try:
                raise KeyError("open sesame")
            except KeyError as cause:
                raise ValueError("the door") from cause
        except ValueError:
            log.exception("it did not open")
    finally:
        log.removeFilter(mask)
    assert "*** was said" in caplog.text
    assert "the door" in caplog.text
    assert "open sesame" not in caplog.text


class Talker:
    """A backend that says what it should keep to itself."""

    def __init__(self, context: Context) -> None:
        self._log = context.log

    async def open(self) -> None:
        self._log.error("logging in with %s", COMMUNITY)
        raise ZeroDivisionError(COMMUNITY)

    async def read(self) -> None: ...

    async def close(self) -> None:
        raise ZeroDivisionError(COMMUNITY)


async def test_a_backend_that_tells_its_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the state of the link nor the log holds what a backend was told in confidence."""
    errors: list[str | None] = []
    seen = asyncio.Event()

    class Receiver:
        def link(self, backend: str, state: LinkState, error: str | None, duration: float | None) -> None:
            errors.append(error)
            if state is LinkState.BACKING_OFF:
                seen.set()

        def forgotten(self, backend: str) -> None: ...

    plugin = Plugin("talker", "none", lambda settings, context: Talker(context))  # type: ignore[arg-type,return-value]  # as bad as may be
    poller = Poller({"talker": plugin}, Receiver(), Clock(), tmp_path)  # type: ignore[arg-type]  # what is needed here
    config = BackendConfig("t", "talker", {"word": COMMUNITY}, secrets=(COMMUNITY,))
    poller.configure({"t": config})
    async with asyncio.timeout(60):
        await seen.wait()
    await poller.close()
    assert "open: ***" in errors
    assert COMMUNITY not in caplog.text + repr(errors) + repr(config)
    assert "logging in with ***" in caplog.text
    assert logging.getLogger("eman_netconf.backend.t").filters == []


def test_values_show_no_settings() -> None:
    """What holds settings does not print them."""
    assert COMMUNITY not in repr(Finding({"community": COMMUNITY}, "something"))
