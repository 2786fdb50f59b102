"""The constraint solver against manufactured solutions, bounds, another solver and its own failure."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics.elliptic import Constraint, constraint
from hsm.physics.gravity import observed
from hsm.physics.hamiltonian import curvature, laplacian, violation
from hsm.physics.parameters import Params
from hsm.physics.plan import loaded, plan
from hsm.physics.simulate import segments
from hsm.physics.status import Status
from tests.unit.physics.solving import Figure, make, shown

pytestmark = pytest.mark.integration
DOUBLE = np.dtype(np.float64)
Field = np.ndarray
SOLVE = jax.jit(Constraint.solve)


def problem(dimension: int = 2, **given: object) -> Params:
    defaults: dict[str, object] = {"dim": dimension, "N": 32, "L": 6.0, "kappa": 0.5, "metric_tol": 1e-12}
    return make(**{**defaults, **given})


def solved(p: Params, density: Field, guess: Field | None = None) -> tuple[Field, int, bool]:
    """Return the metric field x of |ψ|², the iterations and whether it failed; `guess` is a field y."""
    solver = constraint(p, p.grid, DOUBLE)
    rho = jnp.asarray(density)
    found = SOLVE(solver, rho, solver.cold(rho) if guess is None else jnp.asarray(guess))
    x = np.asarray(found.x)
    return x if p.dim == 2 else 1 + x, int(found.iterations), bool(found.failed)


def wavy(p: Params) -> Field:
    """Return a smooth field of range about ±1 without symmetries."""
    unit = 2 * np.pi / p.L
    x, *rest = p.grid.mesh()
    field = np.sin(unit * x + 0.3)
    for number, y in enumerate(rest):
        field = field * np.exp(0.5 * np.cos(unit * y + number)) + 0.2 * np.cos(2 * unit * y - unit * x)
    return np.asarray(field / np.abs(field).max())


def needed_density(p: Params, x: Field, reference: float) -> Field:
    """Return the |ψ|² whose metric field is x, by solving the constraint for the density."""
    bend = laplacian(x, p.L)
    if p.dim == 2:
        return np.asarray((reference * np.exp(2 * x) - bend / p.kappa) * np.exp(x) - p.rho_vac)
    return np.asarray((reference * x**5 - 4 * bend / p.kappa) * x**3 - p.rho_vac)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_near_guess_is_finished_by_fixed_point_steps_as_well_as_by_newton(
    dimension: int, tolerance: float
) -> None:
    """From fifty tolerances away they reach the tolerance, and what they return is one metric, Ω and ln Ω."""
    p = problem(dimension, metric_tol=tolerance, kappa=0.1)
    density = 1 + 0.5 * wavy(p)
    exact, _, _ = solved(replace(p, metric_tol=1e-12), density)
    y = np.exp(exact) if dimension == 2 else exact
    solver = constraint(p, p.grid, DOUBLE)
    guess = y * (1 + 50 * tolerance * wavy(p))
    found = SOLVE(solver, jnp.asarray(density), jnp.asarray(guess))
    assert not found.failed
    assert int(found.iterations) >= 1
    x = np.asarray(found.x)
    assert np.abs(np.asarray(found.y) - (np.exp(x) if dimension == 2 else 1 + x)).max() < 1e-3 * tolerance
    assert np.abs(np.asarray(found.y) - y).max() < 20 * tolerance


@pytest.mark.parametrize("dimension", [2, 3])
def test_manufactured_metric_is_found_with_spectral_accuracy(dimension: int, figure: Figure) -> None:
    """The error against a chosen metric falls exponentially with the points, to rounding."""
    errors, flat = [], 0 if dimension == 2 else 1
    for points in (8, 12, 24):
        p = replace(problem(dimension, rho_ref=1.0), N=points)
        wide = replace(p, N=4 * points)
        density = needed_density(wide, 0.15 * wavy(wide) + flat, 1.0)[(slice(None, None, 4),) * dimension]
        found, _, failed = solved(p, density)
        assert not failed
        errors.append(
            float(np.abs(found - 0.15 * wavy(wide)[(slice(None, None, 4),) * dimension] - flat).max())
        )
    figure(f"manufactured metric, {dimension}-D, N = 8, 12, 24: error", shown(errors))
    assert errors[1] < errors[0] / 50
    assert errors[2] < 1e-12


@pytest.mark.parametrize("dimension", [2, 3])
def test_uniform_density_leaves_space_flat(dimension: int) -> None:
    """With ρ_ref the mean Ω is exactly one; with another ρ_ref it is the root of F."""
    p = problem(dimension)
    density = np.full(p.grid.shape, 0.7)
    found, iterations, failed = solved(p, density)
    assert (failed, iterations) == (False, 0)
    assert np.abs(found - (0 if dimension == 2 else 1)).max() < 1e-14
    p = problem(dimension, rho_ref=1.4)
    omega = ((0.7 + p.rho_vac) / 1.4) ** (1 / 3 if dimension == 2 else 1 / 4)
    found, _, failed = solved(p, density, 1 + 0.1 * wavy(p))
    assert not failed
    assert np.abs((np.exp(found) if dimension == 2 else found**2) - omega).max() < 1e-9


@pytest.mark.parametrize("dimension", [2, 3])
def test_weak_density_bends_space_as_linear_response_says(dimension: int, figure: Figure) -> None:
    """Screened: ω_k = κδρ_k/(k² + 3κρ̄) in two dimensions, φ_k − 1 = (κ/4)δρ_k/(k² + 2κρ̄) in three."""
    p = problem(dimension, rho_vac=0.0)
    k = 2 * np.pi / p.L
    wave = np.cos(k * p.grid.mesh()[0])
    small = 1e-5
    found, _, _ = solved(p, 0.8 + small * wave)
    if dimension == 2:
        expected = p.kappa / (k**2 + 3 * p.kappa * 0.8)
    else:
        expected = p.kappa / 4 / (k**2 + 2 * p.kappa * 0.8)
    got = 2 * np.mean((found - found.mean()) * wave) / small
    figure(f"linear response of the metric, {dimension}-D: relative error", f"{abs(got / expected - 1):.1e}")
    assert got == pytest.approx(expected, rel=1e-4)


def test_total_curvature_of_the_torus_is_zero(figure: Figure) -> None:
    """Gauss and Bonnet: ∫R dV = 0 in two dimensions, with the R that the constraint says there is."""
    p = problem()
    density = 1 + 0.9 * wavy(p)
    x, _, _ = solved(p, density)
    rho = density + p.rho_vac
    r = 2 * p.kappa * (rho * np.exp(-3 * x) - rho.mean())
    assert np.abs(r - curvature(x, p.L)).max() < 1e-10
    total = float(np.mean(r * np.exp(2 * x)))
    figure("Gauss-Bonnet: mean of R√g over the largest |R|", f"{abs(total) / np.abs(r).max():.1e}")
    assert np.abs(r).max() > 0.1
    assert abs(total) < 1e-12 * np.abs(r).max()


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("kappa", [0.01, 1.0, 100.0])
def test_vortices_are_solved_for_at_every_coupling(dimension: int, kappa: float, figure: Figure) -> None:
    """From a cold start, within the iteration limits and the maximum principle's bound on Ω."""
    p = problem(dimension, kappa=kappa, L=16.0, init_kind="vortex_lattice", metric_tol=1e-6)
    density = np.abs(p.grid.field(plan(p).start)) ** 2
    x, iterations, failed = solved(p, density)
    omega = np.exp(x) if dimension == 2 else x**2
    rho = density + p.rho_vac
    bound = (rho.max() / rho.mean()) ** (1 / 3 if dimension == 2 else 1 / 4)
    figure(f"vortices, {dimension}-D, kappa = {kappa:g}: conjugate-gradient iterations", str(iterations))
    assert not failed
    assert omega.max() <= bound * (1 + 1e-6)
    assert iterations <= 150


