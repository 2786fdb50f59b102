"""The largest stable time step of a parameter set, computed from the linear stability of the integrator.

Where ψ is uniform with density ρ, a perturbation (δψ, δψ*) of wave number k obeys u' = (Λ + B)u, with Λ =
diag(L, L*) and B the slopes of f(ψ) = r(|ψ|²)ψ:

    B = [[r + ρr', ρr'], [c.c.]]

One step multiplies u by a matrix that is the integrator applied to this system, Λ exactly and B explicitly.
The step is unstable when that matrix grows u faster than the equation does, by more than 0.2 per unit time.
The first such step is searched for, over the wave numbers of the band and the densities 0, ½, 1 and 1.5 of
the scale that gain, source and initial field sustain. With a metric B also holds what α leaves explicit, for
0.3 ≤ Ω⁻²/α ≤ 1.6.

A turbulent field is not uniform, so a share of that step is taken: MARGIN. It was found by runs of T = 200
from small noise, whose stable limits the accepted step stays below (docs/explanation/physics.md shows both).
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsm.physics.contour import adams_bashforth_weights, circle_means, phi
from hsm.physics.equation import Equation
from hsm.physics.grid import ComplexField, Grid
from hsm.physics.parameters import InitialKind, Integrator, Params, SourceKind

MARGIN = {Integrator.ETDRK4: 0.4, Integrator.ETDAB4: 1.0}
DENSITIES = (0.0, 0.5, 1.0, 1.5)  # in units of the density scale
STEEPNESS = (0.3, 1.6)  # Ω⁻²/α, see `gravity.untenable`
FASTER = 0.2  # tolerated growth beyond that of the equation, 1/time
SHORTEST, LONGEST = 1e-4, 2.0  # the ladder of steps that are tried, time
RUNGS_PER_DOUBLING = 8
MODES = 48  # wave numbers that are looked at
NOISE_PEAK = 10.0  # the peak density of noise over its mean

Matrix = NDArray[np.complexfloating]
Amplification = Callable[[float, ComplexField, Matrix], Matrix]


@lru_cache(maxsize=256)
def largest_step(p: Params) -> float:
    """Return the largest time step accepted, time.

    A source that turns by more than one radian per step is not resolved either.
    """
    limit = MARGIN[p.integrator] * linear_limit(p)
    turning = p.source_kind is not SourceKind.NONE and p.source_omega != 0
    return min(limit, 1 / abs(p.source_omega)) if turning else limit


def linear_limit(p: Params) -> float:
    """Return the first step of a ladder that is linearly unstable, or its end if none is."""
    amplify = _runge_kutta if p.integrator is Integrator.ETDRK4 else _adams_bashforth
    grid = Grid(points=p.N, length=p.L / math.sqrt(p.dim), dimension=1, degree=p.equation.degree)
    chosen = np.unique(np.linspace(grid.reach, grid.modes - 1, MODES).astype(int))
    symbol = p.equation.linear_symbol(grid)[chosen]
    explicit = np.concatenate(list(_slopes(p, grid.k_squared()[chosen])))
    growth = np.maximum(_eigenvalues(_diagonal(symbol) + explicit).real.max(axis=-1), 0)
    low, high = 0, math.ceil(RUNGS_PER_DOUBLING * math.log2(LONGEST / SHORTEST))
    while low < high:
        middle = (low + high) // 2
        h = SHORTEST * 2 ** (middle / RUNGS_PER_DOUBLING)
        radius = np.abs(_eigenvalues(amplify(h, symbol, explicit))).max(axis=-1)
        if np.all(np.log(np.maximum(radius, 1e-300)) <= h * (growth + FASTER)):
            low = middle + 1
        else:
            high = middle
    return float(SHORTEST * 2.0 ** (low / RUNGS_PER_DOUBLING))


def density_scale(p: Params) -> float:
    """Return the largest of the densities that gain, source and initial field sustain, at least 1.

    A dense start decays at once, and a third of its peak is what measured limits ask for.
    """
    peak = {InitialKind.NOISE: NOISE_PEAK * p.init_amp**2, InitialKind.UNIFORM: p.init_amp**2}
    return max(1.0, p.equation.density, p.source_density, peak.get(p.init_kind, 0.0) / 3)


def _slopes(p: Params, k_squared: NDArray[np.floating]) -> Iterator[Matrix]:
    """Yield B for every density and, with a metric, every steepness, each of shape (1, modes, 2, 2)."""
    for share in DENSITIES:
        rho = share * density_scale(p)
        rate, slope = _rate(p.equation, rho)
        own, other = rate + rho * slope, rho * slope
        local = np.array([[own, other], [np.conj(other), np.conj(own)]])
        for steepness in STEEPNESS if p.kappa else (1.0,):
            bent = -complex(p.equation.diffusion) * (steepness - 1) * k_squared
            yield (_diagonal(bent.astype(np.complex128)) + local)[None]


def _rate(equation: Equation, rho: float) -> tuple[complex, complex]:
    """Return r and dr/dρ at a density, by a central difference."""
    gap = 1e-4 * max(1.0, rho)
    low, high = (_uniform_rate(equation, value) for value in (max(rho - gap, 0.0), rho + gap))
    return _uniform_rate(equation, rho), (high - low) / (rho + gap - max(rho - gap, 0.0))


def _uniform_rate(equation: Equation, rho: float) -> complex:
    stated = equation.rate(rho)
    if stated is not None:
        return stated
    grid = Grid(points=16, length=16.0, dimension=1, degree=equation.degree)
    nonlinear = equation.nonlinear(grid, np.dtype(np.float32))
    psi: Any = np.full(grid.shape, math.sqrt(rho + 1e-6), np.complex64)
    return complex(np.asarray(nonlinear(psi))[0] / psi[0])


def turns_with_phase(equation: Equation) -> bool:
    """Tell whether f(ψ e^{iθ}) = f(ψ) e^{iθ} for the gauge factor that stored fields carry (see `grid`)."""
    grid = Grid(points=16, length=16.0, dimension=1, degree=equation.degree)
    nonlinear = equation.nonlinear(grid, np.dtype(np.float32))
    x = grid.coordinates()
    psi = (0.6 + 0.3 * np.cos(x) + 0.2j * np.sin(2 * x + 1)).astype(np.complex64)
    one: Any = np.asarray(nonlinear(grid.ungauged(psi)))  # type: ignore[arg-type]
    other = grid.ungauged(np.asarray(nonlinear(psi)))
    return bool(np.abs(one - other).max() <= 1e-3 * max(float(np.abs(other).max()), 1e-6))


def _runge_kutta(h: float, symbol: ComplexField, b: Matrix) -> Matrix:
    """Return the matrix of one step of ETDRK4 (`etdrk4` has the formulas)."""
    z = h * symbol
    p1, p2, p3 = circle_means(partial(phi, 3), z)
    (p1_half,) = circle_means(partial(phi, 1), z / 2)
    whole, half = _diagonal(np.exp(z)), _diagonal(np.exp(z / 2))
    q = _diagonal(h / 2 * p1_half)
    f1, f2, f3 = (_diagonal(h * f) for f in (p1 - 3 * p2 + 4 * p3, 2 * p2 - 4 * p3, 4 * p3 - p2))
    stage_a = half + q @ b
    stage_b = half + q @ b @ stage_a
    stage_c = half @ stage_a + q @ (2 * b @ stage_b - b)
    return whole + f1 @ b + f2 @ b @ (stage_a + stage_b) + f3 @ b @ stage_c


def _adams_bashforth(h: float, symbol: ComplexField, b: Matrix) -> Matrix:
    """Return the companion matrix of one step of ETDAB4 (`etdab4` has the formulas)."""
    z = h * symbol
    matrix = np.zeros((*b.shape[:-2], 8, 8), np.complex128)
    for j, beta in enumerate(adams_bashforth_weights(z)):
        matrix[..., :2, 2 * j : 2 * j + 2] = _diagonal(h * beta) @ b
    matrix[..., :2, :2] += _diagonal(np.exp(z))
    for j in range(1, 4):
        matrix[..., 2 * j : 2 * j + 2, 2 * j - 2 : 2 * j] = np.eye(2)
    return matrix


def _eigenvalues(matrix: Matrix) -> Matrix:
    """Return the eigenvalues of square matrices; those of two rows by their formula, which is quicker."""
    if matrix.shape[-1] > 2:
        return np.linalg.eigvals(matrix)
    half = (matrix[..., 0, 0] + matrix[..., 1, 1]) / 2
    determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    root = np.sqrt(half**2 - determinant)
    return np.stack([half + root, half - root], axis=-1)


def _diagonal(values: ComplexField) -> Matrix:
    """Return diag(values, values*), shape (…, 2, 2)."""
    result = np.zeros((*values.shape, 2, 2), np.complex128)
    result[..., 0, 0], result[..., 1, 1] = values, np.conj(values)
    return result
