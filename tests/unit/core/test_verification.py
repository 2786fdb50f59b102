"""Verification: what is at rest is read again, damage is told and recorded once, and nothing is changed."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from hsm.core import events as ev
from hsm.core.errors import EngineRunning
from hsm.core.history import read_history
from hsm.core.ledger import Ledger
from hsm.core.model import OutcomeKind
from hsm.core.segments import segments
from hsm.core.snapshots import freeze, save
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.core.summary import glance, replay
from hsm.core.verification import Evidence, Scope, Verification, evidence, record, survey, verify
from hsm.core.world import World
from hsm.wire import manifest
from tests.unit.core.resting import FILES, SPEC, Resting, ending, resting


def look(found: Resting) -> Verification:
    world = World()
    try:
        here = survey(FILES, found.tree, SPEC)
        return asyncio.run(verify(world, found.tree, here, Scope(), lambda *_: None))
    finally:
        world.close()


def note(found: Resting, result: Verification) -> list[ev.TaskEvent]:
    events = asyncio.run(record(found.world, found.tree, SPEC, result))
    return [event for event in events if isinstance(event, ev.TaskEvent)]


def told(result: Verification) -> list[tuple[int, str, str]]:
    return [(one.task, str(item.kind), item.path) for one in result.checked for item in one.findings]


def test_what_is_whole_is_sound_and_nothing_is_written(tmp_path: Path) -> None:
    """Every file of every sealed attempt is read; a clean look leaves the ledger as it is."""
    found = resting(tmp_path, failed=[2])
    before = {path: path.read_bytes() for path in segments(FILES, found.tree)}
    result = look(found)
    assert result.is_sound
    assert (result.sealed, len(result.checked)) == (3, 3)
    assert sum(one.files for one in result.checked) == 12
    assert note(found, result) == []
    assert {path: path.read_bytes() for path in segments(FILES, found.tree)} == before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def link(path: Path) -> None:
    copy = path.with_name("copy-outside")
    path.rename(copy)
    path.symlink_to(copy)


HARMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "flipped": (flip, "damaged"),
    "shorter": (lambda path: os.truncate(path, 3), "damaged"),
    "longer": (lambda path: os.truncate(path, 1000), "damaged"),
    "gone": (lambda path: path.unlink(), "missing"),
    "link": (link, "damaged"),
}


def test_any_damage_is_found_and_told_by_file(tmp_path: Path) -> None:
    """Of one file, whatever befell it; the other attempts are sound."""
    names = ("results/x.bin", "metrics.json", manifest.REPORT)
    cases = list(enumerate(itertools.product(HARMS, names), 1))
    found = resting(tmp_path, len(cases) + 1)
    for task, (harm, name) in cases:
        HARMS[harm][0](found.tree.task(task) / name)
    result = look(found)
    expected = [(task, HARMS[harm][1], name) for task, (harm, name) in cases]
    assert [finding for finding in told(result) if finding[1] != "extra"] == expected
    assert [one.task for one in result.damaged] == [task for task, _ in cases]


def test_a_directory_that_is_gone_or_became_a_link_is_found(tmp_path: Path) -> None:
    """Of the attempt, or of the results in it."""
    found = resting(tmp_path)
    shutil.rmtree(found.tree.task(1))
    (found.tree.task(2) / "results").rename(tmp_path / "moved")
    (found.tree.task(2) / "results").symlink_to(tmp_path / "moved")
    result = look(found)
    assert (1, "missing", "") in told(result)
    assert (2, "damaged", "results/x.bin") in told(result)


def test_what_is_extra_is_told_and_is_no_damage(tmp_path: Path) -> None:
    """A user's notes beside the results harm nothing; the manager's own status is not even extra."""
    found = resting(tmp_path)
    (found.tree.task(1) / "results" / "notes.txt").write_text("looks good")
    (found.tree.task(1) / "status.yaml").write_text("status: sealed\n")
    result = look(found)
    assert told(result) == [(1, "extra", "results/notes.txt")]
    assert result.is_sound
    assert note(found, result) == []


def test_damage_is_recorded_once_as_an_epoch_of_its_own(tmp_path: Path) -> None:
    """The task is corrupt, its numbers stay, its sweep is not complete; telling it again is no news."""
    found = resting(tmp_path)
    flip(found.tree.task(2) / "results" / "x.bin")
    result = look(found)
    events = note(found, result)
    assert [(type(event), event.task) for event in events] == [(ev.ArtifactsDamaged, 2)]
    tracker = found.tracker()
    task = tracker.task(2)
    assert (task.status, task.attempts[0].state) == (TaskStatus.CORRUPT, AttemptState.CORRUPT)
    assert task.attempts[0].damage == "results/x.bin: its content has changed"
    assert task.metrics == {"f": 2.0}
    assert tracker.outcome(task).kind is OutcomeKind.NOT_SCORABLE
    assert (tracker.counts[TaskStatus.SEALED], tracker.counts[TaskStatus.CORRUPT]) == (2, 1)
    assert tracker.status(driven=False) is SweepStatus.FAILED
    assert tracker.released == 2, "whoever recorded it let go"
    assert tracker.last_at == 20.0, "and it is no part of the time that the sweep took"
    assert note(found, look(found)) == []
    assert len(segments(FILES, found.tree)) == 2
    assert "damage:" in (found.tree.task(2) / "status.yaml").read_text()
    assert "corrupt" in found.tree.mapping.read_text()


def test_files_that_were_put_back_make_it_whole_again(tmp_path: Path) -> None:
    """From a copy: the ledger takes note, and the sweep is complete as before."""
    found = resting(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(found.tree.task(2), copy)
    flip(found.tree.task(2) / "metrics.json")
    note(found, look(found))
    shutil.rmtree(found.tree.task(2))
    shutil.copytree(copy, found.tree.task(2))
    result = look(found)
    assert result.is_sound
    assert [type(event) for event in note(found, result)] == [ev.ArtifactsRestored]
    tracker = found.tracker()
    assert tracker.task(2).status is TaskStatus.SEALED
    assert tracker.task(2).attempts[0].damage == ""
    assert tracker.status(driven=False) is SweepStatus.COMPLETE
    assert tracker.sources["local"].finished == 3, "it is not finished twice"


def test_a_corrupt_result_can_be_run_again(tmp_path: Path) -> None:
    """The new attempt is the result; the damaged one is kept aside and not complained of any more."""
    found = resting(tmp_path)
    flip(found.tree.task(2) / "metrics.json")
    note(found, look(found))
    kept = found.tree.attempts / "task_0002.1-00000000"
    found.tree.task(2).rename(kept)
    tracker = found.engine([ev.TasksReopened(tasks=(2,), at=11.0)], ending(found.tree, 2, 2))
    assert tracker.task(2).status is TaskStatus.SEALED
    assert [a.state for a in tracker.task(2).attempts] == [AttemptState.CORRUPT, AttemptState.SEALED]
    result = look(found)
    assert result.is_sound
    assert [(one.task, one.attempt) for one in result.checked] == [(1, 1), (2, 2), (3, 1)]
    assert kept.is_dir()


def test_evidence_of_failures_is_verified_too(tmp_path: Path) -> None:
    """Its damage is noted and the task stays failed; what never came home whole was never sealed."""
    found = resting(tmp_path, failed=[1])
    flip(found.tree.task(1) / "metrics.json")
    result = look(found)
    assert [(one.task, one.is_result) for one in result.damaged] == [(1, False)]
    assert len(note(found, result)) == 1
    task = found.tracker().task(1)
    assert (task.status, bool(task.attempts[0].damage)) == (TaskStatus.FAILED, True)


def test_an_attempt_that_never_came_home_whole_is_not_read(tmp_path: Path) -> None:
    """Its failure says so already; verifying it would tell of damage for ever."""
    fresh = resting(tmp_path, 1, failed=[1])
    task = fresh.tracker().task(1)
    assert list(evidence(fresh.tracker())) == [Evidence(task, task.attempts[0])]
    shutil.rmtree(fresh.tree.task(1))
    lost = ending(fresh.tree, 1, 2, cause=Cause.TRANSFER)
    fresh.engine([ev.TasksReopened(tasks=(1,), at=11.0)], lost)
    assert [one.attempt.number for one in evidence(fresh.tracker())] == [1]


def test_a_live_sweep_is_looked_at_and_not_written_to(tmp_path: Path) -> None:
    """An engine holds the epoch: what was found is told, and recording it is refused."""
    found = resting(tmp_path)
    flip(found.tree.task(2) / "metrics.json")
    tracker, reader = replay(FILES, found.tree, SPEC)
    ledger = Ledger.open(found.world, found.tree, reader, socket="", released=tracker.released)
    result = look(found)
    assert [one.task for one in result.damaged] == [2]
    with pytest.raises(EngineRunning):
        note(found, result)
    asyncio.run(
        ledger.commit([ev.EngineStopped(epoch=ledger.claim.epoch, status=SweepStatus.COMPLETE, at=1.0)])
    )
    ledger.close()
    assert len(note(found, result)) == 1, "when it has left, it is recorded"


@pytest.mark.parametrize("moves", [1, 2])
def test_an_attempt_that_moves_while_it_is_read_is_looked_for_again(
    tmp_path: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine places results and moves retried attempts aside meanwhile: that is no damage."""
    found = resting(tmp_path, 1)
    token = found.tracker().task(1).attempts[0].token
    name = f"task_0001.1-{token[:8]}"
    places = [found.tree.work / name, found.tree.attempts / name, found.tree.task(1)][2 - moves :]
    found.tree.task(1).rename(places[0])
    real = manifest.read

    def read(*arguments: object, **more: object) -> object:
        listed = real(*arguments, **more)  # type: ignore[arg-type]
        if len(places) > 1:
            places[0].rename(places[1])
            places.pop(0)
        return listed

    monkeypatch.setattr(manifest, "read", read)
    result = look(found)
    assert result.is_sound
    assert len(places) == 1