def test_agrees_with_a_fixed_point_iteration(figure: Figure) -> None:
    """Picard: (∇² − m)x⁺ = F(x) − mx, another way to the same solution."""
    p = problem(N=24, kappa=0.5)
    density = 1 + 0.9 * wavy(p)
    rho, reference = density + p.rho_vac, float(np.mean(density)) + p.rho_vac
    k2 = (2 * np.pi * np.fft.fftfreq(24, p.L / 24)) ** 2
    symbol = -(k2[:, None] + k2[None, :])
    x: Any = np.zeros_like(rho)
    for _ in range(200):
        slope = p.kappa * (2 * reference * np.exp(2 * x) + rho * np.exp(-x))
        m = (slope.min() + slope.max()) / 2
        force = p.kappa * (reference * np.exp(2 * x) - rho * np.exp(-x))
        x = np.fft.ifft2(np.fft.fft2(force - m * x) / (symbol - m)).real
    found, _, _ = solved(p, density)
    figure("against a fixed-point iteration: difference", f"{np.abs(found - x).max():.1e}")
    assert np.abs(found - x).max() < 1e-9


def test_tolerance_is_kept(figure: Figure) -> None:
    """The residual of the equation, measured apart, is below the tolerance asked for, and follows it."""
    seen = []
    for tolerance in (1e-3, 1e-6, 1e-9):
        p = problem(metric_tol=tolerance)
        density = 1 + 0.9 * wavy(p)
        x, _, _ = solved(p, density)
        seen.append(violation(p, np.sqrt(density).astype(complex), x).own)
        rho = density + p.rho_vac
        force = p.kappa * (rho.mean() * np.exp(2 * x) - rho * np.exp(-x))
        residual = np.sqrt(np.mean((laplacian(x, p.L) - force) ** 2)) / (p.kappa * rho.mean())
        assert residual <= tolerance * 1.01
    figure("h_norm on the own grid at tolerances 1e-3, 1e-6, 1e-9", shown(seen))
    assert seen[0] > 10 * seen[1] > 100 * seen[2]


