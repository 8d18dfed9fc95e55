"""The words of the command line: quick to answer, and told apart from those it does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eman_netconf import __version__
from eman_netconf.cli import parser
from tests.server.running import command

GIVEN = {"init": ["x"], "passwd": ["x"], "export": ["--state", "x"], "discover": ["192.0.2.1"]}
VERBS = ("run", "init", "passwd", "check", "show", "discover", "export")


def test_help_loads_nothing_heavy() -> None:
    """Building the parser imports neither XML, SSH, the YANG compiler nor the event loop."""
    program = (
        "import sys; from eman_netconf.cli import parser; parser(); import eman_netconf.__main__\n"
        "heavy = {'lxml', 'asyncssh', 'pyang', 'asyncio', 'cryptography', 'sqlite3', 'pysnmp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"


def test_the_version_is_told() -> None:
    """``--version`` prints the program's name and version."""
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"eman-netconf {__version__}\n")


def test_help_names_every_verb() -> None:
    """``--help`` lists all verbs, and each verb's own help exists."""
    text = parser().format_help()
    for verb in VERBS:
        assert f"\n    {verb} " in text
        assert parser().parse_args([verb, *GIVEN.get(verb, ())]).verb == verb


@pytest.mark.parametrize("words", [[], ["fly"], ["run", "--speed", "fast"], ["init"], ["show", "--output", "xml"]])
def test_unknown_words_have_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line does not know is told on stderr with the usage, status 2."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2
    assert "usage: eman-netconf" in capsys.readouterr().err
