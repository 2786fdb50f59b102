"""What happens to each segment of a run: frames are stored, progress is told, time is taken."""

import time

import numpy as np

from hsm.physics.backend import CompilationCache
from hsm.physics.checkpointing import Found
from hsm.physics.history import HistoryFile
from hsm.physics.metrics import Diagnostics
from hsm.physics.plan import Plan
from hsm.physics.progress import Progress
from hsm.physics.record import Record, record
from hsm.physics.simulate import Frame, Segment


class Stopwatch:
    """Times an attempt and the chunks of its run."""

    def __init__(self) -> None:
        self._began = self._lapped = time.perf_counter()
        self.chunk_s: list[float] = []

    def start(self) -> None:
        """Begin the first chunk."""
        self._lapped = time.perf_counter()

    def lap(self) -> None:
        """End a chunk and begin the next."""
        now = time.perf_counter()
        self.chunk_s.append(now - self._lapped)
        self._lapped = now

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self._began

    @property
    def ahead_s(self) -> float:
        """How long the next chunk may take: twice the last, unless that one had to be compiled."""
        return 2 * self.chunk_s[-1] if len(self.chunk_s) > 2 else 0.0

    @property
    def compile_s(self) -> float | None:
        if len(self.chunk_s) < 3:
            return None
        return max(0.0, self.chunk_s[1] - float(np.median(self.chunk_s[2:])))


class Recorder:
    """Takes the segments of a run, after the frames that an earlier attempt kept, if one did.

    seen: the figures of every frame; frame, record: the last one; cg_iterations: since then.
    balance: of the last steps.
    """

    def __init__(
        self, prepared: Plan, file: HistoryFile, cache: CompilationCache, found: Found | None
    ) -> None:
        self.file, self.watch = file, Stopwatch()
        self._cache, self._params = cache, prepared.params
        self._is_shared = False
        self.cg_iterations = 0
        self.balance: tuple[tuple[float, float, float], ...] = ()
        self.seen: list[Diagnostics] = []
        self.frame: Frame
        self.record: Record
        if found is not None:
            self._replay(found)
        cuts, begun = prepared.schedule, found.kept.solver.step if found else 0
        self._tell = Progress(cuts.steps, cuts.h, begun, time.monotonic)

    def _replay(self, found: Found) -> None:
        for kept in found.records():
            self._keep(kept)
        self.frame = found.last(self.record)
        self.cg_iterations = found.kept.account.cg_iterations

    def __call__(self, segment: Segment) -> None:
        self.cg_iterations += segment.iterations
        self.balance = segment.balance
        if segment.step and not self._is_shared:
            self._cache.publish()  # the program is compiled once a step has been taken
            self._is_shared = True
        if segment.frame is not None:
            self.frame = segment.frame
            self._keep(record(self._params, segment.frame, self.cg_iterations))
            self.cg_iterations = 0
        self._tell(segment.step, self.seen[-1])

    def _keep(self, kept: Record) -> None:
        self.file.append(kept)
        self.seen.append(kept.figures)
        self.record = kept
