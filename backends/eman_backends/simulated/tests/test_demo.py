"""The configuration that the demo starts with: every box, what an operator knows, and models that take it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from eman_backends.simulated.demo import configuration_xml
from eman_backends.simulated.scenario import ScenarioError
from eman_backends.simulated.tests.sites import DEMO
from tests.programs import program
from tools import yang_lint

ROOT = Path(__file__).resolve().parents[4]
NS = {
    "e": "urn:eman:yang:eman-entity",
    "b": "urn:eman:yang:eman-backend",
    "s": "urn:eman:yang:eman-backend-simulated",
    "g": "urn:eman:yang:eman-group",
    "bat": "urn:eman:yang:eman-battery",
    "t": "urn:eman:yang:eman-threshold",
    "ser": "urn:eman:yang:eman-series",
    "pi": "urn:eman:yang:eman-power-interface",
}


@pytest.fixture
def config() -> etree._Element:
    return etree.fromstring(configuration_xml())


def found(config: etree._Element, path: str) -> list[Any]:
    """What an XPath finds below the energy management."""
    result = config.xpath(f"e:energy-management/{path}", namespaces=NS)
    assert isinstance(result, list)
    return result


def test_every_box_has_its_backend(config: etree._Element) -> None:
    """One backend for each box, named after it, all of the same scenario."""
    assert found(config, "b:backends/b:backend/b:name/text()") == DEMO.boxes()
    assert found(config, "b:backends/b:backend/s:simulated/s:box/text()") == DEMO.boxes()
    assert set(found(config, "b:backends/b:backend/s:simulated/s:scenario/text()")) == {"demo"}


def test_what_is_vital_is_marked(config: etree._Element) -> None:
    """The switch and the first server are vital, and nothing else."""
    assert set(found(config, "e:entities/e:entity[e:vital='true']/e:id/text()")) == {"sw-1", "srv-01"}


def test_every_entity_is_known_and_in_a_domain_that_exists(config: etree._Element) -> None:
    """Each entity of the site has a name, a role, an importance and a domain; each domain but the top has a parent."""
    ids = found(config, "e:entities/e:entity[e:name and e:role and e:importance and g:domain]/e:id/text()")
    assert set(ids) == {entity.id for entity in DEMO.entities}
    domains = set(found(config, "g:domains/g:domain/g:name/text()"))
    assert set(found(config, "e:entities/e:entity/g:domain/text()")) <= domains
    assert set(found(config, "g:domains/g:domain/g:parent/text()")) == {"lab"}
    for path in ("g:domains/g:domain/g:boundary-meter/text()", "g:groups/g:group/g:member/text()"):
        assert set(found(config, path)) <= set(ids)


def test_batteries_have_their_alarms(config: etree._Element) -> None:
    """Both strings of the UPS warn of little charge and of heat."""
    assert found(config, "e:entities/e:entity[e:id='ups-1']/bat:battery/bat:name/text()") == ["string-1", "string-2"]
    assert len(found(config, "e:entities/e:entity/bat:battery/bat:alarm[bat:low-charge-percent]")) == 2


def test_what_a_newcomer_finds(config: etree._Element) -> None:
    """There are thresholds on an entity, a battery, a domain and a group, series of power and of charge, and an outlet
    that is not switched too often."""
    assert found(config, ".//t:threshold/t:name/text()") == ["on-battery", "carries-all", "cooling", "contract"]
    assert found(config, "g:domains/g:domain[ser:series]/g:name/text()") == ["lab"]
    assert found(config, "e:entities/e:entity/ser:series/ser:battery/text()") == ["string-1"]
    assert found(config, "e:entities/e:entity/pi:power-interface[.//pi:max-switchings]/pi:name/text()") == ["lighting"]


def test_an_unknown_scenario_is_told() -> None:
    """There is no configuration for a scenario that is not there."""
    with pytest.raises(ScenarioError, match="atlantis"):
        configuration_xml("atlantis")


def test_libyang_takes_it(config: etree._Element, tmp_path: Path) -> None:
    """yanglint accepts the configuration against the models."""
    models = [path for path in yang_lint.models(ROOT) if not path.parent.name.startswith("_")]
    directories = [*dict.fromkeys(path.parent for path in models), *yang_lint.standard_directories()]
    file = tmp_path / "demo.xml"
    file.write_bytes(etree.tostring(config[0]))
    search = [part for directory in directories for part in ("-p", str(directory))]
    done = subprocess.run(
        [program("yanglint", "libyang2-tools"), *search, "-t", "config", *map(str, models), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
