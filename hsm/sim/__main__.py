"""`python -m hsm.sim run|replay|shrink|mutants`: simulate many seeds, look at one, make it small, test it."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from hsm.sim.campaign import Tally, campaign
from hsm.sim.gate import run_gate
from hsm.sim.mutants import MUTANTS, mutated, scenario_for
from hsm.sim.program import GIVEN
from hsm.sim.scenario import FaultKind, Scenario, Trouble
from hsm.sim.shrink import breaks_like, shrink
from hsm.sim.simulation import simulate


def main() -> int:
    """Run a command; 0 when no invariant broke."""
    arguments = _parser().parse_args()
    commands = {"run": _run, "replay": _replay, "shrink": _shrink, "mutants": _mutants}
    return commands[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hsm.sim", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="simulate many seeds")
    run.add_argument("--seeds", type=int, default=200)
    run.add_argument("--first", type=int, default=0)
    run.add_argument("--jobs", type=int, default=1)
    for name, words in (("replay", "simulate one seed"), ("shrink", "find the smallest failure of a seed")):
        one = commands.add_parser(name, help=words)
        one.add_argument("seed", type=int)
        one.add_argument("--mutant", default="", choices=["", *MUTANTS])
        if name == "replay":
            one.add_argument("--faults", help="only these, by number: 3,5,8")
            one.add_argument("--tasks", type=int)
            one.add_argument("--trace", action="store_true", help="print everything that happened")
            one.add_argument("--until", type=float, help="print no more than up to this virtual second")
    mutants = commands.add_parser("mutants", help="plant bugs, each of which must be found")
    mutants.add_argument("--jobs", type=int, default=1)
    mutants.add_argument("names", nargs="*", help="only these")
    return parser


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _run(arguments: argparse.Namespace) -> int:
    began = time.perf_counter()
    said = 0.0
    known: set[int] = set()

    def tell(tally: Tally) -> None:
        nonlocal said
        for seed in sorted(tally.broken.keys() - known):
            known.add(seed)
            _say(f"seed {seed}: {tally.broken[seed][0]}")
        elapsed = time.perf_counter() - began
        if elapsed - said > 30:
            said = elapsed
            _say(f"  {tally.seeds} seeds, {tally.seeds / elapsed:.1f} a second, {len(tally.broken)} broken")

    tally = campaign(arguments.first, arguments.seeds, jobs=arguments.jobs, told=tell)
    _report(tally, time.perf_counter() - began)
    return 1 if tally.broken or tally.silent else 0


def _report(tally: Tally, elapsed: float) -> None:
    _say("fault                              fired")
    for kind in (*FaultKind, *Trouble, GIVEN):
        _say(f"{kind:<33} {tally.counts[kind]:>6}")
    faults = sum(tally.counts[kind] for kind in FaultKind)
    _say(
        f"{tally.seeds} sweeps in {elapsed:.1f} s ({tally.seeds / elapsed:.1f} a second), "
        f"{faults / max(1, tally.seeds):.1f} faults, {tally.engines / max(1, tally.seeds):.1f} engines each, "
        f"{tally.virtual_s / 3600:.1f} virtual hours, {tally.steps} steps, {tally.twice} run twice"
    )
    for seed, violations in sorted(tally.broken.items()):
        _say(f"seed {seed}:")
        for violation in violations:
            _say(f"  {violation}")
    for kind in tally.silent:
        _say(f"never fired: {kind}")
    _say(f"{len(tally.broken)} seeds broke an invariant" if tally.broken else "no invariant broke")


def _scenario(arguments: argparse.Namespace) -> Scenario:
    scenario = scenario_for(arguments.mutant, arguments.seed)
    if getattr(arguments, "tasks", None):
        scenario = scenario.with_tasks(arguments.tasks)
    wanted = getattr(arguments, "faults", None)
    if wanted is not None:
        numbers = [int(number) for number in wanted.split(",") if number]
        scenario = scenario.with_faults(tuple(scenario.faults[number] for number in numbers))
    return scenario


def _replay(arguments: argparse.Namespace) -> int:
    scenario = _scenario(arguments)
    with mutated(arguments.mutant):
        outcome = simulate(scenario, hashes=True, keep=arguments.trace)
    for line in outcome.lines:
        if arguments.until is not None and float(line.partition(" ")[0]) > arguments.until:
            break
        _say(line)
    _say(f"{replace(scenario, faults=())}")
    for number, fault in enumerate(scenario.faults):
        _say(f"  {number}: at {fault.at:.3f} s {fault.kind}")
    _say(f"{outcome.steps} steps, {outcome.virtual_s:.3f} virtual seconds, {outcome.engines} engines")
    _say(f"digest {outcome.digest}")
    for violation in outcome.violations:
        _say(violation)
    return 1 if outcome.violations else 0


def _shrink(arguments: argparse.Namespace) -> int:
    scenario = scenario_for(arguments.mutant, arguments.seed)
    with mutated(arguments.mutant):
        breaks = breaks_like(scenario)
        if breaks is None:
            _say("nothing breaks")
            return 0
        small = shrink(scenario, breaks)
        outcome = simulate(small)
    numbers = ",".join(str(scenario.faults.index(fault)) for fault in small.faults)
    for fault in small.faults:
        _say(f"at {fault.at:.3f} s {fault.kind}")
    _say("\n".join(outcome.violations))
    mutant = f" --mutant {arguments.mutant!r}" if arguments.mutant else ""
    options = f"--tasks {small.tasks} --faults '{numbers}'{mutant} --trace"
    _say(f"python -m hsm.sim replay {arguments.seed} {options}")
    return 1


def _mutants(arguments: argparse.Namespace) -> int:
    return run_gate(arguments.names, jobs=arguments.jobs, say=_say)


if __name__ == "__main__":
    sys.exit(main())
