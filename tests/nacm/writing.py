"""Rules and data as a configuration holds them, written shortly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eman_netconf.messages.rpc import SessionInfo
from eman_netconf.nacm.judge import Nacm
from eman_netconf.yang.schema import Schema, SchemaNode
from eman_netconf.yang.tree import Inner, make_inner

ACM = "ietf-netconf-acm:nacm"


def session(user: str = "ann", *groups: str) -> SessionInfo:
    """A session whose transport tells ``groups``."""
    return SessionInfo(7, user, "192.0.2.1", 0.0, groups=frozenset(groups))


def rule(action: str, accesses: str = "*", **leaves: str) -> dict[str, str]:
    """One rule; ``leaves`` as in the model with underscores, such as ``rpc_name``."""
    named = {name.replace("_", "-"): value for name, value in leaves.items()}
    return {"action": action, "access-operations": accesses, **named}


def permit(accesses: str = "*", **leaves: str) -> dict[str, str]:
    return rule("permit", accesses, **leaves)


def deny(accesses: str = "*", **leaves: str) -> dict[str, str]:
    return rule("deny", accesses, **leaves)


def rule_list(*rules: Mapping[str, str], group: str | list[str] = "staff", name: str = "rules") -> dict[str, Any]:
    return {
        "name": name,
        "group": [group] if isinstance(group, str) else group,
        "rule": [{"name": f"r{place}", **each} for place, each in enumerate(rules)],
    }


def nacm(
    schema: Schema, *lists: Mapping[str, Any], users: Mapping[str, list[str]] | None = None, **leaves: str
) -> Inner:
    """The container; ``users`` by group, ann being one of the staff."""
    groups = {"staff": ["ann"]} if users is None else users
    return make_inner(
        schema.root.child(ACM),
        {
            **{name.replace("_", "-"): value for name, value in leaves.items()},
            "groups": {"group": [{"name": name, "user-name": members} for name, members in groups.items()]},
            "rule-list": list(lists),
        },
    )


def judge(schema: Schema, *rules: Mapping[str, str], data: Mapping[str, Any] | None = None, **leaves: str) -> Nacm:
    """A judge by one list of rules for the staff; ``root`` is the recovery user."""
    return judge_by(schema, nacm(schema, rule_list(*rules), **leaves), data)


def judge_by(schema: Schema, container: Inner, data: Mapping[str, Any] | None = None) -> Nacm:
    root = tree(schema, data or {}).replace(container.schema, container)
    return Nacm(schema, "root", lambda: root)


def tree(schema: Schema, data: Mapping[str, Any]) -> Inner:
    """The root with data of the module plant."""
    return make_inner(schema.root, data)


def rpc(schema: Schema, name: str) -> SchemaNode:
    return next(node for (_, known), node in schema.rpcs.items() if known == name)


def notification(schema: Schema, name: str) -> SchemaNode:
    return next(node for (_, known), node in schema.notifications.items() if known == name)
