"""One simulation: a sweep under faults (safety); then all is healed, and it must end (liveness)."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass

from hsm.compute.agent import closing
from hsm.compute.agent.relay import SILENCE_S
from hsm.core import keeper, ledger
from hsm.core.errors import EngineRunning
from hsm.core.job import Wishes
from hsm.sim.loop import Deadlock, Livelock
from hsm.sim.nemesis import LONGEST_HANG_S, MANAGER, Nemesis
from hsm.sim.process import Killed
from hsm.sim.scenario import Scenario
from hsm.sim.stage import Run, Stage
from hsm.sim.trace import Trace

PATIENCE_S = 900.0
LEAVING_S = 120.0
HEALED_RUNS = 15
AGENTS_LEAVE_S = LONGEST_HANG_S + 30.0
"""An agent leaves when its last records are durable."""
RELAYS_LEAVE_S = SILENCE_S + 30.0
"""A relay whose manager went without a word leaves, and its agent after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a simulation found. `counts` says how often which fault fired."""

    seed: int
    violations: tuple[str, ...]
    counts: Counter[str]
    digest: str
    steps: int
    virtual_s: float
    engines: int
    lines: tuple[str, ...] = ()


def simulate(
    scenario: Scenario,
    *,
    hashes: bool = False,
    keep: bool = False,
    at_end: Callable[[Stage], None] | None = None,
) -> Outcome:
    """Run one scenario from its beginning to its end; `at_end` may look at what is there then."""
    closing._OF_EPOCH.clear()  # noqa: SLF001 - what a real agent's process begins with
    trace = Trace(hashes=hashes, keep=keep)
    was_enabled = gc.isenabled()
    gc.disable()  # when garbage is collected must not matter
    stage = Stage(scenario, trace)
    try:
        with redirect_stderr(io.StringIO()), _silent_graves(), _small(scenario):
            _run(stage)
            if at_end is not None:
                at_end(stage)
    finally:
        with _silent_graves():
            stage.bury()
            gc.collect()
        asyncio.set_event_loop(None)
        stage.loop.close()
        if was_enabled:
            gc.enable()
    return Outcome(
        seed=scenario.seed,
        violations=tuple(stage.witness.violations),
        counts=trace.counts,
        digest=trace.digest,
        steps=stage.loop.steps,
        virtual_s=stage.loop.time(),
        engines=len(stage.runs),
        lines=tuple(trace.lines),
    )


@contextmanager
def _small(scenario: Scenario) -> Iterator[None]:
    """Let segments be full and snapshots be due after what a small sweep writes."""
    sizes = (
        (ledger, "SEGMENT_BYTES", scenario.segment_bytes),
        (ledger, "AHEAD_BYTES", scenario.ahead_bytes),
        (keeper, "SNAPSHOT_RECORDS", scenario.snapshot_records),
    )
    before = [(module, name, getattr(module, name)) for module, name, _ in sizes]
    for module, name, size in sizes:
        setattr(module, name, size)
    try:
        yield
    finally:
        for module, name, size in before:
            setattr(module, name, size)


@contextmanager
def _silent_graves() -> Iterator[None]:
    """Say nothing of what the coroutines of dead processes still tried when they were let go."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if isinstance(error, BaseExceptionGroup):
            error = error.split((Killed, GeneratorExit))[1]
        if error is not None and not isinstance(error, Killed) and "GeneratorExit" not in str(error):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _run(stage: Stage) -> None:
    try:
        stage.loop.run_until_complete(_play(stage))
        stage.witness.judge()
    except (Deadlock, Livelock) as error:
        stage.witness.accuse([f"I10: {type(error).__name__}: {error}"])
    except Exception as error:  # noqa: BLE001 - whatever it is, no user should meet it
        stage.witness.defect(error)


async def _play(stage: Stage) -> None:
    """Safety, then liveness."""
    await stage.create()
    async with asyncio.TaskGroup() as group:
        nemesis = group.create_task(Nemesis(stage).work(stage.scenario.faults))
        await _use(stage, until=stage.scenario.horizon_s)
        await nemesis
    stage.heal()
    await _bring_to_end(stage)
    await asyncio.sleep(AGENTS_LEAVE_S + (RELAYS_LEAVE_S if stage.remote is not None else 0.0))


async def _use(stage: Stage, until: float) -> None:
    """Behave as users do while things fail: start the sweep, and go on with it whenever it has ended."""
    takeover = False
    while stage.loop.time() < until:
        run = stage.start_engine(stage.home, Wishes(takeover=takeover))
        left = until - stage.loop.time()
        await asyncio.wait([run.over], timeout=max(0.0, left))
        if not run.over.done() or run.is_sweep_over:
            return
        takeover = _needs_takeover(stage, run)
        await asyncio.sleep(stage.rng.uniform(0.05, 2.0))


async def _bring_to_end(stage: Stage) -> None:
    """Have engines run until the sweep is over; at least one, which finds everything healed.

    As a patient user does: one that waits for what only the other machine can tell is left, and the sweep is
    gone on with there. What an engine says can only be given up is, once the batch system runs nothing more.
    """
    before = len(stage.runs)
    for number in range(HEALED_RUNS):
        await _wait_for_engines(stage)
        if any(run.is_sweep_over for run in stage.runs[before:]):
            return
        last = stage.runs[-1] if stage.runs else None
        machine = stage.away if stage.scenario.is_shared and number % 2 else stage.home
        stage.start_engine(machine, _wishes_after(stage, last))
        await asyncio.sleep(min(60.0, 2.0**number))
    errors = [str(run.error) for run in stage.runs[-3:]]
    stage.witness.accuse([f"I10: the sweep came to no end in {HEALED_RUNS} runs after the healing: {errors}"])


async def _wait_for_engines(stage: Stage) -> None:
    """Wait until no engine runs: one that takes very long is asked to leave, and must."""
    asking = [answered for answered in stage.asking if not answered.done()]
    if asking:  # who cancels a sweep that nobody drives is its engine for a while
        await asyncio.wait(asking, timeout=PATIENCE_S)
    running = [run for run in stage.runs if run.process.alive]
    if not running:
        return
    _, late = await asyncio.wait([run.over for run in running], timeout=PATIENCE_S)
    if late:
        for run in running:
            if run.process.alive:
                stage.loop.call_in(run.process, 0.0, run.engine.detach)
        _, late = await asyncio.wait(late, timeout=LEAVING_S)
    if late:
        stage.witness.accuse(["I10: an engine did not leave when it was asked to, with all healed"])


def _wishes_after(stage: Stage, last: Run | None) -> Wishes:
    """Return what a sensible user would ask for, after what the last engine said."""
    is_quiet = stage.cluster is None or not stage.cluster.open_jobs
    return Wishes(
        takeover=last is not None and _needs_takeover(stage, last),
        abandon=stage.witness.doubted if is_quiet else (),
    )


def _needs_takeover(stage: Stage, run: Run) -> bool:
    """Tell whether a sensible user would say --takeover now: the engine that bars the way is surely dead."""
    is_nobody_there = stage.living(MANAGER) is None and all(answered.done() for answered in stage.asking)
    return isinstance(run.error, EngineRunning) and is_nobody_there
