"""The section `program.batch`: read strictly, and kept from what cannot be the same for many tasks."""

from pathlib import Path

import pytest

from hsm.config import find_project, load_sweep
from hsm.core.errors import ConfigError
from hsm.core.spec import BatchSpec, SweepSpec

HEAD = "name: many\nsweep: {grid: {n: [1, 2], k: [0.1, 0.2]}}\n"


def read(tmp_path: Path, program: str) -> SweepSpec:
    file = tmp_path / "sweep.yaml"
    file.write_text(HEAD + program)
    (tmp_path / "hsm.yaml").touch()
    return load_sweep(file, project=find_project(tmp_path))


def problems(tmp_path: Path, program: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, program)
    return [f"{problem.message} | {problem.hint}" for problem in raised.value.problems]


def test_a_batch_is_read(tmp_path: Path) -> None:
    """Its size, and the parameters in which its tasks agree, which may stand in the command."""
    spec = read(tmp_path, 'program: {command: [run, "{project}/x", "--n={n}"], batch: {size: 16, by: [n]}}\n')
    assert spec.program.batch == BatchSpec(size=16, by=("n",))
    assert spec.document["program"]["batch"] == {"size": 16, "by": ["n"]}  # type: ignore[index, call-overload]
    assert "batch" in spec.document["retry"]  # type: ignore[operator]


def test_without_a_batch_nothing_of_it_is_in_the_document(tmp_path: Path) -> None:
    """So that the identity of a configuration is what it was before there were batches."""
    spec = read(tmp_path, "program: {command: [run]}\n")
    assert spec.program.batch is None
    assert "batch" not in spec.document["program"]  # type: ignore[operator]
    assert "batch" not in spec.document["retry"]  # type: ignore[operator]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """A size out of bounds, a name that is no parameter, and placeholders that differ from task to task."""
    found = problems(
        tmp_path,
        'program: {command: [run, "{k}", "{task_id}"], batch: {size: 0, by: [m], sise: 3}}\n',
    )
    assert len(found) == 5
    assert any("unknown key `program.batch.sise`" in text for text in found)
    assert any("`program.batch.size` is 0" in text for text in found)
    assert any("`m` is not a parameter" in text for text in found)
    assert any("{k} differs from task to task" in text and "batch.by" in text for text in found)
    assert any("{task_id} differs from task to task" in text and "batch.by" not in text for text in found)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("program: {command: [run], batch: {}}\n", "`program.batch.size` is missing"),
        ("program: {command: [run], batch: 16}\n", "expected a map"),
        (
            "program: {command: [run], arguments: hydra, batch: {size: 2}}\n",
            "`arguments: hydra` cannot be joined with `program.batch`",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, program: str, said: str) -> None:
    """Each with its own words."""
    (found,) = problems(tmp_path, program)
    assert said in found
