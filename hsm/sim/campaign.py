"""Many seeds: run them in a few processes, add up what fired, and see that the harness keeps its word."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from hsm.core import events as ev
from hsm.sim.facts import read_facts
from hsm.sim.loop import Order
from hsm.sim.mutants import mutated
from hsm.sim.program import GIVEN
from hsm.sim.scenario import Fault, FaultKind, Scenario, Trouble, draw
from hsm.sim.simulation import Outcome, simulate
from hsm.wire.log import Record

CHUNK = 25
TWICE_EVERY = 100
"""Of so many seeds one is run twice, and the two traces compared."""
JUMPS_EVERY = 100
"""Of so many seeds one is run with a quiet world and with clock jumps alone, and the decisions compared."""
ENOUGH_SEEDS = 500
"""In so many seeds every fault must have fired."""


@dataclass(slots=True)
class Tally:
    """What a campaign has seen so far."""

    seeds: int = 0
    steps: int = 0
    engines: int = 0
    virtual_s: float = 0.0
    twice: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add another one."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.engines += other.engines
        self.virtual_s += other.virtual_s
        self.twice += other.twice
        self.counts += other.counts
        self.broken |= other.broken

    def note(self, outcome: Outcome) -> None:
        """Add one simulation."""
        self.seeds += 1
        self.steps += outcome.steps
        self.engines += outcome.engines
        self.virtual_s += outcome.virtual_s
        self.counts += outcome.counts
        if outcome.violations:
            self.broken[outcome.seed] = outcome.violations

    @property
    def silent(self) -> list[str]:
        """The faults that never fired, although there were enough seeds."""
        if self.seeds < ENOUGH_SEEDS:
            return []
        return [kind for kind in (*FaultKind, *Trouble, GIVEN) if not self.counts[kind]]


def explore(first: int, count: int, mutant: str = "") -> Tally:
    """Run some seeds, one after another."""
    tally = Tally()
    gc.freeze()  # what is there by now stays: collections need not look at it again
    with mutated(mutant):
        for seed in range(first, first + count):
            outcome = simulate(draw(seed), hashes=seed % TWICE_EVERY == 0)
            if seed % TWICE_EVERY == 0:
                tally.twice += 1
                outcome = _with(outcome, _differs(draw(seed), outcome))
            if seed % JUMPS_EVERY == JUMPS_EVERY // 2:
                outcome = _with(outcome, clock_jumps_change_nothing(draw(seed)))
            tally.note(outcome)
    return tally


def _with(outcome: Outcome, violations: list[str]) -> Outcome:
    return replace(outcome, violations=(*outcome.violations, *violations))


def _differs(scenario: Scenario, outcome: Outcome) -> list[str]:
    """Run a seed again: it must be the same to the last act."""
    again = simulate(scenario, hashes=True).digest
    return [] if again == outcome.digest else ["DETERMINISM: the same seed ran in two ways"]


def clock_jumps_change_nothing(scenario: Scenario) -> list[str]:
    """I20: with a wall clock that jumps, the same decisions are taken in the same order."""
    jumps = tuple(Fault(0.2 * number, FaultKind.CLOCK_JUMP, number) for number in range(1, 15))
    # Sizes that are never reached: how long the text of a time is would decide when a segment is full.
    quiet = replace(
        scenario, order=Order.FIFO, segment_bytes=1 << 40, snapshot_records=1 << 40, batch=False, remote=False
    )
    decisions = [_decisions(quiet.with_faults(faults)) for faults in ((), jumps)]
    return [] if decisions[0] == decisions[1] else ["I20: jumps of the wall clock changed what was decided"]


def _timeless(record: Record) -> Record:
    """Return a record without what depends on the wall clock: times, and hashes over them."""
    hashes = ("manifest", "snapshot", "root")
    return {key: value for key, value in record.items() if not key.endswith("at") and key not in hashes}


def _decisions(scenario: Scenario) -> list[str]:
    """Return what the first engine of a scenario decided, without the times of its events."""
    found: list[str] = []

    def read(stage: object) -> None:
        for event in read_facts(stage).events:  # type: ignore[arg-type]
            if not isinstance(event, ev.CursorMoved):  # a cursor holds a hash over records with times in them
                found.append(repr(_timeless(ev.to_record(event))))
            if isinstance(event, ev.EngineStopped):
                return

    simulate(scenario, at_end=read)
    return found


def campaign(first: int, count: int, *, jobs: int, told: Callable[[Tally], None]) -> Tally:
    """Run many seeds in `jobs` processes; `told` is called with what is known after each chunk."""
    whole = Tally()
    for tally in _chunks(first, count, jobs):
        whole.add(tally)
        told(whole)
    return whole


def _chunks(first: int, count: int, jobs: int) -> Iterator[Tally]:
    starts = range(first, first + count, CHUNK)
    sizes = [min(CHUNK, first + count - start) for start in starts]
    if jobs == 1:
        yield from map(explore, starts, sizes)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(explore, starts, sizes)
