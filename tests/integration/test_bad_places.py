"""Sweeps that are damaged, foreign, copied, or where nobody may write: one clear error, nothing changed."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cli_project import Answer, Project, until
from tests.integration.disks import small_disk

pytestmark = pytest.mark.integration

SWEEP = """\
name: heat
program: {command: [sh, -c, 'echo "$HSM_TASK_ID $HSM_ATTEMPT $$" >> "$HSM_PROJECT/begun.txt"; echo {k}']}
sweep: {grid: {k: [1, 2, 3, 4, 5, 6, 7, 8]}}
sources: [local:2]
"""
COMMANDS = [["sweep", "complete", "last"], ["sweep", "status", "last"], ["ledger", "export", "last"]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Path:
    """Return a project with a sweep that three engines drove, and that is not at its end."""
    root = tmp_path_factory.mktemp("begun")
    project = Project(root=root, hsm=hsm_command)
    (root / "heat.yaml").write_text(SWEEP)
    project.run("sweep", "run", "heat.yaml", "-q", "--max-tasks", "2")
    for count in ("4", "6"):
        project.run("sweep", "complete", "last", "-q", "--max-tasks", count)
    return root


@pytest.fixture
def project(begun: Path, tmp_path: Path, hsm_command: Path) -> Project:
    """Return that project, to be spoilt."""
    shutil.copytree(begun, tmp_path / "project", symlinks=True)
    return Project(root=tmp_path / "project", hsm=hsm_command)


def contents(root: Path) -> dict[str, object]:
    """Return everything there is below a directory: kinds, bytes, and when each was written."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (path.lstat().st_mtime_ns, content)
    return found


def newest_segment(hsm: Path) -> Path:
    """Return the last segment of a ledger."""
    return max((hsm / "ledger").glob("*.hsl"))


def check_refusal(answer: Answer, *said: str) -> None:
    """Check that it is one error, that says what, where, why and what to do."""
    assert answer.code in (2, 3), answer.err
    assert answer.err.count("error: ") == 1, answer.err
    assert "Traceback" not in answer.err
    assert "defect" not in answer.err
    assert "hint: " in answer.err, answer.err
    for words in said:
        assert words in answer.err, answer.err


def make_newer(hsm: Path) -> None:
    """Let the ledger be one that a later version wrote."""
    content = json.loads((hsm / "FORMAT").read_text())
    (hsm / "FORMAT").write_text(json.dumps({**content, "format": 99, "min_reader": 99}))


def make_foreign(hsm: Path) -> None:
    """Let the directory be of another program that is called the same."""
    (hsm / "FORMAT").write_text("hierarchical storage manager, volume 7\n")


