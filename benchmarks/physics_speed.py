"""How long one run takes, beside exponax 0.2.0, beside its own FFTs, and with a metric beside without.

    python benchmarks/physics_speed.py [g1] [g3] [coupled] [--small]

    g1       time to an error of 1e-4 and 1e-6 at T = 4 from a developed state, by the fewest steps
    g3       one ETDRK4 step against its eight bare FFTs, processor time
    coupled  one step with a metric (extrapolated, tolerance 1e-6) against a flat one, processor time

Everything runs in one process, on one core per simulation (as a hunt runs it), in turns; figures are medians
of the turns. exponax comes with `pip install --group bench`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "NPROC", "1"
)  # threads of XLA: one, else a bare FFT takes two and the rest of a step one

import jax
import jax.numpy as jnp
import numpy as np

from hsm.physics import backend
from hsm.physics.parameters import Integrator, Params, read_params
from hsm.physics.plan import Plan, loaded, plan
from hsm.physics.schedule import Schedule
from hsm.physics.simulate import advance
from hsm.physics.stability import largest_step

T = 4.0
TURNS = 7
B, C = 2.0, -1.0
SPACING = 0.5
Run = Callable[[], Any]
Field = np.ndarray


def parameters(dimension: int, points: int, dtype: str, **more: object) -> Params:
    """Return the problem: b = 2, c = −1, a spacing of 0.5."""
    given = {"dim": dimension, "N": points, "L": SPACING * points, "dtype": dtype, "T": 50, "init_amp": 0.3}
    return read_params({**given, "b": B, "c": C, **more})


def developed(dimension: int, points: int) -> Field:
    """Return a turbulent state, in double precision."""
    p = parameters(dimension, points, "f64")
    run, field = own(p, None, 50 / 0.2)
    return field(run())


def prepared(p: Params, start: Field | None, steps: float) -> Plan:
    """Return a plan of exactly `steps` steps over T (over 50 for the default start)."""
    ready = plan(p)
    duration = p.T if start is None else T
    cuts = Schedule(frames=1, chunks_per_frame=1, steps_per_chunk=round(steps), h=duration / round(steps))
    return replace(ready, schedule=cuts, start=ready.start if start is None else ready.grid.band(start))


def own(p: Params, start: Field | None, steps: float) -> tuple[Run, Callable[[Any], Field]]:
    """Return a run of this package, and how its field is read."""
    ready = prepared(p, start, steps)
    first = ready.first()
    program, state = ready.program(first.alpha), loaded(first)

    def run() -> Any:
        now, done = state, 0
        if program.starter is not None:
            now, _, _ = advance(program.starter, now, np.int64(0), np.int64(program.starting))
            done = program.starting
        now, _, _ = advance(program.main, now, np.int64(done), np.int64(round(steps) - done))
        return jax.block_until_ready(now.v)

    return run, lambda v: ready.grid.field(np.asarray(v))


def public(p: Params, start: Field, steps: float) -> tuple[Run, Callable[[Any], Field]]:
    """Return a run of exponax's public API."""
    from _physics_peer import Public, repeated, single

    cast = single if p.dtype.value == "f32" else (lambda tree: tree)
    stepper = cast(Public(p.dim, p.L, p.N, T / round(steps), B, C))
    u, go = cast(jnp.stack([jnp.asarray(start.real), jnp.asarray(start.imag)])), repeated(round(steps))
    return lambda: jax.block_until_ready(go(stepper, u)), lambda out: np.asarray(out[0] + 1j * out[1])


def mended(p: Params, start: Field, steps: float) -> tuple[Run, Callable[[Any], Field]]:
    """Return a run of exponax with right coefficients."""
    from _physics_peer import mended as scheme
    from _physics_peer import repeated_complex, single

    cast = single if p.dtype.value == "f32" else (lambda tree: tree)
    stepper = cast(scheme(p.dim, p.L, p.N, T / round(steps), B, C))
    spectrum, go = cast(jnp.fft.fftn(jnp.asarray(start))[None]), repeated_complex(round(steps))
    return lambda: jax.block_until_ready(go(stepper, spectrum)), lambda out: np.fft.ifftn(np.asarray(out[0]))


def etdab4(p: Params, start: Field, steps: float) -> tuple[Run, Callable[[Any], Field]]:
    """Return a run of this package with the multistep integrator."""
    return own(replace(p, integrator=Integrator.ETDAB4), start, steps)


CANDIDATES: Mapping[str, Callable[[Params, Field, float], tuple[Run, Callable[[Any], Field]]]] = {
    "exponax": public,
    "exponax, mended": mended,
    "ETDRK4": own,
    "ETDAB4": etdab4,
}


def fewest(name: str, p: Params, start: Field, exact: Field, tolerances: Sequence[float]) -> dict[float, int]:
    """Return the fewest steps of a ladder that reach each tolerance, as far as the step limit allows."""
    found: dict[float, int] = {}
    least = 20.0
    if name.startswith("ETD"):
        integrator = Integrator.ETDAB4 if name == "ETDAB4" else Integrator.ETDRK4
        least = T / largest_step(replace(p, integrator=integrator))
    for count in (round(10 * 2 ** (rung / 4)) for rung in range(32)):
        if count < least:
            continue
        run, field = CANDIDATES[name](p, start, count)
        with np.errstate(all="ignore"):
            error = np.linalg.norm(field(run()) - exact) / np.linalg.norm(exact)
        found |= {
            tolerance: count for tolerance in tolerances if error <= tolerance and tolerance not in found
        }
        if len(found) == len(tolerances):
            break
    return found


