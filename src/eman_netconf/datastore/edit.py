"""edit-config on immutable trees: the operations of RFC 6241 section 7.2 and RFC 7950 section 7."""

from __future__ import annotations

from collections.abc import Generator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from eman_netconf.datastore.attributes import Attributes, Operation, placed, read_attributes
from eman_netconf.datastore.faults import Enough, Faults
from eman_netconf.datastore.sharing import share_inner
from eman_netconf.errors import ErrorTag, RpcError, RpcErrors
from eman_netconf.yang.diff import Touched
from eman_netconf.yang.instance import Element, read_data
from eman_netconf.yang.layers import writable
from eman_netconf.yang.schema import Choice, Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, Key, ListNode, Path, Step
from eman_netconf.yang.types import TypeFault, shared

T = TypeVar("T")

#: Work that pauses now and then, to give its result at the end.
Steps = Generator[None, None, T]

#: List entries between two pauses: less than a millisecond's work each dozen.
PAUSE = 64

#: What clear text begins with (RFC 7317, crypt-hash): of the values that do a Transform is asked.
CLEAR = "$0$"

_GOING = frozenset((Operation.DELETE, Operation.REMOVE))
_MANY = frozenset((Kind.LIST, Kind.LEAF_LIST))
# every element passes these; to look up the member of an enumeration costs ten times as much
_LEAF, _LEAF_LIST, _LIST, _CONTAINER = Kind.LEAF, Kind.LEAF_LIST, Kind.LIST, Kind.CONTAINER
_CREATE, _REPLACE, _NONE = Operation.CREATE, Operation.REPLACE, Operation.NONE


