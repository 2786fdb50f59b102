"""What the page of checks says of scores and of mistakes has a test behind each line."""

import re
from pathlib import Path

from hsm.physics.scores import names

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/physics-verification.md").read_text(encoding="utf-8")
FOLDERS = ("tests/unit/physics", "tests/integration/physics")


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table under a title."""
    text = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def named_in(cell: str) -> set[str]:
    """Return the tests that a cell names."""
    return set(re.findall(r"`(test_\w+)`", cell))


def known_tests() -> set[str]:
    """Return the names of all tests of the physics."""
    texts = [path.read_text(encoding="utf-8") for each in FOLDERS for path in (ROOT / each).glob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


def test_every_score_has_a_control_on_both_sides() -> None:
    """A score that is added needs a line with a test of what has it and of what has it not."""
    table, known = rows("A control on both sides of every score"), known_tests()
    told = [name for score, _, _ in table for name in re.findall(r"`(\w+)`", score)]
    assert sorted(told) == sorted(names())
    for score, has_it, has_it_not in table:
        for cell in (has_it, has_it_not):
            assert named_in(cell), score
            assert named_in(cell) <= known, score


def test_every_mistake_of_earlier_codes_has_a_test() -> None:
    """Fifteen were found, each by its number."""
    table, known = rows("Mistakes of earlier codes of this kind"), known_tests()
    assert [int(mistake.partition(".")[0]) for mistake, _ in table] == list(range(1, 16))
    for mistake, cell in table:
        assert named_in(cell), mistake
        assert named_in(cell) <= known, mistake
