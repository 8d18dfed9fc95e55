"""The peer: the server of the PyPI package ``netconf``, giving out a stored reply; run by its own Python.

    python bench/peer_netconf.py GET-FILE GET-CONFIG-FILE HOST-KEY PUBLIC-KEY

The files hold the content of <data> as another server gave it. There is no model and no validation behind it.
Filters are applied by the package's own ``util.filter_results``. Prints ``ready HOST PORT``; ends with stdin.
"""

import base64
import errno
import socket
import sys
import types
from pathlib import Path

import netconf
import paramiko
import sshutil.server
from lxml import etree
from netconf import server, util

HOST = "127.0.0.1"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"

ENTITY = "urn:eman:yang:eman-entity"


class LoopbackSocket(socket.socket):
    """The package binds every address of the machine and leaves small packets to wait for each other (40 ms);
    this one binds the loopback alone and sends at once."""

    def __init__(self, family=socket.AF_INET, *rest, **named):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "only IPv4 here")
        super().__init__(family, *rest, **named)

    def bind(self, address):
        super().bind((HOST, address[1]))

    def accept(self):
        connection, address = super().accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


class KeyController(paramiko.ServerInterface):
    """Lets in whoever has the one key."""

    def __init__(self, blob):
        self.blob = blob

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.asbytes() == self.blob else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel, name):
        return name == "netconf"


class Methods(server.NetconfMethods):
    """A plain dump of two trees, each as (in the form for whole replies, in the form for filtered ones)."""

    def __init__(self, state, config):
        self.state = state
        self.config = config

    def nc_append_capabilities(self, capabilities):
        pass

    def rpc_get(self, session, rpc, filter_or_none):
        return self._answer(rpc, self.state, filter_or_none)

    def rpc_get_config(self, session, rpc, source, filter_or_none):
        return self._answer(rpc, self.config, filter_or_none)

    @staticmethod
    def _answer(rpc, data, wanted):
        whole, filtered = data
        if wanted is None:
            return whole  # moved from reply to reply, which costs the package least
        for name in ("type", "select"):  # the package looks for them in the namespace of NETCONF
            if name in wanted.attrib:
                wanted.set(f"{{{NC}}}{name}", wanted.attrib[name])
        return util.filter_results(rpc, filtered, wanted)


def load(path):
    """The data in both forms. The package copies declarations of namespaces slowly, so of the first form each is
    declared once, at the top; and it filters slowly what is declared far above, so the second is left as it was."""
    parser = etree.XMLParser(huge_tree=True)
    filtered = etree.fromstring(b'<data xmlns="%b">%b</data>' % (NC.encode(), Path(path).read_bytes()), parser)
    prefixes = {None: NC}
    for element in filtered.iter():
        prefixes.update((prefix, uri) for prefix, uri in element.nsmap.items() if prefix)
        uri = etree.QName(element).namespace
        if uri not in prefixes.values():
            prefixes[f"n{len(prefixes)}"] = uri
    whole = etree.Element(f"{{{NC}}}data", nsmap=prefixes)
    _fill(whole, filtered)
    return whole, filtered


def _fill(target, source):
    target.text = source.text
    for child in source:
        _fill(etree.SubElement(target, child.tag), child)


def main(get_file, get_config_file, host_key, public_key):
    netconf.nsmap_add("e", ENTITY)
    sshutil.server.socket = types.SimpleNamespace(**{**vars(socket), "socket": LoopbackSocket})
    controller = KeyController(base64.b64decode(Path(public_key).read_text(encoding="ascii").split()[1]))
    serving = server.NetconfSSHServer(controller, Methods(load(get_file), load(get_config_file)), 0, host_key)
    print(f"ready {HOST} {serving.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
