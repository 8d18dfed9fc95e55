"""Our verdict on documents, types and constraints together, against libyang (yanglint) and yangson.

Documents are histories of random edits and XML spoiled at random, for every module of ours, for modules of the
IETF with many constraints, and for the probe modules, which have each kind of constraint. Hundreds go through one
process of yanglint, whose interactive mode judges file after file.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from lxml import etree
from yangson import DataModel
from yangson.enumerations import ContentType
from yangson.exceptions import YangsonException

from eman_netconf.errors import RpcError
from eman_netconf.yang import sources
from eman_netconf.yang.compiler import compile_schema
from eman_netconf.yang.instance import read_inner
from eman_netconf.yang.render import to_bytes
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.tree import Data, Inner, ListNode, Opaque
from eman_netconf.yang.types import BooleanType, EmptyType, IntegerType, YangType
from eman_netconf.yang.validate import validate, validate_input, validate_notification, validate_state
from eman_netconf.yang.xpath_functions import member_types
from tests.programs import program
from tests.yang.test_validate import RICH
from tests.yang.trees import MODELS, Grower, edited

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ROOT / "backends" / "eman_backends"
PATHS = [MODELS, *sources.model_path(), BACKENDS / "simulated", BACKENDS / "redfish", BACKENDS / "snmp"]
PROBE = ("probe", "probe-shapes")
OURS = (
    *(name for name in sources.own_modules() if not name.endswith("-deviations")),
    *("eman-backend-redfish", "eman-backend-simulated", "eman-backend-snmp", "ietf-system", "ietf-netconf-acm"),
)
STANDARD = (
    *("ietf-interfaces", "iana-if-type", "ietf-ip", "ietf-hardware", "iana-hardware", "ietf-alarms", "ietf-snmp"),
    *("ietf-access-control-list", "ietf-nat", "ietf-key-chain", "ietf-network-topology", "ietf-lmap-control"),
)
JUNK = (
    *("", " ", "-1", "9" * 24, "abc", "1.23456789", "+5", "05", " 5 ", "0x10", "true", "TRUE", "1e3", "NaN", "é"),
    *("a b", "p:x", "a/b", "-0", "1.0", "1.", "2026-01-01", "*", "probe:x"),
)


@dataclass(frozen=True)
class Laxity:
    """A difference that is known, and why it is right that we differ."""

    name: str
    reason: str
    applies: Callable[[list[RpcError], list[str]], bool]  # our errors, yanglint's words


LAXITIES = (
    Laxity(
        "empty-with-white-space",
        "we forgive the white space of a pretty-printer inside an element of type empty",
        lambda ours, theirs: not ours and any("Invalid empty value" in line for line in theirs),
    ),
    Laxity(
        "second-container",
        "libyang overlooks an empty second container beside one with content; RFC 7950 section 7.5.7 knows one",
        lambda ours, theirs: not theirs and all("stands here twice" in error.message for error in ours),
    ),
    Laxity(
        "xpath-texts",
        "libyang parses the XPath in leafs of xpath1.0 and node-instance-identifier, whose types are strings",
        lambda ours, theirs: (
            not ours
            and any(
                "XPath token" in line or "Invalid instance-identifier" in line or "Storing value failed" in line
                for line in theirs
            )
        ),
    ),
    Laxity(
        "keys-in-any-order",
        "we read the keys of an entry wherever they stand, though RFC 7950 section 7.8.5 has senders put them first",
        lambda ours, theirs: not ours and any("Invalid position of the key" in line for line in theirs),
    ),
    Laxity(
        "text-in-anydata",
        "we keep whatever stands in anydata as it is",
        lambda ours, theirs: not ours and any("inside an anydata node" in line for line in theirs),
    ),
    Laxity(
        "multiple-bases",
        "libyang 2.1.30 accepts an identity derived from any one of several bases; RFC 7950 section 9.10.2 wants all",
        lambda ours, theirs: not theirs and all("derived from" in error.message for error in ours),
    ),
)


@pytest.fixture(scope="module")
def yanglint() -> str:
    return program("yanglint", "libyang2-tools")


def refusals(
    yanglint: str, modules: Iterable[str], kind: str, documents: Mapping[str, bytes], folder: Path
) -> dict[str, list[str]]:
    """The documents that libyang refuses, by name, with its words."""
    for name, text in documents.items():
        (folder / f"{name}.xml").write_bytes(text)
    script = [f"searchpath {path}" for path in PATHS]
    script += [f"load {module}" for module in modules]
    script += [f"data -t {kind} -f xml -o /dev/null {folder / name}.xml" for name in documents]
    done = subprocess.run(
        [yanglint], input="\n".join([*script, ""]), capture_output=True, text=True, timeout=110, check=True
    )
    found: dict[str, list[str]] = {}
    words: list[str] = []
    for line in done.stderr.splitlines():
        failed = re.match(r'YANGLINT\[E\]: Failed to parse input data file "(.*)"', line)
        if failed:
            found[Path(failed[1]).stem] = words
            words = []
        elif line.startswith("YANGLINT[E]"):
            pytest.fail(f"yanglint cannot be asked: {line}")
        elif line.startswith("libyang[0]"):
            words.append(line)
    return found


def compare(
    ours: Mapping[str, list[RpcError]], theirs: Mapping[str, list[str]], documents: Mapping[str, bytes]
) -> None:
    """Fail with the first document on which the verdicts differ without a known reason."""
    for name, errors in ours.items():
        words = theirs.get(name, [])
        if bool(errors) == (name in theirs) or any(laxity.applies(errors, words) for laxity in LAXITIES):
            continue
        said = "; ".join(map(str, errors)) or "nothing"
        pytest.fail(
            f"{name}: we say {said}, libyang says {' '.join(words) or 'nothing'}, of {documents[name].decode()}"
        )


def wrapped(text: bytes) -> etree._Element:
    return etree.fromstring(b"<data>" + text + b"</data>", etree.XMLParser(remove_comments=True))


def judged(text: bytes, schema: Schema, *, state: bool) -> list[RpcError]:
    """All that we have against a document."""
    errors: list[RpcError] = []
    root = read_inner(wrapped(text), schema.root, schema, state=state, errors=errors)
    return errors or (validate_state if state else validate)(schema, root)


def spoiled(random: Random, text: bytes) -> bytes:
    """The document with one or two things wrong, or at least different."""
    root = wrapped(text)
    for _ in range(random.choice([1, 1, 2])):
        elements = [element for element in root.iter() if element is not root]
        if not elements:
            break
        element = random.choice(elements)
        parent = element.getparent()
        act = random.randrange(8)
        if act < 4:
            if len(element) == 0:
                element.text = random.choice(JUNK)
        elif act == 4:
            parent.insert(random.randrange(len(parent) + 1), copy.deepcopy(element))
        elif act == 5:
            parent.remove(element)
        elif act == 6:
            element.tag = f"{{{etree.QName(element).namespace}}}unknown"
        else:
            parent.remove(element)
            random.choice(list(root.iter())).append(element)
    return b"".join(etree.tostring(child) for child in root)


def histories(
    schema: Schema, bases: list[Inner], count: int, *, state: bool = False
) -> tuple[dict[str, bytes], dict[str, list[RpcError]]]:
    """Documents and our verdicts: edit follows edit as long as the tree is valid, each also spoiled."""
    modules = {module.name for module in schema.modules.values() if module.implemented}
    documents: dict[str, bytes] = {}
    verdicts: dict[str, list[RpcError]] = {}
    for seed in range(count):
        random = Random(seed)
        grower = Grower(random, density=(0.15, 0.4, 0.1)[seed % 3], state=state, modules=modules)
        tree = random.choice(bases) if bases and seed % 4 else Inner(schema.root)
        for step in range(8):
            new = edited(grower, tree, 1)
            if new is tree or not new.children:
                continue
            text = to_bytes(new)
            worse = spoiled(random, text)
            for name, document in ((f"edited-{seed}-{step}", text), (f"spoiled-{seed}-{step}", worse)):
                if document:
                    documents[name] = document
                    verdicts[name] = judged(document, schema, state=state)
            tree = tree if verdicts[f"edited-{seed}-{step}"] else new
    return documents, verdicts


def read(schema: Schema, text: bytes) -> Inner:
    errors: list[RpcError] = []
    root = read_inner(wrapped(text), schema.root, schema, errors=errors)
    assert not errors, errors
    return root


@pytest.fixture(scope="module")
def probe() -> Schema:
    return compile_schema(PROBE, PATHS)


@pytest.fixture(scope="module")
def rich(probe: Schema) -> Inner:
    """A valid tree of the probe modules with nearly everything in it."""
    namespaces = 'xmlns="urn:example:probe" xmlns:s="urn:example:probe-shapes"'
    return read(probe, f"<site {namespaces}>{RICH}</site>".encode())


def own_bases(schema: Schema) -> list[Inner]:
    """The example configurations."""
    found: list[Inner] = []
    for path in sorted((ROOT / "examples").glob("*/valid-*.xml")):
        errors: list[RpcError] = []
        try:
            root = read_inner(wrapped(path.read_bytes()), schema.root, schema, state=False, errors=errors)
        except etree.XMLSyntaxError:
            continue
        if not errors and root.children and not validate(schema, root):
            found.append(root)
    return found


@pytest.mark.parametrize(
    ("modules", "kind", "count"),
    [(PROBE, "config", 250), (PROBE, "data", 100), (OURS, "config", 200), (STANDARD, "config", 250)],
    ids=["probe", "probe-with-state", "ours", "standard"],
)
def test_libyang_agrees(
    modules: tuple[str, ...], kind: str, count: int, yanglint: str, tmp_path: Path, probe: Schema, rich: Inner
) -> None:
    """libyang accepts and refuses the same documents as we do."""
    schema = probe if modules is PROBE else compile_schema(modules, PATHS)
    bases = [rich] if modules is PROBE else own_bases(schema) if modules is OURS else []
    documents, verdicts = histories(schema, bases, count, state=kind == "data")
    theirs = refusals(yanglint, modules, kind, documents, tmp_path)
    compare(verdicts, theirs, documents)
    # many of both, or the agreement says nothing
    assert len(theirs) > len(documents) / 8
    assert len(documents) - len(theirs) > len(documents) / 8


def test_known_differences_are_there(yanglint: str, tmp_path: Path, probe: Schema) -> None:
    """Each named difference still exists, so that none outlives its reason."""
    site = '<site xmlns="urn:example:probe" xmlns:s="urn:example:probe-shapes">{}</site>'
    shown = {
        "empty-with-white-space": site.format("<mark> </mark>"),
        "second-container": site.format("<mode>auto</mode>") + site.format(""),
        "multiple-bases": site.format("<both>s:square</both>"),
        "keys-in-any-order": site.format("<slot><kind>s:circle</kind><number>1</number></slot>"),
        "text-in-anydata": site.format("<notes>text</notes>"),
    }
    documents = {name: text.encode() for name, text in shown.items()}
    theirs = refusals(yanglint, PROBE, "config", documents, tmp_path)
    for laxity in LAXITIES:
        if laxity.name != "xpath-texts":  # the probe modules have no such leaf
            errors = judged(documents[laxity.name], probe, state=False)
            assert bool(errors) != (laxity.name in theirs), laxity.name
            assert laxity.applies(errors, theirs.get(laxity.name, [])), laxity.name


OPERATIONAL = (
    """<site xmlns="urn:example:probe"><box><id>a</id><voltage>1</voltage><port><name>1</name></port></box></site>"""
)
INPUTS = {
    "good": "<ping xmlns='urn:example:probe'><box>a</box></ping>",
    "fast": "<ping xmlns='urn:example:probe'><box>a</box><count>5</count><fast/><packets>2</packets></ping>",
    "no-box": "<ping xmlns='urn:example:probe'><fast/></ping>",
    "unknown-box": "<ping xmlns='urn:example:probe'><box>z</box></ping>",
    "slow-count": "<ping xmlns='urn:example:probe'><box>a</box><count>5</count></ping>",
    "slow-packets": "<ping xmlns='urn:example:probe'><box>a</box><packets>2</packets></ping>",
    "two-sizes": "<ping xmlns='urn:example:probe'><box>a</box><fast/><bytes>1</bytes><packets>2</packets></ping>",
    "empty": "<ping xmlns='urn:example:probe'/>",
}
NOTICES = {
    "moved": "<moved xmlns='urn:example:probe'><box>a</box><metres>3</metres></moved>",
    "moved-nobody": "<moved xmlns='urn:example:probe'><metres>3</metres></moved>",
    "moved-unknown": "<moved xmlns='urn:example:probe'><box>z</box></moved>",
}


@pytest.mark.parametrize("name", [*INPUTS, *NOTICES])
def test_libyang_agrees_on_messages(name: str, yanglint: str, tmp_path: Path, probe: Schema) -> None:
    """Inputs of rpcs and notifications are judged alike, beside the data they refer to."""
    text = (INPUTS | NOTICES)[name]
    kind = "rpc" if name in INPUTS else "notif"
    operational, message = tmp_path / "operational.xml", tmp_path / "message.xml"
    operational.write_text(OPERATIONAL)
    message.write_text(text)
    models = [str(MODELS / f"{module}.yang") for module in PROBE]
    command = [yanglint, "-t", kind, "-O", str(operational), "-p", str(MODELS), *models, str(message)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or "validate input data file" in done.stderr, done.stderr

    errors: list[RpcError] = []
    element = etree.fromstring(text)
    key = ("urn:example:probe", etree.QName(element).localname)
    node = probe.rpcs[key].child("input") if kind == "rpc" else probe.notifications[key]
    inner = read_inner(element, node, probe, errors=errors)
    check = validate_input if kind == "rpc" else validate_notification
    errors = errors or check(probe, inner, read(probe, OPERATIONAL.encode()))
    assert (done.returncode == 0) == (not errors), (done.stderr, [str(error) for error in errors])


# yangson ----------------------------------------------------------------------------------------------------


def to_json(inner: Inner) -> dict[str, object]:
    """The tree as JSON (RFC 7951)."""
    found: dict[str, object] = {}
    for schema, data in inner.children.items():
        same = inner.schema.kind is not Kind.ROOT and schema.module is inner.schema.module
        found[schema.name if same else schema.qualified_name] = json_value(schema, data)
    return found


def json_value(schema: SchemaNode, data: Data) -> object:
    if isinstance(data, Inner):
        return to_json(data)
    if isinstance(data, ListNode):
        return [to_json(entry) for entry in data.entries.values()]
    if isinstance(data, tuple):
        return [json_scalar(schema.type, value) for value in data]
    assert not isinstance(data, Opaque)
    return json_scalar(schema.type, data)


def json_scalar(kind: YangType | None, value: str) -> object:
    for member in member_types(kind):
        try:
            member.parse_canonical(value)
        except ValueError:
            continue
        if isinstance(member, BooleanType):
            return value == "true"
        if isinstance(member, EmptyType):
            return [None]
        if isinstance(member, IntegerType) and not member.base.endswith("64"):
            return int(value)
        return value
    return value


def test_yangson_agrees(probe: Schema, rich: Inner) -> None:
    """yangson judges the trees of some histories as we do."""
    library = {
        "ietf-yang-library:modules-state": {
            "module-set-id": "1",
            "module": [
                {
                    "name": name,
                    "revision": "2026-01-01",
                    "namespace": f"urn:example:{name}",
                    "conformance-type": "implement",
                }
                for name in PROBE
            ],
        }
    }
    model = DataModel(json.dumps(library), (str(MODELS),))
    base = etree.tostring(wrapped(to_bytes(rich))).decode()
    base = re.sub(r"<(pointer|any-of).*?</\1>", "", base).removeprefix("<data>").removesuffix("</data>")
    verdicts = {True: 0, False: 0}
    for seed in range(40):
        grower = Grower(Random(seed), density=0.2)
        tree = read(probe, base.encode())
        for _ in range(4):
            new = edited(grower, tree, 1)
            if not new.children or any(f"<{name}".encode() in to_bytes(new) for name in ("notes", "pointer", "any-of")):
                # yangson asks for what is mandatory under a when even of an empty tree, reads anydata differently,
                # lets no instance-identifier point to a default, and tells members of a union by their JSON types
                continue
            errors = validate(probe, new)
            raw = to_json(new)
            try:
                model.from_raw(raw).validate(ctype=ContentType.config)
                refusal = None
            except (YangsonException, TypeError) as fault:
                refusal = fault  # a TypeError: yangson has no words for a missing choice of many cases
            assert (refusal is None) == (not errors), (refusal, [str(error) for error in errors], json.dumps(raw))
            verdicts[not errors] += 1
            tree = tree if errors else new
    assert min(verdicts.values()) > 20
