"""The page that says what is kept names tests that exist."""

import re
from pathlib import Path

PAGE = "docs/explanation/durability.md"


def test_every_promise_names_a_test_that_is_there(project_root: Path) -> None:
    """Each row of the table of promises names at least one, by file and function."""
    text = (project_root / PAGE).read_text()
    table = text.partition("## The promises")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 12
    for row in rows:
        assert re.search(r"`(tests|benchmarks)/", row), row
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (project_root / file).read_text(), f"{file}::{name}"
