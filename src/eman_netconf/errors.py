"""RpcError and the closed vocabularies of RFC 6241 appendix A and RFC 7950 section 15."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

BASE_NS = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_NS = "urn:ietf:params:xml:ns:yang:1"


class ErrorType(StrEnum):
    """The layer an error belongs to (RFC 6241 section 4.3)."""

    TRANSPORT = "transport"
    RPC = "rpc"
    PROTOCOL = "protocol"
    APPLICATION = "application"


class ErrorTag(StrEnum):
    """RFC 6241 appendix A, without the obsolete partial-operation."""

    IN_USE = "in-use"
    INVALID_VALUE = "invalid-value"
    TOO_BIG = "too-big"
    MISSING_ATTRIBUTE = "missing-attribute"
    BAD_ATTRIBUTE = "bad-attribute"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    MISSING_ELEMENT = "missing-element"
    BAD_ELEMENT = "bad-element"
    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_NAMESPACE = "unknown-namespace"
    ACCESS_DENIED = "access-denied"
    LOCK_DENIED = "lock-denied"
    RESOURCE_DENIED = "resource-denied"
    ROLLBACK_FAILED = "rollback-failed"
    DATA_EXISTS = "data-exists"
    DATA_MISSING = "data-missing"
    OPERATION_NOT_SUPPORTED = "operation-not-supported"
    OPERATION_FAILED = "operation-failed"
    MALFORMED_MESSAGE = "malformed-message"


class AppTag(StrEnum):
    """error-app-tags of RFC 7950 section 15 and our own of the energy model."""

    DATA_NOT_UNIQUE = "data-not-unique"
    TOO_MANY_ELEMENTS = "too-many-elements"
    TOO_FEW_ELEMENTS = "too-few-elements"
    MUST_VIOLATION = "must-violation"
    INSTANCE_REQUIRED = "instance-required"
    MISSING_CHOICE = "missing-choice"
    MISSING_INSTANCE = "missing-instance"
    POWER_LOOP = "power-loop"
    CONTAINMENT_LOOP = "containment-loop"
    GROUP_LOOP = "group-loop"
    DOMAIN_LOOP = "domain-loop"
    STATE_NOT_SUPPORTED = "state-not-supported"
    FOREIGN_ID_IN_USE = "foreign-id-in-use"
    IN_MAINTENANCE = "in-maintenance"
    NOT_IN_SERVICE = "not-in-service"
    TOO_EARLY = "too-early"


@dataclass(frozen=True, slots=True)
class ErrorPath:
    """An instance path as it stands in error-path: XPath text and the prefixes it uses."""

    text: str
    namespaces: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """One child of error-info: bad-element, session-id, non-unique ...

    ``namespaces`` declares the prefixes that ``value`` uses; one that holds others has these ``inside``, and no value.
    """

    name: str
    value: str
    namespace: str = BASE_NS
    namespaces: Mapping[str, str] = field(default_factory=dict)
    inside: tuple[ErrorInfo, ...] = ()


class RpcError(Exception):
    """One rpc-error: what was wrong, where, and (in the message) what to do about it.

    ``about`` are other places the message speaks of, ``discreet`` the message for those who may not read them all.
    """

    def __init__(
        self,
        tag: ErrorTag,
        message: str,
        *,
        type: ErrorType = ErrorType.APPLICATION,  # noqa: A002 - RFC 6241 names the field error-type
        path: ErrorPath | None = None,
        app_tag: str | None = None,
        info: Iterable[ErrorInfo] = (),
        about: Iterable[ErrorPath] = (),
        discreet: str = "",
    ) -> None:
        super().__init__(message)
        self.tag = tag
        self.message = message
        self.type = type
        self.path = path
        self.app_tag = app_tag
        self.info = tuple(info)
        self.about = tuple(about)
        self.discreet = discreet

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.tag}: {self.message}{where}"


class RpcErrors(Exception):
    """All that was wrong with one request, in document order; never empty."""

    def __init__(self, errors: Iterable[RpcError]) -> None:
        self.errors = tuple(errors)
        if not self.errors:
            raise ValueError("RpcErrors needs at least one error")
        super().__init__("; ".join(str(error) for error in self.errors))
