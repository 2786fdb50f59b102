"""A program that is not there is one clear error before anything is made."""

from pathlib import Path

import pytest

from hsm.api.preflight import check_program, check_programs
from hsm.api.sourcing import Sourcing, build
from hsm.core.errors import ConfigError
from hsm.core.spec import AnalysisSpec, EnvironmentSpec, GridSpec, ProgramSpec, SourceSpec, SweepSpec
from hsm.core.world import World


def _sources(project: Path, environment: EnvironmentSpec | None = None) -> list[Sourcing]:
    spec = SourceSpec(kind="local", slots=1, environment=environment or EnvironmentSpec())
    sweep = SweepSpec(name="s", program=ProgramSpec(command=("true",)), grid=GridSpec(axes=()))
    return build(World(), [spec], project, sweep)


def _problem(project: Path, *command: str) -> tuple[str, str]:
    """Return message and hint of the only problem."""
    with pytest.raises(ConfigError) as caught:
        check_program(ProgramSpec(command=command), project, _sources(project))
    (problem,) = caught.value.problems
    return problem.message, problem.hint


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with a script and a program."""
    (tmp_path / "train.py").write_text("")
    (tmp_path / "solver").write_text("#!/bin/sh\n")
    (tmp_path / "solver").chmod(0o755)
    (tmp_path / "data.txt").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ("python", "{project}/train.py", "--k={k}"),
        ("python", "-m", "some.module", "{k}"),
        ("{project}/solver", "{k}"),
        ("true", "{project}/data.txt", "--out={project}/new/{k}"),
        ("{chosen}", "x"),
        ("/bin/sh", "-c", "exit 0"),
    ],
)
def test_a_program_that_is_there_passes(project: Path, command: tuple[str, ...]) -> None:
    """Programs on PATH, by path, of the project or chosen by a parameter are fine."""
    check_program(ProgramSpec(command=command), project, _sources(project))


def test_a_missing_script_names_the_nearest_file(project: Path) -> None:
    """A mistyped project file is answered with the one that is there."""
    message, hint = _problem(project, "python", "{project}/trian.py")
    assert message == f"trian.py is not in the project {project}"
    assert hint == "did you mean train.py?"


def test_a_script_that_would_be_looked_for_elsewhere_is_explained(project: Path) -> None:
    """Tasks run in directories of their own, so a bare file name is a mistake with an easy cure."""
    message, hint = _problem(project, "python", "train.py", "{k}")
    assert "each task's own directory" in message
    assert hint == 'write "{project}/train.py"'
    message, hint = _problem(project, "./solver")
    assert hint == 'write "{project}/solver"'


def test_a_missing_program_says_where_it_was_looked_for(project: Path) -> None:
    """The name, the source, and what can be done."""
    message, hint = _problem(project, "no-such-program-at-all")
    assert message == "the program 'no-such-program-at-all' is not on the PATH of local"
    assert "hsm.yaml" in hint


def test_a_file_that_is_no_program_is_told_from_a_missing_one(project: Path) -> None:
    """An absolute path that may not be executed is called that."""
    message, _ = _problem(project, str(project / "data.txt"))
    assert message.endswith("may not be executed")
    message, hint = _problem(project, str(project / "solvr"))
    assert message.endswith("does not exist")
    assert hint == "did you mean solver?"


def test_everything_that_is_missing_is_told_at_once(project: Path) -> None:
    """Two wrong things are two problems of one error."""
    program = ProgramSpec(command=("no-such-program", "{project}/a.txt", "{project}/b.txt"))
    with pytest.raises(ConfigError) as caught:
        check_program(program, project, _sources(project))
    assert len(caught.value.problems) == 3


def test_programs_of_analyses_are_looked_for_with_that_of_the_sweep(project: Path) -> None:
    """Else they would be missed when the first result is there; on this machine, since there they run."""
    wanting = ProgramSpec(command=("python", "{project}/lok.py", "{artifact}"))
    nowhere = ProgramSpec(command=("no-such-program", "{artifact}"))
    fine = ProgramSpec(command=("python", "{project}/train.py", "{artifact}"))
    spec = SweepSpec(
        name="s",
        program=ProgramSpec(command=("python", "{project}/trian.py")),
        grid=GridSpec(axes=()),
        analyses=tuple(
            AnalysisSpec(name=name, program=program, artifact="*")
            for name, program in (("one", wanting), ("two", nowhere), ("three", fine))
        ),
    )
    with pytest.raises(ConfigError) as caught:
        check_programs(spec, project, _sources(project))
    assert [problem.where for problem in caught.value.problems] == [
        "program.command",
        "analyses.one.command",
        "analyses.two.command",
    ]
    with pytest.raises(ConfigError) as caught:
        check_programs(spec, project, [])  # elsewhere alone: files of the project are known all the same
    assert len(caught.value.problems) == 2


def test_what_cannot_be_known_is_not_judged(project: Path) -> None:
    """A shell line, and a source whose modules bring programs along, are left to the run."""
    check_program(ProgramSpec(command=("nothing {k}",), shell=True), project, _sources(project))
    modules = EnvironmentSpec(modules=("gcc/12",))
    check_program(ProgramSpec(command=("nothing",)), project, _sources(project, modules))
