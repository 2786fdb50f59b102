"""The solver against exact solutions, linear theory and conservation laws of the equation."""

from collections.abc import Callable
from math import tau

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hsm.physics.grid import Grid
from hsm.physics.parameters import Params
from hsm.physics.rates import rates
from hsm.physics.source import profile
from hsm.physics.transforms import to_band, to_points
from tests.unit.physics.solving import sncgl

Solve = Callable[..., np.ndarray]
Make = Callable[..., Params]
Figure = Callable[[str, str], None]


@pytest.mark.parametrize("eta", [0, 0.5, 1])
@pytest.mark.parametrize("coupling", [{}, {"chi": 0.7, "d_chi": -1.5, "ell": 1.3}])
def test_plane_wave_turns_at_its_exact_frequency(
    solve: Solve, params: Make, eta: float, coupling: dict, figure: Figure
) -> None:
    """F² = μ − q² + χ(Ĝ−1) and ω = bq² + cF² − χ d_χ(Ĝ−1), whatever the non-local share."""
    p = params(
        mu=1.3,
        b=1.7,
        c=-0.8,
        eta=eta,
        init_kind="plane_wave",
        init_mode_x=2,
        init_mode_y=-1,
        init_phase=0.4,
        **coupling,
    )
    grid, wave = Grid(points=p.N, length=p.L), tau / p.L
    q2 = 5 * wave**2
    g = sncgl(p).chi * (np.exp(-(sncgl(p).ell ** 2) * q2 / 2) - 1)
    density = sncgl(p).mu - q2 + g
    omega = sncgl(p).b * q2 + sncgl(p).c * density - sncgl(p).d_chi * g
    x = grid.coordinates()
    exact = np.sqrt(density) * np.exp(1j * (wave * (2 * x[:, None] - x[None, :]) + 0.4 - omega * 2))
    error = np.abs(solve(p, 0.02, 100) - exact).max()
    figure(f"plane wave, eta = {eta}, chi = {sncgl(p).chi}, h = 0.02, T = 2: error", f"{error:.1e}")
    assert error < 1e-7


def test_uniform_field_relaxes_as_the_exact_solution(solve: Solve, params: Make, figure: Figure) -> None:
    """ρ = ρ0 e^{2t}/(1 + ρ0(e^{2t} − 1)) and θ = −(c/2) ln(1 + ρ0(e^{2t} − 1)), with no spatial structure."""
    p = params(c=0.9, init_kind="uniform", init_amp=0.2, eta=0.4)
    t, rho0 = 4.0, 0.04
    growth = 1 + rho0 * np.expm1(2 * t)
    exact = np.sqrt(rho0 * np.exp(2 * t) / growth) * np.exp(-0.5j * sncgl(p).c * np.log(growth))
    error = np.abs(solve(p, 0.02, 200) - exact).max()
    figure("uniform relaxation, h = 0.02, T = 4: error", f"{error:.1e}")
    assert error < 1e-6


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        ({"b": 2, "c": -1}, 1),
        ({"b": 2, "c": -1}, 2),
        ({"b": 1, "c": -2, "eta": 0.4}, 2),
        ({"b": -3.5, "c": 0.7}, 1),
        ({"b": 0.5, "c": 0.5}, 1),
        ({"b": 1.5, "c": -1.2, "eta": 1.0}, 2),
    ],
)
def test_small_perturbations_grow_at_the_linear_rate(
    solve: Solve, params: Make, figure: Figure, case: dict[str, float], mode: int
) -> None:
    """The amplitude of mode k on the uniform state grows as Re λ = −(γ+k²) + Re √(γ² − 2bcγk² − b²k⁴)."""
    p = params(sigma=1.5, **case)
    b, c, eta = sncgl(p).b, sncgl(p).c, sncgl(p).eta
    grid, k = Grid(points=p.N, length=p.L), tau * mode / p.L
    gamma = (1 - eta) + eta * np.exp(-(sncgl(p).sigma ** 2) * k**2 / 2)
    root = np.sqrt(complex(gamma**2 - 2 * b * c * gamma * k**2 - b**2 * k**4))
    rate = -(gamma + k**2) + root
    # the growing eigenvector of (Re, Im) perturbations of the rotating uniform state
    matrix = np.array([[-2 * gamma - k**2, b * k**2], [-2 * c * gamma - b * k**2, -(k**2)]])
    values, vectors = np.linalg.eig(matrix)
    vector = vectors[:, np.argmin(np.abs(values - rate))]
    assert np.min(np.abs(values - rate)) < 1e-12
    shape = np.cos(k * grid.coordinates())[:, None] * np.ones(p.N)
    small, t = 1e-7, 2.0
    start = 1 + small * (vector[0].real + 1j * vector[1].real) * shape
    end = solve(p, 0.02, 100, start) * np.exp(1j * c * t)
    grown = 2 * np.mean((end - end.mean()) * shape)
    expected = (vector * np.exp(values[np.argmin(np.abs(values - rate))] * t)).real
    error = abs(grown / small / (expected[0] + 1j * expected[1]) - 1)
    name = f"linear growth, b = {b}, c = {c}, eta = {eta}, k = {k:.3f}, rate {rate.real:+.4f}: relative error"
    figure(name, f"{error:.1e}")
    assert error < 1e-5


