"""One run from validated parameters to files.

In the working directory: metrics.json and provenance.json. In the results folder: rho_history.h5 and
density.png.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hsm.physics import backend
from hsm.physics.artifacts import write_bytes, write_json
from hsm.physics.environment import Environment
from hsm.physics.history import HistoryFile
from hsm.physics.interruption import Interruption
from hsm.physics.metrics import Diagnostics
from hsm.physics.outcome import Ending, stopped
from hsm.physics.parameters import Params
from hsm.physics.picture import density_png
from hsm.physics.plan import Plan, plan
from hsm.physics.provenance import Effort, provenance, versions
from hsm.physics.scores import scores
from hsm.physics.simulate import Frame, segments

PROGRESS_LINES = 10


class Recorder:
    """Takes the frames of a run, the first at t = 0: stores and reports them."""

    def __init__(self, file: HistoryFile, cache: backend.CompilationCache, prepared: Plan) -> None:
        self._file = file
        self._cache = cache
        self._every = max(1, prepared.schedule.frames // PROGRESS_LINES)
        self.seen: list[Diagnostics] = []
        self.last: Frame

    def __call__(self, frame: Frame) -> None:
        if frame.step:
            self._cache.publish()  # the program is compiled once a step has been taken
        self._file.append(frame)
        figures = frame.figures
        if len(self.seen) % self._every == 0:
            told = f"mean_rho {figures.mean_rho:.4f}  pcs {figures.pcs:.4f}  defects {figures.defect_count}"
            print(f"t = {frame.t:.6g}  {told}", flush=True)
        self.seen.append(figures)
        self.last = frame


class Stopwatch:
    """Times the chunks of a run."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.chunk_s: list[float] = []

    def lap(self) -> None:
        now = time.perf_counter()
        self.chunk_s.append(now - self._began)
        self._began = now

    @property
    def compile_s(self) -> float | None:
        if len(self.chunk_s) < 3:
            return None
        return max(0.0, self.chunk_s[1] - float(np.median(self.chunk_s[2:])))


def run(
    params: Params, environment: Environment, environ: Mapping[str, str], interruption: Interruption
) -> Ending:
    """Simulate, and write every file of the run.

    Raises:
        OSError: a file could not be written.
    """
    began = time.perf_counter()
    backend.allow_double_precision()
    prepared = plan(params)
    cache = backend.open_cache(backend.cache_root(environ), _program(params, prepared))
    environment.results.mkdir(parents=True, exist_ok=True)
    with HistoryFile(
        environment.results / "rho_history.h5", prepared.grid.shape, _identity(params, environment)
    ) as file:
        recorder, watch = Recorder(file, cache, prepared), Stopwatch()
        ending = _follow(prepared, recorder, watch, interruption)
        file.finish(recorder.last, ending)
    _write_picture(environment.results / "density.png", params, recorder.last)
    write_json(Path("metrics.json"), scores(ending, recorder.seen, prepared.grid.plaquette_area))
    effort = Effort(
        wall_s=time.perf_counter() - began,
        stepping_s=sum(watch.chunk_s),
        compile_s=watch.compile_s,
        cache_hit=cache.warm,
    )
    write_json(
        Path("provenance.json"),
        provenance(params, environment, cuts=prepared.schedule, ending=ending, effort=effort),
    )
    return ending


def _follow(prepared: Plan, recorder: Recorder, watch: Stopwatch, interruption: Interruption) -> Ending:
    for segment in segments(prepared):
        watch.lap()
        if segment.frame is not None:
            recorder(segment.frame)
        if segment.ending is not None:
            return segment.ending
        if (status := interruption()) is not None:
            return stopped(status, segment.t, segment.step)
    raise AssertionError("the last segment has an ending")


def _program(params: Params, prepared: Plan) -> dict[str, object]:
    """Return what distinguishes the compiled code of this run from that of another."""
    return {"N": params.N, "dtype": params.dtype.value, "terms": prepared.structure()}


def _identity(params: Params, environment: Environment) -> dict[str, str | int]:
    return {
        "params": params.canonical_json(),
        "config_hash": environment.config_hash or "",
        "task_id": environment.task_id or "",
        "seed": str(params.seed),
        **{f"version_{name}": version for name, version in versions().items()},
    }


def _write_picture(path: Path, params: Params, frame: Frame) -> None:
    caption = f"density |psi|^2 at t = {frame.t:.6g} of {params.canonical_json()}"
    rho = abs(frame.psi) ** 2
    if rho.ndim == 1:
        rho = np.repeat(rho[:, None], rho.size, axis=1)
    plane = rho if rho.ndim == 2 else rho[..., 0]  # z = 0
    write_bytes(path, density_png(plane, caption))
