"""What is said of a broken constraint: error-tags, app-tags and paths of RFC 7950 section 15, and words for people."""

from __future__ import annotations

from eman_netconf.errors import YANG_NS, AppTag, ErrorInfo, ErrorTag, RpcError
from eman_netconf.yang.constraints import Check, Must, Reference, Unique
from eman_netconf.yang.schema import Choice, Constraint, SchemaNode
from eman_netconf.yang.tree import Path, Step, path_text
from eman_netconf.yang.xpath_nodes import Ref


def error(
    tag: ErrorTag, message: str, path: Path, app_tag: str | None = None, info: list[ErrorInfo] | None = None
) -> RpcError:
    """An error of a node at ``path``."""
    return RpcError(tag, message, path=path_text(path), app_tag=app_tag, info=info or ())


def broken(check: Check, node: Ref) -> RpcError:
    """A must that is false or a reference to what is not there (sections 15.4 and 15.5)."""
    if isinstance(check, Must):
        must = check.constraint
        return error(
            ErrorTag.OPERATION_FAILED,
            must.error_message or f"{node.schema.name} breaks a rule of its model: {_shown(must)} must be true",
            node.path,
            must.error_app_tag or AppTag.MUST_VIOLATION,
        )
    return error(
        ErrorTag.DATA_MISSING,
        f"{node.schema.name} refers to {node.data!r}, which does not exist{_where(check)}",
        node.path,
        AppTag.INSTANCE_REQUIRED,
    )


def not_admitted(node: Ref, schema: SchemaNode) -> RpcError:
    """A child whose when is false (section 8.3.1)."""
    conditions = " and ".join(_shown(when) for when in schema.whens)
    return error(
        ErrorTag.UNKNOWN_ELEMENT,
        f"{schema.name} cannot be given here: its condition is not met ({conditions})",
        (*node.path, Step(schema)),
        info=[ErrorInfo("bad-element", schema.name)],
    )


def missing(node: Ref, schema: SchemaNode, tag: ErrorTag) -> RpcError:
    """A mandatory child that is not there; ``tag`` is missing-element in a message, data-missing in a datastore."""
    info = [ErrorInfo("bad-element", schema.name)] if tag is ErrorTag.MISSING_ELEMENT else []
    return error(
        tag, f"{schema.name} is mandatory {_in(node)}and is missing; give it", (*node.path, Step(schema)), info=info
    )


def _times(count: int | None) -> str:
    return "once" if count == 1 else f"{count} times"


def too_many(node: Ref, schema: SchemaNode, count: int) -> RpcError:
    """Section 15.2."""
    return error(
        ErrorTag.OPERATION_FAILED,
        f"{schema.name} may stand at most {_times(schema.max_elements)} here and does {_times(count)}",
        (*node.path, Step(schema)),
        AppTag.TOO_MANY_ELEMENTS,
    )


def too_few(node: Ref, schema: SchemaNode, count: int) -> RpcError:
    """Section 15.3."""
    return error(
        ErrorTag.OPERATION_FAILED,
        f"{schema.name} has to stand at least {_times(schema.min_elements)} here and does {_times(count)}",
        (*node.path, Step(schema)),
        AppTag.TOO_FEW_ELEMENTS,
    )


def two_cases(node: Ref, choice: Choice, first: SchemaNode, second: SchemaNode) -> RpcError:
    """Section 8.3.1."""
    return error(
        ErrorTag.BAD_ELEMENT,
        f"{first.name} and {second.name} exclude each other: choose one case of {choice.name}",
        (*node.path, Step(second)),
        info=[ErrorInfo("bad-element", second.name)],
    )


def no_case(node: Ref, choice: Choice) -> RpcError:
    """Section 15.6."""
    return error(
        ErrorTag.DATA_MISSING,
        f"one of {', '.join(choice.cases)} must be given {_in(node)}(choice {choice.name})",
        node.path,
        AppTag.MISSING_CHOICE,
        [ErrorInfo("missing-choice", choice.name, YANG_NS)],
    )


def not_unique(node: Ref, unique: Unique, first: Ref, second: Ref, leaves: list[Ref]) -> RpcError:
    """Two entries of a list below ``node`` with the same values; ``leaves`` of both (section 15.1)."""
    info = []
    for leaf in leaves:
        place = path_text(leaf.path)
        info.append(ErrorInfo("non-unique", place.text, YANG_NS, place.namespaces))
    names = " and ".join(chain[-1].name for chain in unique.leaves)
    return error(
        ErrorTag.OPERATION_FAILED,
        f"{names} must be unique in {unique.node.name}: {_entry(first)} and {_entry(second)} have the same",
        (*node.path, Step(unique.node)),
        AppTag.DATA_NOT_UNIQUE,
        info,
    )


def _where(check: Reference) -> str:
    targets = sorted(target.path for target in check.targets or ())
    return f" as {' or '.join(targets)}" if targets else ""


def _shown(constraint: Constraint) -> str:
    return " ".join(constraint.text.split())


def _entry(node: Ref) -> str:
    return f"{node.schema.name} {', '.join(node.key or ())}"


def _in(node: Ref) -> str:
    if node.key is not None:
        return f"in {_entry(node)} "
    return f"in {node.schema.name} " if node.parent is not None else ""
