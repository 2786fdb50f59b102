"""The gate: every planted bug must be found, by the invariant that is there for it, within so many seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from hsm.sim.mutants import MUTANTS, mutated, scenario_for
from hsm.sim.shrink import invariant_of
from hsm.sim.simulation import simulate

MAX_SEEDS = 300
HASH_SEEDS = ("1", "2", "3")
MAX_HASHED = 8
DETERMINISM = "DETERMINISM"


@dataclass(frozen=True, slots=True)
class Caught:
    """How a mutant was found; `violation` is empty when it was not."""

    name: str
    seeds: int
    violation: str


def run_gate(names: Sequence[str], *, jobs: int, say: Callable[[str], None]) -> int:
    """Try every mutant, say how each was found, and return 0 when all were."""
    chosen = list(names or MUTANTS)
    with ProcessPoolExecutor(jobs) as pool:
        found = pool.map(hunt_down, chosen)
        total = sum(_is_caught(caught, say) for caught in found)
    say(f"{total} of {len(chosen)} planted bugs were caught")
    return 0 if total == len(chosen) else 1


def _is_caught(caught: Caught, say: Callable[[str], None]) -> bool:
    how = f"{caught.violation[:90]} (seed {caught.seeds - 1})" if caught.violation else "NOT CAUGHT"
    say(f"{caught.name:<40} {how}")
    return bool(caught.violation)


def hunt_down(name: str) -> Caught:
    """Run seeds until the invariants that guard against a planted bug break."""
    mutant = MUTANTS[name]
    if DETERMINISM in mutant.caught_by:
        return _compare_hash_seeds(name)
    with mutated(name):
        for seed in range(MAX_SEEDS):
            outcome = simulate(scenario_for(name, seed))
            for violation in outcome.violations:
                if invariant_of(violation) in mutant.caught_by:
                    return Caught(name, seed + 1, violation)
    return Caught(name, MAX_SEEDS, "")


def _compare_hash_seeds(name: str) -> Caught:
    """Run seeds in interpreters that hash differently: the traces of each must be the same."""
    for seed in range(MAX_HASHED):
        digests = {digest_under(hash_seed, name, seed) for hash_seed in HASH_SEEDS}
        if len(digests) > 1:
            return Caught(name, seed + 1, f"{DETERMINISM}: {len(digests)} traces of one seed")
    return Caught(name, MAX_HASHED, "")


def digest_under(hash_seed: str, name: str, seed: int) -> str:
    """Return the digest of a seed in an interpreter with that PYTHONHASHSEED."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(digest_of, name, seed).result()
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def digest_of(name: str, seed: int) -> str:
    """Return the digest of a seed, with a planted bug or without."""
    with mutated(name):
        return simulate(scenario_for(name, seed), hashes=True).digest
