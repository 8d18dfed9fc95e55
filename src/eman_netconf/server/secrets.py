"""Secrets at rest: `$0$clear` text becomes a password hash or ciphertext before anything is stored.

Passwords of ietf-system users become `$6$` hashes (RFC 7317, iana-crypt-hash). Values of the typedef
``eman-types:secret``, which the server must use in clear towards devices, become `$aes$` ciphertext under a key
file that is no part of the configuration. The encryption is deterministic (AES-SIV, RFC 5297): the same clear text
keeps its ciphertext, so that writing the same configuration again changes nothing.
"""

from __future__ import annotations

import base64
import secrets
from pathlib import Path as File

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from passlib.hash import sha512_crypt

from eman_netconf.server.files import write_private
from eman_netconf.server.users import LONGEST_PASSWORD
from eman_netconf.yang.schema import SchemaNode
from eman_netconf.yang.tree import Path

CLEAR = "$0$"
CIPHER = "$aes$"
MASK = "***"  # what stands in place of a secret where somebody reads
SECRET = "eman-types:secret"  # noqa: S105 - the name of a typedef
CRYPT_HASH = "iana-crypt-hash:crypt-hash"
ROUNDS = 5000
_MARK = b"1"  # the version of what follows; also because nothing cannot be encrypted


class SecretUnreadable(Exception):
    """Ciphertext that this server's key does not open."""


class Vault:
    """The key file, and what is done with it. The key is made at first use, readable by the server alone."""

    def __init__(self, path: File) -> None:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = AESSIV.generate_key(512)
            write_private(path, key)
        if len(key) != 64:
            raise SecretUnreadable(f"{path} is no key of this server (64 bytes expected, {len(key)} found)")
        self._siv = AESSIV(key)

    def encrypt(self, clear: str) -> str:
        return CIPHER + base64.b64encode(self._siv.encrypt(_MARK + clear.encode(), None)).decode()

    def decrypt(self, value: str) -> str:
        """The clear text of a stored value. Raises SecretUnreadable."""
        if not value.startswith(CIPHER):
            return value.removeprefix(CLEAR)
        try:
            clear = self._siv.decrypt(base64.b64decode(value.removeprefix(CIPHER), validate=True), None)
        except (InvalidTag, ValueError):
            raise SecretUnreadable(
                "a stored secret was encrypted with another key; restore the key file or set the secret again"
            ) from None
        return clear.removeprefix(_MARK).decode()

    def transform(self, path: Path, value: str, old: str | None = None) -> str:
        """As ``protect``, of the leaf that a path leads to; the Transform of edits."""
        return self.protect(path[-1].schema, value, old)

    def protect(self, schema: SchemaNode, value: str, old: str | None = None) -> str:
        """What is stored for a leaf: clear text hashed or encrypted, everything else unchanged.

        ``old`` is the value in place: a hash that fits the clear text is kept. Raises ValueError for a password
        that nobody could log in with.
        """
        if not value.startswith(CLEAR):
            return value
        typedefs = schema.type.typedefs if schema.type is not None else ()
        if CRYPT_HASH in typedefs:
            clear = value.removeprefix(CLEAR)
            if not 0 < len(clear.encode()) <= LONGEST_PASSWORD:
                raise ValueError(f"it must be 1..{LONGEST_PASSWORD} bytes long")
            if old is not None and old.startswith("$6$") and sha512_crypt.verify(clear, old):
                return old
            return hash_password(clear)
        if SECRET in typedefs:
            return self.encrypt(value.removeprefix(CLEAR))
        return value


def hash_password(clear: str) -> str:
    """A `$6$` hash with a fresh salt."""
    return str(sha512_crypt.using(rounds=ROUNDS).hash(clear))


def new_password() -> str:
    """A password nobody will guess, easy to type."""
    return secrets.token_urlsafe(15)
