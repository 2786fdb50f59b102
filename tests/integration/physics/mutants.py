"""Plant numeric bugs in a copy of the solver, one at a time, and see that its tests catch every one.

    python -m tests.integration.physics.mutants [--jobs 2] [NAME ...]

prints one line for each and, last, caught/planted; the exit status is 0 only if all were caught. Each mutant
names the tests that should fail; before anything is planted they are run on the unchanged copy and have to
pass.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
UNIT = "tests/unit/physics/"
LONG = "tests/integration/physics/"
COEFFICIENTS = UNIT + "test_physics_etdrk4.py::test_coefficients_equal_the_phi_functions"
TURBULENCE = UNIT + "test_physics_etdrk4.py::test_order_in_turbulence_with_every_term_on"
PLANE_WAVE = UNIT + "test_physics_exact.py::test_plane_wave_turns_at_its_exact_frequency"
RELAXATION = UNIT + "test_physics_exact.py::test_uniform_field_relaxes_as_the_exact_solution"
ALIASING = UNIT + "test_physics_exact.py::test_cubic_term_is_free_of_aliasing"
GROWTH = UNIT + "test_physics_exact.py::test_small_perturbations_grow_at_the_linear_rate"
INDEPENDENT = (
    UNIT + "test_physics_exact.py::test_agrees_with_an_independent_solution_of_the_galerkin_equations"
)
SOURCE_TIME = UNIT + "test_physics_simulate.py::test_time_reaches_the_source_in_every_chunk"
RESUME = UNIT + "test_physics_simulate.py::test_run_that_is_left_can_go_on_from_its_checkpoint_bit_for_bit"
EXACT_ERROR = UNIT + "test_physics_simulate.py::test_error_of_a_step_is_its_distance_from_the_exact_solution"
INFINITE = UNIT + "test_physics_simulate.py::test_blow_up_to_infinity_has_no_density_to_report"
ADAMS = LONG + "test_physics_order.py::test_adams_bashforth_is_of_order_four_in_flat_space"
MODES = LONG + "test_physics_order.py::test_metric_modes_have_their_orders"
MANUFACTURED = LONG + "test_physics_curved.py::test_manufactured_coupled_solution_is_kept"
METRIC = LONG + "test_physics_elliptic.py::test_manufactured_metric_is_found_with_spectral_accuracy"
VORTICES = LONG + "test_physics_elliptic.py::test_vortices_are_solved_for_at_every_coupling"
TOLERANCE = LONG + "test_physics_elliptic.py::test_tolerance_is_kept"
LEAPS = LONG + "test_physics_curved.py::test_metric_that_moved_unforeseen_is_solved_for_at_every_stage"
POSITIVE = LONG + "test_physics_curved.py::test_metric_that_is_foreseen_stays_positive"
REFINED = LONG + "test_physics_elliptic.py::test_refined_norm_sees_what_the_own_grid_hides"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug: a text of a module, what stands in its place, and the tests that should fail."""

    name: str
    module: str
    good: str
    bad: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "half-circle contour",
        "contour",
        "np.exp(2j * np.pi * (np",
        "np.exp(1j * np.pi * (np",
        (COEFFICIENTS,),
    ),
    Mutant(
        "real part of the contour mean",
        "contour",
        "(total / CONTOUR_POINTS)[place]",
        "((total / CONTOUR_POINTS).real + 0j)[place]",
        (TURBULENCE,),
    ),
    Mutant("wrong stage", "etdrk4", "(2 * n_b - n_v)", "(2 * n_a - n_v)", (TURBULENCE,)),
    Mutant("forgotten half step of time", "etdrk4", "middle = t + self.h / 2", "middle = t", (TURBULENCE,)),
    Mutant(
        "dealiasing for a quadratic term", "grid", "// (self.degree + 1))", "// self.degree)", (ALIASING,)
    ),
    Mutant(
        "sign of the dispersion",
        "sncgl",
        "- (1 + 1j * self.b) * k2",
        "- (1 - 1j * self.b) * k2",
        (PLANE_WAVE,),
    ),
    Mutant("conjugated coupling", "sncgl", "(1 + 1j * self.d_chi)", "(1 - 1j * self.d_chi)", (PLANE_WAVE,)),
    Mutant(
        "wave number off by one",
        "grid",
        "(self.modes) - self.reach",
        "(self.modes) - self.reach + 1",
        (PLANE_WAVE,),
    ),
    Mutant(
        "shift not taken out",
        "sncgl",
        "return self.mu - self.mu * (1 + 1j * self.c)",
        "return self.mu",
        (RELAXATION,),
    ),
    Mutant(
        "Gaussian of another width",
        "sncgl",
        "gaussian = np.exp(-(self.sigma**2) * grid.k_squared_real() / 2)",
        "gaussian = np.exp(-(self.sigma**2) * grid.k_squared_real())",
        (GROWTH,),
    ),
    Mutant(
        "density of one part",
        "sncgl",
        "(shift - psi.real**2 - psi.imag**2)",
        "(shift - psi.real**2)",
        (INDEPENDENT,),
    ),
    Mutant(
        "time restarts in every chunk",
        "simulate",
        "(step + index) * stepper.h",
        "index * stepper.h",
        (SOURCE_TIME,),
    ),
    Mutant("checkpoint starts at zero", "simulate", "self._step = begin.step", "self._step = 0", (RESUME,)),
    Mutant(
        "nan passes the watch",
        "simulate",
        "not max_density(psi) <= self._plan.rho_limit",
        "max_density(psi) > self._plan.rho_limit",
        (INFINITE,),
    ),
    Mutant(
        "error of the halves for that of the step",
        "simulate",
        "16 / 15 * apart",
        "1 / 15 * apart",
        (EXACT_ERROR,),
    ),
    Mutant(
        "halves at the time of the whole",
        "simulate",
        "self._state, 2 * self._step, 2)",
        "self._state, 2 * self._step, 1)",
        (EXACT_ERROR,),
    ),
    Mutant(
        "multistep weight left out",
        "contour",
        "p2 / 2 + p3, p2 / 3 + p3 + p4",
        "p2 / 2, p2 / 3 + p3 + p4",
        (ADAMS + "[2]",),
    ),
    Mutant(
        "frozen metric sold as extrapolated",
        "gravity",
        "return now, half, half, ahead",
        "return now, now, now, now",
        (MODES + "[2]",),
    ),
    Mutant(
        "line instead of a cubic",
        "gravity",
        "np.array([35, -35, 21, -5]) / 16",
        "np.array([24, -8, 0, 0]) / 16",
        (MODES + "[2]",),
    ),
    Mutant("foreseen whatever happened", "gravity", "surprise <= self.trust", "surprise < 1e9", (LEAPS,)),
    Mutant(
        "foreseen without bounds",
        "gravity",
        "jnp.clip(ahead, y / LEAP, y * LEAP)",
        "ahead",
        (POSITIVE,),
    ),
    Mutant(
        "wrong power of Omega, 2-D",
        "gravity",
        "barrier(y**-2)",
        "barrier(y**-1)",
        (MANUFACTURED + "[2]",),
    ),
    Mutant(
        "wrong power of Omega, 3-D",
        "gravity",
        "(curved / shape.y**5)",
        "(curved / shape.y**4)",
        (MANUFACTURED + "[3]",),
    ),
    Mutant("connection term left out, 3-D", "gravity", " + shape.factor * psi", "", (MANUFACTURED + "[3]",)),
    Mutant(
        "implicit share counted twice",
        "plan",
        "symbol + (1 - alpha)",
        "symbol - (1 - alpha)",
        (MANUFACTURED + "[2]",),
    ),
    Mutant(
        "wrong scaling of the density",
        "elliptic",
        "reference * y**5 - rho / y**3",
        "reference * y**5 - rho / y**2",
        (METRIC + "[3]",),
    ),
    Mutant(
        "sign of the matter",
        "elliptic",
        "(reference * y**2 - rho / y)",
        "(reference * y**2 + rho / y)",
        (METRIC + "[2]",),
    ),
    Mutant(
        "tolerance ignored",
        "elliptic",
        "(state.size > self.tolerance * scale)",
        "(state.size > 1e-3 * scale)",
        (TOLERANCE,),
    ),
    Mutant("search directions not conjugate", "elliptic", "+ share * state.product", "", (VORTICES,)),
    Mutant(
        "norm on the own grid",
        "hamiltonian",
        "_norms(p, refined(psi), refined(x).real, reference)",
        "_norms(p, psi, x, reference)",
        (REFINED,),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Run all mutants, or the named ones; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if not given.names or mutant.name in given.names]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        everything = sorted({test for mutant in chosen for test in mutant.tests})
        if (output := failure(copy(Path(folder) / "unchanged"), everything)) is not None:
            print(f"the tests fail on the unchanged solver:\n{output}")
            return 2
        caught = list(pool.map(lambda pair: planted(Path(folder) / str(pair[0]), pair[1]), enumerate(chosen)))
    print(f"{sum(caught)}/{len(chosen)} caught")
    return 0 if all(caught) else 1


def planted(folder: Path, mutant: Mutant) -> bool:
    """Plant one bug; say whether a test failed."""
    tree = copy(folder)
    module = tree / "hsm/physics" / f"{mutant.module}.py"
    source = module.read_text(encoding="utf-8")
    if source.count(mutant.good) != 1:
        print(f"cannot plant: {mutant.name}: the text stands {source.count(mutant.good)} times", flush=True)
        return False
    module.write_text(source.replace(mutant.good, mutant.bad), encoding="utf-8")
    is_caught = failure(tree, mutant.tests) is not None
    print(f"{'caught' if is_caught else 'MISSED'}: {mutant.name}", flush=True)
    return is_caught


def copy(folder: Path) -> Path:
    """Return a copy of what the tests need."""
    for part in ("hsm", "tests/unit/physics", "tests/integration/physics"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def failure(tree: Path, tests: Sequence[str]) -> str | None:
    """Run tests in a copy; return what they say if one fails, and only then.

    Raises:
        RuntimeError: pytest could not run them at all.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=300", *tests]
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout if done.returncode else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
