"""One run from validated parameters to files.

In the working directory: metrics.json and provenance.json. In the results folder: rho_history.h5 and
density.png.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from hsm.physics import backend
from hsm.physics.artifacts import write_bytes, write_json
from hsm.physics.environment import Environment
from hsm.physics.history import HistoryFile
from hsm.physics.interruption import Interruption
from hsm.physics.metrics import Diagnostics, diagnose
from hsm.physics.outcome import Outcome, judge
from hsm.physics.parameters import Params, Precision
from hsm.physics.picture import density_png
from hsm.physics.provenance import Effort, provenance, versions
from hsm.physics.scores import scores
from hsm.physics.simulate import Frame, Plan, plan, simulate

TAIL_LIMIT = {Precision.F32: 1e-5, Precision.F64: 1e-6}
PROGRESS_LINES = 10


class Recorder:
    """Takes the frames of a run, the first at t = 0: measures, stores and reports them."""

    def __init__(self, file: HistoryFile, cache: backend.CompilationCache, prepared: Plan) -> None:
        self._file = file
        self._cache = cache
        self._every = max(1, prepared.schedule.frames // PROGRESS_LINES)
        self.seen: list[Diagnostics] = []
        self.last = prepared.first

    def __call__(self, frame: Frame) -> None:
        if frame.step:
            self._cache.publish()  # the program is compiled once a step has been taken
        figures = diagnose(frame.psi)
        self._file.append(frame, figures)
        if len(self.seen) % self._every == 0:
            told = f"mean_rho {figures.mean_rho:.4f}  pcs {figures.pcs:.4f}  defects {figures.defect_count}"
            print(f"t = {frame.t:.6g}  {told}", flush=True)
        self.seen.append(figures)
        self.last = frame


def run(
    params: Params, environment: Environment, environ: Mapping[str, str], interruption: Interruption
) -> Outcome:
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
        environment.results / "rho_history.h5", params.N, _identity(params, environment)
    ) as file:
        recorder = Recorder(file, cache, prepared)
        ending, timing = simulate(prepared, recorder, interruption)
        outcome = judge(ending, recorder.seen, TAIL_LIMIT[params.dtype])
        file.finish(recorder.last, outcome)
    _write_picture(environment.results / "density.png", params, recorder.last)
    write_json(Path("metrics.json"), scores(outcome, recorder.seen, params.L))
    effort = Effort(wall_s=time.perf_counter() - began, timing=timing, cache_hit=cache.warm)
    write_json(
        Path("provenance.json"),
        provenance(
            params, environment, cuts=prepared.schedule, ending=ending, outcome=outcome, effort=effort
        ),
    )
    return outcome


def _program(params: Params, prepared: Plan) -> dict[str, object]:
    """Return what distinguishes the compiled code of this run from that of another."""
    from jax import tree_util

    structure = str(tree_util.tree_structure((prepared.stepper, prepared.nonlinear)))
    return {
        "N": params.N,
        "dtype": params.dtype.value,
        "steps": prepared.schedule.steps_per_chunk,
        "terms": structure,
    }


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
    write_bytes(path, density_png(abs(frame.psi) ** 2, caption))
