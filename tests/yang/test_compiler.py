"""From modules to the schema: what YANG abbreviates is written out, what is not in force is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from yangson import DataModel
from yangson.enumerations import ContentType

from eman_netconf.errors import BASE_NS
from eman_netconf.yang import sources
from eman_netconf.yang.compiler import SchemaError, compile_schema
from eman_netconf.yang.schema import Kind, Schema, SchemaNode
from eman_netconf.yang.types import BitsType, EnumerationType, IdentityrefType, LeafrefType, StringType, UnionType
from tests.yang.conftest import Compile, module_text


def names(node: SchemaNode) -> list[str]:
    return [child.name for child in node.children.values()]


def leafref(schema: Schema, path: str) -> LeafrefType:
    kind = schema.find(path).type
    assert isinstance(kind, LeafrefType)
    return kind


def test_every_kind_of_node(compile_text: Compile) -> None:
    """Each data definition becomes a node of its kind with what its statements say."""
    schema = compile_text(
        """
        container c { presence "here"; description "A container."; status deprecated;
          leaf a { type string; units "watts"; mandatory true; }
          leaf-list b { type uint8; ordered-by user; min-elements 1; max-elements 3; }
          list d { key "k"; max-elements unbounded; unique "x/y z"; leaf z { type int8; }
            container x { leaf y { type int8; } } leaf k { type string; } }
          anydata e { mandatory true; } anyxml f;
          container g { config false; leaf h { type string; } list i { leaf j { type string; } } }
        }"""
    )
    c = schema.find("/m:c")
    assert (c.kind, c.presence, c.description, c.status) == (Kind.CONTAINER, True, "A container.", "deprecated")
    assert names(c) == ["a", "b", "d", "e", "f", "g"]
    assert [child.order for child in c.children.values()] == list(range(6))

    a, b, d = c.child("a"), c.child("b"), c.child("d")
    assert (a.kind, a.units, a.mandatory, a.config) == (Kind.LEAF, "watts", True, True)
    assert (b.kind, b.ordered_by_user, b.min_elements, b.max_elements) == (Kind.LEAF_LIST, True, 1, 3)
    assert (d.kind, d.max_elements, d.ordered_by_user) == (Kind.LIST, None, False)
    assert names(d) == ["k", "z", "x"], "keys stand first"
    assert d.keys == (d.child("k"),)
    assert d.child("k").is_key
    assert d.uniques == (((d.child("x"), d.child("x").child("y")), (d.child("z"),)),)
    assert (c.child("e").kind, c.child("e").mandatory, c.child("f").kind) == (Kind.ANYDATA, True, Kind.ANYXML)
    assert not c.child("g").config
    assert not c.child("g").child("i").child("j").config
    assert c.child("g").child("i").keys == ()
    assert a.path == "/m:c/a"
    assert c.by_tag["{urn:m}a"] is a
    assert a.open_tag == b"<a>"
    assert c.open_tag == b'<c xmlns="urn:m">'


def test_operations(compile_text: Compile) -> None:
    """rpcs, actions and notifications stand where they are defined, with input and output even if empty."""
    schema = compile_text(
        """
        rpc r { input { leaf a { type string; } must "a"; } }
        notification n { leaf b { type string; } }
        container c { action x { output { leaf d { type string; } } } notification y { leaf e { type string; } }
          list l { key k; leaf k { type string; } action z; } }"""
    )
    rpc = schema.rpcs["urn:m", "r"]
    assert (rpc.kind, rpc.path) == (Kind.RPC, "/m:r")
    assert [(child.kind, names(child)) for child in rpc.children.values()] == [(Kind.INPUT, ["a"]), (Kind.OUTPUT, [])]
    assert [must.text for must in rpc.child("input").musts] == ["a"]
    assert rpc.child("input").child("a").open_tag == b'<a xmlns="urn:m">'
    assert schema.notifications["urn:m", "n"].child("b").path == "/m:n/b"

    c = schema.find("/m:c")
    assert (names(c), list(c.actions), list(c.notifications)) == (["l"], [("urn:m", "x")], [("urn:m", "y")])
    action = c.actions["urn:m", "x"]
    assert (action.kind, action.parent, action.path) == (Kind.ACTION, c, "/m:c/x")
    assert names(action.child("output")) == ["d"]
    assert c.notifications["urn:m", "y"].parent is c
    assert list(c.child("l").actions) == [("urn:m", "z")]
    assert schema.root.child("c") is c
    assert names(schema.root) == ["c"]


def test_config_means_nothing_in_operations(compile_text: Compile) -> None:
    """A grouping's config statement counts in the data tree and not below an rpc or notification."""
    schema = compile_text(
        """
        grouping g { container s { config false; leaf t { type string; } } }
        container c { uses g; } rpc r { input { uses g; } } notification n { uses g; }"""
    )
    assert not schema.find("/m:c/s/t").config
    assert not schema.rpcs["urn:m", "r"].child("input").child("s").config
    assert not schema.notifications["urn:m", "n"].child("s").child("t").config


