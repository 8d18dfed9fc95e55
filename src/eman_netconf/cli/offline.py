"""The state folder without a running server: its configuration opened, changed, closed; what can be wrong with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from eman_netconf import safexml
from eman_netconf.cli import CommandError
from eman_netconf.datastore.commit import commit
from eman_netconf.datastore.datastores import Author, Datastores
from eman_netconf.datastore.edit import apply_edit
from eman_netconf.datastore.storage import StateInUse, StateTooNew, StateUnusable, Storage
from eman_netconf.errors import RpcError, RpcErrors
from eman_netconf.server import plugins
from eman_netconf.server.administrator import AdministratorStays
from eman_netconf.server.config import Bootstrap, ConfigError
from eman_netconf.server.daemon import load_schema
from eman_netconf.server.history import HistoryUnusable
from eman_netconf.server.journal import DiskJournal
from eman_netconf.server.secrets import SecretUnreadable, Vault
from eman_netconf.server.settings import faults
from eman_netconf.server.ssh import HostKeyError
from eman_netconf.yang.compiler import SchemaError

#: What keeps a server from starting and its folder from being used; each text is for a person.
CANNOT_START = (
    ConfigError,
    HistoryUnusable,
    HostKeyError,
    RpcErrors,
    SchemaError,
    SecretUnreadable,
    StateInUse,
    StateTooNew,
    StateUnusable,
    OSError,
)


def one_line(error: Exception) -> str:
    """What went wrong in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return "; ".join(str(error).splitlines()) or type(error).__name__


@contextmanager
def opened(bootstrap: Bootstrap) -> Iterator[Datastores]:
    """The datastores of a server that is not running. Raises CommandError."""
    with ExitStack() as stack:
        try:
            schema = load_schema(plugins.find(), bootstrap)
            bootstrap.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            storage = Storage(bootstrap.state / "running", schema)
            journal = DiskJournal(storage)
            stack.callback(journal.close)
            recovered = storage.recover(lambda root: faults(schema, root), time.time())
            vault = Vault(bootstrap.state / "secret.key")
        except CANNOT_START as error:
            raise CommandError(one_line(error)) from None
        yield Datastores(
            schema,
            recovered.root,
            recovered.generation,
            journal=journal,
            writer=asyncio.Lock(),
            participants=[AdministratorStays(bootstrap.admin)],
            transform=vault.transform,
        )


def edit(datastores: Datastores, document: bytes) -> None:
    """Merge a <config>, durably. Raises CommandError, having changed nothing."""
    config = safexml.parse(document)
    author = Author("eman-netconf", 0, time.time())
    try:
        asyncio.run(
            commit(
                datastores,
                lambda running: apply_edit(running, config, datastores.schema, transform=datastores.transform),
                author,
                lambda change: None,
            )
        )
    except (RpcError, RpcErrors) as error:
        raise CommandError(one_line(error)) from None
