"""The rules of access a new server begins with: three groups without members, and nothing for anybody else.

- ``monitor`` reads what is no secret, asks about the past and what would be if, and subscribes to notifications;
- ``operate`` may also call the actions in the ``control`` containers, but correct no figures, and those on alarms;
- ``configure`` may also correct figures, have the server look for devices, and edit, but not who may log in, the rules
  of access, nor the server's own settings; and see the list of commits and undo them, as far as it may edit what they
  changed.

The administrator whom the bootstrap file names needs no group (RFC 8341, recovery session).
"""

from __future__ import annotations

from collections.abc import Iterable

from eman_netconf.errors import BASE_NS

MONITOR, OPERATE, CONFIGURE = "monitor", "operate", "configure"

_NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
_PREFIXES = {
    "al": "urn:ietf:params:xml:ns:yang:ietf-alarms",
    "sys": "urn:ietf:params:xml:ns:yang:ietf-system",
    "em": "urn:eman:yang:eman-entity",
    "embat": "urn:eman:yang:eman-battery",
    "embe": "urn:eman:yang:eman-backend",
    "emgrp": "urn:eman:yang:eman-group",
    "empi": "urn:eman:yang:eman-power-interface",
    "emtop": "urn:eman:yang:eman-topology",
    "emser": "urn:eman:yang:eman-series",
    "emsrv": "urn:eman:yang:eman-server",
}
_WRITING = "create update delete"

#: rpcs by module
_READING_RPCS = {
    "ietf-netconf": ("get", "get-config", "validate"),
    "ietf-netconf-monitoring": ("get-schema",),
    "ietf-netconf-nmda": ("get-data",),
    "notifications": ("create-subscription",),
    "ietf-subscribed-notifications": ("establish-subscription", "modify-subscription", "delete-subscription"),
    "ietf-yang-push": ("resync-subscription",),
}
_EDITING_RPCS = {
    "ietf-netconf": (
        *("edit-config", "copy-config", "lock", "unlock"),
        *("commit", "cancel-commit", "discard-changes"),
    ),
    "ietf-netconf-nmda": ("edit-data",),
    "ietf-netconf-partial-lock": ("partial-lock", "partial-unlock"),
    "eman-server": ("revert",),
}
_QUESTIONS = {
    "ask-what-if": "/em:energy-management/emtop:topology",
}
_CORRECTING = "/em:energy-management/em:entities/em:entity/em:control/emser:correct-energy"
_CONTROLS = {
    "control-entities": "/em:energy-management/em:entities/em:entity/em:control",
    "control-supplies": "/em:energy-management/em:entities/em:entity/empi:power-interface/empi:control",
    "control-batteries": "/em:energy-management/em:entities/em:entity/embat:battery/embat:control",
    "control-groups": "/em:energy-management/emgrp:groups/emgrp:group/emgrp:control",
    "control-backends": "/em:energy-management/embe:backends/embe:backend/embe:control",
    "control-alarms": "/al:alarms/al:alarm-list",
}
_DISCOVERING = "/em:energy-management/embe:backends/embe:control"  # who may configure an address may ask there
_BILLS = {"correct-energy": "permit", "keep-figures": "deny"}
_KEPT = {
    "keep-users": "/sys:system/sys:authentication",
    "keep-server": "/emsrv:eman-server",
}


def first_rules() -> bytes:
    """A <config> with defaults, groups and rules."""
    groups = "".join(f"<group><name>{name}</name></group>" for name in (MONITOR, OPERATE, CONFIGURE))
    # the actions of the module stand where their readers read, but for the correction, which stands in ``control``
    past = _rule("ask-about-the-past", "<module-name>eman-series</module-name>", "exec", "permit")
    correct, figures = (_data(name, _CORRECTING, "exec", action) for name, action in _BILLS.items())
    questions = [past] + [_data(name, path, "exec", "permit") for name, path in _QUESTIONS.items()]
    controls = [_data(name, path, "read exec", "permit") for name, path in _CONTROLS.items()]
    # by module and not by path, which would need a prefix for the namespace it stands in: many clients lose those
    rules = _rule("keep-rules", "<module-name>ietf-netconf-acm</module-name>", _WRITING, "deny")
    kept = [rules, *(_data(name, path, _WRITING, "deny") for name, path in _KEPT.items())]
    commits = _data("read-commits", "/emsrv:eman-server/emsrv:commits", "read", "permit")
    edits = _data("edit", "/", _WRITING, "permit")
    discover = _data("discover", _DISCOVERING, "read exec", "permit")
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())
    return (
        f'<config xmlns="{BASE_NS}"><nacm xmlns="{_NACM}"{declared}>'
        "<read-default>permit</read-default><write-default>deny</write-default><exec-default>deny</exec-default>"
        f"<groups>{groups}</groups>"
        f"{_list('correct', (CONFIGURE,), [correct])}{_list('figures', (OPERATE,), [figures])}"
        f"{_list(MONITOR, (MONITOR, OPERATE, CONFIGURE), (*_rpcs(_READING_RPCS), *questions))}"
        f"{_list(OPERATE, (OPERATE, CONFIGURE), controls)}"
        f"{_list(CONFIGURE, (CONFIGURE,), (*_rpcs(_EDITING_RPCS), discover, commits, *kept, edits))}"
        "</nacm></config>"
    ).encode()


def _list(name: str, groups: Iterable[str], rules: Iterable[str]) -> str:
    members = "".join(f"<group>{group}</group>" for group in groups)
    return f"<rule-list><name>{name}</name>{members}{''.join(rules)}</rule-list>"


def _rpcs(modules: dict[str, tuple[str, ...]]) -> list[str]:
    return [
        _rule(name, f"<module-name>{module}</module-name><rpc-name>{name}</rpc-name>", "exec", "permit")
        for module, names in modules.items()
        for name in names
    ]


def _data(name: str, path: str, accesses: str, action: str) -> str:
    return _rule(name, f"<path>{path}</path>", accesses, action)


def _rule(name: str, about: str, accesses: str, action: str) -> str:
    return (
        f"<rule><name>{name}</name>{about}"
        f"<access-operations>{accesses}</access-operations><action>{action}</action></rule>"
    )
