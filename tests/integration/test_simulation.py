"""The simulator as people use it: the command line, and sameness over interpreters that hash differently."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from hsm.sim.campaign import clock_jumps_change_nothing
from hsm.sim.gate import digest_under
from hsm.sim.mutants import mutated, scenario_for
from hsm.sim.scenario import draw
from hsm.sim.shrink import breaks_like
from hsm.sim.simulation import simulate

TASKS = 12


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hsm.sim", *arguments], capture_output=True, text=True, check=False, timeout=50
    )


def test_a_seed_is_the_same_under_every_hash_seed() -> None:
    """Nothing depends on the order in which sets happen to be iterated."""
    assert len({digest_under(hash_seed, "", 7) for hash_seed in ("0", "1", "2")}) == 1


def test_a_seed_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the reports of real attempts say of the machine around them is simulated, too."""
    scenarios = [draw(seed) for seed in range(3)]
    here = [simulate(scenario, hashes=True).digest for scenario in scenarios]
    monkeypatch.setenv("LC_ALL", "C" * 900)
    monkeypatch.setenv("PATH", "/usr/bin:" * 60)
    monkeypatch.setattr(platform, "release", lambda: "6" * 700)
    monkeypatch.setattr(os, "cpu_count", lambda: 10**9)
    assert [simulate(scenario, hashes=True).digest for scenario in scenarios] == here


def test_a_run_of_seeds_reports_what_fired() -> None:
    """`run` lists each kind of fault with how often it fired, and exits with 0 when nothing broke."""
    done = run("run", "--seeds", "6", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "power cut" in done.stdout
    assert "no invariant broke" in done.stdout


def test_a_seed_is_replayed_by_one_command() -> None:
    """`replay` shows the faults, and with --trace every act up to --until."""
    done = run("replay", "3", "--trace", "--until", "0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "acknowledged SweepCreated" in done.stdout
    assert "digest" in done.stdout


@pytest.mark.timeout(120)
def test_a_failure_is_shrunk_by_one_command() -> None:
    """`shrink` ends with the command that replays the smallest failure, which fails."""
    mutant = "seal before artifacts are durable"
    with mutated(mutant):
        seed = next(str(n) for n in range(1, 40) if simulate(scenario_for(mutant, n)).violations)
    done = run("shrink", seed, "--mutant", mutant)
    assert done.returncode == 1
    command = done.stdout.strip().splitlines()[-1]
    assert command.startswith(f"python -m hsm.sim replay {seed}")
    faults = command.partition("--faults '")[2].partition("'")[0]
    tasks = command.partition("--tasks ")[2].split()[0]
    again = run("replay", seed, "--tasks", tasks, "--faults", faults, "--mutant", mutant)
    assert again.returncode == 1
    assert "I2" in again.stdout


def test_a_seed_is_the_same_twice_to_the_last_act() -> None:
    """What a seed stands for does not depend on what ran before it."""
    first = simulate(draw(3, tasks=TASKS), hashes=True)
    simulate(draw(4, tasks=TASKS))
    assert simulate(draw(3, tasks=TASKS), hashes=True).digest == first.digest
    assert simulate(draw(4, tasks=TASKS), hashes=True).digest != first.digest


def test_a_planted_bug_is_found_and_gone_afterwards() -> None:
    """The harness bites, and a mutant leaves nothing behind."""
    name = "act before the intent is durable"
    scenarios = [scenario_for(name, seed).with_tasks(TASKS) for seed in range(20)]
    with mutated(name):
        found = ((scenario, breaks_like(scenario)) for scenario in scenarios)
        scenario, breaks = next((scenario, breaks) for scenario, breaks in found if breaks is not None)
        assert breaks(scenario)
    assert breaks_like(scenario) is None


def test_jumps_of_the_wall_clock_change_no_decision() -> None:
    """The same events in the same order, whatever the wall clock says."""
    assert not clock_jumps_change_nothing(draw(5, tasks=TASKS))