def flip_a_byte(hsm: Path) -> None:
    """Damage the middle of the first segment."""
    first = min((hsm / "ledger").glob("*.hsl"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 4
    first.write_bytes(data)


def lose_the_first_segment(hsm: Path) -> None:
    """Take away what the others go on from."""
    min((hsm / "ledger").glob("*.hsl")).unlink()


def lose_the_middle_segment(hsm: Path) -> None:
    """Take away one that a later one goes on from."""
    sorted((hsm / "ledger").glob("*.hsl"))[1].unlink()


def cut_a_segment_short(hsm: Path) -> None:
    """Let a segment end before the place that the next one goes on from."""
    first = min((hsm / "ledger").glob("*.hsl"))
    os.truncate(first, first.stat().st_size // 2)


SPOILT: list[tuple[Callable[[Path], None], str]] = [
    (make_newer, "ledger format 99"),
    (make_foreign, "FORMAT is damaged"),
    (flip_a_byte, "000001-0001.hsl: damaged at byte"),
    (lose_the_first_segment, "000001-0001.hsl"),
    (lose_the_middle_segment, "000002-0001.hsl"),
    (cut_a_segment_short, "000001-0001.hsl"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[row[0].__name__ for row in SPOILT])
def test_a_spoilt_ledger_is_refused_and_left_as_it_is(
    project: Project, spoil: Callable[[Path], None], said: str
) -> None:
    """By everything that needs all of it: going on, looking, exporting. The message names the file."""
    tree = project.tree()
    spoil(tree / ".hsm")
    (tree / ".hsm" / "summary.json").unlink(missing_ok=True)
    before = contents(tree)
    # An export needs no FORMAT: it writes what records there are, whoever wrote them.
    for words in COMMANDS[:2] if spoil in (make_newer, make_foreign) else COMMANDS:
        check_refusal(project.run(*words, code=None), said)
    assert contents(tree) == before


def test_a_directory_that_only_looks_like_a_sweep_is_none(project: Project) -> None:
    """Without its FORMAT nothing is taken for a sweep, and nothing in it is touched."""
    tree = project.tree()
    (tree / ".hsm" / "FORMAT").unlink()
    before = contents(tree)
    for words in COMMANDS:
        check_refusal(project.run(*words, code=None), "there is no sweep")
    check_refusal(project.run("sweep", "complete", str(tree), code=None), "there is no sweep")
    assert contents(tree) == before


def test_a_linked_hsm_is_refused_with_where_it_lies(project: Project) -> None:
    """It may be driven from where it lies; going on through the link would drive it twice."""
    tree = project.tree()
    there = project.root / "elsewhere"
    (tree / ".hsm").rename(there)
    (tree / ".hsm").symlink_to(there)
    before, before_there = contents(tree), contents(there)
    check_refusal(project.run("sweep", "complete", "last", code=None), f"{tree}/.hsm", str(there))
    assert (contents(tree), contents(there)) == (before, before_there)


def test_a_copy_made_while_it_ran_is_refused_and_the_original_goes_on(
    tmp_path: Path, hsm_command: Path
) -> None:
    """Its engine is known from the claim that was copied; neither processes nor files of it are touched."""
    project = Project(root=tmp_path / "project", hsm=hsm_command)
    project.root.mkdir()
    project.sweep("heat", list("abcd"), extra="sources: [local:2]\n")
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    until(lambda: project.status()["counts"]["running"] == 2, "the ledger knows them")
    tree = project.tree()
    copy = tmp_path / "copies" / tree.name
    shutil.copytree(tree, copy, symlinks=True)
    renamed = tmp_path / "copies" / "another-name"
    shutil.copytree(tree, renamed, symlinks=True)
    running.kill()
    before = contents(copy), contents(renamed)
    check_refusal(project.run("sweep", "complete", str(copy), code=None), str(copy), "copied or moved")
    check_refusal(project.run("sweep", "complete", str(renamed), code=None), str(renamed), tree.name)
    assert (contents(copy), contents(renamed)) == before
    project.hold.unlink()
    project.run("sweep", "complete", str(tree), "-q")
    assert len(project.begun()) == 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk of its own."""
    with small_disk(tmp_path / "disk", "16m") as mount:
        yield mount


def test_a_disk_that_is_read_only_refuses_new_sweeps_and_going_on(project: Project, disk: Path) -> None:
    """Looking still works; when it can be written again the sweep goes on and no task is run twice."""
    tree = project.tree()
    there = disk / tree.name
    shutil.copytree(tree, there, symlinks=True)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        before = contents(disk)
        new = project.run("sweep", "run", "heat.yaml", "--outputs", str(disk / "more"), code=None)
        check_refusal(new, str(disk), "Read-only file system", "choose another output directory")
        check_refusal(
            project.run("sweep", "complete", str(there), code=None), str(there), "Read-only file system"
        )
        assert "not finished" in project.run("sweep", "status", str(there)).out
        assert contents(disk) == before
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    project.run("sweep", "complete", str(there), "-q")
    assert "8 sealed" in project.run("sweep", "status", str(there)).out


def test_a_disk_that_can_never_hold_what_is_held_back_is_refused_at_once(
    project: Project, tmp_path: Path
) -> None:
    """Nobody waits for room that cannot come; nothing was written, and a copy on a larger disk goes on."""
    tree = project.tree()
    with small_disk(tmp_path / "small", "6m") as small:
        there = small / tree.name
        shutil.copytree(tree, there, symlinks=True)
        before = contents(small)
        new = project.run("sweep", "run", "heat.yaml", "--outputs", str(small / "more"), code=None)
        check_refusal(new, str(small), "holds 6.0 MiB in all", "a sweep needs 8 MiB", "on a larger one")
        check_refusal(project.run("sweep", "complete", str(there), code=None), str(there), "6.0 MiB in all")
        assert "not finished" in project.run("sweep", "status", str(there)).out
        assert contents(small) == before
    project.run("sweep", "complete", str(tree), "-q")
    assert "8 sealed" in project.run("sweep", "status", str(tree)).out


def test_a_directory_of_somebody_else_refuses_new_sweeps_and_going_on(project: Project) -> None:
    """As a user who may read all of it and write none of it; nothing is left behind."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("NOT ROOT: nobody else can be tried")
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set=-all,+dac_read_search"]
    nobody += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    stranger = Project(root=project.root, hsm=project.hsm, prefix=tuple(nobody))
    tree = project.tree()
    before = contents(project.root)
    check_refusal(
        stranger.run("sweep", "run", "heat.yaml", code=None), "sweeps/outputs", "Permission denied", "may not"
    )
    check_refusal(stranger.run("sweep", "complete", "last", code=None), str(tree), "Permission denied")
    assert contents(project.root) == before
