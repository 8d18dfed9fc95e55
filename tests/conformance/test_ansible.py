"""Ansible's NETCONF modules (ansible.netcommon) in plays as operators write them, against a server of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ncclient import manager

from tests.conformance.conftest import SharedSite, demo_process, entity, one, shared
from tests.programs import script

PLAYS = Path(__file__).parent / "ansible"
ENDS_WITHIN = 500.0  # seconds; for hangs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    yield from shared(demo_process(tmp_path_factory.mktemp("ansible") / "state"))


@pytest.fixture
def client(site: SharedSite) -> Iterator[manager.Manager]:
    """Another client, which looks at what Ansible did and in the end puts the configuration back."""
    with site.client() as session:
        yield session


def play(site: SharedSite, home: Path, name: str, **variables: str) -> None:
    """Run a playbook, whose own assertions must hold."""
    inventory = home / "inventory"
    inventory.write_text(
        f"site ansible_host=127.0.0.1 ansible_port={site.server.port} ansible_user=admin "
        f"ansible_password={site.server.password} ansible_connection=ansible.netcommon.netconf "
        f"ansible_network_os=default ansible_host_key_checking=false ansible_python_interpreter={sys.executable}\n"
    )
    given = [argument for key, value in variables.items() for argument in ("-e", f"{key}={value}")]
    done = subprocess.run(
        [script("ansible-playbook"), "-i", inventory, *given, PLAYS / f"{name}.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN,
        env={
            **os.environ,
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / "a"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PERSISTENT_CONNECT_TIMEOUT": "300",
            "ANSIBLE_PERSISTENT_COMMAND_TIMEOUT": "300",
            "LC_ALL": "C.UTF-8",
        },
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


@pytest.mark.req("rfc6241-7.1", "rfc6241-7.7", "rfc6241-8.9")
def test_reading(site: SharedSite, tmp_path: Path) -> None:
    """netconf_get reads parts of running by subtree and by XPath, and with <get> the state beside them."""
    play(site, tmp_path, "read")


@pytest.mark.req("rfc6241-8.3.5.2", "rfc6241-8.3.4.1", "rfc6241-8.3.4.2")
@pytest.mark.req("rfc6241-8.3", "rfc6241-8.6")
def test_changing_once(site: SharedSite, client: manager.Manager, tmp_path: Path) -> None:
    """netconf_config changes something the first time and nothing the second; check mode leaves nothing behind."""
    role = uuid.uuid4().hex
    play(site, tmp_path, "change", role=role)
    assert one(client, entity("srv-05", "/eman:role")) == role


@pytest.mark.req("rfc6241-8.3.5.2", "rfc6241-4.3")
@pytest.mark.req("rfc6241-8.3")
def test_failing_edits(site: SharedSite, tmp_path: Path) -> None:
    """A refused edit or commit tells in words what is wrong, and the candidate is as before once it is unlocked."""
    play(site, tmp_path, "refuse")


@pytest.mark.req("rfc6241-8.4.5.1")
@pytest.mark.req("rfc6241-8.4")
def test_confirming(site: SharedSite, client: manager.Manager, tmp_path: Path) -> None:
    """A commit on trial is in force at once and stays when confirmed; an edit that Ansible gives up is dropped."""
    role = uuid.uuid4().hex
    play(site, tmp_path, "confirm", role=role)
    assert one(client, entity("srv-05", "/eman:role")) == role


@pytest.mark.req("rfc6022-3.1", "rfc7950-7.15")
def test_calling(site: SharedSite, tmp_path: Path) -> None:
    """netconf_rpc gets a schema and calls an action; of an operation that is not there the message names it."""
    play(site, tmp_path, "call")


@pytest.mark.req("rfc7950-7.15", "d5.5.text", "r5.5.text")
def test_asking_about_the_past(tmp_path: Path) -> None:
    """netconf_rpc asks for the energy since a time, and for the power that the history holds."""
    for fast in shared(demo_process(tmp_path / "state", "--speed", "20")):
        play(fast, tmp_path, "ask")
