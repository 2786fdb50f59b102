"""The files in `broken/`: each says, in its last lines, where its mistake is, the value, and the fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hsm.config import Project, load_sweep
from hsm.core.errors import ConfigError

FILES = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


def expected(path: Path, what: str) -> str:
    """Return what a file says of itself."""
    found = re.search(rf"^# {what}: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{path.name} does not say its {what}"
    return found[1]


def test_the_corpus_has_twenty_files_and_more() -> None:
    """At least twenty different mistakes are kept."""
    assert len(FILES) >= 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mistake_is_told_with_place_value_and_fix(path: Path) -> None:
    """The message has file:line:column and the value, and every problem of the file has a fix."""
    with pytest.raises(ConfigError) as caught:
        load_sweep(path, project=Project.bare(path.parent))
    problems = caught.value.problems
    (problem,) = [one for one in problems if one.where == f"{path}:{expected(path, 'where')}"]
    assert expected(path, "value") in problem.message
    assert expected(path, "fix") in problem.hint
    assert all(one.hint for one in problems)
