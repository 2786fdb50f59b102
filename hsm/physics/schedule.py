"""How a run is cut into frames, chunks and steps, so that every saved time is met exactly."""

import math
from dataclasses import dataclass

from hsm.physics.parameters import Integrator, Params
from hsm.physics.stability import largest_step

AUTO_SHARE = 2 / 3  # the automatic step, as a share of the largest stable one …
AUTO_STEP = {Integrator.ETDRK4: 0.2, Integrator.ETDAB4: 0.05}  # … and at most this, for accuracy, time
CHUNK_STEPS = 50  # a chunk is the unit of compilation, of blow-up checks and of the answer to a signal
CHUNK_WORK = 200 * 128**2  # steps × grid points of the largest chunk: about 0.1 s on one core


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The cuts of one run: saved intervals of equal length, each of equal chunks of equal steps."""

    frames: int
    chunks_per_frame: int
    steps_per_chunk: int
    h: float

    @property
    def steps_per_frame(self) -> int:
        return self.chunks_per_frame * self.steps_per_chunk

    @property
    def steps(self) -> int:
        return self.frames * self.steps_per_frame


def schedule(p: Params) -> Schedule:
    """Cut the run so that saved times are equally spaced, end at T, and h is at most the step asked for.

    The interval is T divided by a whole number and at most `save_every`.
    """
    wanted_h = p.h if p.h is not None else automatic_step(p)
    frames = _parts(p.T, p.save_every)
    steps = _parts(p.T / frames, wanted_h)
    chunks = _parts(steps, max(1, min(CHUNK_STEPS, CHUNK_WORK // p.N**p.dim)))
    length = _parts(steps, chunks)
    return Schedule(
        frames=frames, chunks_per_frame=chunks, steps_per_chunk=length, h=p.T / (frames * chunks * length)
    )


def automatic_step(p: Params) -> float:
    """Return the step that `auto` is at most, time.

    What a metric leaves explicit grows with κ, and with it the error of a step.
    """
    return min(AUTO_SHARE * largest_step(p), AUTO_STEP[p.integrator] / (1 + p.kappa))


def _parts(whole: float, largest: float) -> int:
    """Return the least number of equal parts of at most `largest`, forgiving rounding in the division."""
    return max(1, math.ceil(whole / largest * (1 - 1e-12)))
