"""Checkpoints: whole or refused, and only for the run that they belong to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from hsm.physics.checkpoint_state import FORMAT, Account, CheckpointRefused, decoded, encoded
from hsm.physics.checkpointing import Keeper, find
from hsm.physics.history import HistoryFile
from hsm.physics.metrics import diagnose
from hsm.physics.parameters import Params
from hsm.physics.plan import Checkpoint
from hsm.physics.record import record
from hsm.physics.simulate import Frame

SHAPE = (16, 16)
FACTS = {"config_hash": "c0ffee", "the version of jax": "1.2.3"}
V = np.array([[1 / 3 + 2e-30j, -0.0j]], np.complex64)
SOLVER = Checkpoint(step=7, alpha=0.1 + 0.2, arrays={"v": V, "past": np.zeros((0, *V.shape), V.dtype)})
ACCOUNT = Account(
    facts=FACTS,
    machine="this one",
    frames=0,
    frames_file="frames-x",
    frames_sha256="",
    cg_iterations=3,
    attempts=2,
    spent_s=1.5,
)


def frame(t: float, value: complex = 1.0) -> Frame:
    psi = np.full(SHAPE, value, np.complex64)
    return Frame(t=t, step=round(10 * t), psi=psi, omega=np.full(SHAPE, 1.5), figures=diagnose(psi, 4))


@dataclass
class Attempt:
    """An attempt that keeps its checkpoints in a folder."""

    folder: Path
    history: HistoryFile
    keeper: Keeper

    def go(self, *times: float) -> None:
        for t in times:
            self.history.append(record(Params(N=16, L=8), frame(t, 1 + t), 0))

    def save(self, t: float) -> None:
        self.keeper.save(SOLVER, frame(t, 1 + t), self.history, cg_iterations=3, own_s=2.0)


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Callable[[str], Attempt]]:
    opened = []

    def begin(name: str) -> Attempt:
        history = HistoryFile(tmp_path / f"{name}.h5", SHAPE, {})
        opened.append(history)
        folder = tmp_path / "checkpoint"
        return Attempt(folder, history, Keeper(folder, FACTS, "this one", earlier=0, spent_s=0.0))

    yield begin
    for history in opened:
        history.__exit__(None, None, None)


def test_state_is_the_same_after_a_stay_in_a_file() -> None:
    """Every bit of it, signs of zero, empty arrays and the share α included."""
    back = decoded(encoded(SOLVER, frame(2.0, 1 / 3), ACCOUNT))
    assert (back.solver.step, back.solver.alpha, back.account) == (7, SOLVER.alpha, ACCOUNT)
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in back.solver.arrays.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in SOLVER.arrays.items()
    }
    assert np.array_equal(back.psi, frame(2.0, 1 / 3).psi)
    assert back.omega is not None
    assert decoded(encoded(SOLVER, replace(frame(2.0), omega=None), ACCOUNT)).omega is None


def test_a_state_that_lost_or_changed_any_byte_is_refused() -> None:
    """Cut anywhere, or with one bit flipped anywhere."""
    whole = encoded(SOLVER, frame(0.0), ACCOUNT)
    places = [*range(len(FORMAT) + 100), *range(len(FORMAT) + 100, len(whole), 97)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 4
        for damaged in (whole[:place], bytes(flipped)):
            with pytest.raises(CheckpointRefused, match="damaged"):
                decoded(damaged)


def test_what_was_kept_is_found(attempt: Callable[[str], Attempt]) -> None:
    """State and frames, also after more were appended; nothing else is left in the folder."""
    one = attempt("one")
    assert find(one.folder, FACTS, SHAPE) is None
    one.go(0.0, 1.0)
    one.save(1.0)
    one.go(2.0)
    one.save(2.0)
    found = find(one.folder, FACTS, SHAPE)
    assert found is not None
    assert [kept.packed() for kept in found.records()] == [kept.packed() for kept in one.history.records(0)]
    assert found.kept.account.attempts == 1
    last = found.last(list(found.records())[-1])
    assert (last.t, last.step, last.psi[0, 0]) == (2.0, 20, 3.0)
    assert len(list(one.folder.iterdir())) == 2


def test_frames_behind_the_last_state_are_ignored(attempt: Callable[[str], Attempt]) -> None:
    """A process killed between frames and state leaves the checkpoint before."""
    one = attempt("one")
    one.go(0.0, 1.0)
    one.save(1.0)
    with next(one.folder.glob("frames-*")).open("ab") as file:
        file.write(b"half a frame")
    found = find(one.folder, FACTS, SHAPE)
    assert found is not None
    assert [kept.t for kept in found.records()] == [0.0, 1.0]


@pytest.mark.parametrize("name", FACTS)
def test_checkpoint_of_another_run_is_refused(attempt: Callable[[str], Attempt], name: str) -> None:
    """Another configuration, another version: the refusal names what differs."""
    one = attempt("one")
    one.go(0.0)
    one.save(0.0)
    with pytest.raises(CheckpointRefused, match=f"{name} is other, there it is {FACTS[name]}"):
        find(one.folder, {**FACTS, name: "other"}, SHAPE)


def test_frames_that_are_damaged_or_lost_are_refused(attempt: Callable[[str], Attempt]) -> None:
    """Their SHA-256 is part of the state."""
    one = attempt("one")
    one.go(0.0, 1.0)
    one.save(1.0)
    frames = next(one.folder.glob("frames-*"))
    content = bytearray(frames.read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), bytes(content[:-1])):
        frames.write_bytes(damaged)
        with pytest.raises(CheckpointRefused, match="damaged: its frames"):
            find(one.folder, FACTS, SHAPE)
    frames.unlink()
    with pytest.raises(CheckpointRefused, match="has lost its frames"):
        find(one.folder, FACTS, SHAPE)


def test_two_attempts_at_once_do_not_mix(attempt: Callable[[str], Attempt]) -> None:
    """The last to save wins, whole; the other one's later state is refused or whole, never a mixture."""
    one, two = attempt("one"), attempt("two")
    one.go(0.0, 1.0)
    one.save(1.0)
    two.go(0.0)
    two.save(0.0)
    found = find(two.folder, FACTS, SHAPE)
    assert found is not None
    assert [kept.t for kept in found.records()] == [0.0]
    one.go(2.0)
    one.save(2.0)  # its file of frames had been removed
    with pytest.raises(CheckpointRefused, match="damaged"):
        find(one.folder, FACTS, SHAPE)


def test_folder_is_gone_when_the_run_has_its_answer(attempt: Callable[[str], Attempt]) -> None:
    """Nothing is left behind, and what was not made is not missed."""
    one = attempt("one")
    one.keeper.discard()
    one.go(0.0)
    one.save(0.0)
    one.keeper.discard()
    assert not one.folder.exists()
