"""The example instances: libyang, yangson and our own validator agree on each, and no leaf is without one."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pyang import context, repository
from yangson import DataModel, datatype, schemanode
from yangson.enumerations import ContentType
from yangson.exceptions import YangsonException
from yangson.instance import RootNode

from eman_netconf.errors import ErrorPath, RpcError
from eman_netconf.safexml import parse
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.instance import entry_key, read_inner
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Inner, Step
from eman_netconf.yang.validate import validate, validate_input, validate_notification, validate_state
from tests.programs import program
from tools import yang_lint

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
# those that add nodes; a backend folder that begins with _ is there to be copied
MODELS = [
    path
    for path in yang_lint.models(ROOT)
    if not (path.parent.name.startswith("_") or path.stem.endswith("-deviations"))
]
DIRECTORIES = [*dict.fromkeys(path.parent for path in MODELS), *yang_lint.standard_directories()]
# The identities of eman-alarm are for the nodes of ietf-alarms, within the bounds of its deviations.
MODELS += [ROOT / "yang" / "eman-alarm-deviations.yang"]
# The kinds of maps of eman-server are the identities of ietf-x509-cert-to-name.
STANDARD = ("ietf-alarms.yang", "ietf-x509-cert-to-name.yang")
MODELS += [path for path in (folder / name for folder in DIRECTORIES for name in STANDARD) if path.is_file()]
# kind of a document -> yanglint's word for it
KINDS = {"config": "config", "data": "data", "notification": "notif", "action": "rpc", "rpc": "rpc", "reply": "reply"}
# What yangson lets pass, and why.  It converts decimal64 by Python's Decimal, then rounds.
YANGSON_LENIENT = {
    "eman-types/invalid-fraction-digits": "rounds to the fraction digits of the type",
    "eman-types/invalid-exponent": "takes an exponent",
    "eman-power-state/invalid-limit-digits": "rounds to the fraction digits of the type",
    "eman-battery/invalid-temperature-digits": "rounds to the fraction digits of the type",
}
# What yangson refuses although it is right: it compares an identity with the text of a when, prefix and all.
YANGSON_STRICT = {"eman-server/valid-cert-to-name": "a when on an identity"}
# What yangson refuses with a slip of its own: it has no words for a missing mandatory choice.
YANGSON_STUMBLES = {
    "eman-backend/invalid-without-protocol": TypeError,
    "eman-power-interface/invalid-switch-supply-without-target": TypeError,
    "eman-power-state/invalid-no-target": TypeError,
}
SMALL_INTEGERS = (
    datatype.Int8Type,
    datatype.Int16Type,
    datatype.Int32Type,
    datatype.Uint8Type,
    datatype.Uint16Type,
    datatype.Uint32Type,
)


@dataclass(frozen=True, slots=True)
class Example:
    """One document: where it is, what it is, and what is wrong with it."""

    path: Path
    kind: str
    error: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def valid(self) -> bool:
        return self.path.stem.startswith("valid-")

    def element(self) -> etree._Element:
        return etree.parse(self.path, etree.XMLParser(remove_comments=True, resolve_entities=False)).getroot()


def examples() -> Iterator[Example]:
    """Every document that some expected.toml tells of."""
    for table in sorted(EXAMPLES.glob("*/expected.toml")):
        for name, said in tomllib.loads(table.read_text(encoding="utf-8")).items():
            error = {key: value for key, value in said.items() if key != "kind"}
            yield Example(table.parent / f"{name}.xml", said["kind"], error)


ALL = list(examples())
each_example = pytest.mark.parametrize("example", ALL, ids=lambda example: example.name)


def test_every_document_is_told_of() -> None:
    """Each file has its line in expected.toml, of a known kind, and an error exactly if it is invalid."""
    assert {example.path for example in ALL} == set(EXAMPLES.glob("*/*.xml"))
    assert {example.kind for example in ALL} == set(KINDS)
    for example in ALL:
        assert example.valid != example.path.stem.startswith("invalid-"), example.name
        assert example.error.keys() - {"error-app-tag"} == (set() if example.valid else {"error-tag", "error-at"})


def test_every_module_has_examples() -> None:
    """Each module with data of its own has documents to copy from, and at least three faults shown."""
    for model in (model for model in MODELS if model.stem.startswith("eman-") and "deviations" not in model.stem):
        own = [example for example in ALL if example.path.parent.name == model.stem]
        assert any(example.valid for example in own), model.stem
        assert sum(not example.valid for example in own) >= 3, model.stem


@each_example
def test_yanglint(example: Example) -> None:
    """libyang takes the valid documents and refuses the others."""
    search = [part for directory in DIRECTORIES for part in ("-p", str(directory))]
    done = subprocess.run(
        [
            program("yanglint", "libyang2-tools"),
            *search,
            "-t",
            KINDS[example.kind],
            *map(str, MODELS),
            str(example.path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode == 0) == example.valid, done.stderr or "accepted"
    assert example.valid or "input data file" in done.stderr, "refused for another reason"


@functools.cache
def yangson_model() -> DataModel:
    """yangson's model of all our modules with all their features, and what they import."""
    paths = os.pathsep.join(map(str, DIRECTORIES))
    ctx = context.Context(repository.FileRepository(paths, use_env=False))
    ours = {ctx.add_module(str(path), path.read_text(encoding="utf-8")).arg for path in MODELS}
    ctx.validate()
    modules = [
        {
            "name": module.arg,
            "revision": module.search_one("revision").arg,
            "namespace": module.search_one("namespace").arg,
            "conformance-type": "implement" if module.arg in ours else "import",
            "feature": [feature.arg for feature in module.search("feature")],
        }
        for module in {module.arg: module for module in ctx.modules.values()}.values()
    ]
    library = {"ietf-yang-library:modules-state": {"module-set-id": "examples", "module": modules}}
    return DataModel(json.dumps(library), tuple(map(str, DIRECTORIES)))


