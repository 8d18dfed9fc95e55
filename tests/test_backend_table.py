"""The table of backends: current, and honest about levels."""

from __future__ import annotations

import pytest

from tools import backend_table

RULES = {rule: "done" for rules in backend_table.LEVELS.values() for rule in rules}


@pytest.mark.parametrize("page", backend_table.PAGES)
def test_the_tables_are_up_to_date(page: str) -> None:
    """The pages say what the quality.toml files say (if not: python -m tools.backend_table --write)."""
    text, made = backend_table.pages(backend_table.ROOT)[page]
    assert text == made


@pytest.mark.parametrize("page", backend_table.PAGES)
def test_every_installed_backend_is_in_the_tables(page: str) -> None:
    """Each folder with a plugin that is served has its line, the blueprint has none."""
    made = backend_table.table(backend_table.ROOT, page)
    folders = [path.parent.name for path in backend_table.ROOT.glob("backends/eman_backends/*/quality.toml")]
    assert "_blueprint" in folders
    for name in folders:
        assert (f"[{name}]" in made) == (not name.startswith("_"))


def test_a_cell_stays_a_cell() -> None:
    """What would end a cell or a line of the table is written so that it does not."""
    assert backend_table.line(["a|b", "c\nd"]) == "| a\\|b | c d |"


@pytest.mark.parametrize(
    ("todo", "reached"),
    [
        (set(), "platinum"),
        ({"soak"}, "gold"),
        ({"watches", "soak"}, "silver"),
        ({"log-once"}, "bronze"),
        ({"deadline"}, "none"),
        ({"deadline", "log-once"}, "none"),
    ],
)
def test_a_level_needs_all_levels_below(todo: set[str], reached: str) -> None:
    """One rule that is not done holds a backend below its level, whatever is done above."""
    assert backend_table.level({**RULES, **dict.fromkeys(todo, "todo")}) == reached


def test_an_exempt_rule_counts_and_a_forgotten_one_does_not() -> None:
    """A rule with a reason for not applying does not hold a backend down; one without an answer does."""
    assert backend_table.level({**RULES, "soak": {"exempt": "nothing runs for long"}}) == "platinum"
    assert backend_table.level({key: value for key, value in RULES.items() if key != "soak"}) == "gold"


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    """Nothing is written into a page that does not say where."""
    with pytest.raises(ValueError, match="the page has no"):
        backend_table.with_table("# Backends\n", "| |")
