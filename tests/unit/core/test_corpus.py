"""Ledgers of every released version are read to the same state for ever, and their damage is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hsm.core.snapshots import kept
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from tests.corpus.reading import PLACE, read, spec_of
from tests.unit.core.worlds import SWEEP_ID

LEDGERS = sorted(path for path in PLACE.glob("*/*") if path.is_dir())


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_ledger_of_the_corpus_is_read_to_its_golden_state(ledger: Path, tmp_path: Path) -> None:
    """Whatever way is taken to it, and reading changes nothing on disk."""
    tree = SweepTree(tmp_path / SWEEP_ID)
    shutil.copytree(ledger, tree.hsm)
    golden = json.loads((ledger.parent / "golden.json").read_text(encoding="utf-8"))
    before = {path: path.read_bytes() for path in tree.hsm.rglob("*") if path.is_file()}
    assert read(tree, spec_of(ledger.name)) == golden[ledger.name]
    assert {path: path.read_bytes() for path in tree.hsm.rglob("*") if path.is_file()} == before


def test_the_corpus_is_whole(tmp_path: Path) -> None:
    """Every kind of ledger is there, and the one with snapshots is also read without them."""
    assert {path.name for path in LEDGERS} == {
        "clean_grid",
        "mid_hunt",
        "cancelled_retried_reused",
        "torn_tail",
        "zombie_tail",
        "corrupt_middle",
        "salvaged",
        "snapshot_and_archive",
    }
    (ledger,) = [path for path in LEDGERS if path.name == "snapshot_and_archive"]
    tree = SweepTree(tmp_path / SWEEP_ID)
    shutil.copytree(ledger, tree.hsm)
    assert len(kept(Files(), tree)) == 2
    assert list(tree.archive.iterdir())
    shutil.rmtree(tree.snapshots)
    golden = json.loads((ledger.parent / "golden.json").read_text(encoding="utf-8"))
    assert read(tree, spec_of(ledger.name)) == golden[ledger.name]