def test_refined_norm_sees_what_the_own_grid_hides(figure: Figure) -> None:
    """On a coarse grid the residual on its own points is at the tolerance while the refined one is not."""
    coarse, fine = (problem(N=n, L=12.0, init_kind="vortex_lattice", init_cells=1) for n in (16, 48))
    norms = []
    for p in (coarse, fine):
        psi = p.grid.field(plan(p).start)
        x, _, _ = solved(p, np.abs(psi) ** 2)
        norms.append(violation(p, psi, x))
    figure("h_norm refined and own, N = 16", f"{norms[0].l2:.1e}, {norms[0].own:.1e}")
    assert norms[0].own < 1e-10
    assert norms[0].l2 > 1e-7
    assert norms[1].l2 < norms[0].l2 / 100


def test_constraint_without_solution_ends_the_run_with_its_reason() -> None:
    """A tolerance below rounding cannot be met: the run says so, and where."""
    p = make(kappa=0.5, dtype="f32", metric_tol=1e-9, init_amp=0.5, metric="stage")
    ending = list(segments(plan(p)))[-1].ending
    assert ending is not None
    assert ending.status is Status.METRIC_FAILED
    assert ending.bad_step == ending.step + 1
    assert f"step {ending.bad_step}" in str(ending.reason)


def test_empty_space_stays_flat() -> None:
    """|ψ|² = 0 everywhere leaves the floor alone: Ω = 1."""
    p = problem(init_kind="uniform", init_amp=0.0)
    prepared = plan(p)
    first = prepared.first()
    x = observed(prepared.program(first.alpha).main, loaded(first))  # type: ignore[arg-type]
    assert np.abs(np.asarray(x)).max() < 1e-14
