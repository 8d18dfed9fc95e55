"""What rules of access cost: the same requests by the administrator, and by users with no, few and many rules."""

from __future__ import annotations

import itertools
from dataclasses import replace

from bench import site
from bench.client import GET, Client, edit, get_subtree
from bench.reads import timed
from bench.servers import Place, Server, ours
from bench.table import Row, Table
from eman_netconf.errors import BASE_NS

_ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
_ENTITY = "/em:energy-management/em:entities/em:entity"


async def run(place: Place, table: Table) -> None:
    """The row group."""
    table.head("access: reading and editing under rules (RFC 8341)")
    for entities in place.sizes(100, 1000, 10_000):
        async with ours(place, entities) as server:
            rules = _rules(entities)
            async with Client(server.address) as client:
                await client.rpc(edit(_access(place, rules)))
            for user in ("bench", *rules):
                await _reader(place, table, entities, server, user)


def _rules(entities: int) -> dict[str, list[str]]:
    """Rules by the user they are for, who is called after them."""
    one = site.entity_id(entities // 2)
    return {
        "no rule": [],
        "one entity denied": [_rule("deny", "read", f"{_ENTITY}[em:id='{one}']")],
        "50 entities denied": [
            _rule("deny", "read", f"{_ENTITY}[em:id='{site.entity_id(number)}']") for number in range(50)
        ],
        "one leaf denied": [_rule("deny", "read", f"{_ENTITY}/em:role")],
    }


def _rule(action: str, accesses: str, path: str) -> str:
    return f"<path>{path}</path><access-operations>{accesses}</access-operations><action>{action}</action>"


def _access(place: Place, rules: dict[str, list[str]]) -> str:
    """Users with the client's key, each in a group with his rules; whoever has any may write entities too."""
    algorithm, blob = place.key.with_suffix(".pub").read_text(encoding="ascii").split()[:2]
    key = f"<name>k</name><algorithm>{algorithm}</algorithm><key-data>{blob}</key-data>"
    users, groups, lists = [], [], []
    for user, told in rules.items():
        users.append(f"<user><name>{user}</name><authorized-key>{key}</authorized-key></user>")
        groups.append(f"<group><name>{user}</name><user-name>{user}</user-name></group>")
        each = [*told, _rule("permit", "create update delete", _ENTITY)]
        listed = "".join(f"<rule><name>r{number}</name>{rule}</rule>" for number, rule in enumerate(each))
        lists.append(f"<rule-list><name>{user}</name><group>{user}</group>{listed}</rule-list>")
    return (
        f'<config xmlns="{BASE_NS}"><system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication>'
        f'{"".join(users)}</authentication></system><nacm xmlns="{_ACM}" xmlns:em="{site.ENTITY_NS}">'
        f"<groups>{''.join(groups)}</groups>{''.join(lists)}</nacm></config>"
    )


async def _reader(place: Place, table: Table, entities: int, server: Server, user: str) -> None:
    who = "the administrator" if user == "bench" else user
    name = site.entity_id(entities // 3)
    keyed = get_subtree(name, "name")
    async with Client(replace(server.address, user=user)) as client:
        whole = await timed(lambda: client.rpc(GET), place.times(20))
        one = await timed(lambda: client.rpc(keyed), place.times(300))
        turns = itertools.count()

        def change() -> bytes:
            described = f"<entity><id>{name}</id><description>turn {next(turns)}</description></entity>"
            return edit(site.config(f"<entities>{described}</entities>"))

        edits = await timed(lambda: client.rpc(change()), place.times(100))
    table.add(Row(f"full get, {who}, N={entities:,}", "ms", whole))
    table.add(Row(f"get of one leaf by key, {who}, N={entities:,}", "ms", one))
    table.add(Row(f"edit of one leaf with its fsync, {who}, N={entities:,}", "ms", edits))
