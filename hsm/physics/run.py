"""One run from validated parameters to files, begun or gone on with from a checkpoint.

In the working directory: metrics.json and provenance.json. In the results folder: rho_history.h5 and the
pictures.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hsm.physics import backend
from hsm.physics.artifacts import write_bytes, write_json
from hsm.physics.checkpointing import Found
from hsm.physics.claims import NAME as CLAIMS
from hsm.physics.claims import claims_text
from hsm.physics.environment import Environment
from hsm.physics.gallery import pictures, write_pictures
from hsm.physics.history import NAME, HistoryFile
from hsm.physics.interruption import Interruption
from hsm.physics.measure.artifact import Artifact
from hsm.physics.outcome import Ending, stopped
from hsm.physics.parameters import Params
from hsm.physics.plan import Plan, plan
from hsm.physics.provenance import Attempt, Effort, Resumption, provenance, versions
from hsm.physics.recorder import Recorder, Stopwatch
from hsm.physics.safety import Safety, is_same_processor, look
from hsm.physics.scores import metrics
from hsm.physics.simulate import segments
from hsm.physics.status import Status


def run(
    params: Params, environment: Environment, environ: Mapping[str, str], interruption: Interruption
) -> Ending:
    """Simulate, and write every file of the run.

    Raises:
        OSError: a file could not be written.
    """
    backend.allow_double_precision()
    prepared = plan(params)
    cache = backend.open_cache(backend.cache_root(environ), _program(prepared))
    found, refused = look(prepared, environment)
    safety = Safety(environment, prepared, found)
    environment.results.mkdir(parents=True, exist_ok=True)
    path, synced = environment.results / NAME, environment.is_alone
    with HistoryFile(path, prepared.grid.shape, identity(prepared, environment)) as file:
        recorder = Recorder(prepared, file, cache, found)
        ending = _follow(prepared, found, recorder, safety, interruption)
        space_time = file.space_time() if params.dim == 1 else None
        file.finish(recorder.frame, ending, recorder.balance, synced=synced)
    artifact = Artifact.read(path)
    measured = metrics(artifact)
    write_json(Path("metrics.json"), measured, synced=synced)
    write_bytes(environment.results / CLAIMS, claims_text(artifact, measured).encode(), synced=synced)
    attempt = Attempt(
        effort=_effort(recorder.watch, cache, found), resumed=_resumption(prepared, found), refused=refused
    )
    report = provenance(prepared, environment, ending=ending, measured=measured, attempt=attempt)
    write_json(Path("provenance.json"), report, synced=synced)
    write_pictures(environment.results, pictures(params, recorder.frame, space_time), synced=synced)
    if ending.status not in (Status.TIMEOUT, Status.CANCELLED):
        safety.discard()
    return ending


def _follow(
    prepared: Plan,
    found: Found | None,
    recorder: Recorder,
    safety: Safety,
    interruption: Interruption,
) -> Ending:
    watch = recorder.watch
    watch.start()
    if found is not None:
        watch.lap()  # stands for t = 0, so that the second is the one that compiles, as in other runs
    for segment in segments(prepared, found.kept.solver if found else None):
        watch.lap()
        recorder(segment)
        if segment.ending is not None:
            return segment.ending
        if (status := interruption(watch.ahead_s)) is not None:
            ending = stopped(status, segment.t, segment.step)
            safe = safety.save(segment, recorder)
            return replace(ending, reason=f"{ending.reason}; a checkpoint was kept") if safe else ending
        safety.save_if_due(segment, recorder)
    raise AssertionError("the last segment has an ending")


def _program(prepared: Plan) -> dict[str, object]:
    """Return what distinguishes the compiled code of this run from that of another."""
    p = prepared.params
    return {
        "shape": p.grid.shape,
        "modes": p.grid.modes,
        "dtype": p.dtype.value,
        "terms": prepared.structure(),
    }


def identity(prepared: Plan, environment: Environment) -> dict[str, str | int | float]:
    """Return what a history says of its run; nothing in it tells one attempt from another."""
    p = prepared.params
    return {
        "config_hash": environment.config_hash or "",
        "task_id": environment.task_id or "",
        "model": p.model,
        "params": p.canonical_json(),
        "precision": p.dtype.value,
        "dimension": p.dim,
        "N": p.N,
        "L": p.L,
        "dt": prepared.schedule.h,
        "integrator": p.integrator.value,
        "seed": str(p.seed),
        **{f"version_{name}": version for name, version in versions().items()},
    }


def _effort(watch: Stopwatch, cache: backend.CompilationCache, found: Found | None) -> Effort:
    return Effort(
        wall_s=watch.total_s,
        stepping_s=sum(watch.chunk_s),
        compile_s=watch.compile_s,
        cache_hit=cache.warm,
        earlier_s=found.kept.account.spent_s if found else 0.0,
    )


def _resumption(prepared: Plan, found: Found | None) -> Resumption | None:
    if found is None:
        return None
    step = found.kept.solver.step
    return Resumption(
        step=step,
        t=step * prepared.schedule.h,
        attempts=found.kept.account.attempts,
        same_processor=is_same_processor(found),
    )
