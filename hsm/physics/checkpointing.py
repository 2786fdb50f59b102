"""Keeping a run safe in HSM_CHECKPOINT, and finding what an earlier attempt kept there.

    state          the solver's state and what it belongs to (`checkpoint_state`)
    frames-*       the frames so far, packed (`record`); one file for each attempt that kept any

An attempt only ever writes files of its own and renames `state` over the one before, so whenever a process
is killed, and even if two attempts run at once, `state` is whole and names frames that were synced before it
was. Frames behind those that `state` counts are ignored.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from hsm.physics.artifacts import write_bytes
from hsm.physics.checkpoint_state import Account, CheckpointRefused, Kept, decoded, encoded
from hsm.physics.history import HistoryFile
from hsm.physics.plan import Checkpoint
from hsm.physics.record import Record, packing
from hsm.physics.simulate import Frame

STATE = "state"
FRAMES = "frames-"


class Found:
    """The checkpoint of an earlier attempt, checked, frames included."""

    def __init__(self, kept: Kept, folder: Path, shape: tuple[int, ...]) -> None:
        self.kept = kept
        self._path = folder / kept.account.frames_file
        self._shape = shape

    def records(self) -> Iterator[Record]:
        """Yield the frames, first to last."""
        size = packing(self._shape).itemsize
        with self._path.open("rb") as file:
            for _ in range(self.kept.account.frames):
                yield Record.unpacked(file.read(size), self._shape)

    def last(self, record: Record) -> Frame:
        """Return the last frame; `record` is the last of `records`."""
        return Frame(
            t=record.t,
            step=record.step,
            psi=self.kept.psi,
            omega=self.kept.omega,
            figures=record.figures,
        )

    def check(self) -> None:
        """Read all frames once.

        Raises:
            CheckpointRefused: they are not those that belong to the state.
        """
        left, digest = self.kept.account.frames * packing(self._shape).itemsize, hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                while left and (block := file.read(min(left, 1 << 20))):
                    digest.update(block)
                    left -= len(block)
        except OSError as error:
            raise CheckpointRefused(f"has lost its frames: {error.strerror}") from error
        if digest.hexdigest() != self.kept.account.frames_sha256:
            raise CheckpointRefused("is damaged: its frames are not those that were kept")


def find(folder: Path, facts: Mapping[str, str], shape: tuple[int, ...]) -> Found | None:
    """Return what earlier attempts of the same run kept; None if there is nothing.

    Raises:
        CheckpointRefused: there is something, but it is damaged or belongs to another run.
    """
    try:
        content = (folder / STATE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointRefused(f"cannot be read: {error.strerror}") from error
    kept = decoded(content)
    for name, mine in facts.items():
        if (other := kept.account.facts.get(name, "")) != mine:
            raise CheckpointRefused(f"belongs to another run: {name} is {mine}, there it is {other}")
    found = Found(kept, folder, shape)
    found.check()
    return found


class Keeper:
    """Writes the checkpoints of one attempt.

    `earlier` is how many attempts worked on the run before, and `spent_s` their time.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, str], machine: str, *, earlier: int, spent_s: float
    ) -> None:
        self._folder = folder
        self._facts, self._machine = dict(facts), machine
        self._attempts, self._spent_s = earlier + 1, spent_s
        self._frames: Path | None = None
        self._count, self._digest = 0, hashlib.sha256()

    def save(
        self, solver: Checkpoint, last: Frame, history: HistoryFile, *, cg_iterations: int, own_s: float
    ) -> None:
        """Make the run safe as it is now. `own_s`: the time this attempt has taken.

        Raises:
            OSError: it could not be written; the checkpoint before it, if any, still holds.
        """
        frames = self._frames or self._begin()
        self._append(frames, history)
        account = Account(
            facts=self._facts,
            machine=self._machine,
            frames=self._count,
            frames_file=frames.name,
            frames_sha256=self._digest.hexdigest(),
            cg_iterations=cg_iterations,
            attempts=self._attempts,
            spent_s=self._spent_s + own_s,
        )
        write_bytes(self._folder / STATE, encoded(solver, last, account))
        self._remove(FRAMES, but=frames.name)

    def _begin(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=FRAMES, dir=self._folder)
        os.close(descriptor)
        self._frames, self._count, self._digest = Path(name), 0, hashlib.sha256()
        return self._frames

    def _append(self, frames: Path, history: HistoryFile) -> None:
        """Bring the file of frames up to date; after a failure the next call begins another one."""
        self._frames = None
        with frames.open("ab") as file:
            for record in history.records(self._count):
                content = record.packed()
                file.write(content)
                self._digest.update(content)
                self._count += 1
            file.flush()
            os.fsync(file.fileno())
        self._frames = frames

    def discard(self) -> None:
        """Remove the checkpoint: the run has its answer."""
        for prefix in (STATE, FRAMES):
            self._remove(prefix, but="")
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _remove(self, prefix: str, but: str) -> None:
        for path in self._folder.glob(f"{prefix}*"):
            if path.name != but:
                with contextlib.suppress(OSError):  # it goes with the next checkpoint, or stays as rubbish
                    path.unlink()
