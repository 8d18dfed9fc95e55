"""The administrator whom the bootstrap file names: first credentials, and never locked out."""

from __future__ import annotations

from xml.sax.saxutils import escape

from eman_netconf.errors import BASE_NS, ErrorTag, RpcError
from eman_netconf.server.users import can_be_checked, read_users
from eman_netconf.yang.diff import Change
from eman_netconf.yang.tree import Inner

_AUTHENTICATION = ("system", "authentication")


def credentials(user: str, *, password_hash: str | None = None, key: tuple[str, str] | None = None) -> bytes:
    """A <config> that gives a user a password or a key (algorithm, base64)."""
    parts = [f"<name>{escape(user)}</name>"]
    if password_hash is not None:
        parts.append(f"<password>{escape(password_hash)}</password>")
    if key is not None:
        algorithm, data = key
        parts.append(
            f"<authorized-key><name>{escape(user)}</name><algorithm>{escape(algorithm)}</algorithm>"
            f"<key-data>{escape(data)}</key-data></authorized-key>"
        )
    return (
        f'<config xmlns="{BASE_NS}"><system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication><user>'
        f"{''.join(parts)}</user></authentication></system></config>"
    ).encode()


def can_log_in(root: Inner, user: str) -> bool:
    """Whether the configuration lets this user in at all."""
    authentication = root.at(*_AUTHENTICATION)
    known = read_users(authentication).get(user) if isinstance(authentication, Inner) else None
    if known is None:
        return False
    password = known.password or ""
    # clear text is never stored, but stands in a configuration that is only validated
    return bool(known.keys) or password.startswith("$0$") or can_be_checked(password)


class AdministratorStays:
    """Takes part in commits: refuses one that leaves the administrator without password and keys."""

    def __init__(self, user: str) -> None:
        self._user = user

    def prepare(self, change: Change, new: Inner) -> None:
        old = change.old
        if not isinstance(old, Inner) or old.at(*_AUTHENTICATION) is new.at(*_AUTHENTICATION):
            return
        if can_log_in(old, self._user) and not can_log_in(new, self._user):
            raise RpcError(
                ErrorTag.OPERATION_FAILED,
                f"This would take the last credential of the administrator {self._user}; give another one first.",
            )

    def apply(self, change: Change, new: Inner) -> None:
        pass  # nothing to act on: users are read from the configuration at every login
