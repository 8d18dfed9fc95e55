"""The README's transcript is replayed, line by line, against the demo site as it is started there."""

from __future__ import annotations

import doctest
import re
import signal
from pathlib import Path

from tests.conformance.conftest import ServerProcess, all_read

README = Path(__file__).resolve().parents[2] / "README.md"
KILL = "# here the server is killed and started again"


def test_the_transcript_holds(own_demo: ServerProcess) -> None:
    """Every example gives what the README says, the server being killed where the README kills it."""
    text = "\n".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    assert text.count(KILL) == 1
    text = text.replace("state/demo/demo-password", str(own_demo.state / "demo-password"))
    assert text.count("port=8300") == 1
    text = text.replace("port=8300", "port=PORT()").replace(f">>> {KILL}", ">>> kill_and_start()")

    def kill_and_start() -> None:
        own_demo.end(signal.SIGKILL)
        own_demo.start()
        with own_demo.connect() as session:
            all_read(session)  # whoever types this is slower than the devices

    names = {"PORT": lambda: own_demo.port, "kill_and_start": kill_and_start}
    flags = doctest.ELLIPSIS | doctest.REPORT_NDIFF
    example = doctest.DocTestParser().get_doctest(text, names, "README.md", str(README), 0)
    assert len(example.examples) > 30
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(example, out=report.append, clear_globs=False)
    assert runner.failures == 0, "".join(report)