def test_free_energy_never_rises_without_dispersion(solve: Solve, params: Make, figure: Figure) -> None:
    """For b = c = 0 the equation is a gradient flow of ∫ |∇ψ|² − |ψ|² + ½|ψ|⁴."""
    p = params(b=0, c=0, init_amp=0.5)
    grid, field, energies = Grid(points=p.N, length=p.L), solve(p, 0.1, 0), []
    for _ in range(30):
        rho, band = np.abs(field) ** 2, grid.band(field) / p.N**2
        gradient = float(np.sum(grid.k_squared() * np.abs(band) ** 2))
        energies.append(gradient + float(np.mean(0.5 * rho**2 - rho)))
        field = solve(p, 0.1, 10, field)
    falls = np.diff(energies)
    figure("free energy, b = c = 0: largest change per unit time", f"{falls.max():.1e}")
    assert np.all(falls < 1e-12)
    assert falls[0] < -1e-2


def test_agrees_with_an_independent_solution_of_the_galerkin_equations(
    solve: Solve, params: Make, figure: Figure
) -> None:
    """A plain CGLE, written as one convolution sum and integrated by SciPy, gives the same field to 1e-8."""
    p = params(N=16, L=8, b=1.5, c=-0.7, init_amp=0.4)
    m = np.fft.fftfreq(64, 1 / 64)
    k2 = (tau / p.L) ** 2 * (m[:, None] ** 2 + m[None, :] ** 2)
    inside = (np.abs(m)[:, None] < 4) & (np.abs(m)[None, :] < 4)

    def rate(
        _t: float, flat: np.ndarray
    ) -> np.ndarray:  # on a grid four times finer, where nothing can alias
        spectrum = flat.reshape(64, 64)
        psi = np.fft.ifft2(spectrum)
        cubic = np.fft.fft2(np.abs(psi) ** 2 * psi)
        return np.where(inside, spectrum - (1 + 1.5j) * k2 * spectrum - (1 - 0.7j) * cubic, 0).ravel()

    start = solve(p, 0.1, 0)
    fine = np.zeros((64, 64), complex)
    rows = np.r_[0:4, -3:0]
    fine[np.ix_(rows, rows)] = np.fft.fft2(start)[np.ix_(rows, rows)] * 16
    end = (
        solve_ivp(rate, (0, 1), fine.ravel(), method="DOP853", rtol=1e-10, atol=1e-10)
        .y[:, -1]
        .reshape(64, 64)
    )
    error = np.abs(np.fft.ifft2(end)[::4, ::4] - solve(p, 0.01, 100)).max()
    figure("independent CGLE (SciPy DOP853), h = 0.01, T = 1: error", f"{error:.1e}")
    assert error < 1e-8