def test_choices(compile_text: Compile) -> None:
    """Choices and cases are flattened; each node knows its case, each choice its nodes and conditions."""
    schema = compile_text(
        """
        leaf on { type string; }
        container c {
          choice one { mandatory true; when "../on";
            case a { when "../on = 'a'"; leaf a1 { type string; } leaf a2 { type string; } }
            container b { leaf inside { type string; } }
            case d { choice two { default e; leaf e { type string; } leaf f { type string; when "../e"; } } } } }"""
    )
    c = schema.find("/m:c")
    assert names(c) == ["a1", "a2", "b", "e", "f"]
    one, two = c.choices
    assert (one.name, one.mandatory, one.default, one.parent_case) == ("one", True, None, None)
    assert {name: [node.name for node in nodes] for name, nodes in one.cases.items()} == {
        "a": ["a1", "a2"],
        "b": ["b"],
        "d": ["e", "f"],
    }
    assert (two.name, two.default, two.parent_case) == ("two", "e", (one, "d"))
    assert c.child("a1").case == (one, "a")
    assert c.child("f").case == (two, "f")
    assert c.child("b").child("inside").case is None
    assert [(when.text, when.on_parent) for when in c.child("a2").whens] == [("../on", True), ("../on = 'a'", True)]
    assert [(when.text, when.on_parent) for when in c.child("f").whens] == [("../on", True), ("../e", False)]
    assert [when.text for when in one.whens] == ["../on"]


def test_uses_refine_and_augment(compile_text: Compile) -> None:
    """A uses copies its grouping with what it refines and adds, each copy by itself."""
    schema = compile_text(
        """
        grouping inner { leaf x { type string; default "1"; } container y { } }
        grouping outer { uses inner { refine x { default "2"; mandatory false; must "true()"; }
          augment y { when "x"; leaf z { type string; } } } }
        container a { uses outer; } container b { uses inner { when "../b"; } }
        container l { uses outer { refine x { config false; description "Refined."; } } }"""
    )
    assert (schema.find("/m:a/x").default, schema.find("/m:b/x").default) == ("2", "1")
    assert [must.text for must in schema.find("/m:a/x").musts] == ["true()"]
    assert schema.find("/m:b/x").musts == ()
    assert [(when.text, when.on_parent) for when in schema.find("/m:a/y/z").whens] == [("x", True)]
    assert [(when.text, when.on_parent) for when in schema.find("/m:b/x").whens] == [("../b", True)]
    assert names(schema.find("/m:b/y")) == []
    assert (schema.find("/m:l/x").config, schema.find("/m:a/x").config) == (False, True)
    assert schema.find("/m:l/x").description == "Refined."


