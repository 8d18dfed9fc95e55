"""From octets that a device sends to words: texts, hardware addresses, uuids, and names of things."""

from __future__ import annotations

import ipaddress
import re
import uuid

from .complete import Value

LONGEST_NAME = 64


def text(value: Value | None) -> str | None:
    """What a device calls something: readable, on one line, not empty, at most 255 characters."""
    if value is None:
        return None
    told = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    told = "".join(character if character.isprintable() else " " for character in told.split("\0")[0])
    return " ".join(told.split())[:255] or None


def mac(value: Value | None) -> str | None:
    """A hardware address in lower case with colons; one of zeros is none."""
    return value.hex(":") if isinstance(value, bytes) and len(value) == 6 and any(value) else None


def address(value: Value | None) -> str | None:
    """An IPv4 or IPv6 address of 4 or 16 octets; one of zeros is none."""
    if not isinstance(value, bytes) or len(value) not in {4, 16} or not any(value):
        return None
    return str(ipaddress.ip_address(value))


def uuid_of(value: Value | None) -> str | None:
    """A uuid of 16 octets (RFC 6933: UUIDorZero); one of zeros is none."""
    return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) and len(value) == 16 and any(value) else None


def name(told: str) -> str:
    """What can stand in an identifier, made of a text; empty where nothing of it can."""
    return re.sub(r"[^A-Za-z0-9._~]+", "-", told).strip("-._~")[:LONGEST_NAME].rstrip("-")
