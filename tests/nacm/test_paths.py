"""Paths of rules: what they mean, and what is refused."""

from __future__ import annotations

import pytest

from eman_netconf.nacm.paths import PathFault, Variable, for_user, matches, read_path
from eman_netconf.yang.schema import Schema

LAMP = "/plant:site/plant:room[plant:floor='1'][plant:number='2']/plant:lamps/plant:lamp"


@pytest.mark.parametrize(
    ("text", "node", "patterns"),
    [
        ("/plant:site", "site", [None]),
        (" /plant:site / plant:room ", "room", [None, None]),
        ("/plant:site/room", "room", [None, None]),
        ("/plant:site/plant:room[plant:number='2']", "room", [None, (None, "2")]),
        ("/plant:site/plant:room[plant:number = '02'][plant:floor=\"1\"]", "room", [None, ("1", "2")]),
        ("/plant:site/plant:room/plant-more:carpet", "carpet", [None, None, None]),
        ("/plant:site/plant:tag[.='a']", "tag", [None, ("a",)]),
        ("/plant:site/plant:event[3]", "event", [None, ("2",)]),
        (f"{LAMP}/plant:blink", "blink", [None, ("1", "2"), None, None, None]),
        (f"{LAMP}/plant:control/plant:toggle", "toggle", [None, ("1", "2"), None, None, None, None]),
        (f"{LAMP}[plant:id='x']/plant:broken", "broken", [None, ("1", "2"), None, ("x",), None]),
        ("/plant:home/plant:user[plant:name=$USER]", "user", [None, (Variable.USER,)]),
    ],
)
def test_a_path_names_a_node_and_some_or_no_keys(
    plant: Schema, text: str, node: str, patterns: list[tuple[str | None, ...] | None]
) -> None:
    """Keys may be left out, values become canonical, and the last node may be an action or a notification."""
    path = read_path(text, plant)
    assert path[-1].node.name == node
    assert [stop.pattern for stop in path] == patterns


def test_the_slash_means_everything(plant: Schema) -> None:
    """A path of the slash alone has no steps."""
    assert read_path("/", plant) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must not be empty"),
        ("site", "is no path of nodes"),
        ("/site", "needs a prefix"),
        ("//plant:site", "is no path of nodes"),
        ("/plant:site/..", "is no path of nodes"),
        ("/plant:sight", "is no node below the top"),
        ("/other:site", "is no node below the top"),
        ("/plant:site/plant:room[plant:use='x']", "is no key of room"),
        ("/plant:site/plant:room[plant:floor='x']", "is no value of floor"),
        ("/plant:site/plant:room[plant:floor='1'][plant:floor='2']", "one key twice"),
        ("/plant:site/plant:room[1]", "by position"),
        ("/plant:site/plant:room[.='1']", "is no leaf-list"),
        ("/plant:site[plant:name='x']", "is no key of site"),
        ("/plant:site/plant:room[plant:floor=$OTHER]", "is no path of nodes"),
        ("/plant:site/plant:room[position()=1]", "is no path of nodes"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_in_words(plant: Schema, text: str, said: str) -> None:
    """Names that do not exist, predicates that name no key, and everything else XPath has."""
    with pytest.raises(PathFault, match=said):
        read_path(text, plant)


def test_the_users_name_takes_the_place_of_the_variable(plant: Schema) -> None:
    """$USER is the user of the session, where the key can have such a value at all."""
    path = for_user(read_path("/plant:home/plant:user[plant:name=$USER]", plant), "ann")
    assert path is not None
    assert path[-1].pattern == ("ann",)
    assert for_user(read_path("/plant:site/plant:room[plant:floor=$USER]", plant), "ann") is None


def test_a_pattern_matches_by_the_keys_it_has() -> None:
    """A key that is left out matches every value."""
    assert matches((None, "2"), ("1", "2"))
    assert not matches((None, "2"), ("1", "3"))