class Reader:
    """Turns XML into JSON (RFC 7951) by yangson's schema, noting which schema nodes it meets."""

    def __init__(self, model: DataModel) -> None:
        self.modules = {
            namespace: module.yang_id[0] for namespace, module in model.schema.schema_data.modules_by_ns.items()
        }
        self.met: set[schemanode.SchemaNode] = set()
        self.action: tuple[schemanode.RpcActionNode, etree._Element] | None = None
        self.top: schemanode.InternalNode = model.schema

    def members(self, elements: Iterable[etree._Element], node: schemanode.InternalNode) -> dict[str, Any]:
        """Sibling elements as the members of a JSON object."""
        found: dict[str, Any] = {}
        for child in elements:
            name = etree.QName(child)
            module = self.modules.get(name.namespace or "", "unknown")
            member = f"{module}:{name.localname}"
            below = node.get_data_child(name.localname, module) or node.get_child(name.localname, module)
            if isinstance(below, schemanode.RpcActionNode):
                self.action = (below, child)
            elif isinstance(below, schemanode.SequenceNode):
                found.setdefault(member, []).append(self.value(child, below))
            elif member in found:
                raise TwiceError(f"{member} stands there twice")  # a JSON object cannot say that
            else:
                found[member] = None if below is None else self.value(child, below)
        return found

    def value(self, element: etree._Element, node: schemanode.SchemaNode) -> Any:
        """The JSON value of one element."""
        self.met.add(node)
        if isinstance(node, schemanode.InternalNode):
            return self.members(element, node)
        if isinstance(node, schemanode.AnydataNode):
            return self.members(element, self.top)
        return self.scalar(element, node.type)

    def scalar(self, element: etree._Element, kind: datatype.DataType[Any, Any]) -> Any:
        """The JSON value of a leaf; what has no JSON form of its type stays a string."""
        text = element.text or ""
        if isinstance(kind, datatype.LeafrefType):
            return self.scalar(element, kind.ref_type)
        if isinstance(kind, datatype.IdentityrefType):
            prefix, _, name = text.rpartition(":")
            module = self.modules.get(element.nsmap.get(prefix or None, ""), "unknown")
            return f"{module}:{name}"
        if isinstance(kind, datatype.BooleanType):
            return {"true": True, "false": False}.get(text, text)
        if isinstance(kind, datatype.EmptyType):
            return [None] if text == "" else text
        if isinstance(kind, SMALL_INTEGERS) and text.lstrip("+-").isdecimal():
            return int(text)
        return text


class TwiceError(Exception):
    """A node that may stand once stands twice."""


def read_by_yangson(example: Example, reader: Reader) -> None:
    """Let yangson read and validate a document; raises what it has against it."""
    model = yangson_model()
    root = example.element()
    name = etree.QName(root)
    if example.kind == "notification":
        node = model.schema.get_child(name.localname, reader.modules[name.namespace])
        let_yangson_validate(model, node, reader.members(root, node), ContentType.all)
        return
    raw = reader.members([root], model.schema)
    if example.kind in ("config", "data"):
        content = ContentType.config if example.kind == "config" else ContentType.all
        let_yangson_validate(model, model.schema, raw, content)
        return
    model.from_raw(raw)  # the way to the action: its names and the types of its keys
    assert reader.action is not None
    action, element = reader.action
    node = action.get_child("output" if example.kind == "reply" else "input", action.ns)
    let_yangson_validate(model, node, reader.members(element, node), ContentType.all)


