"""Looking after ledgers: verify, export, and what becomes of a sweep whose ledger is damaged."""

import json
import shutil
from pathlib import Path

import pytest

from tests.corpus.reading import PLACE
from tests.integration.cli_project import Project
from tests.unit.core.worlds import SWEEP_ID

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a finished sweep of eight tasks."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", list("abcdefgh"), extra="sources: [local:2]\n")
    found.run("sweep", "run", "heat.yaml", "-q")
    return found


def damage(project: Project) -> Path:
    """Flip a bit of the event that seals the third task."""
    (segment,) = (project.tree() / ".hsm" / "ledger").glob("*.hsl")
    data = bytearray(segment.read_bytes())
    data[data.index(b'"attempt_sealed","task":3')] ^= 1
    segment.write_bytes(data)
    return segment


def test_a_sound_ledger_is_verified_and_exported(project: Project) -> None:
    """Every event is a line, in order; a reader that leaves early is no error."""
    assert "sound: " in project.run("ledger", "verify").out
    assert project.run("ledger", "verify", "--json").data["is_sound"] is True
    records = [json.loads(line) for line in project.run("ledger", "export", "last").out.splitlines()]
    assert [record["t"] for record in records[:3]] == ["header", "sweep_created", "engine_started"]
    assert sum(record["t"] == "attempt_sealed" for record in records) == 8
    refused = project.run("ledger", "salvage", "last", code=2)
    assert "the ledger is sound" in refused.err


def test_a_damaged_ledger_is_salvaged_and_the_sweep_completed_with_nothing_run_again(
    project: Project,
) -> None:
    """Verify names file and byte; after the salvage the agent's records say anew what had ended."""
    segment = damage(project)
    before = segment.read_bytes()
    verdict = project.run("ledger", "verify", code=1)
    assert f"{segment.name}: damaged at byte " in verdict.out
    assert "ledger salvage" in verdict.err
    assert "damaged at byte" in project.run("sweep", "complete", "last", code=3).err
    assert "damaged at byte" in project.run("ledger", "export", code=3).err
    tried = project.run("ledger", "salvage", "last", "--dry-run", "--json").data
    assert tried["segment"] is None
    done = project.run("ledger", "salvage", "last", "--json").data
    assert done["kept"] == tried["kept"] > 0
    assert done["lost"] == tried["lost"] > 0
    assert segment.read_bytes() == before
    assert project.run("ledger", "verify", "--json").data["is_sound"] is True
    project.run("sweep", "complete", "last", "-q")
    assert len((project.root / "begun.txt").read_text().splitlines()) == 8
    assert project.run("sweep", "status", "--json").data["counts"]["sealed"] == 8


def test_the_archive_of_a_ledger_is_pruned_on_request(project: Project) -> None:
    """A dry run deletes nothing; afterwards every task is as it was; what looks back says what is gone."""
    refused = project.run("ledger", "prune", "last", code=2)
    assert "nothing is archived yet" in refused.err
    own = project.tree()
    tree = own.with_name(SWEEP_ID)
    (ledger,) = PLACE.glob("*/snapshot_and_archive")
    shutil.copytree(ledger, tree / ".hsm")
    (tree / ".hsm" / "epochs" / "000001.claim").unlink()  # of an engine on another host
    shutil.copy(own / "sweep_config.yaml", tree)
    status = project.run("sweep", "status", SWEEP_ID, "--json").data["counts"]
    tried = project.run("ledger", "prune", SWEEP_ID, "--dry-run", "--json").data
    assert len(list((tree / ".hsm" / "archive").iterdir())) == len(tried["segments"]) > 1
    done = project.run("ledger", "prune", SWEEP_ID)
    assert f"all before {tried['first_record_kept']:,}" in done.out
    assert [path.name for path in (tree / ".hsm" / "archive").iterdir()] == ["PRUNED"]
    assert project.run("sweep", "status", SWEEP_ID, "--json").data["counts"] == status
    verdict = project.run("ledger", "verify", SWEEP_ID)
    assert "2 snapshots" in verdict.out
    assert "has been pruned" in verdict.err
    assert "was pruned" in project.run("explain", "1", "--sweep", SWEEP_ID, code=3).err
