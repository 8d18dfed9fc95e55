"""The language of upsd: quoting, splitting, answers; whatever comes is read or refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eman_backends.nut.connection import Connection
from eman_backends.nut.protocol import CONTROL, LARGEST, MOST, Garbled, Question, quoted, variables, words
from eman_backends.nut.settings import target
from eman_backends.nut.tests.counterparts import PASSWORD, USER, Upsd

SENDABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=60)


@given(st.lists(SENDABLE, max_size=6))
def test_words_that_were_quoted_are_read_as_they_were(sent: list[str]) -> None:
    """Whatever can be sent comes out of a line as it went in."""
    assert words(" ".join(quoted(word) for word in sent)) == sent


@given(st.text(max_size=20))
def test_a_word_never_becomes_two_lines(text: str) -> None:
    """A word with an end of line, or another control character, is refused; others stay on one line."""
    if CONTROL.search(text):
        with pytest.raises(ValueError, match="control"):
            quoted(text)
    else:
        assert len(quoted(text).encode().split(b"\n")) == 1


@given(st.text(max_size=120))
def test_any_line_is_words_or_garbled(line: str) -> None:
    """No line makes the parser fail otherwise than with its own error."""
    try:
        found = words(line)
    except Garbled:
        return
    assert all(isinstance(word, str) for word in found)


@settings(max_examples=300)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(["BEGIN LIST VAR u", "END LIST VAR u", "ERR X"]))))
def test_any_answer_ends_or_is_garbled(lines: list[str]) -> None:
    """Lines in any order are an answer, the beginning of one, or Garbled."""
    question = variables("u")
    try:
        for line in lines:
            if question.hear(line):
                assert question.error is not None or question.pairs() is not None
                return
    except Garbled:
        return
    assert question.error is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('VAR su ups.mfr "APC \\"Smart\\" \\\\ \\#1"', ["VAR", "su", "ups.mfr", 'APC "Smart" \\ #1']),
        ('UPS a ""', ["UPS", "a", ""]),
        ("  OK   TRACKING  1b-2 ", ["OK", "TRACKING", "1b-2"]),
        ('VAR a b "c', None),
        ('VAR a b "c"d', None),
        ('VAR a b c"d"', None),
    ],
)
def test_lines_as_upsd_writes_them(line: str, found: list[str] | None) -> None:
    """Quotation marks, backslashes and number signs come escaped; marks that do not match are garbled."""
    if found is None:
        with pytest.raises(Garbled):
            words(line)
    else:
        assert words(line) == found


@pytest.mark.parametrize(
    "lines",
    [
        ["BEGIN LIST VAR other"],
        ["BEGIN LIST VAR u", 'VAR other a "1"'],
        ["BEGIN LIST VAR u", 'VAR ux a "1"'],
        ["BEGIN LIST VAR u", "END LIST VAR other"],
        ["OK"],
        ["BEGIN LIST VAR u", *['VAR u a "1"'] * (MOST + 1)],
        ["BEGIN LIST VAR u", *[f'VAR u a "{"x" * 2000}"'] * (LARGEST // 2000 + 1)],
    ],
)
def test_an_answer_to_another_question_is_garbled(lines: list[str]) -> None:
    """Lists of another UPS, wrong rows, and lists without end are not taken."""
    question = variables("u")
    with pytest.raises(Garbled):
        list(map(question.hear, lines))


def test_a_row_that_is_no_pair_is_garbled() -> None:
    """A variable has a name and a value."""
    question = Question("LIST VAR u", "VAR u", ["VAR u a b c"])
    with pytest.raises(Garbled, match="not a name and a value"):
        question.pairs()


@pytest.mark.parametrize("code", ["ACCESS-DENIED", "DATA-STALE", "USERNAME-REQUIRED", "INVALID-ARGUMENT"])
def test_errors_are_sentences(code: str) -> None:
    """What upsd refuses with a code is told with what it means; a code nobody knows is told as it is."""
    question = Question("X")
    assert question.hear(f"ERR {code}")
    assert question.refusal.startswith(f"{code}: ")
    assert len(question.refusal.split()) >= 4
    strange = Question("X")
    assert strange.hear("ERR 418\x1b[31m")
    assert strange.refusal == "the server says '418[31m'"


async def test_a_real_server_reads_and_writes_as_we_do(upsd: Upsd) -> None:
    """A password of every special character is taken by upsd; a description with them comes as it was configured."""
    assert set(PASSWORD) >= set('"\\# =')
    connection = Connection(
        target({"address": "127.0.0.1", "port": upsd.port, "user-name": USER, "password": PASSWORD})
    )
    listed = Question("LIST UPS", "UPS")
    try:
        await connection.ask(listed)
        await connection.order(Question("SET VAR desk ups.load 20"))
    finally:
        await connection.close()
    assert listed.pairs() == {name: f'The "{name}" UPS #1' for name in ("rack", "desk")}
