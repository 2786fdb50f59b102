"""Pinning a program: its digest changes when the command or a pinned file does, and only then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hsm.core.errors import ConfigError
from hsm.core.program import Program, pin
from hsm.core.spec import ArgumentStyle, ProgramSpec
from hsm.core.world import World


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "run.py").write_text("print(1)\n")
    (root / "lib" / "model.py").write_text("x = 1\n")
    (root / "notes.txt").write_text("hello\n")
    return root


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(
        ["git", *identity, *arguments], cwd=project, check=True, capture_output=True, env=environment
    )


def pinned(
    project: Path, *command: str, files: tuple[str, ...] = (), shell: bool = False, hydra: bool = False
) -> Program:
    style = ArgumentStyle.HYDRA if hydra else ArgumentStyle.TEMPLATE
    program = ProgramSpec(
        command=command or ("python", "{project}/run.py"), files=files, shell=shell, arguments=style
    )
    return pin(World(), program, project)


def test_without_git_the_files_that_the_command_names_are_pinned(project: Path) -> None:
    """Whether by `{project}/...` or by a plain path; nothing else."""
    found = pinned(project, "python", "{project}/run.py", "lib/model.py", "{k}", "/bin/true", "missing.py")
    assert list(found.files) == ["lib/model.py", "run.py"]
    assert (found.commit, found.is_dirty) == (None, False)


def test_listed_files_are_pinned_too(project: Path) -> None:
    """Patterns are relative to the project, and may go into folders."""
    assert list(pinned(project, files=("**/*.py",)).files) == ["lib/model.py", "run.py"]
    assert list(pinned(project, files=("notes.txt",)).files) == ["notes.txt", "run.py"]


def test_a_pattern_with_a_dash_takes_out_what_it_fits(project: Path) -> None:
    """With all below, whether git tracks it, another pattern lists it or the command names it."""
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "x")
    (project / "-odd").write_text("a name that begins so")
    assert list(pinned(project, files=("-lib",)).files) == ["notes.txt", "run.py"]
    assert list(pinned(project, files=("-*.txt", "lib/*.py", "-run.py")).files) == ["lib/model.py"]
    assert list(pinned(project, files=("-lib", "-notes.txt", "./-odd")).files) == ["-odd", "run.py"]


@pytest.mark.parametrize(
    "pattern",
    ["nothing*.py", "/etc/passwd", "../outside.py", "", "lib", "-nothing", "-/etc", "-../outside.py"],
)
def test_a_pattern_that_lists_no_file_of_the_project_is_refused(project: Path, pattern: str) -> None:
    """By name, as an error of the configuration."""
    (project.parent / "outside.py").write_text("")
    with pytest.raises(ConfigError) as refused:
        pinned(project, files=(pattern, "run.py"))
    assert [problem.where for problem in refused.value.problems] == ["program.files"]
    assert repr(pattern) in refused.value.problems[0].message


def test_in_a_repository_the_tracked_files_are_pinned(project: Path) -> None:
    """With the commit, whether anything differs from it, and the program itself even before it was added."""
    git(project, "init")
    git(project, "add", "lib")
    git(project, "commit", "-m", "x")
    found = pinned(project)
    assert list(found.files) == ["lib/model.py", "run.py"]
    assert found.commit is not None
    assert len(found.commit) == 40
    assert not found.is_dirty
    (project / "lib" / "model.py").write_text("x = 2\n")
    assert pinned(project).is_dirty
    assert pinned(project).report["files"] == 2


def test_the_digest_changes_with_content_and_command_and_with_nothing_else(project: Path) -> None:
    """The same program has the same digest wherever, whenever and by whomever it is pinned."""
    base = pinned(project).digest
    assert pinned(project).digest == base
    (project / "notes.txt").write_text("changed")
    os.utime(project / "run.py", (1, 1))
    (project / "run.py").chmod(0o755)
    moved = project.rename(project.with_name("elsewhere"))
    assert pinned(moved).digest == base
    others = {
        pinned(moved, "python", "{project}/run.py", "{k}").digest,
        pinned(moved, shell=True).digest,
        pinned(moved, hydra=True).digest,
        pinned(moved, files=("lib/model.py",)).digest,
    }
    (moved / "run.py").write_text("print(2)\n")
    others.add(pinned(moved).digest)
    assert len(others | {base}) == 6


def test_what_is_tracked_and_gone_does_not_stop_anybody(project: Path) -> None:
    """A deleted file is pinned as absent."""
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "x")
    base = pinned(project)
    (project / "lib" / "model.py").unlink()
    assert list(pinned(project).files) == ["notes.txt", "run.py"]
    assert pinned(project).digest != base.digest