def test_names_in_groupings(compile_text: Compile) -> None:
    """Prefixes mean what they mean where an expression was written; bare names belong to the using module."""
    lib = module_text(
        """
        identity base; identity one { base base; }
        typedef ref { type identityref { base base; } default one; }
        grouping g { leaf a { type ref; must "lib:x or q:y or z"; } leaf b { type leafref { path "../a"; } }
          leaf c { type identityref { base base; } default "lib:one"; } }
        """,
        "lib",
        imports="import far { prefix q; }",
    )
    user = module_text("container c { uses l:g; }", "user", imports="import lib { prefix l; }")
    with pytest.raises(SchemaError, match="the default of a must be an identity derived from lib:base"):
        compile_text(user=user, lib=lib, far=module_text("", "far"))  # identities of a mere import are no values

    schema = compile_text(user=user, lib=lib, far=module_text("", "far"), implement=("user", "lib"))
    a = schema.find("/user:c/a")
    assert a.module.name == "user"
    assert a.musts[0].prefixes == {"lib": "urn:lib", "q": "urn:far"}
    assert a.musts[0].default_namespace == "urn:user"
    assert leafref(schema, "/user:c/b").target is a
    assert [schema.modules[name].implemented for name in ("user", "lib", "far")] == [True, True, False]
    assert a.default == "lib:one"
    assert schema.find("/user:c/c").default == "lib:one"


def test_augments(compile_text: Compile) -> None:
    """An augment of another module adds nodes of its own namespace, and makes that module implemented."""
    schema = compile_text(
        user=module_text(
            """
            feature f;
            augment "/b:top" { when "b:x = 'on'"; leaf plus { type string; } list l { key k; leaf k { type string; } } }
            augment "/b:top/b:ch" { leaf short { type string; } case long { leaf l1 { type string; } } }
            augment "/b:go/b:input" { leaf extra { type string; } }
            augment "/b:top/user:l" { if-feature f; leaf more { type string; } }""",
            "user",
            imports="import base { prefix b; }",
        ),
        base=module_text(
            "container top { leaf x { type string; } choice ch { leaf y { type string; } } } rpc go;", "base"
        ),
        features={"user": frozenset()},
    )
    top = schema.find("/base:top")
    assert [node.qualified_name for node in top.children.values()] == [
        *("base:x", "base:y", "user:short", "user:l1", "user:plus", "user:l"),
    ]
    plus = top.child("plus")
    assert (plus.namespace, plus.path, plus.open_tag) == ("urn:user", "/base:top/user:plus", b'<plus xmlns="urn:user">')
    assert [(when.text, when.on_parent, when.prefixes["b"]) for when in plus.whens] == [
        ("b:x = 'on'", True, "urn:base")
    ]
    assert set(top.choices[0].cases) == {"y", "short", "long"}
    assert names(schema.rpcs["urn:base", "go"].child("input")) == ["extra"]
    assert names(top.child("l")) == ["k"], "the feature is not in force"
    assert schema.modules["base"].implemented


@pytest.mark.parametrize(
    ("features", "present"),
    [
        ({"a", "b", "c"}, {"a", "a-or-d", "a-and-b", "needs-b"}),
        ({"a"}, {"a", "a-or-d", "a-and-not-b"}),
        ({"b"}, {"not-a-nor-d"}),
        ({"d"}, {"a-or-d"}),
        ({"c"}, {"not-a-nor-d"}),
        ({"c", "b", "a"}, {"a", "a-or-d", "a-and-b", "needs-b"}),
        (set(), {"not-a-nor-d"}),
    ],
)
def test_features(compile_text: Compile, features: set[str], present: set[str]) -> None:
    """Nodes of features that are not in force are gone, also where one feature needs another."""
    schema = compile_text(
        """
feature a; feature b { if-feature c; } feature c; feature d;
        container t {
          leaf a { if-feature a; type string; }
          leaf a-or-d { if-feature "a or d"; type string; }
          leaf a-and-b { if-feature "m:a and b"; type string; }
          leaf a-and-not-b { if-feature "a and not b"; type string; }
          leaf not-a-nor-d { if-feature "not (a or d)"; type string; }
          container needs-b { if-feature b; leaf x { type string; } }
        }""",
        features={"m": frozenset(features)},
    )
    assert set(names(schema.find("/m:t"))) == present
    assert set(schema.modules["m"].features) == (features if "c" in features else features - {"b"})


