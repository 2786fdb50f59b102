"""The environment of attempts: interpreter, prefix, modules and set-up script, with a real shell."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.compute.environment import Environment, prepare
from hsm.core.errors import SourceError
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.files import Files

# What a login shell of a cluster defines. Loading a module changes PATH, and an unknown one is an error.
PROFILE = """
module() {
    case "$2" in
    gcc/*) export LOADEDMODULES="$LOADEDMODULES:$2" PATH="$HOME/modules/bin:$PATH" ;;
    *) echo "Unable to locate a modulefile for '$2'" >&2; return 1 ;;
    esac
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project beside a home directory whose profile has modules."""
    home = tmp_path / "home"
    (home / "modules" / "bin").mkdir(parents=True)
    (home / ".bash_profile").write_text(PROFILE)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KEPT", "as it was")
    monkeypatch.delenv("LOADEDMODULES", raising=False)
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def prepared(world: World, project: Path, spec: EnvironmentSpec) -> Environment:
    return prepare(world, "local", spec, project, project / "logs" / "local.log")


def interpreter(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(sys.executable)
    return path


def test_nothing_asked_is_nothing_changed(world: World, project: Path) -> None:
    """Without settings the environment is the manager's own, no shell is run, and no log is written."""
    found = prepared(world, project, EnvironmentSpec())
    assert found.variables == dict(os.environ)
    assert found.python == sys.executable
    assert not (project / "logs").exists()


def test_modules_are_loaded_in_a_login_shell(world: World, project: Path) -> None:
    """What the modules change reaches attempts, and everything else stays."""
    found = prepared(world, project, EnvironmentSpec(modules=("gcc/12", "gcc/13")))
    assert found.variables["LOADEDMODULES"] == ":gcc/12:gcc/13"
    assert found.variables["PATH"].startswith(f"{project.parent}/home/modules/bin:")
    assert found.variables["KEPT"] == "as it was"


def test_a_missing_module_is_an_error_with_its_words(world: World, project: Path) -> None:
    """What the shell said last is the message, and the whole log is named."""
    with pytest.raises(SourceError, match="Unable to locate a modulefile for 'nope/1'") as caught:
        prepared(world, project, EnvironmentSpec(modules=("nope/1",)))
    assert str(project / "logs" / "local.log") in caught.value.hint


def test_a_module_name_is_never_a_command(world: World, project: Path) -> None:
    """A name with a semicolon is one odd name, not a second command."""
    found = prepared(world, project, EnvironmentSpec(modules=("gcc/1; touch hacked",)))
    assert found.variables["LOADEDMODULES"] == ":gcc/1; touch hacked"
    assert not (project / "hacked").exists()


def test_the_set_up_script_is_sourced(world: World, project: Path) -> None:
    """Its variables reach attempts, awkward ones too; what it prints is kept in the log beside the script."""
    (project / "my setup.sh").write_text("echo loading; export SET='two\nlines' EMPTY=; unset KEPT\n")
    found = prepared(world, project, EnvironmentSpec(setup="my setup.sh"))
    assert (found.variables["SET"], found.variables["EMPTY"]) == ("two\nlines", "")
    assert "KEPT" not in found.variables
    assert (project / "logs" / "local.log").read_text().strip() == "loading"
    assert "my setup.sh" in (project / "logs" / "local.sh").read_text()


@pytest.mark.parametrize(
    ("script", "words"),
    [("false\n", "no output"), ("echo broken >&2; exit 3\n", "broken"), ("cd /nowhere-at-all\n", "nowhere")],
)
def test_a_set_up_script_that_fails_is_an_error(world: World, project: Path, script: str, words: str) -> None:
    """The first command that fails ends the set-up."""
    (project / "setup.sh").write_text(script)
    with pytest.raises(SourceError, match=words):
        prepared(world, project, EnvironmentSpec(setup="setup.sh"))


def test_a_prefix_comes_first_on_the_path(world: World, project: Path) -> None:
    """A virtual environment gives `python` and its programs, and is named as one."""
    python = interpreter(project / "env" / "bin" / "python")
    found = prepared(world, project, EnvironmentSpec(prefix="env"))
    assert found.variables["PATH"].split(os.pathsep)[0] == str(python.parent)
    assert found.variables["VIRTUAL_ENV"] == str(project / "env")
    assert found.resolve(Files(), ["python", "x.py"]) == (str(python), "x.py")
    assert found.resolve(Files(), ["python3"]) == (str(python),)


def test_a_conda_prefix_is_named_as_one(world: World, project: Path) -> None:
    """A prefix with `conda-meta` is a conda environment."""
    interpreter(project / "env" / "bin" / "python")
    (project / "env" / "conda-meta").mkdir()
    found = prepared(world, project, EnvironmentSpec(prefix="env"))
    assert found.variables["CONDA_PREFIX"] == str(project / "env")
    assert found.variables.get("VIRTUAL_ENV") == os.environ.get("VIRTUAL_ENV")


@pytest.mark.parametrize(
    "spec", [EnvironmentSpec(prefix="nowhere"), EnvironmentSpec(python="no-such-python")]
)
def test_a_missing_interpreter_is_an_error(world: World, project: Path, spec: EnvironmentSpec) -> None:
    """It is said before anything is run, with the place where it is set."""
    with pytest.raises(SourceError, match="there is no interpreter at") as caught:
        prepared(world, project, spec)
    assert "sources.local" in caught.value.hint


def test_an_interpreter_by_name_is_found_where_modules_put_it(world: World, project: Path) -> None:
    """The PATH that counts is the one that the modules leave."""
    python = interpreter(project.parent / "home" / "modules" / "bin" / "python-of-module")
    found = prepared(world, project, EnvironmentSpec(modules=("gcc/13",), python="python-of-module"))
    assert found.python == str(python)


def test_variables_win(world: World, project: Path) -> None:
    """Variables of the settings stand above those of the manager and of the set-up."""
    (project / "setup.sh").write_text("export KEPT=script OTHER=script\n")
    found = prepared(world, project, EnvironmentSpec(setup="setup.sh", variables={"KEPT": "settings"}))
    assert (found.variables["KEPT"], found.variables["OTHER"]) == ("settings", "script")


def test_programs_are_resolved_by_the_environments_path(project: Path) -> None:
    """A bare name is looked up; a path, and a name that is nowhere, stay as they are."""
    tool = interpreter(project / "bin" / "tool")
    environment = Environment({"PATH": str(tool.parent)}, sys.executable)
    assert environment.resolve(Files(), ["tool", "-x"]) == (str(tool), "-x")
    assert environment.resolve(Files(), ["./tool"]) == ("./tool",)
    assert environment.resolve(Files(), ["nowhere"]) == ("nowhere",)
    assert environment.resolve(Files(), []) == ()
