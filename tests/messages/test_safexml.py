"""The one parser for XML from outside."""

from __future__ import annotations

import pytest

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.safexml import MAX_DEPTH, SLICE, XmlLimits, parse, parsing

MALFORMED = {
    "no XML": b"hello",
    "empty": b"",
    "white space": b" \n",
    "cut": b"<a><b></b>",
    "crossed tags": b"<a><b></a></b>",
    "two roots": b"<a/><b/>",
    "text after": b"<a/>text",
    "invalid UTF-8": b"<a>\xff</a>",
    "Latin-1": '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"),
    "UTF-16": "<a/>".encode("utf-16"),
    "NUL": b"<a>\0</a>",
    "control character": b"<a>\x07</a>",
    "unbound prefix": b"<p:a/>",
    "unknown entity": b"<a>&secret;</a>",
    "doctype": b"<!DOCTYPE a><a/>",
    "doctype after prolog": b"<?xml version='1.0'?>\n<!-- x --><?pi y?><!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
    "doctype after byte order mark": b"\xef\xbb\xbf<!DOCTYPE a><a/>",
    "name of a megabyte": b"<" + b"a" * 1_000_000 + b"/>",
    "text of 11 MB": b"<a>" + b"x" * 11_000_000 + b"</a>",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    """What is no plain XML in UTF-8 is refused as malformed-message, in a sentence."""
    with pytest.raises(RpcError) as refusal:
        parse(MALFORMED[name])
    assert refusal.value.tag is ErrorTag.MALFORMED_MESSAGE
    assert refusal.value.message.endswith(".")
    assert len(refusal.value.message) < 300
    assert "\n" not in refusal.value.message


def test_entity_bomb() -> None:
    """A billion laughs are refused before the first is told."""
    levels = b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    bomb = b'<!DOCTYPE lolz [<!ENTITY l0 "lol">' + levels + b"]><lolz>&l9;</lolz>"
    with pytest.raises(RpcError, match="document type declaration"):
        parse(bomb)


def test_external_entity(tmp_path: object) -> None:
    """No file of this machine is ever read for a message."""
    document = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><a>&x;</a>'
    with pytest.raises(RpcError, match="document type declaration"):
        parse(document.encode())


def test_doctype_as_text() -> None:
    """The words of a document type declaration inside character data or a comment are harmless."""
    root = parse(b"<a><!-- <!DOCTYPE a> --><b><![CDATA[<!DOCTYPE a>]]></b></a>")
    assert root[0].text == "<!DOCTYPE a>"


def test_many_processing_instructions() -> None:
    """The search for a document type declaration takes linear time."""
    root = parse(b"<?a?>" * 100_000 + b"<a><![CDATA[<!DOCTYPE a>]]></a>")
    assert root.text == "<!DOCTYPE a>"


def test_comments_and_instructions_are_gone() -> None:
    """Comments and processing instructions leave nothing, and the text around them is one."""
    root = parse(b"<?p q?><a>one<!-- c --> two<?x y?><b/></a>")
    assert [child.tag for child in root] == ["b"]
    assert root.text == "one two"


@pytest.mark.parametrize(("depth", "fits"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (1_000_000, False)])
def test_depth(depth: int, fits: bool) -> None:
    """Elements nested deeper than the limit are refused while they come."""
    document = b"<a>" * depth + b"</a>" * depth
    if fits:
        assert parse(document).tag == "a"
    else:
        with pytest.raises(RpcError, match="depth") as refusal:
            parse(document)
        assert refusal.value.tag is ErrorTag.MALFORMED_MESSAGE


@pytest.mark.parametrize(
    ("document", "limits"),
    [
        (b"<a>" + b"x" * 1000 + b"</a>", XmlLimits(size=1000)),
        (b"<a>" + b"<b/>" * 100 + b"</a>", XmlLimits(tags=100)),
        (b"<a " + b" ".join(b'b%d=""' % n for n in range(100)) + b"/>", XmlLimits(attributes=99)),
    ],
)
def test_too_big(document: bytes, limits: XmlLimits) -> None:
    """Too many bytes, tags or attributes are refused as too-big before any is parsed."""
    with pytest.raises(RpcError) as refusal:
        parse(document, limits=limits)
    assert refusal.value.tag is ErrorTag.TOO_BIG


def test_steps() -> None:
    """A long document is parsed in steps of one slice, so that others can work between."""
    document = b"<a>" + b"<b>text</b>" * 20_000 + b"</a>"
    steps = sum(1 for _ in parsing(document))
    assert steps == (len(document) - 1) // SLICE
    assert len(parse(document)) == 20_000


def test_characters_across_slices() -> None:
    """A character whose bytes fall into two slices stays whole."""
    for shift in range(4):
        text = "a" * shift + "😀" * SLICE
        assert parse(f"<a>{text}</a>".encode()).text == text


def test_prefixes() -> None:
    """Prefixes around one element are limited; how often a document declares some is not."""
    one_after_the_other = "<a>" + "".join(f'<b xmlns:p{i}="u"/>' for i in range(1_000)) + "</a>"
    assert len(parse(one_after_the_other.encode())) == 1_000
    around = "".join(f'<b xmlns:p{i}="u" xmlns:q{i}="u">' for i in range(65)) + "</b>" * 65
    with pytest.raises(RpcError) as caught:
        parse(around.encode())
    assert caught.value.tag == ErrorTag.TOO_BIG