def test_features_of_enums_bits_and_identities(compile_text: Compile) -> None:
    """if-feature prunes enums, bits, identities and rpcs; numbers stay as they were counted."""
    schema = compile_text(
        """
        feature f; identity base; identity one { if-feature f; base base; } identity two { base base; }
        leaf e { type enumeration { enum a; enum b { if-feature f; } enum c; } }
        leaf b { type bits { bit x; bit y { if-feature f; } bit z; } } leaf i { type identityref { base base; } }
        rpc r { if-feature f; } notification n { if-feature f; }""",
        features={"m": frozenset()},
    )
    enums, bits, identity = (schema.find(f"/m:{name}").type for name in "ebi")
    assert isinstance(enums, EnumerationType)
    assert isinstance(bits, BitsType)
    assert isinstance(identity, IdentityrefType)
    assert enums.enums == {"a": 0, "c": 2}
    assert bits.bits == {"x": 0, "z": 2}
    assert list(identity.values) == ["m:two"]
    assert not schema.rpcs
    assert not schema.notifications


def test_identities(compile_text: Compile) -> None:
    """An identity has all its ancestors as bases, over several paths and modules."""
    schema = compile_text(
        m=module_text(
            "identity a; identity b { base a; } identity c { base o:x; } identity d { base b; base c; }",
            imports="import other { prefix o; }",
        ),
        other=module_text("identity x;", "other"),
    )
    assert schema.identities["m:d"].bases == {"m:b", "m:a", "m:c", "other:x"}
    assert schema.derived("m:d", "other:x")
    assert not schema.derived("m:a", "m:a")
    assert schema.derived("m:a", "m:a", or_self=True)
    assert not schema.derived("m:a", "m:d")


def test_deviations(compile_text: Compile) -> None:
    """Deviations take nodes away, and add, replace and delete properties."""
    schema = compile_text(
        dev=module_text(
            """
            deviation "/b:t/b:gone" { deviate not-supported; }
            deviation "/b:r" { deviate not-supported; }
            deviation "/b:t/b:x" { deviate add { default "5"; must ". != dev:y"; } deviate replace { type uint8; } }
            deviation "/b:t/b:y" { deviate delete { units "s"; default "1"; } }
            deviation "/b:t/b:l" { deviate replace { max-elements 2; } deviate add { unique "v"; } }
            deviation "/b:t/b:s" { deviate replace { config false; } }""",
            "dev",
            imports="import base { prefix b; }",
        ),
        base=module_text(
            """
            rpc r; container t { leaf gone { type string; } leaf x { type string; }
            leaf y { type int8; units "s"; default "1"; } container s { leaf deep { type string; } }
            list l { key k; max-elements 9; leaf k { type string; } leaf v { type string; } } }""",
            "base",
        ),
        implement=("base", "dev"),
    )
    t = schema.find("/base:t")
    assert names(t) == ["x", "y", "s", "l"]
    assert not schema.rpcs
    x, y, rows = t.child("x"), t.child("y"), t.child("l")
    assert x.type is not None
    assert (x.type.base, x.default) == ("uint8", "5")
    assert (x.musts[0].prefixes, x.musts[0].default_namespace) == ({"dev": "urn:dev", "b": "urn:base"}, "urn:base")
    assert (y.units, y.default) == (None, None)
    assert (rows.max_elements, rows.uniques) == (2, (((rows.child("v"),),),))
    assert (t.child("s").config, t.child("s").child("deep").config) == (False, False)
    assert schema.modules["base"].deviated_by == ("dev",)
    assert schema.modules["dev"].deviated_by == ()


def test_defaults(compile_text: Compile) -> None:
    """Defaults are canonical, come from typedefs too, and not where a value has to be given."""
    schema = compile_text(
        """
        typedef t { type uint8; default 0x10; } typedef u { type t; }
        leaf a { type u; } leaf b { type u; default 017; } leaf c { type u; mandatory true; }
        leaf d { type decimal64 { fraction-digits 2; } default 1.50; }
        leaf-list e { type u; } leaf-list f { type u; default 1; default 2; } leaf-list g { type u; min-elements 1; }
        list l { key k; leaf k { type u; } } leaf h { type bits { bit x; bit y; } default "y x"; }
        leaf i { type union { type enumeration { enum auto; } type uint8; } default 0x1f; }
        leaf j { type leafref { path "../a"; } default 07; }"""
    )
    found = {name: schema.find(f"/m:{name}").default for name in "abcdhij"}
    assert found == {"a": "16", "b": "15", "c": None, "d": "1.5", "h": "x y", "i": "31", "j": "7"}
    assert [schema.find(f"/m:{name}").defaults for name in "efg"] == [("16",), ("1", "2"), ()]
    assert schema.find("/m:l/k").default is None


