"""What pip builds from the project: complete, and never with an invalid model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "state", "dist", "build", "node_modules")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def copied(folder: Path) -> Path:
    """A copy of the project that a test may spoil."""
    shutil.copytree(ROOT, folder / "project", ignore=LEFT_OUT)
    return folder / "project"


def build(tree: Path) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Build a wheel as pip does it for a user: isolated, with the declared requirements alone."""
    wheels = tree.parent / "wheels"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), str(tree)],
        cwd=tree.parent,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return done, sorted(wheels.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    done, wheels = build(copied(tmp_path_factory.mktemp("wheel")))
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = wheels
    return wheel


def test_the_wheel_carries_both_packages_and_every_model(wheel: Path) -> None:
    """A wheel holds the server, the backends, and the models as package data and for other tools, but no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    models = {path.name for path in (ROOT / "yang").glob("eman-*.yang")}
    assert models
    assert {f"eman_netconf/yang_modules/{name}" for name in models} <= names
    version = wheel.name.split("-")[1]
    shared = f"eman_netconf-{version}.data/data/share/yang/modules/eman-netconf"
    assert {f"{shared}/{name}" for name in models} <= names
    plugins = {path.relative_to(ROOT / "backends") for path in ROOT.glob("backends/eman_backends/*/*.yang")}
    assert plugins
    assert {str(path) for path in plugins} <= names
    sources = {str(path.relative_to(ROOT / "src")) for path in ROOT.glob("src/eman_netconf/**/*.py")}
    assert sources <= names
    assert "eman_netconf/py.typed" in names
    assert not [name for name in names if "tests" in Path(name).parts]


def test_what_is_in_the_wheel_serves_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere and found before the source tree, the wheel's content serves the demo site."""
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    where = "import eman_backends, eman_netconf; print(eman_backends.__file__, eman_netconf.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    asked = {"cwd": tmp_path, "env": environment, "text": True}
    found = subprocess.run([sys.executable, "-c", where], capture_output=True, check=True, timeout=60, **asked)
    assert all(path.startswith(str(unpacked)) for path in found.stdout.split()), found.stdout
    command = [sys.executable, "-m", "eman_netconf", "run", "--demo", "--port", "0", "--state", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **asked) as server:
        try:
            assert server.stdout is not None
            first = server.stdout.readline()
            server.terminate()
            _, said = server.communicate(timeout=60)
        finally:
            server.kill()
    assert first.startswith("ready 127.0.0.1:"), said
    assert server.returncode == 0, said


def test_an_invalid_model_stops_the_build_and_is_named(tmp_path: Path) -> None:
    """With a broken model there is no wheel, and the output names the file, the line and the fault."""
    tree = copied(tmp_path)
    model = tree / "yang" / "eman-entity.yang"
    text = model.read_text(encoding="utf-8")
    line = text[: text.index("type emt:entity-id;")].count("\n") + 1
    model.write_text(text.replace("type emt:entity-id;", "type emt:no-such-type;"), encoding="utf-8")

    done, wheels = build(tree)

    assert done.returncode != 0
    assert not wheels
    assert f'yang/eman-entity.yang:{line}: type "no-such-type" not found' in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