def test_uniform_source_agrees_with_its_ordinary_differential_equation(
    solve: Solve, params: Make, figure: Figure
) -> None:
    """A uniform field under S = s0 e^{iω_s t} follows dψ/dt = μψ − (1+ic)|ψ|²ψ + S."""
    p = params(
        c=-1.2, init_kind="uniform", init_amp=0.3, source_kind="uniform", source_s0=0.5, source_omega=1.7
    )

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        return y - (1 + 1j * sncgl(p).c) * np.abs(y) ** 2 * y + 0.5 * np.exp(1.7j * t)

    exact = solve_ivp(rate, (0, 3), np.array([0.3 + 0j]), method="DOP853", rtol=1e-12, atol=1e-13).y[0, -1]
    error = np.abs(solve(p, 0.01, 300) - exact).max()
    figure("uniform source against its ODE, h = 0.01, T = 3: error", f"{error:.1e}")
    assert error < 1e-8


@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_cubic_term_is_free_of_aliasing(params: Make, eta: float, figure: Figure) -> None:
    """On a full band the truncated product equals that of a four times finer grid, to rounding."""
    p = params(N=16, L=8, c=0.7, mu=0, eta=eta, sigma=0.8)
    coarse, fine = Grid(points=16, length=8.0), Grid(points=64, length=8.0)
    rng = np.random.default_rng(7)
    band = np.where(coarse.active(), 30 * rng.normal(size=(8, 8)) + 30j * rng.normal(size=(8, 8)), 0)
    got = np.asarray(rates(p, np.dtype(np.float64))(jnp.asarray(band), jnp.asarray(0.0)))
    got = np.where(coarse.active(), got, 0)

    wide = np.zeros((32, 32), complex)
    wide[12:20, 12:20] = band * 16
    psi = fine.field(wide)
    density = np.fft.ifft2(np.fft.fft2(np.abs(psi) ** 2) * blur(p, fine)).real
    exact = fine.band(-(1 + 0.7j) * density * psi)[12:20, 12:20] / 16
    assert np.abs(exact).max() > 1
    error = np.abs(got - np.where(coarse.active(), exact, 0)).max() / np.abs(exact).max()
    figure(f"aliasing of the cubic term, eta = {eta}: relative error", f"{error:.1e}")
    assert error < 1e-12


def blur(p: Params, grid: Grid) -> np.ndarray:
    k = tau * np.fft.fftfreq(grid.points, grid.length / grid.points)
    return (1 - sncgl(p).eta) + sncgl(p).eta * np.exp(
        -(sncgl(p).sigma ** 2) * (k[:, None] ** 2 + k[None, :] ** 2) / 2
    )


def test_band_and_grid_are_inverse_and_agree_on_host_and_device() -> None:
    """A field made of active modes survives the way to the band and back; both transforms are the same."""
    grid = Grid(points=16, length=5.0)
    x = grid.coordinates()
    field = np.exp(1j * tau / 5 * (3 * x[:, None] - 2 * x[None, :])) + 0.5j
    band = grid.band(field)
    assert np.abs(grid.field(band) - field).max() < 1e-14
    assert np.abs(np.asarray(to_band(to_points(jnp.asarray(band), 16), 8)) - band).max() < 1e-12
    assert band[3 + 4, -2 + 4] == pytest.approx(256)
    assert band[4, 4] == pytest.approx(128j)


def test_sites_are_periodic_gaussians_where_they_were_put(params: Make) -> None:
    """A site across the corner of the box is one Gaussian of the given width and phase on the torus."""
    p = params(
        N=64,
        source_kind="sites",
        source_s0=0.5,
        source_width=1.5,
        source_positions=[[15.5, 0.25, 1.0], [8, 8, 0]],
    )
    grid = Grid(points=64, length=16.0)
    shape = grid.field(profile(p, grid))
    assert shape[62, 1] == pytest.approx(0.5 * np.exp(1j), abs=1e-4)
    assert shape[2, 1] == pytest.approx(0.5 * np.exp(1j) * np.exp(-1 / (2 * 1.5**2)), abs=1e-4)
    assert shape[32, 32] == pytest.approx(0.5, abs=1e-4)
