"""What requests leave behind: no trees that only a collection of garbage would find, which comes rarely."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.yang.diff import Change
from eman_netconf.yang.schema import Schema
from eman_netconf.yang.tree import Inner
from tests.operations.bench import NAMESPACES, bench, edit

COUNT = 50
ENTITIES = "".join(f"<entity><id>e{number}</id>{{}}</entity>" for number in range(COUNT))
SITE = f'<energy-management xmlns="urn:eman:yang:eman-entity"><entities>{ENTITIES}</entities></energy-management>'
ROLES = SITE.replace("{}", "<role>r</role>")
WRONG = SITE.replace("{}", "<nonsense/>")
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
READ = (
    f'<get-data xmlns="{NMDA}" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores" '
    'xmlns:e="urn:eman:yang:eman-entity"><datastore>ds:running</datastore>{}</get-data>'
)
REQUESTS = {
    "validate": f"<validate {NAMESPACES}><source><config>{ROLES}</config></source></validate>",
    "an edit": edit(ROLES),
    "an edit that is refused": edit(
        f'<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><hostname>refused</hostname></system>{ROLES}'
    ),
    "an edit with faults": edit(WRONG),
    "an edit of the candidate": edit(ROLES).replace("running", "candidate"),
    "an XPath": READ.format("<xpath-filter>//e:entity[e:role = 'r']</xpath-filter>"),
    "a wrong XPath": READ.format("<xpath-filter>//e:entity[count(3)]</xpath-filter>"),
    "defaults": READ.format("<with-defaults>report-all-tagged</with-defaults>"),
    "commit": f"<commit {NAMESPACES}/>",
}


class Reluctant:
    """A participant that refuses what has a certain name."""

    def prepare(self, change: Change, new: Inner) -> None:
        if new.at("ietf-system:system", "hostname") == "refused":
            raise RpcError(ErrorTag.OPERATION_FAILED, "Not this.")

    def apply(self, change: Change, new: Inner) -> None:
        pass


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collection of garbage meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_requests_leave_no_trees(tmp_path: Path, schema: Schema, request_: str) -> None:
    """What a request made goes with its reply, though no collection of garbage runs."""
    async with bench(tmp_path, schema) as server:
        peer = await server.peer()
        server.datastores.participants.append(Reluctant())
        assert (await peer.rpc(edit(SITE.replace("{}", "")))).ok
        for _ in range(2):  # what is remembered for ever is made the first time
            await peer.rpc(request_)
            before = _trees()
        gc.collect()
        assert before - _trees() < COUNT


def _trees() -> int:
    return sum(1 for each in gc.get_objects() if isinstance(each, Inner))