def let_yangson_validate(
    model: DataModel, node: schemanode.InternalNode, raw: dict[str, Any], content: ContentType
) -> None:
    """Let yangson read and validate what stands below a schema node."""
    cooked = node.from_raw(raw, "" if isinstance(node, schemanode.SchemaTreeNode) else f"/{node.name}")
    RootNode(cooked, node, model.schema.schema_data, cooked.timestamp).validate(ctype=content)


def yangson_refusal(example: Example, reader: Reader) -> Exception | None:
    """What yangson has against a document."""
    try:
        read_by_yangson(example, reader)
    except (YangsonException, TwiceError, YANGSON_STUMBLES.get(example.name, YangsonException)) as fault:
        return fault
    return None


@each_example
def test_yangson(example: Example) -> None:
    """yangson takes the valid documents and refuses the others, but for what it is known to see otherwise."""
    refusal = yangson_refusal(example, Reader(yangson_model()))
    takes = example.name in YANGSON_LENIENT or (example.valid and example.name not in YANGSON_STRICT)

    assert (refusal is None) == takes, refusal


def our_errors(example: Example, schema: Schema) -> list[RpcError]:
    """What our own reading and validation have against a document, in the order of its finding."""
    errors: list[RpcError] = []
    text = example.path.read_bytes()
    root = parse(b"<document>" + text + b"</document>")
    if example.kind == "notification":
        name = etree.QName(root[0])
        notification = read_inner(root[0], schema.notifications[name.namespace, name.localname], schema, errors=errors)
        return errors or validate_notification(schema, notification, Inner(schema.root))
    if example.kind in ("config", "data"):
        state = example.kind == "data"
        tree = read_inner(root, schema.root, schema, state=state, errors=errors)
        return errors or (validate_state if state else validate)(schema, tree)
    if example.kind == "rpc":
        name = etree.QName(root[0])
        operation = schema.rpcs[name.namespace or "", name.localname].child("input")
        inner = read_inner(root[0], operation, schema, errors=errors)
        return errors or validate_input(schema, inner, Inner(schema.root))
    path, element, action = find_action(root, schema.root)
    operation = action.child("output" if example.kind == "reply" else "input")
    inner = read_inner(element, operation, schema, path=(*path, Step(action)), errors=errors)
    element.getparent().remove(element)
    tree = read_inner(root, schema.root, schema, errors=errors)  # what the way to the action says there is
    return errors or validate_input(schema, inner, tree, path=path)


def find_action(root: Any, node: SchemaNode) -> tuple[tuple[Step, ...], Any, SchemaNode]:
    """The path to the node an action is asked of, the action's element and its schema node."""
    steps: list[Step] = []
    element = root
    while True:
        for child in element:
            name = etree.QName(child)
            action = node.actions.get((name.namespace, name.localname))
            if action is not None:
                return tuple(steps), child, action
            below = node.children[name.namespace, name.localname]
            if below.kind in (Kind.CONTAINER, Kind.LIST):
                break
        element, node = child, below
        steps.append(Step(below, entry_key(child, below) if below.kind is Kind.LIST else None))


@pytest.fixture(scope="module")
def models() -> Schema:
    """Our modules alone, since a document of state must have the mandatory state of all modules implemented."""
    return compile_schema([path.stem for path in MODELS], DIRECTORIES)


@each_example
def test_ours(example: Example, models: Schema) -> None:
    """Our validator takes the valid documents and answers the others with the one error that is stated for them."""
    found = [
        {"error-tag": str(error.tag), "error-app-tag": error.app_tag, "error-at": last_name(error.path)}
        for error in our_errors(example, models)
    ]

    assert [{key: value for key, value in each.items() if value} for each in found] == (
        [] if example.valid else [example.error]
    )


def last_name(path: ErrorPath | None) -> str:
    """The name of the node that an error-path leads to."""
    assert path is not None
    return re.sub(r"\[[^\]]*\]", "", path.text).rpartition("/")[2].rpartition(":")[2]


def terminals(node: schemanode.InternalNode) -> Iterator[schemanode.SchemaNode]:
    """Every leaf and leaf-list below, of data, actions and notifications."""
    for child in node.children:
        if isinstance(child, schemanode.TerminalNode):
            yield child
        elif isinstance(child, schemanode.InternalNode):
            yield from terminals(child)


def test_every_leaf_has_a_value() -> None:
    """Each leaf of our modules, of configuration, state, actions and notifications, stands in a valid document."""
    model = yangson_model()
    reader = Reader(model)
    for example in ALL:
        if example.valid:
            yangson_refusal(example, reader)
    leaves = [leaf for leaf in terminals(model.schema) if leaf.ns.startswith("eman-")]
    without = [leaf.data_path() for leaf in leaves if leaf not in reader.met]

    assert len(leaves) > 300
    assert not without
