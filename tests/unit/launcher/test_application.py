"""How an application is started again: the command says everything, whatever stands in it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.command import CommandTemplate
from hsm.core.model import Task
from hsm.core.spec import ProgramSpec
from hsm.launcher.__main__ import _parser
from hsm.launcher.application import Application, Form, command, given_arguments, variables
from hsm.wire.canonical import canonical_json

PROJECT = Path("/home/me/project")


def _argv(application: Application, overrides: str = "[]") -> list[str]:
    params = canonical_json({"hydra.job.num": 3, "hydra.overrides": overrides})
    template = CommandTemplate(ProgramSpec(command=tuple(command(application, PROJECT))), PROJECT)
    return list(template.argv(Task(index=1, config_hash="", task_key="", params_json=params)))


@settings(max_examples=15)
@given(
    arguments=st.lists(st.text(max_size=8), max_size=3),
    function=st.text(min_size=1),
    folder=st.sampled_from([PROJECT, PROJECT / "a {b}", Path("/else/{where}")]),
    now=st.dictionaries(st.text(), st.text(), max_size=2),
)
def test_the_process_of_a_job_learns_what_the_multirun_knew(
    arguments: list[str], function: str, folder: Path, now: dict[str, str]
) -> None:
    """Braces, dashes, quotes and any letter arrive as they were."""
    application = Application(
        form=Form.SCRIPT,
        name=str(folder / "app.py"),
        directory=folder,
        function=function,
        arguments=arguments,
        now=now,
    )
    argv = _argv(application, "[\"a='{x} $y'\"]")
    assert argv[:3] == ["python", "-m", "hsm.launcher"]
    given = _parser().parse_args(argv[3:])
    assert (given.arguments, given.function, given.now) == (arguments, function, now)
    assert (given.directory, given.script) == (str(folder), str(folder / "app.py"))
    assert (given.number, given.overrides) == (3, ["a='{x} $y'"])


@pytest.mark.parametrize(
    "line",
    [
        "python app.py -m lr=1",
        "python -W error -X dev -u app.py -m lr=1",
        "python -Xdev -Wm --check-hash-based-pycs always app.py -m lr=1",
        "python -m pkg.app -m lr=1",
        "python -mpkg.app -m lr=1",
        "python -Im pkg.app -m lr=1",
        "/env/bin/python /env/bin/train -m lr=1",
    ],
)
def test_arguments_are_those_that_were_typed(line: str) -> None:
    """Whatever the interpreter was told before them, and whatever the application makes of `sys.argv`."""
    assert given_arguments(line.split()) == ["-m", "lr=1"]


def test_what_lies_in_the_project_is_named_from_there() -> None:
    """So the sweep can be completed where the project has been moved to."""
    application = Application(
        form=Form.SCRIPT, name=f"{PROJECT}/sub/app.py", directory=PROJECT, function="f", arguments=()
    )
    words = command(application, PROJECT)
    assert "--script={project}/sub/app.py" in words
    assert "--directory={project}" in words


def test_the_import_path_no_longer_depends_on_the_folder() -> None:
    """Attempts run in a folder of their own; other variables travel only when the application says so."""
    found = variables({"PYTHONPATH": "lib:/abs", "A": "1", "B": "2"}, ["A", "GONE"])
    assert found == {"PYTHONPATH": f"{Path.cwd()}/lib:/abs", "A": "1"}
