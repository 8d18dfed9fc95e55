"""What the pages for operators show is taken as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eman_netconf.errors import ErrorTag
from eman_netconf.yang.schema import Schema
from tests.server.running import EMAN, edited, serving

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOWN = [
    pytest.param(text, id=f"{page}-{number}")
    for page in ("energy", "operating")
    for number, text in enumerate(re.findall(r"```xml\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL))
]
#: What the requests are about, without any device behind it.
SITE = f"""<energy-management xmlns="{EMAN}">
  <entities><entity><id>pdu-a</id></entity><entity><id>ups-1</id></entity></entities>
  <groups xmlns="urn:eman:yang:eman-group"><group><name>lighting</name></group></groups></energy-management>"""
BACKEND = f"""<energy-management xmlns="{EMAN}"><backends xmlns="urn:eman:yang:eman-backend">
  <backend><name>found</name>%s</backend></backends></energy-management>"""
REQUESTS = ("<action", "<get", "<establish-subscription")


@pytest.mark.parametrize("text", SHOWN)
async def test_what_is_shown_can_be_pasted(tmp_path: Path, schema: Schema, text: str) -> None:
    """Requests fail at most since nothing was measured of what they ask for; the rest is valid configuration."""
    async with serving(tmp_path / "state", schema) as server, server.peer() as admin:
        if text.startswith("<snmp"):  # the settings of a search lack the address alone
            text = BACKEND % text.replace("<v3>", "<address>192.0.2.1</address><v3>")
        elif text.startswith("<config"):
            text = text[text.index(">") + 1 : text.rindex("</config>")]
        if not text.startswith(REQUESTS):
            await edited(admin, text)
            return
        await edited(admin, SITE)
        reply = await admin.rpc(text)
        assert {error.tag for error in reply.errors} <= {ErrorTag.DATA_MISSING}, reply.errors