class Transform(Protocol):
    """What is stored in place of clear text at ``path``; ``old`` is the value in force, None if there is none.

    Raises ValueError for one that cannot be stored, and RpcError to refuse the whole edit.
    """

    def __call__(self, path: Path, value: str, old: str | None, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Edited:
    """A new tree, the paths the edit went through, and what was left out for its faults (``keep_going`` only)."""

    root: Inner
    touched: Touched | None  # None: compare everything
    errors: tuple[RpcError, ...] = ()


def apply_edit(
    root: Inner,
    config: Element,
    schema: Schema,
    *,
    default_operation: Operation = Operation.MERGE,
    keep_going: bool = False,
    plain: bool = False,
    transform: Transform | None = None,
) -> Edited:
    """The tree that the children of ``config`` make of ``root``, which stays as it is.

    Names, keys, types, operations and what they meet in the tree are checked; constraints are not.
    With ``plain`` the configuration is no edit: attributes that say operations are refused. Raises RpcErrors
    with all that is wrong; with ``keep_going`` the faulty nodes are left as they were and told in ``errors``.
    """
    return at_once(
        editing(
            root,
            config,
            schema,
            default_operation=default_operation,
            keep_going=keep_going,
            plain=plain,
            transform=transform,
        )
    )


def editing(
    root: Inner,
    config: Element,
    schema: Schema,
    *,
    default_operation: Operation = Operation.MERGE,
    keep_going: bool = False,
    plain: bool = False,
    transform: Transform | None = None,
) -> Steps[Edited]:
    """As ``apply_edit``, in steps of some list entries, for a caller that has other work between them."""
    editor = _Editor(schema, transform, plain=plain)
    touched: Touched | None = None if default_operation is Operation.REPLACE else {}
    try:
        if config.keys():
            read_attributes(editor, config, schema.root, default_operation, (), plain=plain)
        new = yield from editor.container(root, config, schema.root, default_operation, (), touched, root)
    except Enough:
        new = root
    if editor.errors and (not keep_going or new is root):
        raise RpcErrors(editor.errors)
    return Edited(Inner(schema.root) if new is None else new, touched, tuple(editor.errors))


def at_once(steps: Steps[T]) -> T:
    """The result of work in steps, with no pause between them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


@dataclass(slots=True)
class _Level:
    """The children of one node while its element is read; lists and leaf-lists open for writing once they change."""

    node: SchemaNode
    children: dict[SchemaNode, Data]
    was: Inner | None  # this node before the edit, also when it is being replaced
    touched: Touched | None  # None where the whole node is new: nobody asks for its parts
    lists: dict[SchemaNode, MutableMapping[Key, Inner]] = field(default_factory=dict)
    values: dict[SchemaNode, dict[str, None]] = field(default_factory=dict)
    seen: set[object] = field(default_factory=set)
    cases: dict[Choice, str] = field(default_factory=dict)


class _Editor(Faults):
    """One edit and its errors; the recursion follows the schema, so its depth is the schema's."""

    def __init__(self, schema: Schema, transform: Transform | None, *, plain: bool) -> None:
        super().__init__(schema)
        self.plain = plain
        self.transform = transform
        self.laboured = False  # a value was transformed since the last pause: a hash takes milliseconds

    # ---- inner nodes

    def container(
        self,
        old: Inner | None,
        element: Element,
        node: SchemaNode,
        operation: Operation,
        path: Path,
        touched: Touched | None,
        was: Inner | None,
        keys: Mapping[SchemaNode, str] | None = None,
    ) -> Steps[Inner | None]:
        """The node after the edit; None when it is gone or, without presence, empty."""
        if operation is Operation.DELETE and old is None:
            self.missing(path)
            return None
        if operation in _GOING:
            return None
        if operation is _CREATE and old is not None:
            self.exists(path)
            return old
        lasting = node.presence or node.kind is _LIST
        if operation is _NONE and old is None and lasting:
            self.missing(path)
            return None
        replaced = operation is _REPLACE
        start = {} if old is None or replaced else dict(old.children)
        if keys is not None:
            start.update(keys)
        level = _Level(node, start, was, None if replaced or old is None else touched)
        yield from self.read(level, element, operation, path)
        for child, values in level.values.items():
            data = start.get(child)
            if tuple(values) != (data or ()):
                self.put(level, child, data, tuple(values) or None)
        for child, entries in level.lists.items():
            if entries:
                start[child] = ListNode(child, entries)
            else:
                start.pop(child, None)
        if not start and not lasting and node.kind is not Kind.ROOT:
            return None
        new = Inner(node, start)
        if replaced and was is not None:
            return share_inner(was, new)
        return old if old is not None and level.touched == {} else new

    def read(self, level: _Level, element: Element, operation: Operation, path: Path) -> Steps[None]:
        """Apply every child element of ``element``, with a pause after some list entries."""
        names = level.node.by_tag
        seen = level.seen
        plain = Attributes(operation)
        entries = 0
        text = element.text
        if text is not None and not text.isspace():
            self.stray(element, text, path)
        for child in element:
            tag = child.tag
            node = names.get(tag)
            if node is None:
                if isinstance(tag, str):
                    self.unknown(child, level.node, path)
                continue
            text = child.tail
            if text is not None and not text.isspace():
                self.stray(element, text, path)
            if not node.config:
                self.state(node, path)
                continue
            said = read_attributes(self, child, node, operation, path, plain=self.plain) if child.keys() else plain
            if said is None:
                continue
            kind = node.kind
            if kind not in _MANY:
                if node in seen:
                    self.twice(node, path)
                    continue
                seen.add(node)
            if node.case is not None and said.operation not in _GOING and not self.choose(level, node, path):
                continue
            if said.default:
                self.to_default(level, child, node, said.operation, path)
            elif kind is _LEAF:
                self.leaf(level, child, node, said.operation, path)
            elif kind is _CONTAINER:
                yield from self.inner_child(level, child, node, said.operation, path)
            elif kind is _LEAF_LIST:
                self.item(level, child, node, said, path)
            elif kind is _LIST:
                self.entry(level, child, node, said, path)
                entries += 1
                if entries % PAUSE == 0 or self.laboured:
                    self.laboured = False
                    yield
            else:
                self.opaque(level, child, node, said.operation, path)

    def inner_child(
        self, level: _Level, element: Element, node: SchemaNode, operation: Operation, path: Path
    ) -> Steps[None]:
        old = level.children.get(node)
        was = None if level.was is None else level.was.children.get(node)
        assert old is None or isinstance(old, Inner)
        assert was is None or isinstance(was, Inner)
        below: Touched = {}
        new = yield from self.container(old, element, node, operation, (*path, Step(node)), below, was)
        self.put(level, node, old, new, below if new is not None else {})

    def put(
        self, level: _Level, node: SchemaNode, old: Data | None, new: Data | None, below: Touched | None = None
    ) -> None:
        """Set or remove one child that is no list."""
        if new is old:
            return
        if new is None:
            del level.children[node]
        else:
            level.children[node] = new
            if node.case is not None:
                self.leave_other_cases(level, node)
        if level.touched is not None:
            level.touched[Step(node)] = below or {}

    # ---- leaves

    def leaf(self, level: _Level, element: Element, node: SchemaNode, operation: Operation, path: Path) -> None:
        if node.is_key:
            self.key_leaf(level, node, operation, path)
            return
        old = level.children.get(node)
        if operation in _GOING:
            if old is None and operation is Operation.DELETE:
                self.missing((*path, Step(node)))
            elif old is not None:
                self.put(level, node, old, None)
            return
        value = self.value(element, node, path)
        if value is None:
            return
        if operation is _CREATE and old is not None:
            self.exists((*path, Step(node)))
            return
        if operation is _NONE:
            if old is None:
                self.missing((*path, Step(node)))
            return
        if self.transform is not None and value.startswith(CLEAR):
            was = level.was.children.get(node) if level.was is not None else None
            here = (*path, Step(node))
            try:
                stored = self.transform(here, value, was if isinstance(was, str) else None)
            except ValueError as wrong:
                self.fault(ErrorTag.INVALID_VALUE, f"{node.name} cannot be stored: {wrong}.", here)
                return
            self.laboured = self.laboured or stored != value
            value = stored
        if value != old:
            self.put(level, node, old, value)

    def to_default(self, level: _Level, element: Element, node: SchemaNode, operation: Operation, path: Path) -> None:
        """A leaf or value marked as a default goes back to it: it must be it, and is not stored (RFC 6243 4.5.2)."""
        value = self.value(element, node, path)
        if value is None:
            return
        here = (*path, Step(node))
        if operation in _GOING or operation is _NONE:
            self.fault(ErrorTag.INVALID_VALUE, f"{node.name} cannot be a default and have operation {operation}.", here)
        elif value not in node.defaults and value != node.default:
            self.fault(ErrorTag.INVALID_VALUE, f"{value} is marked as the default of {node.name}, but it is not.", here)
        elif node.kind is _LEAF_LIST:
            values = self.values(level, node)
            if operation is _CREATE and value in values:
                self.exists((*path, Step(node, (value,))))
            values.pop(value, None)
        elif (old := level.children.get(node)) is not None:
            if operation is _CREATE:
                self.exists(here)
            else:
                self.put(level, node, old, None)

    def key_leaf(self, level: _Level, node: SchemaNode, operation: Operation, path: Path) -> None:
        """A key was read with its entry; here it can only be wrong to ask for more."""
        if operation in _GOING:
            self.fault(
                ErrorTag.BAD_ATTRIBUTE,
                f"The key {node.name} cannot be deleted; delete the whole entry of {level.node.name}.",
                (*path, Step(node)),
                bad_attribute="operation",
                bad_element=node.name,
            )

    def opaque(self, level: _Level, element: Element, node: SchemaNode, operation: Operation, path: Path) -> None:
        """anydata and anyxml: set as a whole, never merged inside (RFC 7950 sections 7.10.3 and 7.11.3)."""
        old = level.children.get(node)
        if operation in _GOING:
            if old is None and operation is Operation.DELETE:
                self.missing((*path, Step(node)))
            elif old is not None:
                self.put(level, node, old, None)
        elif operation is _CREATE and old is not None:
            self.exists((*path, Step(node)))
        elif operation is _NONE:
            if old is None:
                self.missing((*path, Step(node)))
        else:
            new = read_data(element, node, self.schema, path=path, errors=self.errors)
            self.put(level, node, old, old if new == old else new)

    def value(self, element: Element, node: SchemaNode, path: Path) -> str | None:
        """The canonical value of a leaf or leaf-list element; None after a fault."""
        if len(element):
            self.fault(
                ErrorTag.BAD_ELEMENT,
                f"{node.name} is a leaf and cannot hold other elements.",
                (*path, Step(node)),
                bad_element=node.name,
            )
            return None
        kind = node.type
        assert kind is not None
        try:
            return shared(kind.parse(element.text or "", element.nsmap.get if kind.prefixed else _unresolved))
        except TypeFault as wrong:
            self.fault(wrong.tag, f"{node.name} {wrong.message}", (*path, Step(node)), app_tag=wrong.app_tag)
            return None

    # ---- lists and leaf-lists

    def entry(self, level: _Level, element: Element, node: SchemaNode, said: Attributes, path: Path) -> None:
        key = self.key(element, node, path)
        if key is None:
            return
        step = Step(node, key)
        here = (*path, step)
        operation = said.operation
        kept = operation not in _GOING
        if kept:
            if step in level.seen:
                self.twice(node, here)
                return
            level.seen.add(step)
        entries: Mapping[Key, Inner] | None = level.lists.get(node)
        if entries is None:
            data = level.children.get(node)
            entries = data.entries if isinstance(data, ListNode) else {}
        old = entries.get(key)
        was = None
        if level.was is not None:
            data = level.was.children.get(node)
            was = data.entries.get(key) if isinstance(data, ListNode) else None
        below: Touched = {}
        keys = dict(zip(node.keys, key, strict=True))
        faults = len(self.errors)
        new = at_once(self.container(old, element, node, operation, here, below, was, keys))
        place = None
        if kept and new is not None and said.insert is not None and len(self.errors) == faults:
            place = placed(self, list(entries), key, said, element, node, here)
            if place == list(entries):
                place = None
        if new is old and place is None:
            return
        changed = level.lists.get(node)
        if changed is None:
            changed = level.lists[node] = writable(entries)
        if new is None:
            del changed[key]
        else:
            changed[key] = new
            if place is not None:
                level.lists[node] = {each: changed[each] for each in place}
            if node.case is not None:
                self.leave_other_cases(level, node)
        if level.touched is not None:
            level.touched[step] = below if new is not None else {}

    def key(self, element: Element, node: SchemaNode, path: Path) -> Key | None:
        """The values of the keys of an entry; None after a fault (RFC 7950 section 8.3.1)."""
        values: list[str] = []
        for leaf in node.keys:
            found = next(element.iterchildren(leaf.tag), None)
            if found is None:
                self.fault(
                    ErrorTag.MISSING_ELEMENT,
                    f"An entry of {node.name} needs its key {leaf.name}.",
                    (*path, Step(node)),
                    bad_element=leaf.name,
                )
                continue
            value = self.value(found, leaf, (*path, Step(node)))
            if value is not None:
                values.append(value)
        return tuple(values) if len(values) == len(node.keys) else None

    def item(self, level: _Level, element: Element, node: SchemaNode, said: Attributes, path: Path) -> None:
        """One value of a leaf-list (RFC 7950 section 7.7.9)."""
        value = self.value(element, node, path)
        if value is None:
            return
        values = self.values(level, node)
        operation = said.operation
        if operation in _GOING:
            if value in values:
                del values[value]
            elif operation is Operation.DELETE:
                self.missing((*path, Step(node, (value,))))
            return
        if self.transform is not None and value.startswith(CLEAR):
            value = self.transform((*path, Step(node, (value,))), value, None)
        step = Step(node, (value,))
        if step in level.seen:
            self.twice(node, (*path, step))
            return
        level.seen.add(step)
        if operation is _CREATE and value in values:
            self.exists((*path, step))
            return
        if operation is _NONE:
            if value not in values:
                self.missing((*path, step))
            return
        if said.insert is None:
            values[value] = None
        else:
            place = placed(self, list(values), value, said, element, node, (*path, step))
            if place is not None:
                level.values[node] = dict.fromkeys(place)
        if node.case is not None:
            self.leave_other_cases(level, node)

    @staticmethod
    def values(level: _Level, node: SchemaNode) -> dict[str, None]:
        """The values of a leaf-list, open for writing."""
        values = level.values.get(node)
        if values is None:
            data = level.children.get(node)
            values = level.values[node] = dict.fromkeys(data if isinstance(data, tuple) else ())
        return values

    def twice(self, node: SchemaNode, path: Path) -> None:
        """The same node was already given beside this one."""
        self.fault(
            ErrorTag.BAD_ELEMENT,
            f"{node.name} is given twice; give it once.",
            path if path and path[-1].schema is node else (*path, Step(node)),
            bad_element=node.name,
        )

    # ---- choices

    def choose(self, level: _Level, node: SchemaNode, path: Path) -> bool:
        """Whether this node may stand beside those read before: one case of a choice at most (RFC 7950 8.3.1)."""
        case = node.case
        while case is not None:
            choice, name = case
            if level.cases.setdefault(choice, name) != name:
                self.fault(
                    ErrorTag.BAD_ELEMENT,
                    f"{node.name} is of case {name} of choice {choice.name}, but a node of case "
                    f"{level.cases[choice]} was given too; give one of them.",
                    (*path, Step(node)),
                    bad_element=node.name,
                )
                return False
            case = choice.parent_case
        return True

    def leave_other_cases(self, level: _Level, node: SchemaNode) -> None:
        """Remove what belongs to other cases than ``node``'s, as setting a node does (RFC 7950 section 7.9.6)."""
        case = node.case
        while case is not None:
            choice, name = case
            for other, members in choice.cases.items():
                if other == name:
                    continue
                for member in members:
                    level.values.pop(member, None)
                    opened = level.lists.pop(member, None)
                    data = level.children.pop(member, None)
                    if level.touched is None:
                        continue
                    if isinstance(data, ListNode) or opened is not None:
                        gone = set(data.entries) if isinstance(data, ListNode) else set()
                        level.touched.update({Step(member, key): {} for key in gone.union(opened or ())})
                    elif data is not None:
                        level.touched[Step(member)] = {}
            case = choice.parent_case


def _unresolved(_prefix: str | None) -> None:
    """The namespace of a prefix in a type whose values have none."""