def test_typedefs(compile_text: Compile) -> None:
    """A type knows the typedefs it came through and adds up their restrictions and units."""
    schema = compile_text(
        """
        typedef a { type string { length "1..10"; pattern "[a-z]*"; } units "words"; }
        typedef b { type a { length "2..max"; pattern ".*z"; } }
        leaf x { type b; } leaf y { type b { length "5"; } units "letters"; } leaf z { type b; }"""
    )
    kind = schema.find("/m:x").type
    assert isinstance(kind, StringType)
    assert kind.typedefs == ("m:b", "m:a")
    assert [pattern.text for pattern in kind.patterns] == ["[a-z]*", ".*z"]
    assert kind.length is not None
    assert [(part.low, part.high) for part in kind.length.intervals] == [(2, 10)]
    assert (schema.find("/m:x").units, schema.find("/m:y").units) == ("words", "letters")
    assert schema.find("/m:y").type is not schema.find("/m:x").type


def test_leafrefs(compile_text: Compile) -> None:
    """Leafrefs lead to their leaf from lists, typedefs, unions, groupings, inputs, actions and notifications."""
    schema = compile_text(
        """
        typedef near { type leafref { path "../k"; } }
        typedef far { type leafref { path "/m:t/m:l/m:k"; require-instance false; } }
        grouping g { leaf r { type leafref { path "../../l[m:k = current()/../s]/v"; } } leaf s { type near2; } }
        typedef near2 { type string; }
        container t {
          list l { key k; leaf k { type int8; } leaf v { type boolean; } leaf n { type near; } leaf f { type far; }
            choice c { case d { leaf deep { type leafref { path "../v"; } } } }
            action act { input { leaf a { type leafref { path "../../k"; } }
                                 leaf b { type leafref { path "../a"; } } } }
            notification note { leaf a { type leafref { path "../../k"; } } } }
          container use { uses g; } leaf u { type union { type far; type leafref { path "../l/v"; } type string; } }
          leaf chain { type leafref { path "../l/f"; } }
        }
        rpc op { input { leaf a { type far; } leaf b { type leafref { path "/m:op/m:a"; } } }
                 output { leaf o { type leafref { path "../p"; } } leaf p { type int8; } } }
        notification top { leaf a { type far; } leaf b { type leafref { path "/m:top/m:a"; } } }"""
    )
    rows = schema.find("/m:t/l")
    k, v = rows.child("k"), rows.child("v")
    assert leafref(schema, "/m:t/l/n").target is k
    assert leafref(schema, "/m:t/l/f").target is k
    assert not leafref(schema, "/m:t/l/f").require_instance
    assert leafref(schema, "/m:t/l/n").require_instance
    assert leafref(schema, "/m:t/l/deep").target is v
    assert leafref(schema, "/m:t/use/r").target is v
    assert leafref(schema, "/m:t/chain").target is rows.child("f")
    assert leafref(schema, "/m:t/chain").referred is k.type
    union = schema.find("/m:t/u").type
    assert isinstance(union, UnionType)
    assert [member.target for member in union.members if isinstance(member, LeafrefType)] == [k, v]
    assert union.parse_canonical("007") == "7"
    assert union.parse_canonical("true") == "true"

    def targets(node: SchemaNode) -> list[str]:
        return [leaf.type.target.path for leaf in node.children.values() if isinstance(leaf.type, LeafrefType)]

    assert targets(rows.actions["urn:m", "act"].child("input")) == ["/m:t/l/k", "/m:t/l/act/input/a"]
    assert targets(rows.notifications["urn:m", "note"]) == ["/m:t/l/k"]
    assert targets(schema.rpcs["urn:m", "op"].child("input")) == ["/m:t/l/k", "/m:op/input/a"]
    assert targets(schema.rpcs["urn:m", "op"].child("output")) == ["/m:op/output/p"]
    assert targets(schema.notifications["urn:m", "top"]) == ["/m:t/l/k", "/m:top/a"]