def medians(
    runs: Mapping[str, Run], turns: int = TURNS, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Time runs in turns; return the median of each in milliseconds."""
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(turns):
        for name, run in runs.items():
            began = clock()
            run()
            seen[name].append(1e3 * (clock() - began))
    return {name: statistics.median(times) for name, times in seen.items()}


def g1(cases: Sequence[tuple[int, int, str]]) -> None:
    """Print the time to an error, and how many times longer exponax takes."""
    print("g1: T = 4, time to a relative error; ms (steps), x = exponax over it")
    for dimension, points, dtype in cases:
        p = parameters(dimension, points, dtype)
        start = developed(dimension, points)
        run, field = own(parameters(dimension, points, "f64"), start, 2000 if dimension == 2 else 640)
        exact = field(run())
        # single precision ends at an error of about 3e-6
        tolerances = (1e-4,) if dtype == "f32" else (1e-4, 1e-6)
        counts = {name: fewest(name, p, start, exact, tolerances) for name in CANDIDATES}
        for tolerance in tolerances:
            reached = {name: found[tolerance] for name, found in counts.items() if tolerance in found}
            took = medians({name: CANDIDATES[name](p, start, count)[0] for name, count in reached.items()})
            _row(f"{points}^{dimension} {dtype} {tolerance:g}", took, reached)


def _row(title: str, took: Mapping[str, float], steps: Mapping[str, int]) -> None:
    base = took.get("exponax")
    cells = [
        f"{name} {ms:.1f} ({steps[name]})" + (f" x{base / ms:.1f}" if base else "")
        for name, ms in took.items()
    ]
    own_ms = min((ms for name, ms in took.items() if name.startswith("ETD")), default=None)
    mended_ms = took.get("exponax, mended")
    if own_ms and mended_ms:
        cells.append(f"best against mended x{mended_ms / own_ms:.1f}")
    print(f"  {title}: " + "; ".join(cells), flush=True)


def g3(cases: Sequence[tuple[int, int, str]]) -> None:
    """Print the time of one step over that of eight full complex FFTs in a loop."""
    print("g3: one ETDRK4 step over its eight bare FFTs")
    for dimension, points, dtype in cases:
        p = parameters(dimension, points, dtype)
        count = max(4, round(4e6 / points**dimension))
        run, _ = own(p, developed(dimension, points) if points**dimension < 2e5 else _smooth(p), count)
        field = jnp.ones((points,) * dimension, np.complex64 if dtype == "f32" else np.complex128)

        @jax.jit
        def bare(u: jax.Array, pairs: jax.Array) -> jax.Array:
            last: jax.Array = jax.lax.fori_loop(0, pairs, lambda _, u: jnp.fft.fftn(jnp.fft.ifftn(u)), u)
            return last

        pairs = np.int64(4 * count)

        def floor_run(u: jax.Array = field, n: np.int64 = pairs) -> Any:
            return jax.block_until_ready(bare(u, n))

        took = medians({"step": run, "bare": floor_run}, clock=time.process_time)
        step, floor = (took[name] / count for name in ("step", "bare"))
        print(
            f"  {points}^{dimension} {dtype}: {step:.3f} ms / {floor:.3f} ms = {step / floor:.2f}", flush=True
        )


def _smooth(p: Params) -> Field:
    return plan(p).grid.field(plan(p).start)


def coupled(points: int) -> None:
    """Print the time of a step with a metric over that of a flat one, after the first steps."""
    print(f"coupled: {points}^2 f64, extrapolated, tolerance 1e-6, h = 0.1, over the flat step")
    start, count = developed(2, points), np.int64(40)
    runs: dict[str, Run] = {}
    iterations: dict[str, float] = {}
    for kappa in (0.0, 0.1, 1.0):
        p = parameters(2, points, "f64", kappa=kappa, metric_tol=1e-6)
        ready = prepared(p, start, T / 0.1)
        first = ready.first()
        program, state, done = ready.program(first.alpha), loaded(first), program_start(ready)
        if program.starter is not None:
            state, _, _ = advance(program.starter, state, np.int64(0), np.int64(done))

        def run(stepper: Any = program.main, state: Any = state, done: int = done) -> Any:
            return jax.block_until_ready(advance(stepper, state, np.int64(done), count))

        runs[f"kappa {kappa}"] = run
        iterations[f"kappa {kappa}"] = int(run()[2].iterations) / int(count)
    # processor time: one thread works, and a busy machine takes its turns away from the longer run
    took = medians(runs, 25, time.process_time)
    for name, ms in took.items():
        each = ms / int(count)
        ratio = ms / took["kappa 0.0"]
        print(f"  {name}: {each:.3f} ms a step, {iterations[name]:.1f} iterations, x{ratio:.2f}", flush=True)


def program_start(ready: Plan) -> int:
    """Return the number of steps that the starter takes."""
    return ready.program(1.0).starting


def main() -> None:
    """Run the benchmarks that are named, or all."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("which", nargs="*", default=["g1", "g3", "coupled"])
    arguments.add_argument("--small", action="store_true", help="two dimensions only")
    arguments.add_argument("--large", action="store_true", help="three dimensions only")
    chosen = arguments.parse_args()
    backend.allow_double_precision()
    flat = [] if chosen.large else [(2, 128, "f32"), (2, 128, "f64")]
    deep = [] if chosen.small else [(3, 64, "f32")]
    if "g1" in chosen.which:
        g1([*flat, *deep])
    if "g3" in chosen.which:
        g3([*flat, (2, 256, "f32"), (2, 256, "f64"), *deep, *([] if chosen.small else [(3, 64, "f64")])])
    if "coupled" in chosen.which:
        coupled(128)


if __name__ == "__main__":
    main()
