"""A client of libnetconf2, the library of netopeer2-cli, as a program of its own: a fault in C ends no tests.

``python libnetconf2.py PORT PASSWORD_FILE < requests.json > answers.json``

It connects, whereby the library fetches every schema that the server has and compiles it with libyang. Requests are a
list of ``[name, argument ...]``, named after the functions ``nc_rpc_...`` without that prefix, or ``["heard"]`` for the
next notification. Each answer is ``[kind, envelope, content]``: the library's kind of message, and XML of libyang, to
whose schemas the content conforms, or else there is none.
"""

from __future__ import annotations

import json
import sys
from ctypes import CDLL, CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int16, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

LIBRARY = "libnetconf2.so.2"
DATASTORES = {"running": 3, "startup": 4, "candidate": 5}
REPLY, NOTIFICATION = 6, 8  # NC_MSG_TYPE
PATIENCE = 120_000  # milliseconds
INTERACTIVE, NEVER = 4, -1
XML, WITH_SIBLINGS = 1, 1
KEEP = 0  # NC_PARAMTYPE_CONST: texts stay ours

#: name -> the types of the function's arguments; a datastore is said by its name, the last one is KEEP
FUNCTIONS: dict[str, list[Any]] = {
    "act_generic_xml": [c_char_p],
    "getconfig": [c_int, c_char_p, c_int],
    "get": [c_char_p, c_int],
    "getdata": [c_char_p, c_char_p, c_char_p, c_void_p, c_int, c_int, c_uint16, c_int, c_int],
    "edit": [c_int, c_int, c_int, c_int, c_char_p],
    "validate": [c_int, c_char_p],
    "commit": [c_int, c_uint32, c_char_p, c_char_p],
    "cancel": [c_char_p],
}
WITHOUT_TEXTS: dict[str, list[Any]] = {"lock": [c_int], "unlock": [c_int], "discard": []}  # these have no KEEP


class Session:
    """A session over SSH; the server's key is taken as it is."""

    def __init__(self, port: int, password: bytes) -> None:
        self._library, self._yang, self._c = CDLL(LIBRARY), CDLL("libyang.so.2"), CDLL(None)
        self._c.strdup.restype, self._c.strdup.argtypes = c_void_p, [c_char_p]
        self._password = CFUNCTYPE(c_void_p, c_char_p, c_char_p, c_void_p)(lambda *_: self._c.strdup(password))
        self._check = CFUNCTYPE(c_int, c_char_p, c_void_p, c_void_p)(lambda *_: 0)
        library = self._library
        library.nc_client_ssh_set_auth_pref.argtypes = [c_int, c_int16]
        library.nc_connect_ssh.restype = c_void_p
        library.nc_connect_ssh.argtypes = [c_char_p, c_uint16, c_void_p]
        library.nc_send_rpc.argtypes = [c_void_p, c_void_p, c_int, POINTER(c_uint64)]
        library.nc_recv_reply.argtypes = [c_void_p, c_void_p, c_uint64, c_int, POINTER(c_void_p), POINTER(c_void_p)]
        library.nc_recv_notif.argtypes = [c_void_p, c_int, POINTER(c_void_p), POINTER(c_void_p)]
        library.nc_rpc_free.argtypes = self._yang.lyd_free_all.argtypes = [c_void_p]
        self._yang.lyd_print_mem.argtypes = [POINTER(c_char_p), c_void_p, c_int, c_uint32]
        library.nc_client_init()
        library.nc_client_ssh_set_username(b"admin")
        library.nc_client_ssh_set_auth_pref(INTERACTIVE, NEVER)
        library.nc_client_ssh_set_auth_password_clb(self._password, None)
        library.nc_client_ssh_set_auth_hostkey_check_clb(self._check, None)
        self._session = library.nc_connect_ssh(b"127.0.0.1", port, None)
        if not self._session:
            sys.exit("no session")

    def close(self) -> None:
        self._library.nc_session_free.argtypes = [c_void_p, c_void_p]
        self._library.nc_session_free(self._session, None)

    def ask(self, name: str, *arguments: str | int | None) -> tuple[int, str, str]:
        """Perform an operation; the answer."""
        types = WITHOUT_TEXTS[name] if name in WITHOUT_TEXTS else [*FUNCTIONS[name], c_int]
        function = getattr(self._library, f"nc_rpc_{name}")
        function.restype, function.argtypes = c_void_p, types
        values = [
            DATASTORES.get(value, value) if kind is c_int else value
            for kind, value in zip(types, arguments, strict=False)
        ]
        values = [value.encode() if isinstance(value, str) else value for value in values]
        rpc = function(*values, *([] if name in WITHOUT_TEXTS else [KEEP]))
        number = c_uint64()
        self._library.nc_send_rpc(self._session, rpc, PATIENCE, byref(number))
        envelope, content = c_void_p(), c_void_p()
        kind = self._library.nc_recv_reply(self._session, rpc, number, PATIENCE, byref(envelope), byref(content))
        self._library.nc_rpc_free(rpc)
        return kind, self._text(envelope), self._text(content)

    def heard(self) -> tuple[int, str, str]:
        """The next notification."""
        envelope, content = c_void_p(), c_void_p()
        kind = self._library.nc_recv_notif(self._session, PATIENCE, byref(envelope), byref(content))
        return kind, self._text(envelope), self._text(content)

    def _text(self, node: c_void_p) -> str:
        if not node:
            return ""
        printed = c_char_p()
        self._yang.lyd_print_mem(byref(printed), node, XML, WITH_SIBLINGS)
        self._yang.lyd_free_all(node)
        return (printed.value or b"").decode()


def main() -> None:
    session = Session(int(sys.argv[1]), Path(sys.argv[2]).read_bytes().strip())
    answers = [
        session.heard() if name == "heard" else session.ask(name, *arguments)
        for name, *arguments in json.load(sys.stdin)
    ]
    session.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