def test_leafref_to_a_node_that_is_gone(compile_text: Compile) -> None:
    """A leafref whose target a feature took away is a fault of the schema, named with its place."""
    with pytest.raises(SchemaError, match=r"m\.yang:\d+.*the leafref /m:b leads to no leaf of the schema: \.\./a"):
        compile_text(
            'feature f; leaf a { if-feature f; type string; } leaf b { type leafref { path "../a"; } }',
            features={"m": frozenset()},
        )


def test_leafrefs_implement_their_target_s_module(compile_text: Compile) -> None:
    """A module that a leafref leads into is implemented too, and what that one needs (RFC 7950 section 5.6.5)."""
    schema = compile_text(
        m=module_text('leaf a { type leafref { path "/n:b"; } }', imports="import n { prefix n; }"),
        n=module_text('leaf b { type leafref { path "/o:c"; } }', "n", imports="import o { prefix o; }"),
        o=module_text("leaf c { type int8; }", "o"),
    )
    assert [module.implemented for module in schema.modules.values()] == [True, True, True]
    assert leafref(schema, "/m:a").referred is schema.find("/o:c").type


def test_extensions(compile_text: Compile) -> None:
    """Extension statements are kept at the node they stand on, by module and name."""
    schema = compile_text(
        m=module_text(
            'container c { nacm:default-deny-all; m:note "x"; leaf l { type string; } } extension note { argument t; }',
            imports="import ietf-netconf-acm { prefix nacm; }",
        )
    )
    assert schema.find("/m:c").extensions == {"ietf-netconf-acm:default-deny-all": "", "m:note": "x"}
    assert schema.find("/m:c/l").extensions == {}


def test_submodules(compile_text: Compile) -> None:
    """What a submodule defines belongs to its module, its prefixes to itself."""
    schema = compile_text(
        m=module_text("include s { revision-date 2026-01-02; } leaf a { type t; }"),
        s="""submodule s { yang-version 1.1; belongs-to m { prefix own; } import ietf-yang-types { prefix y; }
          revision 2026-01-02; typedef t { type own:u; } typedef u { type y:counter32; } feature f; identity i;
          container c { leaf b { type leafref { path "../own:d"; } } leaf d { type t; must "own:x"; } } }""",
    )
    module = schema.modules["m"]
    assert [(name, revision, path.name) for name, revision, path in module.submodules] == [
        ("s", "2026-01-02", "s.yang")
    ]
    assert module.features == ("f",)
    assert schema.find("/m:c/b").module is module
    assert leafref(schema, "/m:c/b").target is schema.find("/m:c/d")
    assert schema.find("/m:c/d").musts[0].prefixes["own"] == "urn:m"
    kind = schema.find("/m:a").type
    assert kind is not None
    assert kind.typedefs == ("m:t", "m:u", "ietf-yang-types:counter32")
    assert "m:i" in schema.identities
    assert "s" not in schema.modules


def test_faults_name_file_and_line(compile_text: Compile) -> None:
    """Everything wrong with the modules is told at once, with file and line."""
    with pytest.raises(SchemaError) as caught:
        compile_text("leaf a { type nonsense; }\n leaf b { type int8; default 300; }")

    assert len(caught.value.messages) == 2
    assert all("m.yang:" in message for message in caught.value.messages)
    assert "nonsense" in caught.value.messages[0]


def test_unknown_module() -> None:
    """A module that is nowhere is named, and so is a submodule taken for a module."""
    with pytest.raises(SchemaError, match='module "no-such-module" not found'):
        compile_schema(["no-such-module"], sources.model_path())
    with pytest.raises(SchemaError, match="ietf-snmp-vacm is a submodule; name the module that it belongs to"):
        compile_schema(["ietf-snmp-vacm"], sources.model_path())


