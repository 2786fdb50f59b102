"""How long a population of runs takes on two cores, beside exponax 0.2.0 in two arrangements.

    python benchmarks/physics_population.py [g2] [g4] [--small]

g2  16 members at 128^2 and 8 at 64^3, float32, T = 4 at a relative error of at most 1e-4
g4  64 distinct parameter sets: compilations, and what preparing a member costs

exponax gets one b for all its members (every other b would be built and compiled anew), and is timed as
`jax.vmap(exponax.repeat)` and in the arrangement that suits it best, `lax.map` inside `shard_map`. Everything
runs in one process, in turns; figures are medians of the turns.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import exponax
import jax
import jax.numpy as jnp
import numpy as np
from _physics_peer import Public, single
from jax.sharding import Mesh, PartitionSpec
from physics_speed import B, C, Field, Run, T, developed, medians, own, parameters, prepared

from hsm.physics import backend
from hsm.physics.parameters import read_params
from hsm.physics.plan import loaded, plan
from hsm.physics.population import advance_all, host_devices, stacked
from hsm.physics.simulate import advance

STEPS = {
    "ETDRK4": 17,
    "ETDAB4": 48,
    "exponax 2": 40,
    "exponax 3": 57,
}  # that reach 1e-4 (physics_speed.py g1)


def members(dimension: int, points: int, count: int, start: Field, integrator: str) -> Run:
    """Return a run of `count` members of this package with different b, on every device."""
    steps = STEPS[integrator]
    plans = [
        prepared(parameters(dimension, points, "f32", b=b, integrator=integrator.lower()), start, steps)
        for b in np.linspace(1.0, 2.0, count)
    ]
    programs = [ready.program(1.0) for ready in plans]
    states = stacked([loaded(ready.first()) for ready in plans])
    main = stacked([program.main for program in programs])
    starters = [program.starter for program in programs if program.starter is not None]
    starter, taken = (stacked(starters), programs[0].starting) if starters else (None, 0)

    def run() -> Any:
        now = states
        if starter is not None:
            now, _, _ = advance_all(starter, now, np.int64(0), np.int64(taken))
        now, _, _ = advance_all(main, now, np.int64(taken), np.int64(steps - taken))
        return jax.block_until_ready(now.v)

    return run


def exponax_members(dimension: int, points: int, count: int, start: Field) -> dict[str, Run]:
    """Return runs of exponax over `count` members, in two arrangements."""
    steps = STEPS[f"exponax {dimension}"]
    stepper = single(Public(dimension, 0.5 * points, points, T / steps, B, C))
    one = single(jnp.stack([jnp.asarray(start.real), jnp.asarray(start.imag)]))
    many = jnp.stack([one] * count)
    repeat = exponax.repeat(stepper, steps)
    mesh, spread = Mesh(np.array(jax.devices()), ("member",)), PartitionSpec("member")

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
    def spread_out(shard: jax.Array) -> Any:
        return jax.lax.map(repeat, shard)

    side_by_side = jax.jit(jax.vmap(repeat))
    return {
        "exponax, vmap": lambda: jax.block_until_ready(side_by_side(many)),
        "exponax, shard_map + lax.map": lambda: jax.block_until_ready(spread_out(many)),
    }


def g2(dimension: int, points: int, count: int, turns: int) -> None:
    """Print the times of a population and how many times longer exponax takes."""
    start = developed(dimension, points)
    exact_run, field = own(parameters(dimension, points, "f64"), start, 640)
    exact = field(exact_run())
    runs = exponax_members(dimension, points, count, start)
    for integrator in ("ETDRK4", "ETDAB4"):
        runs[integrator] = members(dimension, points, count, start, integrator)
        ready = prepared(parameters(dimension, points, "f32"), start, STEPS[integrator])
        last = ready.grid.field(np.asarray(runs[integrator]()[-1]))  # the last member has b = 2
        error = np.linalg.norm(last - exact) / np.linalg.norm(exact)
        print(f"  {integrator}: relative error {error:.1e}", flush=True)
    took = medians(runs, turns)
    best = min(took["ETDRK4"], took["ETDAB4"])
    for name, ms in took.items():
        print(f"  {count} at {points}^{dimension} f32: {name} {ms:.0f} ms, x{ms / best:.1f}", flush=True)


def g4(count: int = 64) -> None:
    """Print the compilations of a hunt and what a member costs beside its steps."""
    before = compilations()
    prepare, spent = 0.0, 0.0
    for index in range(count):
        given = {"b": 3 * index / count, "c": -2 * index / count, "seed": index, "T": 4, "save_every": 4}
        began = time.perf_counter()
        ready = plan(read_params(given))
        first = ready.first()
        stepper, state = ready.program(first.alpha).main, loaded(first)
        jax.block_until_ready(state.v)
        prepare += time.perf_counter() - began
        began = time.perf_counter()
        jax.block_until_ready(advance(stepper, state, np.int64(0), np.int64(ready.schedule.steps))[0].v)
        spent += time.perf_counter() - began
    compiled = compilations() - before
    each = 1e3 * prepare / count
    print(f"g4: {count} parameter sets, {compiled} compilation; preparing a member takes {each:.1f} ms")
    print(f"    (128^2 float32; stepping, compilation included, {1e3 * spent / count:.1f} ms)")


def compilations() -> int:
    """Return how many programs `advance` has been compiled to."""
    count: int = getattr(advance, "_cache_size")()  # noqa: B009 - JAX shows it to nobody else
    return count


def main() -> None:
    """Run the benchmarks that are named, or all."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("which", nargs="*", default=["g2", "g4"])
    arguments.add_argument("--small", action="store_true", help="two dimensions only")
    arguments.add_argument("--large", action="store_true", help="three dimensions only")
    chosen = arguments.parse_args()
    host_devices(2)
    backend.allow_double_precision()
    if "g4" in chosen.which:
        g4()
    if "g2" in chosen.which:
        print("g2: a population on two devices, T = 4")
        if not chosen.large:
            g2(2, 128, 16, 5)
        if not chosen.small:
            g2(3, 64, 8, 3)


if __name__ == "__main__":
    main()