def test_a_summary_knows_what_was_found(tmp_path: Path) -> None:
    """Who only glances sees corrupt tasks, the last verification and the seal."""
    found = resting(tmp_path)
    flip(found.tree.task(2) / "metrics.json")
    note(found, look(found))
    glanced = glance(FILES, found.tree, SPEC)[0]
    assert glanced.counts[TaskStatus.CORRUPT] == 1
    assert glanced.verified is not None
    assert (glanced.verified.attempts, glanced.verified.damaged) == (3, 1)
    assert glanced.sealed == found.tracker().sealed
    tracker, reader = replay(FILES, found.tree, SPEC)
    save(FILES, found.tree, freeze(tracker, reader.mark))


def test_a_history_tells_of_damage(tmp_path: Path) -> None:
    """One task's story, from the ledger alone."""
    found = resting(tmp_path)
    flip(found.tree.task(2) / "metrics.json")
    note(found, look(found))
    history = read_history(FILES, found.tree, 2, SPEC.retry)
    assert history is not None
    assert isinstance(history.happenings[-1].event, ev.ArtifactsDamaged)
    assert history.task.status is TaskStatus.CORRUPT


def test_parts_cover_everything_once_and_samples_their_share(tmp_path: Path) -> None:
    """M nights with a part each read every attempt; a sample is drawn anew each time, and never empty."""
    every = list(evidence(resting(tmp_path, 10).tracker()))
    rng = Random(1)
    read = [one for part in (1, 2, 3) for one in Scope(part=part, of=3).chosen(every, rng)]
    assert sorted(one.task.index for one in read) == list(range(1, 11))
    samples = [Scope(share=0.25).chosen(every, rng) for _ in range(20)]
    assert {len(sample) for sample in samples} == {3}
    assert len({tuple(one.task.index for one in sample) for sample in samples}) > 3
    assert len(Scope(share=0.001).chosen(every, rng)) == 1
    assert Scope(share=0.5).chosen([], rng) == []


def test_many_faults_are_told_by_the_first_few(tmp_path: Path) -> None:
    """An event stays small, whatever befell an attempt of 10^5 files."""
    found = resting(tmp_path, 1)
    shutil.rmtree(found.tree.task(1) / "results")
    for name in ("metrics.json", "params.yaml", "stdout.log"):
        (found.tree.task(1) / name).unlink()
    result = look(found)
    assert {kind for _, kind, _ in told(result)} == {"missing"}
    (event,) = note(found, result)
    assert isinstance(event, ev.ArtifactsDamaged)
    assert (len(event.faults), event.count) == (4, 4)