def test_only_the_given_directories_count(
    compile_text: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules in YANG_MODPATH or in the home directory never replace ours."""
    elsewhere = tmp_path / "home" / "yang" / "modules"
    elsewhere.mkdir(parents=True)
    stray = 'module stray { namespace "urn:stray"; prefix s; }'
    (elsewhere / "stray.yang").write_text(stray, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YANG_MODPATH", str(elsewhere))
    with pytest.raises(SchemaError, match="stray"):
        compile_schema(["stray"], sources.standard_models())


def test_content_id(compile_text: Compile) -> None:
    """The content-id stays when nothing changes, and changes with features and with a module's text."""
    body = "feature f; leaf a { type string; }"
    first = compile_text(body).content_id
    assert compile_text(body).content_id == first
    assert compile_text(body, features={"m": frozenset()}).content_id != first
    assert compile_text(body + " ").content_id != first


def test_the_server_s_schema(schema: Schema) -> None:
    """The schema that is served has our nodes, the actions and backends, and only what we serve of others."""
    entity = schema.find("/eman-entity:energy-management/entities/entity")
    assert [key.name for key in entity.keys] == ["id"]
    reference = leafref(schema, "/eman-entity:energy-management/entities/entity/contained-in")
    assert reference.target is entity.child("id")
    assert not reference.require_instance
    control = entity.child("control")
    assert "ietf-netconf-acm:default-deny-all" in control.extensions
    assert "set-power-state" in {name for _, name in control.actions}
    backend = schema.find("/eman-entity:energy-management/backends/backend")
    protocol = next(choice for choice in backend.choices if choice.name == "protocol")
    assert {"simulated", "snmp"} <= set(protocol.cases)
    system = schema.find("/ietf-system:system")
    assert names(system) == ["contact", "hostname", "location", "authentication"]
    assert names(system.child("authentication")) == ["user"]
    assert ("urn:ietf:params:xml:ns:yang:ietf-system", "system-restart") not in schema.rpcs
    operations = {name for _, name in schema.rpcs}
    assert {"get", "get-config", "edit-config", "validate", "commit", "get-schema", "get-data"} <= operations
    assert "url" not in schema.rpcs[BASE_NS, "edit-config"].child("input").by_name, "there is no folder of files"
    assert all(node.type is not None for node in schema.root.descendants() if node.kind is Kind.LEAF)


def test_yangson_agrees(schema: Schema) -> None:
    """yangson finds the same nodes with the same properties in the same modules."""
    modules = [
        {
            "name": module.name,
            "revision": module.revision or "",
            "namespace": module.namespace,
            "feature": list(module.features),
            "conformance-type": "implement" if module.implemented else "import",
        }
        for module in schema.modules.values()
    ]
    library = json.dumps({"ietf-yang-library:modules-state": {"module-set-id": "", "module": modules}})
    model = DataModel(library, sorted({str(module.path.parent) for module in schema.modules.values()}))
    compared = 0
    for node in schema.root.descendants():
        other = model.get_data_node(node.path)
        assert other is not None, node
        assert node.module.configurable or not node.config
        config = node.config if node.module.configurable else other.content_type() is not ContentType.nonconfig
        ours: list[object] = [config, len(node.musts)]
        theirs: list[object] = [other.content_type() is not ContentType.nonconfig, len(other.must)]
        if node.kind is Kind.LEAF:
            default = None if node.is_key or other.default is None else other.type.canonical_string(other.default)
            ours += [node.mandatory or node.is_key, node.default, node.units]
            theirs += [other.mandatory, default, other.units]
        elif node.kind is Kind.CONTAINER:
            ours.append(node.presence)
            theirs.append(other.presence)
        elif node.kind in {Kind.LIST, Kind.LEAF_LIST}:
            ours += [node.min_elements, node.max_elements, node.ordered_by_user]
            theirs += [other.min_elements, other.max_elements, other.user_ordered]
        if node.kind is Kind.LIST:
            ours.append([key.name for key in node.keys])
            theirs.append([name for name, _ in other.keys])
        assert ours == theirs, node
        compared += 1
    assert compared > 400
