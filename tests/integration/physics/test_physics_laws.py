"""Stability boundaries, balances and symmetries of the equation."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics.elliptic import conformal
from hsm.physics.gravity import Curved, observed
from hsm.physics.hamiltonian import laplacian
from hsm.physics.parameters import Params
from hsm.physics.plan import loaded, plan
from tests.unit.physics.solving import Figure, developed, every_term, last_frame, make, relative, solve

pytestmark = pytest.mark.integration
Eigenpair = tuple[complex, np.ndarray]


def growing(matrix: np.ndarray) -> Eigenpair:
    values, vectors = np.linalg.eig(matrix)
    largest = int(np.argmax(values.real))
    return complex(values[largest]), vectors[:, largest]


def about_plane_wave(q: float, k: float, b: float, c: float) -> Eigenpair:
    """Return the growth of a e^{i(q+k)x} + b* e^{i(q−k)x} about the wave of wave number q."""
    rho = 1 - q**2
    up = -(1 + 1j * b) * (2 * q * k + k**2) - (1 + 1j * c) * rho
    down = -(1 - 1j * b) * (-2 * q * k + k**2) - (1 - 1j * c) * rho
    return growing(np.array([[up, -(1 + 1j * c) * rho], [-(1 - 1j * c) * rho, down]]))


def measured_growth(p: Params, q: float, t: float, pair: Eigenpair, waves: tuple[int, int]) -> complex:
    """Return the growth of a perturbation; `waves`: the periods of the plane wave and of the perturbation."""
    _, (one, other) = pair
    x, unit, small = p.grid.mesh()[0], 2 * np.pi / p.L, 1e-6
    carrier = np.sqrt(1 - q**2) * np.exp(1j * q * x)
    ripple = one * np.exp(1j * waves[1] * unit * x) + np.conj(other) * np.exp(-1j * waves[1] * unit * x)
    end = np.fft.fft(solve(p, 0.05, round(t / 0.05), carrier * (1 + small * ripple)))
    turned = end / end[waves[0]] * abs(np.fft.fft(carrier)[waves[0]])
    return complex(
        np.log(turned[waves[0] + waves[1]] / (small * one * abs(np.fft.fft(carrier)[waves[0]]))) / t
    )


@pytest.mark.parametrize(("b", "c"), [(0.0, 0.0), (1.0, -0.5), (1.5, -0.3)])
def test_waves_become_unstable_at_the_eckhaus_boundary(b: float, c: float, figure: Figure) -> None:
    """q² = (1+bc)/(3+bc+2c²): growth changes sign there, and on both sides it is what linear theory says."""
    edge = np.sqrt((1 + b * c) / (3 + b * c + 2 * c**2))
    for share, sign in ((0.9, -1), (1.1, 1)):
        q = share * edge
        p = make(dim=1, N=128, L=16 * 2 * np.pi / q, b=b, c=c)
        pair = about_plane_wave(q, q / 16, b, c)
        got = measured_growth(p, q, 20.0, pair, (16, 1))
        error = abs(got.real - pair[0].real)
        figure(
            f"Eckhaus, b = {b}, c = {c}, {share} of the edge: rate, error", f"{got.real:+.5f}, {error:.1e}"
        )
        assert np.sign(got.real) == sign
        assert error < 1e-5
    for share, sign in ((0.98, -1), (1.02, 1)):
        assert np.sign(about_plane_wave(share * edge, 1e-3, b, c)[0].real) == sign


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_uniform_state_becomes_unstable_at_the_benjamin_feir_boundary(eta: float, figure: Figure) -> None:
    """k²(1+b²) + 2γ(1+bc) < 0 with γ = (1−η) + ηĜ_σ(k): the sign of the measured growth changes there."""
    b, k = 2.0, 2 * np.pi / 40
    gamma = (1 - eta) + eta * np.exp(-(k**2) / 2)
    edge = -(1 + k**2 * (1 + b**2) / (2 * gamma)) / b
    for c, sign in ((edge + 0.02, -1), (edge - 0.02, 1)):
        p = make(dim=1, N=64, L=40, b=b, c=c, eta=eta, sigma=1.0)
        one = -(1 + 1j * b) * k**2 - (1 + 1j * c) * gamma
        matrix = np.array([[one, -(1 + 1j * c) * gamma], [-(1 - 1j * c) * gamma, np.conj(one)]])
        pair = growing(matrix)
        got = measured_growth(p, 0.0, 20.0, pair, (0, 1))
        error = abs(got.real - pair[0].real)
        figure(
            f"Benjamin-Feir, eta = {eta}, c - edge = {c - edge:+.2f}: rate, error",
            f"{got.real:+.2e}, {error:.1e}",
        )
        assert np.sign(got.real) == sign
        assert error < 1e-6


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_mass_is_balanced(dimension: int, kappa: float, figure: Figure) -> None:
    """d/dt ∫ρ dV_g = 2∫(μρ − |∇ψ|_g² − ρ((1−η)ρ + ηG∗ρ)) dV_g, whatever b and c, for a metric at rest."""
    p = every_term(dimension, chi=0, kappa=kappa, metric="stage", init_amp=1.0, init_k0=0.5)
    prepared = plan(p)
    psi = developed(replace(p, kappa=0.0), 0.05, 40)
    v = jnp.asarray(prepared.grid.band(psi))
    main = prepared.program(1.0).main
    if isinstance(main, Curved):
        first = loaded(prepared.first())
        x = observed(main, replace(first, v=v))
        y = jnp.exp(x) if dimension == 2 else 1 + x
        gauged = jnp.asarray((psi * np.asarray(prepared.grid._gauge())).T)
        change = main.change(v, gauged, jnp.asarray(0.0), main.shape(y))
        omega = conformal(np.asarray(y).T, dimension)
    else:
        change, omega = main.rates(v, jnp.asarray(0.0)), np.ones(prepared.grid.shape)  # type: ignore[attr-defined]
    moving = np.where(prepared.grid.active(), np.asarray(change), 0) + p.equation.linear_symbol(
        p.grid
    ) * np.asarray(v)
    rate = 2 * float(np.mean((np.conj(psi) * prepared.grid.field(moving)).real * omega**dimension))
    rho = np.abs(psi) ** 2
    unit = 2 * np.pi * np.fft.fftfreq(p.N, p.L / p.N)
    steep = sum(
        np.abs(
            np.fft.ifft(
                np.fft.fft(psi, axis=a) * 1j * unit.reshape([-1 if a == n else 1 for n in range(dimension)]),
                axis=a,
            )
        )
        ** 2
        for a in range(dimension)
    )
    k2 = -np.fft.fftn(laplacian(_impulse(p), p.L)).real
    blurred = np.fft.ifftn(np.fft.fftn(rho) * (0.7 + 0.3 * np.exp(-k2 / 2))).real
    balance = 2 * float(np.mean((rho - rho * blurred) * omega**dimension - steep * omega ** (dimension - 2)))
    figure(
        f"mass balance, {dimension}-D, kappa = {kappa}: rate, error",
        f"{rate:+.4f}, {abs(rate - balance):.1e}",
    )
    assert abs(balance) > 1e-3
    assert rate == pytest.approx(balance, rel=1e-4 if kappa else 1e-10)


def _impulse(p: Params) -> np.ndarray:
    impulse = np.zeros(p.grid.shape)
    impulse.flat[0] = 1
    return impulse


@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_free_energy_never_rises_with_a_non_local_share(eta: float, figure: Figure) -> None:
    """For b = c = 0 the flow descends ∫|∇ψ|² − ρ + ½ρ((1−η)ρ + ηG∗ρ), also with the non-local share."""
    p = make(b=0, c=0, eta=eta, sigma=1.5, init_amp=0.5)
    k2 = p.grid.k_squared_real()
    field, energies = solve(p, 0.1, 0), []
    for _ in range(20):
        rho, band = np.abs(field) ** 2, p.grid.band(field) / p.N**2
        blurred = np.fft.irfft2(
            np.fft.rfft2(rho) * ((1 - eta) + eta * np.exp(-(1.5**2) * k2 / 2)), s=rho.shape
        )
        gradient = float(np.sum(p.grid.k_squared() * np.abs(band) ** 2))
        energies.append(gradient + float(np.mean(0.5 * rho * blurred - rho)))
        field = solve(p, 0.1, 10, field)
    falls = np.diff(energies)
    figure(f"free energy, b = c = 0, eta = {eta}: largest change per unit time", f"{falls.max():.1e}")
    assert np.all(falls < 1e-12)
    assert falls[0] < -1e-2


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_phase_and_place_do_not_matter(dimension: int, kappa: float, figure: Figure) -> None:
    """Turning the phase or moving the field before the run or after it is the same, to rounding."""
    p = every_term(dimension, kappa=kappa, metric="stage", init_amp=0.6)
    start = solve(p, 0.05, 0)
    end = solve(p, 0.05, 20, start)
    turned = solve(p, 0.05, 20, start * np.exp(0.7j)) * np.exp(-0.7j)
    shift = (3, -5, 2)[:dimension]
    axes = tuple(range(dimension))
    moved = np.roll(solve(p, 0.05, 20, np.roll(start, shift, axes)), [-s for s in shift], axes)
    errors = relative(turned, end), relative(moved, end)
    figure(
        f"phase and translation, {dimension}-D, kappa = {kappa}: difference",
        f"{errors[0]:.1e}, {errors[1]:.1e}",
    )
    assert max(errors) < 1e-11


def test_axes_are_interchangeable() -> None:
    """Swapping the axes of the start swaps those of the end, in a curved space of three dimensions."""
    p = every_term(3, kappa=0.5, metric="stage", init_amp=0.6)
    start = solve(p, 0.05, 0)
    one, other = (last_frame(p, 0.05, 10, field) for field in (start, start.transpose(2, 0, 1)))
    assert relative(one.psi.transpose(2, 0, 1), other.psi) < 1e-11
    assert one.omega is not None
    assert other.omega is not None
    assert np.abs(one.omega.transpose(2, 0, 1) - other.omega).max() < 1e-9


def test_single_precision_follows_double_in_a_curved_space(figure: Figure) -> None:
    """At T = 4 the two agree to 1e-4."""
    p = every_term(2, kappa=0.3, metric_tol=1e-5, init_amp=0.5)
    double = last_frame(p, 0.1, 40).psi
    single = last_frame(replace(p, dtype=type(p.dtype)("f32")), 0.1, 40).psi
    figure("float32 against float64, kappa = 0.3, T = 4: relative error", f"{relative(single, double):.1e}")
    assert relative(single, double) < 1e-4
