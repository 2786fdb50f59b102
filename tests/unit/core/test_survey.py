"""What an attempt starts from: modes, links and what is left out, in real projects and repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hsm.core import survey
from hsm.core.program import MAX_NAMED, Program, left_out_words, pin
from hsm.core.spec import ProgramSpec
from hsm.core.survey import LeftOut
from hsm.core.world import World
from hsm.wire.bundle import ItemKind, check_items, digest_of

BARE = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(where: Path, *arguments: str) -> None:
    settings = (
        "user.name=t",
        "user.email=t@example.org",
        "init.defaultBranch=main",
        "protocol.file.allow=always",
    )
    options = [word for setting in settings for word in ("-c", setting)]
    subprocess.run(["git", *options, *arguments], cwd=where, check=True, capture_output=True, env=BARE)


def committed(where: Path) -> Path:
    git(where, "init")
    git(where, "add", ".")
    git(where, "commit", "-m", "x")
    return where


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "run.py").write_text("print(1)\n")
    (root / "lib" / "model.py").write_text("x = 1\n")
    return root


def pinned(project: Path, *files: str) -> Program:
    found = pin(World(), ProgramSpec(command=("python", "{project}/run.py"), files=files), project)
    check_items(list(found.items))
    return found


def kinds(program: Program) -> dict[str, str]:
    return {
        item.path: f"-> {item.content}" if item.kind is ItemKind.LINK else item.kind.value
        for item in program.items
    }


def test_what_may_be_executed_is_a_program(project: Path) -> None:
    """The mode is in the digest of the bundle, and not in that of the program."""
    before = pinned(project, "**/*.py")
    (project / "run.py").chmod(0o755)
    after = pinned(project, "**/*.py")
    assert kinds(after) == {"lib/model.py": "file", "run.py": "program"}
    assert after.digest == before.digest
    assert digest_of(after.listing) != digest_of(before.listing)
    assert after.report["bundle"] == digest_of(after.listing)


def test_links_inside_of_the_project_are_links(project: Path) -> None:
    """With the file that they lead to; absolute ones, and ones out and back, are made relative."""
    (project / "latest.py").symlink_to("lib/model.py")
    (project / "lib" / "main.py").symlink_to(project / "run.py")
    (project / "round.py").symlink_to("../project/run.py")
    found = kinds(pinned(project, "latest.py", "lib/main.py", "round.py"))
    assert found == {
        "latest.py": "-> lib/model.py",
        "lib/main.py": "-> ../run.py",
        "lib/model.py": "file",
        "round.py": "-> run.py",
        "run.py": "file",
    }


def test_a_link_that_leads_out_is_told(project: Path, tmp_path: Path) -> None:
    """Be it to a file, a directory or nothing, tracked or listed, itself or above what is listed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    (project / "data").symlink_to(tmp_path / "data")
    (project / "one.csv").symlink_to("../data/x.csv")
    (project / "gone").symlink_to("/nowhere/at/all")
    committed(project)
    outside = {"data": LeftOut.LEADS_OUT, "gone": LeftOut.LEADS_OUT, "one.csv": LeftOut.LEADS_OUT}
    assert pinned(project).left_out == outside
    assert list(pinned(project).files) == ["lib/model.py", "run.py"]
    found = pinned(project, "data/x.csv", "-data", "-gone", "-one.csv")
    assert found.left_out == {}, "what is taken out on purpose is not told"
    assert pinned(project, "data/x.csv").left_out == {**outside, "data/x.csv": LeftOut.LEADS_OUT}


def test_what_is_listed_below_a_link_to_a_directory_is_listed_by_that_name(project: Path) -> None:
    """As a file there; but where the link itself is in the bundle, in its real place."""
    (project / "current").symlink_to("lib")
    assert kinds(pinned(project, "current/model.py")) == {
        "current/model.py": "file",
        "run.py": "file",
    }
    (project / "sub").mkdir()
    committed(project)
    found = pin(World(), ProgramSpec(command=("python", "{project}/current/model.py")), project)
    assert kinds(found) == {"current": "-> lib", "lib/model.py": "file", "run.py": "file"}


def test_a_large_file_is_left_out_and_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a limit of bundles; the report of every attempt names what is not in them."""
    monkeypatch.setattr(survey, "MAX_OBJECT_BYTES", 100)
    (project / "big.bin").write_bytes(bytes(101))
    found = pinned(project, "big.bin", "run.py")
    assert found.left_out == {"big.bin": LeftOut.TOO_LARGE}
    assert found.report["left_out"] == ["big.bin: larger than 64 MiB"]


def test_of_many_that_are_left_out_the_first_are_named() -> None:
    """And how many more there are; a name that would break a line does not."""
    words = left_out_words({f"{number:03}\n": LeftOut.UNREADABLE for number in range(MAX_NAMED + 3)})
    assert len(words) == MAX_NAMED + 1
    assert words[0] == "000\\n: may not be read"
    assert words[-1] == "and 3 more"


@pytest.mark.slow
def test_submodules_are_pinned_with_their_files(project: Path, tmp_path: Path) -> None:
    """One that is not checked out is left out, by name."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "deep.py").write_text("y = 2\n")
    committed(library)
    committed(project)
    git(project, "submodule", "add", str(library), "vendor")
    git(project, "commit", "-m", "y")
    assert list(pinned(project).files) == [".gitmodules", "lib/model.py", "run.py", "vendor/deep.py"]
    assert not pinned(project).is_dirty
    (project / "vendor" / "deep.py").write_text("y = 3\n")
    assert pinned(project).is_dirty
    git(project, "submodule", "deinit", "--force", "vendor")
    found = pinned(project)
    assert found.left_out == {"vendor": LeftOut.NOT_CHECKED_OUT}
    assert "vendor/deep.py" not in found.files


def test_names_that_travel_nowhere_are_left_out(project: Path) -> None:
    """A name that is not UTF-8 is told; odd ones that are travel."""
    (project / "lib" / "-rf \n*;'ü").write_text("1")
    Path(os.fsdecode(os.fsencode(project) + b"/\xff.py")).touch()
    committed(project)
    found = pinned(project)
    assert "lib/-rf \n*;'ü" in found.files
    assert list(found.left_out.values()) == [LeftOut.UNNAMEABLE]


def test_no_pipe_is_waited_for(project: Path) -> None:
    """What is no regular file is left out where it is named, and never opened."""
    os.mkfifo(project / "pipe")
    (project / "to-pipe").symlink_to("pipe")
    program = World()
    found = survey.Survey(program.files, str(project))
    assert [item.path for item in found.look(["pipe", "to-pipe"])] == ["to-pipe"]
    assert found.left_out == {"pipe": LeftOut.NOT_A_FILE}
