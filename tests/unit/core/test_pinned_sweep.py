"""What a sweep notes of its project when it begins, and says when the project is another one later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hsm.core.bundle import MAX_KEPT_BYTES, Bundle, write_listing
from hsm.core.program import pin
from hsm.core.spec import ProgramSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.bundle import BadListing
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("1")
    (root / "same.py").write_text("1")
    (root / "b.py").write_text("2")
    return root


def begun(project: Path) -> SweepTree:
    tree = SweepTree(project.parent / "s-1")
    tree.hsm.mkdir(parents=True)
    write_listing(Files(), tree, pin(World(), ProgramSpec(command=("x",), files=("*",)), project))
    return tree


def bundle_of(tree: SweepTree, project: Path) -> Bundle:
    found = Bundle.of_sweep(Files(), tree, project)
    assert found is not None
    return found


def test_what_was_noted_first_stays(project: Path) -> None:
    """A later engine finds another project, and does not note that."""
    tree = begun(project)
    before = bundle_of(tree, project)
    (project / "a.py").write_text("changed")
    write_listing(Files(), tree, pin(World(), ProgramSpec(command=("x",), files=("*",)), project))
    after = bundle_of(tree, project)
    assert (after.digest, after.report) == (before.digest, before.report)
    assert after.report["bundle"] == after.digest


def test_contents_come_from_the_project_while_they_are_there(project: Path) -> None:
    """Under any of their names; the listing is one of them; what is nowhere is None."""
    tree = begun(project)
    bundle = bundle_of(tree, project)
    one, two = sha256_hex(b"1"), sha256_hex(b"2")
    (project / "a.py").write_text("changed")
    (project / "b.py").unlink()
    found = bundle.contents(Files(), [one, two, bundle.digest, "f" * 64])
    assert found == {one: b"1", two: None, bundle.digest: bundle.listing, "f" * 64: None}
    assert bundle.missing(Files(), found) == [two, "f" * 64]


def test_a_copy_is_kept_of_what_was_there(project: Path) -> None:
    """It is made once, and holds nothing that is not what was noted."""
    tree = begun(project)
    bundle = bundle_of(tree, project)
    (project / "b.py").write_text("changed")
    assert bundle.keep(Files())
    for path in project.iterdir():
        path.unlink()
    one, two = sha256_hex(b"1"), sha256_hex(b"2")
    assert bundle.contents(Files(), [one, two]) == {one: b"1", two: None}
    before = tree.bundle_files.read_bytes()
    assert bundle.keep(Files())
    assert tree.bundle_files.read_bytes() == before


def test_of_a_copy_that_a_dead_engine_began_nothing_stays(project: Path) -> None:
    """Two engines had written the same one, and the second was killed when the first was done."""
    tree = begun(project)
    bundle = bundle_of(tree, project)
    assert bundle.keep(Files())
    draft = tree.bundle_files.with_name(f"{tree.bundle_files.name}.part")
    draft.write_bytes(b"half")
    assert bundle.keep(Files())
    assert not draft.exists()


def test_no_copy_is_kept_of_much(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal files count once."""
    bundle = bundle_of(begun(project), project)
    monkeypatch.setattr("hsm.core.bundle.MAX_KEPT_BYTES", 1)
    assert not bundle.keep(Files())
    assert not bundle.tree.bundle_files.exists()
    monkeypatch.setattr("hsm.core.bundle.MAX_KEPT_BYTES", 2)
    assert bundle.keep(Files())
    assert MAX_KEPT_BYTES == 32 << 20


@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_a_damaged_copy_is_no_copy(project: Path, harm: str) -> None:
    """What it gives is compared with its SHA-256."""
    bundle = bundle_of(begun(project), project)
    bundle.keep(Files())
    data = bytearray(bundle.tree.bundle_files.read_bytes())
    if harm == "flip":
        at = data.index(sha256_hex(b"1").encode()) + 64
        data[at + 1] ^= 0xFF
    bundle.tree.bundle_files.write_bytes(
        data[: len(data) // 2] if harm == "cut" else data if harm == "flip" else b""
    )
    for path in project.iterdir():
        path.unlink()
    assert bundle.contents(Files(), [sha256_hex(b"1")]) == {sha256_hex(b"1"): None}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"program": {}, "listing": {}, "outside": []}', "nonsense"]
)
def test_a_damaged_note_is_told(project: Path, text: str) -> None:
    """With its path; it is never taken for an empty project."""
    tree = begun(project)
    tree.bundle.write_text(text)
    with pytest.raises(BadListing):
        Bundle.of_sweep(Files(), tree, project)
    tree.bundle.unlink()
    assert Bundle.of_sweep(Files(), tree, project) is None


def test_a_path_that_leads_out_is_never_read(project: Path) -> None:
    """Whoever may write to the sweep's tree cannot have other files sent to a host."""
    tree = begun(project)
    said = json.loads(tree.bundle.read_text())
    said["listing"]["files"] = [["../../etc/passwd", "file", "a" * 64, 10]]
    tree.bundle.write_text(json.dumps(said))
    with pytest.raises(BadListing, match="leads out of the project"):
        Bundle.of_sweep(Files(), tree, project)
