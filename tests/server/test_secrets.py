"""Secrets go in as clear text and are never seen again."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.hash import sha512_crypt

from eman_netconf.server.secrets import SecretUnreadable, Vault
from eman_netconf.yang.schema import Schema

PASSWORD = "/ietf-system:system/authentication/user/password"
COMMUNITY = "/eman-entity:energy-management/eman-backend:backends/backend/eman-backend-snmp:snmp/v2c/community"


@given(st.text())
def test_what_is_encrypted_can_be_decrypted(tmp_path_factory: pytest.TempPathFactory, clear: str) -> None:
    """Every text comes back, its ciphertext does not show it, and the same text gives the same ciphertext."""
    vault = Vault(tmp_path_factory.getbasetemp() / "shared.key")
    try:
        clear.encode()
    except UnicodeEncodeError:
        return
    stored = vault.encrypt(clear)
    assert stored.startswith("$aes$")
    assert len(clear) < 8 or clear not in stored  # a short text may be there by chance, or be the mark itself
    assert vault.encrypt(clear) == stored
    assert vault.decrypt(stored) == clear


def test_the_key_file_is_private(tmp_path: Path) -> None:
    """Only the server's user may read the key."""
    Vault(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    """Ciphertext of another server says what to do."""
    stored = Vault(tmp_path / "one").encrypt("private")
    with pytest.raises(SecretUnreadable, match="another key"):
        Vault(tmp_path / "two").decrypt(stored)


def test_a_damaged_key_file_is_refused(tmp_path: Path) -> None:
    """A key file of the wrong length is named instead of replaced."""
    (tmp_path / "k").write_bytes(b"short")
    with pytest.raises(SecretUnreadable, match="64 bytes"):
        Vault(tmp_path / "k")


def test_a_password_is_hashed_and_the_same_one_keeps_its_hash(tmp_path: Path, schema: Schema) -> None:
    """$0$ becomes $6$ with a salt of its own; setting the same password again changes nothing."""
    vault, leaf = Vault(tmp_path / "k"), schema.find(PASSWORD)
    stored = vault.protect(leaf, "$0$correct horse")
    assert stored.startswith("$6$")
    assert sha512_crypt.verify("correct horse", stored)
    assert vault.protect(leaf, "$0$correct horse", stored) == stored
    assert vault.protect(leaf, "$0$other", stored) != stored
    assert vault.protect(leaf, "$0$correct horse") != stored
    assert vault.protect(leaf, stored) == stored


def test_a_community_is_encrypted(tmp_path: Path, schema: Schema) -> None:
    """A secret of a backend is stored as ciphertext, and ciphertext as it is."""
    vault, leaf = Vault(tmp_path / "k"), schema.find(COMMUNITY)
    stored = vault.protect(leaf, "$0$public")
    assert stored.startswith("$aes$")
    assert vault.decrypt(stored) == "public"
    assert vault.protect(leaf, stored) == stored


def test_other_leaves_are_left_alone(tmp_path: Path, schema: Schema) -> None:
    """A description that begins like a secret stays what it is."""
    leaf = schema.find("/eman-entity:energy-management/entities/entity/description")
    assert Vault(tmp_path / "k").protect(leaf, "$0$text") == "$0$text"
