"""Garbage against the XML parser: an element or an RpcError comes out, fast, and never a document type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eman_netconf.errors import ErrorTag, RpcError
from eman_netconf.safexml import parse


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a>&nbsp;</a>",
        b"<a>\x00</a>",
        b"<a>\xff</a>",
        b"<a b='1' b='2'/>",
        b"<p:a/>",
        "<!DOCTYPE a><a/>".encode("utf-16"),
        "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"),
        b"<!-- <!DOCTYPE a> ",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"\xef\xbb\xbf <!-- <b> --><?pi ?>\n<!DOCTYPE a><a/>",
        b"<?xml version='1.0'?>" + b"<!-- - -->" * 5000 + b"<!DOCTYPE a><a/>",
        b"<" * 1000,
        b"<!--" * 10_000,
        b"<?" * 10_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    """What is no plain XML in UTF-8 is a malformed-message, told in one line, before patience ends."""
    with pytest.raises(RpcError) as caught:
        parse(data)

    assert caught.value.tag is ErrorTag.MALFORMED_MESSAGE
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


@given(data=st.binary(max_size=60) | st.text("<>&;!?/a='\"-[]x \n", max_size=40).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """Whatever bytes come, there is an element or a malformed-message."""
    try:
        outcome = parse(data).tag
    except RpcError as fault:
        outcome = fault.tag
    assert outcome is ErrorTag.MALFORMED_MESSAGE or type(outcome) is str
